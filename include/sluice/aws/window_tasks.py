"""The tasks of maintenance windows. They cannot be tagged: they are ours when their window is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.aws.windows import WINDOWS
from sluice.core.errors import ReleaseError
from sluice.core.policy.objects import PATCH_DOCUMENT, WindowTask
from sluice.core.policy.policy import Policy
from sluice.core.window_objects import refusal

TASKS = "arn:{partition}:ssm:{region}:{account}:windowtask/*"
_OURS = ("Operation", "RebootOption")
"""Parameters of the document that patches; of every other one they are parameters as any."""


@calls("ssm:DescribeMaintenanceWindowTasks", resources=WINDOWS)
def listed(connection: Connection, window_id: str) -> list[dict[str, Any]]:
    """Every task of a window, as MaintenanceWindowTask: without its TaskInvocationParameters."""
    operation = "DescribeMaintenanceWindowTasks"
    return list(connection.pages("ssm", operation, "Tasks", WindowId=window_id, MaxResults=100))


@calls("ssm:GetMaintenanceWindowTask", resources=WINDOWS)
@calls("ssm:GetMaintenanceWindowTask", resources=TASKS)
def read(connection: Connection, window_id: str, task_id: str, window: str) -> WindowTask:
    """A task by id; `target` are the ids of its targets."""
    members = ("WindowTaskId", "TaskArn", "TaskType", "Priority")
    answer = connection.need("ssm", "GetMaintenanceWindowTask", *members, WindowId=window_id, WindowTaskId=task_id)
    return _task(answer, window)


@calls("ssm:GetMaintenanceWindowTask", resources=WINDOWS)
@calls("ssm:GetMaintenanceWindowTask", resources=TASKS)
def parameters(connection: Connection, window_id: str, task_id: str) -> Mapping[str, list[str]]:
    """What a task, of whomever, gives its document; old tasks say it in TaskParameters."""
    answer = connection.call("ssm", "GetMaintenanceWindowTask", WindowId=window_id, WindowTaskId=task_id)
    old = {name: list(one.get("Values", ())) for name, one in answer.get("TaskParameters", {}).items()}
    return {**old, **_parameters(answer.get("TaskInvocationParameters", {}))}


@calls("ssm:RegisterTaskWithMaintenanceWindow", resources=WINDOWS, when="owned")
@calls("iam:PassRole", resources="arn:{partition}:iam::{account}:role{role_path}{window_service}")
def register(connection: Connection, window_id: str, target_id: str | None, wanted: WindowTask) -> str:
    """Register a task, which scans: what changes nodes is put on a task that is there. Its id.

    An automation or a function has no target, and a window of its own, which is what keeps it from running.
    """
    if wanted.target or wanted.task_type not in _TARGETLESS:
        _allow(None, wanted)
    answer = connection.need(
        "ssm",
        "RegisterTaskWithMaintenanceWindow",
        "WindowTaskId",
        WindowId=window_id,
        TaskType=wanted.task_type,
        **_members(wanted, target_id),
    )
    return str(answer["WindowTaskId"])


@calls("ssm:UpdateMaintenanceWindowTask", resources=WINDOWS, when="owned")
@calls("ssm:UpdateMaintenanceWindowTask", resources=TASKS)
@calls("iam:PassRole", resources="arn:{partition}:iam::{account}:role{role_path}{window_service}")
def update(
    connection: Connection,
    window_id: str,
    task_id: str,
    target_id: str | None,
    wanted: WindowTask,
    policy: Policy | None = None,
) -> None:
    """Give a task everything that is wanted, and nothing else.

    What changes nodes needs the policy that allows it, whoever asks: raises ReleaseError for an Install on a window
    of production without a manifest, and for any in `mode: observe`.
    """
    if policy is not None or wanted.target or wanted.task_type not in _TARGETLESS:
        _allow(policy, wanted)  # a release changes no task without a target
    connection.call(
        "ssm",
        "UpdateMaintenanceWindowTask",
        WindowId=window_id,
        WindowTaskId=task_id,
        Replace=True,
        **_members(wanted, target_id),
    )


@calls("ssm:DeregisterTaskFromMaintenanceWindow", resources=WINDOWS, when="owned")
@calls("ssm:DeregisterTaskFromMaintenanceWindow", resources=TASKS)
def deregister(connection: Connection, window_id: str, task_id: str) -> None:
    """Remove a task."""
    connection.call("ssm", "DeregisterTaskFromMaintenanceWindow", WindowId=window_id, WindowTaskId=task_id)


def _allow(policy: Policy | None, wanted: WindowTask) -> None:
    scans = (wanted.document, wanted.operation) == (PATCH_DOCUMENT, "Scan")
    why = None if scans else refusal(policy, wanted) if policy else "expected a policy that allows it, found none"
    if why:
        raise ReleaseError(f"window {wanted.window}, task {wanted.name} was not changed: {why}")


def _members(wanted: WindowTask, target_id: str | None) -> dict[str, Any]:
    """Everything of a task. AWS refuses MaxConcurrency and MaxErrors where there is no target."""
    members: dict[str, Any] = {
        "TaskArn": wanted.document,
        "Name": wanted.name,
        "Priority": wanted.priority,
        "CutoffBehavior": wanted.cutoff_behavior,
        "TaskInvocationParameters": _TARGETLESS.get(wanted.task_type, _command)(wanted),
    }
    if target_id is not None:
        members |= {
            "Targets": [{"Key": "WindowTargetIds", "Values": [target_id]}],
            "MaxConcurrency": wanted.concurrency,
            "MaxErrors": wanted.errors,
        }
    return {**members, "ServiceRoleArn": wanted.service_role} if wanted.service_role else members


def _command(wanted: WindowTask) -> dict[str, Any]:
    command: dict[str, Any] = {
        "Parameters": {
            **{
                name: [value]
                for name, value in zip(_OURS, (wanted.operation, wanted.reboot_option), strict=True)
                if value
            },
            **{name: list(values) for name, values in wanted.other_parameters},
        },
        "TimeoutSeconds": wanted.timeout_seconds,
    }
    if wanted.log_bucket:
        command |= {"OutputS3BucketName": wanted.log_bucket, "OutputS3KeyPrefix": wanted.log_prefix or ""}
    if wanted.service_role:
        command["ServiceRoleArn"] = wanted.service_role
    return {"RunCommand": command}


def _automation(wanted: WindowTask) -> dict[str, Any]:
    parameters = {name: list(values) for name, values in wanted.other_parameters}
    return {"Automation": {"Parameters": parameters} if parameters else {}}  # AWS refuses an empty one


def _function(wanted: WindowTask) -> dict[str, Any]:
    """With its parameters as one JSON object, of text, or of lists where there are several values."""
    given = {name: values[0] if len(values) == 1 else list(values) for name, values in wanted.other_parameters}
    return {"Lambda": {"Payload": json.dumps(given, sort_keys=True).encode()}}


_TARGETLESS = {"AUTOMATION": _automation, "LAMBDA": _function}
"""What a task without a target may run, and its TaskInvocationParameters."""


def _parameters(given: Mapping[str, Any]) -> Mapping[str, list[str]]:
    """A task's parameters, whatever its type; of a payload that is no JSON object, the payload."""
    if "Lambda" not in given:
        found = [one.get("Parameters", {}) for one in given.values()]
        return dict(found[0]) if found else {}
    payload = given["Lambda"].get("Payload", b"").decode(errors="replace")
    try:
        values: dict[str, Any] = json.loads(payload or "{}")
        return {name: value if isinstance(value, list) else [value] for name, value in values.items()}
    except (ValueError, AttributeError):
        return {"Payload": [payload]}


