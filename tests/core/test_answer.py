"""A person's answer to a release: until when one can come, and what to do where none can."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from nodes_world import START, nodes_policy, window_of

from sluice.core.release.answer import ANSWER_TAKES, BACKUPS_TAKE, ask_again, time_to_answer
from sluice.core.release.terms import Asked

HOUR = timedelta(hours=1)
OPENING = timedelta(minutes=10)
"""Twice the lead of an opening: what admission and the first opening take."""


def left(ahead: timedelta, changes: dict[str, Any] | None = None, hours: float = 12, **asked: Any) -> timedelta:
    """How long an answer may take, so long before the window; `changes` to the window."""
    policy = nodes_policy(**(changes or {}), gate={"approval": {"hours": hours}})
    return time_to_answer(policy, window_of(policy, "install-prod"), Asked(**asked), START, START - ahead)


def test_an_answer_is_waited_for_until_the_latest_start_less_the_time_for_images_and_for_opening() -> None:
    # 03:00 to 07:00; no task starts after 06:00, so that the latest start is at 05:00
    assert left(2 * HOUR) == 4 * HOUR - OPENING - BACKUPS_TAKE
    assert left(2 * HOUR, backup="off") == 4 * HOUR - OPENING
    assert left(2 * HOUR, {"backup": "off"}) == 4 * HOUR - OPENING
    assert left(-2 * HOUR) < timedelta()


def test_reboots_alone_make_no_image_that_an_answer_would_have_to_leave_time_for() -> None:
    assert left(timedelta(), {"duration_hours": 3}, only_reboots=True) == HOUR - OPENING
    assert left(timedelta(), {"duration_hours": 3}) < timedelta()


def test_an_answer_is_waited_for_no_longer_than_the_policy_says() -> None:
    assert left(2 * HOUR, hours=1.5) == 1.5 * HOUR
    assert left(2 * HOUR, {"latest_start_minutes": 30}, backup="off") == 2.5 * HOUR - OPENING


@pytest.mark.parametrize("duration", [2, 3, 4])
@pytest.mark.parametrize("asked", [{}, {"backup": "off"}, {"only_reboots": True}])
def test_what_is_asked_for_again_as_it_says_leaves_an_hour_for_the_answer(duration: int, asked: dict[str, Any]) -> None:
    policy = nodes_policy(duration_hours=duration)
    window, wish = window_of(policy, "install-prod"), Asked(**asked)
    said = ask_again(policy, window, wish, START)
    ahead = timedelta(minutes=next((int(word) for word in said.split() if word.isdigit()), 0))
    found = time_to_answer(policy, window, wish, START + ahead, START)
    assert found == ANSWER_TAKES if ahead else found >= ANSWER_TAKES
    assert ("at least" in said) is (ahead > timedelta())
