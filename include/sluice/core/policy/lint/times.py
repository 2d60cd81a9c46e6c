"""Windows and time: schedules that never come or overlap, daylight saving, Patch Tuesday."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import chain, combinations, pairwise
from typing import TypeAlias

from sluice.core.os_product import operating_system
from sluice.core.policy.baselines import Baseline
from sluice.core.policy.lint.quotas import WINDOWS
from sluice.core.policy.lint.runs import clock_changes, lists_days, patch_tuesdays, runs, runs_of
from sluice.core.policy.lint.subject import WINDOWS_OS, Found, Subject
from sluice.core.policy.rings import Ring
from sluice.core.policy.windows import Window
from sluice.core.yaml_text import Path

Timing: TypeAlias = tuple[str, str, int]
"""Schedule, time zone and hours of a window."""

_IDLE_DAYS = 3
"""Days that a soaked patch may wait for its window before it is asked about."""


def check(subject: Subject) -> Iterator[Found]:
    """Every window's schedule, by itself and beside the others."""
    for index, window in enumerate(subject.policy.windows):
        at: Path = ("windows", index, "schedule")
        yield from _comes(subject, window, at)
        yield from _overlaps_itself(subject, window, at)
        yield from _clock_changes(subject, window, at)
    yield from _overlaps(subject)
    for index, window in subject.production_installs:
        yield from _patch_tuesday(subject, index, window)


def _comes(subject: Subject, window: Window, at: Path) -> Iterator[Found]:
    found = runs(window, subject.today)
    if not found:
        yield Found(
            "P175",
            at,
            f"expected a run within a year from {subject.today}, found none: no such day comes; correct the schedule",
        )
    elif window.schedule.startswith("at("):
        yield Found(
            "P174",
            at,
            f"expected a schedule that comes back, found one run on {found[0]:%Y-%m-%d}: use cron(…) unless that is "
            "meant",
        )


def _overlaps_itself(subject: Subject, window: Window, at: Path) -> Iterator[Found]:
    for first, second in pairwise(runs(window, subject.today)):
        if second - first < window.duration:
            yield Found(
                "P176",
                at,
                f"expected the next run after the window's {window.duration_hours} hours, found {_moment(first)} and "
                f"{_moment(second)}: AWS skips a run while one is open; let it run less often, or shorten it",
            )
            return


def _clock_changes(subject: Subject, window: Window, at: Path) -> Iterator[Found]:
    if not lists_days(window):
        return
    found = clock_changes(window.schedule, window.time_zone, subject.today)
    if not found:
        return
    dates = ", ".join(f"{local:%Y-%m-%d %H:%M} ({what})" for local, what in found)
    yield Found(
        "P178",
        at,
        f"expected a time that every day has once in {window.time_zone}, found {dates} within two years: a skipped run "
        "does not come, a doubled one comes once; choose an hour that the clocks leave alone",
    )


def _overlaps(subject: Subject) -> Iterator[Found]:
    """Pairs of windows that are open on the same nodes at once."""
    if len(subject.policy.windows) > WINDOWS:  # is refused anyway
        return
    for (first, one), (second, other) in combinations(enumerate(subject.policy.windows), 2):
        shared = {group.name for group in subject.reach[first]} & {group.name for group in subject.reach[second]}
        if not shared:
            continue
        times = _common(_timing(one), _timing(other), subject.today)
        if times:
            yield Found(
                "P177",
                ("windows", second, "schedule"),
                f"expected windows of the same nodes one after the other, found {one.name} and {other.name} open "
                f"together on {len(times)} days of the next year, first {_moment(times[0])} UTC (patch group "
                f"{min(shared)}): move one; patching that overlaps on a node fails without a message",
            )


def _timing(window: Window) -> Timing:
    return window.schedule, window.time_zone, window.duration_hours


@lru_cache(maxsize=256)
def _common(one: Timing, other: Timing, today: date) -> tuple[datetime, ...]:
    """Moments, one a run, at which both are open; many windows of a policy have the same times."""
    starts = runs_of(*other[:2], today)
    common: list[datetime] = []
    for start in runs_of(*one[:2], today):
        before = bisect_left(starts, start + timedelta(hours=one[2])) - 1
        if before >= 0 and starts[before] + timedelta(hours=other[2]) > start:
            common.append(max(start, starts[before]))
    return tuple(common)


def _moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M}"


def _patch_tuesday(subject: Subject, index: int, window: Window) -> Iterator[Found]:
    """How long Microsoft's monthly updates take to production, where they idle after their soak.

    A soak starts with the first window of the ring before, and must be over when the release makes its
    manifest, which is its lead before the window.
    """
    ring = next((ring for ring in subject.reached_rings[index] if ring.production), None)
    windows_baselines = _windows_baselines(subject, index)
    if ring is None or ring.soak is None or not windows_baselines:
        return
    before = _windows_installs_before(subject, ring)
    production = runs(window, subject.today)
    delay = max((rule.approve_after_days or 0 for one in windows_baselines for rule in one.rules), default=0)
    found: list[tuple[datetime, datetime, datetime]] = []
    for released in patch_tuesdays(subject.today):
        installed = _first(before, released)
        if installed is None:
            continue
        ready = max(installed + timedelta(days=ring.soak.days), released + timedelta(days=delay))
        reached = _first(production, ready + timedelta(minutes=window.lead_minutes))
        if reached is not None:
            found.append((released, ready, reached))
    if found and max(reached - ready for _, ready, reached in found) >= timedelta(days=_IDLE_DAYS):
        yield Found("P179", ("windows", index, "schedule"), _lag(window, found))


def _windows_baselines(subject: Subject, index: int) -> list[Baseline]:
    groups = [group for group in subject.reach[index] if any(operating_system(p) == WINDOWS_OS for p in group.products)]
    baselines = [subject.baselines[name] for group in groups for name in group.baselines]
    return [baseline for baseline in baselines if baseline.os == WINDOWS_OS]


def _windows_installs_before(subject: Subject, ring: Ring) -> Sequence[datetime]:
    """Starts of the windows that install on Windows nodes of the ring before."""
    before = subject.ring_before(ring.name)
    starts = (
        runs(window, subject.today)
        for index, window in subject.installs
        if before in subject.reached_rings[index] and _windows_baselines(subject, index)
    )
    return sorted(chain.from_iterable(starts))


def _first(starts: Sequence[datetime], since: datetime) -> datetime | None:
    """The first start after `since`."""
    position = bisect_right(starts, since)
    return starts[position] if position < len(starts) else None


def _lag(window: Window, found: Sequence[tuple[datetime, datetime, datetime]]) -> str:
    lags = [(reached - released).total_seconds() / 86400 for released, _, reached in found]
    released, ready, reached = max(found, key=lambda times: times[2] - times[1])
    idle = (reached - ready).total_seconds() / 86400
    days = " to ".join(dict.fromkeys(f"{lag:.1f}" for lag in (min(lags), max(lags))))
    return (
        f"expected Patch Tuesday's updates soon after their soak, found {days} days from "
        f"Microsoft's release to {window.name}: those of {released:%Y-%m-%d} have soaked by {_moment(ready)} UTC and "
        f"wait {idle:.1f} days for {_moment(reached)} UTC (the manifest is made {window.lead_minutes} minutes before "
        "that); move the window to a later hour or day, or waive this where "
        "that is agreed"
    )
