"""Tasks of maintenance windows: what a window runs, on which of its targets, in which order.

Whether the document, function or state machine exists and takes the parameters is seen when the task
runs (whether AWS looks at registration is not documented). Pseudo-parameters that don't exist are left
alone: scripts have braces of their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lab.ssm.base import SSMOperations, error
from lab.ssm.model import Window, WindowTask
from lab.ssm.window_targets import names_node
from lab.ssm.window_validation import (
    DEFAULT_PAGE,
    MAX_PAGE,
    Targets,
    check_values,
    find_window,
    full,
    invalid,
    matching,
    merged,
    present,
    values_of,
)
from lab.world import Location

MAX_TASKS = 20
MAX_WINDOW_TARGETS = 10
RUN_COMMAND = "RUN_COMMAND"
PARAMETERS_OF_TYPE = {
    RUN_COMMAND: "RunCommand",
    "AUTOMATION": "Automation",
    "LAMBDA": "Lambda",
    "STEP_FUNCTIONS": "StepFunctions",
}

_MEMBERS = {
    "Targets": "targets",
    "TaskArn": "task_arn",
    "ServiceRoleArn": "service_role_arn",
    "TaskParameters": "task_parameters",
    "TaskInvocationParameters": "invocation_parameters",
    "Priority": "priority",
    "MaxConcurrency": "max_concurrency",
    "MaxErrors": "max_errors",
    "LoggingInfo": "logging_info",
    "Name": "name",
    "Description": "description",
    "CutoffBehavior": "cutoff_behavior",
    "AlarmConfiguration": "alarm_configuration",
}
_LIMITS = {
    "max_errors": ("MaxErrors", "Max Errors must be a number of at least 0, or a percentage between 0 and 100"),
    "max_concurrency": (
        "MaxConcurrency",
        "Max Concurrency must be a number greater than 0, or a percentage between 1 and 100",
    ),
}
_NODE_NAMES = re.compile(r"\{\{\s*(TARGET_ID|RESOURCE_ID)\s*\}\}")


class WindowTaskOperations(SSMOperations):
    """The operations on the tasks of windows."""

    def register_task_with_maintenance_window(self) -> dict[str, Any]:
        """Register a task; see `_checked` for what is refused."""
        return self.once(self._register_task)

    def _register_task(self) -> dict[str, Any]:
        window, task_type = find_window(self.location, self.params["WindowId"]), self.params["TaskType"]
        if len(window.tasks) >= MAX_TASKS:
            raise full("tasks per maintenance window", MAX_TASKS)
        defaults = _defaults()
        given = {attribute: self.params.get(name, defaults.get(attribute)) for name, attribute in _MEMBERS.items()}
        members = _checked(self.location, window, task_type, given)
        task = WindowTask(task_id=self.lab.guid(), window_id=window.window_id, task_type=task_type, **members)
        window.tasks[task.task_id] = task
        return {"WindowTaskId": task.task_id}

    def get_maintenance_window_task(self) -> dict[str, Any]:
        """One task with all its members."""
        task = self._window_task(find_window(self.location, self.params["WindowId"]))
        return {**_described(task), "TaskType": task.task_type}

    def describe_maintenance_window_tasks(self) -> dict[str, Any]:
        """A window's tasks, by `WindowTaskId`, `TaskArn`, `Priority` and `TaskType`."""
        window = find_window(self.location, self.params["WindowId"])
        tasks = matching(
            window.tasks.values(),
            self.params.get("Filters"),
            {
                "WindowTaskId": lambda task, value: task.task_id == value,
                "TaskArn": lambda task, value: task.task_arn == value,
                "Priority": lambda task, value: str(task.priority) == value,
                "TaskType": lambda task, value: task.task_type == value,
            },
        )
        page, more = self.page(tasks, DEFAULT_PAGE, MAX_PAGE)
        shown = [{**_described(task), "Type": task.task_type} for task in page]
        for task in shown:
            del task["TaskInvocationParameters"]
        return {"Tasks": shown, **more}

    def update_maintenance_window_task(self) -> dict[str, Any]:
        """Change a task, all but its type. TaskInvocationParameters, if given, are replaced whole.

        A task that gets its first targets must get its MaxConcurrency and MaxErrors with them. An execution
        that runs keeps the task as it was.
        """
        window = find_window(self.location, self.params["WindowId"])
        task = self._window_task(window)
        placeholders = {} if task.targets else dict.fromkeys(_LIMITS)

        def current(name: str) -> Any:
            return placeholders[name] if name in placeholders else getattr(task, name)

        changes = merged(self.params, _MEMBERS, current, ["TaskArn"], _defaults())
        if not changes["targets"]:
            # Left from when the task had targets: only what this request says is refused.
            changes |= {attribute: self.params.get(name) for attribute, (name, _) in _LIMITS.items()}
        members = _checked(self.location, window, task.task_type, changes)
        window.tasks[task.task_id] = replace(task, **members)
        return _described(window.tasks[task.task_id])

    def deregister_task_from_maintenance_window(self) -> dict[str, Any]:
        """Remove a task. An execution that runs goes on with it."""
        window = find_window(self.location, self.params["WindowId"])
        task = self._window_task(window)
        del window.tasks[task.task_id]
        return {"WindowId": window.window_id, "WindowTaskId": task.task_id}

    def _window_task(self, window: Window) -> WindowTask:
        task_id = self.params["WindowTaskId"]
        if task_id not in window.tasks:
            raise error(
                "DoesNotExistException",
                f"Window task {task_id} does not exist in maintenance window {window.window_id}",
            )
        return window.tasks[task_id]


