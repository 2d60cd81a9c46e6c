"""Points of the check-list that the window engine answers for (facts about Systems Manager, section 9)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from world_builder import (
    ACCOUNT,
    REGION,
    add_nodes,
    add_target,
    add_task,
    add_window,
    executions,
    invocations,
    on_nodes,
    patch_state,
    script_document,
    tasks,
)

from lab.rules import Rule
from lab.testing import LabHandle
from lab.world import AgentState

ONE = datetime(2025, 6, 2, 1, tzinfo=UTC)


def test_point_03_the_next_execution_moves_on_as_the_execution_begins(lab: LabHandle) -> None:
    add_nodes(lab)
    window = add_window(lab, "rate(6 hours)")
    add_task(lab, window, [add_target(lab, window)])
    first = lab.client("ssm").get_maintenance_window(WindowId=window)["NextExecutionTime"]
    lab.advance(hours=6, seconds=1)
    assert executions(lab, window)[0]["Status"] == "IN_PROGRESS"
    assert lab.client("ssm").get_maintenance_window(WindowId=window)["NextExecutionTime"] > first


def test_point_05_a_past_at_never_fires(lab: LabHandle) -> None:
    window = add_window(lab, "at(2025-06-01T01:00:00)")
    lab.advance(days=2)
    assert executions(lab, window) == []


def test_point_06_starts_are_late_by_the_jitter_that_is_set_and_no_more(lab: LabHandle) -> None:
    lab.world.settings.start_jitter_seconds = 180
    windows = [add_window(lab) for _ in range(20)]
    lab.advance(hours=2)
    late = [executions(lab, window)[0]["StartTime"] - ONE for window in windows]
    assert all(timedelta(0) <= one <= timedelta(seconds=180) for one in late)
    assert len(set(late)) > 1


def test_point_06_without_jitter_a_rate_starts_exactly_its_interval_apart(lab: LabHandle) -> None:
    window = add_window(lab, "rate(5 minutes)", Duration=1, Cutoff=0)
    lab.advance(minutes=21)
    starts = [one["StartTime"] for one in executions(lab, window)]
    assert [later - sooner for sooner, later in pairwise(starts)] == [timedelta(minutes=5)] * 3


def test_point_07_a_window_that_still_runs_is_recorded_as_skipped(lab: LabHandle) -> None:
    add_nodes(lab, seconds=4000)
    window = add_window(lab, "rate(30 minutes)")
    add_task(lab, window, [add_target(lab, window)])
    lab.advance(minutes=91)
    statuses = [one["Status"] for one in executions(lab, window)]
    assert statuses == ["IN_PROGRESS", "SKIPPED_OVERLAPPING", "SKIPPED_OVERLAPPING"]
    lab.advance(minutes=30)
    assert executions(lab, window)[0]["Status"] == "SUCCESS"


def test_point_08_a_sixth_execution_waits_until_one_of_five_has_ended(lab: LabHandle) -> None:
    add_nodes(lab, seconds=1800)
    windows = [add_window(lab) for _ in range(6)]
    for window in windows:
        add_task(
            lab, window, [add_target(lab, window)], TaskArn="AWS-RunShellScript", TaskInvocationParameters=_sleep()
        )
    lab.world.rules.add(Rule(kind="script", match="*sleep*", exit_code=0, seconds=1800))
    lab.advance(hours=1, seconds=60)
    assert [executions(lab, window)[0]["Status"] for window in windows] == ["IN_PROGRESS"] * 5 + ["PENDING"]
    lab.advance(hours=2)
    assert [executions(lab, window)[0]["Status"] for window in windows] == ["SUCCESS"] * 6


def test_point_08_a_sixth_execution_can_be_set_to_be_skipped(lab: LabHandle) -> None:
    lab.world.settings.over_account_executions = "skip"
    add_nodes(lab, seconds=1800)
    windows = [add_window(lab) for _ in range(6)]
    for window in windows:
        add_task(
            lab, window, [add_target(lab, window)], TaskArn="AWS-RunShellScript", TaskInvocationParameters=_sleep()
        )
    lab.advance(hours=4)
    assert [executions(lab, window)[0]["Status"] for window in windows] == ["SUCCESS"] * 5 + ["SKIPPED_OVERLAPPING"]


def test_point_12_equal_priorities_run_side_by_side_and_the_next_begins_whatever_became_of_them(lab: LabHandle) -> None:
    add_nodes(lab)
    bad = script_document(lab, "bad", "exit 7")
    good = script_document(lab, "good", "exit 0")
    window = add_window(lab)
    target = add_target(lab, window)
    for priority, document in ((1, good), (0, bad), (0, good)):
        add_task(lab, window, [target], TaskArn=document, Priority=priority, TaskInvocationParameters={})
    lab.advance(hours=2)
    [execution] = executions(lab, window)
    ran = tasks(lab, execution["WindowExecutionId"])
    first, second, last = sorted(ran, key=lambda task: (task["StartTime"], task["TaskArn"]))
    assert (first["TaskArn"], second["TaskArn"]) == ("bad", "good")
    assert first["StartTime"] == second["StartTime"]
    assert last["StartTime"] >= max(first["EndTime"], second["EndTime"])
    assert [first["Status"], second["Status"], last["Status"]] == ["FAILED", "SUCCESS", "SUCCESS"]
    assert execution["Status"] == "FAILED"


def test_point_13_several_window_targets_of_a_task_are_invoked_one_after_the_other(lab: LabHandle) -> None:
    add_nodes(lab, group="web")
    add_nodes(lab, group="db")
    window = add_window(lab)
    targets = [add_target(lab, window, group="web", OwnerInformation="web team"), add_target(lab, window, group="db")]
    add_task(lab, window, targets)
    lab.advance(hours=2)
    first, second = invocations(lab, executions(lab, window)[0]["WindowExecutionId"])
    assert [first["WindowTargetId"], second["WindowTargetId"]] == targets
    assert second["StartTime"] >= first["EndTime"] > first["StartTime"]
    assert first["OwnerInformation"] == "web team"


def test_point_14_tags_are_resolved_when_the_window_starts(lab: LabHandle) -> None:
    add_nodes(lab)
    window = add_window(lab)
    add_task(lab, window, [add_target(lab, window)])
    [late] = add_nodes(lab)
    [moved] = add_nodes(lab)
    lab.client("ec2").create_tags(Resources=[moved.node_id], Tags=[{"Key": "Patch Group", "Value": "db"}])
    lab.advance(hours=2)
    [invocation] = invocations(lab, executions(lab, window)[0]["WindowExecutionId"])
    reached = on_nodes(lab, invocation["ExecutionId"])
    assert late.node_id in reached
    assert moved.node_id not in reached


def test_point_14_stopped_nodes_are_not_reached(lab: LabHandle) -> None:
    [stopped] = add_nodes(lab, running=False)
    [running] = add_nodes(lab)
    window = add_window(lab)
    add_task(lab, window, [add_target(lab, window)])
    lab.advance(hours=2)
    [invocation] = invocations(lab, executions(lab, window)[0]["WindowExecutionId"])
    assert list(on_nodes(lab, invocation["ExecutionId"])) == [running.node_id]
    assert stopped.result is None


def test_point_14_a_task_without_a_node_says_no_invocations_to_execute(lab: LabHandle) -> None:
    add_nodes(lab, running=False)
    window = add_window(lab)
    add_task(lab, window, [add_target(lab, window)])
    lab.advance(hours=2)
    [execution] = executions(lab, window)
    [task] = tasks(lab, execution["WindowExecutionId"])
    assert (task["Status"], task["StatusDetails"]) == ("SUCCESS", "No invocations to execute.")
    assert invocations(lab, execution["WindowExecutionId"]) == []


def test_point_14_a_task_without_a_node_does_not_start_the_others_twice(lab: LabHandle) -> None:
    add_nodes(lab, 2)
    window = add_window(lab)
    add_task(lab, window, [add_target(lab, window, group="nobody")])
    add_task(lab, window, [add_target(lab, window)])
    lab.advance(hours=2)
    [execution] = executions(lab, window)
    assert execution["Status"] == "SUCCESS"
    found = [invocations(lab, execution["WindowExecutionId"], task["TaskExecutionId"]) for task in
             tasks(lab, execution["WindowExecutionId"])]  # fmt: skip
    assert sorted(len(one) for one in found) == [0, 1]


def test_point_14_a_window_without_tasks_says_no_tasks_to_execute(lab: LabHandle) -> None:
    window = add_window(lab)
    lab.advance(hours=2)
    [execution] = executions(lab, window)
    assert (execution["Status"], execution["StatusDetails"]) == ("SUCCESS", "No tasks to execute.")


@pytest.mark.parametrize(
    ("behaviour", "status", "command_status"),
    [("CONTINUE_TASK", "SUCCESS", "Success"), ("CANCEL_TASK", "TIMED_OUT", "Cancelled")],
)
def test_point_15_at_the_cutoff_a_running_task_goes_on_or_is_cancelled(
    lab: LabHandle, behaviour: str, status: str, command_status: str
) -> None:
    add_nodes(lab, 3, seconds=3600)
    window = add_window(lab, Duration=2, Cutoff=1)
    add_task(lab, window, [add_target(lab, window)], MaxConcurrency="1", CutoffBehavior=behaviour)
    lab.advance(hours=8)
    [execution] = executions(lab, window)
    [task] = tasks(lab, execution["WindowExecutionId"])
    assert task["Status"] == status
    [invocation] = invocations(lab, execution["WindowExecutionId"])
    assert invocation["Status"] == status
    [command] = lab.client("ssm").list_commands(CommandId=invocation["ExecutionId"])["Commands"]
    assert command["Status"] == command_status


def test_point_15_after_the_cutoff_no_task_starts(lab: LabHandle) -> None:
    add_nodes(lab, seconds=5400)
    window = add_window(lab, Duration=2, Cutoff=1)
    target = add_target(lab, window)
    add_task(lab, window, [target], Priority=0)
    add_task(lab, window, [target], Priority=1)
    lab.advance(hours=8)
    [execution] = executions(lab, window)
    first, second = tasks(lab, execution["WindowExecutionId"])
    assert (first["Status"], second["Status"]) == ("SUCCESS", "TIMED_OUT")
    assert invocations(lab, execution["WindowExecutionId"], second["TaskExecutionId"]) == []
    assert execution["Status"] == "TIMED_OUT"


def test_point_16_a_cancelled_execution_lets_running_tasks_finish_and_starts_no_other(lab: LabHandle) -> None:
    [node] = add_nodes(lab, seconds=600)
    window = add_window(lab)
    target = add_target(lab, window)
    add_task(lab, window, [target], Priority=0)
    add_task(lab, window, [target], Priority=1)
    lab.advance(hours=1, seconds=60)
    execution = executions(lab, window)[0]["WindowExecutionId"]
    lab.client("ssm").cancel_maintenance_window_execution(WindowExecutionId=execution)
    assert executions(lab, window)[0]["Status"] == "CANCELLING"
    lab.advance(hours=1)
    assert executions(lab, window)[0]["Status"] == "CANCELLED"
    assert [task["Status"] for task in tasks(lab, execution)] == ["SUCCESS", "CANCELLED"]
    assert patch_state(lab, node)["Operation"] == "Scan"


def test_a_disabled_window_never_fires_and_fires_again_once_enabled(lab: LabHandle) -> None:
    window = add_window(lab, "cron(0 1 * * ? *)")
    lab.client("ssm").update_maintenance_window(WindowId=window, Enabled=False)
    lab.advance(days=2)
    assert executions(lab, window) == []
    assert "NextExecutionTime" not in lab.client("ssm").get_maintenance_window(WindowId=window)
    lab.client("ssm").update_maintenance_window(WindowId=window, Enabled=True)
    lab.advance(days=1)
    assert [one["StartTime"] for one in executions(lab, window)] == [ONE + timedelta(days=2)]


def test_a_window_that_is_changed_while_it_waits_fires_only_at_its_new_time(lab: LabHandle) -> None:
    window = add_window(lab)
    lab.client("ssm").update_maintenance_window(WindowId=window, Schedule="at(2025-06-02T05:00:00)")
    lab.advance(days=1)
    assert [one["StartTime"] for one in executions(lab, window)] == [ONE + timedelta(hours=4)]


def test_a_task_that_is_changed_while_it_runs_is_shown_as_it_ran(lab: LabHandle) -> None:
    add_nodes(lab)
    window = add_window(lab, "rate(1 hour)")
    task = add_task(lab, window, [add_target(lab, window)])
    lab.advance(hours=1, seconds=5)
    lab.client("ssm").update_maintenance_window_task(WindowId=window, WindowTaskId=task, TaskArn="AWS-RunShellScript")
    lab.advance(minutes=30)
    execution = executions(lab, window)[0]["WindowExecutionId"]
    [ran] = tasks(lab, execution)
    assert ran["TaskArn"] == "AWS-RunPatchBaseline"
    described = lab.client("ssm").get_maintenance_window_execution_task(
        WindowExecutionId=execution, TaskId=ran["TaskExecutionId"]
    )
    assert described["TaskParameters"] == [{"Operation": {"Values": ["Scan"]}}]


def test_a_deleted_window_fires_no_more_and_keeps_its_history(lab: LabHandle) -> None:
    window = add_window(lab, "rate(1 hour)")
    lab.advance(hours=1, seconds=5)
    lab.client("ssm").delete_maintenance_window(WindowId=window)
    lab.advance(hours=5)
    assert len(executions(lab, window)) == 1


@pytest.mark.parametrize(("kind", "task_type"), [("automation", "AUTOMATION"), ("lambda", "LAMBDA")])
@pytest.mark.parametrize(
    ("outcome", "status"), [("Success", "SUCCESS"), ("Failed", "FAILED"), ("TimedOut", "TIMED_OUT")]
)
def test_automation_and_lambda_tasks_end_as_a_rule_says(
    lab: LabHandle, kind: str, task_type: str, outcome: str, status: str
) -> None:
    lab.world.rules.add(Rule.model_validate({"kind": kind, "match": "SSM-post*", "outcome": outcome, "seconds": 30}))
    window = add_window(lab)
    arn = "SSM-post" if kind == "automation" else f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:SSM-post"
    lab.client("ssm").register_task_with_maintenance_window(WindowId=window, TaskType=task_type, TaskArn=arn)
    lab.advance(hours=2)
    [execution] = executions(lab, window)
    [invocation] = invocations(lab, execution["WindowExecutionId"])
    assert (execution["Status"], invocation["Status"]) == (status, status)
    assert invocation["EndTime"] - invocation["StartTime"] == timedelta(seconds=30)


def _restart(lab: LabHandle, window: str, target: str, **limits: str) -> list[dict[str, Any]]:
    """Run AWS-RestartEC2Instance on the nodes of a window target; answers the task's invocations."""
    lab.client("ssm").register_task_with_maintenance_window(
        WindowId=window,
        TaskType="AUTOMATION",
        TaskArn="AWS-RestartEC2Instance",
        Targets=[{"Key": "WindowTargetIds", "Values": [target]}],
        TaskInvocationParameters={"Automation": {"Parameters": {"InstanceId": ["{{RESOURCE_ID}}"]}}},
        **{"MaxConcurrency": "1", "MaxErrors": "0", **limits},
    )
    lab.advance(hours=2)
    return invocations(lab, executions(lab, window)[0]["WindowExecutionId"])


