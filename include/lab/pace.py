"""How far the lab's clock may move while releases wait: so that nothing becomes late by whoever moves it.

Between two moves everybody who waits has to look once. So a move ends with the first thing that somebody may wait
for: an execution or image that ends, a window's start, the next DAG; and where only time itself is waited for
(settling, a lead, a time-out) it is short.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

BEFORE_START = timedelta(minutes=10)
"""So long before a window's start releases are let look once more: they open it with a lead of their own."""
STEP = timedelta(minutes=5)
"""At most so far while nothing is under way and a window's time has come."""
LONG_STEP = timedelta(minutes=20)
"""At most so far while something is under way."""
TOGETHER = timedelta(minutes=6)
"""What ends so shortly after the first thing that ends is waited for in the same move."""


class Moment(Protocol):
    """What the lab says of its time after a move."""

    @property
    def now(self) -> datetime:
        """The lab's time."""

    @property
    def under_way(self) -> int:
        """How many executions and images are under way."""


class Clock(Protocol):
    """The lab's clock as its admin API moves it."""

    def clock(self) -> Moment:
        """Where it is."""

    def advance(self, to: datetime, *, stop_when_something_ends: bool = False) -> Moment:
        """Move to `to`, or to the first end of something."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """A window whose release waits now: its start and end."""

    start: datetime
    end: datetime


def limit(now: datetime, awaited: Sequence[Awaited], *, under_way: bool, following: datetime | None) -> datetime:
    """How far the clock may move at most. `following` is when the next DAG begins."""
    limits = [] if following is None else [following]
    for one in awaited:
        if now < one.start - BEFORE_START:
            limits.append(one.start - BEFORE_START)
        elif now < one.start:
            limits.append(one.start)
        else:
            limits.append(now + (LONG_STEP if under_way else STEP))
    return max(now, min(limits, default=now + STEP))


def move(lab: Clock, awaited: Sequence[Awaited], following: datetime | None) -> Moment:
    """Move the clock once, as far as it may; where it is now."""
    here = lab.clock()
    until = limit(here.now, awaited, under_way=here.under_way > 0, following=following)
    ended = lab.advance(until, stop_when_something_ends=True)
    latest = min(until, ended.now + TOGETHER)
    while ended.under_way and ended.now < latest:
        ended = lab.advance(latest, stop_when_something_ends=True)
    return ended
