"""What a release expects is resolved once, with the reason of each node that it cannot reach."""

from __future__ import annotations

from pathlib import Path

import pytest
from flow_world import HERE, NONPROD, PROD, SCAN, at, run_of
from nodes_flow import NODES_FLEET, THERE, excepting, named, register, wide

from lab.fleet import Fleet
from lab.testing import LabHandle
from sluice.core.errors import ReleaseError
from sluice.core.policy.policy import Policy
from sluice.evidence import tables
from sluice.flow.resolve import read_resolved, resolve


@pytest.fixture
def lab_fleet() -> Fleet:
    return NODES_FLEET


@pytest.fixture
def policy(aws_environment: LabHandle, tmp_path: Path) -> Policy:
    found = wide(tmp_path / "evidence")
    register(aws_environment, found)
    aws_environment.advance(hours=1)
    return found


def test_every_node_has_a_reason_or_a_slot(policy: Policy) -> None:
    run = run_of(policy, PROD, at(9, 3))
    told = resolve(run, HERE)
    assert told == {
        "location": HERE,
        "expected": 11,
        "reachable": 4,
        "reasons": {
            "OS product that the patch group does not list": 1,
            "agent lost": 1,
            "no agent": 1,
            "no baseline registered: on AWS's default": 1,
            "no instance profile": 1,
            "no patch group": 1,
            "stopped": 1,
        },
        "slots": {"prod-linux.AMAZON_LINUX_2023": 4},
    }
    found = named(run)
    assert found["edge"].hybrid
    assert found["edge"].reason is None
    assert found["silent"].detail == "running, with the profile ManagedNode"
    assert found["orphan"].detail == "legacy-apps is not in the policy, and no baseline serves it"


def test_a_scan_expects_every_node_that_is_there(policy: Policy) -> None:
    run = run_of(policy, SCAN)
    told = resolve(run, HERE)
    assert (told["expected"], told["reachable"]) == (13, 9)
    assert told["slots"] == {"nonprod-linux.scan": 2, "prod-linux.scan": 5, "ungrouped": 2}


def test_what_was_resolved_first_is_what_every_later_step_speaks_of(policy: Policy, lab: LabHandle) -> None:
    run = run_of(policy, NONPROD)
    first = resolve(run, HERE)
    before = named(run)
    ec2 = lab.client("ec2", "111111111111", "eu-west-3")
    ec2.stop_instances(InstanceIds=[before["web-nonprod-01"].node])
    lab.advance(minutes=10)
    assert resolve(run, HERE) == first
    assert named(run) == before
    assert resolve(run_of(policy, NONPROD, run_id="r2"), HERE)["reasons"]["stopped"] == 1


def test_the_nodes_are_evidence_of_the_release(policy: Policy) -> None:
    run = run_of(policy, NONPROD)
    for location in (HERE, THERE, HERE):
        resolve(run, location)
    rows = tables.of_release(run.store, "nodes", run.release)
    assert len(rows) == 4 + 2, "of each location, once"
    web = next(row for row in rows if row["location"] == THERE)
    assert (web["ring"], web["slot"], web["reason"]) == ("nonprod", "nonprod-linux.AMAZON_LINUX_2023", None)


def test_nothing_is_known_of_a_location_before_it_is_resolved(policy: Policy) -> None:
    run = run_of(policy, NONPROD)
    with (
        run.connect(HERE) as connection,
        pytest.raises(ReleaseError, match=f"{HERE}: expected the nodes of {run.release.id} to be resolved"),
    ):
        read_resolved(run, connection)


def test_an_exception_is_honoured_on_the_day_of_the_release(policy: Policy) -> None:
    run = run_of(policy, NONPROD, at(3, 3))
    resolve(run, HERE)
    node = named(run)["web-nonprod-01"].node
    but_one = excepting(policy, nodes=[node], expires="2025-06-03")
    assert resolve(run_of(but_one, NONPROD, at(3, 3), run_id="r2"), HERE)["reasons"]["excepted"] == 1
    assert "excepted" not in resolve(run_of(but_one, NONPROD, at(4, 3), run_id="r3"), HERE)["reasons"]


def test_only_what_was_asked_for_is_expected(policy: Policy) -> None:
    run = run_of(policy, NONPROD)
    resolve(run, HERE)
    node = named(run)["web-nonprod-02"].node
    only = run_of(policy, NONPROD, run_id="r2", nodes=(node,))
    assert resolve(only, HERE)["expected"] == 1
    with pytest.raises(ReleaseError, match="expected patch groups of install-nonprod"):
        resolve(run_of(policy, NONPROD, run_id="r3", patch_groups=("prod-linux",)), HERE)


def test_a_retry_expects_the_nodes_that_failed_before_and_no_other(policy: Policy) -> None:
    first = run_of(policy, NONPROD, at(3, 3))
    resolve(first, HERE)
    nodes = named(first)
    rows = [
        {"location": HERE, "node": one.node, "read": at(3, 5), "result": result, "ours": True}
        for one, result in zip(nodes.values(), ("failed", "succeeded"), strict=False)
    ]
    tables.write(first.store, "patch_summaries", first.release, HERE, rows)
    again = run_of(policy, NONPROD, at(4, 3), run_id="r2", retry_of=first.release.id)
    assert resolve(again, HERE)["expected"] == 1
    assert resolve(again, THERE)["expected"] == 0
    with again.connect(HERE) as connection:
        assert [one.node for one in read_resolved(again, connection)] == [rows[0]["node"]]


@pytest.mark.parametrize(
    ("retry_of", "words"),
    [
        ("install-nonprod-20250603T0300-0123abcd", "expected evidence of install-nonprod-20250603T0300-0123abcd"),
        ("install-prod-linux-20250603T0300-0123abcd", "expected retry_of to be a release of install-nonprod"),
        ("yesterday", "found yesterday"),
        ("install-nonprod-20250631T0300-0123abcd", "expected retry_of to be a release of install-nonprod"),
    ],
)
def test_a_retry_of_what_is_not_known_is_refused(policy: Policy, retry_of: str, words: str) -> None:
    with pytest.raises(ReleaseError, match=words):
        resolve(run_of(policy, NONPROD, retry_of=retry_of), HERE)
