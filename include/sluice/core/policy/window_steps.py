"""Steps around the waves of a window, each an execution of its own: what they are called, and what AWS needs for them.

A document runs on the window's own slots. An automation or a function has no nodes, and a task cannot change its type,
so it has a window of its own beside: `install-prod-before-1`, with one task and no target.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NewType, TypeAlias

from sluice.core.policy.windows import Step, Window

Moment: TypeAlias = Literal["before", "after"]

StepName = NewType("StepName", str)
"""`before-1`: what a step is called in records, log prefixes and names of windows, numbered as the policy has them."""

_NAME = re.compile(r"(?P<moment>before|after)-[1-9]\d*")
_OWN = re.compile(rf"(?P<window>.+)-{_NAME.pattern}")


@dataclass(frozen=True, slots=True)
class WindowStep:
    """One step of a window."""

    moment: Moment
    number: int
    """Counted from 1, before and after by themselves."""
    step: Step

    @property
    def name(self) -> StepName:
        """What it is called."""
        return StepName(f"{self.moment}-{self.number}")

    @property
    def on_nodes(self) -> bool:
        """Whether it runs on the window's nodes, by its slots."""
        return self.step.document is not None

    @property
    def what(self) -> str:
        """What runs, by name or ARN."""
        return self.step.document or self.step.automation or self.step.function or ""

    @property
    def task_type(self) -> str:
        """AWS's word for it."""
        if self.on_nodes:
            return "RUN_COMMAND"
        return "AUTOMATION" if self.step.automation else "LAMBDA"

    @property
    def parameters(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """As a task has them: by name."""
        return tuple(sorted(self.step.parameters.items()))

    def __str__(self) -> str:
        kind = "document" if self.on_nodes else "automation" if self.step.automation else "function"
        return f"step {self.name} ({kind} {self.what})"


def steps(window: Window) -> tuple[WindowStep, ...]:
    """The steps of a window in their order: those before, then those after."""
    return tuple(
        WindowStep(moment, number, step)
        for moment, given in _given(window)
        for number, step in enumerate(given, start=1)
    )


def _given(window: Window) -> tuple[tuple[Moment, tuple[Step, ...]], ...]:
    return ("before", window.before), ("after", window.after)


def step_told(location: str, step: WindowStep, verdict: str, reason: str | None) -> str:
    """What came of a step in a location, for people."""
    return f"{location}: {step}: {verdict}{f': {reason}' if reason else ''}"


def step_named(window: Window, name: str) -> WindowStep | None:
    """The step of a window that is called so; None: the window has none."""
    return next((one for one in steps(window) if one.name == name), None)


def moment_of(name: str) -> Moment | None:
    """When a step of such a name runs; None: it is no step's name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    return "before" if match["moment"] == "before" else "after"


def own_window(window: str, step: WindowStep) -> str:
    """The name of the window that a step without nodes has of its own."""
    return f"{window}-{step.name}"


def served(name: str) -> str:
    """The window around whose waves a window's step runs; of every other window itself. One lease guards both."""
    match = _OWN.fullmatch(name)
    return match["window"] if match else name


def is_reserved(name: str) -> bool:
    """Whether a window's name is one of those that steps' own windows have."""
    return served(name) != name
