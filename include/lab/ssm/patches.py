"""What a patch operation reported of each patch, in the words of the API.

One reading of a `NodeResult` for everything that shows it: patch states, inventory, compliance. What
each state means for compliance is the user guide's table (UG:patch-manager-compliance-states).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from lab.agent import NodeResult
from lab.evaluate import Row

UPLOADED_STATES = {
    "INSTALLED": "Installed",
    "INSTALLED_OTHER": "InstalledOther",
    "INSTALLED_PENDING_REBOOT": "InstalledPendingReboot",
    "INSTALLED_REJECTED": "InstalledRejected",
    "MISSING": "Missing",
    "FAILED": "Failed",
    "NOT_APPLICABLE": "NotApplicable",
    "AVAILABLE_SECURITY_UPDATE": "AvailableSecurityUpdate",
}
"""Each state as the agent uploads it; inventory, compliance details and filters write it so."""

LEVELS = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNSPECIFIED")
"""Compliance levels, worst first."""

_NON_COMPLIANT = frozenset({"MISSING", "FAILED", "INSTALLED_PENDING_REBOOT", "INSTALLED_REJECTED"})
_SECURITY = frozenset({"security", "securityupdates"})
_WITH_CVES = frozenset({"MISSING", "FAILED"})
_WITHOUT_DETAILS = frozenset({"INSTALLED_OTHER", "NOT_APPLICABLE"})

Tally = Counter[str | tuple[str, str]]
"""How many patches there are by state, by (status, compliance level), and by kind of non-compliance."""


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch of one node. `status` is None where compliance does not apply to it."""

    patch_id: str
    title: str
    state: str
    status: str | None
    level: str
    classification: str
    severity: str
    installed: datetime | None
    cves: str
    """Comma-separated; empty except on what is missing or has failed, and on apt always."""


def patches(result: NodeResult, family: str) -> Iterator[Patch]:
    """The patches that the node reported by name; `family` is its product's (`rpm`, `apt`, `windows`).

    Only Windows names what is not applicable. Beside apt, Patch Manager leaves out the classification
    and severity of what is INSTALLED_OTHER or NOT_APPLICABLE (footnote of the user guide's table).
    """
    for row in result.rows:
        state = result.state(row)
        if state == "NOT_APPLICABLE" and family != "windows":
            continue
        bare = state in _WITHOUT_DETAILS and family != "apt"
        yield Patch(
            patch_id=row.id,
            title=row.title,
            state=state,
            status=status(state, result.available_security_updates),
            level=_level(row, state),
            classification="" if bare else row.classification,
            severity="" if bare else row.severity,
            installed=installed_at(result, row.id) if state.startswith("INSTALLED") else None,
            cves=",".join(row.cves) if state in _WITH_CVES and family != "apt" else "",
        )


def installed_at(result: NodeResult, patch_id: str) -> datetime | None:
    """When an installed patch came onto the node: its own time, else its image's (None: not known)."""
    return result.installed_at.get(patch_id) or result.image_built


def status(state: str, available_security_updates: str) -> str | None:
    """COMPLIANT or NON_COMPLIANT; `available_security_updates` is the baseline's choice for those."""
    if state == "NOT_APPLICABLE":
        return None
    if state == "AVAILABLE_SECURITY_UPDATE":
        return available_security_updates
    return "NON_COMPLIANT" if state in _NON_COMPLIANT else "COMPLIANT"


def tally(result: NodeResult) -> Tally:
    """The counts of a node's patches.

    Rows are shared by all nodes in the same state, so they are counted once; a node's own failed and
    pending patches are then moved from one count to another.
    """
    shared = _tally_of(_SharedRows(result.rows), result.available_security_updates)
    own = result.failed | result.pending
    if not own:
        return shared
    index = _index_of(_SharedRows(result.rows))
    counted = Tally(shared)
    for patch_id in own & index.keys():
        row = index[patch_id]
        counted.subtract(_counts_as(row, row.state, result.available_security_updates))
        counted.update(_counts_as(row, result.state(row), result.available_security_updates))
    return counted


def _counts_as(row: Row, state: str, available_security_updates: str) -> list[str | tuple[str, str]]:
    """The counts that a patch in this state goes into.

    A non-compliant patch may be both critical and security; "other" is what is neither (so the agent's
    payload counts). Available security updates are never critical, whatever their rule says.
    """
    found = status(state, available_security_updates)
    if found is None:
        return [state]
    level = _level(row, state)
    keys: list[str | tuple[str, str]] = [state, (found, level)]
    if found == "NON_COMPLIANT":
        critical = level == "CRITICAL"
        security = state == "AVAILABLE_SECURITY_UPDATE" or row.classification.lower() in _SECURITY
        if critical:
            keys.append("critical")
        if security:
            keys.append("security")
        if not critical and not security:
            keys.append("other")
    return keys


def _level(row: Row, state: str) -> str:
    return "UNSPECIFIED" if state == "AVAILABLE_SECURITY_UPDATE" else row.compliance


class _SharedRows:
    """Rows by identity: comparing a thousand rows to find them in a cache would cost more than counting them."""

    __slots__ = ("rows",)

    def __init__(self, rows: tuple[Row, ...]) -> None:
        self.rows = rows

    def __hash__(self) -> int:
        return id(self.rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _SharedRows) and other.rows is self.rows


@lru_cache(maxsize=1024)
def _tally_of(shared: _SharedRows, available_security_updates: str) -> Tally:
    counted = Tally()
    for row in shared.rows:
        counted.update(_counts_as(row, row.state, available_security_updates))
    return counted


@lru_cache(maxsize=1024)
def _index_of(shared: _SharedRows) -> dict[str, Row]:
    return {row.id: row for row in shared.rows}
