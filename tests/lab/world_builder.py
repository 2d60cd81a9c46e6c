"""Small worlds for the tests of the engine: nodes and windows, made with as few words as possible."""

from __future__ import annotations

import json
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any

from lab.ec2.instances import create_instance
from lab.testing import LabHandle
from lab.world import AgentState, Node, NodeFaults

ACCOUNT, REGION = "111111111111", "eu-west-3"


def add_nodes(
    lab: LabHandle,
    count: int = 1,
    *,
    group: str | None = "web",
    product: str = "AmazonLinux2023",
    agent: AgentState = AgentState.ONLINE,
    running: bool = True,
    seconds: int = 60,
    reboot_seconds: int = 120,
    image_age_days: int = 30,
    faults: NodeFaults | None = None,
    tags: dict[str, str] | None = None,
) -> list[Node]:
    """`count` nodes in the default location, tagged with the patch group `group`."""
    location = lab.location(ACCOUNT, REGION)
    now = lab.world.clock.now()
    built = now - timedelta(days=image_age_days)
    repositories = lab.world.repositories
    nodes = []
    for _ in range(count):
        marks = {"Name": f"node-{len(location.nodes):03d}", **({"Patch Group": group} if group else {}), **(tags or {})}
        node_id = create_instance(
            location,
            tags=marks,
            image_id="ami-0123456789abcdef0",
            instance_type="t3.small",
            platform="windows" if repositories.product(product).family == "windows" else None,
            profile_arn=f"arn:aws:iam::{ACCOUNT}:instance-profile/node",
            launched=built,
            running=running,
        )
        node = Node(
            node_id=node_id,
            account=ACCOUNT,
            region=REGION,
            product=product,
            name=marks["Name"],
            packages=repositories.image(product, built, "base"),
            agent=agent,
            agent_version="3.3.2299.0",
            profile=f"arn:aws:iam::{ACCOUNT}:instance-profile/node",
            duration_seconds=seconds,
            reboot_seconds=reboot_seconds,
            booted_at=built,
            registered_at=built,
            faults=faults,
            image_built=built,
        )
        location.nodes[node_id] = node
        nodes.append(node)
    return nodes


def add_window(lab: LabHandle, schedule: str = "at(2025-06-02T01:00:00)", **options: Any) -> str:
    """A window of four hours with a cutoff of one; answers its id."""
    given = {"Duration": 4, "Cutoff": 1, "AllowUnassociatedTargets": False, **options}
    name = f"window-{len(lab.location(ACCOUNT, REGION).windows)}"
    return str(lab.client("ssm").create_maintenance_window(Name=name, Schedule=schedule, **given)["WindowId"])


def add_target(lab: LabHandle, window: str, *, group: str = "web", **options: Any) -> str:
    """A window target by patch group; answers its id."""
    given = {"Targets": [{"Key": "tag:Patch Group", "Values": [group]}], "ResourceType": "INSTANCE", **options}
    return str(lab.client("ssm").register_target_with_maintenance_window(WindowId=window, **given)["WindowTargetId"])


def add_task(lab: LabHandle, window: str, targets: list[str], **options: Any) -> str:
    """A patch task over window targets (a scan unless `operation` says otherwise); answers its id."""
    parameters = {"Operation": [options.pop("operation", "Scan")]}
    if reboot := options.pop("reboot", None):
        parameters["RebootOption"] = [reboot]
    run_command = {"Parameters": {**parameters, **options.pop("parameters", {})}, **options.pop("run_command", {})}
    given = {
        "TaskType": "RUN_COMMAND",
        "TaskArn": "AWS-RunPatchBaseline",
        "MaxConcurrency": "100%",
        "MaxErrors": "100%",
        "TaskInvocationParameters": {"RunCommand": run_command},
        **options,
    }
    wanted = [{"Key": "WindowTargetIds", "Values": targets}] if targets else []
    answer = lab.client("ssm").register_task_with_maintenance_window(WindowId=window, Targets=wanted, **given)
    return str(answer["WindowTaskId"])


def executions(lab: LabHandle, window: str) -> list[dict[str, Any]]:
    """The window's executions, oldest first."""
    found = lab.client("ssm").describe_maintenance_window_executions(WindowId=window)["WindowExecutions"]
    return sorted(found, key=lambda one: one["StartTime"])


def tasks(lab: LabHandle, execution: str) -> list[dict[str, Any]]:
    """An execution's tasks."""
    answer = lab.client("ssm").describe_maintenance_window_execution_tasks(WindowExecutionId=execution)
    return list(answer["WindowExecutionTaskIdentities"])


def invocations(lab: LabHandle, execution: str, task: str | None = None) -> list[dict[str, Any]]:
    """The invocations of an execution's task (its only one, unless named)."""
    task_id = task or tasks(lab, execution)[0]["TaskExecutionId"]
    answer = lab.client("ssm").describe_maintenance_window_execution_task_invocations(
        WindowExecutionId=execution, TaskId=task_id
    )
    return list(answer["WindowExecutionTaskInvocationIdentities"])


def on_nodes(lab: LabHandle, command: str) -> dict[str, dict[str, Any]]:
    """A command's invocations by node id, all pages."""
    pages = lab.client("ssm").get_paginator("list_command_invocations").paginate(CommandId=command, Details=True)
    return {one["InstanceId"]: one for page in pages for one in page["CommandInvocations"]}


def plugin(lab: LabHandle, command: str, node: Node, name: str) -> dict[str, Any]:
    """What a step of a command's document reported of a node."""
    return next(one for one in on_nodes(lab, command)[node.node_id]["CommandPlugins"] if one["Name"] == name)


def patch_state(lab: LabHandle, node: Node) -> dict[str, Any]:
    """A node's patch state as the API answers it."""
    [state] = lab.client("ssm").describe_instance_patch_states(InstanceIds=[node.node_id])["InstancePatchStates"]
    return dict(state)


def script_document(lab: LabHandle, name: str, script: str, *, action: str = "aws:runShellScript") -> str:
    """A document of the account's own with one script step; answers its name."""
    content = {
        "schemaVersion": "2.2",
        "description": "A script of the tests.",
        "mainSteps": [{"action": action, "name": "runScript", "inputs": {"runCommand": script.splitlines()}}],
    }
    lab.client("ssm").create_document(Name=name, Content=json.dumps(content), DocumentType="Command")
    return name


def admin(lab: LabHandle, method: str, path: str, body: Any = None) -> Any:
    """A call of the admin API; answers its JSON."""
    data = None if body is None else json.dumps(body).encode()
    connection = HTTPConnection(lab.endpoint.removeprefix("http://"))
    try:
        connection.request(method, path, body=data, headers={"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode()
        assert answer.status == 200, text
        return json.loads(text)
    finally:
        connection.close()
