"""What a Windows baseline makes of each update: approved, to be approved, or listed (EffectivePatch).

The evaluation that nodes use is asked, once with the rules alone and once with each list alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lab.evaluate import Row, WindowsPatch, evaluate

FAR = datetime(9999, 1, 1, tzinfo=UTC)
"""When every approval delay has passed."""

Status = dict[str, Any]


def effective_patches(
    patches: Sequence[WindowsPatch], body: Mapping[str, Any], now: datetime
) -> list[tuple[WindowsPatch, Status]]:
    """The updates that a Windows baseline (`body`) approves, will approve or rejects, with their PatchStatus."""
    by_product: dict[str, list[WindowsPatch]] = {}
    for patch in patches:
        by_product.setdefault(patch.product, []).append(patch)
    found = []
    for name, group in by_product.items():
        statuses = {**_by_rules(name, group, body, now), **dict(_by_lists(name, group, body, now))}
        found += [(patch, statuses[patch.kb]) for patch in group if patch.kb in statuses]
    return found


def _by_rules(
    product: str, patches: Sequence[WindowsPatch], body: Mapping[str, Any], now: datetime
) -> dict[str, Status]:
    released = {patch.kb: patch.released for patch in patches}
    rules = body["ApprovalRules"]["PatchRules"]
    statuses: dict[str, Status] = {}
    for days in sorted({rule.get("ApproveAfterDays", 0) for rule in rules}, reverse=True):
        # Rules of this delay or less, when every delay has passed: the least delay that approves a patch stands last.
        quick = [rule for rule in rules if rule.get("ApproveAfterDays", 0) <= days]
        for row in _matched(product, FAR, patches, {**body, "ApprovalRules": {"PatchRules": quick}}):
            approved = released[row.id] + timedelta(days=days)
            statuses[row.id] = {
                "DeploymentStatus": "APPROVED" if approved < now else "PENDING_APPROVAL",
                "ComplianceLevel": row.compliance,
                "ApprovalDate": approved,
            }
    for row in _matched(product, now, patches, body):
        # By now a rule with a longer delay and a higher level may approve it as well.
        statuses[row.id]["ComplianceLevel"] = row.compliance
    return statuses


def _matched(product: str, when: datetime, patches: Sequence[WindowsPatch], body: Mapping[str, Any]) -> Iterator[Row]:
    rows = evaluate("WINDOWS", product, when, {**body, "ApprovedPatches": []}, None, patches)
    return (row for row in rows if row.matched)


def _by_lists(
    product: str, patches: Sequence[WindowsPatch], body: Mapping[str, Any], now: datetime
) -> Iterator[tuple[str, Status]]:
    for row in evaluate("WINDOWS", product, now, {**body, "ApprovalRules": {"PatchRules": []}}, None, patches):
        if row.matched:
            yield row.id, {"DeploymentStatus": "EXPLICIT_APPROVED", "ComplianceLevel": row.compliance}
    # Only of an installed patch does an evaluation say that it is rejected.
    installed = [replace(patch, installed=True) for patch in patches]
    for row in evaluate("WINDOWS", product, now, {**body, "RejectedPatchesAction": "BLOCK"}, None, installed):
        if row.state == "INSTALLED_REJECTED":
            yield row.id, {"DeploymentStatus": "EXPLICIT_REJECTED", "ComplianceLevel": "UNSPECIFIED"}
