"""What the lab keeps beside moto's EC2 of one account and Region.

It hangs on moto's backend object, so moto's reset forgets it together with everything else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import Instance, Reservation
from moto.ec2.models.subnets import Subnet


class Placed(NamedTuple):
    """An instance and the reservation that it was launched in."""

    instance: Instance
    reservation: Reservation


class InstanceIndex:
    """The instances of a backend by id; moto itself would look through every reservation."""

    def __init__(self) -> None:
        self._placed: dict[str, Placed] = {}
        self._ordered: list[str] | None = None

    def add(self, instance: Instance, reservation: Reservation) -> None:
        """Index an instance, or find it already there."""
        self._placed[instance.id] = Placed(instance, reservation)
        self._ordered = None

    def remove(self, instance_id: str) -> Placed | None:
        """Forget an instance and answer what was known of it."""
        self._ordered = None
        return self._placed.pop(instance_id, None)

    def __getitem__(self, instance_id: str) -> Placed:
        return self._placed[instance_id]

    def get(self, instance_id: str) -> Placed | None:
        """The instance with its reservation, None if it is unknown."""
        return self._placed.get(instance_id)

    def ordered(self) -> list[str]:
        """Every id, sorted: the order of the pages, which no launch or termination in between upsets."""
        if self._ordered is None:
            self._ordered = sorted(self._placed)
        return self._ordered


class PendingSnapshot(NamedTuple):
    """When a snapshot that is still being taken was begun and will be complete, and of which volume it is."""

    begun: datetime
    completes: datetime
    volume_id: str


@dataclass(slots=True)
class State:
    """See the module's docstring."""

    index: InstanceIndex = field(default_factory=InstanceIndex)
    platform_details: dict[str, str] = field(default_factory=dict)
    """By instance id, where the bill says more than `Windows` or `Linux/UNIX`."""
    subnets: list[Subnet] | None = None
    """Subnets that still have room for the fleet's instances; None before the first is launched."""
    launched: int = 0
    """How many instances `create_instance` has made: they go round the subnets."""
    networks: int = 0
    """How many VPCs had to be added to make room."""
    pending_snapshots: dict[str, PendingSnapshot] = field(default_factory=dict)
    failing_images: set[str] = field(default_factory=set)
    """Instances whose images fail: see `lab.ec2.images.fail_images`."""
    client_tokens: dict[str, tuple[dict[str, Any], Reservation]] = field(default_factory=dict)
    """RunInstances' client tokens, with the request and what it launched."""


def state(backend: EC2Backend) -> State:
    """The lab's part of a backend, made when first asked for."""
    found: State | None = backend.__dict__.get("lab")
    if found is None:
        found = backend.__dict__["lab"] = State()
    return found


def naive(when: datetime) -> datetime:
    """A time as moto keeps it: UTC without a zone."""
    return when.astimezone(UTC).replace(tzinfo=None)


def aware(when: datetime) -> datetime:
    """A time that moto kept, with its zone again."""
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when
