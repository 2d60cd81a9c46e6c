"""moto's internals that look through the whole fleet for one thing, replaced by look-ups.

`REPLACED` names each with the function in its place; a canary test holds the source of every one of
them, so that a new moto that changed one fails there and says what to look at again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moto.ec2.exceptions import InvalidInstanceIdError, InvalidVolumeIdError
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.elastic_block_store import EBSBackend, Volume
from moto.ec2.models.instances import Instance, InstanceBackend, Reservation
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, generic_filter, get_prefix

from lab.ec2.instances import instance_by_id
from lab.ec2.launch_undo import undone_on_failure
from lab.ec2.state import state


def get_tags(self: Any) -> list[dict[str, str]]:
    """A resource's tags; moto matches patterns against every tag of every resource."""
    if not self.id:
        return []
    kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(self.id), "")
    tags = self.ec2_backend.tags.get(self.id, {})
    return [{"resource_id": self.id, "key": key, "value": value, "resource_type": kind} for key, value in tags.items()]


def get_instance_by_id(self: Any, instance_id: str) -> Instance | None:
    """An instance or None; moto copies every reservation and looks through them."""
    return instance_by_id(self, instance_id)


def get_instance(self: Any, instance_id: str) -> Instance:
    """An instance, or InvalidInstanceID.NotFound; moto copies every reservation and looks through them."""
    found = instance_by_id(self, instance_id)
    if found is None:
        raise InvalidInstanceIdError(instance_id)
    return found


def get_multi_instances_by_id(self: Any, instance_ids: list[str], filters: Any = None) -> list[Instance]:
    """Instances, or InvalidInstanceID.NotFound; moto makes a dictionary of all there are first."""
    found = {each: instance_by_id(self, each) for each in instance_ids}
    unknown = [each for each, instance in found.items() if instance is None]
    if unknown:
        raise InvalidInstanceIdError(unknown)
    return [each for each in found.values() if each is not None and each.applies(filters)]


def describe_volumes(self: Any, volume_ids: list[str] | None = None, filters: Any = None) -> list[Volume]:
    """Volumes by id and filter; moto looks through all of them for each."""
    if volume_ids:
        unknown = [each for each in volume_ids if each not in self.volumes]
        if unknown:
            raise InvalidVolumeIdError(", ".join(unknown))
        volumes = [self.volumes[each] for each in dict.fromkeys(volume_ids)]
    else:
        volumes = list(self.volumes.values())
    return generic_filter(filters, volumes) if filters else volumes


def run_instances(self: Any, *args: Any, **kwargs: Any) -> Reservation:
    """moto's own launch, whoever asks for it (RunInstances, Auto Scaling, Spot), with its instances indexed.

    One that fails leaves nothing behind.
    """
    with undone_on_failure(self):
        reservation: Reservation = ORIGINALS[InstanceBackend, "run_instances"](self, *args, **kwargs)
    for instance in reservation.instances:
        state(self).index.add(instance, reservation)
    return reservation


REPLACED: Mapping[tuple[type, str], Callable[..., Any]] = {
    (TaggedEC2Resource, "get_tags"): get_tags,
    (InstanceBackend, "get_instance_by_id"): get_instance_by_id,
    (InstanceBackend, "get_instance"): get_instance,
    (InstanceBackend, "get_multi_instances_by_id"): get_multi_instances_by_id,
    (InstanceBackend, "run_instances"): run_instances,
    (EBSBackend, "describe_volumes"): describe_volumes,
}

ORIGINALS: dict[tuple[type, str], Callable[..., Any]] = {
    (owner, name): getattr(owner, name) for owner, name in REPLACED
}
"""moto's own, as they were before `install`."""


def install() -> None:
    """Put every replacement in its place."""
    for (owner, name), replacement in REPLACED.items():
        setattr(owner, name, replacement)
