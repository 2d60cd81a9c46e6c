"""The fleet's instances: made in bulk, found by id, forgotten when terminated for an hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice

from moto.ec2.models import EC2Backend
from moto.ec2.models.block_device import BlockDeviceType
from moto.ec2.models.elastic_block_store import Volume, VolumeAttachment
from moto.ec2.models.instances import Instance, InstanceState, Reservation, StateReason
from moto.iam.exceptions import NotFoundException
from moto.iam.models import InstanceProfile, iam_backends

from lab.ec2.addresses import next_subnet
from lab.ec2.state import naive, state
from lab.world import Location

FORGOTTEN_AFTER_SECONDS = 3600
"""A terminated instance stays visible for about an hour (TerminateInstances in the API reference)."""

WINDOWS_ROOT, LINUX_ROOT = "/dev/sda1", "/dev/xvda"
GP3_IOPS, GP3_THROUGHPUT = 3000, 125
"""What a gp3 volume has unless more is paid for."""


def instance_by_id(backend: EC2Backend, instance_id: str) -> Instance | None:
    """The instance, None for an id that was never given out or whose instance is forgotten."""
    index = state(backend).index
    if (found := index.get(instance_id)) is not None:
        return found.instance
    # moto attaches volumes to what it launches before it has returned it: look into the newest reservation.
    for newest in islice(reversed(backend.reservations.values()), 1):
        for instance in newest.instances:
            if instance.id == instance_id:
                index.add(instance, newest)
                return instance
    return None


def create_instance(
    location: Location,
    *,
    tags: Mapping[str, str],
    image_id: str,
    instance_type: str,
    platform: str | None,
    profile_arn: str | None,
    launched: datetime,
    running: bool,
    volumes_gib: Sequence[int] = (8,),
    instance_id: str | None = None,
    platform_details: str | None = None,
) -> str:
    """Launch an instance at a time past, as a fleet file wants it, and answer its id.

    `platform` is `windows` or None. `platform_details` is what the bill says (`Red Hat Enterprise Linux`,
    `SUSE Linux`), by default `Windows` or `Linux/UNIX`. The first of `volumes_gib` is the root volume. An
    instance profile that IAM does not have is created, empty. Zones, subnets and addresses go round by
    themselves; no two instances of a VPC have the same address.
    """
    backend, lab = location.ec2, location.lab
    subnet = next_subnet(backend)
    instance = Instance(  # type: ignore[abstract]  # abstract for CloudFormation alone
        backend, image_id, None, [], instance_type=instance_type, subnet_id=subnet.id, region_name=location.region
    )
    instance.id = instance_id or lab.short_id("i")
    instance.platform = platform
    if platform_details is not None:
        state(backend).platform_details[instance.id] = platform_details
    instance.virtualization_type = "hvm"
    instance.root_device_name = WINDOWS_ROOT if platform == "windows" else LINUX_ROOT
    instance.launch_time = naive(launched)
    nic = instance.nics[0]
    nic.attach_time, nic.delete_on_termination, nic.description = instance.launch_time, True, ""
    reservation = Reservation(lab.short_id("r"), location.account)
    reservation.instances.append(instance)
    backend.reservations[reservation.id] = reservation
    state(backend).index.add(instance, reservation)
    backend.tags[instance.id] = dict(tags)
    for place, size in enumerate(volumes_gib):
        _attach_volume(location, instance, size, place)
    if profile_arn is not None:
        _ensure_profile(location, profile_arn)
        backend.associate_iam_instance_profile(instance.id, iam_instance_profile_arn=profile_arn)
    if not running:
        _stopped(instance, lab.clock.now())
    return instance.id


def _attach_volume(location: Location, instance: Instance, size_gib: int, place: int) -> None:
    backend = location.ec2
    root = place == 0
    device = instance.root_device_name if root else f"/dev/sd{chr(ord('a') + place)}"
    volume = Volume(  # type: ignore[abstract]  # abstract for CloudFormation alone
        backend,
        location.lab.short_id("vol"),
        size_gib,
        instance.nics[0].subnet._availability_zone,
        volume_type="gp3",
        iops=GP3_IOPS,
        throughput=GP3_THROUGHPUT,
    )
    volume.create_time = instance.launch_time
    backend.volumes[volume.id] = volume
    volume.attachment = VolumeAttachment(volume, instance, device, "attached")  # type: ignore[abstract]  # abstract for CloudFormation alone
    volume.attachment.attach_time = instance.launch_time
    instance.block_device_mapping[device] = BlockDeviceType(
        volume_id=volume.id,
        status=volume.status,
        size=size_gib,
        attach_time=instance.launch_time,
        delete_on_termination=root,
    )


def _ensure_profile(location: Location, arn: str) -> InstanceProfile:
    iam = iam_backends[location.account][location.ec2.partition]
    try:
        return iam.get_instance_profile_by_arn(arn)
    except NotFoundException:
        path, _, name = arn.partition(":instance-profile")[2].rpartition("/")
        profile = iam.create_instance_profile(name, f"{path}/", [])
        profile.id = f"AIPA{location.lab.random.getrandbits(68):017X}"  # moto's are shorter than IAM's model allows
        return profile


def _stopped(instance: Instance, when: datetime) -> None:
    instance._state = InstanceState("stopped", 80)
    instance._reason = f"User initiated ({when:%Y-%m-%d %H:%M:%S} GMT)"
    code = "Client.UserInitiatedShutdown"
    instance.state_reason = StateReason(f"{code}: User initiated shutdown", code)


def forget_later(location: Location, instance_id: str) -> None:
    """Let a terminated instance vanish, with its tags, after an hour of lab time."""
    location.lab.clock.after(FORGOTTEN_AFTER_SECONDS, lambda: _forget(location, instance_id), f"forget {instance_id}")


def _forget(location: Location, instance_id: str) -> None:
    if not location.alive:
        return
    backend = location.ec2
    placed = state(backend).index.remove(instance_id)
    if placed is None:
        return
    backend.tags.pop(instance_id, None)
    state(backend).platform_details.pop(instance_id, None)
    placed.reservation.instances.remove(placed.instance)
    if not placed.reservation.instances:
        backend.reservations.pop(placed.reservation.id, None)
