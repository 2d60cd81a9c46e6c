"""Filters on managed nodes: DescribeInstanceInformation's, and DescribeInstanceProperties' with operators."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from lab.ssm.base import error
from lab.ssm.node_facts import associated_documents, ping_status, properties, resource_type, role_name, source_type
from lab.ssm.selection import compare
from lab.world import Location, Node

PENDING = "Pending"
"""Status of all State Manager associations: the lab keeps them and never runs one."""

Condition = Callable[[Node], bool]
Filter = tuple[str, str, Sequence[str]]
"""Key, operator and values."""

INFORMATION_KEYS = frozenset(
    {
        "ActivationIds",
        "AgentVersion",
        "AssociationStatus",
        "IamRole",
        "InstanceIds",
        "PingStatus",
        "PlatformTypes",
        "ResourceType",
        "SourceIds",
        "SourceTypes",
    }
)
"""Valid filter keys as the model documents them."""

PROPERTY_KEYS = INFORMATION_KEYS | {
    "Architecture",
    "AvailabilityZone",
    "ComputerName",
    "DocumentName",
    "IPAddress",
    "InstanceId",
    "InstanceRole",
    "InstanceState",
    "InstanceType",
    "KeyName",
    "Name",
    "PlatformName",
    "PlatformType",
    "PlatformVersion",
    "SourceId",
    "SourceType",
}
"""The above and the text members of InstanceProperty; AWS does not document which."""

_VALUES: Mapping[str, frozenset[str]] = {
    "AssociationStatus": frozenset({"Success", "Pending", "Failed"}),
    "PingStatus": frozenset({"Online", "ConnectionLost", "Inactive"}),
    "PlatformTypes": frozenset({"Windows", "Linux", "MacOS"}),
    "ResourceType": frozenset({"EC2Instance", "ManagedInstance"}),
}
_INSTANCE_ID = re.compile(r"(i-(\w{8}|\w{17}))|(mi-\w{17})")


class NodeFilters:
    """Filters of one request on the nodes of one location.

    Raises InvalidFilterKey for a key that is not among `keys`, `value_error` for a value that the key
    cannot have, InvalidInstanceId for an id that is neither a node nor an instance of the location.
    """

    def __init__(self, location: Location, filters: Sequence[Filter], keys: frozenset[str], value_error: str) -> None:
        self.location = location
        self.filters = filters
        self.keys = keys
        self.value_error = value_error
        self.conditions = [self._condition(*each) for each in filters]

    def match(self, node: Node) -> bool:
        """Whether the node is what every filter wants."""
        return all(condition(node) for condition in self.conditions)

    def candidates(self) -> Sequence[Node] | None:
        """The nodes that a filter by id names; None: there is no such filter."""
        nodes = self.location.nodes
        for key, operator, values in self.filters:
            if key == "InstanceIds" and operator == "Equal":
                return [nodes[node_id] for node_id in dict.fromkeys(values) if node_id in nodes]
        return None

    def _condition(self, key: str, operator: str, values: Sequence[str]) -> Condition:
        if is_tag(key):
            return self._tag_condition(key, operator, values)
        if key not in self.keys:
            raise error("InvalidFilterKey", f"The filter key {key} isn't valid.")
        if operator in ("Equal", "NotEqual"):
            for value in values:
                self._check(key, value)
        if key in ("AssociationStatus", "DocumentName"):
            return self._association_condition(key, operator, values)
        read = self._reader(key)
        if operator == "Equal":
            accepted = frozenset(values)
            return lambda node: read(node) in accepted
        return lambda node: (found := read(node)) is not None and compare(operator, found, values)

    def _tag_condition(self, key: str, operator: str, values: Sequence[str]) -> Condition:
        tags = self.location.tags
        if key == "tag-key":
            return lambda node: any(compare(operator, name, values) for name in tags(node.node_id))
        name, accepted = key.removeprefix("tag:"), frozenset(values)
        if operator == "Equal":
            return lambda node: tags(node.node_id).get(name) in accepted
        return lambda node: (found := tags(node.node_id).get(name)) is not None and compare(operator, found, values)

    def _association_condition(self, key: str, operator: str, values: Sequence[str]) -> Condition:
        documents = associated_documents(self.location)

        def matches(node: Node) -> bool:
            found = documents.get(node.node_id, [])
            facts = found if key == "DocumentName" else [PENDING] * bool(found)
            return any(compare(operator, fact, values) for fact in facts)

        return matches

    def _reader(self, key: str) -> Callable[[Node], str | None]:
        location = self.location
        own: Mapping[str, Callable[[Node], str | None]] = {
            "ActivationIds": lambda _node: None,  # the lab has no activations
            "AgentVersion": lambda node: node.agent_version,
            "IamRole": lambda node: role_name(node) if node.hybrid else None,
            "InstanceIds": lambda node: node.node_id,
            "PingStatus": lambda node: ping_status(location, node),
            "PlatformTypes": lambda node: location.lab.repositories.product(node.product).platform_type,
            "ResourceType": resource_type,
            "SourceIds": lambda node: node.node_id,
            "SourceTypes": source_type,
        }
        return own.get(key) or (lambda node: properties(location, node).get(key))

    def _check(self, key: str, value: str) -> None:
        if key == "InstanceIds":
            self._check_id(value)
        elif key in _VALUES and value not in _VALUES[key]:
            raise error(self.value_error, f"{value} isn't a value of {key}. Use one of {sorted(_VALUES[key])}.")

    def _check_id(self, node_id: str) -> None:
        """Refuse what is neither a node nor an instance; an instance may still register."""
        known = node_id in self.location.nodes
        if not known and (not _INSTANCE_ID.fullmatch(node_id) or self.location.ec2_instance(node_id) is None):
            raise error("InvalidInstanceId", f"The instance ID {node_id} isn't valid for this account and Region.")


def is_tag(key: str) -> bool:
    """Whether a filter's key is about tags."""
    return key == "tag-key" or key.startswith("tag:")
