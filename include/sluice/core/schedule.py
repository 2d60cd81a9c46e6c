"""Schedules of maintenance windows: what an expression means and when it fires next.

    cron(0 2 ? * TUE#2 *)      see `sluice.core.cron`; in the window's time zone, UTC without one
    rate(7 days)               1 minute, hour or day; otherwise minutes, hours or days
    at(2025-06-10T02:00:00)    once, always in UTC (seconds may be left out)

(UG:reference-cron-and-rate-expressions, UG:maintenance-windows-schedule-options.)

What AWS does not document for Systems Manager, and what is assumed here:

- Daylight saving, as EventBridge Scheduler documents it for itself: a local time that does not exist on a
  day is skipped, one that comes twice runs once, the first time.
- A rate counts from `anchor` (when the window was created, its schedule set or it was enabled again) and
  first fires one interval after it, as AWS's sample execution history shows. A start date in the future
  takes the anchor's place and is itself the first run, as the second example of the page reads.
- A start or end date without an offset is in UTC. (The page allows it; AWS was seen to refuse it.)
- ScheduleOffset is taken with every cron expression, as documented. (AWS was seen to take it only with
  `#` or `L` in day-of-week.)
- ScheduleTimezone does not shift `at()`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TypeAlias
from zoneinfo import ZoneInfo

from sluice.core.cron import Cron, parse_cron
from sluice.core.errors import ScheduleError

OFFSET_DAYS = range(1, 7)
"""Days that a ScheduleOffset may have."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Every `interval` of elapsed time: a day is 24 hours, whatever the clocks do."""

    expression: str
    interval: timedelta


@dataclass(frozen=True, slots=True)
class At:
    """Once, at `when` (UTC)."""

    expression: str
    when: datetime


Schedule: TypeAlias = Cron | Rate | At


def parse(expression: str) -> Schedule:
    """Read a schedule expression. Raises ScheduleError, which says what was expected."""
    kind, _, rest = expression.partition("(")
    readers: dict[str, Callable[[str, str], Schedule]] = {"cron": parse_cron, "rate": _parse_rate, "at": _parse_at}
    if kind not in readers or not rest.endswith(")"):
        raise ScheduleError(
            "Schedule expressions must have the following syntax: rate(<number> minutes|hours|days), "
            "cron(<minutes hours day-of-month month day-of-week year>) or at(yyyy-MM-ddTHH:mm:ss), "
            f"found '{expression}'"
        )
    return readers[kind](expression, rest[:-1])


def _parse_rate(expression: str, text: str) -> Rate:
    found = re.fullmatch(r"([0-9]{1,9}) (minute|hour|day)(s?)", text)
    if found is None:
        raise ScheduleError(f"Invalid rate expression '{expression}': expected a number and minutes, hours or days")
    number, unit, plural = int(found[1]), found[2], bool(found[3])
    if number == 0:
        raise ScheduleError(f"Invalid schedule frequency '{expression}': expected a number above 0")
    if plural != (number > 1):
        wanted = unit if number == 1 else f"{unit}s"
        raise ScheduleError(f"Invalid rate expression '{expression}': expected rate({number} {wanted})")
    return Rate(expression, timedelta(**{f"{unit}s": number}))


def _parse_at(expression: str, text: str) -> At:
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?", text, re.ASCII):
            raise ValueError(text)
        return At(expression, datetime.fromisoformat(text).replace(tzinfo=UTC))
    except ValueError:
        raise ScheduleError(
            f"Invalid schedule at DateTime expression '{expression}': "
            "expected at(yyyy-MM-ddTHH:mm:ss) in UTC, without a time zone"
        ) from None


