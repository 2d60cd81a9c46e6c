"""Images: which nodes get one, how fast they are asked for, and who is not admitted without."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nodes_world import DAY, HERE, START, nodes_policy, window_of

from sluice.core.errors import ReleaseError
from sluice.core.policy.windows import Window
from sluice.core.release.backup import (
    FIRST_ROUND,
    LARGEST_ROUND,
    Image,
    Pace,
    Standing,
    deadline,
    expires,
    image_name,
    mode,
    standing,
    turn,
    unprotected,
    wanted,
)
from sluice.core.release.terms import Asked, Expected, Reason

BETWEEN = timedelta(seconds=20)
UNTIL = START + timedelta(hours=1)


def window(backup: str | dict[str, object]) -> Window:
    return window_of(nodes_policy(backup=backup), "install-prod")


def expected(node: str, reason: str | None = None) -> Expected:
    return Expected(node, HERE, "", "prod-linux", "P", None, "s", reason)


@pytest.mark.parametrize(
    ("policy", "asked", "found"),
    [
        ("off", "policy", "off"), ("on", "policy", "on"), ("required", "policy", "required"),
        ("off", "on", "on"), ("required", "on", "required"), ("on", "off", "off"),
    ],
)  # fmt: skip
def test_what_is_asked_overrides_the_policy(policy: str, asked: str, found: str) -> None:
    assert mode(window(policy), Asked(backup=asked)) == found  # type: ignore[arg-type]  # the parameters are of the type


def test_nobody_goes_without_a_backup_that_the_policy_requires() -> None:
    with pytest.raises(ReleaseError, match="install-prod requires backups, found backup: off"):
        mode(window("required"), Asked(backup="off"))


@pytest.mark.parametrize("policy", ["off", "on", "required"])
def test_reboots_alone_need_no_backup(policy: str) -> None:
    assert mode(window(policy), Asked(only_reboots=True)) == "off"


def test_an_images_name_is_the_same_for_every_retry_and_aws_takes_it() -> None:
    longest = f"{'w' * 64}-20250609T0300-0123abcd"
    assert image_name(longest, "i-0123456789abcdef0") == f"{longest}/i-0123456789abcdef0"
    assert len(image_name(longest, "i-0123456789abcdef0")) <= 128


def test_the_images_have_to_be_there_before_admission_and_opening_come_too_late() -> None:
    policy = nodes_policy()
    found = deadline(policy, window_of(policy, "install-prod"), START)
    assert found == START + timedelta(hours=2) - timedelta(minutes=10), "cutoff at 06:00, an hour for the patching"
    assert str(expires(window({"mode": "on", "keep_days": 10}), START)) == "2025-06-19"


def test_only_instances_that_can_be_reached_and_admitted_get_an_image() -> None:
    nodes = [expected("i-3"), expected("i-1"), expected("i-2", Reason.STOPPED), expected("mi-4"), expected("i-5")]
    assert wanted(nodes, {"i-5"}) == ("i-1", "i-3")


def test_a_throttle_halves_the_next_round_and_a_free_one_makes_it_larger() -> None:
    pace = Pace()
    assert pace.allowed(START) == FIRST_ROUND
    pace = pace.after(FIRST_ROUND, START, BETWEEN, throttled=False)
    assert (pace.allowed(START), pace.allowed(START + BETWEEN)) == (0, FIRST_ROUND + 5)
    pace = pace.after(8, START, BETWEEN, throttled=True)
    assert (pace.at_once, pace.throttled) == (4, 1)
    assert pace.after(0, START, BETWEEN, throttled=True).at_once == 1, "never none: that would never end"


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 200)), max_size=60))
def test_the_pace_stays_between_one_and_the_largest_round(rounds: list[tuple[bool, int]]) -> None:
    pace, now = Pace(), START
    for throttled, made in rounds:
        before = pace
        pace = pace.after(min(made, pace.at_once), now, BETWEEN, throttled=throttled)
        assert 1 <= pace.at_once <= LARGEST_ROUND
        assert (pace.at_once <= before.at_once) if throttled else (pace.at_once >= before.at_once)
        assert pace.allowed(now) == 0
        now += BETWEEN
        assert pace.allowed(now) == pace.at_once
        assert Pace.of_json(pace.as_json()) == pace


@given(st.integers(1, 60), st.integers(1, 400))
def test_every_image_is_asked_for_in_the_end_whatever_aws_lets_through_at_a_time(limit: int, nodes: int) -> None:
    pace, now, left, rounds = Pace(), START, nodes, 0
    while left:
        batch = min(left, pace.allowed(now))
        made = min(batch, limit)
        left -= made
        pace = pace.after(made, now, BETWEEN, throttled=made < batch)
        now += BETWEEN
        rounds += 1
    assert rounds <= nodes + 10, "each round makes at least one, and most make about what is allowed"


def test_a_node_at_which_aws_broke_off_holds_up_no_other() -> None:
    assert turn(("i-1", "i-2", "i-3"), "i-1") == ("i-2", "i-3", "i-1")
    assert turn(("i-1", "i-2", "i-3"), "") == ("i-1", "i-2", "i-3")


def images(**states: str) -> list[Image]:
    return [Image(f"ami-{node}", f"i-{node}", state) for node, state in states.items()]


def test_a_backup_is_done_when_nothing_is_missing_or_pending_any_more() -> None:
    nodes = ("i-a", "i-b", "i-c")
    found = standing(nodes, images(a="available", b="pending"), {}, START, UNTIL)
    assert (found.available, found.pending, found.missing, found.done) == ({"i-a": "ami-a"}, ("i-b",), ("i-c",), False)
    found = standing(nodes, images(a="available", b="failed"), {"i-c": "InvalidInstanceID"}, START, UNTIL)
    assert found.done
    assert found.without() == {"i-b": "the image ami-b is failed", "i-c": "InvalidInstanceID"}


def test_what_is_not_available_in_time_counts_as_no_backup() -> None:
    found = standing(("i-a", "i-b"), images(a="pending"), {}, UNTIL, UNTIL, "RequestLimitExceeded: slow down")
    assert found.done
    assert found.without() == {
        "i-a": "its image was not available in time",
        "i-b": "no image of it was asked for in time; AWS said last: RequestLimitExceeded: slow down",
    }


@pytest.mark.parametrize("state", ["failed", "error", "invalid", "deregistered", "disabled"])
def test_a_state_that_is_no_image_is_named(state: str) -> None:
    found = standing(("i-a",), [Image("ami-a", "i-a", state, "Client.InternalError")], {}, START, UNTIL)
    assert found.failed == {"i-a": f"the image ami-a is {state}: Client.InternalError"}


def test_a_state_that_is_not_known_is_waited_for() -> None:
    assert standing(("i-a",), images(a="transient"), {}, START, UNTIL).pending == ("i-a",)


def test_where_backups_are_required_a_node_without_one_needs_a_waiver_and_so_do_hybrid_ones() -> None:
    waiver = {"without_backup": ["mi-2", "i-4"], "owner": "o", "because": "b", "expires": "2025-06-09"}
    policy = nodes_policy(exceptions=[waiver])
    nodes = [expected(id) for id in ("i-1", "mi-1", "mi-2", "i-3", "i-4", "i-5")] + [expected("i-6", Reason.STOPPED)]
    found = Standing({"i-1": "ami-1"}, ("i-3",), {"i-4": "failed"}, (), over=True)
    without = unprotected(nodes, policy, found, DAY)
    assert without == {
        "mi-1": (Reason.NO_BACKUP, "outside EC2: no image of it can be made, and no waiver names it"),
        "i-3": (Reason.NO_BACKUP, "its image was not available in time"),
        "i-5": (Reason.NO_BACKUP, "no image of it was asked for"),
    }
    assert set(unprotected(nodes, policy, None, DAY + timedelta(days=1))) == {
        "i-1",
        "mi-1",
        "mi-2",
        "i-3",
        "i-4",
        "i-5",
    }


def test_a_node_with_several_images_of_a_release_has_a_backup_when_one_of_them_is_available() -> None:
    two = [Image("ami-1", "i-a", "failed"), Image("ami-2", "i-a", "available")]
    for order in (two, two[::-1]):
        assert standing(("i-a",), order, {}, START, UNTIL).available == {"i-a": "ami-2"}
    assert replace(Pace(), at_once=3).allowed(START) == 3
