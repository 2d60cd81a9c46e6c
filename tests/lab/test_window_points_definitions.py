"""Points of the check-list that windows, targets and tasks answer for by themselves (section 9 of the facts)."""

from __future__ import annotations

import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.testing import LabHandle

PATCH_GROUP = [{"Key": "tag:Patch Group", "Values": ["web"]}]
GUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@pytest.fixture
def ssm(lab: LabHandle) -> Any:
    return lab.client("ssm")


def create(ssm: Any, **members: Any) -> str:
    given = {"Name": "patching", "Schedule": "cron(0 2 ? * TUE#2 *)", "Duration": 4, "Cutoff": 1, **members}
    return str(ssm.create_maintenance_window(AllowUnassociatedTargets=False, **given)["WindowId"])


def add_target(ssm: Any, window: str, **members: Any) -> str:
    answer = ssm.register_target_with_maintenance_window(
        WindowId=window, **{"Targets": PATCH_GROUP, "ResourceType": "INSTANCE", **members}
    )
    return str(answer["WindowTargetId"])


def add_task(ssm: Any, window: str, **members: Any) -> str:
    given = {"TaskType": "AUTOMATION", "TaskArn": "AWS-RestartEC2Instance", **members}
    return str(ssm.register_task_with_maintenance_window(WindowId=window, **given)["WindowTaskId"])


def run_command(*targets: str, **members: Any) -> dict[str, Any]:
    return {
        "TaskType": "RUN_COMMAND",
        "TaskArn": "AWS-RunPatchBaseline",
        "Targets": [{"Key": "WindowTargetIds", "Values": list(targets)}],
        "MaxConcurrency": "1",
        "MaxErrors": "1",
        **members,
    }


def next_run(ssm: Any, window: str) -> str | None:
    time: str | None = ssm.get_maintenance_window(WindowId=window).get("NextExecutionTime")
    return time


def test_point_01_ids_have_the_shapes_of_aws(ssm: Any) -> None:
    window = create(ssm)
    assert re.fullmatch(r"mw-[0-9a-f]{17}", window)
    assert re.fullmatch(GUID, add_target(ssm, window))
    assert re.fullmatch(GUID, add_task(ssm, window))


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"Name": "no spaces"}, "failed to satisfy constraint: Member must satisfy regular expression pattern"),
        ({"Duration": 25}, "less than or equal to 24"),
        ({"Cutoff": 24}, "less than or equal to 23"),
        ({"ScheduleOffset": 7}, "less than or equal to 6"),
        ({"Schedule": "c" * 257}, "length less than or equal to 256"),
        ({"Duration": "4"}, "Member must be of type integer"),
        ({"Schedule": None}, "Value null at 'schedule' failed to satisfy constraint: Member must not be null"),
    ],
)
def test_point_01_requests_are_held_against_the_model(lab: LabHandle, members: dict[str, Any], said: str) -> None:
    from botocore.config import Config

    unchecked = lab.client("ssm", config=Config(parameter_validation=False))
    with pytest.raises(ClientError, match=said) as refused:
        create(unchecked, **members)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"Schedule": "cron(0 2 ? * TUE#2 *)"}, "2025-06-10T02:00Z"),
        ({"Schedule": "cron(24 0 2 L * ? *)"}, "2025-06-30T02:00:24Z"),
        ({"Schedule": "cron(0 2 ? * 6L *)", "ScheduleTimezone": "Europe/Paris"}, "2025-06-27T02:00+02:00"),
        ({"Schedule": "rate(5 hours)"}, "2025-06-02T05:00Z"),
        ({"Schedule": "at(2025-07-07T15:55:00)", "ScheduleTimezone": "Europe/Paris"}, "2025-07-07T17:55+02:00"),
        ({"Schedule": "cron(0 2 ? * TUE#2 *)", "ScheduleOffset": 3}, "2025-06-13T02:00Z"),
        ({"Schedule": "cron(0 2 * * ? *)", "StartDate": "2025-08-01T00:00:00+09:00"}, "2025-08-01T02:00Z"),
        ({"Schedule": "cron(0 2 * * ? *)", "EndDate": "2025-06-02T01:59:59Z"}, None),
        # The night the clocks go forward: half past two in Paris does not exist on 30 March.
        (
            {
                "Schedule": "cron(30 2 ? 3 SUN *)",
                "ScheduleTimezone": "Europe/Paris",
                "StartDate": "2026-03-23T00:00:00Z",
                "EndDate": "2026-03-30T00:00:00Z",
            },
            None,
        ),
    ],
)
def test_point_02_schedules_zones_offsets_and_dates_decide_the_next_run(
    ssm: Any, members: dict[str, Any], expected: str | None
) -> None:
    assert next_run(ssm, create(ssm, **members)) == expected


