"""Cron expressions of Systems Manager's maintenance windows.

Six fields, `minutes hours day-of-month month day-of-week year`, with an optional field for seconds in
front of them (UG:reference-cron-and-rate-expressions):

    field           values                wildcards
    seconds         0-59                  , - * /
    minutes         0-59                  , - * /
    hours           0-23                  , - * /
    day-of-month    1-31                  , - * / ? L LW nW
    month           1-12 or JAN-DEC       , - * /
    day-of-week     1-7 or SUN-SAT        , - * / ? L nL n#m
    year            1970-2199             , - * /

Exactly one of day-of-month and day-of-week is `?`. What the page leaves open follows Quartz, with whose
words AWS refuses a day in both fields: `FRI-MON` and `22-2` wrap round, `L` in day-of-week is Saturday,
`nW` is the nearest weekday within the month, `L`, `W` and `#` stand alone. The page says that a zero in
the seconds field is not supported and shows examples that have it: it is taken.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from itertools import islice, pairwise, product, starmap
from typing import Protocol

from sluice.core.errors import ScheduleError

FASTEST_SECONDS = 300
"""Cron expressions that fire faster than every five minutes are not supported (same page)."""

_DAYS_LOOKED_AT = 3000  # enough to meet every weekday on every date of a month


class DayRule(Protocol):
    """Which days of a month an expression means."""

    def of(self, year: int, month: int) -> Sequence[int]:
        """The days of that month, ascending."""


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression: at which times, on which days. Local time of whatever zone it is read in."""

    expression: str
    times: tuple[time, ...]
    """Times of day, ascending."""
    day: DayRule
    months: tuple[int, ...]
    years: tuple[int, ...]

    def dates(self, first: date) -> Iterator[date]:
        """The days that match, ascending, from `first` on; none for a day that never comes (31 February)."""
        for year in self.years:
            if year < first.year:
                continue
            for month in self.months:
                for day in self.day.of(year, month):
                    found = date(year, month, day)
                    if found >= first:
                        yield found


@dataclass(frozen=True, slots=True)
class DaysOfMonth:
    """`1,15`, `*`, `1-7`, `1/2`."""

    days: tuple[int, ...]

    def of(self, year: int, month: int) -> Sequence[int]:
        """See DayRule."""
        last = monthrange(year, month)[1]
        return [day for day in self.days if day <= last]


@dataclass(frozen=True, slots=True)
class LastDay:
    """`L`, and with `weekday` `LW`: the month's last Monday to Friday."""

    weekday: bool = False

    def of(self, year: int, month: int) -> Sequence[int]:
        """See DayRule."""
        last = monthrange(year, month)[1]
        return NearestWeekday(last).of(year, month) if self.weekday else [last]


@dataclass(frozen=True, slots=True)
class NearestWeekday:
    """`15W`: the Monday to Friday nearest to the 15th, never in another month."""

    day: int

    def of(self, year: int, month: int) -> Sequence[int]:
        """See DayRule."""
        first, last = monthrange(year, month)
        if self.day > last:
            return []
        weekday = (first + self.day - 1) % 7
        if weekday == 5:
            return [self.day - 1 if self.day > 1 else self.day + 2]
        if weekday == 6:
            return [self.day + 1 if self.day < last else self.day - 2]
        return [self.day]


@dataclass(frozen=True, slots=True)
class Weekdays:
    """`MON-FRI`, `1,7`; 1 is Sunday."""

    weekdays: tuple[int, ...]

    def of(self, year: int, month: int) -> Sequence[int]:
        """See DayRule."""
        first, last = monthrange(year, month)
        return [day for day in range(1, last + 1) if (first + day) % 7 + 1 in self.weekdays]


