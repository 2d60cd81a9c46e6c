"""The windows of a policy as weeks: a row a window, a column a day, each in the window's own time zone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sluice.cli.words import cut
from sluice.core.calendar import Occurrence, is_gated, occurrences, offset_changes, rings_of, skipped_times
from sluice.core.policy.policy import Policy
from sluice.core.policy.windows import Window

_LABEL, _CELL = 26, 10


@dataclass(frozen=True, slots=True)
class WindowTimes:
    """A window and its coming times."""

    window: Window
    heading: str
    occurrences: tuple[Occurrence, ...]
    skipped: tuple[datetime, ...]
    """Local times at which it would start and the clocks jump over them."""

    @classmethod
    def of(cls, policy: Policy, window: Window, since: datetime, until: datetime) -> WindowTimes:
        """The window's times in that span, under its heading: its rings."""
        names = [ring.name for ring in rings_of(policy, window)]
        every = len(names) > 1 and len(names) == len(policy.rings)
        heading = "all rings" if every else " + ".join(names) or "no patch group"
        heading += " (gated)" if is_gated(policy, window) else ""
        found = tuple(occurrences(policy, window, since, until))
        return cls(window, heading, found, skipped_times(window, since, until))


def week_grids(times: Sequence[WindowTimes], since: datetime, until: datetime) -> Iterator[list[str]]:
    """The lines of each week of a span of time (UTC); its first and its last week may be parts of one."""
    last = (until - timedelta(microseconds=1)).date()
    monday = since.date() - timedelta(days=since.weekday())
    while monday <= last:
        yield list(_week(times, monday, since.date(), last))
        monday += timedelta(weeks=1)


def _week(times: Sequence[WindowTimes], monday: date, first: date, last: date) -> Iterator[str]:
    """The lines of one week, headings of rings included; what is before the first day or after the last is blank."""
    days = [monday + timedelta(days=number) for number in range(7)]
    year, week, _ = monday.isocalendar()
    yield _row(f"{year} week {week}", [f"{each:%a %m-%d}" for each in days])
    heading = ""
    for each in times:
        if each.heading != heading:
            heading = each.heading
            yield heading
        none = ["." if first <= day <= last else "" for day in days]
        yield _row(f"  {each.window.name}", [_cell(each, day) or blank for day, blank in zip(days, none, strict=True)])


def legend(times: Sequence[WindowTimes]) -> Iterator[str]:
    """What the marks in the grids mean, as far as they occur."""
    if any(occurrence.freeze for each in times for occurrence in each.occurrences):
        yield "x  frozen: the gate stays closed"
    for each in times:
        for before, then in offset_changes(each.occurrences):
            yield (
                f"*  {each.window.name}: clocks change in {each.window.time_zone}: until then"
                f" {before.local:%H:%M} is {before.start:%H:%M} UTC, from {then.local:%d %b %Y} on"
                f" {then.local:%H:%M} is {then.start:%H:%M} UTC"
            )
        for local in each.skipped:
            yield f"!  {each.window.name}: {local:%d %b %Y %H:%M} does not exist in {each.window.time_zone}: skipped"


def _cell(each: WindowTimes, day: date) -> str:
    """Its times on a day; empty: it has none."""
    found = [occurrence for occurrence in each.occurrences if occurrence.local.date() == day]
    missing = [local for local in each.skipped if local.date() == day]
    if not found:
        return f"{missing[0]:%H:%M} --!" if missing else ""
    first = found[0]
    changed = any(then in found for _, then in offset_changes(each.occurrences))
    mark = ("x" if first.freeze else "") + ("*" if changed else "") + ("!" if missing else "")
    length = f"+{len(found) - 1}" if len(found) > 1 else f"{each.window.duration_hours}h"
    return f"{first.local:%H:%M} {length}{mark}"


def _row(label: str, cells: Sequence[str]) -> str:
    return (f"{cut(label, _LABEL - 1):{_LABEL}}" + "".join(f"{cell:{_CELL}}" for cell in cells)).rstrip()
