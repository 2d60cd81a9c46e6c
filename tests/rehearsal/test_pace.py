"""The clock moves as far as nobody's business is missed, and no further."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.pace import IDLE_STEP, LONG_STEP, SOON, STEP, Awaited, limit, move
from sluice.core.policy.timing import Timing


def at(hour: int, minute: int = 0, day: int = 3) -> datetime:
    return datetime(2025, 6, day, hour, minute, tzinfo=UTC)


@dataclass
class Here:
    now: datetime
    under_way: int = 0
    opens: datetime | None = None


@dataclass
class Lab:
    """A clock with things that end at certain times."""

    now: datetime
    ends: list[datetime] = field(default_factory=list)
    opens: datetime | None = None

    def clock(self) -> Here:
        return Here(self.now, sum(end > self.now for end in self.ends), self.opens)

    def advance(self, to: datetime, *, stop_when_something_ends: bool = False) -> Here:
        assert to >= self.now
        first = min((end for end in self.ends if end > self.now), default=None)
        self.now = min(to, first) if stop_when_something_ends and first is not None else to
        return self.clock()


NIGHT = Awaited(at(3), at(7))


def test_it_waits_for_the_next_dag_where_nobody_waits_for_anything() -> None:
    assert limit(Here(at(1)), [], at(3)) == at(3)


@pytest.mark.parametrize("now", [at(0), at(2, 30)])
def test_before_a_window_it_stops_once_more_before_the_start(now: datetime) -> None:
    assert limit(Here(now), [NIGHT], at(9)) == at(2, 50)


def test_then_it_goes_to_the_start() -> None:
    assert limit(Here(at(2, 50)), [NIGHT], at(9)) == at(3)


def test_where_only_time_is_waited_for_it_goes_in_steps() -> None:
    assert limit(Here(at(3)), [NIGHT], at(9)) == at(3) + STEP


def test_the_first_step_is_shorter_than_the_lead_with_which_windows_are_opened() -> None:
    assert timedelta(minutes=Timing().open_lead_minutes) > STEP
    assert limit(Here(at(3)), [NIGHT], at(9), idle=True) == at(3) + IDLE_STEP


def test_a_window_that_opens_soon_is_waited_for_with_what_it_does() -> None:
    assert limit(Here(at(3), opens=at(3, 5)), [NIGHT], at(9)) == at(3, 5) + LONG_STEP


def test_a_window_that_opens_much_later_is_not() -> None:
    assert limit(Here(at(3), opens=at(3) + 2 * SOON), [NIGHT], at(9)) == at(3) + STEP


def test_the_next_dag_is_never_passed() -> None:
    assert limit(Here(at(3), under_way=1), [NIGHT], at(3, 1)) == at(3, 1)


def test_it_stops_where_something_ends() -> None:
    lab = Lab(at(3), ends=[at(3, 7), at(5)])
    assert move(lab, [NIGHT], at(9)).now == at(3, 17)
    assert lab.now == at(3, 17)


def test_what_ends_together_is_waited_for_together() -> None:
    lab = Lab(at(3), ends=[at(3, 7), at(3, 9)])
    assert move(lab, [NIGHT], at(9)).now == at(3, 9)


def test_while_something_is_under_way_it_can_be_held_to_small_steps() -> None:
    lab = Lab(at(3), ends=[at(3, 7)])
    assert move(lab, [NIGHT], at(9), longest=timedelta(minutes=1)).now == at(3, 1)


moments = st.integers(0, 24 * 60).map(lambda minutes: at(0) + timedelta(minutes=minutes))


@given(now=moments, under_way=st.integers(0, 2), opens=st.none() | moments, following=st.none() | moments)
def test_it_never_goes_back_never_passes_a_dag_and_never_stands_still_for_good(
    now: datetime, under_way: int, opens: datetime | None, following: datetime | None
) -> None:
    until = limit(Here(now, under_way, opens), [NIGHT], following)
    assert until >= now
    if following is not None and following > now:
        assert now < until <= following
    if following is None:
        assert until > now
        assert until - now <= max(timedelta(hours=3), SOON + LONG_STEP)
