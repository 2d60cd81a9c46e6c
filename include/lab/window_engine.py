"""Maintenance windows running: when they fire, what they start, when they end.

The behaviour is the check-list of section 9 of the facts about Systems Manager; tests carry its
numbers (`tests/lab/test_points_*.py`). In short: an enabled window fires at its next execution time,
which moves on as it fires; one execution a window, five an account and Region; tasks run by priority,
equal ones side by side, whatever became of those before; several window targets of a task run one
after the other; after the cutoff no task starts.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from lab import notifications
from lab.ssm.model import TaskExecution, Window, WindowExecution
from lab.world import Location

if TYPE_CHECKING:
    from lab.task_runs import TaskRun

HISTORY_SECONDS = 30 * 86400
FINAL = frozenset({"SUCCESS", "FAILED", "TIMED_OUT", "CANCELLED", "SKIPPED_OVERLAPPING"})


def reschedule(location: Location, window: Window) -> None:
    """Work out when the window fires next, after it was created or changed; a disabled one never does."""
    unschedule(window)
    if window.enabled:
        _schedule_after(location, window, location.lab.clock.now())


def unschedule(window: Window) -> None:
    """The window fires no more: it is disabled or deleted. Executions that run go on."""
    window.next_execution = None
    if window.event is not None:
        window.event.cancel()
        window.event = None


def _schedule_after(location: Location, window: Window, when: datetime) -> None:
    from lab.ssm.windows import occurrences

    window.next_execution = occurrences(window).after(when)
    if window.next_execution is None:
        window.event = None
        return
    jitter = location.lab.random.uniform(0, location.lab.settings.start_jitter_seconds)
    due = window.next_execution + timedelta(seconds=jitter)
    planned = window.next_execution
    window.event = location.at(due, lambda: _fire(location, window, planned), f"{window.window_id} fires")


def _fire(location: Location, window: Window, planned: datetime) -> None:
    # NextExecutionTime moves on as the execution begins, not when it ends.
    _schedule_after(location, window, planned)
    start(location, window)


def start(location: Location, window: Window) -> WindowExecution:
    """Begin an execution now: it runs, waits for one of the account's to end, or is skipped."""
    lab = location.lab
    record = WindowExecution(lab.guid(), window.window_id, "PENDING", lab.clock.now())
    location.executions[record.execution_id] = record
    active = [location.executions[key] for key in (*location.running_executions, *location.queued_executions)]
    if any(other.window_id == window.window_id for other in active):
        _end(location, record, "SKIPPED_OVERLAPPING", "The previous execution of the window was still running.")
    elif len(location.running_executions) < lab.settings.account_executions:
        _run(location, window, record)
    elif lab.settings.over_account_executions == "queue":
        location.queued_executions.append(record.execution_id)
        location.waiting_executions[record.execution_id] = window
    else:
        _end(location, record, "SKIPPED_OVERLAPPING", "The account's limit of concurrent executions was reached.")
    return record


def _run(location: Location, window: Window, record: WindowExecution) -> None:
    location.running_executions.append(record.execution_id)
    location.runs[record.execution_id] = ExecutionRun(location, window, record)
    location.runs[record.execution_id].begin()


def cancel(location: Location, record: WindowExecution) -> None:
    """Cancel an execution: what has not started never does, what runs goes on to its end."""
    run = location.runs.get(record.execution_id)
    if run is not None:
        run.cancel()
    elif record.execution_id in location.queued_executions:
        location.queued_executions.remove(record.execution_id)
        del location.waiting_executions[record.execution_id]
        _end(location, record, "CANCELLED", None)


def _end(location: Location, record: WindowExecution, status: str, details: str | None) -> None:
    record.status, record.status_details, record.end = status, details, location.lab.clock.now()
    notifications.execution(location, record)
    location.schedule(HISTORY_SECONDS, lambda: location.executions.pop(record.execution_id, None), "history ends")
    if record.execution_id in location.running_executions:
        location.running_executions.remove(record.execution_id)
        location.runs.pop(record.execution_id, None)
        while (
            location.queued_executions and len(location.running_executions) < location.lab.settings.account_executions
        ):
            waiting = location.executions[location.queued_executions.pop(0)]
            _run(location, location.waiting_executions.pop(waiting.execution_id), waiting)


class ExecutionRun:
    """One execution of a window, from its first task to its status."""

    def __init__(self, location: Location, window: Window, record: WindowExecution) -> None:
        self.location = location
        self.window = window
        self.record = record
        self.targets = dict(window.targets)
        self.cutoff = record.start + timedelta(hours=window.duration - window.cutoff)
        self.tasks: dict[str, TaskRun] = {}
        self.past_cutoff = False
        self.cancelled = False

    def begin(self) -> None:
        """Start the tasks of the highest priority (the lowest number)."""
        from lab.task_runs import TaskRun

        lab = self.location.lab
        self.record.status = "IN_PROGRESS"
        notifications.execution(self.location, self.record)
        for task in sorted(self.window.tasks.values(), key=lambda task: task.priority):
            planned = TaskExecution(lab.guid(), task, "PENDING", self.record.start)
            self.record.tasks.append(planned)
            self.tasks[planned.task_execution_id] = TaskRun(self, planned)
        self.location.at(self.cutoff, self.reach_cutoff, "cutoff")
        self.go_on()

    def go_on(self) -> None:
        """Start the next priority when nothing runs any more, or end."""
        if self.record.status in FINAL or any(run.started and not run.final for run in self.tasks.values()):
            return
        waiting = [run for run in self.tasks.values() if not run.started and not run.final]
        if not waiting:
            self.end()
            return
        first = min(run.record.task.priority for run in waiting)
        for run in waiting:
            # One that has no nodes ends at once, and that has started the others already.
            if run.record.task.priority == first and not run.started and not run.final:
                run.start()

    def reach_cutoff(self) -> None:
        """No further task starts; what runs goes on or is cancelled, as each task says."""
        if self.record.status in FINAL:
            return
        self.past_cutoff = True
        for run in list(self.tasks.values()):
            if not run.started and not run.final:
                run.drop("TIMED_OUT", "The window's cutoff was reached before the task started.")
            elif not run.final and run.record.task.cutoff_behavior == "CANCEL_TASK":
                run.cut_off()
        self.go_on()

    def cancel(self) -> None:
        """Cancel what has not started; the execution is CANCELLING until what runs has ended."""
        self.cancelled = True
        self.record.status = "CANCELLING"
        notifications.execution(self.location, self.record)
        for run in list(self.tasks.values()):
            if not run.started and not run.final:
                run.drop("CANCELLED", None)
        self.go_on()

    def end(self) -> None:
        """Give the execution its status: the worst of its tasks'."""
        statuses = {task.status for task in self.record.tasks}
        if self.cancelled:
            status, details = "CANCELLED", None
        elif not statuses:
            status, details = "SUCCESS", "No tasks to execute."
        else:
            status = next((bad for bad in ("FAILED", "TIMED_OUT", "CANCELLED") if bad in statuses), "SUCCESS")
            details = None if status == "SUCCESS" else "One or more tasks in the window did not succeed."
        _end(self.location, self.record, status, details)
