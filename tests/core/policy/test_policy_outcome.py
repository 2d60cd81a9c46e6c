"""One word says what became of the policy's locations, and each has a line."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.core.policy.outcome import Planned, outcome_of

HERE, THERE = "111111111111/eu-west-3", "222222222222/eu-west-3"


def plan(location: str, changes: int = 2, needs: tuple[str, ...] = ()) -> Planned:
    return {
        "location": location,
        "found": location,
        "summary": f"{changes} to create",
        "changes": changes,
        "needs": list(needs),
        "digest": "d",
    }


def said(*planned: Planned, applied: tuple[str, ...] = (), wanted: bool = True, answer: str | None = None) -> Any:
    return outcome_of((HERE, THERE), planned, applied, wanted=wanted, answer=answer)


@pytest.mark.parametrize(
    ("plans", "more", "outcome", "left"),
    [
        ((plan(HERE, 0), plan(THERE, 0)), {}, "in sync", 0),
        ((plan(HERE, 0), plan(THERE)), {"wanted": False}, "drift", 2),
        ((plan(HERE), plan(THERE)), {"applied": (HERE, THERE), "answer": "Approve"}, "applied", 0),
        ((plan(HERE), plan(THERE)), {"answer": "Reject"}, "rejected", 4),
        ((plan(HERE), plan(THERE, needs=("web",))), {"applied": (HERE,)}, "needs take-over", 2),
        ((plan(HERE), plan(THERE)), {"applied": (HERE,), "answer": "Approve"}, "failed", 2),
        ((plan(HERE), plan(THERE)), {}, "failed", 4),
        ((plan(HERE, 0),), {}, "failed", 0),
        ((), {}, "failed", 0),
    ],
)
def test_the_worst_of_the_locations_is_what_became_of_all(
    plans: tuple[Planned, ...], more: dict[str, Any], outcome: str, left: int
) -> None:
    found = said(*plans, **more)
    assert (found["outcome"], found["changes"]) == (outcome, left)


def test_each_location_has_a_line_also_one_that_could_not_be_read() -> None:
    assert said(plan(HERE, needs=("web",)))["lines"] == [
        f"{HERE}: needs take-over (2 to create; needs take_over: web)",
        f"{THERE}: failed",
    ]


def test_without_any_location_it_failed_and_says_where_to_look() -> None:
    found = outcome_of((), (), (), wanted=False, answer=None)
    assert (found["outcome"], found["changes"]) == ("failed", 0)
    assert "the log of `locations` says why" in found["lines"][0]
