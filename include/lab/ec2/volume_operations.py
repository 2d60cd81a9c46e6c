"""DescribeVolumes, AttachVolume, DetachVolume and DeleteVolume; the rest of EBS's volumes is moto's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.ec2.models.elastic_block_store import Volume, VolumeAttachment
from moto.ec2.models.instances import Instance

from lab.ec2.filter_paths import VOLUME
from lab.ec2.operations import EC2Operations, Reply, check_ids, tag_list
from lab.wire_errors import AwsError


class VolumeOperations(EC2Operations):
    """See the module's docstring."""

    def describe_volumes(self) -> Reply:
        """DescribeVolumes."""
        self.refuse_ids_with_pages("VolumeIds", "volumeIds")
        self.stop_here_if_dry_run()
        volumes, named = self.backend.volumes, self.params.get("VolumeIds")
        if named:
            check_ids("InvalidVolumeID", "vol", named)
        ids = sorted({self.backend.get_volume(each).id for each in named} if named else volumes)

        def describe(volume_id: str, tags: Mapping[str, str]) -> dict[str, Any]:
            return volume_record(volumes[volume_id], tags)

        found, more = self.page(self.described(ids, VOLUME, describe))
        return {"Volumes": found, **more}

    def attach_volume(self) -> Reply:
        """AttachVolume; moto would take a volume from another instance, and a device from another volume."""
        volume_id, device = self.params["VolumeId"], self.params["Device"]
        volume, instance = self._volume(volume_id), self._instance(self.params["InstanceId"])
        if volume.attachment is not None:
            raise AwsError("VolumeInUse", f"{volume_id} is already attached to an instance")
        if instance._state.name not in ("running", "stopped"):
            raise AwsError("IncorrectState", f"Instance '{instance.id}' is not 'running'.")
        if volume.availability_zone != instance.placement.zone:
            raise AwsError(
                "InvalidVolume.ZoneMismatch",
                f"The volume '{volume_id}' is not in the same availability zone as instance '{instance.id}'",
            )
        if device in instance.block_device_mapping:
            raise AwsError(
                "InvalidParameterValue",
                f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use",
            )
        self.stop_here_if_dry_run()
        self.backend.attach_volume(volume_id, instance.id, device)
        (attachment,) = volume.attachments
        return {**_attachment(attachment), "State": "attaching"}

    def detach_volume(self) -> Reply:
        """DetachVolume; instance and device may be left out, and must be the volume's where they are given.

        A running instance keeps its root volume.
        """
        volume_id = self.params["VolumeId"]
        volume = self._volume(volume_id)
        attachment = volume.attachment
        if attachment is None:
            raise AwsError("IncorrectState", f"Volume '{volume_id}' is in the 'available' state.")
        instance, device = attachment.instance, attachment.device
        asked = self._instance(self.params.get("InstanceId", instance.id))
        if asked is not instance or self.params.get("Device", device) != device:
            raise AwsError(
                "InvalidAttachment.NotFound",
                f"The volume '{volume_id}' is not attached to instance '{asked.id}' as device "
                f"'{self.params.get('Device', device)}'.",
            )
        if instance._state.name == "running" and device == instance.root_device_name:
            raise AwsError(
                "IncorrectState", f"Unable to detach root volume '{volume_id}' from instance '{instance.id}'"
            )
        self.stop_here_if_dry_run()
        record = _attachment(attachment)
        self.backend.detach_volume(volume_id, instance.id, device)
        return {**record, "State": "detaching"}

    def _volume(self, volume_id: str) -> Volume:
        check_ids("InvalidVolumeID", "vol", [volume_id])
        return self.backend.get_volume(volume_id)

    def _instance(self, instance_id: str) -> Instance:
        check_ids("InvalidInstanceID", "i", [instance_id])
        return self.backend.get_instance(instance_id)

    def delete_volume(self) -> Reply:
        """DeleteVolume; moto would keep the tags."""
        volume_id = self.params["VolumeId"]
        self._volume(volume_id)
        self.stop_here_if_dry_run()
        self.backend.delete_volume(volume_id)
        self.backend.tags.pop(volume_id, None)


def volume_record(volume: Volume, tags: Mapping[str, str]) -> dict[str, Any]:
    """A volume as DescribeVolumes has it."""
    return {
        "VolumeId": volume.id,
        "Size": volume.size,
        "SnapshotId": volume.snapshot_id or "",
        "AvailabilityZone": volume.availability_zone,
        "AvailabilityZoneId": volume.zone.zone_id if volume.zone else None,
        "State": volume.status,
        "CreateTime": volume.create_time,
        "Attachments": [_attachment(each) for each in volume.attachments],
        "Encrypted": volume.encrypted,
        "KmsKeyId": volume.kms_key_id or None,
        "Iops": volume.iops,
        "Throughput": volume.throughput,
        "VolumeType": volume.volume_type,
        "MultiAttachEnabled": bool(volume.multi_attach_enabled),
        "Tags": tag_list(tags),
    }


def _attachment(attachment: VolumeAttachment) -> dict[str, Any]:
    block = attachment.instance.block_device_mapping.get(attachment.device)
    return {
        "VolumeId": attachment.volume_id,
        "InstanceId": attachment.instance_id,
        "Device": attachment.device,
        "State": attachment.status,
        "AttachTime": attachment.attach_time,
        "DeleteOnTermination": bool(block and block.delete_on_termination),
    }
