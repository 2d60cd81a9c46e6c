"""The soak ledger: a fold over what nodes showed, and nothing else. The arithmetic is `sluice.core.soak`'s.

A patch's clock is that of one ring and one OS product as the policy lists it. What a row may be taken for:

- INSTALLED is the version that is installed; INSTALLED_PENDING_REBOOT does not count, and neither does its title, which
  may be a newer one: but where the operating system needs no reboot, and the version is sure (`_Reboots`), it has it.
  Where it is not sure the node need not have tried the version, and outvotes no node on which it failed;
- INSTALLED_OTHER is what is installed on Windows, Debian and Ubuntu. Where rpm rules, its title may be that of a newer
  version which nobody installed (the payload shows the newest that it knows): nothing is concluded from it;
- a node that shows another version afterwards has still had this one, unless the other one is older: then it was put
  back, and this one's time there is over; where this one comes back, its time starts anew;
- a node that does not show a package or KB at all any more, or shows it as not applicable, has it no more;
- a node that nobody looks at any more counts only for as long as it was looked at.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from sluice.core import soak
from sluice.core.os_product import covers, operating_system
from sluice.core.policy.rings import Ring
from sluice.core.release.terms import PatchKey, Plain
from sluice.core.sighted import ABSENT, TELLS_INSTALLED, WAITS, Sighted, severity_of, title_of

NEVER = datetime.max.replace(tzinfo=UTC)


Status = Literal[
    "soaked", "soaking", "void", "withdrawn", "pending reboot", "too few nodes", "re-issued", "not installed"
]
"""How far a patch is. All but `soaked` wait; `void` and `withdrawn` wait for a newer version, or a waiver."""


@dataclass(frozen=True, slots=True)
class Entry(Plain):
    """What the ledger knows of one patch, for the ring that demands the soak."""

    product: str
    """OS product as the policy lists it."""
    id: str
    title: str
    classification: str
    severity: str
    """One of the policy's; of several that nodes showed the one that soaks longest."""
    days: int
    """What the ring demands for it."""
    first_seen: datetime
    """When any node of the ring before first showed it: offered, failed or installed."""
    started: datetime | None
    """When its clock started; None: it does not run."""
    status: Status
    healthy: tuple[str, ...]
    """Nodes that have it, rebooted where it needs that."""
    failed: tuple[str, ...]
    pending: tuple[str, ...]
    """Nodes that have it and wait for a reboot."""
    followed_by: tuple[str, ...]
    """Titles of newer versions that nodes went on to."""
    others: tuple[str, ...]
    """Other patchers that are known to work on the nodes that have it."""

    @property
    def key(self) -> PatchKey:
        """The patch."""
        return PatchKey(self.product, self.id, self.title)

    @property
    def eligible(self) -> datetime | None:
        """From when on the ring may request it; None: not known."""
        return None if self.started is None else soak.eligible_at(self.started, self.days)

    @property
    def soaked(self) -> bool:
        """Whether the ring may request it."""
        return self.status == "soaked"


@dataclass(frozen=True, slots=True)
class Demand:
    """What a ring demands of the ring before."""

    ring: Ring
    before: str
    """The ring before, by name."""
    allowance: timedelta = timedelta(hours=36)
    """A node that nobody looked at for longer counts only up to then."""


def fold(
    sightings: Iterable[Sighted],
    product: str,
    demand: Demand,
    at: datetime,
    issued: Mapping[str, datetime] | None = None,
) -> tuple[Entry, ...]:
    """The ledger of one OS product, as the policy lists it, at a moment: entries by id and title.

    `sightings` are those of all rings and products; `issued` has the dates of the newest issues by KB, where a KB may
    be re-issued.
    """
    known = [one for one in sightings if one.at <= at]
    first = min(known, key=lambda one: one.at).release if known else ""
    history = _History([one for one in known if covers(product, one.product)], first, at)
    return tuple(
        entry
        for patch in sorted(history.by_id)
        for entry in _Package(history, product, patch, demand, (issued or {}).get(patch)).entries()
    )


