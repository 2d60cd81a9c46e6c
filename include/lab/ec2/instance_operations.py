"""Instances: describe, start, stop, reboot, terminate. Launching is in `lab.ec2.launch_operations`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moto.ec2.models.instances import Instance

from lab.ec2.events import Change, emit
from lab.ec2.filter_paths import INSTANCE, INSTANCE_STATUS
from lab.ec2.instance_records import InstanceRecord, Record, Seen, status_record
from lab.ec2.instances import forget_later, instance_by_id
from lab.ec2.operations import EC2Operations, Reply, check_ids
from lab.ec2.state import naive, state
from lab.wire_errors import AwsError

States = Mapping[str, Record]


class InstanceOperations(EC2Operations):
    """See the module's docstring."""

    def describe_instances(self) -> Reply:
        """DescribeInstances, in pages of instances; a reservation may come in parts."""
        self.refuse_ids_with_pages("InstanceIds", "instancesSet")
        self.stop_here_if_dry_run()

        backend, index = self.backend, state(self.backend).index

        def describe(instance_id: str, tags: Mapping[str, str]) -> InstanceRecord:
            return InstanceRecord(Seen(backend, *index[instance_id], tags))

        found, more = self.page(self.described(self._instance_ids(), INSTANCE, describe))
        return {"Reservations": _by_reservation(found, self.current_account), **more}

    def describe_instance_status(self) -> Reply:
        """DescribeInstanceStatus: running instances, or all of them when asked."""
        self.refuse_ids_with_pages("InstanceIds", "instancesSet")
        self.stop_here_if_dry_run()
        everything, nodes = self.params.get("IncludeAllInstances", False), self.location.nodes
        index = state(self.backend).index

        def describe(instance_id: str, _tags: Mapping[str, str]) -> Record | None:
            instance = index[instance_id].instance
            if not everything and instance._state.name != "running":
                return None
            return status_record(instance, nodes.get(instance_id))

        found, more = self.page(self.described(self._instance_ids(), INSTANCE_STATUS, describe))
        return {"InstanceStatuses": found, **more}

    def start_instances(self) -> Reply:
        """StartInstances; the launch time becomes that of this start, as AWS has it."""
        before = self._before("started", ("running", "stopped"))
        for instance in self._in_state("stopped"):
            instance.start()
            instance.launch_time = naive(self.now())
            emit(self.location, instance.id, Change.STARTED)
        return {"StartingInstances": self._changes(before, "stopped", {"Code": 0, "Name": "pending"})}

    def stop_instances(self) -> Reply:
        """StopInstances; one that is protected from it stops the whole request."""
        before = self._before("stopped", ("running", "stopped"))
        running = self._in_state("running")
        for instance in running:
            if instance.disable_api_stop:
                raise _protected(instance, "stopped", "disableApiStop")
        self.backend.stop_instances([instance.id for instance in running])
        for instance in running:
            emit(self.location, instance.id, Change.STOPPED)
        return {"StoppingInstances": self._changes(before, "running", {"Code": 64, "Name": "stopping"})}

    def reboot_instances(self) -> Reply:
        """RebootInstances: asked for and done; the machine is away for a while, the state stays `running`."""
        self._before("rebooted", ("running",))
        for instance in self._requested():
            emit(self.location, instance.id, Change.REBOOTED)

    def terminate_instances(self) -> Reply:
        """TerminateInstances; a terminated instance is forgotten after an hour.

        One that is protected saves all of its Availability Zone; those in other zones go before the
        request fails (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TerminateInstances.html).
        """
        before = self._before("terminated", ("running", "stopped", "terminated"))
        alive = [instance for instance in self._requested() if instance._state.name != "terminated"]
        protected = [instance for instance in alive if instance.disable_api_termination]
        saved = {instance.placement.zone for instance in protected}
        self._terminate([instance for instance in alive if instance.placement.zone not in saved])
        if protected:
            raise _protected(protected[0], "terminated", "disableApiTermination")
        gone = ("running", "stopped")
        changes = [
            self._change(instance_id, was, {"Code": 32, "Name": "shutting-down"} if was["Name"] in gone else was)
            for instance_id, was in before.items()
        ]
        return {"TerminatingInstances": changes}

    def _terminate(self, going: Sequence[Instance]) -> None:
        if not going:
            return
        volumes = {device.volume_id for instance in going for device in instance.block_device_mapping.values()}
        self.params["InstanceIds"] = [instance.id for instance in going]
        super().terminate_instances()
        for volume_id in volumes - self.backend.volumes.keys():
            self.backend.tags.pop(volume_id, None)
        for instance in going:
            forget_later(self.location, instance.id)
            emit(self.location, instance.id, Change.TERMINATED)

    def _instance_ids(self) -> list[str]:
        """The sorted ids that the request is about: those it names, which must exist, or all."""
        named = self.params.get("InstanceIds")
        if not named:
            return state(self.backend).index.ordered()
        return sorted(instance.id for instance in self._named(named))

    def _named(self, ids: Sequence[str]) -> list[Instance]:
        check_ids("InvalidInstanceID", "i", ids)
        found = {each: instance_by_id(self.backend, each) for each in ids}
        unknown = [each for each, instance in found.items() if instance is None]
        if unknown:
            what = f"ID '{unknown[0]}' does" if len(unknown) == 1 else f"IDs '{', '.join(unknown)}' do"
            raise AwsError("InvalidInstanceID.NotFound", f"The instance {what} not exist")
        return [instance for instance in found.values() if instance is not None]

    def _requested(self) -> list[Instance]:
        return self._named(self.params.get("InstanceIds", []))

    def _in_state(self, name: str) -> list[Instance]:
        return [instance for instance in self._requested() if instance._state.name == name]

    def _before(self, what: str, allowed: tuple[str, ...]) -> States:
        """The states before a change, once the request has been found good and is no dry run."""
        instances = self._requested()
        for instance in instances:
            if instance._state.name not in allowed:
                raise AwsError(
                    "IncorrectInstanceState",
                    f"The instance '{instance.id}' is not in a state from which it can be {what}.",
                )
        self.stop_here_if_dry_run()
        return {each.id: {"Code": each._state.code, "Name": each._state.name} for each in instances}

    def _changes(self, before: States, changed: str, now: Record) -> list[Record]:
        """Each instance's change of state: those that were in the state `changed` are in `now`."""
        return [self._change(each, was, now if was["Name"] == changed else was) for each, was in before.items()]

    @staticmethod
    def _change(instance_id: str, was: Record, now: Record) -> Record:
        return {"InstanceId": instance_id, "CurrentState": now, "PreviousState": was}


def _protected(instance: Instance, what: str, attribute: str) -> AwsError:
    return AwsError(
        "OperationNotPermitted",
        f"The instance '{instance.id}' may not be {what}. Modify its '{attribute}' instance attribute and try again.",
    )


def _by_reservation(records: Sequence[InstanceRecord], owner: str) -> list[Record]:
    reservations: dict[str, Record] = {}
    for record in records:
        reservation_id = record["ReservationId"]
        empty = {"ReservationId": reservation_id, "OwnerId": owner, "Groups": [], "Instances": []}
        reservations.setdefault(reservation_id, empty)["Instances"].append(record.filled())
    return list(reservations.values())
