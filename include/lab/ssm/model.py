"""Maintenance windows and baselines as the lab keeps them: plain records, no behaviour.

Operations (`lab.ssm`) create and describe them, the engine (`lab.window_engine`) runs them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class WindowTarget:
    """A target registered with a window."""

    target_id: str
    window_id: str
    resource_type: str
    targets: list[dict[str, Any]]
    """As the API has them: `[{"Key": "tag:Patch Group", "Values": ["web"]}]`."""
    owner_information: str | None = None
    name: str | None = None
    description: str | None = None


@dataclass(slots=True)
class WindowTask:
    """A task registered with a window."""

    task_id: str
    window_id: str
    task_arn: str
    task_type: str
    targets: list[dict[str, Any]]
    """`[]` for a targetless task; Key is `InstanceIds` or `WindowTargetIds`."""
    service_role_arn: str | None = None
    task_parameters: dict[str, Any] | None = None
    """The deprecated `TaskParameters`."""
    invocation_parameters: dict[str, Any] = field(default_factory=dict)
    """`TaskInvocationParameters` as the API has them (`RunCommand`, `Automation`, `StepFunctions`, `Lambda`)."""
    priority: int = 1
    max_concurrency: str = "1"
    max_errors: str = "1"
    logging_info: dict[str, Any] | None = None
    name: str | None = None
    description: str | None = None
    cutoff_behavior: str | None = None
    alarm_configuration: dict[str, Any] | None = None


@dataclass(slots=True)
class Window:
    """A maintenance window. `next_execution` and `event` belong to the engine."""

    window_id: str
    name: str
    schedule: str
    duration: int
    cutoff: int
    allow_unassociated_targets: bool
    created: datetime
    modified: datetime
    enabled: bool = True
    description: str | None = None
    schedule_timezone: str | None = None
    schedule_offset: int | None = None
    start_date: str | None = None
    end_date: str | None = None
    anchor: datetime | None = None
    """When the schedule was last set or the window enabled again: a rate counts from it. None: `created`."""
    targets: dict[str, WindowTarget] = field(default_factory=dict)
    tasks: dict[str, WindowTask] = field(default_factory=dict)
    next_execution: datetime | None = None
    event: Any = None


@dataclass(slots=True)
class Invocation:
    """One invocation of a task: a target of it, given to Run Command, Automation, Lambda or Step Functions."""

    invocation_id: str
    execution_id: str | None
    """The command's id for Run Command, the automation's for Automation."""
    task_type: str
    parameters: str
    status: str
    start: datetime
    status_details: str | None = None
    end: datetime | None = None
    owner_information: str | None = None
    window_target_id: str | None = None


@dataclass(slots=True)
class TaskExecution:
    """One run of a task within a window's execution."""

    task_execution_id: str
    task: WindowTask
    """The task as it was when the execution began; later changes do not reach it."""
    status: str
    start: datetime
    status_details: str | None = None
    end: datetime | None = None
    invocations: list[Invocation] = field(default_factory=list)


@dataclass(slots=True)
class WindowExecution:
    """One run of a window."""

    execution_id: str
    window_id: str
    status: str
    start: datetime
    status_details: str | None = None
    end: datetime | None = None
    tasks: list[TaskExecution] = field(default_factory=list)


@dataclass(slots=True)
class Baseline:
    """A patch baseline: `body` is what GetPatchBaseline answers, less `PatchGroups`."""

    baseline_id: str
    """`pb-…`, or an ARN for one of AWS's own."""
    body: dict[str, Any]
    aws_owned: bool = False
