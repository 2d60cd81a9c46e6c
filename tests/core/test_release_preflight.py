"""What refuses a location, what is only said, and whose release tags go."""

from __future__ import annotations

from datetime import timedelta

import pytest
from nodes_world import START, nodes_policy, window_of

from sluice.core.doctor import BucketFact
from sluice.core.lease import Lease
from sluice.core.policy.objects import BASELINE, DOCUMENT, GROUP, TARGET, TASK, WINDOW, Key
from sluice.core.policy.others import Other
from sluice.core.policy.plan import Change, Plan
from sluice.core.release.preflight import (
    Access,
    Facts,
    Readiness,
    Running,
    not_found,
    overlapping,
    readiness,
    relevant,
    stale_tag,
)

PROD = "install-prod"
RELEASE = f"{PROD}-20250609T0300-0123abcd"
POLICY = nodes_policy(reboot={"when": "if_needed"})
NOW = START - timedelta(hours=2)


def judged(**facts: object) -> Readiness:
    given = {"changes": (), "lease": None, "now": NOW, **facts}
    return readiness(POLICY, window_of(POLICY, PROD), RELEASE, START, Facts(**given))  # type: ignore[arg-type]  # as given


def change(noun: str, name: str) -> Change:
    return Change("create", Key(noun, name))


def test_a_location_where_all_is_as_it_should_be_is_ready() -> None:
    assert judged() == Readiness((), ())


def test_only_what_the_release_needs_counts_as_drift() -> None:
    ours = [
        change(WINDOW, PROD), change(TARGET, f"{PROD}/s"), change(TASK, f"{PROD}/s"), change(BASELINE, "amazon"),
        change(GROUP, "prod-linux (UBUNTU)"), change(DOCUMENT, "Sluice-RebootIfPending"),
    ]  # fmt: skip
    others = [
        change(WINDOW, "scan"), change(TASK, f"{PROD}-other/s"), change(GROUP, "nonprod-linux (UBUNTU)"),
        change("config rule", "c"), change("default baseline", "UBUNTU"),
    ]  # fmt: skip
    plan = Plan("111111111111", "eu-west-3", (*ours, *others), ())
    assert list(relevant(POLICY, window_of(POLICY, PROD), plan)) == ours
    never = nodes_policy()
    assert change(DOCUMENT, "Sluice-RebootIfPending") not in relevant(never, window_of(never, PROD), plan)


@pytest.mark.parametrize(
    ("lease", "wrong"),
    [
        (None, True),
        (Lease(PROD, RELEASE, 3, NOW + timedelta(hours=1)), False),
        (Lease(PROD, RELEASE, 3, NOW), True),
        (Lease(PROD, None, 3, NOW + timedelta(hours=1)), True),
    ],
)
def test_the_window_may_differ_only_while_this_release_drives_it(lease: Lease | None, wrong: bool) -> None:
    found = judged(lease=lease, changes=(change(WINDOW, PROD),))
    assert bool(found.wrong) is wrong
    assert judged(lease=lease, changes=(change(BASELINE, "amazon"),)).wrong, "a baseline may not at any time"


def test_what_is_not_known_is_a_warning_and_what_is_known_to_be_wrong_refuses() -> None:
    found = judged(
        buckets=(BucketFact("a", "logs", "unknown", "403"), BucketFact("b", "logs", "elsewhere")),
        access=(
            Access("Web", ("i-1", "i-2"), unknown="no simulator"),
            Access("Db", ("i-3",), unknown="no simulator"),
            Access("Api", ("i-4",), ("s3:GetObject on b",)),
            Access("Fine", ("i-5",)),
        ),
    )
    assert len(found.wrong) == 2
    assert "the bucket b is in another Region" in found.wrong[0]
    assert "1 nodes with the role of Api may not s3:GetObject on b" in found.wrong[1]
    assert found.warnings == (
        "unknown whether the bucket a is there, for logs: 403",
        "unknown whether 3 nodes may use the buckets (Db, Web): no simulator",
    )


def test_the_policys_own_windows_count_with_those_of_others() -> None:
    theirs = tuple(Running(Other("window", f"mw-{number}", f"w{number}", (), ()), (START,)) for number in range(5))
    assert judged(running=theirs[:4]).wrong == ()
    assert "found 5 others while install-prod is open" in judged(running=theirs).wrong[0]


def test_a_window_that_ends_when_ours_begins_is_not_open_with_it() -> None:
    window, scan = window_of(POLICY, PROD), window_of(POLICY, "scan")  # the scan is from 01:00 to 03:00
    assert list(overlapping(POLICY, scan, window, START)) == []
    assert len(list(overlapping(POLICY, scan, window, START - timedelta(minutes=1)))) == 1


def test_a_tag_is_stale_when_the_window_of_its_release_is_over() -> None:
    window = window_of(POLICY, PROD)
    stale = stale_tag(window, START + timedelta(hours=5, minutes=1))
    assert stale(f"{RELEASE}/prod-linux.UBUNTU_22.04/2")
    assert not stale_tag(window, START + timedelta(hours=5))(f"{RELEASE}/s/2"), "it may have opened a little later"
    assert not stale("install-prod-linux-20250602T0300-0123abcd/s/1"), "of another window with a longer name"
    assert not stale("by hand")


def test_nodes_that_were_asked_for_and_are_nowhere_are_named() -> None:
    window = window_of(POLICY, PROD)
    assert not_found(("i-1",), ("i-1", "i-2"), window) is None
    assert "found i-3, i-4" in str(not_found(("i-4", "i-1", "i-3"), ("i-1",), window))
