"""A halt in one location: mark, disable, cancel, and look again until there is nothing left to do."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from sluice.aws import commands, executions, halts, leases, operations, tags, windows
from sluice.aws.session import Connection
from sluice.core.errors import AnswerError, AWSError
from sluice.core.halt_mark import Mark
from sluice.core.policy.policy import Policy
from sluice.core.policy.window_steps import served

LOOKS = 6
"""At most so many looks: who opens windows faster than they are disabled is not stopped by more."""

MARK_SECONDS = 5.0
"""How long (seconds) the mark is waited for before windows are disabled all the same: where the bucket does not answer,
what runs must not run on."""

IN_THE_MIDDLE = ("InProgress", "Cancelling")
"""Statuses of a command on a node that has begun it and not ended it (API reference, CommandInvocation)."""

OTHERS = "a halt cancels commands alone: stop it where it runs, an automation with `aws ssm stop-automation-execution`"

Tell = Callable[[Connection, str], None]
"""Hears of each thing that was done, from several threads."""


@dataclass(frozen=True, slots=True)
class Halted:
    """What was halted in a location, or lifted, and what was not."""

    location: str
    """`111111111111/eu-west-3`."""
    marked: bool = False
    """Whether the mark is there, or is lifted."""
    disabled: tuple[str, ...] = ()
    """Windows that were enabled."""
    cancelled: tuple[str, ...] = ()
    """Executions and commands."""
    nodes: tuple[str, ...] = ()
    """Nodes that were in the middle: what became of them has to be looked at."""
    left: tuple[str, ...] = ()
    """What was not halted, or not lifted, and why."""


@dataclass
class Halt:
    """A halt in one location, as far as it has come. Errors of AWS are kept and stop nothing else."""

    connection: Connection
    policy: Policy
    name: str
    """The mark's: a release's id or `all`."""
    window: str | None
    """The release's; None: every window of the deployment."""
    by: str
    because: str
    tell: Tell
    mark: Mark | None = None
    driver: str | None = None
    """Another release that drives the window now: what is open then is not this release's."""
    disabled: list[str] = field(default_factory=list)
    executions: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    nodes: set[str] = field(default_factory=set)
    unmarked: str = ""
    """Why there is no mark."""
    left: dict[str, str] = field(default_factory=dict)
    """What the last look could not do, and why."""

    def carry_out(self) -> Halted:
        """Mark, then look until a look finds nothing to do."""
        with ThreadPoolExecutor(1, "mark") as pool:
            marking = pool.submit(self._write_mark)
            wait([marking], MARK_SECONDS)
            if self.driver is None:
                self._stop()
            marking.result()
        if self.unmarked:
            self._write_mark()  # what hindered it may be over
        self._try("the nodes' names in the mark", self._noted)
        unmarked = [f"the mark, so that it may open again: {self.unmarked}"] if self.unmarked else []
        return Halted(
            self.connection.key,
            self.mark is not None,
            tuple(self.disabled),
            (*self.executions, *self.commands),
            tuple(sorted(self.nodes)),
            (*unmarked, *(f"{what}: {why}" for what, why in self.left.items())),
        )

    def _write_mark(self) -> None:
        """Write the mark, unless it is there already: a repeated halt keeps who was first, and when."""
        try:
            bucket = operations.bucket_of(self.policy, self.connection)
            mark = self._found(bucket)
            if mark is None or not mark.holds:
                who = named(self.by, self.connection)
                mark = Mark(self.name, who, self.because, self.connection.now())
                halts.write(self.connection, bucket, mark)
                self.tell(self.connection, f"marked: {mark}. Nothing of it opens any more")
            self.mark, self.unmarked = mark, ""
            self.nodes |= set(mark.nodes)
        except AWSError as error:
            self.unmarked = str(error)
            return
        with suppress(AWSError):  # where nobody can tell whose the window is, what runs of it is stopped
            self.driver = self._driver(bucket)

    def _found(self, bucket: operations.Bucket) -> Mark | None:
        try:
            return halts.read(self.connection, bucket, self.name)
        except AnswerError:  # what nobody can read is written anew
            return None

    def _driver(self, bucket: operations.Bucket) -> str | None:
        if self.window is None:
            return None
        lease = leases.lease_of(self.connection, bucket, self.window)
        if lease is None or lease.owner in (None, self.name):
            return None
        self.tell(self.connection, f"window {self.window} is {lease.owner}'s by now, and is left alone")
        return lease.owner

    def _stop(self) -> None:
        """Look until there is nothing to do, at least twice: a worker may have opened a window after the first."""
        for look in range(LOOKS):
            if not self._look() and look:
                break
        else:
            self.left["windows"] = f"something was opened again at each of {LOOKS} looks: find out who opens them"
        for command in self.commands:  # on some nodes it began between the look at it and its end
            self._try(f"the nodes in the middle of command {command}", self._name, command, IN_THE_MIDDLE)

    def _look(self) -> bool:
        """Disable what is enabled and cancel what runs; whether there was anything."""
        self.left.clear()
        own: list[tuple[str, str, bool]] = []
        self._try("windows, which could not be listed", self._list_windows, own)
        acted = [self.disable(*one) for one in own]
        acted += [self._try(f"what runs of window {one[1]} ({one[0]})", self._cancel, *one[:2]) for one in own]
        return any(acted)

    def _list_windows(self, own: list[tuple[str, str, bool]]) -> bool:
        """Add the ids and names of the windows that are the deployment's, and whether they are enabled; those first."""
        for identity in sorted(windows.listed(self.connection), key=lambda one: not one.get("Enabled", True)):
            self._try(f"window {identity['WindowId']}, of which nobody knows whose it is", self._add, identity, own)
        return False

    def _add(self, identity: dict[str, Any], own: list[tuple[str, str, bool]]) -> bool:
        window_id = identity["WindowId"]
        name = tags.owned_name(tags.read(self.connection, "MaintenanceWindow", window_id), self.policy.deployment)
        if name and self.window in (None, served(name)):
            own.append((window_id, name, identity.get("Enabled", True)))
        return False

    def disable(self, window_id: str, name: str, enabled: bool) -> bool:
        """Disable a window, whatever the list said of it: somebody may have enabled it since; whether it was."""
        return self._try(f"window {name} ({window_id})", self._hold, window_id, name, enabled)

    def _hold(self, window_id: str, name: str, enabled: bool) -> bool:
        windows.hold(self.connection, window_id)
        if enabled:
            self.disabled.append(name)
            self.tell(self.connection, f"disabled window {name} ({window_id})")
        return enabled

    def _cancel(self, window_id: str, name: str) -> bool:
        """Cancel what runs of a window; whether there was anything that was not cancelled yet."""
        known = executions.listed(self.connection, window_id)
        running = [one["WindowExecutionId"] for one in known if one["Status"] not in executions.FINAL]
        acted = [self.cancel(execution, name) for execution in running]  # each, whatever came of the one before
        return any(acted)

    def cancel(self, execution: str, name: str) -> bool:
        """Cancel an execution of a window and what runs behind it; whether there was anything left to cancel."""
        acted = [
            self._try(f"execution {execution} of window {name}", self._cancel_execution, execution, name),
            self._try(f"commands of execution {execution}", self._cancel_behind, execution, name),
        ]
        return any(acted)

    def _cancel_execution(self, execution: str, window: str) -> bool:
        """No further task of it begins."""
        if execution in self.executions:
            return False
        executions.cancel(self.connection, execution)
        self.executions.append(execution)
        self.tell(self.connection, f"cancelled execution {execution} of window {window}")
        return True

    def _cancel_behind(self, execution: str, window: str) -> bool:
        """What runs already: cancelling the execution does not touch it."""
        acted = []
        for task in executions.tasks(self.connection, execution):
            for one in executions.invocations(self.connection, execution, task["TaskExecutionId"]):
                behind = one.get("ExecutionId")
                if not behind or one["Status"] in executions.FINAL or behind in self.commands:
                    continue
                if one["TaskType"] == "RUN_COMMAND":
                    acted.append(
                        self._try(f"command {behind} of window {window}", self._cancel_command, behind, window)
                    )
                else:
                    self.left[f"{one['TaskType']} {behind} of window {window}"] = OTHERS
        return any(acted)

    def _cancel_command(self, command: str, window: str) -> bool:
        self._try(f"the nodes in the middle of command {command}", self._name, command, IN_THE_MIDDLE[:1])
        commands.cancel(self.connection, command)
        self.commands.append(command)
        self.tell(self.connection, f"cancelled command {command} of window {window}")
        return True

    def _name(self, command: str, statuses: tuple[str, ...]) -> bool:
        """Note the nodes on which a command runs now."""
        status = statuses[0] if len(statuses) == 1 else None
        found = commands.invocations(self.connection, command, status=status)
        self._note({one["InstanceId"] for one in found if one["Status"] in statuses})
        return False

    def _note(self, found: set[str]) -> None:
        """Write nodes into the mark before they are cancelled: afterwards nobody can tell that they had begun."""
        self.nodes |= found
        if self.mark and set(self.mark.nodes) != self.nodes:
            mark = replace(self.mark, nodes=tuple(sorted(self.nodes)))
            halts.write(self.connection, operations.bucket_of(self.policy, self.connection), mark)
            self.mark = mark

    def _noted(self) -> bool:
        self._note(set())
        return False

    def _try(self, what: str, act: Callable[..., bool], *given: Any) -> bool:
        """Do something, and say whether there was anything to do. What fails is remembered, and stops nothing else."""
        try:
            return act(*given)
        except AWSError as error:
            self.left[what] = str(error)
            return False


def named(by: str, connection: Connection) -> str:
    """Who did something, as they say and as AWS knows them."""
    return f"{by} ({connection.arn})"
