"""Triggers what is due, answers what is asked, and moves the lab's clock only while everybody waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from lab.clock import stamp
from lab.errors import LabError
from lab.pace import Awaited, move
from lab.rehearsal.agenda import Planned
from lab.rehearsal.airflow_api import DagRun, Task
from lab.rehearsal.lab_api import LabApi

STUCK_SECONDS = 300.0
"""Real seconds without any change after which the rehearsal gives up."""
LOOK_SECONDS = 0.6
"""Real seconds between two looks at Airflow: its API takes the processor from the tasks."""
OVERDUE = timedelta(hours=4)
"""A release that is active so long after its window's end will not end."""
QUEUED, ASKING = "queued", "awaiting_input"


class Airflow(Protocol):
    """What the conductor asks of an Airflow, whichever way it is reached."""

    settle_seconds: float
    """How long after a move of the clock whoever polls has polled."""

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any], run_after: datetime) -> None:
        """Trigger a run."""

    def active(self) -> list[DagRun]:
        """The runs that have not ended."""

    def run(self, dag_id: str, run_id: str) -> DagRun:
        """One run."""

    def tasks(self, dag_id: str, run_id: str) -> list[Task]:
        """Every task instance of a run."""

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """What a task handed on."""

    def asked(self) -> list[Task]:
        """Questions without an answer."""

    def answer(self, asked: Task, option: str) -> None:
        """Answer one, as somebody else than who asked."""


@dataclass(frozen=True, slots=True)
class Release:
    """What became of one occurrence."""

    planned: Planned
    state: str
    """Of the DAG run."""
    seconds: float
    """Real seconds from its trigger to its end."""
    tasks: tuple[Task, ...]
    results: Mapping[str, Any]
    """What its steps handed on, by step."""
    answer: str | None = None
    """What was said where it asked."""


RESULTS = {
    "preflight": "preflight",
    "manifest": "return_value",
    "gate": "return_value",
    "admit": "admitted",
    "verify": "return_value",
    "close": "return_value",
    "report": "report",
}
"""Steps whose result is read, and the XCom that has it."""


