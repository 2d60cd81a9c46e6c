"""From a fleet file to a lab full of nodes: instances in EC2, profiles in IAM, agents in Systems Manager.

The same fleet and seed give the same ids, addresses and durations, always.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from lab.ec2.instances import create_instance, instance_by_id
from lab.fleet import Fleet, Group, image_time
from lab.instance_profiles import create_profile
from lab.os_products import OSProduct
from lab.world import AgentState, Lab, Location, Node, NodeFaults

PLATFORM_DETAILS = {"REDHAT_ENTERPRISE_LINUX": "Red Hat Enterprise Linux", "SUSE": "SUSE Linux"}
"""What EC2's bill says of the systems that are billed by themselves; Windows and Linux/UNIX it knows."""
OLDEST_LAUNCH = timedelta(days=60)
"""Nodes were launched within so long before the lab's start, but not before their image was built."""


def seed(lab: Lab, fleet: Fleet) -> None:
    """Fill an empty lab. Clients without a role see the fleet's first account, whose first Region is the default."""
    lab.default_account = fleet.accounts[0].id
    lab.default_region = fleet.accounts[0].regions[0]
    for rule in fleet.rules:
        lab.rules.add(rule)
    for place in fleet.locations():
        _location(lab, place)
    for account in fleet.accounts:
        for profile in fleet.profiles:
            create_profile(lab, account.id, profile.name, profile.policies, profile.statements)
    for group in fleet.groups:
        _seed_group(lab, fleet, fleet.complete(group))


def _location(lab: Lab, place: str) -> Location:
    account, _, region = place.partition("/")
    return lab.location(account, region)


def _seed_group(lab: Lab, fleet: Fleet, group: Group) -> None:
    product = lab.repositories.product(group.os)
    built = image_time(group.image)
    packages = lab.repositories.image(group.os, built, group.packages)
    for number, location in enumerate(_each(lab, fleet, group), start=1):
        tags = group.tags_of(number)
        launched = _launch_time(lab, built)
        node_id = (_register if group.hybrid else _launch)(location, group, product, tags, launched)
        location.nodes[node_id] = Node(
            node_id=node_id,
            account=location.account,
            region=location.region,
            product=product.key,
            name=tags.get("Name", ""),
            packages=packages,
            agent=group.agent,
            agent_version=group.agent_version,
            profile=_profile(location, group),
            duration_seconds=lab.random.randint(*group.scan_seconds),
            reboot_seconds=lab.random.randint(*group.reboot_seconds),
            booted_at=launched,
            registered_at=launched,
            faults=_faults(group),
            hybrid=group.hybrid,
            last_ping=_last_ping(lab, group, launched),
            ip_address=_address(location, node_id, number),
            image_built=built,
        )


def _each(lab: Lab, fleet: Fleet, group: Group) -> Iterator[Location]:
    for place in fleet.places(group):
        location = _location(lab, place)
        for _ in range(group.count):
            yield location


def _launch_time(lab: Lab, built: datetime) -> datetime:
    now = lab.clock.now()
    oldest = max(built, now - OLDEST_LAUNCH)
    return now - timedelta(seconds=lab.random.randint(0, max(0, int((now - oldest).total_seconds()))))


def _launch(location: Location, group: Group, product: OSProduct, tags: dict[str, str], launched: datetime) -> str:
    return create_instance(
        location,
        tags=tags,
        image_id=image_id(product.key, str(group.image)),
        instance_type=group.instance_type,
        platform="windows" if product.family == "windows" else None,
        platform_details=PLATFORM_DETAILS.get(product.operating_system),
        profile_arn=_profile(location, group),
        launched=launched,
        running=group.state == "running",
        volumes_gib=group.volumes,
    )


def _register(location: Location, group: Group, product: OSProduct, tags: dict[str, str], launched: datetime) -> str:
    node_id = location.lab.short_id("mi")
    location.hybrid_tags[node_id] = tags
    return node_id


def _profile(location: Location, group: Group) -> str | None:
    """The instance profile's ARN; a hybrid node has a role, by name."""
    if group.profile is None or group.hybrid:
        return group.profile
    return f"arn:aws:iam::{location.account}:instance-profile/{group.profile}"


def _address(location: Location, node_id: str, number: int) -> str:
    instance: Any = instance_by_id(location.ec2, node_id)
    if instance is None:
        return f"192.168.{number // 254 % 256}.{number % 254 + 1}"
    return str(instance.private_ip)


def _last_ping(lab: Lab, group: Group, launched: datetime) -> datetime | None:
    """When a silent agent was last heard: lost ones up to a week ago, those of stopped nodes as they stopped."""
    now = lab.clock.now()
    if group.agent is AgentState.LOST:
        return max(launched, now - timedelta(seconds=lab.random.randint(3600, 7 * 86400)))
    return now if group.state == "stopped" else None


def _faults(group: Group) -> NodeFaults | None:
    return NodeFaults(**group.node_faults.model_dump()) if group.node_faults else None


def image_id(product_key: str, day: str) -> str:
    """The id of the image of a product that was built on a day: the same in every lab."""
    return f"ami-{hashlib.sha256(f'{product_key} {day}'.encode()).hexdigest()[:17]}"
