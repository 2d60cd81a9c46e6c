"""CreateImage, DescribeImages, DeregisterImage."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from moto.ec2.models.amis import Ami
from moto.ec2.models.block_device import BlockDeviceType
from moto.ec2.models.instances import Instance

from lab.ec2.events import Change, emit
from lab.ec2.filter_paths import IMAGE
from lab.ec2.images import Image, find_image, image_of, image_record, offer_public_images
from lab.ec2.operations import Reply, check_ids
from lab.ec2.snapshot_operations import SnapshotOperations
from lab.ec2.snapshots import check_room_for_snapshots, delete_snapshot, take_snapshot
from lab.ec2.tags import tag_specifications
from lab.wire_errors import AwsError

NAME = re.compile(r"[\w ()\[\]./'@-]{3,128}", re.ASCII)
"""https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html, `Name`."""

Devices = dict[str, BlockDeviceType]


class ImageOperations(SnapshotOperations):
    """See the module's docstring."""

    def create_image(self) -> Reply:
        """CreateImage: a snapshot of every volume, and a reboot unless `NoReboot` says no (AWS's default is to)."""
        (instance,) = self._named([self.params["InstanceId"]])
        name = self.params["Name"]
        self._check_image(instance, name)
        devices = _wanted(instance, self.params.get("BlockDeviceMappings", []))
        volumes = [self.backend.volumes[str(device.volume_id)] for device in devices.values()]
        tags = tag_specifications(self.params.get("TagSpecifications", []), ["image", "snapshot"])
        check_room_for_snapshots(self.location, volumes)
        self.stop_here_if_dry_run()
        image_id = self.lab.short_id("ami")
        description = f"Created by CreateImage({instance.id}) for {image_id}"
        snapshots = [take_snapshot(self.location, each, description, tags["snapshot"], image_id) for each in volumes]
        deleted = [device.delete_on_termination for device in devices.values()]
        image = image_of(
            self.location,
            instance,
            image_id,
            name=name,
            description=self.params.get("Description", ""),
            volumes=list(zip(devices, snapshots, deleted, strict=True)),
        )
        if tags["image"]:
            self.backend.tags[image.id] = tags["image"]
        if not self.params.get("NoReboot") and instance._state.name == "running":
            emit(self.location, instance.id, Change.REBOOTED)
        return {"ImageId": image.id}

    def _check_image(self, instance: Instance, name: str) -> None:
        if instance._state.name not in ("running", "stopped"):
            raise AwsError(
                "IncorrectInstanceState",
                f"The instance '{instance.id}' is not in a state from which an image can be created.",
            )
        if instance.root_device_name not in instance.block_device_mapping:
            raise AwsError(
                "InvalidParameterValue",
                f"Invalid value '{instance.id}' for instanceId. Instance does not have a volume attached at root "
                f"({instance.root_device_name})",
            )
        if not NAME.fullmatch(name):
            raise AwsError(
                "InvalidAMIName.Malformed",
                "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, "
                "'(', ')', '.', '-', '/' and '_'",
            )
        for image in self.backend.amis.values():
            if image.name == name and image.owner_id == self.current_account:
                raise AwsError("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {image.id}")

    def describe_images(self) -> Reply:
        """DescribeImages: the account's own and what AWS offers; disabled ones only when asked."""
        self.refuse_ids_with_pages("ImageIds", "imagesSet")
        self.stop_here_if_dry_run()
        backend, owners, users = self.backend, self._owners_of_images(), self._users()
        disabled_too = self.params.get("IncludeDisabled", False)
        ids = self._image_ids(owners)

        def describe(image_id: str, tags: Mapping[str, str]) -> dict[str, Any] | None:
            image = backend.amis[image_id]
            if image.state == "disabled" and not disabled_too:
                return None
            if (owners and not owners & {image.owner_id, image.owner_alias}) or not _usable(image, users):
                return None
            return image_record(backend, image, tags)

        found, more = self.page(self.described(ids, IMAGE, describe))
        return {"Images": found, **more}

    def deregister_image(self) -> Reply:
        """DeregisterImage, with its snapshots when asked."""
        image = self._image(self.params["ImageId"])
        if image.owner_id != self.current_account:
            raise AwsError("AuthFailure", f"Not authorized for image:{image.id}")
        self.stop_here_if_dry_run()
        self.backend.deregister_image(image.id)
        self.backend.tags.pop(image.id, None)
        if not self.params.get("DeleteAssociatedSnapshots"):
            return {"Return": True}
        snapshots = image.snapshot_ids() if isinstance(image, Image) else [image.ebs_snapshot.id]
        return {"Return": True, "DeleteSnapshotResults": [self._delete_with_image(each) for each in snapshots]}

    def _delete_with_image(self, snapshot_id: str) -> dict[str, str]:
        delete_snapshot(self.location, snapshot_id)
        return {"SnapshotId": snapshot_id, "ReturnCode": "success"}

    def _image(self, image_id: str) -> Ami:
        check_ids("InvalidAMIID", "ami", [image_id])
        if image_id in self.backend.deleted_amis:
            raise AwsError("InvalidAMIID.Unavailable", f"The image ID '{image_id}' is no longer available")
        return self._known_images([image_id])[0]

    def _known_images(self, image_ids: Sequence[str]) -> list[Ami]:
        check_ids("InvalidAMIID", "ami", image_ids)
        found = {each: find_image(self.backend, each) for each in image_ids}
        unknown = [each for each, image in found.items() if image is None]
        if unknown:
            what = f"id '[{unknown[0]}]' does" if len(unknown) == 1 else f"ids '[{', '.join(unknown)}]' do"
            raise AwsError("InvalidAMIID.NotFound", f"The image {what} not exist")
        return [image for image in found.values() if image is not None]

    def _image_ids(self, owners: set[str]) -> list[str]:
        if named := self.params.get("ImageIds"):
            return sorted({image.id for image in self._known_images(named)})
        if owners != {self.current_account}:
            offer_public_images(self.backend)
        return sorted(self.backend.amis)

    def _owners_of_images(self) -> set[str]:
        """Account ids and aliases whose images are asked for; empty: any."""
        return {self.current_account if each == "self" else each for each in self.params.get("Owners", [])}

    def _users(self) -> set[str]:
        """Who must be allowed to launch the images; empty: never mind."""
        return {self.current_account if each == "self" else each for each in self.params.get("ExecutableUsers", [])}


