"""Images: made of instances, pending for a while; and the public ones that AWS offers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.amis import Ami
from moto.ec2.models.elastic_block_store import Snapshot
from moto.ec2.models.instances import Instance
from moto.utilities.utils import load_resource

from lab.ec2.instance_records import USAGE_OPERATIONS, platform_details
from lab.ec2.operations import tag_list
from lab.ec2.snapshots import finish_snapshot
from lab.ec2.state import naive, state
from lab.ec2.wire import stamp
from lab.world import Location

Mapped = dict[str, Any]
"""A block device mapping as the API has it."""

DATE_IN_NAME = re.compile(r"\.(20\d{6})\.")
"""Amazon Linux's image names carry their date: `al2023-ami-2023.7.20250527.1-…`."""

PUBLIC_ROOT_GIB = 8
"""Size of a public image's root volume: Amazon Linux's."""


class Image(Ami):
    """An image with volumes of its own; moto gives every image one of 15 GiB.

    It has moto's attributes, so that what moto does with images (launch permissions, attributes,
    RunInstances) works with it, and a few more.
    """

    def __init__(
        self,
        backend: EC2Backend,
        image_id: str,
        *,
        name: str,
        description: str,
        created: datetime,
        state: str,
        owner_id: str,
        mappings: Sequence[Mapped],
        root_device_name: str,
        architecture: str = "x86_64",
        platform: str | None = None,
        details: str = "Linux/UNIX",
        owner_alias: str | None = None,
        instance: Instance | None = None,
    ) -> None:
        self.ec2_backend = backend
        self.id = image_id
        self.state = state
        self.name = name
        self.image_type = "machine"
        self.image_location = f"{owner_alias or owner_id}/{name}"
        self.owner_id = owner_id
        self.owner_alias = owner_alias
        self.description = description
        self.virtualization_type = "hvm"
        self.architecture = architecture
        self.kernel_id = None
        self.platform = platform
        self.hypervisor = "xen"
        self.root_device_name = root_device_name
        self.root_device_type = "ebs"
        self.sriov = "simple"
        self.creation_date = naive(created)
        self.product_codes = set()
        self.boot_mode = "uefi-preferred"
        self.instance_id = instance.id if instance else None
        self.launch_permissions = [{"Group": "all"}] if owner_alias else []
        self.mappings = list(mappings)
        self.details = details
        self.source_image_id = instance.image_id if instance else None
        self.source_region = backend.region_name if instance else None
        self.state_reason: dict[str, str] | None = None
        self.last_launched: datetime | None = None

    @property
    def block_device_mappings(self) -> list[Mapped]:
        """The volumes that an instance of it gets."""
        return self.mappings

    def snapshot_ids(self) -> list[str]:
        """The snapshots that its volumes are made of."""
        return [mapped["Ebs"]["SnapshotId"] for mapped in self.mappings if mapped.get("Ebs", {}).get("SnapshotId")]


def fail_images(location: Location, instance_id: str, *, fail: bool = True) -> None:
    """Let every image of an instance that is pending or made later end as `failed`, or succeed again."""
    failing = state(location.ec2).failing_images
    if fail:
        failing.add(instance_id)
    else:
        failing.discard(instance_id)


def image_of(
    location: Location,
    instance: Instance,
    image_id: str,
    *,
    name: str,
    description: str,
    volumes: Sequence[tuple[str, Snapshot, bool]],
) -> Image:
    """A pending image of an instance; `volumes` are device, snapshot and whether termination deletes it."""
    backend, lab = location.ec2, location.lab
    image = Image(
        backend,
        image_id,
        name=name,
        description=description,
        created=lab.clock.now(),
        state="pending",
        owner_id=location.account,
        mappings=[_mapped(device, snapshot, delete) for device, snapshot, delete in volumes],
        root_device_name=instance.root_device_name,
        architecture=instance.architecture or "x86_64",
        platform=instance.platform,
        details=platform_details(backend, instance),
        instance=instance,
    )
    _begin(location, image, [snapshot for _, snapshot, _ in volumes])
    return image


def copy_of(
    location: Location,
    source: Ami,
    image_id: str,
    *,
    name: str,
    description: str,
    snapshots: Mapping[str, Snapshot],
) -> Image:
    """A pending copy of an image, here, with the copies of its snapshots by device."""
    own = source if isinstance(source, Image) else None
    image = Image(
        location.ec2,
        image_id,
        name=name,
        description=description,
        created=location.lab.clock.now(),
        state="pending",
        owner_id=location.account,
        mappings=[_copied(mapped, snapshots.get(mapped["DeviceName"])) for mapped in source.block_device_mappings],
        root_device_name=source.root_device_name,
        architecture=source.architecture or "x86_64",
        platform=source.platform,
        details=own.details if own else "Linux/UNIX",
    )
    image.source_image_id, image.source_region = source.id, source.ec2_backend.region_name
    _begin(location, image, list(snapshots.values()))
    return image


