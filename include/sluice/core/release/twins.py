"""Twins: a production node is patched only where a node like it passed before.

Like it is of the same OS product, as the policy lists it, and of the same role. Passed is: its last results are not
older than a patch may wait at most, and nothing that failed on it is still to be repaired.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sluice.core import ledger
from sluice.core.ledger import Demand
from sluice.core.os_product import covers
from sluice.core.policy.policy import Policy
from sluice.core.policy.slots import Slot
from sluice.core.release.manifest_build import demands
from sluice.core.release.terms import Expected, Plain, Reason
from sluice.core.sighted import Sighted


@dataclass(frozen=True, slots=True)
class Passed(Plain):
    """What a node of the ring before says of patching nodes like it."""

    node: str
    ring: str
    product: str
    """OS product, as the agent reports it."""
    role: str | None
    looked: datetime
    """When its results were last read (UTC)."""
    failed: tuple[str, ...]
    """What failed on it and is not repaired."""


def passed(sightings: Iterable[Sighted], at: datetime, failed: Mapping[str, str] | None = None) -> tuple[Passed, ...]:
    """Every node that has a ring, by what it showed when it was last looked at.

    `failed` are nodes on which the last installation failed as a whole, and why.
    """
    rows = [row for row in sightings if row.at <= at]
    failures = {node: (why,) for node, why in (failed or {}).items()} | ledger.failing(rows, at)
    last: dict[str, Sighted] = {}
    for row in rows:
        if row.node not in last or row.until >= last[row.node].until:
            last[row.node] = row
    return tuple(
        Passed(node, row.ring, row.product, row.role, min(row.until, at), failures.get(node, ()))
        for node, row in sorted(last.items())
        if row.ring is not None
    )


def without_twin(
    policy: Policy, slots: Sequence[Slot], expected: Iterable[Expected], nodes: Sequence[Passed], at: datetime
) -> dict[str, tuple[str, str]]:
    """Nodes that are not admitted, each with `Reason.NO_TWIN` and what is missing. Pure; `at` is when it is decided."""
    by_name = {slot.name: slot for slot in slots}
    found: dict[str, tuple[str, str]] = {}
    for one in expected:
        slot = by_name.get(one.slot or "")
        if one.reason is not None or slot is None or slot.group is None or slot.product is None:
            continue
        for demand in demands(policy, [slot.group], timedelta(0)):
            why = _objection(one, slot.product, demand, nodes, at)
            if why:
                found[one.node] = (str(Reason.NO_TWIN), why)
    return found


def _objection(one: Expected, product: str, demand: Demand, nodes: Sequence[Passed], at: datetime) -> str | None:
    """What is missing in the ring before; None: nothing."""
    kind = f"{product}, role {one.role}" if one.role else f"{product}, no role"
    alike = [node for node in nodes if node.ring == demand.before and covers(product, node.product)]
    twins = [node for node in alike if node.role == one.role]
    if not twins:
        return f"no node of {demand.before} like it ({kind})"
    oldest = at - timedelta(days=demand.ring.max_wait_days)
    recent = [node for node in twins if node.looked >= oldest]
    if not recent:
        newest = max(node.looked for node in twins)
        return f"no node of {demand.before} like it ({kind}) was looked at since {newest:%Y-%m-%d}"
    if all(node.failed for node in recent):
        failed = ", ".join(sorted({patch for node in recent for patch in node.failed})[:3])
        return f"on every node of {demand.before} like it ({kind}) something failed: {failed}"
    return None
