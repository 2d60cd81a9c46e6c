"""A rehearsal from its first day to its verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.rehearsal import fortnight, table
from lab.rehearsal.agenda import Planned, agenda
from lab.rehearsal.conductor import Airflow, Conductor, Release
from lab.rehearsal.ground import images_of, set_alarms
from lab.rehearsal.lab_api import LabApi
from lab.rehearsal.record import Record, waived
from sluice.core.policy.policy import Policy

BEFORE = timedelta(days=1)
"""The lab begins so long before the first day: the DAG of a Monday's release begins on Sunday."""
DEMO_POLICY = Path(__file__).resolve().parents[2] / "policy" / "demo.yaml"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is rehearsed."""

    policy_file: Path = DEMO_POLICY
    fleet: str = "demo"
    first: datetime = field(default_factory=lambda: moment(fortnight.FIRST_DAY))
    weeks: int = fortnight.WEEKS
    seed: int = 0
    windows: tuple[str, ...] = ()

    @property
    def until(self) -> datetime:
        """The first moment that is not rehearsed any more."""
        return self.first + timedelta(weeks=self.weeks)

    @property
    def lab_start(self) -> datetime:
        """When the lab's time begins."""
        return self.first - BEFORE

    @property
    def is_the_fortnight(self) -> bool:
        """Whether everything is to be seen that the demo shows."""
        return (
            self.policy_file == DEMO_POLICY
            and (self.fleet, self.seed, self.windows) == ("demo", 0, ())
            and self.first == moment(fortnight.FIRST_DAY)
            and self.weeks >= fortnight.WEEKS
        )


def moment(day: str) -> datetime:
    """Midnight (UTC) of a day such as 2025-06-03. Raises LabError."""
    try:
        return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise LabError(f"expected a day such as 2025-06-03, found {day!r}") from None


@dataclass
class Play:
    """One rehearsal over a lab and an Airflow that are ready."""

    plan: Plan
    policy: Policy
    lab: LabApi
    say: Callable[[str], None]
    before: Sequence[Mapping[str, Any]] = ()
    groups: Mapping[str, str | None] = field(default_factory=dict)
    conductor: Conductor | None = None
    seconds: float = 0.0
    _events: list[fortnight.Event] = field(default_factory=list)

    def look_around(self) -> None:
        """Note what the nodes have before anything runs, and let go wrong what is to."""
        self.before = self.lab.packages()
        self.groups = {one["node_id"]: one["group"] for one in self.lab.nodes()}
        if self.plan.is_the_fortnight:
            self.lab.add_faults(*fortnight.FAULTS)
            self.lab.ask("POST", "/lab/repositories", fortnight.SUCCESSOR)
            self._events = list(fortnight.EVENTS)

    def due(self) -> list[Planned]:
        """Everything that the calendar has. Raises LabError where that is nothing."""
        found = agenda(self.policy, self.plan.first, self.plan.until, self.plan.windows)
        if not found:
            raise LabError(
                f"the policy's windows do not come between {self.plan.first:%d %b} and {self.plan.until:%d %b %Y}"
            )
        return found

    def run(self, airflow: Airflow, **changes: Any) -> list[Release]:
        """Play it; what became of each release. `changes` are the conductor's own arguments."""
        self.look_around()
        began = time.monotonic()
        self.conductor = Conductor(self.lab, airflow, self.due(), tell=self._tell, moved=self._moved, **changes)
        try:
            return self.conductor.play()
        finally:
            self.seconds = time.monotonic() - began

    def _moved(self, now: datetime) -> None:
        """Let happen what is due by now."""
        while self._events and self._events[0].at <= now:
            event = self._events.pop(0)
            if event.alarm:
                names = set_alarms(self.policy, self.lab.endpoint, event.alarm)
                self._tell(now, f"{', '.join(names)}: {event.alarm}")
            if event.faults is not None:
                self.lab.change_nodes(fortnight.FLAKY, faults=event.faults or None)

    def record(self) -> Record:
        """What the lab noted until now."""
        return Record(self.policy, self.lab.journal(), self.before, self.groups)

    def verdict(self, done: Sequence[Release]) -> list[str]:
        """Say what came of it all; what is wrong, of which there is to be nothing."""
        record = self.record()
        self.say("\nReleases, with the nodes that the lab saw patched or fail:\n")
        self._lines(table.releases(done, record))
        rings = [ring.name for ring in self.policy.rings]
        self.say("\nPatches, with their first and last day in each ring:\n")
        self._lines(table.patches(record, rings))
        wrong = self._broken(record)
        if self.plan.is_the_fortnight:
            wrong += self._missing(done, record)
        unfinished = [one for one in done if one.state not in ("success", "failed")]
        wrong += [f"{one.planned.dag_id} {one.planned.run_id} is {one.state}" for one in unfinished]
        self._say_rate(done)
        return wrong

    def _broken(self, record: Record) -> list[str]:
        broken = [str(one) for one in record.broken(waived(self.policy))]
        broken += [
            f"{entry['at']} {entry['name']}: an install on production without a manifest or outside a window"
            for entry in record.ungated()
        ]
        requests = sum(len(entry["requested"]) for entry in record.installs() if record.is_production(entry["group"]))
        self.say(
            f"\nInvariant, from the lab's record: {requests} requests of patches on production,"
            f" {len(broken)} of them before their soak, without a manifest or outside a window."
        )
        return broken

    def _missing(self, done: Sequence[Release], record: Record) -> list[str]:
        imaged = images_of(self.lab.endpoint, *fortnight.REFUSED_IN)
        shown = fortnight.shown(done, record, self.lab.nodes(), imaged)
        self.say("\nTo be seen in this fortnight:\n")
        self._lines(table.aligned([(one.what, one.where or "NOT SEEN") for one in shown]))
        return [f"expected {one.what}, found none" for one in shown if not one.where]

    def _say_rate(self, done: Sequence[Release]) -> None:
        tasks = sum(len(one.tasks) for one in done)
        moves = self.conductor.moves if self.conductor else 0
        rate = tasks / self.seconds if self.seconds else 0.0
        self.say(
            f"\n{len(done)} releases, {tasks} task instances in {self.seconds:.0f} s: {rate:.1f} a second;"
            f" the clock was moved {moves} times."
        )

    def _tell(self, now: datetime, text: str) -> None:
        done = len(self.conductor.done) if self.conductor else 0
        total = len(self.conductor.agenda) if self.conductor else 0
        self.say(f"{now:%a %d %b %H:%M}  {done:>3}/{total}  {text}")

    def _lines(self, lines: Sequence[str]) -> None:
        for line in lines:
            self.say(f"  {line}")
