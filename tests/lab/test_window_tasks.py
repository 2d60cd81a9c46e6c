"""Tasks of windows: what may be registered, how they change and when they go."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.testing import LabHandle

NODE = "mi-0123456789abcdef0"
UNKNOWN = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def ssm(lab: LabHandle) -> Any:
    return lab.client("ssm")


@pytest.fixture
def window(ssm: Any) -> str:
    return create(ssm)


@pytest.fixture
def target(ssm: Any, window: str) -> str:
    return add_target(ssm, window)


def create(ssm: Any, unassociated: bool = False) -> str:
    answer = ssm.create_maintenance_window(
        Name="patching", Schedule="rate(7 days)", Duration=4, Cutoff=1, AllowUnassociatedTargets=unassociated
    )
    return str(answer["WindowId"])


def add_target(ssm: Any, window: str, key: str = "tag:Patch Group", value: str = "web") -> str:
    answer = ssm.register_target_with_maintenance_window(
        WindowId=window, Targets=[{"Key": key, "Values": [value]}], ResourceType="INSTANCE"
    )
    return str(answer["WindowTargetId"])


def on(*targets: str, key: str = "WindowTargetIds") -> dict[str, Any]:
    """A Run Command task's required members, with targets."""
    return {
        "TaskType": "RUN_COMMAND",
        "TaskArn": "AWS-RunPatchBaseline",
        "Targets": [{"Key": key, "Values": list(targets)}],
        "MaxConcurrency": "10%",
        "MaxErrors": "0",
    }


AUTOMATION = {"TaskType": "AUTOMATION", "TaskArn": "AWS-RestartEC2Instance"}


def register(ssm: Any, window: str, **members: Any) -> str:
    return str(ssm.register_task_with_maintenance_window(WindowId=window, **members)["WindowTaskId"])


def get(ssm: Any, window: str, task: str) -> dict[str, Any]:
    answer = ssm.get_maintenance_window_task(WindowId=window, WindowTaskId=task)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def listed(ssm: Any, window: str, *filters: dict[str, Any]) -> list[dict[str, Any]]:
    pages = ssm.get_paginator("describe_maintenance_window_tasks").paginate(WindowId=window, Filters=list(filters))
    return [task for page in pages for task in page["Tasks"]]


def test_a_task_keeps_everything_it_is_registered_with(ssm: Any, window: str, target: str) -> None:
    members = {
        **on(target),
        "ServiceRoleArn": "arn:aws:iam::111111111111:role/window",
        "TaskInvocationParameters": {
            "RunCommand": {
                "Comment": "{{WINDOW_ID}}",
                "DocumentVersion": "$DEFAULT",
                "OutputS3BucketName": "example-logs",
                "OutputS3KeyPrefix": "2025-06",
                "Parameters": {"Operation": ["Install"], "RebootOption": ["NoReboot"]},
                "TimeoutSeconds": 600,
            }
        },
        "Priority": 0,
        "Name": "install",
        "Description": "install patches",
        "CutoffBehavior": "CANCEL_TASK",
        "AlarmConfiguration": {"IgnorePollAlarmFailure": True, "Alarms": [{"Name": "errors"}]},
        "LoggingInfo": {"S3BucketName": "example-logs", "S3Region": "eu-west-3"},
    }
    task = register(ssm, window, **members)
    expected = {"WindowId": window, "WindowTaskId": task, "TaskParameters": {}, **members}
    assert get(ssm, window, task) == expected
    del expected["TaskInvocationParameters"]
    expected["Type"] = expected.pop("TaskType")
    assert listed(ssm, window) == [expected]


