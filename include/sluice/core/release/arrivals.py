"""What came to production without having soaked, and how: nothing of it was requested.

New on a node is what it has not shown as installed before. A node that is looked at for the first time has what AWS
says was installed since the release began; the rest was there before anybody looked. Where a title may be that of a
newer version than the one that is there (INSTALLED_OTHER on rpm, and whatever waits for a reboot), only the time says
that something came; what waits for its reboot and was requested in some version is judged by the scan after that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sluice.core import ledger
from sluice.core.ledger import Demand
from sluice.core.os_product import covers
from sluice.core.policy.policy import Policy
from sluice.core.release.manifest import Manifest
from sluice.core.release.manifest_build import demands
from sluice.core.release.terms import PatchKey, Plain
from sluice.core.sighted import Sighted, title_of

Cause = Literal["dependency", "re-issued KB", "other patcher"]


@dataclass(frozen=True, slots=True)
class Arrival(Plain):
    """A version on a production node that had not soaked when it came."""

    node: str
    location: str
    product: str
    """OS product as the policy lists it, or as the agent reports it where the policy lists none."""
    id: str
    title: str
    """Empty on Windows, where the KB is the patch."""
    installed: datetime | None
    """When it came, where AWS says so."""
    cause: Cause
    detail: str


@dataclass(frozen=True, slots=True)
class Unanswered(Plain):
    """Something that was requested and came to no node that lacked it: its repository may have dropped it."""

    product: str
    id: str
    title: str
    nodes: tuple[str, ...]
    """Nodes that have another version, or lack it."""


def arrivals(
    policy: Policy,
    found: Iterable[Sighted],
    before: Iterable[Sighted],
    *,
    at: datetime,
    manifest: Manifest | None = None,
    began: datetime | None = None,
    issued: Mapping[str, datetime] | None = None,
) -> tuple[Arrival, ...]:
    """What has come to production nodes without a soak, by node.

    `found` is what a release read back, `before` all earlier evidence of every ring, at moment `at`. `manifest` and
    `began`, when its first window opened, are those of a release that installs; a scan has neither. `issued` are the
    newest dates of KBs.
    """
    production = {ring.name for ring in policy.rings if ring.production}
    earlier = tuple(before)
    reader = _Reader(policy, earlier, at, manifest, began, issued or {})
    rows = (row for row in found if row.ring in production)
    return tuple(sorted((one for row in rows for one in reader.judge(row)), key=lambda one: (one.node, one.id)))


def unanswered(manifest: Manifest, found: Iterable[Sighted]) -> tuple[Unanswered, ...]:
    """What was requested, and no node shows installed though some have another version or lack it."""
    by_patch: dict[str, list[Sighted]] = defaultdict(list)
    for row in found:
        if row.shown is not None:
            by_patch[row.id].append(row)
    result: list[Unanswered] = []
    for item in manifest.items:
        rows = [row for row in by_patch[item.id] if covers(item.product, row.product)]
        has = any(title_of(row) == item.title and row.shown in ("installed", "pending_reboot") for row in rows)
        lacking = tuple(sorted({row.node for row in rows if row.shown in ("missing", "failed")}))
        if lacking and not has:
            result.append(Unanswered(item.product, item.id, item.title, lacking))
    return tuple(result)


class _Reader:
    """What is known of production and of the rings before it."""

    def __init__(
        self,
        policy: Policy,
        earlier: Sequence[Sighted],
        at: datetime,
        manifest: Manifest | None,
        began: datetime | None,
        issued: Mapping[str, datetime],
    ) -> None:
        self._policy, self._earlier, self._at, self._manifest = policy, earlier, at, manifest
        self._began, self._issued = began, issued
        self._requested = {item.key for item in manifest.items} if manifest else set()
        self._looked: dict[str, datetime] = {}
        self._had: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self._pending: set[tuple[str, str]] = set()
        self._times: dict[tuple[str, str], set[datetime | None]] = defaultdict(set)
        self._by_patch: dict[str, list[Sighted]] = defaultdict(list)
        self._soaked: dict[tuple[str, str], frozenset[tuple[str, str]]] = {}
        for row in earlier:
            self._looked[row.node] = max(row.until, self._looked.get(row.node, row.until))
            self._by_patch[row.id].append(row)
            self._times[row.node, row.id].add(row.installed)
            if row.shown == "installed":
                self._had[row.node].add((row.id, title_of(row)))
            elif row.shown == "pending_reboot":
                self._pending.add((row.node, row.id))

    def judge(self, row: Sighted) -> Iterator[Arrival]:
        """The row as an arrival without soak, if it is one."""
        if not self._is_new(row):
            return
        product = self._listed(row)
        key = PatchKey(product, row.id, title_of(row))
        again = self._reissued(row)
        if again is None and (key in self._requested or self._has_soaked(row, product)):
            return
        cause: Cause = "re-issued KB"
        cause, detail = (cause, again) if again else self._cause(row)
        if row.shown != "installed":
            detail += "; AWS does not show which version it is: this one, or an older one"
        yield Arrival(row.node, row.location, product, row.id, key.title, row.installed, cause, detail)

    def _is_new(self, row: Sighted) -> bool:
        if row.shown != "installed":
            return self._may_be_new(row)
        if (row.id, title_of(row)) in self._had[row.node]:
            return self._reissued(row) is not None
        return row.node in self._looked or self._came_since_it_began(row)

    def _may_be_new(self, row: Sighted) -> bool:
        """Whether something came whose version the row does not tell: by the time, which is another one than before."""
        if row.shown == "pending_reboot":
            if any(key.id == row.id for key in self._requested):
                return False
        elif row.state != "INSTALLED_OTHER":
            return False
        if row.node not in self._looked:
            return self._came_since_it_began(row)
        known = self._times[row.node, row.id] - {None}
        if row.installed is None or not known:
            return row.installed is not None and row.installed > self._looked[row.node]
        return row.installed not in known

    def _came_since_it_began(self, row: Sighted) -> bool:
        return row.installed is not None and self._began is not None and row.installed >= self._began

    def _reissued(self, row: Sighted) -> str | None:
        """Why a KB that was requested is another issue than the one that soaked; None: it is the same."""
        date = self._issued.get(row.id)
        if not row.windows or self._manifest is None or date is None or date <= self._manifest.at:
            return None
        if row.installed is not None and row.installed < date:
            return None
        return f"issued again at {date:%Y-%m-%d %H:%M} UTC, after the manifest was made"

    def _cause(self, row: Sighted) -> tuple[Cause, str]:
        others = self._by_others(row)
        if others is not None:
            return "other patcher", others
        if self._began is None:
            return "dependency", "came with an earlier release, and waited for its reboot until now"
        listed = [key.title for key in sorted(self._requested) if key.id == row.id]
        if listed:
            return "dependency", f"the manifest lists {listed[0]}, something needed a newer one"
        return "dependency", "came with what the manifest lists, which does not list it"

    def _by_others(self, row: Sighted) -> str | None:
        """Why it must be another patcher's doing; None: it need not be."""
        if row.other:
            return row.other
        if self._began is None:
            waited = (row.node, row.id) in self._pending
            return None if waited else "it came between two looks, and no release of Sluice installed meanwhile"
        if row.installed is not None and row.installed < self._began:
            return f"installed at {row.installed:%Y-%m-%d %H:%M} UTC, before the release opened"
        return "not in the manifest, which is all that a release installs on Windows" if row.windows else None

    def _listed(self, row: Sighted) -> str:
        """The OS product as the patch group lists it."""
        for group in self._policy.patch_groups:
            if group.name == row.group:
                return next((one for one in group.products if covers(one, row.product)), row.product)
        return row.product

    def _has_soaked(self, row: Sighted, product: str) -> bool:
        """Whether what came had soaked: where the row does not tell the version, whichever it may be.

        What has soaked of a KB is its newest issue: one that was installed before that was issued is another.
        """
        date = self._issued.get(row.id)
        if row.windows and date is not None and row.installed is not None and row.installed < date:
            return False
        titles = {title_of(row)} if row.shown == "installed" else self._may_be(row, product)
        return {(row.id, title) for title in titles} <= self._soaked_for(row, product)

    def _may_be(self, row: Sighted, product: str) -> set[str]:
        """The versions that are known of a package, but for those that the node had before."""
        known = {title_of(one) for one in self._by_patch[row.id] if covers(product, one.product)}
        return {title_of(row)} | {title for title in known if (row.id, title) not in self._had[row.node]}

    def _soaked_for(self, row: Sighted, product: str) -> frozenset[tuple[str, str]]:
        """What had soaked for the row's ring by now."""
        key = (row.group or "", product)
        if key not in self._soaked:
            groups = [group for group in self._policy.patch_groups if group.name == row.group]
            asked: tuple[Demand, ...] = demands(self._policy, groups, timedelta(hours=self._policy.gate.evidence_hours))
            entries = (
                entry
                for demand in asked
                for entry in ledger.fold(self._earlier, product, demand, self._at, self._issued)
            )
            self._soaked[key] = frozenset((entry.id, entry.title) for entry in entries if entry.soaked)
        return self._soaked[key]
