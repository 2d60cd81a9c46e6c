"""The history of maintenance windows: executions, their tasks and invocations."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from lab import window_engine
from lab.ssm.base import SSMOperations, error
from lab.ssm.model import Invocation, TaskExecution, WindowExecution


class ExecutionOperations(SSMOperations):
    """DescribeMaintenanceWindowExecution*, GetMaintenanceWindowExecution*, CancelMaintenanceWindowExecution."""

    def describe_maintenance_window_executions(self) -> dict[str, Any]:
        """Executions of a window, newest first. The model declares no error for an unknown window: it has none."""
        found = [run for run in self.location.executions.values() if run.window_id == self.params["WindowId"]]
        found = [run for run in found if self._executed_within(run)]
        found.sort(key=lambda run: run.start, reverse=True)
        page, more = self.page(found, default=50, at_most=100)
        return {"WindowExecutions": [_execution(run) for run in page], **more}

    def get_maintenance_window_execution(self) -> dict[str, Any]:
        """One execution, with the ids of its tasks' executions."""
        run = self._execution()
        found = _execution(run)
        del found["WindowId"]
        return {**found, "TaskIds": [task.task_execution_id for task in run.tasks]}

    def describe_maintenance_window_execution_tasks(self) -> dict[str, Any]:
        """The tasks of an execution. As on AWS they name no WindowTaskId."""
        run = self._execution()
        page, more = self.page(self._with_status(run.tasks), default=50, at_most=100)
        return {"WindowExecutionTaskIdentities": [_task_identity(run, task) for task in page], **more}

    def get_maintenance_window_execution_task(self) -> dict[str, Any]:
        """One task of an execution, as the task was when the execution began."""
        run = self._execution()
        record = self._task(run)
        task = record.task
        return {
            **_times(record),
            "WindowExecutionId": run.execution_id,
            "TaskExecutionId": record.task_execution_id,
            "TaskArn": task.task_arn,
            **({"ServiceRole": task.service_role_arn} if task.service_role_arn else {}),
            "Type": task.task_type,
            "TaskParameters": [_old_parameters(task.invocation_parameters)],
            "Priority": task.priority,
            "MaxConcurrency": task.max_concurrency,
            "MaxErrors": task.max_errors,
            **({"AlarmConfiguration": task.alarm_configuration} if task.alarm_configuration else {}),
        }

    def describe_maintenance_window_execution_task_invocations(self) -> dict[str, Any]:
        """The invocations of a task, one for each of its targets."""
        run = self._execution()
        task = self._task(run)
        page, more = self.page(self._with_status(task.invocations), default=50, at_most=100)
        return {"WindowExecutionTaskInvocationIdentities": [_invocation(run, task, one) for one in page], **more}

    def get_maintenance_window_execution_task_invocation(self) -> dict[str, Any]:
        """One invocation of a task."""
        run = self._execution()
        task = self._task(run)
        for one in task.invocations:
            if one.invocation_id == self.params["InvocationId"]:
                return _invocation(run, task, one)
        raise error("DoesNotExistException", f"Invocation {self.params['InvocationId']} does not exist")

    def cancel_maintenance_window_execution(self) -> dict[str, Any]:
        """Stop an execution: what has not started never does, running tasks go on to their end."""
        run = self._execution()
        if run.status not in window_engine.FINAL:
            window_engine.cancel(self.location, run)
        return {"WindowExecutionId": run.execution_id}

    def _execution(self) -> WindowExecution:
        found = self.location.executions.get(self.params["WindowExecutionId"])
        if found is None:
            raise error(
                "DoesNotExistException",
                f"Maintenance window execution {self.params['WindowExecutionId']} does not exist",
            )
        return found

    def _task(self, run: WindowExecution) -> TaskExecution:
        for task in run.tasks:
            if task.task_execution_id == self.params["TaskId"]:
                return task
        raise error("DoesNotExistException", f"Task execution {self.params['TaskId']} does not exist")

    def _executed_within(self, run: WindowExecution) -> bool:
        for wanted in self.params.get("Filters") or []:
            bounds = [_time(value) for value in wanted.get("Values") or []]
            if wanted.get("Key") == "ExecutedBefore":
                ok = all(run.start < bound for bound in bounds)
            elif wanted.get("Key") == "ExecutedAfter":
                ok = all(run.start > bound for bound in bounds)
            else:
                raise error(
                    "ValidationException", f"Invalid filter key {wanted.get('Key')}: ExecutedBefore, ExecutedAfter"
                )
            if not ok:
                return False
        return True

    def _with_status(self, records: Iterable[Any]) -> list[Any]:
        wanted: set[str] | None = None
        for one in self.params.get("Filters") or []:
            if one.get("Key") != "STATUS":
                raise error("ValidationException", f"Invalid filter key {one.get('Key')}: STATUS")
            wanted = set(one.get("Values") or [])
        return [record for record in records if wanted is None or record.status in wanted]


def _time(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise error("ValidationException", f"{text!r} is not an ISO-8601 time such as 2025-06-02T00:00:00Z") from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _times(record: WindowExecution | TaskExecution | Invocation) -> dict[str, Any]:
    found: dict[str, Any] = {"Status": record.status, "StartTime": record.start}
    if record.status_details:
        found["StatusDetails"] = record.status_details
    if record.end is not None:
        found["EndTime"] = record.end
    return found


def _execution(run: WindowExecution) -> dict[str, Any]:
    return {"WindowId": run.window_id, "WindowExecutionId": run.execution_id, **_times(run)}


def _task_identity(run: WindowExecution, task: TaskExecution) -> dict[str, Any]:
    return {
        "WindowExecutionId": run.execution_id,
        "TaskExecutionId": task.task_execution_id,
        "TaskArn": task.task.task_arn,
        "TaskType": task.task.task_type,
        **({"AlarmConfiguration": task.task.alarm_configuration} if task.task.alarm_configuration else {}),
        **_times(task),
    }


def _invocation(run: WindowExecution, task: TaskExecution, one: Invocation) -> dict[str, Any]:
    optional = {
        "ExecutionId": one.execution_id,
        "OwnerInformation": one.owner_information,
        "WindowTargetId": one.window_target_id,
    }
    return {
        "WindowExecutionId": run.execution_id,
        "TaskExecutionId": task.task_execution_id,
        "InvocationId": one.invocation_id,
        "TaskType": one.task_type,
        "Parameters": one.parameters,
        **{key: value for key, value in optional.items() if value},
        **_times(one),
    }


def _old_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    """A task's parameters in the old form that this call still answers: name to `{"Values": […]}`."""
    found: dict[str, Any] = {}
    for kind in parameters.values():
        for name, value in (kind.get("Parameters") or {}).items() if isinstance(kind, dict) else ():
            values = value if isinstance(value, list) else [json.dumps(value)]
            found[name] = {"Values": [str(item) for item in values]}
    return found
