"""RunInstances: moto's launch, with AWS's checks, images, addresses and client tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from moto.ec2.models.amis import Ami
from moto.ec2.models.instances import Instance, Reservation
from moto.iam.models import InstanceProfile, iam_backends

from lab.ec2.events import Change, emit
from lab.ec2.image_operations import ImageOperations
from lab.ec2.images import Image
from lab.ec2.instance_records import InstanceRecord, Record, Seen
from lab.ec2.launch_network import (
    NOT_WITH_INTERFACES,
    check_address,
    check_groups,
    check_room,
    default_subnet,
    settled_interfaces,
)
from lab.ec2.launch_templates import template_version
from lab.ec2.operations import Reply
from lab.ec2.state import state
from lab.ec2.tags import Tags, tag_specifications
from lab.wire_errors import AwsError

BY_PARAMETER = "resolve:ssm:"

TAGGABLE = ["instance", "volume", "network-interface", "spot-instances-request"]


class LaunchOperations(ImageOperations):
    """See the module's docstring."""

    def run_instances(self) -> Reply:
        """RunInstances; the same client token again answers what it launched."""
        request = {name: value for name, value in self.params.items() if name not in ("ClientToken", "DryRun")}
        tags = tag_specifications(self.params.get("TagSpecifications", []), TAGGABLE)
        profile = self._instance_profile()
        template = self._template()
        image = self._launch_image(template)
        self._check_counts()
        if (reservation := self._launched_before(request)) is not None:
            return self._reservation(reservation)
        self._settle_network({**template, **self.params})
        self.stop_here_if_dry_run()
        reservation = self._launch()
        if isinstance(image, Image):
            image.last_launched = self.now()
        for instance in reservation.instances:
            self._furnish(instance, image, profile, tags)
            emit(self.location, instance.id, Change.LAUNCHED)
        if token := self.params.get("ClientToken"):
            state(self.backend).client_tokens[token] = (request, reservation)
        answer = self._reservation(reservation)
        for record in answer["Instances"]:
            record["State"] = {"Code": 0, "Name": "pending"}
        return answer

    def _launch(self) -> Reservation:
        # moto launches `MinCount`, AWS as many as it can up to `MaxCount`. The profile is associated here,
        # and not by moto, which would associate the first instance alone.
        params = self.params
        self.params = {**params, "MinCount": params["MaxCount"]}
        self.params.pop("IamInstanceProfile", None)
        reservation = super().run_instances().result
        self.params = params
        return cast("Reservation", reservation)

    def _furnish(self, instance: Instance, image: Ami, profile: InstanceProfile | None, tags: dict[str, Tags]) -> None:
        """What moto leaves out of a launch."""
        if profile is not None:
            self.backend.associate_iam_instance_profile(instance.id, iam_instance_profile_arn=profile.arn)
        if isinstance(image, Image) and image.details not in ("Linux/UNIX", "Windows"):
            state(self.backend).platform_details[instance.id] = image.details
        given = {each.get("NetworkInterfaceId") for each in self.params.get("NetworkInterfaces", [])}
        for nic in instance.nics.values():
            if nic.id not in given:
                nic.delete_on_termination, nic.description = True, ""
                if tags["network-interface"]:
                    self.backend.tags[nic.id].update(tags["network-interface"])

    def _reservation(self, reservation: Reservation) -> Record:
        tags = self.backend.tags
        return {
            "ReservationId": reservation.id,
            "OwnerId": self.current_account,
            "Groups": [],
            "Instances": [
                InstanceRecord(Seen(self.backend, each, reservation, tags.get(each.id, {}))).filled()
                for each in reservation.instances
            ],
        }

    def _launched_before(self, request: dict[str, Any]) -> Reservation | None:
        token = self.params.get("ClientToken")
        if not token or token not in state(self.backend).client_tokens:
            return None
        before, reservation = state(self.backend).client_tokens[token]
        if before != request:
            raise AwsError(
                "IdempotentParameterMismatch",
                f"The client token '{token}' was used before by a request with other parameters.",
            )
        return reservation

    def _template(self) -> dict[str, Any]:
        """What the launch template says, empty without one; the request names its id and version from then on."""
        if "LaunchTemplate" not in self.params:
            return {}
        version = template_version(self.backend, self.params["LaunchTemplate"])
        self.params["LaunchTemplate"] = {"LaunchTemplateId": version.template.id, "Version": str(version.number)}
        return version.data

    def _launch_image(self, template: Mapping[str, Any]) -> Ami:
        """The image to launch: the request's, else the launch template's."""
        image_id = self.params.get("ImageId", template.get("ImageId"))
        if image_id is None:
            raise AwsError("MissingParameter", "The request must contain the parameter ImageId")
        image_id = self.params["ImageId"] = self._resolved(image_id)
        image = self._image(image_id)
        if image.state != "available":
            raise AwsError("InvalidAMIID.Unavailable", f"The image ID '{image_id}' is not available: {image.state}")
        return image

    def _resolved(self, image_id: str) -> str:
        """`resolve:ssm:<parameter>` stands for the image that a parameter of Systems Manager names."""
        if not image_id.startswith(BY_PARAMETER):
            return image_id
        parameter = self.location.ssm.get_parameter(image_id.removeprefix(BY_PARAMETER))
        if parameter is None or parameter.value is None:
            raise AwsError("InvalidParameterValue", f"Value ({image_id}) for parameter ImageId is invalid.")
        return parameter.value

    def _check_counts(self) -> None:
        fewest, most = self.params["MinCount"], self.params["MaxCount"]
        if not 1 <= fewest <= most:
            raise AwsError(
                "InvalidParameterValue",
                f"The minimum number of instances ({fewest}) must be at least 1 and at most the maximum ({most})",
            )

    def _instance_profile(self) -> InstanceProfile | None:
        asked = self.params.get("IamInstanceProfile", {})
        if not asked:
            return None
        for profile in iam_backends[self.current_account][self.partition].get_instance_profiles():
            if profile.name == asked.get("Name", profile.name) and profile.arn == asked.get("Arn", profile.arn):
                return profile
        member = "name" if "Name" in asked else "arn"
        value = asked.get("Name") or asked.get("Arn")
        raise AwsError(
            "InvalidParameterValue",
            f"Value ({value}) for parameter iamInstanceProfile.{member} is invalid. "
            f"Invalid IAM Instance Profile {member}",
        )

    def _settle_network(self, asked: Mapping[str, Any]) -> None:
        """Check groups, addresses and interfaces, and choose a default subnet where none is named.

        moto would take an address from nowhere. `asked` is the request, filled up from the launch template.
        """
        count, zone = self.params["MaxCount"], asked.get("Placement", {}).get("AvailabilityZone")
        check_groups(self.backend, asked.get("SecurityGroupIds", []), asked.get("SecurityGroups", []))
        if interfaces := asked.get("NetworkInterfaces"):
            for member, what in NOT_WITH_INTERFACES.items():
                if asked.get(member):
                    raise AwsError(
                        "InvalidParameterCombination",
                        f"Network interfaces and an instance-level {what} may not be specified on the same request",
                    )
            self.params["NetworkInterfaces"] = settled_interfaces(self.backend, interfaces, count, zone)
            return
        named = asked.get("SubnetId")
        subnet = self.backend.get_subnet(named) if named else default_subnet(self.backend, zone)
        self.params["SubnetId"] = subnet.id
        check_room(subnet, count)
        if "PrivateIpAddress" in asked:
            check_address(subnet, asked["PrivateIpAddress"], count)

    def _parse_block_device_mapping(self) -> list[dict[str, Any]]:
        """The volumes to launch with: the image's, as the template's and the request's mappings change and add to them.

        moto asks for them while it launches.
        """
        image = self.backend.amis.get(self.params.get("ImageId", ""))
        devices = {each["DeviceName"]: dict(each["Ebs"]) for each in image.block_device_mappings} if image else {}
        template = self._template().get("BlockDeviceMappings", [])
        for mapping in [*template, *self.params.get("BlockDeviceMappings", [])]:
            name = mapping.get("DeviceName")
            if not name:
                raise AwsError("MissingParameter", "The request must contain the parameter deviceName")
            if "NoDevice" in mapping:
                devices.pop(name, None)
            elif "Ebs" in mapping:
                devices[name] = {**devices.get(name, {}), **mapping["Ebs"]}
            elif "VirtualName" not in mapping:
                raise AwsError("MissingParameter", "The request must contain the parameter ebs")
        if any(not ebs.get("VolumeSize") and not ebs.get("SnapshotId") for ebs in devices.values()):
            raise AwsError("MissingParameter", "The request must contain the parameter size or snapshotId")
        return [{"DeviceName": name, "Ebs": ebs} for name, ebs in devices.items()]
