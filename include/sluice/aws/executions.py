"""Executions of maintenance windows: their tasks, and the invocations behind those."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.aws.windows import WINDOWS

FINAL = frozenset({"SUCCESS", "FAILED", "TIMED_OUT", "CANCELLED", "SKIPPED_OVERLAPPING"})
"""Statuses that change no more, of executions, tasks and invocations (API reference, WindowExecution)."""


@calls("ssm:DescribeMaintenanceWindowExecutions", resources=WINDOWS)
def listed(connection: Connection, window_id: str) -> list[dict[str, Any]]:
    """Every execution of a window that AWS still knows (30 days), as MaintenanceWindowExecution, all pages."""
    operation = "DescribeMaintenanceWindowExecutions"
    return list(connection.pages("ssm", operation, "WindowExecutions", WindowId=window_id, MaxResults=100))


@calls("ssm:DescribeMaintenanceWindowExecutions", resources=WINDOWS)
def since(connection: Connection, window_id: str, moment: datetime) -> list[dict[str, Any]]:
    """The executions of a window that began after a moment, oldest first, as MaintenanceWindowExecution, all pages."""
    after = [{"Key": "ExecutedAfter", "Values": [moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")]}]
    operation = "DescribeMaintenanceWindowExecutions"
    found = connection.pages("ssm", operation, "WindowExecutions", WindowId=window_id, Filters=after, MaxResults=100)
    return sorted(found, key=lambda one: (one["StartTime"], one["WindowExecutionId"]))


@calls("ssm:DescribeMaintenanceWindowExecutionTasks")  # IAM knows no resource for it
def tasks(connection: Connection, execution_id: str) -> list[dict[str, Any]]:
    """The tasks of an execution, as MaintenanceWindowExecutionTaskIdentity, all pages."""
    operation, member = "DescribeMaintenanceWindowExecutionTasks", "WindowExecutionTaskIdentities"
    return list(connection.pages("ssm", operation, member, WindowExecutionId=execution_id, MaxResults=100))


@calls("ssm:DescribeMaintenanceWindowExecutionTaskInvocations")  # IAM knows no resource for it
def invocations(connection: Connection, execution_id: str, task_execution_id: str) -> list[dict[str, Any]]:
    """The invocations of a task, all pages; of Run Command's, `ExecutionId` is the command's id."""
    return list(
        connection.pages(
            "ssm",
            "DescribeMaintenanceWindowExecutionTaskInvocations",
            "WindowExecutionTaskInvocationIdentities",
            WindowExecutionId=execution_id,
            TaskId=task_execution_id,
            MaxResults=100,
        )
    )


@calls("ssm:CancelMaintenanceWindowExecution", resources=WINDOWS, when="owned")
def cancel(connection: Connection, execution_id: str) -> None:
    """Cancel an execution: its tasks that have not begun never do. What runs is cancelled by `sluice.aws.commands`."""
    connection.call("ssm", "CancelMaintenanceWindowExecution", WindowExecutionId=execution_id)