def test_an_automation_task_has_one_invocation_for_each_node_of_its_target(lab: LabHandle) -> None:
    nodes = {node.node_id for node in add_nodes(lab, 3)}
    window = add_window(lab)
    found = _restart(lab, window, add_target(lab, window, OwnerInformation="web team"))
    assert {json.loads(one["Parameters"])["InstanceId"][0] for one in found} == nodes
    assert {one["OwnerInformation"] for one in found} == {"web team"}
    assert sorted((one["StartTime"] - ONE).total_seconds() for one in found) == [0, 10, 20]


def test_max_concurrency_bounds_the_invocations_of_a_task_that_run_at_once(lab: LabHandle) -> None:
    add_nodes(lab, 5)
    window = add_window(lab)
    found = _restart(lab, window, add_target(lab, window), MaxConcurrency="2")
    assert sorted((one["StartTime"] - ONE).total_seconds() for one in found) == [0, 0, 10, 10, 20]


def test_no_invocation_of_a_task_begins_after_more_than_max_errors_failed(lab: LabHandle) -> None:
    add_nodes(lab, 5)
    lab.world.rules.add(Rule(kind="automation", match="*", outcome="Failed"))
    window = add_window(lab)
    found = _restart(lab, window, add_target(lab, window), MaxErrors="1")
    assert [one["Status"] for one in found] == ["FAILED", "FAILED"]
    assert executions(lab, window)[0]["Status"] == "FAILED"


