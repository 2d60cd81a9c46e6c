"""CreateSnapshot, CreateSnapshots, DescribeSnapshots, DeleteSnapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moto.ec2.models.elastic_block_store import Snapshot, Volume

from lab.ec2.filter_paths import SNAPSHOT
from lab.ec2.instance_operations import InstanceOperations
from lab.ec2.operations import Reply, check_ids
from lab.ec2.snapshots import (
    check_room_for_snapshots,
    delete_snapshot,
    snapshot_info,
    snapshot_record,
    take_snapshot,
)
from lab.ec2.state import state
from lab.ec2.tags import tag_specifications
from lab.wire_errors import AwsError


class SnapshotOperations(InstanceOperations):
    """See the module's docstring."""

    def create_snapshot(self) -> Reply:
        """CreateSnapshot of one volume."""
        volume_id = self.params["VolumeId"]
        check_ids("InvalidVolumeID", "vol", [volume_id])
        volume = self.backend.get_volume(volume_id)
        (snapshot,) = self._take([volume])
        return snapshot_record(state(self.backend), snapshot, self._tags(snapshot), self.now())

    def create_snapshots(self) -> Reply:
        """CreateSnapshots of an instance's volumes, all of the same moment."""
        specification = self.params["InstanceSpecification"]
        (instance,) = self._named([specification.get("InstanceId", "")])
        left_out = set(specification.get("ExcludeDataVolumeIds", []))
        boot = instance.block_device_mapping.get(instance.root_device_name)
        if specification.get("ExcludeBootVolume") and boot is not None:
            left_out.add(boot.volume_id)
        blocks = [each for each in instance.block_device_mapping.values() if each.volume_id not in left_out]
        taken = self._take([self.backend.volumes[block.volume_id] for block in blocks])
        mine, now = state(self.backend), self.now()
        return {"Snapshots": [snapshot_info(mine, each, self._tags(each), now) for each in taken]}

    def describe_snapshots(self) -> Reply:
        """DescribeSnapshots: the account's own."""
        self.refuse_ids_with_pages("SnapshotIds", "snapshotIds")
        self.stop_here_if_dry_run()
        owners = self._owners()
        mine, snapshots, now = state(self.backend), self.backend.snapshots, self.now()

        def describe(snapshot_id: str, tags: Mapping[str, str]) -> dict[str, Any] | None:
            snapshot = snapshots[snapshot_id]
            return snapshot_record(mine, snapshot, tags, now) if not owners or snapshot.owner_id in owners else None

        named = self.params.get("SnapshotIds")
        ids = sorted({self._snapshot(each).id for each in named} if named else snapshots)
        found, more = self.page(self.described(ids, SNAPSHOT, describe))
        return {"Snapshots": found, **more}

    def delete_snapshot(self) -> Reply:
        """DeleteSnapshot, unless an image is made of it."""
        snapshot = self._snapshot(self.params["SnapshotId"])
        if snapshot.from_ami in self.backend.amis:
            raise AwsError(
                "InvalidSnapshot.InUse", f"The snapshot {snapshot.id} is currently in use by {snapshot.from_ami}"
            )
        self.stop_here_if_dry_run()
        delete_snapshot(self.location, snapshot.id)

    def _take(self, volumes: Sequence[Volume]) -> list[Snapshot]:
        tags = tag_specifications(self.params.get("TagSpecifications", []), ["snapshot"])["snapshot"]
        check_room_for_snapshots(self.location, volumes)
        self.stop_here_if_dry_run()
        description = self.params.get("Description", "")
        copied = self.params.get("CopyTagsFromSource") == "volume"
        return [
            take_snapshot(self.location, each, description, {**(self._tags(each) if copied else {}), **tags})
            for each in volumes
        ]

    def _tags(self, resource: Snapshot | Volume) -> Mapping[str, str]:
        return self.backend.tags.get(resource.id, {})

    def _snapshot(self, snapshot_id: str) -> Snapshot:
        check_ids("InvalidSnapshotID", "snap", [snapshot_id])
        found = self.backend.snapshots.get(snapshot_id)
        if found is None:
            raise AwsError("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")
        return found

    def _owners(self) -> set[str]:
        """The accounts whose snapshots are asked for; empty: any."""
        return {self.current_account if each == "self" else each for each in self.params.get("OwnerIds", [])}