def _task(answer: Mapping[str, Any], window: str) -> WindowTask:
    given = answer.get("TaskInvocationParameters", {})
    command = given.get("RunCommand", {})
    parameters = _parameters(given)
    has_targets = bool(answer.get("Targets"))
    ours = _OURS if answer["TaskArn"].rpartition("/")[2] == PATCH_DOCUMENT else ()
    return WindowTask(
        window=window,
        name=answer.get("Name", answer["WindowTaskId"]),
        target=", ".join(value for group in answer.get("Targets", ()) for value in group.get("Values", ())),
        document=answer["TaskArn"],
        operation=", ".join(parameters.get("Operation", ())) if ours else "",
        reboot_option=", ".join(parameters.get("RebootOption", ())) if ours else "",
        concurrency=answer.get("MaxConcurrency", "") if has_targets else "",  # AWS shows a 1 that says nothing
        errors=answer.get("MaxErrors", "") if has_targets else "",
        cutoff_behavior=answer.get("CutoffBehavior", "CONTINUE_TASK"),
        service_role=answer.get("ServiceRoleArn"),
        log_bucket=command.get("OutputS3BucketName"),
        log_prefix=command.get("OutputS3KeyPrefix"),
        task_type=answer["TaskType"],
        priority=answer["Priority"],
        timeout_seconds=command.get("TimeoutSeconds", 0),
        other_parameters=tuple(
            (name, tuple(values)) for name, values in sorted(parameters.items()) if name not in ours
        ),
    )
