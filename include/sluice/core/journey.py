"""The journey of one patch from its vendor through the rings, on a policy's windows.

By AWS's delays alone, as if the windows were enabled on their crons: each ring installs at the first window
at which its baseline approves. With the ledger: a ring of production requests at the first window
whose manifest, made when the DAG starts, has the patch; on Windows the baseline must approve too, since there the
list only narrows it; a freeze keeps the gate closed. Other rings install by their delays all the same.

What is assumed, the same for both: a ring's nodes have it and show it (evidence read, rebooted where the
window reboots) when its window ends, and the next ring requests it when its window starts. A re-issue is
known as soon as it is published.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sluice.core import soak
from sluice.core.approval import Patch, approved_after
from sluice.core.calendar import Occurrence, occurrences
from sluice.core.lanes import Lane, Stage, Stop, lanes
from sluice.core.policy.baselines import OperatingSystem
from sluice.core.policy.policy import Policy


@dataclass(frozen=True, slots=True)
class Course:
    """What comes between a patch and the schedules."""

    missed_runs: int = 0
    """Runs of each non-production window that would have installed it, and did not come or failed."""
    reissued_after: timedelta | None = None
    """When its vendor issues it again under the same name."""
    offered_again: bool = True
    """Whether nodes that have the first issue are offered the second; Windows Update may take it for installed."""
    needs_reboot: bool = False
    rebooted: datetime | None = None
    """When a person reboots the non-production nodes, where no window does."""


PLAIN = Course()


@dataclass(frozen=True, slots=True)
class Arrival:
    """An issue of the patch comes to a ring."""

    stop: Stop
    issued: datetime
    """When what arrives was issued: the patch's date, or that of its re-issue."""
    occurrence: Occurrence
    shown: datetime | None
    """When the ring shows it installed, and rebooted where it needs it; None: it never does."""
    before: datetime | None
    """When the ring before showed that issue; None: never, or there is no ring before."""

    @property
    def start(self) -> datetime:
        """When it is requested."""
        return self.occurrence.start

    @property
    def soaked(self) -> timedelta | None:
        """How long the ring before had shown it; None: never. Negative: it shows it only later."""
        return None if self.before is None else self.start - self.before


Arrivals = tuple[Arrival, ...]


class Road:
    """A lane with the planned times of its windows from `first` on and before `until`."""

    def __init__(self, policy: Policy, lane: Lane, first: datetime, until: datetime) -> None:
        self.lane = lane
        names = {stop.window.name: stop.window for stage in lane.stages for stop in stage.stops}
        self._times = {name: tuple(occurrences(policy, window, first, until)) for name, window in names.items()}
        self._starts = {name: [each.start for each in times] for name, times in self._times.items()}

    def travel(self, patch: Patch, issued: datetime, course: Course = PLAIN, *, ledger: bool) -> tuple[Arrivals, ...]:
        """What comes to each ring, by ring and in the order of time.

        With `ledger` under soak and gate, else by AWS's approval delays alone.
        """
        issues = [issued]
        if course.reissued_after is not None:
            issues.append(issued + course.reissued_after)
        found: list[Arrivals] = []
        before: Arrivals = ()
        for stage in self.lane.stages:
            leg = _Leg(self, stage, patch, course, issues, before, ledger=ledger and has_soak(stage))
            before = leg.arrivals()
            found.append(before)
        return tuple(found)

    def times(self, stop: Stop) -> tuple[tuple[Occurrence, ...], list[datetime]]:
        """The planned occurrences of a stop's window, and their starts."""
        return self._times[stop.window.name], self._starts[stop.window.name]


@dataclass(frozen=True, slots=True)
class Journey:
    """One patch on one lane: what comes to each ring, in the order of the rings."""

    lane: Lane
    patch: Patch
    alone: tuple[Arrivals, ...]
    """By AWS's delays alone."""
    ledger: tuple[Arrivals, ...]


def journeys(policy: Policy, patch: Patch, issued: datetime, course: Course = PLAIN) -> tuple[Journey, ...]:
    """The patch on every lane of its operating system; none where the policy's windows install on no such node."""
    roads = (Road(policy, lane, issued, issued + horizon(policy)) for lane in lanes(policy) if lane.os is patch.os)
    return tuple(
        Journey(
            road.lane,
            patch,
            road.travel(patch, issued, course, ledger=False),
            road.travel(patch, issued, course, ledger=True),
        )
        for road in roads
    )


def horizon(policy: Policy) -> timedelta:
    """How long after a release it is looked for: all soaks, the longest delay, and a year of windows."""
    soaks = sum(ring.soak.longest for ring in policy.rings if ring.soak)
    delays = (rule.approve_after_days or 0 for baseline in policy.baselines for rule in baseline.rules)
    return timedelta(days=soaks + max(delays, default=0) + 366)


