"""Inventory: reading what nodes report and callers put, and putting and deleting one's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lab.clock import stamp
from lab.ssm.base import SSMOperations, error
from lab.ssm.inventory_items import REPORTED, InventoryItem, item
from lab.ssm.inventory_query import InventoryQuery, custom_attributes, fits
from lab.ssm.inventory_types import AWS_TYPES, InventoryType
from lab.ssm.selection import select
from lab.world import Node

DEFAULT_TYPE = "AWS:InstanceInformation"
MAX_CUSTOM_TYPES = 20
MAX_CUSTOM_BYTES = 200 * 1024
MAX_CALL_BYTES = 1024 * 1024
"""Quotas of Systems Manager (page Q of the facts): custom types an account and Region, bytes of one, bytes a call."""


class InventoryOperations(SSMOperations):
    """GetInventory, GetInventorySchema, ListInventoryEntries, PutInventory and DeleteInventory."""

    def get_inventory(self) -> dict[str, Any]:
        """Nodes, running or not, with their inventory of one type; or counts of them."""
        query = InventoryQuery(self.location)
        wanted = query.condition(self.params.get("Filters", []))
        if aggregators := self.params.get("Aggregators"):
            return {"Entities": [query.aggregate(aggregators, wanted)]}
        attributes = self.params.get("ResultAttributes")
        type_name = attributes[0]["TypeName"] if attributes else DEFAULT_TYPE
        if type_name not in AWS_TYPES and type_name not in query.custom:
            raise error("InvalidResultAttributeException", f"{type_name} isn't an inventory type.")
        page, more = select(self, self.location.nodes.values(), wanted, default=50)
        return {"Entities": [self._inventory_entity(node, type_name) for node in page], **more}

    def get_inventory_schema(self) -> dict[str, Any]:
        """The types there are, AWS's and one's own, with their attributes."""
        schemas = [_schema(each) for each in AWS_TYPES.values()]
        schemas += [
            _schema(InventoryType(name, self._inventory_version(name), attributes))
            for name, attributes in custom_attributes(self.location).items()
            if attributes
        ]
        if self.params.get("Aggregator"):
            schemas = [_aggregated(each) for each in AWS_TYPES.values() if each.aggregated]
        if self.params.get("SubType"):
            schemas = []
        if type_name := self.params.get("TypeName"):
            known = {*AWS_TYPES, *custom_attributes(self.location)}
            if type_name not in known:
                raise error("InvalidTypeNameException", f"{type_name} isn't an inventory type.")
            schemas = [schema for schema in schemas if schema["TypeName"] == type_name]
        page, more = self.page(schemas, default=50, at_most=200)
        return {"Schemas": page, **more}

    def list_inventory_entries(self) -> dict[str, Any]:
        """A node's entries of one type; none when it never reported any, or too long ago."""
        node, type_name = self._inventory_node(), self.params["TypeName"]
        custom = custom_attributes(self.location)
        if type_name not in AWS_TYPES and type_name not in custom:
            raise error("InvalidTypeNameException", f"{type_name} isn't an inventory type.")
        allowed = AWS_TYPES[type_name].attributes if type_name in AWS_TYPES else custom[type_name]
        found = item(self.location, node, type_name)
        answer: dict[str, Any] = {"TypeName": type_name, "InstanceId": node.node_id}
        if found is not None:
            answer |= {"SchemaVersion": found.version, "CaptureTime": stamp(found.captured)}
        filters = self.params.get("Filters", [])
        entries = [] if found is None else [each for each in found.entries if fits(each, filters, type_name, allowed)]
        page, more = self.page(entries, default=50)
        return {**answer, "Entries": page, **more}

    def put_inventory(self) -> dict[str, Any]:
        """Keep items of custom types, or of AWS's types that the lab's agents don't report themselves.

        All items are checked before any is kept.
        """
        node = self._inventory_node()
        items: list[dict[str, Any]] = self.params["Items"]
        names = [each["TypeName"] for each in items]
        if len(set(names)) != len(names):
            raise error("InvalidItemContentException", "An inventory type may occur only once in a request.")
        if len(json.dumps(items)) > MAX_CALL_BYTES:
            raise error("TotalSizeLimitExceededException", f"The items have more than {MAX_CALL_BYTES} bytes.")
        self._check_inventory_types(names)
        kept = {each["TypeName"]: self._checked_inventory(node, each) for each in items}
        self.location.inventory.setdefault(node.node_id, {}).update(kept)
        return {}

    def delete_inventory(self) -> dict[str, Any]:
        """Delete a custom type's data on all nodes. The lab does so at once, and forgets the type with it."""
        return self.once(self._delete_inventory, "InvalidDeleteInventoryParametersException")

    def _delete_inventory(self) -> dict[str, Any]:
        name = self.params["TypeName"]
        if not name.startswith("Custom:") or name not in custom_attributes(self.location):
            raise error("InvalidTypeNameException", f"{name} isn't a custom inventory type.")
        if self.params.get("SchemaDeleteOption") == "DisableSchema":
            raise error("InvalidOptionException", "The lab can't disable a schema; DeleteSchema, or no option, it can.")
        holders = [types for types in self.location.inventory.values() if name in types]
        versions: dict[str, int] = {}
        for types in holders:
            versions[types[name].version] = versions.get(types[name].version, 0) + 1
            if not self.params.get("DryRun"):
                del types[name]
        left = len(holders) if self.params.get("DryRun") else 0
        summary = [
            {"Version": version, "Count": count, "RemainingCount": count if left else 0}
            for version, count in sorted(versions.items())
        ]
        return {
            "DeletionId": self.lab.guid(),
            "TypeName": name,
            "DeletionSummary": {"TotalCount": len(holders), "RemainingCount": left, "SummaryItems": summary},
        }

    def _inventory_entity(self, node: Node, type_name: str) -> dict[str, Any]:
        found = item(self.location, node, type_name)
        if found is None:
            return {"Id": node.node_id, "Data": {}}
        shown: dict[str, Any] = {
            "TypeName": type_name,
            "SchemaVersion": found.version,
            "CaptureTime": stamp(found.captured),
            "Content": list(found.entries),
        }
        if found.content_hash:
            shown["ContentHash"] = found.content_hash
        return {"Id": node.node_id, "Data": {type_name: shown}}

    def _inventory_node(self) -> Node:
        node = self.location.nodes.get(self.params["InstanceId"])
        if node is None:
            raise error("InvalidInstanceId", f"The instance ID {self.params['InstanceId']} isn't a managed node.")
        return node

    def _inventory_version(self, name: str) -> str:
        versions: set[str] = {types[name].version for types in self.location.inventory.values() if name in types}
        return max(versions, key=_version_key)

    def _check_inventory_types(self, names: list[str]) -> None:
        custom = {name for name in names if name.startswith("Custom:")} | custom_attributes(self.location).keys()
        if len(custom) > MAX_CUSTOM_TYPES:
            raise error(
                "CustomSchemaCountLimitExceededException",
                f"There can be {MAX_CUSTOM_TYPES} custom inventory types in an account and Region, not {len(custom)}.",
            )

    def _checked_inventory(self, node: Node, given: Mapping[str, Any]) -> InventoryItem:
        name, version = given["TypeName"], given["SchemaVersion"]
        if given.get("Context"):
            raise error("UnsupportedInventoryItemContextException", f"{name} takes no Context.")
        if not name.startswith("Custom:"):
            self._check_aws_inventory(name, version)
        captured = _capture_time(given["CaptureTime"])
        before: InventoryItem | None = self.location.inventory.get(node.node_id, {}).get(name)
        content, content_hash = given.get("Content"), given.get("ContentHash")
        if content is None:
            # A hash without content says that nothing has changed since.
            if before is None or content_hash is None or before.content_hash != content_hash:
                raise error("ItemContentMismatchException", f"{name}: the content hash matches nothing that is kept.")
            return InventoryItem(version, captured, before.entries, content_hash)
        self._check_inventory_content(name, content)
        return InventoryItem(version, captured, tuple(content), content_hash)

    def _check_aws_inventory(self, name: str, version: str) -> None:
        if name not in AWS_TYPES or name in REPORTED:
            raise error(
                "InvalidTypeNameException", f"{name} can't be put: it is unknown or reported by the lab's agents."
            )
        if version != AWS_TYPES[name].version:
            raise error(
                "UnsupportedInventorySchemaVersionException",
                f"{name} has the schema version {AWS_TYPES[name].version}, not {version}.",
            )

    def _check_inventory_content(self, name: str, content: list[dict[str, str]]) -> None:
        if name in AWS_TYPES:
            unknown = sorted({key for entry in content for key in entry} - set(AWS_TYPES[name].attributes))
            if unknown:
                raise error("InvalidItemContentException", f"{name} has no attributes {unknown}.")
        elif len(json.dumps(content)) > MAX_CUSTOM_BYTES:
            raise error("ItemSizeLimitExceededException", f"{name} has more than {MAX_CUSTOM_BYTES} bytes.")


def _capture_time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as problem:
        # The model's pattern lets 30 February pass.
        raise error("InvalidItemContentException", f"CaptureTime {text} is no time: {problem}.") from problem


def _schema(each: InventoryType) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "TypeName": each.name,
        "Version": each.version,
        "Attributes": [
            {"Name": name, "DataType": "number" if name in each.numbers else "string"} for name in each.attributes
        ],
    }
    return {**shown, "DisplayName": each.display_name} if each.display_name else shown


def _aggregated(each: InventoryType) -> dict[str, Any]:
    schema = _schema(each)
    schema["Attributes"] = [shown for shown in schema["Attributes"] if shown["Name"] in each.aggregated]
    return schema


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
