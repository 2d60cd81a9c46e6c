"""Run Command: a document sent to many nodes, with concurrency, an error limit, delivery and time-outs.

How a command is spread over its nodes (UG:send-commands-multiple): it starts on one, then on as many
more as have ended, up to MaxConcurrency; after more than MaxErrors failures nothing further starts
and what has not started is Terminated. Delivery failures do not count as errors (the model's
documentation of CommandInvocation.StatusDetails). A node that is not reachable keeps its invocation
Delayed until it comes back or TimeoutSeconds have passed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from lab import notifications, outputs
from lab.clock import Event
from lab.runs import Outcome, Run, begin
from lab.world import Location

if TYPE_CHECKING:
    from lab.evaluations import OverrideList
    from lab.ssm.documents import Document

HISTORY_SECONDS = 30 * 86400
CANCEL_SECONDS = 5.0
"""How long an agent takes to stop what it runs."""

FINAL = frozenset(
    {
        "Success",
        "Failed",
        "Cancelled",
        "DeliveryTimedOut",
        "ExecutionTimedOut",
        "Undeliverable",
        "Terminated",
        "InvalidPlatform",
    }
)
STATUS_OF_DETAILS = {
    "DeliveryTimedOut": "TimedOut",
    "ExecutionTimedOut": "TimedOut",
    "Undeliverable": "Failed",
    "Terminated": "Cancelled",
    "InvalidPlatform": "Failed",
}


@dataclass(slots=True, eq=False)
class CommandInvocation:
    """A command on one node. `details` is the finer status; `status` derives from it."""

    node_id: str
    details: str = "Pending"
    start: datetime | None = None
    end: datetime | None = None
    outcome: Outcome | None = None
    run: Run | None = None
    timer: Event | None = None

    @property
    def status(self) -> str:
        """The coarse status that the API calls Status."""
        return STATUS_OF_DETAILS.get(self.details, self.details)

    @property
    def final(self) -> bool:
        """Whether it has ended."""
        return self.details in FINAL


@dataclass(slots=True, eq=False)
class Command:
    """A document sent to nodes."""

    command_id: str
    document: Document
    parameters: dict[str, list[str]]
    requested: datetime
    timeout_seconds: int
    max_concurrency: str
    max_errors: str
    instance_ids: list[str]
    """As given by the caller; empty for targets by tag."""
    targets: list[dict[str, Any]]
    options: dict[str, Any] = field(default_factory=dict)
    """What is only kept and shown: Comment, ServiceRoleArn, NotificationConfig, CloudWatchOutputConfig…"""
    bucket: str | None = None
    prefix: str = ""
    output_region: str | None = None
    snapshot_id: str | None = None
    """Derived from the window's execution, None outside one."""
    downloads: dict[str, OverrideList] = field(default_factory=dict)
    """Override lists by URL: every node of the command sees the same one."""
    invocations: dict[str, CommandInvocation] = field(default_factory=dict)
    waiting: list[CommandInvocation] = field(default_factory=list)
    """Not yet started, last first."""
    running: int = 0
    finished: int = 0
    errors: int = 0
    delivery_timeouts: int = 0
    details: str = "Pending"
    pumping: bool = False
    ended: bool = False
    on_done: Callable[[Command], None] | None = None

    @property
    def status(self) -> str:
        """The coarse status that the API calls Status."""
        return {"DeliveryTimedOut": "TimedOut", "ExecutionTimedOut": "TimedOut", "Incomplete": "Failed"}.get(
            self.details, "Success" if self.details == "NoInstancesInTag" else self.details
        )

    def allowed(self) -> int:
        """How many nodes may run it now: one more than have ended, at most MaxConcurrency."""
        return min(amount(self.max_concurrency, len(self.invocations), at_least=1), 1 + self.finished)

    def too_many_errors(self) -> bool:
        """Whether more than MaxErrors invocations failed."""
        return self.errors > amount(self.max_errors, len(self.invocations), at_least=0)


def amount(text: str, total: int, at_least: int) -> int:
    """A number, or a percentage of `total` rounded down, as MaxConcurrency and MaxErrors are written."""
    value = math.floor(total * int(text[:-1]) / 100) if text.endswith("%") else int(text)
    return max(at_least, value)


def send(location: Location, command: Command, node_ids: list[str]) -> Command:
    """Send the command to `node_ids`; `command.on_done` is called once when it has ended.

    Nothing has started when it returns: the command is Pending, and the first node starts as the clock's
    next event.
    """
    command.invocations = {node_id: CommandInvocation(node_id) for node_id in node_ids}
    command.waiting = list(reversed(command.invocations.values()))
    location.commands[command.command_id] = command
    location.schedule(0, lambda: _start(location, command), f"command {command.command_id} starts")
    return command


def _start(location: Location, command: Command) -> None:
    if command.invocations and command.details == "Pending":
        command.details = "InProgress"
        notifications.command(location, command)
    _pump(location, command)


