"""Drives a whole release without Airflow: its steps in their order, the lab's clock moved while they wait.

    outcome = Drive(lab, run).release()

Every step may be asked for again; so a release that was killed goes on with `Drive(lab, run_of(…)).release()`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from lab.testing import LabHandle
from sluice.core.errors import ReleaseError
from sluice.core.policy.window_steps import steps
from sluice.core.release.terms import Kind
from sluice.core.release.waves import count
from sluice.flow import admit, backup, barrier, close, gate, manifest, preflight, report, resolve, verify, wave
from sluice.flow.run import Run
from sluice.flow.wave import Progress

POLL = timedelta(minutes=5)
"""How far the clock is moved where nothing says until when."""
LONGEST = timedelta(hours=12)
"""A wait of more than this is one that never ends."""


@dataclass
class Drive:
    """One release, and what its steps answered."""

    lab: LabHandle
    run: Run
    approve: Callable[[dict[str, Any]], tuple[str | None, str | None]] = lambda decision: ("approve", "somebody")
    """What a person answers at the gate: the option chosen (None: no answer) and by whom."""
    told: dict[str, Any] = field(default_factory=dict)
    """What each step answered, by its name."""
    waited: Callable[[datetime], None] = lambda until: None
    """Hears of each move of the clock, before it."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The executions of a wave."""
        return ("install", "reboot", "rescan", "ask") if self.run.window.installs else ("scan",)

    def release(self) -> dict[str, Any]:
        """All steps; what each answered. The close is done whatever happened before, as Airflow's teardown is."""
        try:
            self.until_admitted()
            if "admit" in self.told:
                self.waves()
        finally:
            self.told["close"] = close.close(self.run)
        self.after()
        return self.told

    def until_admitted(self) -> None:
        """Resolve, preflight, manifest, gate, backup, admit; stops where the gate is closed."""
        run, told = self.run, self.told
        located = [one.key for one in run.locations]
        told["resolve"] = [resolve.resolve(run, key) for key in located]
        told["preflight"] = preflight.preflight(run, located)
        ready = told["preflight"]["ready"]
        if run.gated and not self._gate_opens(ready):
            return
        self._backups(ready)
        told["admit"] = admit.admit(run, ready)

    def waves(self) -> None:
        """The steps before, every wave with its barrier, the steps after; stops where a barrier does."""
        self.steps("before")
        self._patch()
        self.steps("after")

    def steps(self, moment: str) -> None:
        """The policy's steps in every location that has nodes, each behind the one before, as Airflow's task has it."""
        admitted = self.told["admit"]["waves"]
        for place in dict.fromkeys(one["location"] for parts in admitted for one in parts):
            for step in steps(self.run.window):
                if step.moment != moment:
                    continue
                found = self.told[f"{step.name}-{place}"] = self.wave(place, 0, step.name)
                if found.state not in ("done", "skipped"):
                    break

    def _patch(self) -> None:
        for number in range(1, count(self.run.window) + 1):
            places = [one["location"] for one in self.told["admit"]["waves"][number - 1]]
            for kind in self.kinds:
                for place in places:
                    self.told[f"wave-{number}-{kind}-{place}"] = self.wave(place, number, kind)
            if self._stopped(number):
                return

    def wave(self, place: str, number: int, kind: Kind) -> Progress:
        """One execution in one location, to its end."""
        began = self.now
        while True:
            found = wave.advance(self.run, place, number, kind)
            if found.state != "waiting":
                return found
            self.wait(found.until, began)

    def after(self) -> None:
        """Verify and report, also after a release that was held or failed."""
        self.told["verify"] = verify.verify(self.run)
        if self.run.asked.report:
            self.told["report"] = report.report(self.run)

    @property
    def now(self) -> datetime:
        """The lab's time."""
        return self.lab.world.clock.now()

    def wait(self, until: datetime | None, began: datetime) -> None:
        """Move the clock to `until`, or to where something happens next."""
        target = until if until and until > self.now else self._next_event()
        assert target - began < LONGEST, f"waiting since {began} until {target}"
        self.waited(target)
        self.lab.advance_to(target)

    def _next_event(self) -> datetime:
        coming = next((event.when for event in self.lab.world.clock.pending() if event.when > self.now), None)
        return min(coming or self.now + POLL, self.now + POLL)

    def _gate_opens(self, ready: list[str]) -> bool:
        self.told["manifest"] = manifest.manifest(self.run, ready)
        self.told["gate"] = decision = gate.gate(self.run, ready)
        if decision["verdict"] != "open":
            return False
        if decision["needs_approval"]:
            option, by = self.approve(decision)
            gate.record_approval(self.run, option, by)
            return option == "approve"
        return True

    def _backups(self, ready: list[str]) -> None:
        for key in ready:
            self.told[f"backup-{key}"] = backup.start(self.run, key)
        began = self.now
        for key in ready:
            while (found := backup.look(self.run, key))["state"] == "waiting":
                self.wait(None, began)
            self.told[f"backup-{key}"] = found

    def _stopped(self, number: int) -> bool:
        if not self.run.window.installs:
            return False
        until = barrier.settle(self.run, number)["until"]
        if until is not None:
            target = datetime.fromisoformat(until)
            if target > self.now:
                self.wait(target, self.now)
        self.told[f"barrier-{number}"] = verdict = barrier.judge(self.run, number)
        return verdict["stop"] is not None


def place_of(run: Run) -> str:
    """The key of the run's only location."""
    if len(run.locations) != 1:
        raise ReleaseError(f"expected one location, found {len(run.locations)}")
    return run.locations[0].key
