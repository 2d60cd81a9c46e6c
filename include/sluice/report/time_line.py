"""The time line of a release as geometry, in pixels from the top left: the template draws it.

A lane for each location, or where there are many one for each kind of execution in each wave; above them what all
locations share: how long was waited behind each wave.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sluice.core.policy.window_steps import moment_of
from sluice.report.story import Row, Story

WIDTH, LEFT, RIGHT = 1000, 215, 26
LANE, BAR, TOP = 34, 20, 30
LOCATIONS_AT_MOST = 12
"""More than that are one lane for each wave and kind."""
TICKS_AT_MOST = 9
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080, 43200, 525600)
"""Minutes between ticks."""
KINDS = ("scan", "install", "reboot", "rescan", "ask", "step", "settle")
"""As the legend has them."""
NARROWEST = 4.0
LETTER = 6.2
"""Pixels of a letter on a bar, about."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that lasted."""

    x: float
    y: float
    width: float
    kind: str
    """scan, install, reboot, rescan, ask, step or settle: how it is drawn."""
    label: str
    """What stands on it; empty where it does not fit."""
    told: str
    """What it is, whole."""
    bad: bool = False
    """Whether something failed in it."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A row of bars."""

    y: float
    label: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Picture:
    """All of it."""

    height: float
    lanes: tuple[Lane, ...]
    ticks: tuple[Mark, ...]
    window: tuple[float, float] | None
    """From where to where the window was planned to be open."""
    cutoff: float | None
    begins: datetime
    ends: datetime
    kinds: tuple[str, ...] = ()
    """What the legend explains."""
    width: float = WIDTH
    left: float = LEFT
    right: float = RIGHT
    top: float = TOP
    lane: float = LANE
    bar: float = BAR


def draw(story: Story) -> Picture | None:
    """The picture; None where nothing was opened."""
    done = [row for row in story.executions if row["start"] is not None]
    if not done:
        return None
    return _Drawing(story, done).picture()


@dataclass(slots=True)
class _Drawing:
    story: Story
    done: Sequence[Row]
    begins: datetime = field(init=False)
    ends: datetime = field(init=False)

    def __post_init__(self) -> None:
        moments = [moment for row in self.done for moment in (row["start"], row["end"]) if moment]
        moments += [row["until"] for row in self.story.settles if row["until"]]
        moments += [moment for moment in self._planned() if moment]
        self.begins = min(moments)
        self.ends = max(*moments, self.begins + timedelta(minutes=2))

    def picture(self) -> Picture:
        lanes = list(self._lanes())
        start, end, cutoff = self._planned()
        kinds = [bar.kind for lane in lanes for bar in lane.bars]
        return Picture(
            height=TOP + LANE * len(lanes) + 34,
            lanes=tuple(lanes),
            ticks=tuple(self._ticks()),
            window=(self._x(start), self._x(end)) if start and end else None,
            cutoff=self._x(cutoff) if cutoff else None,
            begins=self.begins,
            ends=self.ends,
            kinds=tuple(kind for kind in KINDS if kind in kinds),
        )

    def _planned(self) -> tuple[datetime | None, datetime | None, datetime | None]:
        planned: dict[str, Any] = self.story.outcome.get("planned") or {}
        start, end, cutoff = (planned.get(name) for name in ("start", "end", "cutoff"))
        return _moment(start), _moment(end), _moment(cutoff)

    def _x(self, moment: datetime) -> float:
        share = (moment - self.begins) / (self.ends - self.begins)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def _lanes(self) -> Iterator[Lane]:
        number = 0
        settles = [row for row in self.story.settles if row["from"] and row["until"]]
        if settles:
            yield Lane(TOP, "between waves", tuple(self._settle(row, TOP) for row in settles))
            number = 1
        for label, rows in self._grouped():
            y = TOP + LANE * number
            yield Lane(y, label, tuple(self._bar(row, y) for row in rows))
            number += 1

    def _grouped(self) -> Iterator[tuple[str, list[Row]]]:
        by_location: dict[str, list[Row]] = defaultdict(list)
        by_kind: dict[tuple[int, str], list[Row]] = defaultdict(list)
        for row in self.done:
            by_location[row["location"]].append(row)
            by_kind[row["wave"], row["kind"]].append(row)
        if len(by_location) <= LOCATIONS_AT_MOST:
            yield from sorted(by_location.items())
            return
        for (wave, kind), rows in by_kind.items():
            yield kind if moment_of(kind) else f"wave {wave}: {kind}", [_merged(rows)]

    def _bar(self, row: Row, y: float) -> Bar:
        end = row["end"] or self.ends
        x, width = self._span(row["start"], end)
        names, of, kind = _named(row)
        bad = row["state"] != "done" or row["succeeded"] < row["nodes"]
        open_end = "" if row["end"] else ", not seen to its end"
        told = (
            f"{row['location']}, {of}: {row['start']:%H:%M:%S} to {end:%H:%M:%S} UTC,"
            f" {row['succeeded']} of {row['nodes']} nodes, {row['state']}{open_end}"
        )
        return Bar(x, y + (LANE - BAR) / 2, width, kind, _fitting(names, width), told, bad)

    def _settle(self, row: Row, y: float) -> Bar:
        x, width = self._span(row["from"], max(row["until"], row["from"]))
        minutes = (row["until"] - row["from"]).total_seconds() / 60
        told = f"behind wave {row['wave']}: {minutes:.0f} minutes to settle{_stop(row)}"
        label = _fitting((f"settle {row['wave']}", "settle", str(row["wave"])), width)
        return Bar(x, y + (LANE - BAR) / 2, width, "settle", label, told, bool(row["stop"]))

    def _span(self, start: datetime, end: datetime) -> tuple[float, float]:
        x = self._x(start)
        return x, max(NARROWEST, round(self._x(end) - x, 1))

    def _ticks(self) -> Iterator[Mark]:
        minutes = (self.ends - self.begins).total_seconds() / 60
        step = next((step for step in STEPS if minutes / step <= TICKS_AT_MOST), STEPS[-1])
        midnight = self.begins.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        number = -(-(self.begins - midnight) // timedelta(minutes=step))
        days = minutes > 24 * 60
        while (moment := midnight + timedelta(minutes=step) * number) <= self.ends:
            yield Mark(self._x(moment), f"{moment:%d %H:%M}" if days else f"{moment:%H:%M}")
            number += 1


def _named(row: Row) -> tuple[tuple[str, ...], str, str]:
    """An execution's names, longest first, what it is of its release, and the kind of its bar."""
    kind, wave = row["kind"], row["wave"]
    if moment_of(kind):
        return (kind,), kind, "step"
    return ("scan" if kind == "scan" else f"{kind} {wave}", str(wave)), f"wave {wave}, {kind}", kind


def _merged(rows: Sequence[Row]) -> Row:
    """The executions of many locations as one."""
    ends = [row["end"] for row in rows]
    bad = [row for row in rows if row["state"] != "done"]
    return {
        **rows[0],
        "location": f"{len(rows)} locations",
        "start": min(row["start"] for row in rows),
        "end": None if None in ends else max(ends),
        "state": bad[0]["state"] if bad else "done",
        "nodes": sum(row["nodes"] for row in rows),
        "succeeded": sum(row["succeeded"] for row in rows),
    }


def _fitting(labels: Sequence[str], width: float) -> str:
    """The first label that fits onto a bar."""
    return next((label for label in labels if len(label) * LETTER + 8 <= width), "")


def _stop(row: Row) -> str:
    return f"; nothing further was opened: {row['stop']}" if row["stop"] else ""


def _moment(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None
