"""The proof of a policy's soak: every release date, every operating system, and what goes wrong on the way.

First by AWS's approval delays alone, where the soak breaks: the first counterexample of each kind. Then with
the ledger and the policy's own schedules, where it must not: nothing is requested for a ring before the ring
before it has shown that very issue for the days of soak. A soak of 0 days is none, and breaks it.

What "has shown it" is taken from what each ring installs, not from the clocks by which the ledger decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from statistics import median

from sluice.core.approval import Patch, rules_for
from sluice.core.journey import PLAIN, Arrival, Arrivals, Course, Road, has_soak, horizon, soak_days
from sluice.core.lanes import Lane, Stop, lanes
from sluice.core.policy.baselines import OperatingSystem
from sluice.core.policy.policy import Policy
from sluice.core.policy.rings import SEVERITIES

PUBLISHED = (time(0), time(17))
"""Hours (UTC) at which each day's patches are taken to come out: at its first moment, and when Microsoft's do."""

KINDS = {
    "no_twin": "an OS product that the ring before doesn't have",
    "no_delay": "an operating system without approval delay",
    "reissued": "a re-issued Windows patch",
    "late": "a late or failed non-prod run",
    "friday": "a Friday patch and a Monday window",
    "reboot": "a patch that needs a reboot which the ring before never makes",
    "short": "any other patch",
}
"""Kinds of counterexamples, and what they are."""

REBOOT = Course(needs_reboot=True)
LATE = tuple(Course(missed_runs=runs) for runs in (1, 5))
REISSUED = tuple(
    Course(reissued_after=timedelta(days=days), offered_again=again) for days in (1, 6, 13) for again in (False, True)
)


@dataclass(frozen=True, slots=True)
class Request:
    """What a ring is asked to install at an occurrence, held against the soak in the ring before."""

    lane: Lane
    patch: Patch
    course: Course
    issued: datetime
    days: int
    """Days of soak that the ring demands."""
    before: Arrivals
    """What came to the ring before."""
    arrival: Arrival

    @property
    def stage(self) -> int:
        """The place of the ring on the lane."""
        return next(place for place, stage in enumerate(self.lane.stages) if self.arrival.stop in stage.stops)

    @property
    def stops_before(self) -> tuple[Stop, ...]:
        """By what the ring before installs."""
        return self.lane.stages[self.stage - 1].stops if self.stage else ()

    @property
    def kind(self) -> str:
        """One of KINDS."""
        for kind, fits in (
            ("no_twin", not self.stops_before),
            ("no_delay", not self.lane.os.has_delay),
            ("reissued", self.course.reissued_after is not None),
            ("late", self.course.missed_runs > 0),
            ("reboot", self.course.needs_reboot),
            ("friday", self.issued.isoweekday() == 5 and self.arrival.occurrence.local.isoweekday() == 1),
        ):
            if fits:
                return kind
        return "short"


@dataclass(slots=True)
class Tally:
    """How often a check was made, how often it failed, and where first."""

    tried: int = 0
    broken: int = 0
    first: Request | None = None

    def count(self, request: Request, *, broken: bool) -> None:
        """Take one more check into account; of several failures the one with the earliest date is kept."""
        self.tried += 1
        if broken:
            self.broken += 1
            if self.first is None or request.issued < self.first.issued:
                self.first = request


@dataclass(slots=True)
class Days:
    """Days from the vendor's date to a ring, of many releases."""

    values: list[float] = field(default_factory=list)
    never: int = 0
    """Releases that do not come within the time looked at."""

    @property
    def median(self) -> float | None:
        """The middle one; None without any."""
        return median(self.values) if self.values else None

    @property
    def worst(self) -> float | None:
        """The longest; None without any."""
        return max(self.values, default=None)

    def add(self, issued: datetime, arrivals: Arrivals, stop: Stop | None = None) -> None:
        """Take one release into account: its first arrival, by that stop where one is named."""
        starts = [each.start for each in arrivals if stop is None or each.stop is stop]
        if starts:
            self.values.append((min(starts) - issued) / timedelta(days=1))
        else:
            self.never += 1


@dataclass(slots=True)
class Row:
    """How long patches of one operating system and severity take."""

    os: OperatingSystem
    severity: str
    nonprod: Days = field(default_factory=Days)
    """To the first ring."""
    alone: Days = field(default_factory=Days)
    """To production, by AWS's delays alone."""
    ledger: Days = field(default_factory=Days)
    """To production, with ledger and gate."""
    reboot: Days = field(default_factory=Days)
    """The same, for patches that need a reboot."""