def _copied(mapped: Mapped, snapshot: Snapshot | None) -> Mapped:
    if snapshot is None:
        return {**mapped, "Ebs": dict(mapped["Ebs"])}
    return {**mapped, "Ebs": {**mapped["Ebs"], "SnapshotId": snapshot.id, "Encrypted": snapshot.encrypted}}


def _begin(location: Location, image: Image, snapshots: Sequence[Snapshot]) -> None:
    """Let a pending image be found, and end when its snapshots do."""
    location.ec2.amis[image.id] = image
    lab = location.lab
    lab.clock.after(lab.settings.image_seconds, lambda: _finish(location, image, snapshots), f"image {image.id}")


def _mapped(device: str, snapshot: Snapshot, delete_on_termination: bool) -> Mapped:
    volume = snapshot.volume
    return {
        "DeviceName": device,
        "Ebs": {
            "DeleteOnTermination": delete_on_termination,
            "SnapshotId": snapshot.id,
            "VolumeSize": volume.size,
            "VolumeType": volume.volume_type,
            "Iops": volume.iops,
            "Throughput": volume.throughput,
            "Encrypted": snapshot.encrypted,
        },
    }


def _finish(location: Location, image: Image, snapshots: Sequence[Snapshot]) -> None:
    if not location.alive:
        return
    backend = location.ec2
    failed = image.instance_id in state(backend).failing_images
    for snapshot in snapshots:
        finish_snapshot(location, snapshot, "error" if failed else "completed")
    if backend.amis.get(image.id) is image and image.state == "pending":
        image.state = "failed" if failed else "available"
        if failed:
            code = "Server.InternalError"
            image.state_reason = {"Code": code, "Message": f"{code}: An internal error has occurred"}


def find_image(backend: EC2Backend, image_id: str) -> Ami | None:
    """An image that the account can use: its own, or one that AWS offers in the Region."""
    if image_id not in backend.amis:
        offered = public_images(backend.region_name).get(image_id)
        if offered is None:
            return None
        backend.amis[image_id] = _public(backend, offered)
    return backend.amis[image_id]


def offer_public_images(backend: EC2Backend) -> None:
    """Let the account see what AWS offers in the Region."""
    for image_id in public_images(backend.region_name):
        find_image(backend, image_id)


@cache
def public_images(region: str) -> Mapping[str, Mapping[str, Any]]:
    """The images behind the Region's public parameters (`/aws/service/ami-amazon-linux-latest/…`), by id."""
    try:
        offered = load_resource(f"ec2/resources/latest_amis/{region}.json")
    except FileNotFoundError:
        return {}
    return {each["ami_id"]: each for each in offered if DATE_IN_NAME.search(each["name"])}


def _public(backend: EC2Backend, offered: Mapping[str, Any]) -> Image:
    ebs = {"DeleteOnTermination": True, "VolumeSize": PUBLIC_ROOT_GIB, "VolumeType": "gp3", "Encrypted": False}
    return Image(
        backend,
        offered["ami_id"],
        name=offered["name"],
        description=offered["description"],
        created=datetime.strptime(DATE_IN_NAME.findall(offered["name"])[0], "%Y%m%d").replace(tzinfo=UTC),
        state="available",
        owner_id=offered["owner_id"],
        mappings=[{"DeviceName": offered["root_device_name"], "Ebs": ebs}],
        root_device_name=offered["root_device_name"],
        architecture=offered["architecture"],
        owner_alias="amazon",
    )


def image_record(backend: EC2Backend, image: Ami, tags: Mapping[str, str]) -> dict[str, Any]:
    """An image as DescribeImages has it."""
    own = image if isinstance(image, Image) else None
    details = own.details if own else "Windows" if image.platform == "windows" else "Linux/UNIX"
    return {
        "ImageId": image.id,
        "ImageLocation": image.image_location or f"{image.owner_id}/{image.name}",
        "State": image.state,
        "StateReason": own and own.state_reason,
        "OwnerId": image.owner_id,
        "ImageOwnerAlias": image.owner_alias,
        "CreationDate": stamp(image.creation_date),
        "Public": image.is_public,
        "ProductCodes": [],
        "Architecture": image.architecture or "x86_64",
        "ImageType": image.image_type,
        "Platform": image.platform or None,
        "PlatformDetails": details,
        "UsageOperation": USAGE_OPERATIONS.get(details),
        "BlockDeviceMappings": image.block_device_mappings,
        "Description": image.description or None,
        "EnaSupport": True,
        "Hypervisor": "xen",
        "Name": image.name,
        "RootDeviceName": image.root_device_name,
        "RootDeviceType": "ebs",
        "SriovNetSupport": image.sriov,
        "SourceInstanceId": image.instance_id,
        "SourceImageId": own and own.source_image_id,
        "SourceImageRegion": own and own.source_region,
        "Tags": tag_list(tags),
        "VirtualizationType": image.virtualization_type or "hvm",
        "BootMode": image.boot_mode,
    }