def _usable(image: Ami, users: set[str]) -> bool:
    """Whether one of `users` may launch the image; `all` stands for everybody."""
    if not users:
        return True
    allowed = {each.get("UserId") or each.get("Group") for each in image.launch_permissions}
    return bool(allowed & (users | {"all"}))


def _wanted(instance: Instance, mappings: Sequence[Mapping[str, Any]]) -> Devices:
    """The instance's devices that an image takes in, as the request's mappings want them.

    A mapping may leave a data volume out (`NoDevice`) or change what termination does to it; AWS allows no
    other change, and no new volume without a snapshot or a size.
    """
    devices: Devices = dict(instance.block_device_mapping.items())
    for mapping in mappings:
        name = mapping.get("DeviceName", "")
        if name not in devices:
            raise AwsError("InvalidBlockDeviceMapping", f"The instance has no volume at {name or 'an unnamed device'}")
        if "NoDevice" in mapping:
            if name == instance.root_device_name:
                raise AwsError("InvalidBlockDeviceMapping", f"The root volume {name} cannot be left out")
            del devices[name]
            continue
        changes = mapping.get("Ebs", {})
        if changes.get("VolumeSize", devices[name].size) != devices[name].size:
            raise AwsError("InvalidBlockDeviceMapping", f"The size of {name} cannot be changed")
        changed = BlockDeviceType(volume_id=devices[name].volume_id, size=devices[name].size)
        changed.delete_on_termination = changes.get("DeleteOnTermination", devices[name].delete_on_termination)
        devices[name] = changed
    return devices
