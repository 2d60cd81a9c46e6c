"""The record judges from the lab's journal alone: what came before its soak is found, and nothing else is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lab.rehearsal.agenda import read_policy
from lab.rehearsal.drills import SMALL
from lab.rehearsal.record import Patch, Record, waived
from sluice.core.policy.policy import Policy

PRODUCT = "AmazonLinux2023"
THING = ["thing.x86_64", "0:2-1"]
GROUPS = {"n1": "nonprod-linux", "n2": "nonprod-linux", "p1": "prod-linux"}


@pytest.fixture(scope="module")
def policy() -> Policy:
    return read_policy(SMALL / "policy.yaml", dict(os.environ))


def day(number: int, hour: int = 3) -> datetime:
    return datetime(2025, 6, number, hour, tzinfo=UTC)


def install(node: str, at: datetime, patch: Sequence[str] = THING, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "install",
        "at": at.isoformat(),
        "account": "111111111111",
        "region": "eu-west-3",
        "node_id": node,
        "name": node,
        "product": PRODUCT,
        "group": GROUPS[node],
        "window": "sluice-install",
        "execution_id": "e1",
        "override": "s3://b/k",
        "requested": [patch],
        "installed": [patch],
        "failed": [],
        "needs_reboot": [],
        **changes,
    }


def boot(node: str, at: datetime) -> dict[str, Any]:
    return {**install(node, at), "kind": "boot", "requested": [], "installed": []}


def node(name: str, packages: Sequence[Sequence[str]] = (), built: datetime | None = None) -> dict[str, Any]:
    shown = None if built is None else built.isoformat()
    return {"node_id": name, "product": PRODUCT, "image_built": shown, "packages": list(packages)}


def record(policy: Policy, *entries: dict[str, Any], before: Sequence[dict[str, Any]] = ()) -> Record:
    return Record(policy, entries, before, GROUPS)


def test_a_request_after_seven_days_is_sound(policy: Policy) -> None:
    assert record(policy, install("n1", day(3)), install("p1", day(10))).broken() == []


@pytest.mark.parametrize("early", [timedelta(seconds=2), timedelta(days=1), timedelta(days=7)])
def test_a_request_before_is_found_with_what_there_was(policy: Policy, early: timedelta) -> None:
    [found] = record(policy, install("n1", day(3)), install("p1", day(10) - early)).broken()
    assert (found.node, found.since, found.demanded) == ("p1", day(3), timedelta(days=7))
    assert "thing.x86_64 0:2-1" in str(found)


def test_what_never_was_on_the_ring_before_is_found(policy: Policy) -> None:
    [found] = record(policy, install("p1", day(20))).broken()
    assert found.since is None
    assert "never was" in str(found)


def test_another_version_has_its_own_clock(policy: Policy) -> None:
    newer = [THING[0], "0:3-1"]
    found = record(policy, install("n1", day(3)), install("n1", day(9), newer), install("p1", day(11), newer)).broken()
    assert [one.since for one in found] == [day(9)]


def test_the_same_version_on_another_product_is_another_patch(policy: Policy) -> None:
    assert record(policy, install("n1", day(3), product="Ubuntu22.04"), install("p1", day(10))).broken()


def test_what_takes_a_boot_soaks_from_the_boot_on(policy: Policy) -> None:
    pending = install("n1", day(3), needs_reboot=[THING[0]])
    assert record(policy, pending, install("p1", day(10))).broken()
    assert record(policy, pending, boot("n1", day(5)), install("p1", day(11))).broken()
    assert record(policy, pending, boot("n1", day(5)), install("p1", day(12))).broken() == []


def test_a_boot_of_another_node_counts_for_nothing(policy: Policy) -> None:
    pending = install("n1", day(3), needs_reboot=[THING[0]])
    assert record(policy, pending, boot("n2", day(3, 4)), install("p1", day(20))).broken()


def test_a_failed_install_on_the_ring_before_is_no_soak(policy: Policy) -> None:
    failed = install("n1", day(3), installed=[], failed=[THING[0]])
    assert record(policy, failed, install("p1", day(20))).broken()


def test_what_came_with_the_image_of_the_ring_before_soaks_from_there(policy: Policy) -> None:
    image = node("n1", [THING], datetime(2025, 5, 5, tzinfo=UTC))
    assert record(policy, install("p1", day(4)), before=[image]).broken() == []
    assert record(policy, install("p1", day(4)), before=[{**image, "node_id": "p1"}]).broken()


def test_a_waiver_lets_its_patch_through_while_it_lasts_and_no_other(policy: Policy) -> None:
    waiver = {"owner": "ops", "because": "urgent", "expires": "2025-06-05", "patches": [THING[0]]}
    changed = Policy.model_validate({**policy.model_dump(exclude_unset=True), "exceptions": [waiver]})
    other = install("p1", day(4), ["other.x86_64", "0:1-1"])
    late = install("p1", day(6))
    found = record(changed, install("p1", day(4)), other, late).broken(waived(changed))
    assert [(one.patch.id, one.at) for one in found] == [("other.x86_64", day(4)), (THING[0], day(6))]
    assert not record(policy, install("p1", day(4))).broken(lambda patch, at: patch.id == THING[0])


def test_an_install_on_production_without_a_manifest_or_a_window_is_found(policy: Policy) -> None:
    sound = install("p1", day(10))
    entries = [
        sound,
        {**sound, "override": ""},
        {**sound, "execution_id": ""},
        {**install("n1", day(3)), "override": ""},
    ]
    assert record(policy, *entries).ungated() == entries[1:3]


def test_first_and_last_day_of_each_ring_are_kept_apart(policy: Policy) -> None:
    made = record(policy, install("n1", day(3)), install("n2", day(5)), install("p1", day(12)))
    days = made.days()[Patch(PRODUCT, *THING)]
    assert (days["nonprod"].first, days["nonprod"].last, days["nonprod"].nodes) == (day(3), day(5), {"n1", "n2"})
    assert (days["prod"].first, days["prod"].last) == (day(12), day(12))


def test_a_successor_that_came_within_the_soak_is_found(policy: Policy) -> None:
    newer = [THING[0], "0:3-1"]
    soon = record(policy, install("n1", day(3)), install("n1", day(9), newer))
    assert [(older.version, then.version) for older, then in soon.overtaken("nonprod", timedelta(days=7))] == [
        ("0:2-1", "0:3-1")
    ]
    assert record(policy, install("n1", day(3)), install("n1", day(12), newer)).overtaken("nonprod", timedelta(7)) == []
