"""The release tag of nodes: put on for a wave that is too large for ids, taken off when the release closes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence

from sluice.aws.nodes import INSTANCES, MANAGED_INSTANCES
from sluice.aws.permissions import Where, calls
from sluice.aws.session import Connection
from sluice.core.policy.objects import RELEASE_TAG

RELEASE_TAG_ALONE: tuple[Where, ...] = ("groups", "release tag")


AT_ONCE = 200
"""Nodes in one call: CreateTags takes 1,000, and AWS recommends smaller batches (EC2 API: CreateTags)."""


def put(connection: Connection, nodes: Collection[str], value: str) -> None:
    """Give nodes the release tag; what it was is replaced. Twice is as good as once."""
    instances = sorted(node for node in nodes if not node.startswith("mi-"))
    for first in range(0, len(instances), AT_ONCE):
        _tag_instances(connection, instances[first : first + AT_ONCE], value)
    for node in sorted(set(nodes) - set(instances)):
        _tag_machine(connection, node, value)


def carriers(connection: Connection, value: str) -> dict[str, str]:
    """The nodes whose release tag has a value, in which `*` and `?` may stand for others; values by node. All pages.

    Hybrid machines are among them when Systems Manager shows them: it takes no patterns, so only for one value.
    """
    found = dict(_tagged_instances(connection, value))
    if not set("*?") & set(value):
        found |= dict.fromkeys(_tagged_machines(connection, value), value)
    return found


def clear(
    connection: Connection,
    release: str,
    machines: Collection[str] = (),
    stale: Callable[[str], bool] = lambda value: True,
) -> int:
    """Take a release's tag off all nodes that carry it; how many there were.

    `release` may hold `?` for characters that are not known. `machines` are the hybrid ones that may have it, as no
    call finds them by a pattern. `stale` says of a value whether it goes. A tag that has become another release's
    stays.
    """
    by_value: dict[str, list[str]] = defaultdict(list)
    for node, value in _tagged_instances(connection, f"{release}/*"):
        if stale(value):
            by_value[value].append(node)
    for value, nodes in sorted(by_value.items()):
        for first in range(0, len(nodes), AT_ONCE):
            _untag_instances(connection, nodes[first : first + AT_ONCE], value)
    tagged = [node for node in machines if _value_on_machine(connection, node).startswith(f"{release}/")]
    for node in tagged:
        _untag_machine(connection, node)
    return sum(map(len, by_value.values())) + len(tagged)


@calls("ec2:CreateTags", resources=INSTANCES, where=RELEASE_TAG_ALONE)
def _tag_instances(connection: Connection, nodes: Sequence[str], value: str) -> None:
    connection.call("ec2", "CreateTags", Resources=list(nodes), Tags=[{"Key": RELEASE_TAG, "Value": value}])


@calls("ssm:AddTagsToResource", resources=MANAGED_INSTANCES, where=RELEASE_TAG_ALONE)
def _tag_machine(connection: Connection, node: str, value: str) -> None:
    tags = [{"Key": RELEASE_TAG, "Value": value}]
    connection.call("ssm", "AddTagsToResource", ResourceType="ManagedInstance", ResourceId=node, Tags=tags)


@calls("ec2:DeleteTags", resources=INSTANCES, where=RELEASE_TAG_ALONE)
def _untag_instances(connection: Connection, nodes: Sequence[str], value: str) -> None:
    """EC2 deletes the tag only where it has this value (EC2 API: DeleteTags)."""
    connection.call("ec2", "DeleteTags", Resources=list(nodes), Tags=[{"Key": RELEASE_TAG, "Value": value}])


@calls("ssm:ListTagsForResource", resources=MANAGED_INSTANCES)
def _value_on_machine(connection: Connection, node: str) -> str:
    """The value of a hybrid machine's release tag; empty without one."""
    answer = connection.need("ssm", "ListTagsForResource", "TagList", ResourceType="ManagedInstance", ResourceId=node)
    return next((tag["Value"] for tag in answer["TagList"] if tag["Key"] == RELEASE_TAG), "")


@calls("ssm:RemoveTagsFromResource", resources=MANAGED_INSTANCES, where=RELEASE_TAG_ALONE)
def _untag_machine(connection: Connection, node: str) -> None:
    connection.call(
        "ssm", "RemoveTagsFromResource", ResourceType="ManagedInstance", ResourceId=node, TagKeys=[RELEASE_TAG]
    )


@calls("ec2:DescribeTags")
def _tagged_instances(connection: Connection, value: str) -> Iterator[tuple[str, str]]:
    filters = [
        {"Name": "resource-type", "Values": ["instance"]},
        {"Name": "key", "Values": [RELEASE_TAG]},
        {"Name": "value", "Values": [value]},
    ]
    for tag in connection.pages("ec2", "DescribeTags", "Tags", Filters=filters, MaxResults=1000):
        yield tag["ResourceId"], tag["Value"]


@calls("ssm:DescribeInstanceInformation")
def _tagged_machines(connection: Connection, value: str) -> Iterator[str]:
    filters = [{"Key": f"tag:{RELEASE_TAG}", "Values": [value]}]
    for one in connection.pages(
        "ssm", "DescribeInstanceInformation", "InstanceInformationList", Filters=filters, MaxResults=50
    ):
        if one["InstanceId"].startswith("mi-"):
            yield one["InstanceId"]
