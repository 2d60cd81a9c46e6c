"""The arithmetic of a soak."""

from datetime import UTC, datetime, timedelta

import pytest

from sluice.core.soak import Sighting, clock_start, eligible_at, is_soaked, is_void

START = datetime(2025, 6, 9, 7, tzinfo=UTC)


def after(days: float) -> datetime:
    return START + timedelta(days=days)


def test_the_clock_starts_when_enough_nodes_show_the_version() -> None:
    seen = [Sighting("a", after(0), "installed"), Sighting("b", after(2), "installed")]
    assert clock_start(seen) == after(0)
    assert clock_start(seen, min_nodes=2) == after(2)
    assert clock_start(seen, min_nodes=3) is None


def test_what_waits_for_a_reboot_does_not_count_until_it_had_one() -> None:
    waits = [Sighting("a", after(0), "pending_reboot")]
    assert clock_start(waits) is None
    assert clock_start([*waits, Sighting("a", after(3), "installed")]) == after(3)


def test_a_node_that_loses_the_version_starts_anew() -> None:
    seen = [
        Sighting("a", after(3), "installed"),
        Sighting("a", after(0), "installed"),
        Sighting("a", after(2), "missing"),
    ]
    assert clock_start(seen) == after(3)
    assert clock_start(seen[1:]) is None


def test_seeing_it_again_does_not_start_the_clock_again() -> None:
    assert clock_start([Sighting("a", after(day), "installed") for day in range(5)]) == after(0)


def test_what_was_installed_before_the_newest_issue_does_not_count() -> None:
    first = Sighting("a", after(1), "installed", installed=after(0))
    assert clock_start([first], issued=after(0)) == after(1)
    assert clock_start([first], issued=after(0.5)) is None
    assert clock_start([first, Sighting("b", after(2), "installed")], issued=after(0.5)) == after(2)


def test_it_is_soaked_to_the_second_not_to_the_day() -> None:
    assert eligible_at(START, 7) == after(7)
    assert is_soaked(START, 7, after(7))
    assert not is_soaked(START, 7, after(7) - timedelta(seconds=1))
    assert not is_soaked(None, 0, after(100))


def test_a_day_of_soak_is_24_hours_when_the_clocks_change() -> None:
    spring = datetime(2025, 3, 29, 1, tzinfo=UTC)
    assert eligible_at(spring, 7) == datetime(2025, 4, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(("failed", "void"), [(0, False), (1, False), (2, True)])
def test_it_is_void_while_it_fails_on_more_nodes_than_allowed(failed: int, void: bool) -> None:
    seen = [Sighting(f"n{number}", START, "failed" if number < failed else "installed") for number in range(20)]
    assert is_void(seen, max_failure_percent=5) is void


def test_nodes_with_an_older_issue_do_not_outvote_those_on_which_the_newest_fails() -> None:
    issued = after(10)
    old = [Sighting(f"n{number}", after(11), "installed", installed=START) for number in range(9)]
    failed = Sighting("n9", after(11), "failed")
    assert not is_void([*old, failed], max_failure_percent=20)
    assert is_void([*old, failed], max_failure_percent=20, issued=issued)


def test_a_node_that_failed_and_then_succeeded_is_no_failure_and_one_that_never_tried_does_not_dilute() -> None:
    seen = [Sighting("a", START, "failed"), Sighting("a", after(1), "installed"), Sighting("b", START, "missing")]
    assert not is_void(seen, max_failure_percent=0)
    assert is_void([Sighting("a", START, "failed"), Sighting("b", START, "missing")], max_failure_percent=99)
    assert not is_void([], max_failure_percent=0)


def test_a_scan_that_shows_what_failed_as_missing_does_not_undo_the_failure() -> None:
    seen = [Sighting("a", START, "failed"), Sighting("a", after(1), "missing")]
    assert is_void(seen, max_failure_percent=5)
    assert not is_void([*seen, Sighting("a", after(2), "installed")], max_failure_percent=5)


def test_a_reboot_that_is_waited_for_does_not_undo_a_failure() -> None:
    """Its row has the newest title, while what waits may be an older version."""
    seen = [Sighting("a", START, "failed"), Sighting("a", after(1), "pending_reboot")]
    assert is_void(seen, max_failure_percent=5)
