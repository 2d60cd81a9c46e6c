"""Nodes: what EC2 and Systems Manager know of each, joined."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.core.node import Agent, Node

LIVING = ("pending", "running", "stopping", "stopped")
"""States of instances that are not on their way out."""

IDS_AT_ONCE = 50
"""Ids in a filter: B:InstanceInformationStringFilter takes 100 values, half of that is asked for."""

INSTANCES = "arn:{partition}:ec2:{region}:{account}:instance/*"
MANAGED_INSTANCES = "arn:{partition}:ssm:{region}:{account}:managed-instance/*"
NODES = (INSTANCES, MANAGED_INSTANCES)


def listed(connection: Connection) -> list[Node]:
    """Every instance that is not terminated and every hybrid machine, with its agent. All pages of both."""
    agents = {one["InstanceId"]: one for one in _information(connection)}
    nodes = [_instance(one, agents.pop(one["InstanceId"], None)) for one in _instances(connection)]
    hybrid = (one for node_id, one in sorted(agents.items()) if node_id.startswith("mi-"))
    return [*nodes, *(_machine(connection, one) for one in hybrid)]


@calls("ec2:DescribeInstances")
def _instances(connection: Connection) -> Iterator[dict[str, Any]]:
    living = [{"Name": "instance-state-name", "Values": list(LIVING)}]
    for reservation in connection.pages("ec2", "DescribeInstances", "Reservations", Filters=living, MaxResults=1000):
        yield from reservation["Instances"]


@calls("ssm:DescribeInstanceInformation")
def _information(connection: Connection) -> Iterator[dict[str, Any]]:
    """Agents, those of stopped instances omitted (B:DescribeInstanceInformation)."""
    return connection.pages("ssm", "DescribeInstanceInformation", "InstanceInformationList", MaxResults=50)


@calls("ssm:DescribeInstanceInformation")
def online(connection: Connection, ids: Collection[str]) -> Iterator[str]:
    """Those of the nodes whose agent is online."""
    wanted = sorted(ids)
    for first in range(0, len(wanted), IDS_AT_ONCE):
        filters = [{"Key": "InstanceIds", "Values": wanted[first : first + IDS_AT_ONCE]}]
        for one in connection.pages(
            "ssm", "DescribeInstanceInformation", "InstanceInformationList", Filters=filters, MaxResults=50
        ):
            if one["PingStatus"] == "Online":
                yield one["InstanceId"]


@calls("ssm:ListTagsForResource", resources=MANAGED_INSTANCES)
def _tags(connection: Connection, node_id: str) -> dict[str, str]:
    """Tags of a hybrid machine: no call answers those of many."""
    answer = connection.need(
        "ssm", "ListTagsForResource", "TagList", ResourceType="ManagedInstance", ResourceId=node_id
    )
    return _pairs(answer["TagList"])


def _instance(instance: Mapping[str, Any], agent: Mapping[str, Any] | None) -> Node:
    profile = instance.get("IamInstanceProfile", {}).get("Arn", "")
    return Node(
        id=instance["InstanceId"],
        tags=_pairs(instance.get("Tags", ())),
        state=instance["State"]["Name"],
        profile=profile.rpartition("/")[2] or None,
        agent=_agent(agent) if agent else None,
    )


def _machine(connection: Connection, agent: Mapping[str, Any]) -> Node:
    node_id = agent["InstanceId"]
    return Node(node_id, _tags(connection, node_id), "", agent.get("IamRole"), _agent(agent))


def _agent(one: Mapping[str, Any]) -> Agent:
    return Agent(
        version=one.get("AgentVersion", ""),
        latest=one.get("IsLatestVersion"),
        online=one["PingStatus"] == "Online",
        last_ping=one.get("LastPingDateTime"),
        platform_name=one.get("PlatformName", ""),
        platform_version=one.get("PlatformVersion", ""),
    )


def _pairs(tags: Any) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}
