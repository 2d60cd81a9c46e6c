"""A small world in which patches are published, installed, broken, put back and released, by chance and by a seed.

It keeps the truth of every node in a journal of its own, and hands to the product only what AWS would show: rows that
are read now and then, some of which never arrive, with the titles that AWS shows, right or not. The judges of
`soak_oracle` read the journal and know nothing of the ledger.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from soak_world import LINUX, UBUNTU, WINDOWS

from sluice.core.policy.policy import Policy
from sluice.core.release.arrivals import Arrival, arrivals
from sluice.core.release.manifest import Manifest
from sluice.core.release.manifest_build import Known, build
from sluice.core.release.recall import Recall
from sluice.core.release.terms import Asked
from sluice.core.sighted import Sighted

STEP = 0.6
"""Hours in which nothing else happens: an installation and reading it back are one thing."""

EPOCH = datetime(2025, 6, 2, tzinfo=UTC)
SEVERITIES = ("Critical", "Important", "Medium", "Low")


def at(hour: float) -> datetime:
    return EPOCH + timedelta(hours=hour)


@dataclass(frozen=True)
class Version:
    """A version of a package, or an issue of a KB."""

    number: int
    published: float
    severity: str
    withdrawn: float = 1e9
    needs: tuple[str, int] | None = None
    """Another package, and the oldest version of it that will do."""

    def offered(self, hour: float) -> bool:
        return self.published <= hour < self.withdrawn


@dataclass(frozen=True)
class Package:
    """A package, or a KB: its versions are then its issues."""

    name: str
    versions: tuple[Version, ...]
    security: bool
    """Whether the baselines' rules fit it."""
    offered_again: bool = True
    """Windows: whether nodes that have an issue are offered the next."""

    def newest(self, hour: float) -> Version:
        return max((one for one in self.versions if one.offered(hour)), key=lambda one: one.number)


@dataclass
class Node:
    """A node as it truly is."""

    name: str
    ring: str
    location: str
    has: dict[str, int]
    """The version of each package; 0 on Windows: none."""
    came: dict[str, float] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)
    """What works only after a reboot."""
    waits: set[str] = field(default_factory=set)
    """What AWS counts as waiting for one, needed or not."""
    failed: set[str] = field(default_factory=set)
    """What failed when it was installed last; the next scan shows it missing."""
    alive: bool = True


@dataclass(frozen=True)
class Truth:
    """What a node was from an hour on."""

    hour: float
    ring: str
    has: dict[str, int]
    pending: frozenset[str]
    waits: frozenset[str]
    alive: bool


@dataclass(frozen=True)
class Attempt:
    """An installation of one version on one node, whose result was read back."""

    node: str
    package: str
    number: int
    hour: float
    failed: bool


@dataclass(frozen=True)
class Released:
    """A production release: what it requested when, and what came."""

    manifest: Manifest
    asked: Asked
    made: float
    opened: float | None
    """None: held, or died before."""
    recalls: tuple[str, ...]
    """What was recalled when it was made."""
    came: tuple[tuple[str, str, int], ...]
    """Node, package and version of what it truly brought."""
    arrivals: tuple[Arrival, ...]
    read: bool
    """Whether what came was read back."""


