"""EventBridge notifications of windows and commands: best effort, as AWS's are.

UG:monitoring-systems-manager-event-examples, UG:reference-eventbridge-events. They may be dropped,
repeated and delayed (`Settings.notification_*`): nobody may rely on them.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from moto.events.models import events_backends

from lab.world import Location

if TYPE_CHECKING:
    from lab.commands import Command, CommandInvocation
    from lab.ssm.model import Invocation, TaskExecution, Window, WindowExecution


def window_state(location: Location, window: Window) -> None:
    """A window was enabled or disabled."""
    state = "ENABLED" if window.enabled else "DISABLED"
    detail = {"window-id": window.window_id, "status": state}
    _send(location, "Maintenance Window State-change Notification", detail, [_window(location, window.window_id)])


def execution(location: Location, run: WindowExecution) -> None:
    """A window's execution changed its status."""
    detail = {**_times(run), "window-id": run.window_id, "window-execution-id": run.execution_id, "status": run.status}
    kind = "Maintenance Window Execution State-change Notification"
    _send(location, kind, detail, [_window(location, run.window_id)])


def task(location: Location, run: WindowExecution, task_run: TaskExecution) -> None:
    """A task's execution changed its status."""
    detail = {
        **_times(task_run),
        "window-id": run.window_id,
        "window-execution-id": run.execution_id,
        "task-execution-id": task_run.task_execution_id,
        "status": task_run.status,
    }
    kind = "Maintenance Window Task Execution State-change Notification"
    _send(location, kind, detail, [_window(location, run.window_id)])


def task_invocation(location: Location, run: WindowExecution, task_run: TaskExecution, invocation: Invocation) -> None:
    """A task's invocation changed its status; all but Run Command's only know IN_PROGRESS and COMPLETE."""
    status = invocation.status
    if invocation.task_type != "RUN_COMMAND" and status != "IN_PROGRESS":
        status = "COMPLETE"
    detail = {
        **_times(invocation),
        "window-id": run.window_id,
        "window-execution-id": run.execution_id,
        "task-execution-id": task_run.task_execution_id,
        "window-target-id": invocation.window_target_id or "",
        "owner-information": invocation.owner_information or "",
        "status": status,
    }
    kind = "Maintenance Window Task Target Invocation State-change Notification"
    _send(location, kind, detail, [_window(location, run.window_id)])


def command(location: Location, sent: Command) -> None:
    """A command changed its status."""
    detail = {
        "command-id": sent.command_id,
        "document-name": sent.document.name,
        "requested-date-time": _time(sent.requested),
        "status": sent.status,
    }
    resources = [_node(location, node_id) for node_id in sent.instance_ids]
    _send(location, "EC2 Command Status-change Notification", detail, resources)


def invocation(location: Location, sent: Command, on_node: CommandInvocation) -> None:
    """A command on one node changed its status."""
    detail = {
        "command-id": sent.command_id,
        "document-name": sent.document.name,
        "instance-id": on_node.node_id,
        "requested-date-time": _time(sent.requested),
        "status": on_node.status,
    }
    kind = "EC2 Command Invocation Status-change Notification"
    _send(location, kind, detail, [_node(location, on_node.node_id)])


def _times(record: WindowExecution | TaskExecution | Invocation) -> dict[str, str]:
    ended = {} if record.end is None else {"end-time": _time(record.end)}
    return {"start-time": _time(record.start), **ended}


def _time(when: datetime) -> str:
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _window(location: Location, window_id: str) -> str:
    return location.arn(f"maintenancewindow/{window_id}")


def _node(location: Location, node_id: str) -> str:
    if node_id.startswith("mi-"):
        return location.arn(f"managed-instance/{node_id}")
    return location.arn(f"instance/{node_id}", "ec2")


def _send(location: Location, kind: str, detail: dict[str, Any], resources: list[str]) -> None:
    """Put the event on the location's default bus, unless nobody listens."""
    account = dict.get(events_backends, location.account)
    backend = None if account is None else dict.get(account, location.region)
    if backend is None or not any(bus.rules for bus in backend.event_buses.values()):
        return
    settings, random = location.lab.settings, location.lab.random
    if settings.notification_drop and random.random() < settings.notification_drop:
        return
    twice = settings.notification_repeat and random.random() < settings.notification_repeat
    event = {"Source": "aws.ssm", "DetailType": kind, "Detail": json.dumps(detail), "Resources": resources}
    for _ in range(2 if twice else 1):
        delay = random.uniform(0, settings.notification_delay_seconds) if settings.notification_delay_seconds else 0
        location.schedule(delay, lambda: backend.put_events([dict(event)]), kind)