@dataclass(slots=True)
class Proof:
    """What was found."""

    first: date
    last: date
    releases: int = 0
    """Moments at which a patch was published."""
    alone: dict[str, Tally] = field(default_factory=lambda: {kind: Tally() for kind in KINDS})
    ledger: Tally = field(default_factory=Tally)
    least_soak: timedelta | None = None
    """The least time that anything had been shown in the ring before when it was requested, with the ledger."""
    rows: dict[tuple[OperatingSystem, str], Row] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether the ledger's invariant held for everything that was tried."""
        return not self.ledger.broken


def prove(policy: Policy, first: date, last: date) -> Proof:
    """Try every release date from `first` to `last`, both included, on every lane of the policy."""
    proof = Proof(first, last)
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    moments = [datetime.combine(day, clock, UTC) for day in days for clock in PUBLISHED]
    proof.releases = len(moments)
    for lane in lanes(policy):
        road = Road(policy, lane, moments[0], moments[-1] + horizon(policy))
        for severities in _alike(lane):
            trial = _Trial(proof, road, severities)
            for issued in moments:
                trial.run(issued)
    return proof


def _alike(lane: Lane) -> list[list[str]]:
    """The severities, those together for which all rules and soaks of the lane are the same."""
    groups: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for severity in SEVERITIES:
        patch = Patch.security(lane.os, severity)
        delays = tuple(
            tuple((rule.approve_after_days, rule.approve_until) for rule in rules_for(stop.baseline, patch))
            for stage in lane.stages
            for stop in stage.stops
        )
        groups[delays, tuple(soak_days(stage, patch) for stage in lane.stages)].append(severity)
    return list(groups.values())


class _Trial:
    """All releases of some severities on one lane, entered into the proof."""

    def __init__(self, proof: Proof, road: Road, severities: Sequence[str]) -> None:
        self._proof, self._road, self._lane = proof, road, road.lane
        self._patch = Patch.security(self._lane.os, severities[0])
        self._rows = [proof.rows.setdefault((self._lane.os, each), Row(self._lane.os, each)) for each in severities]
        self._nasty = (REBOOT, *LATE, *(REISSUED if self._lane.os is OperatingSystem.WINDOWS else ()))

    def run(self, issued: datetime) -> None:
        """One release, on every course."""
        alone = self._alone(issued, PLAIN)
        plain = self._with_ledger(issued, PLAIN)
        sound = all(self._sound(days, arrival) for days, _, arrival in _requests(self._lane, self._patch, alone))
        for course in self._nasty:
            travelled = self._with_ledger(issued, course)
            if course is REBOOT:
                self._measure(issued, alone, plain, travelled)
            if sound and self._lane.os.has_delay:  # else the course is not what breaks it
                self._alone(issued, course)

    def _alone(self, issued: datetime, course: Course) -> tuple[Arrivals, ...]:
        travelled = self._road.travel(self._patch, issued, course, ledger=False)
        for days, before, arrival in _requests(self._lane, self._patch, travelled):
            request = Request(self._lane, self._patch, course, issued, days, before, arrival)
            self._proof.alone[request.kind].count(request, broken=not self._sound(days, arrival))
        return travelled

    def _with_ledger(self, issued: datetime, course: Course) -> tuple[Arrivals, ...]:
        travelled = self._road.travel(self._patch, issued, course, ledger=True)
        for days, before, arrival in _requests(self._lane, self._patch, travelled):
            request = Request(self._lane, self._patch, course, issued, days, before, arrival)
            self._proof.ledger.count(request, broken=days == 0 or not self._sound(days, arrival))
            if arrival.soaked is not None:
                least = self._proof.least_soak
                self._proof.least_soak = arrival.soaked if least is None else min(least, arrival.soaked)
        return travelled

    @staticmethod
    def _sound(days: int, arrival: Arrival) -> bool:
        return arrival.soaked is not None and arrival.soaked >= timedelta(days=days)

    def _measure(
        self,
        issued: datetime,
        alone: Sequence[Arrivals],
        plain: Sequence[Arrivals],
        rebooted: Sequence[Arrivals],
    ) -> None:
        for row in self._rows:
            row.nonprod.add(issued, plain[0])
            for number, stage in enumerate(self._lane.stages):
                for stop in stage.stops if stage.ring.production else ():
                    row.alone.add(issued, alone[number], stop)
                    row.ledger.add(issued, plain[number], stop)
                    row.reboot.add(issued, rebooted[number], stop)


def _requests(lane: Lane, patch: Patch, travelled: Sequence[Arrivals]) -> Iterator[tuple[int, Arrivals, Arrival]]:
    """What rings with a soak request: the days that they demand, what the ring before got, the arrival."""
    for number, stage in enumerate(lane.stages):
        if has_soak(stage):
            for arrival in travelled[number]:
                yield soak_days(stage, patch), travelled[number - 1] if number else (), arrival
