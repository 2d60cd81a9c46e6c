"""CopyImage: an image of the account, in this Region or another, with copies of its snapshots."""

from __future__ import annotations

import copy

from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_block_store import Volume

from lab.ec2.image_operations import NAME, ImageOperations
from lab.ec2.images import Image, copy_of, find_image
from lab.ec2.operations import Reply, check_ids
from lab.ec2.snapshots import check_room_for_snapshots, take_snapshot
from lab.ec2.tags import tag_specifications
from lab.wire_errors import AwsError
from lab.world import Location


class ImageCopyOperations(ImageOperations):
    """See the module's docstring."""

    def copy_image(self) -> Reply:
        """CopyImage: pending while its snapshots are copied. The tags come along only when asked."""
        source = self._source_location()
        image = self._source_image(source)
        if not NAME.fullmatch(self.params["Name"]):
            raise AwsError("InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long")
        tags = tag_specifications(self.params.get("TagSpecifications", []), ["image", "snapshot"])
        volumes = {
            mapped["DeviceName"]: self._source_volume(source, mapped["Ebs"]["SnapshotId"])
            for mapped in image.block_device_mappings
            if mapped["Ebs"].get("SnapshotId")
        }
        check_room_for_snapshots(self.location, list(volumes.values()))
        self.stop_here_if_dry_run()
        image_id = self.lab.short_id("ami")
        description = f"Copied for DestinationAmi {image_id} from SourceAmi {image.id}"
        snapshots = {
            device: take_snapshot(self.location, volume, description, tags["snapshot"], image_id)
            for device, volume in volumes.items()
        }
        own = dict(source.ec2.tags.get(image.id, {})) if self.params.get("CopyImageTags") else {}
        copied = copy_of(
            self.location,
            image,
            image_id,
            name=self.params["Name"],
            description=self.params.get("Description", image.description or ""),
            snapshots=snapshots,
        )
        if own or tags["image"]:
            self.backend.tags[copied.id] = {**own, **tags["image"]}
        return {"ImageId": copied.id}

    def _source_location(self) -> Location:
        region = self.params["SourceRegion"]
        if region not in ec2_backends[self.current_account].regions:
            raise AwsError("InvalidRegion", f"The specified Region '{region}' is not valid.")
        return self.lab.location(self.current_account, region)

    def _source_image(self, source: Location) -> Ami:
        image_id = self.params["SourceImageId"]
        check_ids("InvalidAMIID", "ami", [image_id])
        image = find_image(source.ec2, image_id)
        if image is None:
            raise AwsError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
        if image.state != "available" or not isinstance(image, Image):
            raise AwsError("InvalidAMIID.Unavailable", f"The image ID '{image_id}' is not available: {image.state}")
        return image

    def _source_volume(self, source: Location, snapshot_id: str) -> Volume:
        """The volume of a snapshot of the source, as encrypted as the copy is to be."""
        snapshot = source.ec2.snapshots[snapshot_id]
        volume: Volume = copy.copy(snapshot.volume)
        volume.encrypted = bool(snapshot.encrypted or self.params.get("Encrypted"))
        volume.kms_key_id = self.params.get("KmsKeyId") or volume.kms_key_id
        return volume
