"""Compliance as Systems Manager keeps it: per resource and type, a list of items and who reported them.

The type Patch comes from the node's last patch operation, everything else (State Manager associations
and custom types) from PutComplianceItems; a caller may put patch compliance too, until the next patch
operation overwrites it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

from lab.agent import NodeResult
from lab.ssm.inventory_items import patch_details
from lab.ssm.patches import LEVELS, patches, tally
from lab.world import Location

RESOURCE_TYPE = "ManagedInstance"
"""The only type of resource that has compliance."""
PATCH = "Patch"
STATUSES = ("COMPLIANT", "NON_COMPLIANT")

Summary = Mapping[tuple[str, str], int]
"""How many items there are by (status, compliance level)."""


class Record(Protocol):
    """One compliance type of one resource."""

    @property
    def resource_id(self) -> str:
        """The node's id."""

    @property
    def compliance_type(self) -> str:
        """Patch, Association, or Custom: and a name."""

    @property
    def execution(self) -> dict[str, Any]:
        """ComplianceExecutionSummary."""

    @property
    def summary(self) -> Summary:
        """The counts of its items."""

    @property
    def items(self) -> Sequence[dict[str, Any]]:
        """ComplianceItem without what all of a record share."""


@dataclass(slots=True)
class PutRecord:
    """What a caller put."""

    resource_id: str
    compliance_type: str
    execution: dict[str, Any]
    items: list[dict[str, Any]]
    put: datetime
    content_hash: str | None = None

    @property
    def summary(self) -> Summary:
        """The counts of its items."""
        return Counter((item["Status"], item["Severity"]) for item in self.items)


@dataclass(frozen=True)
class PatchRecord:
    """What a node's last patch operation reported."""

    resource_id: str
    result: NodeResult
    family: str
    compliance_type: str = PATCH

    @property
    def execution(self) -> dict[str, Any]:
        """The command that ran the operation, and when it began."""
        return {"ExecutionTime": self.result.started, "ExecutionId": self.result.command_id, "ExecutionType": "Command"}

    @property
    def summary(self) -> Summary:
        """The counts of its items; what is not applicable is neither compliant nor not."""
        counted = tally(self.result)
        return {(status, level): counted[(status, level)] for status in STATUSES for level in LEVELS}

    @cached_property
    def items(self) -> Sequence[dict[str, Any]]:
        """One for each patch that the node reported by name.

        What is not applicable has no Status: AWS documents an empty one, which its model does not allow.
        """
        return [
            {
                "Id": patch.patch_id,
                "Title": patch.title,
                **({"Status": patch.status} if patch.status else {}),
                "Severity": patch.level,
                "Details": patch_details(self.result, patch),
            }
            for patch in patches(self.result, self.family)
        ]


def records(location: Location, resource_id: str) -> list[Record]:
    """All compliance records of a resource, in order of their types."""
    found: dict[str, Record] = dict(location.compliance.get(resource_id, {}))
    node = location.nodes.get(resource_id)
    if node is not None and node.result is not None:
        put = found.get(PATCH)
        if not isinstance(put, PutRecord) or put.put < node.result.ended:
            family = location.lab.repositories.product(node.product).family
            found[PATCH] = PatchRecord(resource_id, node.result, family)
    return [found[name] for name in sorted(found)]


def status(summary: Summary) -> str:
    """A resource is compliant when all of its items are."""
    return "NON_COMPLIANT" if any(summary.get(("NON_COMPLIANT", level)) for level in LEVELS) else "COMPLIANT"


def overall_severity(summary: Summary) -> str:
    """The highest level among a resource's non-compliant items; of a compliant resource, among all of them."""
    decisive = status(summary)
    return next((level for level in LEVELS if summary.get((decisive, level))), "UNSPECIFIED")


def shown_summaries(summary: Summary) -> dict[str, Any]:
    """CompliantSummary and NonCompliantSummary."""
    return {
        "CompliantSummary": _shown(summary, "COMPLIANT", "CompliantCount"),
        "NonCompliantSummary": _shown(summary, "NON_COMPLIANT", "NonCompliantCount"),
    }


def _shown(summary: Summary, wanted: str, total: str) -> dict[str, Any]:
    by_level = {f"{level.title()}Count": summary.get((wanted, level), 0) for level in LEVELS}
    return {total: sum(by_level.values()), "SeveritySummary": by_level}
