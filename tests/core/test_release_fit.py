"""Whether a release fits is told from how long its nodes took before; without a past it is unknown, and said."""

from __future__ import annotations

from datetime import timedelta

import pytest
from nodes_world import HERE, START, THERE, nodes_policy, window_of

from sluice.core.release.fit import at_once, predict
from sluice.core.release.preflight import too_long, without_past
from sluice.core.release.terms import WavePart

LEAD = timedelta(minutes=5)
WINDOW = window_of(nodes_policy(concurrency="10%", waves={"canary": 1, "settle_minutes": 30}), "install-prod")


def part(wave: int, location: str, **slots: int) -> WavePart:
    named = tuple((slot, tuple(f"i-{number}" for number in range(count))) for slot, count in slots.items())
    return WavePart("r", wave, location, named)


@pytest.mark.parametrize(
    ("concurrency", "nodes", "expected"),
    [("10%", 100, 10), ("10%", 19, 1), ("10%", 3, 1), ("100%", 7, 7), ("5", 3, 3), ("5", 40, 5)],
)
def test_a_share_of_concurrency_is_rounded_down_and_at_least_one_node(
    concurrency: str, nodes: int, expected: int
) -> None:
    assert at_once(concurrency, nodes) == expected


def test_a_wave_ends_with_its_slowest_slot_and_the_next_opens_when_it_has_settled() -> None:
    waves = [[part(1, HERE, a=1)], [part(2, HERE, a=20, b=1), part(2, THERE, a=30)], []]
    found = predict(WINDOW, waves, {"a": 600, "b": 7000}, START, LEAD)
    first = START + timedelta(seconds=600)
    second = first + timedelta(minutes=35) + timedelta(seconds=7000)  # one round of b is longer than ten of a
    assert (found.wave_ends, found.slowest, found.unknown) == ((first, second), ("a", "b"), ())


def test_what_ends_after_the_cutoff_does_not_fit() -> None:
    found = predict(WINDOW, [[part(1, HERE, a=20)]], {"a": 1000}, START, LEAD)
    assert too_long(WINDOW, START, START, found) is None, "10 rounds of 1000 seconds end before 06:00"
    longer = predict(WINDOW, [[part(1, HERE, a=20)]], {"a": 1100}, START, LEAD)
    assert "wave 1 of 1 ends at 2025-06-09 06:03 UTC (slowest: a)" in str(too_long(WINDOW, START, START, longer))


def test_what_begins_too_late_is_late_and_not_too_long() -> None:
    late = START + timedelta(hours=3)
    found = predict(WINDOW, [[part(1, HERE, a=20)]], {"a": 1100}, late, LEAD)
    assert too_long(WINDOW, START, late, found) is None
    assert too_long(WINDOW, START, START, found) is not None


def test_a_slot_without_a_past_is_unknown_and_makes_nothing_too_long() -> None:
    found = predict(WINDOW, [[part(1, HERE, a=1, b=500)]], {"a": 60}, START, LEAD)
    assert found.unknown == ("b",)
    assert too_long(WINDOW, START, START, found) is None
    assert "no past durations of b" in str(without_past(found))
    assert without_past(predict(WINDOW, [], {}, START, LEAD)) is None


def test_a_release_without_nodes_has_no_end() -> None:
    assert predict(WINDOW, [[], []], {}, START, LEAD).wave_ends == ()