def test_a_task_whose_window_target_is_gone_has_nothing_to_invoke(lab: LabHandle) -> None:
    add_nodes(lab)
    window = add_window(lab)
    target = add_target(lab, window)
    parameters = {"Automation": {"Parameters": {"InstanceId": ["{{RESOURCE_ID}}"]}}}
    add_task(
        lab,
        window,
        [target],
        TaskType="AUTOMATION",
        TaskArn="AWS-RestartEC2Instance",
        TaskInvocationParameters=parameters,
    )
    lab.client("ssm").deregister_target_from_maintenance_window(WindowId=window, WindowTargetId=target)
    lab.advance(hours=2)
    [task] = tasks(lab, executions(lab, window)[0]["WindowExecutionId"])
    assert (task["Status"], task["StatusDetails"]) == ("SUCCESS", "No invocations to execute.")
    assert lab.location().automations == {}


@pytest.mark.parametrize("payload", [b"\xff\xfe", b'{"window": "{{WINDOW_ID}}"}', b""])
def test_a_function_gets_its_payload_whatever_it_is(lab: LabHandle, payload: bytes) -> None:
    window = add_window(lab)
    lab.client("ssm").register_task_with_maintenance_window(
        WindowId=window,
        TaskType="LAMBDA",
        TaskArn="SSM-note",
        TaskInvocationParameters={"Lambda": {"Payload": payload}},
    )
    lab.advance(hours=2)
    [invocation] = invocations(lab, executions(lab, window)[0]["WindowExecutionId"])
    assert invocation["Status"] == "SUCCESS"
    assert ("{{" in invocation["Parameters"]) is False


