"""Steps 7 and 8, and what stands around them: one execution of a window in one location, driven move by move.

`sluice.core.window_protocol` decides, `sluice.flow.driver` carries out. Every move is written down before its act,
so that a worker may die anywhere and the next one goes on; docs/window-protocol.md says what each death leaves.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from sluice.core.errors import ReleaseError
from sluice.core.policy.window_steps import moment_of
from sluice.core.release.terms import Kind, Plain
from sluice.core.window_objects import asks, reboots_in_waves
from sluice.core.window_protocol import Done, Move, Wait
from sluice.core.window_record import State
from sluice.flow.driver import Driver
from sluice.flow.run import Run


@dataclass(frozen=True, slots=True)
class Progress(Plain):
    """How far a wave is in a location, for XCom and for those who wait."""

    location: str
    wave: int
    kind: Kind
    state: State
    until: datetime | None = None
    """When to look again at the earliest (UTC); None, or past: after the policy's poll interval."""
    due: bool = False
    """Whether there is something to do now: `advance` again."""
    reason: str = ""
    execution: str | None = None
    counts: dict[str, int] = field(default_factory=dict)
    """Nodes: expected, success, failed, missing."""


def advance(run: Run, location: str, wave: int, kind: Kind) -> Progress:
    """Do everything that can be done now. Twice, or by two at once, is as good as once.

    Raises AWSError where the location does not answer, ReleaseError where the window is not as it was applied.
    """
    if skipped := _skipped(run, location, wave, kind):
        return skipped
    with run.connect(location) as connection:
        driver = Driver(run, connection, location, wave, kind)
        return _progress(driver, driver.advance())


def look(run: Run, location: str, wave: int, kind: Kind) -> Progress:
    """How far it is; nothing is changed."""
    if skipped := _skipped(run, location, wave, kind):
        return skipped
    with run.connect(location) as connection:
        driver = Driver(run, connection, location, wave, kind)
        return _progress(driver, driver.next())


def _skipped(run: Run, location: str, wave: int, kind: Kind) -> Progress | None:
    """What needs no look at AWS. Raises ReleaseError for what the window cannot do."""
    if run.window.installs == (kind == "scan"):
        raise ReleaseError(
            f"expected {'an install' if run.window.installs else 'a scan'} of {run.window.name}, found {kind}"
        )
    if moment_of(kind) and kind not in {step.name for step in run.steps}:
        raise ReleaseError(f"expected a step of {run.window.name}, found {kind}, which this release does not have")
    if moment_of(kind) and run.policy.mode == "observe":
        raise ReleaseError(f"{kind} of {run.window.name}: the policy's mode is observe, so no step may run")
    if run.asked.dry_run:
        return Progress(location, wave, kind, "skipped", reason="a dry run opens no window")
    if kind in ("reboot", "rescan") and not reboots_in_waves(run.window, run.asked):
        return Progress(location, wave, kind, "skipped", reason="no reboot was asked for")
    if kind == "ask" and not asks(run.policy, run.window, run.asked):
        return Progress(location, wave, kind, "skipped", reason="nothing has to be known of reboots")
    return None


def _progress(driver: Driver, move: Move) -> Progress:
    record = driver.record
    sight = driver.sight
    execution, counts = (record.execution, record.counts) if record else (None, {})
    told = Progress(sight.location, sight.wave, sight.kind, "waiting", execution=execution, counts=counts)
    if isinstance(move, Done) and record is not None:
        state: State = record.verdict or "failed"
        if sight.kind == "ask" and state != "done":
            state = "skipped"  # nothing is wrong with what was installed: it only soaks later
        return replace(told, state=state, reason=record.reason)
    if isinstance(move, Wait):
        return replace(told, until=move.until, reason=move.reason)
    return replace(told, due=True, reason=f"due: {type(move).__name__.lower()}")
