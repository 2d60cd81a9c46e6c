"""What a manifest requests.

Every version that has soaked is listed, of every package that the ledger knows, so that a dependency comes at the
version that soaked too. What the production baseline would never approve, rejects, or what is recalled is struck: on
Linux the list takes the baseline's place (docs/adr/0005), and would install it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sluice.core import ledger
from sluice.core.approval import Patch, rules_for
from sluice.core.calendar import gate_of
from sluice.core.ledger import Demand, Entry
from sluice.core.os_product import covers, operating_system
from sluice.core.policy.baselines import Baseline, OperatingSystem, PatchGroup
from sluice.core.policy.policy import Policy
from sluice.core.policy.rings import Waiver
from sluice.core.policy.slots import slots
from sluice.core.policy.windows import Window
from sluice.core.release.baseline_lists import lists
from sluice.core.release.manifest import Cover, Item, Manifest, OnlyProduction, Struck, Waits
from sluice.core.release.recall import Recall, names, recalling
from sluice.core.release.terms import Asked, PatchKey
from sluice.core.sighted import Sighted, severity_of, title_of

WILDCARDS = re.compile(r"[*?\[\]]")


@dataclass(frozen=True, slots=True)
class Known:
    """What a manifest is made of."""

    sightings: tuple[Sighted, ...]
    recalls: tuple[Recall, ...] = ()
    issued: Mapping[str, datetime] | None = None
    """Dates of the newest issues by KB, where they are known."""


def build(
    policy: Policy, window: Window, *, release: str, at: datetime, day: date, asked: Asked, known: Known
) -> Manifest:
    """The manifest of a release of a production window. `day` is that of its occurrence: waivers hold up to it."""
    parts = [_Product(policy, window, product, at, day, asked, known) for product in products_of(policy, window)]
    for part in parts:
        part.make()
    wanted = [*asked.expedite, *(patch for waiver in _waivers(policy, day) for patch in waiver.patches)]
    found = {word for part in parts for word in part.found}
    return Manifest(
        release=release,
        at=at,
        products=tuple(part.product for part in parts),
        items=tuple(sorted((item for part in parts for item in part.items.values()), key=lambda item: item.key)),
        struck=tuple(one for part in parts for one in part.struck.values()),
        waits=tuple(one for part in parts for one in part.waits),
        only_production=tuple(one for part in parts for one in part.only_production),
        not_found=tuple(word for word in dict.fromkeys(wanted) if word not in found),
    )


def products_of(policy: Policy, window: Window) -> tuple[str, ...]:
    """The OS products that a window installs on, as the policy lists them."""
    return tuple(dict.fromkeys(slot.product for slot in slots(policy, window) if slot.product))


def demands(policy: Policy, groups: Iterable[PatchGroup], allowance: timedelta) -> tuple[Demand, ...]:
    """What the rings of patch groups demand of the rings before, each once."""
    names_of = [ring.name for ring in policy.rings]
    places = sorted({names_of.index(group.ring) for group in groups} - {0})
    return tuple(Demand(policy.rings[place], names_of[place - 1], allowance) for place in places)


class _Product:
    """The part of one OS product, while it is made."""

    def __init__(
        self, policy: Policy, window: Window, product: str, at: datetime, day: date, asked: Asked, known: Known
    ) -> None:
        self.product = product
        self.items: dict[PatchKey, Item] = {}
        self.struck: dict[PatchKey, Struck] = {}
        self.waits: list[Waits] = []
        self.only_production: list[OnlyProduction] = []
        self.found: set[str] = set()
        self._at, self._asked, self._recalls, self._issued = at, asked, known.recalls, known.issued
        self._sightings = known.sightings
        self._rows = [row for row in known.sightings if covers(product, row.product) and row.at <= at]
        groups = [slot.group for slot in slots(policy, window) if slot.group and slot.product == product]
        self._groups = {group.name for group in groups}
        self._demands = demands(policy, groups, timedelta(hours=gate_of(policy, window).evidence_hours))
        self._baselines = _baselines(policy, groups, product)
        self._waivers = _waivers(policy, day)

    def make(self) -> None:
        """All that belongs to it."""
        self._soaked()
        self._expedited()
        self._waived()
        self._in_production_only()
        self.waits = [one for one in self.waits if PatchKey(one.product, one.id, one.title) not in self.items]

    def _soaked(self) -> None:
        """What has soaked in the ring before every ring that it goes to."""
        books = [ledger.fold(self._sightings, self.product, demand, self._at, self._issued) for demand in self._demands]
        if not books:
            return
        everywhere = set.intersection(*({entry.key for entry in book if entry.soaked} for book in books))
        # What is struck makes no room for itself: the older version that it would have replaced stays.
        allowed = [entry for entry in books[0] if entry.key in everywhere and self._may(_item(entry))]
        for entry in ledger.selected(allowed):
            self._take(_item(entry))
        for demand, book in zip(self._demands, books, strict=True):
            self.waits += [_waits(entry, demand, self._at) for entry in ledger.waiting(book)]

    def _expedited(self) -> None:
        for word in self._asked.expedite:
            for row in self._named(word):
                self._take(self._bare(row, "expedite", by=self._asked.by or "", because=self._asked.because or ""))

    def _waived(self) -> None:
        for waiver in self._waivers:
            for word in waiver.patches:
                for row in self._named(word):
                    self._take(self._bare_waived(row, waiver))
            for row in self._current():
                if row.windows and any(_is_class(word, row) for word in waiver.reissued):
                    self._take(self._bare_waived(row, waiver))

    def _in_production_only(self) -> None:
        """What production lacks and the ring before has nothing of: it can never soak."""
        before = {demand.before for demand in self._demands}
        known = {row.id for row in self._rows if row.ring in before}
        lacking: dict[PatchKey, list[Sighted]] = {}
        for row in self._current():
            if row.group in self._groups and row.shown in ("missing", "failed") and row.id not in known:
                lacking.setdefault(self._key(row), []).append(row)
        for key, rows in sorted(lacking.items()):
            waiver = next(
                (one for one in self._waivers if any(names(word, key.id, key.title) for word in one.packages)), None
            )
            nodes = tuple(sorted({row.node for row in rows}))
            owner = waiver.owner if waiver else ""
            self.only_production.append(OnlyProduction(self.product, key.id, key.title, nodes, owner))
            if waiver:
                self._take(self._bare_waived(rows[0], waiver))

    def _named(self, word: str) -> Iterator[Sighted]:
        """The newest version of each patch that is named: of those that nodes are offered now.

        Of one that no node is offered any more, while production's delay holds it back, of those that the rings
        before have.
        """
        found: dict[str, list[Sighted]] = {}
        for row in self._current():
            if names(word, row.id, row.title):
                found.setdefault(row.id, []).append(row)
        for rows in found.values():
            offered = [row for row in rows if row.shown in ("missing", "failed")]
            candidates = offered or [row for row in rows if row.group not in self._groups]
            if candidates:
                self.found.add(word)
                yield max(candidates, key=self._came)

    def _came(self, row: Sighted) -> datetime:
        """When the version of a row was first seen."""
        key = self._key(row)
        return min(one.at for one in self._rows if one.id == row.id and self._key(one) == key)

    def _current(self) -> Iterator[Sighted]:
        """What each node showed when it was last looked at."""
        looked: dict[str, datetime] = {}
        for row in self._rows:
            last = min(row.until, self._at)
            looked[row.node] = max(looked.get(row.node, last), last)
        return (row for row in self._rows if row.until >= looked[row.node] and row.shown is not None)

    def _take(self, item: Item) -> None:
        """Put an item on the list, unless something speaks against it or it is there.

        One that did not soak stands in place of the version that did: two of a package are no request.
        """
        if item.key not in self.items and self._may(item):
            if item.covered != "soak":
                soaked = [key for key, one in self.items.items() if key.id == item.id and one.covered == "soak"]
                for key in soaked:
                    del self.items[key]
            self.items[item.key] = item
            self.struck.pop(item.key, None)

    def _may(self, item: Item) -> bool:
        """Whether nothing speaks against it; what does is told."""
        objection = self._objection(item)
        if objection is not None:
            self.struck[item.key] = Struck(item.product, item.id, item.title, objection)
        return objection is None

    def _objection(self, item: Item) -> str | None:
        recall = recalling(self._recalls, self.product, item.id, item.title)
        if recall is not None:
            return str(recall)
        if WILDCARDS.search(item.id + item.title):
            return "its title has a character that nodes take for a wildcard"
        for baseline in self._baselines:
            if lists(baseline.rejected.patches, item.id, item.title):
                return f"baseline {baseline.name} rejects it"
            if item.covered == "soak" and not _approves(baseline, item):
                return f"no rule of baseline {baseline.name} fits it"
        return None

    def _bare_waived(self, row: Sighted, waiver: Waiver) -> Item:
        expires = waiver.expires.isoformat()
        return self._bare(row, "waiver", by=waiver.owner, because=waiver.because, expires=expires)

    def _bare(self, row: Sighted, covered: Cover, *, by: str, because: str, expires: str = "") -> Item:
        """An item without a soak."""
        key = self._key(row)
        severity = severity_of(row)
        return Item(
            key.product, key.id, key.title, row.classification, severity, 0, None, (), covered, by, because, expires
        )

    def _key(self, row: Sighted) -> PatchKey:
        return PatchKey(self.product, row.id, title_of(row))


def _item(entry: Entry) -> Item:
    return Item(
        product=entry.product,
        id=entry.id,
        title=entry.title,
        classification=entry.classification,
        severity=entry.severity,
        days=entry.days,
        started=entry.started,
        nodes=entry.healthy,
        covered="soak",
    )


def _waits(entry: Entry, demand: Demand, at: datetime) -> Waits:
    return Waits(
        product=entry.product,
        id=entry.id,
        title=entry.title,
        severity=entry.severity,
        status=entry.status,
        first_seen=entry.first_seen,
        eligible=entry.eligible if entry.status == "soaking" else None,
        overdue=ledger.overdue(entry, demand.ring, at),
    )


def _waivers(policy: Policy, day: date) -> tuple[Waiver, ...]:
    """Those that hold on a day."""
    return tuple(waiver for waiver in policy.exceptions if waiver.holds(day))


def _baselines(policy: Policy, groups: Sequence[PatchGroup], product: str) -> tuple[Baseline, ...]:
    """The baselines of the groups for the product's operating system."""
    used = {name for group in groups for name in group.baselines}
    return tuple(one for one in policy.baselines if one.name in used and one.os == operating_system(product))


def _approves(baseline: Baseline, item: Item) -> bool:
    """Whether a rule, or the approved list, fits it whenever; a class that AWS does not tell fits."""
    if lists(baseline.approved.patches, item.id, item.title):
        return True
    patch = Patch(OperatingSystem(baseline.os), item.severity, item.classification or None)
    return bool(rules_for(baseline, patch))


def _is_class(word: str, row: Sighted) -> bool:
    return names(word, row.id, row.title) or word.casefold() == row.classification.casefold()
