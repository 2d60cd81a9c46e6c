"""Where a fleet's instances live: subnets with room for all of them, in every Availability Zone in turn.

The default VPC of a Region holds about 12,000 instances (a /20 subnet a zone). A larger fleet gets
further VPCs, as a real one of that size would have: 10.0.0.0/16, 10.1.0.0/16 and so on.
"""

from __future__ import annotations

from moto.ec2.models import EC2Backend
from moto.ec2.models.subnets import Subnet

from lab.ec2.state import State, state

KEPT_FREE = 250
"""Addresses of a subnet that the fleet leaves for what users launch."""

SUBNETS_A_NETWORK = 4
"""A /16 has room for four /18."""


def free_addresses(subnet: Subnet) -> int:
    """How many addresses of a subnet nobody holds; AWS keeps five of each for itself."""
    return subnet._available_ip_addresses - len(subnet._subnet_ips)


def next_subnet(backend: EC2Backend) -> Subnet:
    """The subnet for the fleet's next instance."""
    mine = state(backend)
    if mine.subnets is None:
        defaults = backend.get_default_subnets()
        mine.subnets = [defaults[zone] for zone in sorted(defaults)]
    while True:
        while mine.subnets:
            subnet = mine.subnets[mine.launched % len(mine.subnets)]
            if free_addresses(subnet) > KEPT_FREE:
                mine.launched += 1
                return subnet
            mine.subnets.remove(subnet)
        mine.subnets = _add_network(backend, mine)


def _add_network(backend: EC2Backend, mine: State) -> list[Subnet]:
    number, mine.networks = mine.networks, mine.networks + 1
    vpc = backend.create_vpc(f"10.{number}.0.0/16")
    zones = sorted(zone.name for zone in backend.describe_availability_zones())[:SUBNETS_A_NETWORK]
    return [
        backend.create_subnet(vpc.id, f"10.{number}.{64 * place}.0/18", availability_zone=zone)
        for place, zone in enumerate(zones)
    ]
