"""Managed nodes: the operations that describe them, and those that administer hybrid ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.ssm.base import SSMOperations, error
from lab.ssm.node_facts import associated_documents, information, is_latest, properties
from lab.ssm.node_filters import INFORMATION_KEYS, PENDING, PROPERTY_KEYS, NodeFilters, is_tag
from lab.ssm.selection import select
from lab.world import Node


class NodeOperations(SSMOperations):
    """DescribeInstanceInformation, DescribeInstanceProperties, GetConnectionStatus and the like."""

    def describe_instance_information(self) -> dict[str, Any]:
        """The managed nodes that are on; stopped and terminated ones are left out (so the model documents)."""
        location = self.location
        old, new = self.params.get("InstanceInformationFilterList"), self.params.get("Filters")
        if old and new:
            raise error("ValidationException", "Specify either InstanceInformationFilterList or Filters, not both.")
        given = [(each["key"], "Equal", each["valueSet"]) for each in old or []]
        given += [(each["Key"], "Equal", each["Values"]) for each in new or []]
        if len({is_tag(key) for key, _, _ in given}) > 1:
            raise error("InvalidFilterKey", "Tag filters can't be combined with other filter types.")
        filters = NodeFilters(location, given, INFORMATION_KEYS, "InvalidInstanceInformationFilterValue")

        def wanted(node: Node) -> bool:
            return node.registered and filters.match(node) and location.running(node)

        page, more = select(self, _or_all(filters, location.nodes), wanted, default=10)
        documents = associated_documents(location)
        shown = [
            {**information(location, node), "IsLatestVersion": is_latest(node), **_associations(node, documents)}
            for node in page
        ]
        return {"InstanceInformationList": shown, **more}

    def describe_instance_properties(self) -> dict[str, Any]:
        """The managed nodes with what EC2 says of them; unlike the operation above, stopped ones too."""
        location = self.location
        given = [(each["key"], "Equal", each["valueSet"]) for each in self.params.get("InstancePropertyFilterList", [])]
        given += [
            (each["Key"], each.get("Operator", "Equal"), each["Values"])
            for each in self.params.get("FiltersWithOperator", [])
        ]
        filters = NodeFilters(location, given, PROPERTY_KEYS, "InvalidInstancePropertyFilterValue")

        def wanted(node: Node) -> bool:
            return node.registered and filters.match(node)

        page, more = select(self, _or_all(filters, location.nodes), wanted, default=50, at_most=1000)
        documents = associated_documents(location)
        return {
            "InstanceProperties": [properties(location, node) | _associations(node, documents) for node in page],
            **more,
        }

    def get_connection_status(self) -> dict[str, Any]:
        """Whether a session could be opened; for what Systems Manager does not know it could not."""
        target = self.params["Target"]
        node = self.location.nodes.get(target)
        connected = node is not None and node.registered and self.location.reachable(node)
        return {"Target": target, "Status": "connected" if connected else "notconnected"}

    def deregister_managed_instance(self) -> dict[str, Any]:
        """Forget a hybrid node and all that was kept of it."""
        node_id = self._hybrid_node().node_id
        for kept in (self.location.nodes, self.location.hybrid_tags, self.location.inventory, self.location.compliance):
            kept.pop(node_id, None)
        return {}

    def update_managed_instance_role(self) -> dict[str, Any]:
        """Give a hybrid node another role."""
        self._hybrid_node().profile = self.params["IamRole"]
        return {}

    def _hybrid_node(self) -> Node:
        node = self.location.nodes.get(self.params["InstanceId"])
        if node is None or not node.hybrid:
            raise error("InvalidInstanceId", f"{self.params['InstanceId']} isn't a registered hybrid node.")
        return node


def _or_all(filters: NodeFilters, nodes: Mapping[str, Node]) -> Sequence[Node]:
    found = filters.candidates()
    return list(nodes.values()) if found is None else found


def _associations(node: Node, documents: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    count = len(documents.get(node.node_id, ()))
    if not count:
        return {}
    overview = {"DetailedStatus": PENDING, "InstanceAssociationStatusAggregatedCount": {PENDING: count}}
    return {"AssociationStatus": PENDING, "AssociationOverview": overview}
