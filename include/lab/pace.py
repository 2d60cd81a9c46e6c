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
STEP = timedelta(minutes=4)
"""At most so far while nothing is under way and a window's time has come: less than the five minutes that a release
leaves before the window that it opens, so that one look that comes too late makes nothing late."""
IDLE_STEP = timedelta(minutes=10)
"""The same where the move before changed nothing for anybody: time alone is waited for."""
LONG_STEP = timedelta(minutes=20)
"""At most so far while something is under way."""
SOON = timedelta(hours=1)
"""A window that begins so soon is waited for, and what it then does with it."""
TOGETHER = timedelta(minutes=10)
"""What ends so shortly after the first thing that ends is waited for in the same move."""


class Moment(Protocol):
    """What the lab says of its time."""

    @property
    def now(self) -> datetime:
        """The lab's time."""

    @property
    def under_way(self) -> int:
        """How many executions and images are under way."""

    @property
    def opens(self) -> datetime | None:
        """When the next window begins, of those that are enabled; None: none is."""


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


def limit(here: Moment, awaited: Sequence[Awaited], following: datetime | None, *, idle: bool = False) -> datetime:
    """How far the clock may move at most.

    `following` is when the next DAG begins, `idle` says that the move before changed nothing for anybody.
    """
    limits = [] if following is None else [following]
    limits += [_limit(here, one, IDLE_STEP if idle else STEP) for one in awaited]
    return max(here.now, min(limits, default=here.now + STEP))


def _limit(here: Moment, one: Awaited, step: timedelta) -> datetime:
    now = here.now
    if now < one.start - BEFORE_START:
        return one.start - BEFORE_START
    if here.opens is not None and now <= here.opens <= now + SOON:
        return here.opens + LONG_STEP
    if here.under_way:
        return now + LONG_STEP
    return one.start if now < one.start else now + step


def move(
    lab: Clock,
    awaited: Sequence[Awaited],
    following: datetime | None,
    *,
    longest: timedelta | None = None,
    idle: bool = False,
) -> Moment:
    """Move the clock once, as far as it may and by `longest` at most; where it is now.

    Where nothing is under way and nobody opens anything soon, `longest` does not count: nothing could be missed.
    """
    here = lab.clock()
    until = limit(here, awaited, following, idle=idle)
    if longest is not None and (here.under_way or (here.opens is not None and here.opens <= until)):
        until = min(until, here.now + longest)
    ended = lab.advance(until, stop_when_something_ends=True)
    latest = min(until, ended.now + TOGETHER)
    while ended.under_way and ended.now < latest:
        ended = lab.advance(latest, stop_when_something_ends=True)
    return ended
