"""A document running on a node: its steps one after the other, its outcome, its reboots.

Which step does what is decided by the document: the patch payload (`lab.patching`) for
AWS-RunPatchBaseline, `lab.scripts` for every shell and PowerShell step.

A step that fails does not keep the next one from running, unless the step says so in its inputs
(`onFailure: exit` or `successAndExit`, `onSuccess: exit`) or ends with one of two exit codes; a last
step with `finallyStep: true` runs even then (AG:agent/runpluginutil/run.go).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lab.agent import NodeResult
from lab.clock import Event
from lab.journal import note_boot
from lab.world import Location, Node

if TYPE_CHECKING:
    from lab.commands import Command
    from lab.ssm.document_content import Step

REBOOT_CODES = {"Linux": 194, "MacOS": 194, "Windows": 3010}
"""Exit codes on which the agent reboots the node and runs the step again (AG:agent/appconfig/constants_*.go)."""

KILLED = 137
"""Exit code of what the agent kills, at its time-out for example (AG:agent/executers/executers.go)."""

EXIT_WITH_SUCCESS, EXIT_WITH_FAILURE = 168, 169
"""Exit codes that end the document: the step counts as successful, or as failed (AG, as above)."""


@dataclass(slots=True)
class StepOutcome:
    """What one step of a document left: `text` for a script, `result` for a patch operation."""

    step: Step
    code: int
    text: str = ""
    error: str = ""
    result: NodeResult | None = None
    timed_out: bool = False
    skipped: bool = False

    @property
    def details(self) -> str:
        """Success, Failed or ExecutionTimedOut."""
        if self.timed_out:
            return "ExecutionTimedOut"
        return "Success" if self.code in (0, EXIT_WITH_SUCCESS) else "Failed"

    @property
    def exits(self) -> bool:
        """Whether the steps after it are skipped."""
        if self.code in (EXIT_WITH_SUCCESS, EXIT_WITH_FAILURE):
            return True
        modifier = {"Success": "onSuccess", "Failed": "onFailure"}.get(self.details, "")
        return self.step.inputs.get(modifier) == "exit"


@dataclass(slots=True)
class Outcome:
    """What a document left on a node of a platform. `details` is a final invocation status."""

    details: str
    platform: str
    steps: list[StepOutcome] = field(default_factory=list)

    @property
    def code(self) -> int:
        """The response code: that of the first step that did not succeed, else the last step's; -1 without any."""
        bad = next((step.code for step in self.steps if step.details != "Success"), None)
        return (self.steps[-1].code if self.steps else -1) if bad is None else bad


class Run:
    """One document on one node, from delivery to its outcome."""

    def __init__(self, location: Location, command: Command, node: Node, done: Callable[[Outcome], None]) -> None:
        self.location = location
        self.command = command
        self.node = node
        self.done = done
        self.event: Event | None = None
        self.timeout: Event | None = None
        self.live = True
        self.platform = location.lab.repositories.product(node.product).platform_type
        self.outcome = Outcome("Success", self.platform)
        self.steps = [step for step in command.document.steps if step.runs_on(self.platform, command.parameters)]

    def start(self) -> None:
        """Run the first step. Steps for other platforms are passed over, a document for others fails."""
        if self.platform not in self.command.document.platform_types:
            self._over("InvalidPlatform")
        else:
            self._go_on(0)

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
        """A step has ended: the next one, or the end."""
        if self.timeout is not None:
            self.timeout.cancel()
        if step.details == "Failed" and step.step.inputs.get("onFailure") == "successAndExit":
            step.code = EXIT_WITH_SUCCESS
        self.outcome.steps.append(step)
        self._go_on(index + 1)

    def reboot(self, then: Callable[[], None]) -> None:
        """Reboot the node and go on with `then` when its agent is back, if it ever is."""
        reboot(self.location, self.node, lambda: then() if self.live else None)

    def parameter(self, name: str) -> str:
        """A parameter's first value, "" without one."""
        values: Any = self.command.parameters.get(name) or [""]
        return str(values[0])

    def _go_on(self, index: int) -> None:
        """Begin the step of this number, or what follows instead of it, or end with the worst of the steps."""
        if any(step.exits for step in self.outcome.steps):
            index = max(index, len(self.steps) - (1 if self._has_finally() else 0))
        if index < len(self.steps):
            self._begin_step(index)
            return
        worst = {step.details for step in self.outcome.steps}
        self._over(next((details for details in ("Failed", "ExecutionTimedOut") if details in worst), "Success"))

    def _has_finally(self) -> bool:
        last = self.command.document.steps[-1]
        return self.steps[-1] is last and last.inputs.get("finallyStep") in (True, "true")

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
        """The agent kills the step and goes on; of one that cannot be reached nothing further is heard."""
        lives = self.live and self.location.reachable(self.node)
        self.cancel()
        error = "The step exceeded its time-out.\n"
        step = StepOutcome(self.steps[index], KILLED if lives else -1, error=error, timed_out=True)
        if lives:
            self.live = True
            self.end_step(index, step)
        else:
            self.outcome.steps.append(step)
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
        note_boot(location, node)
        if then is not None:
            then()
        node_reachable(location, node.node_id)

    # The node comes back whether or not the command that rebooted it is still wanted.
    location.schedule(node.reboot_seconds, back, f"{node.node_id} is back")
