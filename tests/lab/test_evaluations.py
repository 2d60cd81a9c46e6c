"""Evaluations are shared between nodes and kept over time, and are still what a fresh one would be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.evaluate import Evr, Override, evaluate
from lab.evaluations import Evaluations, OverrideList, Snapshot
from lab.repositories import Repositories

START = datetime(2025, 6, 2, tzinfo=UTC)
PRODUCTS = ("AmazonLinux2023", "Ubuntu22.04", "WindowsServer2022", "CentOS7")


def baseline(operating_system: str, days: int | None, **more: Any) -> dict[str, Any]:
    """A baseline that approves everything after `days`."""
    delay = {} if days is None else {"ApproveAfterDays": days}
    rule = {
        "PatchFilterGroup": {"PatchFilters": [{"Key": "PRODUCT", "Values": ["*"]}]},
        "EnableNonSecurity": True,
        **delay,
    }
    return {"OperatingSystem": operating_system, "ApprovalRules": {"PatchRules": [rule]}, **more}


@pytest.fixture(scope="module")
def shared() -> tuple[Repositories, Evaluations]:
    """Repositories and one cache for a whole module: what an example leaves behind, others find."""
    repositories = Repositories.shipped()
    return repositories, Evaluations(repositories)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    product=st.sampled_from(PRODUCTS),
    age=st.integers(0, 60),
    after=st.integers(0, 100 * 24 * 60),
    days=st.sampled_from([0, 3, 7, 30]),
)
def test_a_kept_evaluation_is_what_a_fresh_one_would_be(
    shared: tuple[Repositories, Evaluations], product: str, age: int, after: int, days: int
) -> None:
    repositories, evaluations = shared
    state = repositories.image(product, START - timedelta(days=age))
    now = START + timedelta(minutes=after)
    os_product = repositories.product(product)
    body = BODIES.setdefault((product, days), baseline(os_product.operating_system, days))
    kept = evaluations.of(product, state, Snapshot("pb-1", body, now), None, now)
    view = repositories.view(product, state, now)
    assert list(kept.rows) == evaluate(os_product.operating_system, os_product.product, now, body, None, view)


BODIES: dict[tuple[str, int], dict[str, Any]] = {}
"""One object a baseline, as the lab's baselines are."""


def test_nodes_in_the_same_state_share_one_evaluation(shared: tuple[Repositories, Evaluations]) -> None:
    repositories, evaluations = shared
    body = baseline("AMAZON_LINUX_2023", 0)
    found = [
        evaluations.of(
            "AmazonLinux2023",
            repositories.image("AmazonLinux2023", START),
            Snapshot("pb-1", body, START),
            None,
            START + timedelta(minutes=minute),
        )
        for minute in range(3)
    ]
    assert found[0] is found[1] is found[2]


def test_a_published_version_is_seen_at_once() -> None:
    repositories = Repositories.shipped()
    evaluations = Evaluations(repositories)
    state, body = repositories.image("AmazonLinux2023", START), baseline("AMAZON_LINUX_2023", 0)
    snapshot, now = Snapshot("pb-1", body, START), START + timedelta(hours=1)
    before = {row.id: row.title for row in evaluations.of("AmazonLinux2023", state, snapshot, None, now).rows}
    repositories.add("AmazonLinux2023", "bash", "x86_64", Evr(0, "99", "1"), START, built=START)
    after = {row.id: row.title for row in evaluations.of("AmazonLinux2023", state, snapshot, None, now).rows}
    assert before["bash.x86_64"] != after["bash.x86_64"] == "bash.x86_64:0:99-1"


def test_an_install_brings_the_dependencies_that_the_override_list_does_not_name(
    shared: tuple[Repositories, Evaluations],
) -> None:
    repositories, evaluations = shared
    now = START + timedelta(days=80)
    state = repositories.image("AmazonLinux2023", START)
    body = baseline("AMAZON_LINUX_2023", 0)
    override = OverrideList("s3://ops/list.yaml", (Override("python3.x86_64", None),))
    found = evaluations.of("AmazonLinux2023", state, Snapshot("pb-1", body, now), override, now)
    assert [row.id for row in found.rows if row.requested] == ["python3.x86_64"]
    assert {"python3.x86_64", "python3-libs.x86_64"} <= found.changes.keys()
    assert len(found.changes) < 10


@pytest.mark.parametrize(("action", "blocked"), [("ALLOW_AS_DEPENDENCY", False), ("BLOCK", True)])
def test_a_rejected_dependency_comes_along_or_blocks_what_needs_it(
    shared: tuple[Repositories, Evaluations], action: str, *, blocked: bool
) -> None:
    repositories, evaluations = shared
    now = START + timedelta(days=80)
    state = repositories.image("AmazonLinux2023", START)
    body = baseline("AMAZON_LINUX_2023", 0, RejectedPatches=["python3-libs"], RejectedPatchesAction=action)
    found = evaluations.of("AmazonLinux2023", state, Snapshot("pb-1", body, now), None, now)
    assert ("python3.x86_64" in found.blocked) is blocked
    assert ("python3-libs.x86_64" in found.changes) is not blocked