@dataclass(frozen=True, slots=True)
class NthWeekday:
    """`TUE#2` the second Tuesday, and with `nth` 0 `6L` the last Friday; 1 is Sunday."""

    weekday: int
    nth: int

    def of(self, year: int, month: int) -> Sequence[int]:
        """See DayRule."""
        days = Weekdays((self.weekday,)).of(year, month)
        if self.nth == 0:
            return days[-1:]
        return days[self.nth - 1 : self.nth]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the expression: its range and the names of its values."""

    name: str
    low: int
    high: int
    names: Mapping[str, int] = field(default_factory=dict)

    def values(self, text: str) -> tuple[int, ...]:
        """The values that a text such as `*`, `0/15`, `1-5,7` or `MON-FRI` means, ascending."""
        return tuple(sorted({value for part in text.split(",") for value in self._part(part)}))

    def number(self, text: str) -> int:
        """One value, by number or name."""
        number = self.names.get(text, int(text) if re.fullmatch("[0-9]{1,4}", text) else None)
        if number is None or not self.low <= number <= self.high:
            raise self.problem(text)
        return number

    def problem(self, found: str) -> ScheduleError:
        """The error for a text that this field does not take."""
        names = f" or {next(iter(self.names))}-{list(self.names)[-1]}" if self.names else ""
        return ScheduleError(f"{self.name}: expected {self.low}-{self.high}{names}, found '{found}'")

    def _part(self, part: str) -> Sequence[int]:
        found = re.fullmatch(r"(?:(\*)|([A-Z0-9]+)(?:-([A-Z0-9]+))?)(?:/([0-9]{1,4}))?", part)
        if found is None:
            raise self.problem(part)
        everything, first, last, step = found.groups()
        if everything:
            span = list(range(self.low, self.high + 1))
        else:
            span = self._span(self.number(first), last, step)
        if step is None:
            return span
        if not 1 <= int(step) <= self.high:
            raise ScheduleError(f"{self.name}: expected an increment of 1-{self.high}, found '{part}'")
        return span[:: int(step)]

    def _span(self, first: int, last: str | None, step: str | None) -> list[int]:
        if last is None:
            return [first] if step is None else list(range(first, self.high + 1))
        end = self.number(last)
        if first <= end:
            return list(range(first, end + 1))
        if self.name == "year":
            raise ScheduleError(f"year: expected an ascending range, found '{first}-{last}'")
        return [*range(first, self.high + 1), *range(self.low, end + 1)]


def _numbered(names: str, first: int = 1) -> dict[str, int]:
    return {name: number for number, name in enumerate(names.split(), first)}


SECONDS = Field("seconds", 0, 59)
MINUTES = Field("minutes", 0, 59)
HOURS = Field("hours", 0, 23)
DAY_OF_MONTH = Field("day-of-month", 1, 31)
MONTH = Field("month", 1, 12, _numbered("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"))
DAY_OF_WEEK = Field("day-of-week", 1, 7, _numbered("SUN MON TUE WED THU FRI SAT"))
YEAR = Field("year", 1970, 2199)


def parse_cron(expression: str, fields: str) -> Cron:
    """Parse what stands between the brackets of `cron(…)`; raises ScheduleError, naming `expression`."""
    try:
        return _parse(expression, fields.upper().split())
    except ScheduleError as problem:
        raise ScheduleError(f"Invalid CRON expression '{expression}': {problem}") from None


def _parse(expression: str, fields: list[str]) -> Cron:
    if len(fields) not in {6, 7}:
        raise ScheduleError(
            "expected 6 fields (minutes hours day-of-month month day-of-week year), or 7 with seconds first, "
            f"found {len(fields)}"
        )
    seconds, minutes, hours, day_of_month, month, day_of_week, year = ["0"] * (7 - len(fields)) + fields
    cron = Cron(
        expression,
        _times(HOURS.values(hours), MINUTES.values(minutes), SECONDS.values(seconds)),
        _day_rule(day_of_month, day_of_week),
        MONTH.values(month),
        YEAR.values(year),
    )
    _check_midnight(cron)
    return cron


def _times(hours: Sequence[int], minutes: Sequence[int], seconds: Sequence[int]) -> tuple[time, ...]:
    times: list[time] = []
    for clock in starmap(time, product(hours, minutes, seconds)):
        if times and _second_of_day(clock) - _second_of_day(times[-1]) < FASTEST_SECONDS:
            raise _too_fast(times[-1], clock)
        times.append(clock)
    return tuple(times)


def _check_midnight(cron: Cron) -> None:
    """The last time of a day and the first of the next are five minutes apart as well."""
    last, first = cron.times[-1], cron.times[0]
    if _second_of_day(first) + 86400 - _second_of_day(last) >= FASTEST_SECONDS:
        return
    days = islice(cron.dates(date.min), _DAYS_LOOKED_AT)
    if any(second - first == timedelta(days=1) for first, second in pairwise(days)):
        raise _too_fast(last, first)


def _too_fast(first: time, second: time) -> ScheduleError:
    return ScheduleError(
        f"expected at least {FASTEST_SECONDS // 60} minutes between two runs, found {first} and {second}"
    )


def _second_of_day(clock: time) -> int:
    return clock.hour * 3600 + clock.minute * 60 + clock.second


def _day_rule(day_of_month: str, day_of_week: str) -> DayRule:
    if day_of_month != "?" and day_of_week != "?":
        raise ScheduleError(
            "Specifying both a day-of-week AND a day-of-month parameter is not supported: "
            f"expected ? in one of them, found '{day_of_month}' and '{day_of_week}'"
        )
    if day_of_month == day_of_week:
        raise ScheduleError("expected a value in day-of-month or day-of-week, found ? in both")
    return _weekday_rule(day_of_week) if day_of_month == "?" else _monthday_rule(day_of_month)


def _monthday_rule(text: str) -> DayRule:
    if text in {"L", "LW"}:
        return LastDay(weekday=text == "LW")
    if found := re.fullmatch("([0-9]{1,2})W", text):
        return NearestWeekday(DAY_OF_MONTH.number(found[1]))
    return DaysOfMonth(DAY_OF_MONTH.values(text))


def _weekday_rule(text: str) -> DayRule:
    if text == "L":
        return Weekdays((7,))
    if found := re.fullmatch("([A-Z0-9]+)#([0-9])", text):
        if not 1 <= int(found[2]) <= 5:
            raise ScheduleError(f"day-of-week: expected the 1st to 5th weekday of the month, found '{text}'")
        return NthWeekday(DAY_OF_WEEK.number(found[1]), int(found[2]))
    if found := re.fullmatch("([1-7]|[A-Z]{3})L", text):
        return NthWeekday(DAY_OF_WEEK.number(found[1]), 0)
    return Weekdays(DAY_OF_WEEK.values(text))
