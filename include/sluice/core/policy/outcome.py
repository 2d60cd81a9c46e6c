"""What became of comparing a policy with its locations, or of applying it: a word for each, and one for all."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeAlias

Planned: TypeAlias = dict[str, Any]
"""A location's plan in short: `location` as the policy names it, `found` as AWS does, `summary`, `changes` (how
many), `needs` (what has to be taken over first) and `digest`."""

WORST_FIRST = ("failed", "needs take-over", "rejected", "applied", "drift", "in sync")
"""What may become of a location; the first that a location has is what became of all."""


def outcome_of(
    keys: Sequence[str], planned: Sequence[Planned], applied: Collection[str], *, wanted: bool, answer: str | None
) -> dict[str, Any]:
    """`outcome` (one of `WORST_FIRST`), `changes` left and `lines` to read.

    `keys` are the locations; none: the policy could not be used. `applied` are those that were made so, `wanted`
    whether the run was to, `answer` what a person chose (None: nobody did).
    """
    by_location = {one["location"]: one for one in planned}
    lines = []
    states = set()
    for key in keys:
        one = by_location.get(key)
        state = _state(one, key in applied, wanted=wanted, answer=answer)
        states.add(state)
        lines.append(_line(one, state) if one else f"{key}: {state}")
    left = sum(one["changes"] for one in planned if one["location"] not in applied)
    return {
        "outcome": next((state for state in WORST_FIRST if state in states), "failed"),
        "changes": left,
        "lines": lines or ["no location was read: the log of `locations` says why"],
    }


def _line(one: Planned, state: str) -> str:
    needs = f"; needs take_over: {', '.join(one['needs'])}" if one["needs"] else ""
    return f"{one['found']}: {state} ({one['summary']}{needs})"


def _state(one: Planned | None, applied: bool, *, wanted: bool, answer: str | None) -> str:
    if one is None:
        return "failed"
    if not one["changes"]:
        return "in sync"
    if applied:
        return "applied"
    if not wanted:
        return "drift"
    if one["needs"]:
        return "needs take-over"
    return "rejected" if answer == "Reject" else "failed"
