"""What Systems Manager knows of a managed node: who it is and when its agent last reported."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from lab.ssm.selection import compare
from lab.targets import resolve
from lab.world import Location, Node

if TYPE_CHECKING:
    from lab.os_products import OSProduct

LATEST_AGENT = "3.3.2299.0"
"""The newest agent when the lab's default time begins: IsLatestVersion compares with it."""
HEARTBEAT_SECONDS = 300
"""How often an agent reports its health (its default, AG: `HealthFrequencyMinutes`)."""


def ping_status(location: Location, node: Node) -> str:
    """Online or ConnectionLost; a node that reboots has lost its connection until it is back."""
    return "Online" if location.reachable(node) else "ConnectionLost"


def last_ping(location: Location, node: Node) -> datetime:
    """When the agent last reported: within the last five minutes while it is online.

    Of an agent that is silent and of which nothing else is known, that is when it registered.
    """
    if location.reachable(node):
        return _heartbeat(node, location.lab.clock.now())
    seen_since_boot = node.last_ping is not None and node.last_ping >= node.booted_at
    if node.rebooting_until is not None and not seen_since_boot:
        return _heartbeat(node, node.rebooting_until - timedelta(seconds=node.reboot_seconds))
    return node.last_ping or node.registered_at


def information(location: Location, node: Node) -> dict[str, Any]:
    """What DescribeInstanceInformation and DescribeInstanceProperties both say of a node."""
    product = location.lab.repositories.product(node.product)
    known: dict[str, Any] = {
        "InstanceId": node.node_id,
        "PingStatus": ping_status(location, node),
        "LastPingDateTime": last_ping(location, node),
        "AgentVersion": node.agent_version,
        "PlatformType": product.platform_type,
        "PlatformName": product.platform_name,
        "PlatformVersion": product.platform_version,
        "ResourceType": resource_type(node),
        "ComputerName": computer_name(location, node, product),
        "SourceId": node.node_id,
        "SourceType": source_type(node),
    }
    if node.ip_address:
        known["IPAddress"] = node.ip_address
    if node.hybrid:
        known |= {"RegistrationDate": node.registered_at, "Name": node.name}
        known |= {"IamRole": role_name(node)} if node.profile else {}
    return known


def is_latest(node: Node) -> bool:
    """Whether the node's agent is the newest there is."""
    return not compare("LessThan", node.agent_version, [LATEST_AGENT])


def role_name(node: Node) -> str:
    """The name of the node's instance profile, or of a hybrid node's role; "" without one."""
    return (node.profile or "").rpartition("/")[2]


def resource_type(node: Node) -> str:
    """EC2Instance or ManagedInstance (a hybrid node)."""
    return "ManagedInstance" if node.hybrid else "EC2Instance"


def source_type(node: Node) -> str:
    """The CloudFormation type of what the node is."""
    return "AWS::SSM::ManagedInstance" if node.hybrid else "AWS::EC2::Instance"


def computer_name(location: Location, node: Node, product: OSProduct) -> str:
    """The host's name: what EC2's images give it, a hybrid node's own."""
    if node.hybrid:
        return node.name or node.node_id
    if product.platform_type == "Windows":
        # EC2Launch names a Windows host EC2AMAZ- and seven characters; these are drawn from the id.
        return f"EC2AMAZ-{zlib.crc32(node.node_id.encode()):07X}"[:15]
    if not node.ip_address:
        return node.name or node.node_id
    domain = "ec2.internal" if location.region == "us-east-1" else f"{location.region}.compute.internal"
    return f"ip-{node.ip_address.replace('.', '-')}.{domain}"


def associated_documents(location: Location) -> dict[str, list[str]]:
    """The documents that State Manager associates with nodes, by node id."""
    found: dict[str, list[str]] = {}
    for association in location.associations.values():
        targets = list(association.latest.body.get("Targets", ()))
        everyone = any(each["Key"].lower() == "instanceids" and "*" in each.get("Values", ()) for each in targets)
        for node_id in location.nodes if everyone else resolve(location, targets):
            found.setdefault(node_id, []).append(association.name)
    return found


def properties(location: Location, node: Node) -> dict[str, Any]:
    """What DescribeInstanceProperties says: the information, and what EC2 says of the instance.

    Here Name and IPAddress are EC2's, the tag and the public address (so the model documents).
    """
    known = information(location, node)
    known.pop("IPAddress", None)
    known["Name"] = node.name if node.hybrid else location.tags(node.node_id).get("Name", "")
    known["InstanceRole"] = "" if node.hybrid else role_name(node)
    instance = None if node.hybrid else location.ec2_instance(node.node_id)
    return known if instance is None else known | _ec2_properties(instance)


def _ec2_properties(instance: Any) -> dict[str, Any]:
    launched: datetime = instance.launch_time
    found = {
        "InstanceType": instance.instance_type,
        "KeyName": instance.key_name or "",
        "InstanceState": instance._state.name,
        "Architecture": instance.architecture,
        "LaunchTime": launched if launched.tzinfo else launched.replace(tzinfo=UTC),
        "AvailabilityZone": instance.availability_zone,
    }
    public = instance.public_ip
    return {**found, "IPAddress": public} if public else found


def _heartbeat(node: Node, at: datetime) -> datetime:
    """The last heartbeat at or before `at`. Agents do not all report at once: each has its own second."""
    seconds = int(at.timestamp())
    phase = zlib.crc32(node.node_id.encode()) % HEARTBEAT_SECONDS
    last = datetime.fromtimestamp(seconds - (seconds - phase) % HEARTBEAT_SECONDS, UTC)
    return max(last, min(node.booted_at, at))