class History:
    """One world, from its seed."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.product = self.rng.choice((LINUX, LINUX, UBUNTU, WINDOWS))
        self.windows, self.rpm = self.product == WINDOWS, self.product == LINUX
        self.all_wait = self.rng.random() < 0.6
        """Whether installs go without a reboot, so that AWS counts everything that they bring as waiting for one."""
        self.hours = 24.0 * self.rng.randint(12, 40)
        self.packages = {name: self._package(name) for name in self._names()}
        self.policy = self._policy()
        self.images: dict[str, float] = {}
        self.nodes = [self._node(number) for number in range(self.rng.randint(2, 7))]
        self.journal: dict[str, list[Truth]] = {node.name: [] for node in self.nodes}
        self.looks: dict[str, list[float]] = {node.name: [] for node in self.nodes}
        self.attempts: list[Attempt] = []
        self.rows: list[Sighted] = []
        self.recalls: list[Recall] = []
        self.due: list[tuple[float, int, Callable[[float], None]]] = []
        self.turn = 0
        self.released: list[Released] = []
        self.scans: list[tuple[str, float, tuple[Arrival, ...]]] = []
        """Scans of production nodes, and what was told of each."""
        self.bad = {
            (package.name, version.number): self.rng.random() ** 3
            for package in self.packages.values()
            for version in package.versions
        }
        for node in self.nodes:
            self._note(node, -1000)

    def run(self) -> History:
        """Let all of it happen."""
        for node in self.nodes:  # the first day: what is there already
            self._look(node, 0.5, "scan")
        self._later(1.0, self._next)
        hour = 0.0
        while self.due and hour < self.hours:
            when, _, happens = heapq.heappop(self.due)
            hour = max(when, hour + STEP)  # one thing after the other, reading back included
            happens(hour)
        return self

    def _later(self, hour: float, happens: Callable[[float], None]) -> None:
        self.turn += 1
        heapq.heappush(self.due, (hour, self.turn, happens))

    def _next(self, hour: float) -> None:
        """Something happens, by chance."""
        happens = self.rng.choices(
            (self._install, self._scan, self._reboot, self._mishap, self._recall, self._release, self._ask),
            weights=(30, 30, 12, 12, 1, 5, 20 if self.all_wait else 0),
        )[0]
        self._later(hour + self.rng.expovariate(1 / 9), self._next)
        happens(hour)

    # what the vendor and the policy have

    def _names(self) -> list[str]:
        count = self.rng.randint(1, 3)
        return [f"KB500000{number}" if self.windows else f"p{number}.x86_64" for number in range(count)]

    def _package(self, name: str) -> Package:
        rng, versions = self.rng, []
        first = 1 if self.windows else 0
        published = rng.uniform(-200, 400) if self.windows else -2000.0
        for number in range(first, first + rng.randint(1, 4)):
            gone = 1e9
            if number and not self.windows and rng.random() < 0.2:
                gone = published + rng.uniform(24, 400)
            versions.append(Version(number, published, rng.choice(SEVERITIES), gone))
            published = max(published, 0) + rng.expovariate(1 / 200)
        return Package(name, tuple(versions), rng.random() < 0.75, rng.random() < 0.6)

    def _with_needs(self) -> None:
        """Some versions need others: of packages behind their own, so that there is no circle."""
        names = list(self.packages)
        for place, name in enumerate(names[:-1]):
            package = self.packages[name]
            versions = []
            for version in package.versions:
                other = self.packages[self.rng.choice(names[place + 1 :])]
                needed = self.rng.choice(other.versions[-2:])
                fits = needed.published <= version.published and self.rng.random() < 0.8
                versions.append(replace(version, needs=(other.name, needed.number)) if fits else version)
            self.packages[name] = replace(package, versions=tuple(versions))

    def _policy(self) -> Policy:
        rng = self.rng
        if not self.windows:
            self._with_needs()
        days = rng.choice((0, 1, 3, 7, 14))
        soak: dict[str, Any] = {"days": days}
        if rng.random() < 0.5:
            soak |= {rng.choice(("critical", "important", "medium", "low")): rng.choice((0, 1, 2, 10))}
        prod = {
            "name": "prod",
            "production": True,
            "soak": soak,
            "min_nodes": rng.choice((1, 1, 2)),
            "max_failure_percent": rng.choice((0, 5, 34, 60)),
        }
        os = self.product.partition(" ")[0]
        delay = {} if os == "UBUNTU" else {"approve_after_days": 0}
        words = {} if os == "UBUNTU" else {"classification": "SecurityUpdates" if self.windows else "Security"}
        group = {"products": self.product}
        policy: dict[str, Any] = {
            "version": 1,
            "mode": "release",
            "rings": [{"name": "nonprod"}, prod],
            "baselines": [{"name": "b", "os": os, "rules": [{**words, **delay, "compliance": "HIGH"}]}],
            "patch_groups": [{"name": ring, "ring": ring, "baselines": "b", **group} for ring in ("nonprod", "prod")],
            "windows": [
                {
                    "name": "install-prod",
                    "operation": "install",
                    "schedule": "cron(0 3 ? * MON *)",
                    "duration_hours": 4,
                    "patch_groups": "prod",
                }
            ],
        }
        if rng.random() < 0.15:
            policy["exceptions"] = [
                {
                    "owner": "web team",
                    "because": "agreed",
                    "expires": at(rng.uniform(0, self.hours)).date().isoformat(),
                    rng.choice(("patches", "packages")): rng.choice(list(self.packages)),
                }
            ]
        return Policy.model_validate(policy)

    def _node(self, number: int) -> Node:
        ring = ("nonprod", "prod")[number] if number < 2 else self.rng.choice(("nonprod", "nonprod", "prod"))
        node = Node(f"n{number}", ring, self.rng.choice(("here", "there")), {})
        self.images[node.name] = -self.rng.uniform(0, 900)
        self._image(node, self.images[node.name])
        return node

    def _image(self, node: Node, built: float) -> None:
        """A node as its image has it."""
        node.has = dict.fromkeys(self.packages, 0)
        if not self.windows:
            node.has = {name: package.newest(built).number for name, package in self.packages.items()}
        node.came, node.pending, node.waits = dict.fromkeys(node.has, built), set(), set()
        node.failed = set()

    # what happens

    def _install(self, hour: float) -> None:
        """A non-production release, on some of the nodes; now and then its results are lost."""
        for node in self._living("nonprod"):
            if self.rng.random() < 0.7:
                self._patch(
                    node, {name: self.packages[name].newest(hour).number for name in self._wanted(node, hour)}, hour
                )
                if self.rng.random() < 0.85:
                    self._look(node, hour + 0.2, "install")
                node.failed.clear()

    def _wanted(self, node: Node, hour: float) -> list[str]:
        """What the baseline's rules offer a node."""
        return [
            name for name, package in self.packages.items() if package.security and self._lacks(node, package, hour)
        ]

    def _lacks(self, node: Node, package: Package, hour: float) -> bool:
        if not any(one.offered(hour) for one in package.versions):
            return False
        behind = package.newest(hour).number > node.has[package.name]
        return behind and (not self.windows or node.has[package.name] == 0 or package.offered_again)

    def _patch(self, node: Node, wanted: dict[str, int], hour: float) -> list[tuple[str, int]]:
        """Install versions with what they need; what came."""
        came: list[tuple[str, int]] = []
        for name, number in wanted.items():
            if node.has[name] >= number and not self.windows:
                continue  # another one needed it, and has brought it
            if self.rng.random() < self.bad[name, number] * 0.5:
                node.failed.add(name)
                self.attempts.append(Attempt(node.name, name, number, hour, failed=True))
                continue
            came += self._bring(node, name, number, hour, wanted)
        self._note(node, hour)
        return came

    def _bring(self, node: Node, name: str, number: int, hour: float, wanted: dict[str, int]) -> list[tuple[str, int]]:
        if node.has[name] >= number and not self.windows:
            return []
        came = [(name, number)]
        node.has[name], node.came[name] = number, hour
        node.failed.discard(name)  # what it was to get it has now, or more: another one needed it
        node.pending.discard(name)
        node.waits.discard(name)
        if self.rng.random() < (0.1 if self.all_wait else 0.3):
            node.pending.add(name)
        if self.all_wait or name in node.pending:
            node.waits.add(name)
        version = next(one for one in self.packages[name].versions if one.number == number)
        if version.needs and node.has[version.needs[0]] < version.needs[1]:
            other, least = version.needs
            listed = wanted.get(other, -1)
            newest = max((v.number for v in self.packages[other].versions if v.offered(hour)), default=least)
            came += self._bring(node, other, listed if listed >= least else max(newest, least), hour, wanted)
        return came

    def _scan(self, hour: float) -> None:
        for node in self.nodes:
            if node.alive and self.rng.random() < 0.9:
                before = tuple(self.rows)
                found = self._look(node, hour, "scan")
                if node.ring == "prod":
                    issued = self._issued(hour)
                    self.scans.append(
                        (node.name, hour, arrivals(self.policy, found, before, at=at(hour), issued=issued))
                    )

    def _reboot(self, hour: float) -> None:
        for node in self.nodes:
            if node.alive and self.rng.random() < 0.7:
                self._boot(node, hour)

    def _boot(self, node: Node, hour: float) -> None:
        node.pending.clear()
        node.waits.clear()
        self._note(node, hour)

    def _ask(self, hour: float) -> None:
        """Nodes that AWS counts as waiting are asked, reboot where they need it, and are looked at."""
        for node in self._living("nonprod"):
            if node.waits and self.rng.random() < 0.8:
                if node.pending:
                    self._boot(node, hour)
                if self.rng.random() < 0.9:
                    self._look(node, hour + 0.3, "rescan", asked=hour)

    def _mishap(self, hour: float) -> None:
        """A node is put back on an image, replaced, retagged or patched by another patcher."""
        node = self.rng.choice(self.nodes)
        kind = self.rng.choice(("back", "gone", "retag", "other", "launch"))
        if kind == "launch" or not node.alive:
            if len(self.nodes) < 9 and kind == "launch":
                new = self._node(len(self.nodes) + 2)
                self.nodes.append(new)
                self.journal[new.name], self.looks[new.name] = [], []
                self._image(new, hour - self.rng.uniform(0, 700))
                self._note(new, hour)
            return
        if kind == "back":
            self._image(node, hour - self.rng.uniform(0, 600))
        elif kind == "gone":
            node.alive = self.rng.random() < 0.7
        elif kind == "retag":
            if self.rng.random() < 0.3:
                node.ring = "prod" if node.ring == "nonprod" else "nonprod"
        else:
            name = self.rng.choice(list(self.packages))
            offered = [one.number for one in self.packages[name].versions if one.offered(hour)]
            if offered:
                self._bring(node, name, max(offered), hour, {})
        self._note(node, hour)

    def _recall(self, hour: float) -> None:
        name = self.rng.choice(list(self.packages))
        title = f"{name}:{self.rng.choice(self.packages[name].versions).number}"
        patch = name if self.windows or self.rng.random() < 0.5 else title
        self.recalls.append(Recall(patch, "it breaks", "ops", at(hour)))

    # what is seen

    def _look(self, node: Node, hour: float, kind: Any, asked: float | None = None) -> list[Sighted]:
        """Read a node's rows back, as AWS has them; `asked` when it was asked whether it needs a reboot."""
        shown = (self._row(node, package, hour, kind) for package in self.packages.values())
        rows = [replace(row, needless=self._needless(node, row, asked)) for row in shown if row is not None]
        self.rows += rows
        if rows:
            self.looks[node.name].append(hour)
            self.attempts += [Attempt(node.name, name, number, hour, failed=False) for name, number in node.has.items()]
        if kind == "scan":
            node.failed.clear()
        return rows

    def _needless(self, node: Node, row: Sighted, asked: float | None) -> bool:
        waits = row.state == "INSTALLED_PENDING_REBOOT"
        return waits and asked is not None and node.came[row.id] <= asked

    def _row(self, node: Node, package: Package, hour: float, kind: Any) -> Sighted | None:
        here = node.has[package.name]
        known = [one for one in package.versions if one.offered(hour) or one.number == here]
        if not known:
            return None
        newest = max(known, key=lambda one: one.number)
        state, shown = self._state(node, package, here, newest, hour)
        number = 0 if self.windows else shown.number
        return Sighted(
            node=node.name,
            location=node.location,
            ring=node.ring,
            group=node.ring,
            role="web",
            product=self.product,
            id=package.name,
            title=f"{package.name}:{number}",
            classification=("SecurityUpdates" if self.windows else "Security") if package.security else "",
            severity=shown.severity,
            state=state,
            installed=at(node.came[package.name]) if state.startswith("INSTALLED") else None,
            at=at(hour),
            until=at(hour),
            release=f"r{hour}",
            kind=kind,
        )

    def _state(self, node: Node, package: Package, here: int, newest: Version, hour: float) -> tuple[str, Version]:
        own = next((one for one in package.versions if one.number == here), newest)
        if package.name in node.failed:
            return "FAILED", newest
        if package.name in node.waits:
            return "INSTALLED_PENDING_REBOOT", newest  # its title may be a newer one's
        if not package.security:
            if self.windows and not here:
                return "NOT_APPLICABLE", newest
            return "INSTALLED_OTHER", newest if self.rpm else own
        if self._lacks(node, package, hour):
            return "MISSING", newest
        return ("INSTALLED", own) if here or not self.windows else ("MISSING", newest)

    # what is released

    def _release(self, hour: float) -> None:
        """A production release; it may die anywhere, and be retried with the manifest that it had written."""
        rng = self.rng
        expedite = (rng.choice(list(self.packages)),) if rng.random() < 0.1 else ()
        asked = Asked(expedite=expedite, because="KEV" if expedite else None, by="ann" if expedite else None)
        # Where it dies before the manifest is written, the retry makes it anew, from what is known then.
        self._later(hour + (rng.uniform(0.1, 30) if rng.random() < 0.2 else 0), lambda then: self._make(then, asked))

    def _make(self, hour: float, asked: Asked) -> None:
        """Its manifest, which stays what it is from here on; its window, or that of a retry, comes some hours later."""
        rng = self.rng
        made = self._manifest(hour, asked)
        recalls = tuple(one.patch for one in self.recalls)
        wait = rng.uniform(0.1, 14) + (rng.uniform(0.1, 30) if rng.random() < 0.2 else 0)
        self._later(
            hour + wait, lambda then: self._start(then, Released(made, asked, hour, None, recalls, (), (), False))
        )

    def _start(self, hour: float, released: Released) -> None:
        """Its window, unless it is held: by a recall, or a person."""
        made = released.manifest
        if self.rng.random() < 0.1 or made.recalled(self.recalls):
            self.released.append(released)
            return
        before = tuple(self.rows)
        came, found, read = self._open(made, hour)
        issued, end = self._issued(hour + STEP), at(hour + STEP)
        named = arrivals(self.policy, found, before, at=end, manifest=made, began=at(hour), issued=issued)
        self.released.append(replace(released, opened=hour, came=tuple(came), arrivals=named, read=read))

    def _manifest(self, hour: float, asked: Asked) -> Manifest:
        known = Known(tuple(self._shuffled()), tuple(self.recalls), self._issued(hour))
        window, moment = self.policy.windows[0], at(hour)
        return build(self.policy, window, release="r", at=moment, day=moment.date(), asked=asked, known=known)

    def _shuffled(self) -> list[Sighted]:
        """The evidence in any order, sometimes with rows that say the same as one, as the store gives it."""
        rows = merged(self.rows) if self.rng.random() < 0.5 else list(self.rows)
        self.rng.shuffle(rows)
        return rows

    def _issued(self, hour: float) -> dict[str, datetime]:
        if not self.windows:
            return {}
        known = ((name, [v.published for v in p.versions if v.published <= hour]) for name, p in self.packages.items())
        return {name: at(max(dates)) for name, dates in known if dates}

    def _open(self, made: Manifest, hour: float) -> tuple[list[tuple[str, str, int]], list[Sighted], bool]:
        """Install what is requested on production, as nodes do: the newest of what is listed."""
        came: list[tuple[str, str, int]] = []
        found: list[Sighted] = []
        read = self.rng.random() < 0.9
        for node in self._living("prod"):
            wanted = {}
            for name, package in self.packages.items():
                listed = [item.title for item in made.items if item.id == name]
                if self.windows:
                    fits = [package.newest(hour).number] if listed and self._lacks(node, package, hour) else []
                else:
                    numbers = [int(title.rpartition(":")[2]) for title in listed]
                    offered = {one.number for one in package.versions if one.offered(hour)}
                    fits = [number for number in numbers if number > node.has[name] and number in offered]
                if fits:
                    wanted[name] = max(fits)
            came += [(node.name, name, number) for name, number in self._patch(node, wanted, hour + 0.1)]
            if read:
                found += self._look(node, hour + 0.5, "install")
            node.failed.clear()
        return came, found, read

    def _living(self, ring: str) -> list[Node]:
        return [node for node in self.nodes if node.alive and node.ring == ring]

    def _note(self, node: Node, hour: float) -> None:
        self.journal[node.name].append(
            Truth(hour, node.ring, dict(node.has), frozenset(node.pending), frozenset(node.waits), node.alive)
        )


def merged(rows: list[Sighted]) -> list[Sighted]:
    """Rows of a node that say the same at one look after the other, as one that lasts."""
    looks: dict[str, list[datetime]] = {}
    for row in rows:
        if row.at not in looks.setdefault(row.node, []):
            looks[row.node].append(row.at)
    places = {node: {moment: place for place, moment in enumerate(sorted(found))} for node, found in looks.items()}
    open_rows: dict[Any, Sighted] = {}
    done: list[Sighted] = []
    for row in sorted(rows, key=lambda one: one.at):
        key = (row.node, row.id, row.title, row.state, row.ring, row.installed, row.severity, row.needless)
        last = open_rows.get(key)
        if last is not None and places[row.node][row.at] == places[row.node][last.until] + 1:
            open_rows[key] = replace(last, until=row.at)
        else:
            if last is not None:
                done.append(last)
            open_rows[key] = row
    return [*done, *open_rows.values()]
