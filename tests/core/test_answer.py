"""A person's answer to a release: whether one is needed, until when it can come, and whose counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from nodes_world import START, nodes_policy, window_of

from sluice.core.release.answer import ANSWER_TAKES, BACKUPS_TAKE, ask_again, must_agree, objection, time_to_answer
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


@pytest.mark.parametrize("gate_asks", [True, False])
def test_where_a_gate_stands_it_says_whether_a_person_has_to_agree(gate_asks: bool) -> None:
    assert must_agree(production=True, gate_asks=gate_asks) is gate_asks


def test_without_a_gate_production_needs_a_persons_word_and_nothing_else_does() -> None:
    assert must_agree(production=True, gate_asks=None)
    assert not must_agree(production=False, gate_asks=None)


ALICE = ("7", "alice")
"""The id and the name of somebody."""


def test_somebody_elses_approval_counts() -> None:
    assert objection(ALICE, "bob") is None


@pytest.mark.parametrize("requester", ["alice", "7"])
def test_the_requesters_own_does_not_count(requester: str) -> None:
    assert "asked for this run and approved it" in str(objection(ALICE, requester))


@pytest.mark.parametrize("requester", [None, ""])
def test_without_a_known_requester_no_approval_counts(requester: str | None) -> None:
    assert "not known" in str(objection(ALICE, requester))


def test_nobodys_approval_does_not_count() -> None:
    assert "nobody" in str(objection((), "bob"))
    assert "nobody" in str(objection((), None, scheduled=True))


@pytest.mark.parametrize("approvers", [("alice",), ("7", "carol")])
def test_an_approver_of_the_policy_counts_by_name_or_id(approvers: tuple[str, ...]) -> None:
    assert objection(ALICE, "bob", approvers) is None


def test_where_the_policy_names_approvers_nobody_else_counts() -> None:
    assert "found one by 7, alice" in str(objection(ALICE, "bob", ("carol",)))


def test_anybody_may_approve_what_the_calendar_asked_for_unless_the_policy_names_others() -> None:
    assert objection(ALICE, None, scheduled=True) is None
    assert objection(ALICE, None, ("alice",), scheduled=True) is None
    assert "found one by 7, alice" in str(objection(ALICE, None, ("carol",), scheduled=True))
