"""Queries of the inventory: filters on attributes, counts of nodes by attribute, groups by existence.

How AWS counts is documented by example only (UG:inventory-aggregate): per combination of values the
number of nodes, values in small letters, all counts in one entity; groups count nodes that do and
don't have a type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from lab.ssm.base import error
from lab.ssm.inventory_items import Entry, item
from lab.ssm.inventory_types import AWS_TYPES
from lab.ssm.selection import compare
from lab.world import Location, Node

MAX_COUNTS = 10_000
"""Entries that the model allows in one answer."""

Condition = Callable[[Node], bool]


class InventoryQuery:
    """Answers filters and aggregators over one location's nodes."""

    def __init__(self, location: Location) -> None:
        self.location = location

    @cached_property
    def custom(self) -> Mapping[str, tuple[str, ...]]:
        """The custom types' attributes."""
        return custom_attributes(self.location)

    def condition(self, filters: Sequence[Mapping[str, Any]]) -> Condition:
        """Whether a node has what every filter wants; filters on one type want it in the same entry.

        Raises InvalidFilter for a key that is not `Type.Attribute`, and for Exists, which only groups know.
        """
        wanted: dict[str, list[tuple[str, str, list[str]]]] = {}
        for each in filters:
            operator = each.get("Type", "Equal")
            if operator == "Exists":
                raise error("InvalidFilter", "The Exists filter must be used with aggregators.")
            type_name, attribute = self._split(each["Key"], "InvalidFilter")
            wanted.setdefault(type_name, []).append((attribute, operator, each["Values"]))

        def matches(node: Node) -> bool:
            return node.registered and all(
                any(_fits(entry, clauses) for entry in self._entries(node, type_name))
                for type_name, clauses in wanted.items()
            )

        return matches

    def aggregate(self, aggregators: Sequence[Mapping[str, Any]], wanted: Condition) -> dict[str, Any]:
        """The one entity that answers aggregators over the nodes that are `wanted`.

        Raises InvalidAggregatorException for an expression that names no attribute to count by, and
        InvalidInventoryGroupException for a group whose filters are not about types that exist.
        """
        nodes = [node for node in self.location.nodes.values() if wanted(node)]
        data: dict[str, dict[str, Any]] = {}
        for aggregator in aggregators:
            if expression := aggregator.get("Expression"):
                type_name, _ = self._split(expression, "InvalidAggregatorException")
                self._add(data, type_name, type_name, self._count(aggregator, nodes))
                continue
            if not aggregator.get("Groups"):
                raise error("InvalidAggregatorException", "An aggregator needs an Expression or Groups.")
            for group in aggregator["Groups"]:
                types = [self._group_types(each) for each in group["Filters"]]
                self._add(data, group["Name"], types[0][0], self._exists(types, nodes))
        return {"Data": data}

    def _add(self, data: dict[str, dict[str, Any]], name: str, type_name: str, content: list[dict[str, str]]) -> None:
        version = AWS_TYPES[type_name].version if type_name in AWS_TYPES else "1.0"
        empty = {"TypeName": type_name, "SchemaVersion": version, "Content": []}
        data.setdefault(name, empty)["Content"] += content

    def _split(self, key: str, code: str) -> tuple[str, str]:
        type_name, _, attribute = key.rpartition(".")
        known = AWS_TYPES[type_name].attributes if type_name in AWS_TYPES else self.custom.get(type_name, ())
        if attribute not in known:
            raise error(code, f"{key} isn't an inventory type and one of its attributes, as AWS:Application.Name is.")
        return type_name, attribute

    def _entries(self, node: Node, type_name: str) -> Sequence[Entry]:
        found = item(self.location, node, type_name)
        return () if found is None else found.entries

    def _count(self, aggregator: Mapping[str, Any], nodes: Iterable[Node]) -> list[dict[str, str]]:
        paths = list(self._paths(aggregator))
        if len({len(path) for path in paths}) != 1:
            raise error("InvalidAggregatorException", "Nested aggregators must all be equally deep.")
        counted: Counter[tuple[tuple[str, str], ...]] = Counter()
        for node in nodes:
            counted.update({found for path in paths for found in self._combinations(node, path)})
        ordered = sorted(counted.items(), key=lambda each: (-each[1], each[0]))
        return [{"Count": str(count), **dict(values)} for values, count in ordered[:MAX_COUNTS]]

    def _paths(self, aggregator: Mapping[str, Any]) -> Iterator[list[tuple[str, str]]]:
        """Each way down through nested aggregators, as the attributes on it."""
        expression = aggregator.get("Expression")
        if not expression or aggregator.get("Groups"):
            raise error("InvalidAggregatorException", "Groups and expressions can't be combined in one aggregator.")
        here = self._split(expression, "InvalidAggregatorException")
        for nested in aggregator.get("Aggregators", []):
            for path in self._paths(nested):
                yield [here, *path]
        if not aggregator.get("Aggregators"):
            yield [here]

    def _combinations(self, node: Node, path: Sequence[tuple[str, str]]) -> set[tuple[tuple[str, str], ...]]:
        """The node's combinations of values; attributes of one type come from the same entry."""
        found: set[tuple[tuple[str, str], ...]] = {()}
        for type_name in dict.fromkeys(each for each, _ in path):
            attributes = [attribute for each, attribute in path if each == type_name]
            values = {
                tuple((name, entry.get(name, "").lower()) for name in attributes)
                for entry in self._entries(node, type_name)
            }
            found = {before + after for before in found for after in values}
        return found

    def _exists(self, wanted: Sequence[Sequence[str]], nodes: Sequence[Node]) -> list[dict[str, str]]:
        matching = sum(
            all(any(item(self.location, node, name) is not None for name in names) for names in wanted)
            for node in nodes
        )
        return [{"notMatchingCount": str(len(nodes) - matching)}, {"matchingCount": str(matching)}]

    def _group_types(self, wanted: Mapping[str, Any]) -> list[str]:
        if wanted["Key"] != "TypeName" or wanted.get("Type") != "Exists":
            raise error("InvalidInventoryGroupException", "A group's filters have Key=TypeName and Type=Exists.")
        unknown = [name for name in wanted["Values"] if name not in AWS_TYPES and name not in self.custom]
        if unknown:
            raise error("InvalidInventoryGroupException", f"Not inventory types: {unknown}.")
        return list(wanted["Values"])


def custom_attributes(location: Location) -> dict[str, tuple[str, ...]]:
    """The attributes of each custom type, as they have been put so far."""
    found: dict[str, dict[str, None]] = {}
    for types in location.inventory.values():
        for name, put in types.items():
            if name.startswith("Custom:"):
                names = found.setdefault(name, {})
                for entry in put.entries:
                    names.update(dict.fromkeys(entry))
    return {name: tuple(names) for name, names in sorted(found.items())}


def fits(entry: Entry, filters: Iterable[Mapping[str, Any]], type_name: str, allowed: Iterable[str]) -> bool:
    """Whether one entry is what ListInventoryEntries' filters want: keys with or without the type's name."""
    clauses = []
    for each in filters:
        attribute = each["Key"].removeprefix(f"{type_name}.")
        if attribute not in allowed or each.get("Type") == "Exists":
            raise error("InvalidFilter", f"{each['Key']} isn't an attribute of {type_name}.")
        clauses.append((attribute, each.get("Type", "Equal"), each["Values"]))
    return _fits(entry, clauses)


def _fits(entry: Entry, clauses: Iterable[tuple[str, str, Sequence[str]]]) -> bool:
    return all(compare(operator, entry.get(attribute, ""), values) for attribute, operator, values in clauses)
