"""Which nodes a target names."""

from __future__ import annotations

import json

from world_builder import add_nodes, add_window, executions, invocations

from lab.targets import resolve
from lab.testing import LabHandle
from lab.world import AgentState


def ids(lab: LabHandle, *targets: tuple[str, list[str]]) -> list[str]:
    return resolve(lab.location(), [{"Key": key, "Values": values} for key, values in targets])


def group(lab: LabHandle, name: str, query: str) -> None:
    lab.client("resource-groups").create_group(Name=name, ResourceQuery={"Type": "TAG_FILTERS_1_0", "Query": query})


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
    group(lab, "front", json.dumps(query))
    group(lab, "any", json.dumps({**query, "TagFilters": [{"Key": "Patch Group", "Values": []}]}))
    assert ids(lab, ("resource-groups:Name", ["front"])) == [web.node_id]
    assert len(ids(lab, ("resource-groups:Name", ["any"]))) == 2
    assert ids(lab, ("resource-groups:Name", ["unknown"])) == []


def test_a_group_of_something_else_names_no_nodes(lab: LabHandle) -> None:
    add_nodes(lab)
    of_buckets = {"ResourceTypeFilters": ["AWS::S3::Bucket"], "TagFilters": [{"Key": "Patch Group", "Values": []}]}
    group(lab, "buckets", json.dumps(of_buckets))
    stack = {"StackIdentifier": "arn:aws:cloudformation:eu-west-3:111111111111:stack/a/b", "ResourceTypeFilters": ["x"]}
    lab.client("resource-groups").create_group(
        Name="stack", ResourceQuery={"Type": "CLOUDFORMATION_STACK_1_0", "Query": json.dumps(stack)}
    )
    lab.client("resource-groups").create_group(
        Name="pool", Configuration=[{"Type": "AWS::EC2::CapacityReservationPool", "Parameters": []}]
    )
    assert ids(lab, ("resource-groups:Name", ["buckets", "stack", "pool"])) == []


def test_a_runbook_gets_the_arn_of_a_group_s_member(lab: LabHandle) -> None:
    [web] = add_nodes(lab)
    tags = [{"Key": "Patch Group", "Values": ["web"]}]
    group(lab, "front", json.dumps({"ResourceTypeFilters": ["AWS::AllSupported"], "TagFilters": tags}))
    ssm, window = lab.client("ssm"), add_window(lab)
    target = ssm.register_target_with_maintenance_window(
        WindowId=window, ResourceType="RESOURCE_GROUP", Targets=[{"Key": "resource-groups:Name", "Values": ["front"]}]
    )["WindowTargetId"]
    ssm.register_task_with_maintenance_window(
        WindowId=window,
        TaskType="AUTOMATION",
        TaskArn="AWS-RestartEC2Instance",
        Targets=[{"Key": "WindowTargetIds", "Values": [target]}],
        MaxConcurrency="1",
        MaxErrors="1",
        TaskInvocationParameters={"Automation": {"Parameters": {"InstanceId": ["{{RESOURCE_ID}}", "{{TARGET_ID}}"]}}},
    )
    lab.advance(hours=2)
    [invocation] = invocations(lab, executions(lab, window)[0]["WindowExecutionId"])
    arn = f"arn:aws:ec2:eu-west-3:111111111111:instance/{web.node_id}"
    assert json.loads(invocation["Parameters"]) == {"InstanceId": [web.node_id, arn]}