def soak_days(stage: Stage, patch: Patch) -> int:
    """Days that the ring's own releases demand of the ring before."""
    return stage.ring.soak.for_severity(patch.severity) if stage.ring.soak else 0


def has_soak(stage: Stage) -> bool:
    """Whether the ring's releases wait for a soak in the ring before: production's do, which have a manifest."""
    return stage.ring.production


def _clock(before: Arrivals, issued: datetime) -> datetime | None:
    """The soak clock of an issue on the ring before; a window's nodes are counted as one."""
    sightings = [
        soak.Sighting(each.stop.window.name, each.shown, "installed", installed=each.start)
        for each in before
        if each.shown is not None
    ]
    return soak.clock_start(sightings, issued=issued)


class _Leg:
    """One patch on its way into one ring."""

    def __init__(
        self,
        road: Road,
        stage: Stage,
        patch: Patch,
        course: Course,
        issues: Sequence[datetime],
        before: Arrivals,
        *,
        ledger: bool,
    ) -> None:
        self._road, self._stage, self._patch, self._course = road, stage, patch, course
        self._issues, self._before, self._ledger = issues, before, ledger
        self._clocks = [_clock(before, issue) for issue in issues]
        self._days = soak_days(stage, patch)

    def arrivals(self) -> Arrivals:
        """What comes to the ring by all of its windows."""
        found = [arrival for stop in self._stage.stops for arrival in self._of(stop)]
        return tuple(sorted(found, key=lambda arrival: (arrival.start, arrival.stop.window.name)))

    def _of(self, stop: Stop) -> list[Arrival]:
        approvals = [approved_after(stop.baseline, self._patch, issue) for issue in self._issues]
        missing = 0 if self._stage.ring.production else self._course.missed_runs
        times, starts = self._road.times(stop)
        first, end = self._span(stop, approvals, starts)
        allows = self._manifest_has if self._ledger else self._approves
        found: list[Arrival] = []
        for place in range(first, end):
            issue = self._newest(times[place].start)
            has_it = bool(found) and found[-1].issued == self._issues[issue]
            if has_it or not allows(times[place], approvals):
                continue
            if missing:
                missing -= 1
                continue
            found.append(self._arrival(stop, times[place], issue))
            if issue == len(self._issues) - 1 or not self._course.offered_again:
                break
        return found

    def _span(self, stop: Stop, approvals: Sequence[datetime | None], starts: Sequence[datetime]) -> tuple[int, int]:
        """The places of the occurrences that can matter, so that years without an arrival are not walked."""
        if not self._ledger:
            known = [moment for moment in approvals if moment is not None]
            return (bisect_right(starts, min(known)), len(starts)) if known else (0, 0)
        lead = timedelta(minutes=stop.window.lead_minutes)
        ready = [soak.eligible_at(clock, self._days) for clock in self._clocks if clock is not None]
        if not ready:
            return 0, 0
        end = len(starts) if self._clocks[-1] is not None else bisect_left(starts, self._issues[-1] + lead)
        return bisect_left(starts, min(ready) + lead), end

    def _newest(self, moment: datetime) -> int:
        """The number of the newest issue that is published by then."""
        return max(bisect_right(self._issues, moment) - 1, 0)

    def _approves(self, occurrence: Occurrence, approvals: Sequence[datetime | None]) -> bool:
        moment = approvals[self._newest(occurrence.start)]
        return moment is not None and moment < occurrence.start

    def _manifest_has(self, occurrence: Occurrence, approvals: Sequence[datetime | None]) -> bool:
        made = occurrence.dag_start
        if occurrence.freeze or not soak.is_soaked(self._clocks[self._newest(made)], self._days, made):
            return False
        return self._patch.os is not OperatingSystem.WINDOWS or self._approves(occurrence, approvals)

    def _arrival(self, stop: Stop, occurrence: Occurrence, issue: int) -> Arrival:
        issued = self._issues[issue]
        # What the ring before really had: not what the clocks, which know issues by their dates, say of it.
        shown = (each.shown for each in self._before if each.issued == issued and each.shown is not None)
        return Arrival(stop, issued, occurrence, self._shown(stop, occurrence), min(shown, default=None))

    def _shown(self, stop: Stop, occurrence: Occurrence) -> datetime | None:
        if not self._course.needs_reboot or stop.window.reboot.when != "never":
            return occurrence.end
        by_hand = self._course.rebooted
        return None if by_hand is None or by_hand < occurrence.end else by_hand
