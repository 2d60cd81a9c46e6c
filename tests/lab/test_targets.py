"""Which nodes a target names."""

from __future__ import annotations

import json

from world_builder import add_nodes

from lab.targets import resolve
from lab.testing import LabHandle
from lab.world import AgentState


def ids(lab: LabHandle, *targets: tuple[str, list[str]]) -> list[str]:
    return resolve(lab.location(), [{"Key": key, "Values": values} for key, values in targets])


def test_values_of_a_key_are_alternatives_and_keys_must_all_match(lab: LabHandle) -> None:
    [web] = add_nodes(lab, group="web", tags={"Role": "front"})
    [db] = add_nodes(lab, group="db", tags={"Role": "front"})
    add_nodes(lab, group="cache", tags={"Role": "back"})
    assert ids(lab, ("tag:Patch Group", ["web", "db"])) == sorted([web.node_id, db.node_id])
    assert ids(lab, ("tag:Patch Group", ["web", "cache"]), ("tag:Role", ["front"])) == [web.node_id]


def test_a_tag_key_names_every_node_that_has_the_tag(lab: LabHandle) -> None:
    [tagged] = add_nodes(lab, group=None, tags={"Canary": ""})
    add_nodes(lab)
    assert ids(lab, ("tag-key", ["Canary"])) == [tagged.node_id]


def test_nodes_without_agent_are_nobodys_target_and_those_with_a_lost_one_are(lab: LabHandle) -> None:
    [none] = add_nodes(lab, agent=AgentState.NONE)
    [lost] = add_nodes(lab, agent=AgentState.LOST)
    assert ids(lab, ("InstanceIds", [none.node_id, lost.node_id])) == [lost.node_id]


def test_no_targets_name_nothing(lab: LabHandle) -> None:
    add_nodes(lab)
    assert ids(lab) == []
    assert ids(lab, ("tag:Patch Group", [])) == []


def test_a_resource_group_names_the_nodes_of_its_tag_query(lab: LabHandle) -> None:
    [web] = add_nodes(lab)
    add_nodes(lab, group="db")
    query = {
        "ResourceTypeFilters": ["AWS::EC2::Instance"],
        "TagFilters": [{"Key": "Patch Group", "Values": ["web"]}],
    }
    lab.client("resource-groups").create_group(
        Name="front", ResourceQuery={"Type": "TAG_FILTERS_1_0", "Query": json.dumps(query)}
    )
    assert ids(lab, ("resource-groups:Name", ["front"])) == [web.node_id]
    assert ids(lab, ("resource-groups:Name", ["unknown"])) == []