@dataclass
class Conductor:
    """Goes through an agenda. `answers` says what is answered when a release asks; `conf` adds to a run's parameters.

    `moved` is called after each move of the clock, with the lab's time: drills do their mischief there.
    """

    lab: LabApi
    airflow: Airflow
    agenda: Sequence[Planned]
    answers: Callable[[Planned], str | None] = lambda planned: "Approve"
    conf: Callable[[Planned], Mapping[str, Any]] = lambda planned: {}
    tell: Callable[[datetime, str], None] = lambda now, text: None
    moved: Callable[[datetime], None] = lambda now: None
    longest: timedelta | None = None
    """How far the clock moves at once while something is under way; None: to the first end of something."""
    due: list[Planned] = field(init=False)
    under_way: dict[tuple[str, str], Planned] = field(init=False, default_factory=dict)
    done: list[Release] = field(init=False, default_factory=list)
    moves: int = 0

    def __post_init__(self) -> None:
        self.due = sorted(self.agenda)
        self._began: dict[tuple[str, str], float] = {}
        self._answered: dict[tuple[str, str], str] = {}
        self._seen: Any = None
        self._since = time.monotonic()
        self._calls = 0
        self._idle = False
        self._changed = time.monotonic()

    def play(self) -> list[Release]:
        """Go on until everything that was due has ended. Raises LabError where nothing moves any more."""
        while self.due or self.under_way:
            self.step()
        return self.done

    def step(self) -> None:
        """One look: trigger, answer, collect what has ended, or move the clock."""
        now = self.lab.clock().now
        if self._trigger(now):
            return
        active = self.airflow.active() if self.under_way else []
        self._collect(active)
        if not self.under_way or (self._answer(now, active) == 0 and self._quiet(active)):
            self._move(now)
        else:
            self._look_out(now, active)
            time.sleep(min(LOOK_SECONDS, self.airflow.settle_seconds))

    def _trigger(self, now: datetime) -> bool:
        due = [one for one in self.due if one.dag_start <= now]
        for one in due:
            self.due.remove(one)
            conf = {"occurrence": stamp(one.start), **self.conf(one)}
            self.airflow.trigger(one.dag_id, one.run_id, conf, one.dag_start)
            key = (one.dag_id, one.run_id)
            self.under_way[key], self._began[key] = one, time.monotonic()
        return bool(due)

    def _collect(self, active: Sequence[DagRun]) -> None:
        left = {(run.dag_id, run.run_id) for run in active}
        for key in [key for key in self.under_way if key not in left]:
            state = self.airflow.run(*key).state
            if state not in ("success", "failed"):
                continue
            planned = self.under_way.pop(key)
            release = Release(
                planned=planned,
                state=state,
                seconds=time.monotonic() - self._began[key],
                tasks=tuple(self.airflow.tasks(*key)),
                results=self._results(key),
                answer=self._answered.get(key),
            )
            self.done.append(release)
            self._note_change()
            self.tell(self.lab.clock().now, f"{planned.dag_id}: {told(release)}")

    def _results(self, key: tuple[str, str]) -> dict[str, Any]:
        found = {step: self.airflow.xcom(*key, step, name) for step, name in RESULTS.items()}
        return {step: result for step, result in found.items() if result is not None}

    def _answer(self, now: datetime, active: Sequence[DagRun]) -> int:
        """Answer what is asked; how many answers were given."""
        given = 0
        asking = any(task.state == ASKING for run in active for task in run.tasks)
        for asked in self.airflow.asked() if asking else ():
            planned = self.under_way.get((asked.dag_id, asked.run_id))
            option = None if planned is None else self.answers(planned)
            if option is not None:
                self.airflow.answer(asked, option)
                self._answered[asked.dag_id, asked.run_id] = option
                self.tell(now, f"{asked.dag_id}: asked for approval, answered {option}")
                given += 1
        return given

    def _quiet(self, active: Sequence[DagRun]) -> bool:
        """Whether everybody only waits, and has done so since before the last move took effect."""
        runs = [run for run in active if run.state != QUEUED or not self._behind(run, active)]
        seen = sorted(
            (task.dag_id, task.run_id, task.task_id, task.map_index, task.state) for run in runs for task in run.tasks
        )
        if seen != self._seen:
            self._seen = seen
            self._idle = False
            self._note_change()
            self._begin_to_watch()
            return False
        if not runs or not all(run.waits for run in runs):
            return False
        lookers = sum(task.state != ASKING for run in runs for task in run.tasks)
        looked = self.lab.calls() - self._calls >= lookers
        return looked and time.monotonic() - self._since >= self.airflow.settle_seconds

    def _begin_to_watch(self) -> None:
        """From now on everybody who waits has to look once before the clock may move."""
        self._since = time.monotonic()
        self._calls = self.lab.calls()

    @staticmethod
    def _behind(run: DagRun, active: Sequence[DagRun]) -> bool:
        """Whether it waits for another run of the same DAG to end."""
        return any(other.dag_id == run.dag_id and other.state != QUEUED for other in active)

    def _move(self, now: datetime) -> None:
        awaited = [Awaited(one.start, one.end) for one in self.under_way.values()]
        overdue = [one for one in self.under_way.values() if now > one.end + OVERDUE]
        if overdue:
            raise LabError(
                f"it is {stamp(now)}, and {overdue[0].dag_id} {overdue[0].run_id} has not ended although its window"
                f" ended at {stamp(overdue[0].end)}: look at its tasks in Airflow"
            )
        if not awaited and not self.due:
            return
        following = min((one.dag_start for one in self.due), default=None)
        moment = move(self.lab, awaited, following, longest=self.longest, idle=self._idle)
        self.moves += 1
        self._idle = True
        self._begin_to_watch()
        self.moved(moment.now)

    def _note_change(self) -> None:
        self._changed = time.monotonic()

    def _look_out(self, now: datetime, active: Sequence[DagRun]) -> None:
        if time.monotonic() - self._changed > STUCK_SECONDS:
            tasks = [
                f"{task.dag_id}.{task.task_id}[{task.map_index}] {task.state}" for run in active for task in run.tasks
            ]
            found = ", ".join(tasks) or "no task is active"
            raise LabError(f"nothing has changed for {STUCK_SECONDS:.0f} s at {stamp(now)}: {found}")


def outcome_of(release: Release) -> str:
    """What its report says became of it; `failed` where there is none."""
    report = release.results.get("report")
    return str(report["outcome"]) if isinstance(report, Mapping) and "outcome" in report else release.state


def told(release: Release) -> str:
    """One line about it."""
    report = release.results.get("report")
    line = report.get("line", "") if isinstance(report, Mapping) else ""
    return f"{outcome_of(release)} ({len(release.tasks)} tasks, {release.seconds:.0f} s){': ' if line else ''}{line}"
