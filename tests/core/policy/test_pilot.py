"""The pilot's policy: it scans a few nodes that are nobody's, and can do nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from lab.os_products import PRODUCTS
from sluice.core.errors import SluiceError
from sluice.core.node import Agent, Node
from sluice.core.policy.lint import lint
from sluice.core.policy.load import Loaded, load_policy
from sluice.core.policy.pilot import GROUP, MOST_NODES, pilot_policy

AGENT = Agent("3.3.2299.0", latest=True, online=True, last_ping=None, platform_name="Ubuntu", platform_version="22.04")
NODE = Node("i-1", {}, "running", "ManagedNode", AGENT)


def nodes(number: int) -> list[Node]:
    return [replace(NODE, id=f"i-{index}") for index in range(1, number + 1)]


def made(*found: Node, rehearsal: bool = False) -> Loaded:
    text = pilot_policy("111111111111", "eu-west-3", [node.id for node in found], found, rehearsal=rehearsal)
    return load_policy([("pilot.yaml", text)], {})


def test_a_pilot_scans_and_nothing_else() -> None:
    policy = made(*nodes(2)).policy
    assert policy.mode == "observe"
    assert [window.operation for window in policy.windows] == ["scan"]
    assert [ring.production for ring in policy.rings] == [False]
    assert policy.windows[0].concurrency == "1"
    assert policy.windows[0].patch_groups == (GROUP,)
    assert [group.name for group in policy.patch_groups] == [GROUP]
    assert [location.key for location in policy.locations] == ["111111111111/eu-west-3"]


def test_a_pilot_asks_aws_alone_unless_it_is_a_rehearsal() -> None:
    assert made(NODE).policy.endpoint == "aws"
    assert made(NODE, rehearsal=True).policy.endpoint is None


@pytest.mark.parametrize("key", sorted(PRODUCTS))
def test_a_pilot_of_every_operating_system_has_no_error(key: str) -> None:
    agent = replace(AGENT, platform_name=PRODUCTS[key].platform_name, platform_version=PRODUCTS[key].platform_version)
    loaded = made(replace(NODE, agent=agent))
    assert [found for found in lint(loaded, date(2025, 6, 2)) if found.kind == "error"] == []
    assert loaded.policy.baselines[0].os == PRODUCTS[key].operating_system


def test_nodes_of_several_systems_have_a_baseline_each() -> None:
    windows = replace(AGENT, platform_name="Microsoft Windows Server 2019 Datacenter", platform_version="10.0.17763")
    policy = made(NODE, replace(NODE, id="i-2", agent=windows)).policy
    assert {baseline.os for baseline in policy.baselines} == {"UBUNTU", "WINDOWS"}
    assert policy.patch_groups[0].products == ("UBUNTU 22.04", "WINDOWS Server 2019")


@pytest.mark.parametrize("number", [0, MOST_NODES + 1])
def test_a_pilot_has_one_to_five_nodes(number: int) -> None:
    with pytest.raises(SluiceError, match=f"found {number}"):
        made(*nodes(number))


def test_five_nodes_are_a_pilot() -> None:
    assert made(*nodes(MOST_NODES))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"agent": None}, "found none by Systems Manager"),
        ({"agent": None, "state": "stopped"}, "found it stopped"),
        ({"agent": replace(AGENT, online=False)}, "connection lost"),
        ({"agent": replace(AGENT, platform_name="Plan 9")}, "found 'Plan 9'"),
        ({"tags": {"Patch Group": "web"}}, "found it in 'web'"),
        ({"tags": {"PatchGroup": "web"}}, "found it in 'web'"),
    ],
)
def test_a_node_that_is_somebodys_or_cannot_be_scanned_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SluiceError, match=message):
        made(replace(NODE, **changes))


def test_everything_that_speaks_against_the_nodes_is_said_at_once() -> None:
    found = [NODE, replace(NODE, id="i-2", agent=None)]
    with pytest.raises(SluiceError) as refused:
        pilot_policy("111111111111", "eu-west-3", ["i-2", "i-3"], found, rehearsal=False)
    assert "i-2:" in str(refused.value)
    assert "i-3:" in str(refused.value)


def test_another_node_with_the_pilots_tag_is_refused() -> None:
    tagged = replace(NODE, id="i-2", tags={"Patch Group": GROUP})
    with pytest.raises(SluiceError, match="i-2: expected no other node"):
        pilot_policy("111111111111", "eu-west-3", ["i-1"], [NODE, tagged], rehearsal=False)


def test_a_pilot_may_be_written_again_for_its_own_nodes() -> None:
    assert made(replace(NODE, tags={"Patch Group": GROUP}))
