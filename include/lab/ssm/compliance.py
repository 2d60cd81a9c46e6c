"""Compliance: what each resource's items are, how resources stand, and one's own items."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from lab.clock import stamp
from lab.ssm.base import SSMOperations, error
from lab.ssm.compliance_records import (
    PATCH,
    RESOURCE_TYPE,
    PutRecord,
    Record,
    overall_severity,
    records,
    shown_summaries,
    status,
)
from lab.ssm.inventory_query import InventoryQuery
from lab.ssm.selection import compare, select_from
from lab.world import Node

MAX_CUSTOM_TYPES = 10
"""Custom compliance types an account and Region (ComplianceTypeCountLimitExceededException's documentation)."""
_TYPES_A_NODE = MAX_CUSTOM_TYPES + 2
"""The custom ones, Association and Patch."""
MAX_ITEM_BYTES = 200 * 1024
MAX_CALL_BYTES = 1024 * 1024
"""As for inventory, which compliance is part of."""


class ComplianceOperations(SSMOperations):
    """ListComplianceItems, ListComplianceSummaries, ListResourceComplianceSummaries and PutComplianceItems."""

    def list_compliance_items(self) -> dict[str, Any]:
        """The items of one resource, of all types."""
        self._check_compliance_resource_types(self.params.get("ResourceTypes", []))
        asked = self.params.get("ResourceIds", [])
        if len(asked) != 1:
            raise error("InvalidResourceId", f"Specify one resource ID, not {len(asked)}.")
        self._check_compliance_resource(asked[0])
        conditions = [_condition(each, _ITEM_KEYS) for each in self.params.get("Filters", [])]
        items = [_item(record, each) for record in records(self.location, asked[0]) for each in record.items]
        found = [item for item in items if all(condition(item) for condition in conditions)]
        page, more = self.page(found, default=50)
        return {"ComplianceItems": page, **more}

    def list_compliance_summaries(self) -> dict[str, Any]:
        """For each type, how many resources are compliant, by the highest severity that each of them has."""
        wanted = self._compliance_condition()
        counted: dict[str, Counter[tuple[str, str]]] = {}
        for _, record in self._compliance_from(0):
            if wanted(record):
                summary = record.summary
                counted.setdefault(record.compliance_type, Counter())[status(summary), overall_severity(summary)] += 1
        shown = [{"ComplianceType": name, **shown_summaries(counted[name])} for name in sorted(counted)]
        page, more = self.page(shown, default=50)
        return {"ComplianceSummaryItems": page, **more}

    def list_resource_compliance_summaries(self) -> dict[str, Any]:
        """For each resource and type, how many of its items are compliant."""
        page, more = select_from(self, self._compliance_from, self._compliance_condition(), default=50)
        return {"ResourceComplianceSummaryItems": [_resource_summary(record) for record in page], **more}

    def put_compliance_items(self) -> dict[str, Any]:
        """Keep a resource's items of a type, in the place of those before.

        PARTIAL, which is for associations only, replaces the items with the same ids and leaves the others.
        A content hash that is kept already means that nothing has changed, and nothing does.
        """
        resource_id, name = self.params["ResourceId"], self.params["ComplianceType"]
        self._check_compliance_resource_types([self.params["ResourceType"]])
        self._check_compliance_resource(resource_id)
        items: list[dict[str, Any]] = self.params["Items"]
        self._check_compliance_items(name, items)
        kept: dict[str, PutRecord] = self.location.compliance.get(resource_id, {})
        before = kept.get(name)
        content_hash = self.params.get("ItemContentHash")
        if content_hash is not None and before is not None and before.content_hash == content_hash:
            return {}
        if self.params.get("UploadType") == "PARTIAL":
            items = self._merged_compliance(name, before, items)
        self._check_compliance_types(name)
        record = PutRecord(resource_id, name, self.params["ExecutionSummary"], items, self.now(), content_hash)
        self.location.compliance.setdefault(resource_id, {})[name] = record
        return {}

    def _compliance_from(self, start: int) -> Iterator[tuple[int, Record]]:
        """The records of all nodes from a number on; each node has as many numbers as it may have types."""
        place = start // _TYPES_A_NODE
        for index, resource_id in enumerate(islice(self.location.nodes, place, None), place):
            for number, record in enumerate(records(self.location, resource_id), index * _TYPES_A_NODE):
                if number >= start:
                    yield number, record

    def _compliance_condition(self) -> Callable[[Record], bool]:
        """What the request's filters want of a record; inventory attributes are looked up at the node."""
        given = self.params.get("Filters", [])
        on_inventory = [each for each in given if ":" in each.get("Key", "")]
        on_record = [_condition(each, _RECORD_KEYS) for each in given if each not in on_inventory]
        query = InventoryQuery(self.location).condition([_inventory_filter(each) for each in on_inventory])
        nodes: Mapping[str, Node] = self.location.nodes

        def matches(record: Record) -> bool:
            if on_record:
                summary = _resource_summary(record)
                if not all(condition(summary) for condition in on_record):
                    return False
            return not on_inventory or query(nodes[record.resource_id])

        return matches

    def _check_compliance_resource_types(self, types: Sequence[str]) -> None:
        if any(each != RESOURCE_TYPE for each in types):
            raise error("InvalidResourceType", f"{RESOURCE_TYPE} is the only supported resource type.")

    def _check_compliance_resource(self, resource_id: str) -> None:
        if resource_id not in self.location.nodes:
            raise error("InvalidResourceId", f"The resource ID {resource_id} isn't a managed node.")

    def _check_compliance_items(self, name: str, items: Sequence[Mapping[str, Any]]) -> None:
        if name not in ("Association", PATCH) and not name.startswith("Custom:"):
            raise error("InvalidItemContentException", f"{name} isn't Association, Patch or Custom: and a name.")
        ids = [each["Id"] for each in items if "Id" in each]
        if len(ids) != len(items) or len(set(ids)) != len(ids):
            raise error("InvalidItemContentException", "Each item must have an Id, and each Id may occur only once.")
        if any(len(json.dumps(each)) > MAX_ITEM_BYTES for each in items):
            raise error("ItemSizeLimitExceededException", f"An item of {name} has more than {MAX_ITEM_BYTES} bytes.")
        if len(json.dumps(items)) > MAX_CALL_BYTES:
            raise error("TotalSizeLimitExceededException", f"The items have more than {MAX_CALL_BYTES} bytes.")

    def _merged_compliance(
        self, name: str, before: PutRecord | None, items: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        if name != "Association":
            raise error("InvalidItemContentException", "The upload type PARTIAL is only valid for associations.")
        kept = {} if before is None else {each["Id"]: each for each in before.items}
        return list((kept | {each["Id"]: each for each in items}).values())

    def _check_compliance_types(self, name: str) -> None:
        names = {each for kept in self.location.compliance.values() for each in kept} | {name}
        custom = [each for each in names if each.startswith("Custom:")]
        if len(custom) > MAX_CUSTOM_TYPES:
            raise error(
                "ComplianceTypeCountLimitExceededException",
                f"There can be {MAX_CUSTOM_TYPES} custom compliance types in an account and Region.",
            )


def _item(record: Record, item: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "ComplianceType": record.compliance_type,
        "ResourceType": RESOURCE_TYPE,
        "ResourceId": record.resource_id,
        **item,
        "ExecutionSummary": record.execution,
    }


def _resource_summary(record: Record) -> dict[str, Any]:
    summary = record.summary
    return {
        "ComplianceType": record.compliance_type,
        "ResourceType": RESOURCE_TYPE,
        "ResourceId": record.resource_id,
        "Status": status(summary),
        "OverallSeverity": overall_severity(summary),
        "ExecutionSummary": record.execution,
        **shown_summaries(summary),
    }


_EXECUTION_KEYS = frozenset({"ExecutionId", "ExecutionTime", "ExecutionType"})
_RECORD_KEYS = _EXECUTION_KEYS | {
    "ComplianceType",
    "InstanceId",
    "OverallSeverity",
    "ResourceId",
    "ResourceType",
    "Status",
}
_DETAIL_KEYS = frozenset(
    {
        "Classification",
        "CVEIds",
        "DocumentName",
        "DocumentVersion",
        "InstallOverrideList",
        "InstalledTime",
        "PatchBaselineId",
        "PatchGroup",
        "PatchSeverity",
        "PatchState",
    }
)
_ITEM_KEYS = _EXECUTION_KEYS | _DETAIL_KEYS | {"ComplianceType", "Id", "Severity", "Status", "Title"}


def _condition(wanted: Mapping[str, Any], allowed: frozenset[str]) -> Callable[[Mapping[str, Any]], bool]:
    key, values = wanted.get("Key", ""), wanted.get("Values")
    if key not in allowed or not values:
        raise error("InvalidFilter", f"The filter {key} isn't valid. Use one of {sorted(allowed)} with values.")
    operator = wanted.get("Type", "EQUAL")
    return lambda shown: compare(operator, _text(shown, key), values)


def _text(shown: Mapping[str, Any], key: str) -> str:
    if key in _EXECUTION_KEYS:
        found = shown["ExecutionSummary"].get(key, "")
    elif key in _DETAIL_KEYS:
        found = shown.get("Details", {}).get(key, "")
    else:
        found = shown.get("ResourceId" if key == "InstanceId" else key, "")
    return stamp(found) if isinstance(found, datetime) else str(found)


_INVENTORY_OPERATORS = {
    "EQUAL": "Equal",
    "NOT_EQUAL": "NotEqual",
    "BEGIN_WITH": "BeginWith",
    "LESS_THAN": "LessThan",
    "GREATER_THAN": "GreaterThan",
}


def _inventory_filter(given: Mapping[str, Any]) -> dict[str, Any]:
    if not given.get("Values"):
        raise error("InvalidFilter", f"The filter {given['Key']} needs values.")
    operator = _INVENTORY_OPERATORS[given.get("Type", "EQUAL")]
    return {"Key": given["Key"], "Values": given["Values"], "Type": operator}