def test_every_execution_of_five_days_can_be_read_page_by_page(lab: LabHandle) -> None:
    window = add_window(lab, "rate(1 hour)", Duration=1, Cutoff=0)
    lab.advance(hours=121)
    pages = list(lab.client("ssm").get_paginator("describe_maintenance_window_executions").paginate(WindowId=window))
    ids = {one["WindowExecutionId"] for page in pages for one in page["WindowExecutions"]}
    assert len(pages) > 1
    assert len(ids) == 121


def test_executions_can_be_asked_for_by_time(lab: LabHandle) -> None:
    window = add_window(lab, "rate(1 hour)", Duration=1, Cutoff=0)
    lab.advance(hours=6, minutes=30)
    wanted = [{"Key": "ExecutedAfter", "Values": ["2025-06-02T03:30:00Z"]}]
    found = lab.client("ssm").describe_maintenance_window_executions(WindowId=window, Filters=wanted)
    assert len(found["WindowExecutions"]) == 3


def test_an_offline_node_does_not_stop_the_others(lab: LabHandle) -> None:
    add_nodes(lab, agent=AgentState.LOST)
    good = add_nodes(lab, 3)
    window = add_window(lab)
    add_task(lab, window, [add_target(lab, window)], run_command={"TimeoutSeconds": 600})
    lab.advance(hours=3)
    assert all(node.result is not None for node in good)
    [invocation] = invocations(lab, executions(lab, window)[0]["WindowExecutionId"])
    details = sorted(one["StatusDetails"] for one in on_nodes(lab, invocation["ExecutionId"]).values())
    assert details == ["DeliveryTimedOut", "Success", "Success", "Success"]


def _sleep() -> dict[str, object]:
    return {"RunCommand": {"Parameters": {"commands": ["sleep 1800"]}}}