def parse_zone(name: str) -> ZoneInfo:
    """The IANA time zone of that name, e.g. `Europe/Paris`. Raises ScheduleError for another."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, a path out of the database, a directory of it
        raise ScheduleError(
            f"{name} is a malformed timezone. Please refer to the IANA time zone database for a valid timezones."
        ) from None


def parse_instant(text: str) -> datetime:
    """A StartDate or EndDate: ISO-8601 extended, e.g. `2025-06-01T00:00:00+02:00`; UTC without an offset."""
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?", text, re.ASCII):
            raise ValueError(text)
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):  # its UTC may lie outside the years 1 to 9999
        raise ScheduleError(
            f"DateTime {text} is malformed, format either must contain an offset - "
            "e.g. '2018-01-01T00:00:00-02:00' or '2018-01-01T00:00:00Z'"
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrences:
    """When a schedule fires. All times that go in are aware, all that come out are in UTC.

    `offset` (days, 0 for none) moves each run of a cron expression on in local time. A run whose base
    day was past at `anchor` is lost even if the day it is moved to was still to come (UG:reference-
    cron-and-rate-expressions). `start` and `end` bound the runs, both included.
    """

    schedule: Schedule
    anchor: datetime
    zone: tzinfo = UTC
    offset: int = 0
    start: datetime | None = None
    end: datetime | None = None

    def __post_init__(self) -> None:
        if self.offset and not isinstance(self.schedule, Cron):
            raise ScheduleError(
                "An offset can't be added to the specified schedule: "
                f"expected a cron expression, found '{self.schedule.expression}'"
            )
        if self.offset and self.offset not in OFFSET_DAYS:
            raise ScheduleError(f"expected a schedule offset of 1-6 days, found {self.offset}")
        if self.start and self.end and self.start >= self.end:
            raise ScheduleError(
                "Window start date must be before window end date, "
                f"found {self.start.isoformat()} and {self.end.isoformat()}"
            )

    @classmethod
    def of(
        cls,
        expression: str,
        *,
        anchor: datetime,
        timezone: str | None = None,
        offset: int | None = None,
        start_date: str | None = None,
        end_date: str | None = None,
    ) -> Occurrences:
        """Read the schedule members of a maintenance window as the API has them. Raises ScheduleError."""
        return cls(
            schedule=parse(expression),
            anchor=anchor,
            zone=parse_zone(timezone) if timezone else UTC,
            offset=offset or 0,
            start=parse_instant(start_date) if start_date else None,
            end=parse_instant(end_date) if end_date else None,
        )

    def after(self, when: datetime) -> datetime | None:
        """The first run later than `when`, None if there is none."""
        return next(self.upcoming(when), None)

    def upcoming(self, when: datetime) -> Iterator[datetime]:
        """The runs later than `when`, soonest first; a cron or rate expression may have no last one."""
        since = when if self.start is None else max(when, self.start)
        for run in self._runs(since):
            if self.end is not None and run > self.end:
                return
            if run > when and run >= since:
                yield run

    def _runs(self, since: datetime) -> Iterator[datetime]:
        """The runs from `since` on, and perhaps some before it."""
        if isinstance(self.schedule, At):
            yield self.schedule.when
        elif isinstance(self.schedule, Rate):
            yield from self._rate_runs(self.schedule.interval, since)
        else:
            yield from self._cron_runs(self.schedule, since)

    def _rate_runs(self, interval: timedelta, since: datetime) -> Iterator[datetime]:
        anchor = self.anchor.astimezone(UTC)
        try:
            first = anchor + interval
            if self.start is not None and self.start > anchor:
                first = self.start.astimezone(UTC)
            run = first + interval * max(0, (since - first) // interval)
            while True:
                yield run
                run += interval
        except OverflowError:  # later than the year 9999: never
            return

    def _cron_runs(self, cron: Cron, since: datetime) -> Iterator[datetime]:
        shift = timedelta(days=self.offset)
        try:
            first = since.astimezone(self.zone).date() - shift
        except OverflowError:  # later than the year 9999: never
            return
        for day in cron.dates(first):
            for clock in cron.times:
                if self.offset and datetime.combine(day, clock, self.zone) < self.anchor:
                    continue
                run = self._instant(day + shift, clock)
                if run is not None:
                    yield run

    def _instant(self, day: date, clock: time) -> datetime | None:
        """A local time in UTC, the first of two; None when the clocks skip it."""
        local = datetime.combine(day, clock, self.zone)
        run = local.astimezone(UTC)
        skipped = run.astimezone(self.zone).replace(tzinfo=None) != local.replace(tzinfo=None)
        return None if skipped else run
