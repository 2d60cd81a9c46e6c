"""The demo fleet, scanned: every kind of node has something to report, on the real advisories' dates."""

from __future__ import annotations

from collections import Counter

import pytest

from lab.testing import LabHandle
from lab.world import AgentState, Node


@pytest.fixture(scope="module")
def lab_fleet() -> str:
    return "demo"


def every_node(lab: LabHandle) -> list[Node]:
    return [node for location in lab.world.locations() for node in location.nodes.values()]


def scan(lab: LabHandle) -> None:
    """Scan all nodes that are reached, in every location, against AWS's default baselines."""
    for location in list(lab.world.locations()):
        ssm = lab.client("ssm", account=location.account, region=location.region)
        node_ids = [node.node_id for node in location.nodes.values() if location.reachable(node)]
        for start in range(0, len(node_ids), 50):
            ssm.send_command(
                InstanceIds=node_ids[start : start + 50],
                DocumentName="AWS-RunPatchBaseline",
                Parameters={"Operation": ["Scan"]},
                MaxConcurrency="100%",
            )
    lab.advance(hours=1)


def test_the_demo_has_its_nodes_in_two_accounts_and_four_regions(lab: LabHandle) -> None:
    assert len(every_node(lab)) == 63
    assert len(list(lab.world.locations())) == 4
    assert Counter(node.agent for node in every_node(lab)) == {
        AgentState.ONLINE: 60,
        AgentState.LOST: 2,
        AgentState.NONE: 1,
    }


def test_every_kind_of_node_misses_patches_by_september(lab: LabHandle) -> None:
    lab.advance(days=100)
    scan(lab)
    scanned = [node for node in every_node(lab) if node.result is not None]
    assert len(scanned) == 58  # all but two stopped, two lost and one without an agent
    missing = {node.product: sum(row.state == "MISSING" for row in node.result.rows) for node in scanned if node.result}
    assert min(missing.values()) >= 1, missing
    assert missing["AmazonLinux2023"] > 20
    assert missing["Ubuntu22.04"] > 20


def test_what_is_missing_grows_with_the_advisories(lab: LabHandle) -> None:
    def missing() -> int:
        scan(lab)
        return sum(
            row.state == "MISSING" for node in every_node(lab) if node.result is not None for row in node.result.rows
        )

    at_the_start = missing()
    lab.advance(days=30)
    in_july = missing()
    lab.advance(days=60)
    assert at_the_start < in_july < missing()
