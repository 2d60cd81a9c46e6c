"""The calendar of a policy: when its windows come, in their own time zones, and what hangs on a start.

    DAG start --lead--> start ... latest start ... last task start (cutoff) ... end

Times are UTC and aware; `local` is the window's zone. Clock changes are those of `sluice.core.schedule`: a
local time that does not exist is skipped, one that comes twice runs once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise, takewhile

from sluice.core.policy.gate import Freeze, Gate
from sluice.core.policy.policy import Policy
from sluice.core.policy.rings import Ring
from sluice.core.policy.slots import groups_of
from sluice.core.policy.windows import Window
from sluice.core.schedule import At, Occurrences, Rate, parse

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One planned time of a window."""

    window: Window
    start: datetime
    freeze: Freeze | None = None
    """The freeze that keeps the gate closed on its day, for a window of production."""

    @property
    def local(self) -> datetime:
        """The start in the window's zone."""
        return self.start.astimezone(self.window.zone)

    @property
    def dag_start(self) -> datetime:
        """When the DAG begins: resolve, manifest, gate, backups."""
        return self.start - timedelta(minutes=self.window.lead_minutes)

    @property
    def end(self) -> datetime:
        """When the window closes."""
        return self.start + self.window.duration

    @property
    def last_task(self) -> datetime:
        """After this no new task starts: the cutoff."""
        return self.end - timedelta(hours=self.window.cutoff_hours)

    @property
    def latest_start(self) -> datetime:
        """The last moment at which it is still opened, later it is `late`.

        The policy's, and never so late that less than the cutoff and one hour are left.
        """
        fits = max(self.start, self.last_task - timedelta(hours=1))
        wanted = self.window.latest_start_minutes
        return fits if wanted is None else min(fits, self.start + timedelta(minutes=wanted))


def occurrences(policy: Policy, window: Window, after: datetime, until: datetime) -> Iterator[Occurrence]:
    """The window's planned times from `after` on and before `until`, soonest first.

    A `rate` counts from `after`: when the window will be created in AWS is not known.
    """
    runs = Occurrences(schedule=parse(window.schedule), anchor=after, zone=window.zone).upcoming(after - _TICK)
    freezes = gate_of(policy, window).freezes if is_gated(policy, window) else ()
    for start in takewhile(lambda run: run < until, runs):
        yield Occurrence(window, start, freeze_on(freezes, local_day(window, start)))


def local_day(window: Window, moment: datetime) -> date:
    """The day of a moment in the window's zone: the one that freezes and waivers count by."""
    return moment.astimezone(window.zone).date()


def rings_of(policy: Policy, window: Window) -> tuple[Ring, ...]:
    """The rings whose patch groups the window reaches, in the policy's order."""
    names = {group.ring for group in groups_of(policy, window)}
    return tuple(ring for ring in policy.rings if ring.name in names)


def is_gated(policy: Policy, window: Window) -> bool:
    """Whether a gate stands before the window: it installs on production."""
    return window.installs and any(ring.production for ring in rings_of(policy, window))


def gate_of(policy: Policy, window: Window) -> Gate:
    """The window's own gate, or the policy's."""
    return policy.gate if window.gate is None else window.gate


def freeze_on(freezes: Sequence[Freeze], day: date) -> Freeze | None:
    """The first of the freezes that a day lies in."""
    return next((freeze for freeze in freezes if freeze.first <= day <= freeze.last), None)


def skipped_times(window: Window, after: datetime, until: datetime) -> tuple[datetime, ...]:
    """Local times (naive) at which the window would start and the clocks jump over them, in that span."""
    zone = window.zone
    wanted = Occurrences(schedule=parse(window.schedule), anchor=after)
    first, last = (moment.astimezone(zone).replace(tzinfo=UTC) for moment in (after, until))
    # Read in UTC, which never skips, a cron gives all the times that it means; only then are they placed.
    if isinstance(wanted.schedule, At | Rate):
        return ()
    clocks = takewhile(lambda run: run < last, wanted.upcoming(first - _TICK))
    return tuple(clock.replace(tzinfo=None) for clock in clocks if not _exists(clock.replace(tzinfo=zone)))


def offset_changes(found: Sequence[Occurrence]) -> tuple[tuple[Occurrence, Occurrence], ...]:
    """Neighbours of one window between which the clocks change: the same local hour is another one in UTC."""
    return tuple(
        (before, then) for before, then in pairwise(found) if before.local.utcoffset() != then.local.utcoffset()
    )


def _exists(local: datetime) -> bool:
    return local.astimezone(UTC).astimezone(local.tzinfo).replace(tzinfo=None) == local.replace(tzinfo=None)
