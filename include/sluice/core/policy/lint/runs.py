"""When windows run, for the rules that compare them: the next year of a schedule, computed once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from sluice.core import schedule as schedules
from sluice.core.cron import Cron
from sluice.core.policy.windows import Window
from sluice.core.schedule import Occurrences

YEAR = timedelta(days=366)
MOST = 9_000
"""Runs looked at: more than one an hour for a year."""


def runs(window: Window, today: date) -> tuple[datetime, ...]:
    """The starts of a window within a year from `today` (00:00 UTC), ascending, in UTC.

    A rate, whose first run depends on when the window is created, counts from `today`.
    """
    return runs_of(window.schedule, window.time_zone, today)


@lru_cache(maxsize=1024)
def runs_of(expression: str, zone: str, today: date) -> tuple[datetime, ...]:
    """As `runs`, of a schedule in a zone."""
    start = datetime.combine(today, time.min, UTC)
    occurrences = Occurrences.of(expression, anchor=start, timezone=zone)
    until = start + YEAR
    return tuple(islice(takewhile(lambda run: run < until, occurrences.upcoming(start - timedelta(seconds=1))), MOST))


def open_times(window: Window, today: date) -> Iterator[tuple[datetime, datetime]]:
    """Start and end of each run; the clocks may change in between, the length never does."""
    return ((start, start + window.duration) for start in runs(window, today))


def lists_days(window: Window) -> bool:
    """Whether it is a cron expression, which runs on days of a calendar."""
    return window.schedule.startswith("cron")


@lru_cache(maxsize=1024)
def clock_changes(expression: str, zone_name: str, today: date) -> tuple[tuple[datetime, str], ...]:
    """Local times of a cron expression that daylight saving skips or doubles within two years, and which."""
    cron = schedules.parse(expression)
    if not isinstance(cron, Cron):
        return ()
    zone = ZoneInfo(zone_name)
    changes = _changes(zone_name, today)
    if not changes:
        return ()
    wanted = set(takewhile(lambda day: day <= changes[-1], cron.dates(changes[0])))
    found: list[tuple[datetime, str]] = []
    for day in changes:
        for clock in cron.times if day in wanted else ():
            what = _ambiguity(datetime.combine(day, clock), zone)
            if what:
                found.append((datetime.combine(day, clock), what))
    return tuple(found)


def _ambiguity(local: datetime, zone: ZoneInfo) -> str | None:
    first, second = (local.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    if first == second or first is None or second is None:
        return None
    return "doubled" if first > second else "skipped"


@lru_cache(maxsize=256)
def _changes(zone_name: str, today: date) -> tuple[date, ...]:
    """Days within two years on which the zone's clocks change, ascending."""
    zone = ZoneInfo(zone_name)
    days = [today + timedelta(days=number) for number in range(2 * 366)]
    offsets = [datetime.combine(day, time.min, zone).utcoffset() for day in [*days, days[-1] + timedelta(days=1)]]
    return tuple(day for day, before, after in zip(days, offsets, offsets[1:], strict=False) if before != after)


def patch_tuesdays(today: date) -> Iterator[datetime]:
    """The next twelve second Tuesdays, 10:00 in Seattle, in UTC: when Microsoft publishes its updates."""
    occurrences = Occurrences.of(
        "cron(0 10 ? * TUE#2 *)",
        anchor=datetime.combine(today, time.min, UTC),
        timezone="America/Los_Angeles",
    )
    return islice(occurrences.upcoming(datetime.combine(today, time.min, UTC)), 12)
