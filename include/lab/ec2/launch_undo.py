"""A launch that fails leaves nothing behind; moto makes one thing after the other and leaves what it has made.

moto's resources stand in dictionaries in the order in which they were made, and a launch only adds to them:
what stands behind a mark that was set before the launch is the launch's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.subnets import Subnet

from lab.ec2.state import state


@contextmanager
def undone_on_failure(backend: EC2Backend) -> Iterator[None]:
    """If the block raises, the instances, volumes, interfaces, addresses and tags that it has made are gone again."""
    reservations = len(backend.reservations)
    made = [(held, len(held)) for held in (backend.volumes, backend.enis, backend.tags)]
    addresses = [(subnet, len(subnet._subnet_ips)) for subnet in _subnets(backend)]
    try:
        yield
    except BaseException:
        for reservation_id in _newer(backend.reservations, reservations):
            for instance in backend.reservations.pop(reservation_id).instances:
                state(backend).index.remove(instance.id)
        for held, mark in made:
            for key in _newer(held, mark):
                del held[key]
        for subnet, mark in addresses:
            for address in _newer(subnet._subnet_ips, mark):
                subnet.del_subnet_ip(address)
        _let_go(backend)
        raise


def _subnets(backend: EC2Backend) -> list[Subnet]:
    return [subnet for zone in backend.subnets.values() for subnet in zone.values()]


def _newer(held: dict[str, Any], mark: int) -> list[str]:
    """The keys that came after the first `mark`."""
    return list(islice(reversed(held), len(held) - mark))


def _let_go(backend: EC2Backend) -> None:
    """Free the interfaces that were there before and that the launch had taken."""
    index = state(backend).index
    for nic in backend.enis.values():
        owner = nic.instance
        if owner is not None and owner._state.name != "terminated" and index.get(owner.id) is None:
            owner.detach_eni(nic)
