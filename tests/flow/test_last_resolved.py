"""Which nodes a patch group has now, by the evidence of releases and scans: what is gone is gone."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from flow_world import HERE, NONPROD, PROD, SCAN, at, small

from sluice.core.policy.policy import Policy
from sluice.core.release.ids import release_id
from sluice.core.release.terms import Asked, Release
from sluice.evidence import tables
from sluice.evidence.store import open_store
from sluice.flow.resolve import last_resolved
from sluice.flow.run import Run

THERE = "111111111111/eu-central-1"
BOTH = [{"account": "111111111111", "region": one.partition("/")[2]} for one in (HERE, THERE)]
NOW = at(16, 3)


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    return small(tmp_path / "evidence", locations=BOTH)


def run_of(policy: Policy, window: str, begun: datetime, **asked: Any) -> Run:
    found = next((one for one in policy.windows if one.name == window), policy.windows[0])
    occurrence = begun + timedelta(hours=1)
    release = Release(
        release_id(window, occurrence, policy.deployment, "dag", f"{begun}"), window, policy.deployment, "dag",
        f"{begun}", occurrence, begun,
    )  # fmt: skip
    return Run(policy, found, release, Asked(**asked), cast("Any", None), open_store(policy, None), policy.locations)


def resolved(policy: Policy, window: str, begun: datetime, *nodes: str, empty: bool = False, **asked: Any) -> None:
    """A release that found these nodes (`n1`, `n1 in there`, `n1 stopped`), in both locations where it is `empty`."""
    run = run_of(policy, window, begun, **asked)
    run.record("begun", {"release": run.release.as_json(), "asked": run.asked.as_json()})
    if empty:
        run.record("preflight", {"ready": [HERE, THERE], "others": {HERE: [], THERE: []}})
    for location, words in ((HERE, ""), (THERE, " in there")):
        rows = [_row(one, location) for one in nodes if one.endswith(" in there") == bool(words)]
        tables.write(run.store, "nodes", run.release, location, rows)


def _row(node: str, location: str) -> dict[str, Any]:
    name, _, more = node.partition(" ")
    group = "prod-linux" if name.startswith("prod") else "nonprod-linux"
    reason = "stopped" if more == "stopped" else None
    return {"location": location, "node": name, "name": name, "group": group, "product": "AMAZON_LINUX_2023",
            "role": "web", "ring": "nonprod", "slot": "s", "reason": reason, "detail": ""}  # fmt: skip


def now(policy: Policy, at: datetime = NOW) -> set[str]:
    return set(last_resolved(run_of(policy, PROD, NOW), ("nonprod-linux",), at))


def test_a_node_that_the_newest_scan_does_not_find_is_gone(policy: Policy) -> None:
    resolved(policy, NONPROD, at(14, 3), "n1", "n2")
    resolved(policy, SCAN, at(15, 1), "n1", "n3", "prod1")
    assert now(policy) == {"n1", "n3"}


def test_the_newest_of_all_windows_that_reach_the_group_says_it_with_its_reason(policy: Policy) -> None:
    resolved(policy, SCAN, at(16, 1), "n1", "n2")
    resolved(policy, NONPROD, at(16, 2), "n1", "n2 stopped")
    found = last_resolved(run_of(policy, PROD, NOW), ("nonprod-linux",), NOW)
    assert {node: one["reason"] for node, one in found.items()} == {"n1": None, "n2": "stopped"}


@pytest.mark.parametrize("asked", [{"nodes": ("n1",)}, {"retry_of": "r"}, {"patch_groups": ("prod-linux",)}])
def test_a_run_that_was_asked_for_less_says_nothing_of_the_others(policy: Policy, asked: dict[str, Any]) -> None:
    resolved(policy, SCAN, at(15, 1), "n1", "n2")
    resolved(policy, SCAN, at(16, 1), "n1", **asked)
    assert now(policy) == {"n1", "n2"}


def test_a_run_that_was_asked_for_the_whole_group_says_all_of_it(policy: Policy) -> None:
    resolved(policy, SCAN, at(15, 1), "n1", "n2")
    resolved(policy, NONPROD, at(16, 1), "n1", patch_groups=("nonprod-linux",))
    assert now(policy) == {"n1"}


def test_a_location_that_could_not_be_resolved_keeps_the_nodes_that_it_had(policy: Policy) -> None:
    resolved(policy, SCAN, at(3, 1), "n1", "n2 in there")
    resolved(policy, SCAN, at(16, 1), "n1")
    assert now(policy) == {"n1", "n2"}


def test_a_location_that_was_looked_through_and_is_empty_has_none(policy: Policy) -> None:
    resolved(policy, SCAN, at(15, 1), "n1", "n2 in there")
    resolved(policy, SCAN, at(16, 1), "n1", empty=True)
    assert now(policy) == {"n1"}


def test_a_location_or_window_that_the_policy_has_no_more_says_nothing(policy: Policy, tmp_path: Path) -> None:
    resolved(policy, SCAN, at(15, 1), "n1", "n2 in there")
    resolved(policy, "scan-weekly", at(16, 1), "n9")
    assert now(small(tmp_path / "evidence")) == {"n1"}


def test_the_callers_own_location_is_the_one_that_was_resolved(policy: Policy, tmp_path: Path) -> None:
    resolved(policy, SCAN, at(15, 1), "n1")
    assert now(small(tmp_path / "evidence", locations=[{}])) == {"n1"}


def test_what_was_begun_later_or_too_long_ago_does_not_count(policy: Policy) -> None:
    resolved(policy, SCAN, at(15, 1), "n1")
    assert now(policy, at(15)) == set()
    assert now(policy, at(15, 1, month=7)) == {"n1"}
    assert now(policy, at(16, 1, month=7)) == set()