def selected(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """What a release requests of the soaked: a version that nodes left for one that is soaked too is left out."""
    titles = {(entry.id, entry.title) for entry in entries if entry.soaked}
    return tuple(
        entry
        for entry in entries
        if entry.soaked and not any((entry.id, newer) in titles for newer in entry.followed_by)
    )


def waiting(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """What is not soaked, and not left behind by a newer version that nodes went on to."""
    return tuple(entry for entry in entries if not entry.soaked and not entry.followed_by)


def overdue(entry: Entry, ring: Ring, at: datetime) -> bool:
    """Whether it waits for longer than the ring allows, or for a reboot that no release may bring."""
    return at - entry.first_seen > timedelta(days=ring.max_wait_days) or entry.status == "pending reboot"


def failing(sightings: Iterable[Sighted], at: datetime) -> dict[str, tuple[str, ...]]:
    """What failed last on each node, by title or KB, and is neither installed since nor withdrawn.

    A scan shows what failed as missing. A version that the node's last look does not show so any more is offered to it
    no longer, and is not what the next release would trip over.
    """
    rows = [one for one in sightings if one.at <= at]
    looked: dict[str, datetime] = {}
    offered: dict[tuple[str, str, str], datetime] = {}
    for row in rows:
        until = min(row.until, at)
        looked[row.node] = max(until, looked.get(row.node, until))
        if row.shown in ("failed", "missing", "pending_reboot"):
            version = (row.node, row.id, title_of(row))
            offered[version] = max(until, offered.get(version, until))
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for row in sorted(rows, key=lambda one: (one.at, one.until)):
        if row.shown == "failed" and offered[row.node, row.id, title_of(row)] == looked[row.node]:
            found[row.node][row.id] = title_of(row) or row.id
        elif row.shown == "installed":
            found[row.node].pop(row.id, None)
    return {node: tuple(sorted(failed.values())) for node, failed in found.items() if failed}


class _History:
    """Rows by id, and when each node was last looked at in its ring."""

    def __init__(self, rows: Sequence[Sighted], first: str, at: datetime) -> None:
        self.at = at
        self._first = first
        self.by_id: dict[str, list[Sighted]] = defaultdict(list)
        self.looked: dict[tuple[str, str | None], datetime] = {}
        self.unsure: set[Sighted] = set()
        """Rows that wait for a reboot, perhaps of an older version than their title's."""
        looks: dict[str, set[datetime]] = defaultdict(set)
        reboots = _Reboots()
        for row in sorted(rows, key=lambda one: (one.at, one.until, one.node)):
            if row.state != ABSENT:
                taken, sure = reboots.taken(row)
                self.by_id[row.id].append(taken)
                if not sure:
                    self.unsure.add(taken)
            looks[row.node] |= {row.at, min(row.until, at)}
            seen = (row.node, row.ring)
            self.looked[seen] = max(self.looked.get(seen, row.at), min(row.until, at))
        self._looks = {node: sorted(found) for node, found in looks.items()}

    def next_look(self, node: str, after: datetime) -> datetime:
        """The first look at a node after a moment; the end of time where there was none."""
        looks = self._looks[node]
        place = bisect_right(looks, after)
        return looks[place] if place < len(looks) else NEVER

    def since(self, row: Sighted) -> datetime:
        """When a row was true: when it was read, and by the very first release since AWS's InstalledTime.

        By no later one: a node that comes later may have run for an hour, from an image that is a year old.
        """
        if row.release == self._first and row.shown == "installed" and row.installed is not None:
            return min(row.installed, row.at)
        return row.at


class _Reboots:
    """What counts as waiting for a reboot and needs none.

    After an install without a reboot AWS counts everything as waiting until the next one. Where the operating system
    needs none, a version is working as soon as that was asked, and goes on to be, although AWS goes on to count it.
    Which version that is the title does not say by itself: it may be of one that came out since. It does where the
    node was offered this very title before it installed: what is installed is the newest that is offered. And what no
    rule fits is left out where rpm rules: that it was put back would show in nothing later (INSTALLED_OTHER).
    """

    def __init__(self) -> None:
        self._ring: dict[str, str | None] = {}
        self._offered: dict[tuple[str, str, str], Sighted] = {}
        """The first row of a title since the node came to its ring: other rings install by lists of their own."""
        self._fits: dict[tuple[str, str], bool] = {}
        """By node and id: whether what it showed last, but for waiting, told of the version that is there."""
        self._working: dict[tuple[str, str, str], datetime | None] = {}
        """By node, id and title: when what was asked for had been installed."""

    def taken(self, row: Sighted) -> tuple[Sighted, bool]:
        """A row as what it can be taken for, and whether its version is sure; rows come in the order of their times."""
        if self._ring.setdefault(row.node, row.ring) != row.ring:
            self._ring[row.node] = row.ring
            self._offered = {key: one for key, one in self._offered.items() if key[0] != row.node}
        version = (row.node, row.id, title_of(row))
        first = self._offered.setdefault(version, row)
        if row.state != WAITS:
            self._fits[row.node, row.id] = row.shown is not None
            self._working.pop(version, None)
            return row, True
        sure = row.windows or self._is_of(row, first)
        if row.needless and sure and (row.windows or self._fits.get((row.node, row.id))):
            self._working[version] = row.installed
        if version in self._working and self._working[version] == row.installed:
            return replace(row, state="INSTALLED"), True
        return row, sure

    @staticmethod
    def _is_of(row: Sighted, first: Sighted) -> bool:
        """Whether the installed version is that of the title."""
        if row.installed is not None:
            return first.at <= row.installed
        # apt shows what a rule fits, and no other: offered before and after the release's own install, it was taken.
        # Only of what was asked for is it known that the release which shows it had installed.
        return row.needless and operating_system(row.product) in TELLS_INSTALLED and first.release != row.release


class _Package:
    """All versions of one package, or one KB."""

    def __init__(self, history: _History, product: str, patch: str, demand: Demand, issued: datetime | None) -> None:
        self._history, self._product, self._patch, self._demand, self._issued = (
            history, product, patch, demand, issued,
        )  # fmt: skip
        self._rows = [row for row in history.by_id[patch] if row.shown is not None]
        self._own = [row for row in self._rows if row.ring == demand.before]
        self._first: dict[str, datetime] = {}
        for row in self._rows:
            moment = history.since(row)
            self._first[title_of(row)] = min(moment, self._first.get(title_of(row), moment))

    def entries(self) -> Iterator[Entry]:
        """One for each version that the ring before has shown."""
        for title in dict.fromkeys(title_of(row) for row in self._own):
            yield self._entry(title)

    def _entry(self, title: str) -> Entry:
        rows = [row for row in self._own if title_of(row) == title]
        severity = max((severity_of(row) for row in rows), key=self._days)
        days = self._days(severity)
        sightings = list(self._sightings(title))
        nodes = self._counted(sightings, days)
        counted = [one for one in sightings if one.node in nodes]
        demand = self._demand.ring
        started = soak.clock_start(counted, min_nodes=demand.min_nodes, issued=self._issued)
        latest = soak.latest_states(sightings)
        entry = Entry(
            product=self._product,
            id=self._patch,
            title=title,
            classification=next((row.classification for row in reversed(rows) if row.classification), ""),
            severity=severity,
            days=days,
            first_seen=min(row.at for row in rows),
            started=started,
            status="soaking",
            healthy=_in_state(latest, "installed"),
            failed=_in_state(latest, "failed"),
            pending=_in_state(latest, "pending_reboot"),
            followed_by=self._followed_by(title),
            others=tuple(sorted({row.other for row in rows if row.other and row.shown == "installed"})),
        )
        return replace(entry, status=self._status(entry, sightings))

    def _days(self, severity: str) -> int:
        rule = self._demand.ring.soak
        return rule.for_severity(severity) if rule else 0

    def _status(self, entry: Entry, sightings: Sequence[soak.Sighting]) -> Status:
        if self._is_void(sightings):
            return "void"
        if self._withdrawn(entry.title):
            return "withdrawn"
        # Where it is void unless nodes that wait have it, it waits for their reboots.
        if entry.started is not None and not self._is_void([one for one in sightings if one.sure]):
            return "soaked" if soak.is_soaked(entry.started, entry.days, self._history.at) else "soaking"
        if self._issued is not None and soak.clock_start(sightings) is not None and not entry.pending:
            return "re-issued" if soak.clock_start(sightings, issued=self._issued) is None else "too few nodes"
        if entry.pending:
            return "pending reboot"
        return "too few nodes" if entry.healthy else "not installed"

    def _is_void(self, sightings: Sequence[soak.Sighting]) -> bool:
        most = self._demand.ring.max_failure_percent
        return soak.is_void(sightings, max_failure_percent=most, issued=self._issued)

    def _sightings(self, title: str) -> Iterator[soak.Sighting]:
        """What each node of the ring before said of one version, also by showing an older one later.

        The time that a node was another ring's does not count: it starts anew when it comes back. So does a version
        that is there again after another one was: which of the two is newer is not always known.
        """
        had: dict[str, set[str]] = defaultdict(set)
        left: dict[str, datetime] = {}
        last: dict[str, Sighted] = {}
        for row in self._history.by_id[self._patch]:
            before = last.get(row.node)
            last[row.node] = row
            if row.ring != self._demand.before:
                continue
            if before is not None and self._broken(before, row.at):
                yield soak.Sighting(row.node, row.at, "missing")
            yield from self._said(row, title, had[row.node], left)
        for node, row in last.items():
            gone = self._history.next_look(node, row.until)
            if row.ring == self._demand.before and gone < NEVER:
                yield soak.Sighting(node, gone, "missing")

    def _said(self, row: Sighted, title: str, had: set[str], left: dict[str, datetime]) -> Iterator[soak.Sighting]:
        """What one row says of a version, whose node `had` others, and showed another one from when it `left`."""
        shown, other = row.shown, title_of(row)
        if other == title and shown is not None:
            if shown == "installed" and row.node in left:
                yield soak.Sighting(row.node, left.pop(row.node), "missing")
            sure = row not in self._history.unsure
            yield soak.Sighting(row.node, self._history.since(row), shown, row.installed, sure)
        elif self._shows_older(row, title, had):
            yield soak.Sighting(row.node, row.at, "missing")
        if shown == "installed":
            if other != title and title in had:
                left.setdefault(row.node, row.at)
            had.add(other)

    def _broken(self, before: Sighted, then: datetime) -> bool:
        """Whether a node was another ring's, or looked at without showing the package, up to a moment."""
        away = before.ring != self._demand.before
        return away or self._history.next_look(before.node, before.until) < then

    def _shows_older(self, row: Sighted, title: str, had: set[str]) -> bool:
        """Whether a node that had a version has an older one now; what waits for a reboot is at most what it says."""
        return row.shown is not None and title in had and self._is_older(title_of(row), title, had)

    def _is_older(self, other: str, title: str, had: set[str]) -> bool:
        """Whether a node that shows `other` now was put back: it was there before `title` was."""
        return other in had or self._first[other] < self._first[title]

    def _counted(self, sightings: Sequence[soak.Sighting], days: int) -> set[str]:
        """Nodes that are still looked at, or were for long enough."""
        by_node: dict[str, list[soak.Sighting]] = defaultdict(list)
        for one in sightings:
            by_node[one.node].append(one)
        return {node for node, own in by_node.items() if self._counts(node, own, days)}

    def _counts(self, node: str, sightings: Sequence[soak.Sighting], days: int) -> bool:
        known_until = self._history.looked[node, self._demand.before] + self._demand.allowance
        if known_until >= self._history.at:
            return True
        return soak.is_soaked(soak.clock_start(sightings, issued=self._issued), days, known_until)

    def _followed_by(self, title: str) -> tuple[str, ...]:
        found: set[str] = set()
        had: dict[str, set[str]] = defaultdict(set)
        for row in self._own:
            if row.shown != "installed":
                continue
            other = title_of(row)
            if other != title and title in had[row.node] and not self._is_older(other, title, had[row.node]):
                found.add(other)
            had[row.node].add(other)
        return tuple(sorted(found))

    def _withdrawn(self, title: str) -> bool:
        """Whether a node that was offered it is offered nothing newer than an older one since, and nobody is it again.

        That a repository has dropped it shows in nothing else, so it is not always known.
        """
        offered: dict[str, datetime] = {}
        dropped: datetime | None = None
        last: datetime | None = None
        for row in self._rows:
            if title_of(row) == title:
                offered[row.node] = row.at
                last = row.until if row.shown in ("missing", "failed") else row.at
            elif row.node in offered and self._first[title_of(row)] < self._first[title]:
                if row.shown != "pending_reboot" and title not in self._installed_on(row.node, row.at):
                    dropped = row.at
        return dropped is not None and last is not None and dropped > last

    def _installed_on(self, node: str, before: datetime) -> set[str]:
        return {
            title_of(row) for row in self._rows if row.node == node and row.at < before and row.shown == "installed"
        }


def _in_state(latest: Mapping[str, soak.State], state: soak.State) -> tuple[str, ...]:
    return tuple(sorted(node for node, found in latest.items() if found == state))