def test_point_03_an_update_recomputes_the_next_execution_time(ssm: Any) -> None:
    window = create(ssm)
    for members, expected in [
        ({"Schedule": "cron(0 3 * * ? *)"}, "2025-06-02T03:00Z"),
        ({"ScheduleTimezone": "Europe/Paris"}, "2025-06-02T03:00+02:00"),
        ({"ScheduleOffset": 2}, "2025-06-04T03:00+02:00"),
        ({"StartDate": "2025-07-01T00:00:00Z"}, "2025-07-01T03:00+02:00"),
        ({"EndDate": "2025-07-01T00:30:00Z"}, None),
        ({"EndDate": "2025-08-01T00:00:00Z"}, "2025-07-01T03:00+02:00"),
    ]:
        ssm.update_maintenance_window(WindowId=window, **members)
        assert next_run(ssm, window) == expected


def test_point_03_a_disabled_window_has_no_next_execution_time_until_it_is_enabled_again(ssm: Any) -> None:
    window = create(ssm)
    assert ssm.update_maintenance_window(WindowId=window, Enabled=False)["Enabled"] is False
    assert next_run(ssm, window) is None
    assert "NextExecutionTime" not in ssm.describe_maintenance_windows()["WindowIdentities"][0]
    assert ssm.update_maintenance_window(WindowId=window, Enabled=True)["Enabled"] is True
    assert next_run(ssm, window) == "2025-06-10T02:00Z"


def test_point_03_replace_nulls_what_is_left_out(ssm: Any) -> None:
    window = create(ssm, ScheduleTimezone="Europe/Paris", ScheduleOffset=1, Description="old")
    required = {"Name": "patching", "Schedule": "cron(0 2 ? * TUE#2 *)", "Duration": 4, "Cutoff": 1}
    ssm.update_maintenance_window(WindowId=window, Replace=True, AllowUnassociatedTargets=False, **required)
    after = ssm.get_maintenance_window(WindowId=window)
    assert after["NextExecutionTime"] == "2025-06-10T02:00Z"
    assert "Description" not in after


def test_point_04_the_schedule_begins_with_the_next_execution_time(ssm: Any) -> None:
    window = create(ssm, ScheduleTimezone="Europe/Paris", ScheduleOffset=2)
    runs = ssm.describe_maintenance_window_schedule(WindowId=window, MaxResults=2)["ScheduledWindowExecutions"]
    assert [run["ExecutionTime"] for run in runs] == ["2025-06-12T02:00+02:00", "2025-07-10T02:00+02:00"]
    assert runs[0]["ExecutionTime"] == next_run(ssm, window)


def test_point_05_a_past_at_is_taken_and_has_no_next_run(ssm: Any) -> None:
    assert next_run(ssm, create(ssm, Schedule="at(2025-06-01T01:00:00)")) is None


def test_point_05_a_past_at_is_refused_when_the_lab_is_set_so(lab: LabHandle, ssm: Any) -> None:
    lab.world.settings.past_at = "reject"
    with pytest.raises(ClientError, match="the time is past") as refused:
        create(ssm, Schedule="at(2025-06-02T00:00:00)")
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    window = create(ssm, Schedule="at(2025-06-02T00:00:01)")
    lab.advance(hours=1)
    with pytest.raises(ClientError, match="the time is past"):
        ssm.update_maintenance_window(WindowId=window, Schedule="at(2025-06-02T00:30:00)")
    assert ssm.update_maintenance_window(WindowId=window, Name="still-here")["Name"] == "still-here"


def test_point_09_an_account_and_region_holds_50_windows(ssm: Any) -> None:
    windows = [create(ssm) for _ in range(50)]
    with pytest.raises(ClientError) as refused:
        create(ssm)
    assert refused.value.response["Error"]["Code"] == "ResourceLimitExceededException"
    ssm.delete_maintenance_window(WindowId=windows[0])
    assert create(ssm)


