"""The journey of a patch as a time line: vendor, ring, soak, ring; a column a day (UTC)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from sluice.cli.words import WIDTH, clock, cut, fold, patch_words, span
from sluice.core.approval import Patch, rules_for
from sluice.core.journey import Arrival, Arrivals, Journey, has_soak, soak_days
from sluice.core.lanes import Stage, Stop
from sluice.core.soak import eligible_at

_LABEL = 24
_ROOM = WIDTH - _LABEL

LEGEND = "V vendor   I installed   - waits for its delay   = soaks in the ring before   (days in UTC)"


def time_line(journey: Journey, issued: datetime) -> Iterator[str]:
    """The picture, then each step in words."""
    yield from fold(f"{patch_words(journey.patch)} ({', '.join(journey.lane.products)})")
    yield ""
    yield from _picture(journey, issued)
    yield ""
    for number, stage in enumerate(journey.lane.stages):
        for line in _stage(journey, number, stage, issued):
            yield from fold(line)


def _picture(journey: Journey, issued: datetime) -> Iterator[str]:
    starts = [ring[0].start for ring in (*journey.alone, *journey.ledger) if ring]
    first = issued.date()
    days = (max([issued, *starts]).date() - first).days + 1
    column = max((width for width in (3, 2, 1) if width * days <= _ROOM), default=1)
    shown = min(days, _ROOM // column)
    columns = [first + timedelta(days=number) for number in range(shown)]
    yield _row("", [f"{day:%a}"[:2] if column > 2 else f"{day:%a}"[0] for day in columns], column)
    yield _row("", _dates(columns, column), column)
    yield _row("vendor", ["V"], column)
    for number, stage in enumerate(journey.lane.stages):
        name = stage.ring.name
        if not has_soak(stage):
            yield _row(name, _marks(issued, journey.ledger[number], columns, issued, "-"), column)
            continue
        yield _row(f"{name}, AWS's delay alone", _marks(issued, journey.alone[number], columns, issued, "-"), column)
        since = min((each.shown for each in journey.ledger[number - 1] if each.shown), default=None)
        yield _row(f"{name}, with the ledger", _marks(issued, journey.ledger[number], columns, since, "="), column)


def _dates(columns: list[date], column: int) -> list[str]:
    """The day of the month under each day; where columns are narrow, only Mondays have room."""
    if column > 2:
        return [f"{day:%d}" for day in columns]
    text = [" " * column] * len(columns)
    for place, day in enumerate(columns):
        if day.weekday() == 0 and place + 2 <= len(columns):
            text[place : place + 2] = [f"{day:%d}"[0].ljust(column), f"{day:%d}"[1].ljust(column)]
    return text


def _marks(issued: datetime, arrivals: Arrivals, columns: list[date], since: datetime | None, wait: str) -> list[str]:
    """A mark for each day: waiting since then until it arrives."""
    arrived = arrivals[0].start.date() if arrivals else None
    marks = []
    for day in columns:
        waits = since is not None and since.date() <= day and (arrived is None or day < arrived)
        marks.append("I" if day == arrived else wait if waits else "")
    return marks


def _row(label: str, marks: list[str], column: int) -> str:
    return (f"{cut(label, _LABEL - 1):{_LABEL}}" + "".join(f"{mark:{column}}" for mark in marks)).rstrip()


def _by(stop: Stop, arrivals: Arrivals) -> Arrival | None:
    """What comes by that stop first."""
    return next((each for each in arrivals if each.stop is stop), None)


def _stage(journey: Journey, number: int, stage: Stage, issued: datetime) -> Iterator[str]:
    if not stage.stops:
        yield f"  {stage.ring.name}: no window installs there"
    for stop in stage.stops:
        yield f"  {stage.ring.name}: {stop.window.name}, {stop.baseline.name} ({_delay(stop, journey.patch)})"
        alone = _by(stop, journey.alone[number])
        ledger = _by(stop, journey.ledger[number])
        if not has_soak(stage):
            yield _step("installs", ledger, issued)
            yield from _shown(ledger)
            continue
        days = soak_days(stage, journey.patch)
        yield _step("AWS's delay alone", alone, issued)
        yield from _verdict(alone, days, journey.lane.stages[number - 1])
        yield from _soaked(journey, number, days)
        yield _step("ledger and gate", ledger, issued)
        if ledger:
            yield f"      {'':20}its manifest is made {clock(ledger.occurrence.dag_start)}"


def _step(what: str, arrival: Arrival | None, issued: datetime) -> str:
    if arrival is None:
        return f"      {what:20}never in the time looked at"
    local = arrival.occurrence.local
    zone = "" if arrival.stop.window.time_zone == "UTC" else f" ({local:%a %H:%M} {arrival.stop.window.time_zone})"
    return f"      {what:20}{clock(arrival.start)}{zone}, {span(arrival.start - issued)} after the vendor"


def _shown(arrival: Arrival | None) -> Iterator[str]:
    if arrival is not None:
        when = "never: it needs a reboot and the window makes none" if arrival.shown is None else clock(arrival.shown)
        yield f"      {'shown installed':20}{when}"


def _verdict(arrival: Arrival | None, days: int, before: Stage) -> Iterator[str]:
    if arrival is None:
        return
    ring, soaked = before.ring.name, arrival.soaked
    if soaked is None:
        yield f"      {'':20}breaks the soak of {days} d: {ring} never showed it"
    elif soaked < timedelta(0):
        yield f"      {'':20}breaks the soak of {days} d: {span(-soaked)} before {ring} showed it"
    elif soaked < timedelta(days=days):
        yield f"      {'':20}breaks the soak of {days} d: {span(soaked)} after {ring} showed it"


def _soaked(journey: Journey, number: int, days: int) -> Iterator[str]:
    since = min((each.shown for each in journey.ledger[number - 1] if each.shown), default=None) if number else None
    when = "never: its clock doesn't start" if since is None else f"{clock(eligible_at(since, days))} ({days} d)"
    yield f"      {'soaked':20}{when}"


def _delay(stop: Stop, patch: Patch) -> str:
    """The approval delay in words, the shortest where several rules fit."""
    rules = rules_for(stop.baseline, patch)
    if not rules:
        return "approves no such patch"
    if not patch.os.has_delay:
        return "no delay: its packages have no dates"
    delays = [rule.approve_after_days or 0 for rule in rules if rule.approve_until is None]
    until = [rule.approve_until for rule in rules if rule.approve_until is not None]
    return f"delay {min(delays)} d" if delays else f"up to {max(until)}"
