"""A task of a window running: its targets one after the other.

"If a single task is registered with multiple targets, its task invocations occur sequentially"
(RegisterTargetWithMaintenanceWindow): the next target begins when the one before has ended. Run Command has
one invocation for each target, a command; the others have one for each node that a target names, at most
MaxConcurrency at a time and none after more than MaxErrors (UG:maintenance-windows-targetless-tasks).
"""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any

from lab import notifications
from lab.automations import run_function, start_automation
from lab.commands import Command, amount, cancel, send
from lab.ssm.model import Invocation, TaskExecution
from lab.targets import resolve

if TYPE_CHECKING:
    from lab.ssm.model import WindowTarget
    from lab.window_engine import ExecutionRun

FINAL = frozenset({"SUCCESS", "FAILED", "TIMED_OUT", "CANCELLED"})
STATUS_OF_COMMAND = {"Success": "SUCCESS", "Failed": "FAILED", "TimedOut": "TIMED_OUT", "Cancelled": "CANCELLED"}
PSEUDO = re.compile(r"\{\{\s*([A-Z_]+)\s*\}\}")


class TaskRun:
    """One task of one execution. `record` is what the history calls describe."""

    def __init__(self, execution: ExecutionRun, record: TaskExecution) -> None:
        self.execution = execution
        self.location = execution.location
        self.record = record
        self.started = False
        self.waiting: list[list[dict[str, Any]]] = []
        self.command: Command | None = None
        self.was_cut_off = False
        self.nodes: list[str] = []
        """What of the present target has no invocation yet, last first; not for Run Command."""
        self.node_count = 0
        self.active = 0
        self.errors = 0

    @property
    def final(self) -> bool:
        """Whether the task has ended."""
        return self.record.status in FINAL

    def start(self) -> None:
        """Begin with the first target."""
        self.started = True
        self.record.start = self.location.lab.clock.now()
        self.set_status("IN_PROGRESS", None)
        task = self.record.task
        self.waiting = [
            [{"Key": target["Key"], "Values": [value]}] if target["Key"] == "WindowTargetIds" else [target]
            for target in task.targets
            for value in (target["Values"] if target["Key"] == "WindowTargetIds" else [""])
        ] or [[]]
        self.next_target()

    def next_target(self) -> None:
        """Invoke the task for its next target, or end it."""
        while self.waiting and not self.was_cut_off:
            target = self.waiting.pop(0)
            if self.invoke(target):
                return
        self.end()

    def invoke(self, target: list[dict[str, Any]]) -> bool:
        """Invoke the task for one target; False when there is nothing to invoke it on."""
        window_target = None
        groups = target
        if target and target[0]["Key"] == "WindowTargetIds":
            window_target = self.execution.targets.get(target[0]["Values"][0])
            groups = [] if window_target is None else window_target.targets
        nodes = resolve(self.location, groups) if target else [""]
        if not nodes:
            return False
        if self.record.task.task_type == "RUN_COMMAND":
            self.run_command(self.new_invocation(window_target), groups, nodes)
            return True
        self.nodes, self.node_count, self.errors = nodes[::-1], len(nodes), 0
        self.fill(window_target)
        return True

    def new_invocation(self, window_target: WindowTarget | None) -> Invocation:
        """An invocation that begins now."""
        return Invocation(
            invocation_id=self.location.lab.guid(),
            execution_id=None,
            task_type=self.record.task.task_type,
            parameters="",
            status="IN_PROGRESS",
            start=self.location.lab.clock.now(),
            window_target_id=None if window_target is None else window_target.target_id,
            owner_information=None if window_target is None else window_target.owner_information,
        )

    def fill(self, window_target: WindowTarget | None) -> None:
        """Start as many invocations of the present target as may run; when none does, the next target begins."""
        task = self.record.task
        allowed = amount(task.max_concurrency, self.node_count, at_least=1)
        too_many = self.errors > amount(task.max_errors, self.node_count, at_least=0)
        while self.nodes and self.active < allowed and not too_many and not self.was_cut_off:
            self.active += 1
            self.run_other(self.new_invocation(window_target), self.nodes.pop(), window_target)
        if self.active == 0:
            self.next_target()

    def run_command(self, invocation: Invocation, groups: list[dict[str, Any]], nodes: list[str]) -> None:
        """Send the task's document to the target's nodes."""
        from lab.ssm.commands import window_command

        names = self.pseudo_parameters(invocation)
        given = dict(self.record.task.invocation_parameters.get("RunCommand") or {})
        filled = ["Parameters"]
        if self.location.lab.settings.pseudo_parameters_everywhere:
            filled += ["OutputS3KeyPrefix", "Comment"]
        given.update({key: substitute(given[key], names) for key in filled if key in given})
        invocation.parameters = json.dumps(given.get("Parameters") or {})
        snapshot = str(uuid.uuid5(uuid.NAMESPACE_OID, self.execution.record.execution_id))
        problem_or_command = window_command(self.location, self.record.task, given, groups, snapshot)
        self.record.invocations.append(invocation)
        if isinstance(problem_or_command, str):
            self.ended(invocation, "FAILED", problem_or_command)
            self.next_target()
            return
        command = problem_or_command
        command.on_done = lambda sent: self.command_ended(invocation, sent)
        invocation.execution_id = command.command_id
        self.command = command
        notifications.task_invocation(self.location, self.execution.record, self.record, invocation)
        send(self.location, command, nodes)

    def command_ended(self, invocation: Invocation, command: Command) -> None:
        """The command has ended: so has the invocation."""
        self.command = None
        status = "TIMED_OUT" if self.was_cut_off else STATUS_OF_COMMAND[command.status]
        self.ended(invocation, status, None if status == "SUCCESS" else command.details)
        self.next_target()

    def run_other(self, invocation: Invocation, node_id: str, window_target: WindowTarget | None) -> None:
        """Start an automation, a function or a state machine for a node, or for none ("")."""

        def done(status: str, failure: str | None) -> None:
            self.active -= 1
            self.errors += status != "Success"
            self.ended(invocation, STATUS_OF_COMMAND[status], failure)
            self.fill(window_target)

        task = self.record.task
        names = self.pseudo_parameters(invocation)
        if node_id:
            arn = self.location.arn(f"instance/{node_id}", "ec2")
            of_group = names["TARGET_TYPE"] == "RESOURCE_GROUP"
            names |= {"RESOURCE_ID": node_id, "TARGET_ID": arn if of_group else node_id}
        filled = substitute(task.invocation_parameters, names)
        self.record.invocations.append(invocation)
        notifications.task_invocation(self.location, self.execution.record, self.record, invocation)
        if task.task_type == "AUTOMATION":
            parameters = (filled.get("Automation") or {}).get("Parameters") or {}
            invocation.parameters = json.dumps(parameters)
            automation = start_automation(
                self.location,
                task.task_arn,
                parameters,
                on_done=lambda record: done(record.status, record.failure),
            )
            invocation.execution_id = automation.automation_id
        else:
            body = filled.get("Lambda") or filled.get("StepFunctions") or {}
            invocation.parameters = json.dumps(body, default=str)
            invocation.execution_id = self.location.lab.guid()
            run_function(
                self.location,
                "lambda" if task.task_type == "LAMBDA" else "step_functions",
                task.task_arn,
                lambda status: done(status, None),
            )

    def ended(self, invocation: Invocation, status: str, details: str | None) -> None:
        """Note that an invocation has ended."""
        invocation.status, invocation.status_details = status, details
        invocation.end = self.location.lab.clock.now()
        notifications.task_invocation(self.location, self.execution.record, self.record, invocation)

    def cut_off(self) -> None:
        """The cutoff cancels the task: Run Command is asked to stop, nothing else of it starts."""
        self.was_cut_off = True
        if self.command is not None:
            cancel(self.location, self.command)

    def drop(self, status: str, details: str | None) -> None:
        """The task never starts."""
        self.record.end = self.location.lab.clock.now()
        self.set_status(status, details)

    def end(self) -> None:
        """Give the task its status: the worst of its invocations'."""
        statuses = {invocation.status for invocation in self.record.invocations}
        self.record.end = self.location.lab.clock.now()
        if self.was_cut_off:
            self.set_status("TIMED_OUT", "The window's cutoff was reached.")
        elif not statuses:
            self.set_status("SUCCESS", "No invocations to execute.")
        else:
            bad = next((status for status in ("FAILED", "TIMED_OUT", "CANCELLED") if status in statuses), None)
            self.set_status(bad or "SUCCESS", None if bad is None else "One or more invocations did not succeed.")
        self.execution.go_on()

    def set_status(self, status: str, details: str | None) -> None:
        """Note the task's status and tell EventBridge."""
        self.record.status, self.record.status_details = status, details
        notifications.task(self.location, self.execution.record, self.record)

    def target_type(self, invocation: Invocation) -> str:
        """`INSTANCE` or `RESOURCE_GROUP`, as the window target was registered; instances without one."""
        target = self.execution.targets.get(invocation.window_target_id or "")
        return "INSTANCE" if target is None else target.resource_type

    def pseudo_parameters(self, invocation: Invocation) -> dict[str, str]:
        """What `{{WINDOW_ID}}` and its kin stand for (UG:mw-cli-register-tasks-parameters)."""
        record = self.execution.record
        return {
            "WINDOW_ID": record.window_id,
            "WINDOW_TASK_ID": self.record.task.task_id,
            "WINDOW_TARGET_ID": invocation.window_target_id or "",
            "WINDOW_EXECUTION_ID": record.execution_id,
            "TASK_EXECUTION_ID": self.record.task_execution_id,
            "INVOCATION_ID": invocation.invocation_id,
            "TARGET_TYPE": self.target_type(invocation),
        }


def substitute(value: Any, names: dict[str, str]) -> Any:
    """Fill pseudo-parameters into every string of a task's parameters; unknown ones stay as they are."""
    if isinstance(value, str):
        return PSEUDO.sub(lambda found: names.get(found[1], found[0]), value)
    if isinstance(value, bytes):
        # A function's payload is text as a rule; what is none has no pseudo-parameters.
        return substitute(value.decode(errors="replace"), names)
    if isinstance(value, list):
        return [substitute(item, names) for item in value]
    if isinstance(value, dict):
        return {key: substitute(item, names) for key, item in value.items()}
    return value