def test_point_09_a_window_holds_100_targets(ssm: Any) -> None:
    window = create(ssm)
    for _ in range(100):
        add_target(ssm, window)
    with pytest.raises(ClientError) as refused:
        add_target(ssm, window)
    assert refused.value.response["Error"]["Code"] == "ResourceLimitExceededException"


def test_point_09_a_window_holds_20_tasks(ssm: Any) -> None:
    window = create(ssm)
    for _ in range(20):
        add_task(ssm, window)
    with pytest.raises(ClientError) as refused:
        add_task(ssm, window)
    assert refused.value.response["Error"]["Code"] == "ResourceLimitExceededException"


def test_point_09_a_task_names_at_most_10_window_targets(ssm: Any) -> None:
    window = create(ssm)
    targets = [add_target(ssm, window) for _ in range(11)]
    assert add_task(ssm, window, **run_command(*targets[:10]))
    split = [{"Key": "WindowTargetIds", "Values": targets[:6]}, {"Key": "WindowTargetIds", "Values": targets[6:]}]
    for wanted in (run_command(*targets), run_command(Targets=split)):
        with pytest.raises(ClientError, match="The maximum number of window targets is 10") as refused:
            add_task(ssm, window, **wanted)
        assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_point_09_a_target_has_at_most_5_groups_and_50_nodes(ssm: Any) -> None:
    window = create(ssm)
    groups = [{"Key": f"tag:key-{index}", "Values": ["on"]} for index in range(6)]
    nodes = [f"i-{index:017x}" for index in range(51)]
    assert add_target(ssm, window, Targets=groups[:5])
    assert add_target(ssm, window, Targets=[{"Key": "InstanceIds", "Values": nodes[:50]}])
    for targets in (groups, [{"Key": "InstanceIds", "Values": nodes}]):
        with pytest.raises(ClientError) as refused:
            add_target(ssm, window, Targets=targets)
        assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_point_10_a_repeated_request_with_its_token_makes_nothing_new(ssm: Any) -> None:
    window = create(ssm, ClientToken="window")
    assert create(ssm, ClientToken="window") == window
    assert len(ssm.describe_maintenance_windows()["WindowIdentities"]) == 1
    target = add_target(ssm, window, ClientToken="target")
    assert add_target(ssm, window, ClientToken="target") == target
    assert len(ssm.describe_maintenance_window_targets(WindowId=window)["Targets"]) == 1
    task = add_task(ssm, window, ClientToken="task", **run_command(target))
    assert add_task(ssm, window, ClientToken="task", **run_command(target)) == task
    assert len(ssm.describe_maintenance_window_tasks(WindowId=window)["Tasks"]) == 1


def test_point_10_a_token_may_not_come_with_other_parameters(ssm: Any) -> None:
    window = create(ssm, ClientToken="window")
    target = add_target(ssm, window, ClientToken="target")
    add_task(ssm, window, ClientToken="task", **run_command(target))
    for again in (
        lambda: create(ssm, ClientToken="window", Duration=5),
        lambda: add_target(ssm, window, ClientToken="target", Name="other"),
        lambda: add_task(ssm, window, ClientToken="task", **run_command(target, MaxErrors="2")),
    ):
        with pytest.raises(ClientError) as refused:
            again()
        assert refused.value.response["Error"]["Code"] == "IdempotentParameterMismatch"


def test_point_10_what_is_not_there_does_not_exist(ssm: Any) -> None:
    nowhere = "mw-00000000000000000"
    for call in (
        lambda: ssm.get_maintenance_window(WindowId=nowhere),
        lambda: ssm.update_maintenance_window(WindowId=nowhere, Enabled=False),
        lambda: ssm.describe_maintenance_window_schedule(WindowId=nowhere),
        lambda: ssm.describe_maintenance_window_targets(WindowId=nowhere),
        lambda: ssm.describe_maintenance_window_tasks(WindowId=nowhere),
        lambda: add_target(ssm, nowhere),
        lambda: add_task(ssm, nowhere),
    ):
        with pytest.raises(ClientError, match=f"Maintenance window {nowhere} does not exist") as refused:
            call()
        assert refused.value.response["Error"]["Code"] == "DoesNotExistException"


