"""A document running on a node: its steps one after the other, its outcome, its reboots.

Which step does what is decided by the document: the patch payload (`lab.patching`) for
AWS-RunPatchBaseline, `lab.scripts` for every shell and PowerShell step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lab.agent import NodeResult
from lab.clock import Event
from lab.world import Location, Node

if TYPE_CHECKING:
    from lab.commands import Command
    from lab.ssm.document_content import Step

REBOOT_CODES = {"Linux": 194, "MacOS": 194, "Windows": 3010}
"""Exit codes on which the agent reboots the node and runs the step again (AG:agent/appconfig/constants_*.go)."""


@dataclass(slots=True)
class StepOutcome:
    """What one step of a document left: `text` for a script, `result` for a patch operation."""

    step: Step
    code: int
    text: str = ""
    error: str = ""
    result: NodeResult | None = None


@dataclass(slots=True)
class Outcome:
    """What a document left on a node. `details` is a final invocation status."""

    details: str
    steps: list[StepOutcome] = field(default_factory=list)

    @property
    def code(self) -> int:
        """The response code: the last step's."""
        return self.steps[-1].code if self.steps else -1


class Run:
    """One document on one node, from delivery to its outcome."""

    def __init__(self, location: Location, command: Command, node: Node, done: Callable[[Outcome], None]) -> None:
        self.location = location
        self.command = command
        self.node = node
        self.done = done
        self.outcome = Outcome("Success")
        self.event: Event | None = None
        self.timeout: Event | None = None
        self.live = True
        self.platform = location.lab.repositories.product(node.product).platform_type
        self.steps = [step for step in command.document.steps if step.runs_on(self.platform, command.parameters)]

    def start(self) -> None:
        """Run the first step. Steps for other platforms are passed over, a document for others fails."""
        if self.platform not in self.command.document.platform_types:
            self._over("InvalidPlatform")
        elif self.steps:
            self._begin_step(0)
        else:
            self._over("Success")

    def interrupt(self) -> None:
        """Nothing further happens on the node; only the step's time-out is still to come."""
        self.live = False
        self.node.patching = False
        if self.event is not None:
            self.event.cancel()

    def cancel(self) -> None:
        """Stop: nothing further happens on the node, and nothing is said of it."""
        self.interrupt()
        if self.timeout is not None:
            self.timeout.cancel()

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Go on after `seconds`, unless cancelled or timed out."""
        self.event = self.location.schedule(seconds, action, "run")

    def end_step(self, index: int, step: StepOutcome) -> None:
        """A step has ended: the next one, or the end. A step that failed ends the document."""
        if self.timeout is not None:
            self.timeout.cancel()
        self.outcome.steps.append(step)
        if step.code != 0:
            self._over("Failed")
        elif index + 1 < len(self.steps):
            self._begin_step(index + 1)
        else:
            self._over("Success")

    def reboot(self, then: Callable[[], None]) -> None:
        """Reboot the node and go on with `then` when its agent is back, if it ever is."""
        reboot(self.location, self.node, lambda: then() if self.live else None)

    def parameter(self, name: str) -> str:
        """A parameter's first value, "" without one."""
        values: Any = self.command.parameters.get(name) or [""]
        return str(values[0])

    def _begin_step(self, index: int) -> None:
        from lab import patching, scripts

        step = self.steps[index]
        seconds = step.timeout_seconds(self.command.parameters)
        self.timeout = self.location.schedule(seconds, lambda: self._timed_out(index), "execution time-out")
        if self.node.faults is not None and self.node.faults.hang:
            return
        if step.name in patching.STEPS and self.command.document.name.startswith("AWS-RunPatchBaseline"):
            patching.PatchStep(self, index).start()
        else:
            scripts.ScriptStep(self, index).start()

    def _timed_out(self, index: int) -> None:
        self.cancel()
        step = self.steps[index]
        self.outcome.steps.append(StepOutcome(step, -1, error="The step exceeded its time-out.\n"))
        self._over("ExecutionTimedOut")

    def _over(self, details: str) -> None:
        self.outcome.details = details
        self.done(self.outcome)


def begin(location: Location, command: Command, node: Node, done: Callable[[Outcome], None]) -> Run:
    """Run the command's document on the node; `done` is called once with what came of it."""
    run = Run(location, command, node, done)
    run.start()
    return run


def reboot(location: Location, node: Node, then: Callable[[], None] | None = None) -> None:
    """Reboot a node: its agent is silent until it is back, and what waited for a reboot is done.

    A node with the fault `reboot_never_returns` stays away; `then` is then never called.
    """
    from lab.commands import node_reachable

    clock = location.lab.clock
    node.rebooting_until = clock.now() + timedelta(seconds=node.reboot_seconds)
    if node.faults is not None and node.faults.reboot_never_returns:
        node.lost_for_good = True
        return

    def back() -> None:
        node.rebooting_until = None
        node.booted_at = clock.now()
        node.pending = frozenset()
        if then is not None:
            then()
        node_reachable(location, node.node_id)

    # The node comes back whether or not the command that rebooted it is still wanted.
    location.schedule(node.reboot_seconds, back, f"{node.node_id} is back")