def cancel(location: Location, command: Command, node_ids: list[str] | None = None) -> None:
    """Cancel the command (on some nodes only, if given), best effort: what runs is stopped within seconds."""
    chosen = list(command.invocations) if node_ids is None else node_ids
    command.pumping = True  # nothing starts while it is being cancelled
    for node_id in chosen:
        invocation = command.invocations[node_id]
        if invocation.details == "InProgress":
            invocation.details = "Cancelling"
            location.schedule(CANCEL_SECONDS, partial(_stopped, location, command, invocation), "cancel")
        elif invocation.details in ("Pending", "Delayed"):
            _end(location, command, invocation, "Cancelled", was_running=invocation.details == "Delayed")
    command.waiting = [invocation for invocation in command.waiting if not invocation.final]
    command.pumping = False
    if node_ids is None and not command.ended:
        command.details = "Cancelling"
    _pump(location, command)


def node_reachable(location: Location, node_id: str) -> None:
    """A node's agent answers again: deliver what waits for it, in the order it was sent."""
    for command in list(location.commands.values()):
        invocation = command.invocations.get(node_id)
        if invocation is not None and invocation.details == "Delayed":
            _try_delivery(location, command, invocation)


def interrupt(location: Location, node_id: str) -> None:
    """The machine goes down: what runs on it is cut off, and nobody hears of it before its time-out."""
    for command in location.commands.values():
        invocation = command.invocations.get(node_id)
        if invocation is not None and invocation.run is not None:
            invocation.run.interrupt()


def _pump(location: Location, command: Command) -> None:
    """Start what may start, and end the command when nothing is left."""
    if command.pumping:
        return
    command.pumping = True
    while command.waiting:
        if command.too_many_errors() and command.details != "Cancelling":
            _end(location, command, command.waiting.pop(), "Terminated", was_running=False)
        elif command.running < command.allowed():
            invocation = command.waiting.pop()
            command.running += 1
            _try_delivery(location, command, invocation)
        else:
            break
    command.pumping = False
    if command.finished == len(command.invocations) and not command.ended:
        command.ended = True
        _finish(location, command)


def _try_delivery(location: Location, command: Command, invocation: CommandInvocation) -> None:
    node = location.nodes.get(invocation.node_id)
    if node is None or not location.running(node):
        _end(location, command, invocation, "Undeliverable", was_running=True)
    elif location.reachable(node):
        if invocation.timer is not None:
            invocation.timer.cancel()
        invocation.details, invocation.start = "InProgress", location.lab.clock.now()
        invocation.run = begin(location, command, node, lambda outcome: _ran(location, command, invocation, outcome))
    elif invocation.details == "Pending":
        invocation.details = "Delayed"
        invocation.timer = location.schedule(
            command.timeout_seconds,
            lambda: _end(location, command, invocation, "DeliveryTimedOut", was_running=True),
            "delivery time-out",
        )


def _ran(location: Location, command: Command, invocation: CommandInvocation, outcome: Outcome) -> None:
    if invocation.details == "InProgress":
        invocation.outcome = outcome
        _end(location, command, invocation, outcome.details, was_running=True)


def _stopped(location: Location, command: Command, invocation: CommandInvocation) -> None:
    if invocation.run is not None:
        invocation.run.cancel()
    if not invocation.final:
        _end(location, command, invocation, "Cancelled", was_running=True)


def _end(
    location: Location, command: Command, invocation: CommandInvocation, details: str, *, was_running: bool
) -> None:
    invocation.details, invocation.end, invocation.run = details, location.lab.clock.now(), None
    if invocation.timer is not None:
        invocation.timer.cancel()
        invocation.timer = None
    command.finished += 1
    command.running -= was_running
    command.errors += details in ("Failed", "ExecutionTimedOut")
    command.delivery_timeouts += details == "DeliveryTimedOut"
    if invocation.outcome is not None:
        outputs.add(location, command, invocation)
    notifications.invocation(location, command, invocation)
    if was_running:
        _pump(location, command)


def _finish(location: Location, command: Command) -> None:
    command.details = _final_details(command)
    location.schedule(HISTORY_SECONDS, lambda: location.commands.pop(command.command_id, None), "history ends")
    notifications.command(location, command)
    if command.on_done is not None:
        command.on_done(command)


def _final_details(command: Command) -> str:
    if not command.invocations:
        return "NoInstancesInTag"
    if command.details == "Cancelling":
        return "Cancelled"
    if command.too_many_errors():
        timed_out = all(i.details != "Failed" for i in command.invocations.values())
        return "ExecutionTimedOut" if timed_out else "Failed"
    if command.delivery_timeouts > amount(command.max_errors, len(command.invocations), at_least=0):
        return "DeliveryTimedOut"
    good = ("Success", "Undeliverable")
    return "Success" if all(i.details in good for i in command.invocations.values()) else "Incomplete"