def _defaults() -> dict[str, Any]:
    """What a task has that a request leaves out."""
    return {"targets": [], "task_parameters": {}, "invocation_parameters": {}, "priority": 1}


def _checked(location: Location, window: Window, task_type: str, members: dict[str, Any]) -> dict[str, Any]:
    """A task's members, MaxConcurrency and MaxErrors settled, or the exception that AWS answers."""
    _check_parameters(task_type, members)
    if not members["targets"] and task_type == RUN_COMMAND:
        raise invalid("For Run Command tasks, you must specify at least one resource as the target of the task.")
    settled = {**members, **_limits(members)}
    if members["targets"]:
        _check_task_targets(location, window, members["targets"])
    return settled


def _limits(members: Mapping[str, Any]) -> dict[str, str]:
    """MaxConcurrency and MaxErrors: required with targets, refused without (placeholder "1").

    UG:maintenance-windows-targetless-tasks.
    """
    problems = []
    for attribute, (name, wanted) in _LIMITS.items():
        if members["targets"] and members[attribute] is None:
            problems.append(wanted)
        if not members["targets"] and members[attribute] is not None:
            problems.append(f"Maintenance window tasks without targets do not support {name} values.")
    if problems:
        raise invalid(" ".join(problems))
    return {attribute: members[attribute] or "1" for attribute in _LIMITS}


def _check_task_targets(location: Location, window: Window, targets: Targets) -> None:
    check_values(targets)
    for group in targets:
        if group["Key"] not in {"WindowTargetIds", "InstanceIds"}:
            raise invalid(f"{group['Key']} is an invalid window task target type, use WindowTargetIds or InstanceIds.")
    window_targets, nodes = values_of(targets, "WindowTargetIds"), values_of(targets, "InstanceIds")
    if window_targets and nodes:
        raise invalid("The targets of a task are either WindowTargetIds or InstanceIds, not both.")
    if len(window_targets) > MAX_WINDOW_TARGETS:
        raise invalid(f"The maximum number of window targets is {MAX_WINDOW_TARGETS}")
    for target_id in window_targets:
        if target_id not in window.targets:
            raise error(
                "DoesNotExistException",
                f"Window target {target_id} does not exist in maintenance window {window.window_id}",
            )
    _check_associated(location, window, nodes)


def _check_associated(location: Location, window: Window, nodes: list[str]) -> None:
    """Refuse nodes that no target of the window names, unless the window allows them."""
    if window.allow_unassociated_targets:
        return
    for node_id in nodes:
        if not any(names_node(location, target.targets, node_id) for target in window.targets.values()):
            raise invalid(
                f"{node_id} is not registered as a target of maintenance window {window.window_id}, "
                "which does not allow unassociated targets."
            )


def _check_parameters(task_type: str, members: Mapping[str, Any]) -> None:
    given = members["invocation_parameters"]
    if given.keys() - {PARAMETERS_OF_TYPE[task_type]}:
        raise invalid(
            "Task Invocation Parameters must contain an entry only for the Task Type specified in the Window Task."
        )
    if task_type != RUN_COMMAND:
        return
    run_command = given.get("RunCommand", {})
    if "NotificationConfig" in run_command and "ServiceRoleArn" not in run_command:
        raise invalid("ServiceRoleArn of RunCommandInvocationParameter is required if NotificationConfig is specified")
    found = _NODE_NAMES.search(json.dumps([given, members["task_parameters"]]))
    if found is not None:
        # UG:mw-cli-register-tasks-parameters: Run Command finds its nodes by itself.
        raise invalid(f"The pseudo parameter {found[0]} is not supported for Run Command tasks.")


def _described(task: WindowTask) -> dict[str, Any]:
    return present(
        {
            "WindowId": task.window_id,
            "WindowTaskId": task.task_id,
            **{name: getattr(task, attribute) for name, attribute in _MEMBERS.items()},
        }
    )