def test_a_tasks_payload_for_a_function_comes_back_byte_for_byte(ssm: Any, window: str) -> None:
    given = {"Lambda": {"Payload": b'{"node": "{{TARGET_ID}}"}', "Qualifier": "$LATEST"}}
    task = register(ssm, window, TaskType="LAMBDA", TaskArn="SSMnotify", TaskInvocationParameters=given)
    assert get(ssm, window, task)["TaskInvocationParameters"] == given


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"MaxConcurrency": None}, "Max Concurrency must be a number greater than 0"),
        ({"MaxErrors": None}, "Max Errors must be a number of at least 0"),
        ({"MaxConcurrency": None, "MaxErrors": None}, "between 0 and 100 Max Concurrency must be"),
        ({"MaxConcurrency": "0"}, "maxConcurrency"),
        ({"MaxErrors": "101%"}, "maxErrors"),
        ({"Targets": [{"Key": "tag:role", "Values": ["web"]}]}, "tag:role is an invalid window task target type"),
        ({"Targets": [{"Key": "WindowTargetIds", "Values": []}]}, "Filter values can't be null"),
        (
            {"TaskInvocationParameters": {"Automation": {"DocumentVersion": "1"}}},
            "an entry only for the Task Type specified",
        ),
        (
            {"TaskInvocationParameters": {"RunCommand": {}, "Lambda": {"Qualifier": "1"}}},
            "an entry only for the Task Type specified",
        ),
        (
            {
                "TaskInvocationParameters": {
                    "RunCommand": {"NotificationConfig": {"NotificationArn": "arn:aws:sns:eu-west-3:111111111111:t"}}
                }
            },
            "ServiceRoleArn of RunCommandInvocationParameter is required",
        ),
        ({"TaskType": "SCRIPT"}, "STEP_FUNCTIONS"),
        ({"CutoffBehavior": "STOP"}, "CANCEL_TASK"),
        ({"Priority": -1}, "greater than or equal to 0"),
        ({"AlarmConfiguration": {"Alarms": [{"Name": "a"}, {"Name": "b"}]}}, "less than or equal to 1"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused_and_not_registered(
    lab: LabHandle, window: str, target: str, wrong: dict[str, Any], said: str
) -> None:
    from botocore.config import Config

    # The client's own checks are off: what AWS says is asked.
    ssm = lab.client("ssm", config=Config(parameter_validation=False))
    members = {name: value for name, value in {**on(target), **wrong}.items() if value is not None}
    with pytest.raises(ClientError, match=said) as refused:
        register(ssm, window, **members)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert listed(ssm, window) == []


def test_a_task_may_not_mix_nodes_and_window_targets(ssm: Any, target: str, window: str) -> None:
    members = on(target)
    members["Targets"].append({"Key": "InstanceIds", "Values": [NODE]})
    with pytest.raises(ClientError, match="either WindowTargetIds or InstanceIds"):
        register(ssm, window, **members)


def test_a_target_of_another_window_is_no_target_of_a_task(ssm: Any, window: str) -> None:
    elsewhere = add_target(ssm, create(ssm))
    with pytest.raises(ClientError, match=f"Window target {elsewhere} does not exist") as refused:
        register(ssm, window, **on(elsewhere))
    assert refused.value.response["Error"]["Code"] == "DoesNotExistException"


def test_a_node_that_no_target_names_is_refused_unless_the_window_allows_it(lab: LabHandle, ssm: Any) -> None:
    lab.location().hybrid_tags[NODE] = {"Patch Group": "web"}
    window, members = create(ssm), on(NODE, key="InstanceIds")
    add_target(ssm, window, value="db")
    with pytest.raises(ClientError, match=f"{NODE} is not registered as a target") as refused:
        register(ssm, window, **members)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    ssm.update_maintenance_window(WindowId=window, AllowUnassociatedTargets=True)
    assert register(ssm, window, **members)


@pytest.mark.parametrize(
    ("key", "value"), [("InstanceIds", NODE), ("tag:Patch Group", "web"), ("tag-key", "Patch Group")]
)
def test_a_node_that_a_target_names_by_id_or_tag_may_be_a_tasks_target(
    lab: LabHandle, ssm: Any, window: str, key: str, value: str
) -> None:
    lab.location().hybrid_tags[NODE] = {"Patch Group": "web"}
    add_target(ssm, window, key, value)
    task = register(ssm, window, **on(NODE, key="InstanceIds"))
    assert get(ssm, window, task)["Targets"] == [{"Key": "InstanceIds", "Values": [NODE]}]


def test_tasks_are_filtered_by_id_document_priority_and_type(ssm: Any, window: str, target: str) -> None:
    scan = register(ssm, window, **on(target), Priority=1)
    script = register(ssm, window, **{**on(target), "TaskArn": "AWS-RunShellScript"}, Priority=10)
    restart = register(ssm, window, **AUTOMATION, Priority=10)

    def ids(*filters: dict[str, Any]) -> list[str]:
        return [task["WindowTaskId"] for task in listed(ssm, window, *filters)]

    assert ids() == [scan, script, restart]
    assert ids({"Key": "WindowTaskId", "Values": [script]}) == [script]
    assert ids({"Key": "TaskArn", "Values": ["AWS-RunShellScript", "AWS-RestartEC2Instance"]}) == [script, restart]
    assert ids({"Key": "Priority", "Values": ["1"]}) == [scan]
    assert ids({"Key": "TaskType", "Values": ["AUTOMATION"]}) == [restart]
    assert ids({"Key": "Priority", "Values": ["10"]}, {"Key": "TaskType", "Values": ["RUN_COMMAND"]}) == [script]
    with pytest.raises(ClientError, match="Supported keys are WindowTaskId, TaskArn, Priority, TaskType"):
        ids({"Key": "Type", "Values": ["RUN_COMMAND"]})


def test_the_tasks_of_a_window_come_in_pages(ssm: Any, window: str) -> None:
    tasks = [register(ssm, window, **AUTOMATION) for _ in range(12)]
    first = ssm.describe_maintenance_window_tasks(WindowId=window, MaxResults=10)
    second = ssm.describe_maintenance_window_tasks(WindowId=window, MaxResults=10, NextToken=first["NextToken"])
    assert [task["WindowTaskId"] for page in (first, second) for task in page["Tasks"]] == tasks
    assert "NextToken" not in second


def test_an_update_changes_what_it_names_and_nothing_else(ssm: Any, window: str, target: str) -> None:
    task = register(ssm, window, **on(target), Priority=5, Name="scan")
    before = get(ssm, window, task)
    answer = ssm.update_maintenance_window_task(
        WindowId=window, WindowTaskId=task, MaxErrors="50%", TaskArn="AWS-RunShellScript", CutoffBehavior="CANCEL_TASK"
    )
    changes = {"MaxErrors": "50%", "TaskArn": "AWS-RunShellScript", "CutoffBehavior": "CANCEL_TASK"}
    assert get(ssm, window, task) == {**before, **changes}
    assert {name: answer[name] for name in changes} == changes
    assert "TaskType" not in answer


def test_an_update_replaces_the_invocation_parameters_whole(ssm: Any, window: str, target: str) -> None:
    given = {"RunCommand": {"Comment": "first", "OutputS3BucketName": "example-logs"}}
    task = register(ssm, window, **on(target), TaskInvocationParameters=given)
    only_bucket = {"RunCommand": {"OutputS3BucketName": "other-logs"}}
    ssm.update_maintenance_window_task(WindowId=window, WindowTaskId=task, TaskInvocationParameters=only_bucket)
    assert get(ssm, window, task)["TaskInvocationParameters"] == only_bucket
    ssm.update_maintenance_window_task(WindowId=window, WindowTaskId=task, Priority=3)
    assert get(ssm, window, task)["TaskInvocationParameters"] == only_bucket


def test_replace_drops_what_is_left_out_and_wants_the_document(ssm: Any, window: str, target: str) -> None:
    task = register(ssm, window, **on(target), Priority=5, Name="scan", CutoffBehavior="CANCEL_TASK")
    with pytest.raises(ClientError, match="Value null at 'taskArn'"):
        ssm.update_maintenance_window_task(WindowId=window, WindowTaskId=task, Replace=True, Priority=5)
    wanted = {name: value for name, value in on(target).items() if name != "TaskType"}
    ssm.update_maintenance_window_task(WindowId=window, WindowTaskId=task, Replace=True, **wanted)
    assert get(ssm, window, task) == {
        "WindowId": window,
        "WindowTaskId": task,
        "TaskType": "RUN_COMMAND",
        "TaskParameters": {},
        "TaskInvocationParameters": {},
        "Priority": 1,
        **wanted,
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Targets": []}, "you must specify at least one resource as the target"),
        ({"Replace": True, "TaskArn": "AWS-RunPatchBaseline"}, "you must specify at least one resource as the target"),
        ({"Targets": [{"Key": "WindowTargetIds", "Values": [UNKNOWN]}]}, "DoesNotExistException"),
        ({"TaskInvocationParameters": {"Lambda": {"Qualifier": "1"}}}, "an entry only for the Task Type"),
        ({"TaskInvocationParameters": {"RunCommand": {"Comment": "{{TARGET_ID}}"}}}, "TARGET_ID"),
    ],
)
def test_an_update_that_is_refused_changes_nothing(
    ssm: Any, window: str, target: str, change: dict[str, Any], said: str
) -> None:
    task = register(ssm, window, **on(target))
    before = get(ssm, window, task)
    with pytest.raises(ClientError, match=said):
        ssm.update_maintenance_window_task(WindowId=window, WindowTaskId=task, **change)
    assert get(ssm, window, task) == before


def test_a_deregistered_task_is_gone(ssm: Any, window: str, target: str) -> None:
    task = register(ssm, window, **on(target))
    answer = ssm.deregister_task_from_maintenance_window(WindowId=window, WindowTaskId=task)
    assert (answer["WindowId"], answer["WindowTaskId"]) == (window, task)
    assert listed(ssm, window) == []


@pytest.mark.parametrize(
    "operation",
    [
        "get_maintenance_window_task",
        "update_maintenance_window_task",
        "deregister_task_from_maintenance_window",
    ],
)
def test_an_unknown_task_does_not_exist(ssm: Any, window: str, operation: str) -> None:
    with pytest.raises(ClientError, match=f"Window task {UNKNOWN} does not exist") as refused:
        getattr(ssm, operation)(WindowId=window, WindowTaskId=UNKNOWN)
    assert refused.value.response["Error"]["Code"] == "DoesNotExistException"