def test_point_11_a_run_command_task_without_targets_is_refused(ssm: Any) -> None:
    window = create(ssm)
    for targets in ({}, {"Targets": []}):
        with pytest.raises(ClientError, match="For Run Command tasks, you must specify at least one resource"):
            add_task(ssm, window, TaskType="RUN_COMMAND", TaskArn="AWS-RunPatchBaseline", **targets)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"MaxErrors": "1"}, "without targets do not support MaxErrors values"),
        ({"MaxConcurrency": "1"}, "without targets do not support MaxConcurrency values"),
        ({"MaxErrors": "0", "MaxConcurrency": "10%"}, "MaxErrors values. Maintenance window tasks without targets"),
    ],
)
def test_point_11_a_task_without_targets_takes_no_limits(ssm: Any, members: dict[str, str], said: str) -> None:
    with pytest.raises(ClientError, match=said) as refused:
        add_task(ssm, create(ssm), **members)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize("kind", ["AUTOMATION", "LAMBDA", "STEP_FUNCTIONS"])
def test_point_11_a_task_without_targets_reports_limits_of_1(ssm: Any, kind: str) -> None:
    window = create(ssm)
    task = add_task(ssm, window, TaskType=kind, TaskArn="SSMnotify")
    one = ssm.get_maintenance_window_task(WindowId=window, WindowTaskId=task)
    [listed] = ssm.describe_maintenance_window_tasks(WindowId=window)["Tasks"]
    for shown in (one, listed):
        assert (shown["Targets"], shown["MaxConcurrency"], shown["MaxErrors"]) == ([], "1", "1")


def test_point_11_limits_come_and_go_with_the_targets(ssm: Any) -> None:
    window = create(ssm)
    target = [{"Key": "WindowTargetIds", "Values": [add_target(ssm, window)]}]
    task = add_task(ssm, window)
    ssm.update_maintenance_window_task(WindowId=window, WindowTaskId=task, Priority=2)
    with pytest.raises(ClientError, match="Max Concurrency must be a number greater than 0"):
        ssm.update_maintenance_window_task(WindowId=window, WindowTaskId=task, Targets=target)
    limits = {"MaxConcurrency": "5", "MaxErrors": "2"}
    with pytest.raises(ClientError, match="without targets do not support MaxErrors values"):
        ssm.update_maintenance_window_task(WindowId=window, WindowTaskId=task, **limits)
    updated = ssm.update_maintenance_window_task(WindowId=window, WindowTaskId=task, Targets=target, **limits)
    assert (updated["MaxConcurrency"], updated["MaxErrors"]) == ("5", "2")
    emptied = ssm.update_maintenance_window_task(WindowId=window, WindowTaskId=task, Targets=[])
    assert (emptied["MaxConcurrency"], emptied["MaxErrors"]) == ("1", "1")


@pytest.mark.parametrize("name", ["{{TARGET_ID}}", "{{RESOURCE_ID}}", "{{ TARGET_ID }}"])
def test_point_19_a_run_command_task_may_not_name_its_nodes_by_pseudo_parameter(ssm: Any, name: str) -> None:
    window = create(ssm)
    target = add_target(ssm, window)
    parameters = {"RunCommand": {"Parameters": {"commands": [f"echo {name}"]}}}
    with pytest.raises(ClientError, match="is not supported for Run Command tasks") as refused:
        add_task(ssm, window, **run_command(target, TaskInvocationParameters=parameters))
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_point_19_other_pseudo_parameters_and_braces_of_scripts_are_left_alone(ssm: Any) -> None:
    window = create(ssm)
    target = add_target(ssm, window)
    commands = ["echo {{WINDOW_ID}} {{WINDOW_EXECUTION_ID}} {{ssm:level}}", "docker ps --format '{{.Names}}'"]
    parameters = {"RunCommand": {"Parameters": {"commands": commands}}}
    task = add_task(ssm, window, **run_command(target, TaskInvocationParameters=parameters))
    kept = ssm.get_maintenance_window_task(WindowId=window, WindowTaskId=task)["TaskInvocationParameters"]
    assert kept == parameters


def test_point_19_an_automation_task_may_name_its_nodes_by_pseudo_parameter(ssm: Any) -> None:
    window = create(ssm)
    parameters = {"Automation": {"Parameters": {"InstanceId": ["{{RESOURCE_ID}}"]}}}
    task = add_task(
        ssm,
        window,
        **{**run_command(add_target(ssm, window)), "TaskType": "AUTOMATION"},
        TaskInvocationParameters=parameters,
    )
    kept = ssm.get_maintenance_window_task(WindowId=window, WindowTaskId=task)["TaskInvocationParameters"]
    assert kept == parameters
