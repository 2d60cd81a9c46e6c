"""DescribeVolumes, DetachVolume and DeleteVolume; the rest of EBS's volumes is moto's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.ec2.models.elastic_block_store import Volume, VolumeAttachment

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

    def detach_volume(self) -> Reply:
        """DetachVolume; the instance may be left out, which moto does not know."""
        volume_id = self.params["VolumeId"]
        check_ids("InvalidVolumeID", "vol", [volume_id])
        volume = self.backend.get_volume(volume_id)
        if volume.attachment is None:
            raise AwsError("IncorrectState", f"Volume '{volume_id}' is in the 'available' state.")
        instance_id = self.params.get("InstanceId", volume.attachment.instance_id)
        self.stop_here_if_dry_run()
        attachment = self.backend.detach_volume(volume_id, instance_id, self.params.get("Device", ""))
        return {**_attachment(attachment), "State": "detaching"}

    def delete_volume(self) -> Reply:
        """DeleteVolume; moto would keep the tags."""
        volume_id = self.params["VolumeId"]
        check_ids("InvalidVolumeID", "vol", [volume_id])
        self.backend.get_volume(volume_id)
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
