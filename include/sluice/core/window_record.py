"""What is written down of one execution of a window, and what of it can be seen in AWS: the protocol's data.

    planned   its time is chosen, once; AWS may be anywhere between rest and prepared
    arming    a call that opens the window may have been sent, with this time and no other
    armed     the window was read back: it fires at its time
    running   the execution is known
    closing   what came of it is settled; the window may be anywhere between open and rest
    closed    the window is at rest again, or was never touched

A step is written before the act that it is named for, and only by whoever read the step before
(`sluice.aws.operations.put_step`). So what a crash leaves is read off the record and AWS, and whoever comes
next goes on from there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, cast

from sluice.core.release.terms import Kind, Plain

Step = Literal["planned", "arming", "armed", "running", "closing", "closed"]
STEPS: tuple[Step, ...] = ("planned", "arming", "armed", "running", "closing", "closed")

State = Literal["waiting", "done", "failed", "late", "halted", "held", "skipped"]
"""Where a wave stands for those who wait for it. `held`: the gate's volatile rules did not let it open."""
Verdict = Literal["", "done", "failed", "late", "halted", "held", "skipped"]

LEAVES: dict[Step | None, str] = {
    None: "Nothing is changed in AWS. The next try chooses a time, or finds that it is too late.",
    "planned": "The window is disabled, at rest or on a schedule that cannot fire. The next try prepares it again and"
    " opens it at the same time; past that time nothing opens any more.",
    "arming": "The window is disabled, or opens at its time. The next try sees which: it opens the window at the same"
    " time, or finds it open, or finds the execution.",
    "armed": "The window fires once, at its time, as allowed. The next try waits for it.",
    "running": "AWS finishes the execution. The next try finds the same one; its at() is past and fires no second one.",
    "closing": "The window is open with an at() that is past, or disabled with it: it fires nothing. The next try, the"
    " release's close or the next preflight puts it to rest.",
    "closed": "The window is at rest.",
}
"""What a death leaves after the step was written and before the next one was: for people, and held by the tests."""

SUCCESS = "Success"
MISSING = "Missing"
"""Of a node that an execution should have reached and did not."""


@dataclass(frozen=True, slots=True)
class Result(Plain):
    """What came of a command on a node."""

    node: str
    status: str
    """Of the command's invocation (Success, Failed, TimedOut, Cancelled), or `MISSING`."""
    details: str = ""
    """AWS's StatusDetails, or why it counts otherwise than its status says."""
    command: str | None = None
    """The command's id."""
    failed: tuple[tuple[str, str], ...] = ()
    """Ids and titles of the patches that failed on it, where a scan behind a reboot hides them."""


@dataclass(frozen=True, slots=True)
class WaveRecord(Plain):
    """One execution of a window, of a release, wave, location and kind: what was decided, and how far it is."""

    release: str
    wave: int
    location: str
    kind: Kind
    window_id: str
    """Empty where the window was never looked for."""
    step: Step
    chosen: datetime
    """When its time was chosen (UTC)."""
    slots: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Slots and their nodes that it is for."""
    log_prefixes: tuple[str, ...] | None = None
    """Of its own commands, by which they are told: as it was prepared, whatever the policy says later. None: nobody
    can tell them, as the policy named no bucket for logs."""
    at: datetime | None = None
    """Its time (UTC), chosen once; None: it never opens."""
    duration_hours: int = 0
    sent: bool = False
    """Whether a call that opens the window may have been sent: stays so from `arming` on."""
    watched: bool = False
    """Whether AWS starts it on the window's own schedule, and the window is not touched."""
    execution: str | None = None
    started: datetime | None = None
    ended: datetime | None = None
    status: str = ""
    """The execution's, when it had ended."""
    verdict: Verdict = ""
    reason: str = ""
    foreign: bool = False
    """Whether its execution reached nodes, or ran commands, that are not the wave's: nothing further opens."""
    results: tuple[Result, ...] = ()

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that it is for, sorted."""
        return tuple(sorted(node for _, nodes in self.slots for node in nodes))

    @property
    def time(self) -> datetime:
        """Its time, once there is one."""
        if self.at is None:
            raise AssertionError(f"a record that is {self.step} without a time: {self}")
        return self.at

    @property
    def counts(self) -> dict[str, int]:
        """Nodes by what came of them."""
        good = sum(one.status == SUCCESS for one in self.results)
        missing = sum(one.status == MISSING for one in self.results)
        return {
            "expected": len(self.nodes),
            "success": good,
            "missing": missing,
            "failed": len(self.results) - good - missing,
        }

    @classmethod
    def of_json(cls, data: dict[str, Any]) -> WaveRecord:
        """The inverse of `as_json`."""
        plain = Plain.of_json.__func__(cls, data)  # type: ignore[attr-defined]  # slots forbid a bare super() here
        return cast(
            "WaveRecord",
            replace(
                plain,
                slots=tuple((slot, tuple(nodes)) for slot, nodes in plain.slots),
                log_prefixes=None if plain.log_prefixes is None else tuple(plain.log_prefixes),
                results=tuple(_result(one) for one in plain.results),
            ),
        )


def _result(data: dict[str, Any]) -> Result:
    found = Result.of_json(data)
    return replace(found, failed=tuple((patch, title) for patch, title in found.failed))
