"""The conductor triggers what is due, answers what is asked, and leaves the clock alone while anybody works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from lab.errors import LabError
from lab.rehearsal import conductor as conductors
from lab.rehearsal.agenda import Planned
from lab.rehearsal.airflow_api import DagRun, Task
from lab.rehearsal.conductor import Conductor, outcome_of, told
from lab.rehearsal.lab_api import LabApi, Now


def at(hour: int, day: int = 3) -> datetime:
    return datetime(2025, 6, day, hour, tzinfo=UTC)


def planned(day: int = 3, hour: int = 3, window: str = "install-nonprod", gated: bool = False) -> Planned:
    start = at(hour, day)
    return Planned(start - timedelta(hours=1), start, start + timedelta(hours=4), window, gated)


@dataclass
class FakeLab:
    now: datetime = field(default_factory=lambda: at(0))
    requests: int = 0

    def clock(self) -> Now:
        return Now(self.now, None, 0, None)

    def advance(self, to: datetime, *, stop_when_something_ends: bool = False) -> Now:
        self.now = to
        return self.clock()

    def calls(self) -> int:
        self.requests += 1  # whoever waits looks between any two of ours
        return self.requests


@dataclass
class FakeAirflow:
    """A DAG whose only task goes through `states`, one a look; it waits in `deferred` until the clock has moved."""

    lab: FakeLab
    states: tuple[str, ...] = ("scheduled", "running", "deferred", "running")
    settle_seconds: float = 0.0
    runs: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    conf: list[Mapping[str, Any]] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    moved_while: list[str] = field(default_factory=list)
    seen: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any], run_after: datetime) -> None:
        self.runs[dag_id, run_id] = list(self.states)
        self.conf.append(conf)

    def active(self) -> list[DagRun]:
        found = []
        for key, left in self.runs.items():
            if left:
                state = self._next(key, left)
                found.append(DagRun(*key, "running", (Task(*key, "wave_1.patch", 0, state, 1),)))
        return found

    def _next(self, key: tuple[str, str], left: list[str]) -> str:
        state = left[0]
        if state == "deferred" and self.seen.setdefault(key, self.lab.now) == self.lab.now:
            return state
        if state == "awaiting_input" and not self.answered:
            return state
        self.seen.pop(key, None)
        left.pop(0)
        return state

    def run(self, dag_id: str, run_id: str) -> DagRun:
        return DagRun(dag_id, run_id, "running" if self.runs[dag_id, run_id] else "success")

    def tasks(self, dag_id: str, run_id: str) -> list[Task]:
        return [Task(dag_id, run_id, "wave_1.patch", 0, "success", 1)]

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        return {"outcome": "released", "ok": True, "line": "all done"} if task_id == "report" else None

    def asked(self) -> list[Task]:
        return [
            Task(*key, "approve", -1, "awaiting_input", 1)
            for key, left in self.runs.items()
            if left[:1] == ["awaiting_input"] and not self.answered
        ]

    def answer(self, asked: Task, option: str) -> None:
        self.answered.append(option)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(conductors, "STUCK_SECONDS", 2.0)
    return


def play(agenda: list[Planned], states: tuple[str, ...] | None = None, **changes: Any) -> tuple[FakeAirflow, Conductor]:
    lab = FakeLab()
    airflow = FakeAirflow(lab) if states is None else FakeAirflow(lab, states)
    made = Conductor(cast(LabApi, lab), airflow, agenda, **changes)
    made.play()
    return airflow, made


def test_each_occurrence_is_triggered_when_its_dag_is_due_with_its_time_as_a_parameter() -> None:
    triggered: list[datetime] = []
    lab = FakeLab()

    class Watched(FakeAirflow):
        def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any], run_after: datetime) -> None:
            triggered.append(lab.now)
            super().trigger(dag_id, run_id, conf, run_after)

    airflow = Watched(lab)
    done = Conductor(cast(LabApi, lab), airflow, [planned(4), planned(3)]).play()
    assert [one.planned.start for one in done] == [at(3, 3), at(3, 4)]
    assert triggered == [at(2, 3), at(2, 4)]
    assert [one["occurrence"] for one in airflow.conf] == ["2025-06-03T03:00:00Z", "2025-06-04T03:00:00Z"]


def test_what_a_run_is_given_more_goes_with_it() -> None:
    airflow, _ = play([planned()], conf=lambda one: {"backup": "off"})
    assert airflow.conf[0]["backup"] == "off"


def test_the_clock_stands_still_while_a_task_works() -> None:
    times: list[tuple[datetime, tuple[str, ...]]] = []
    lab = FakeLab()
    airflow = FakeAirflow(lab, ("scheduled", "queued", "running", "up_for_retry", "running", "deferred", "running"))
    made = Conductor(cast(LabApi, lab), airflow, [planned()])
    while made.due or made.under_way:
        made.step()
        times.append((lab.now, tuple(airflow.runs.get((planned().dag_id, planned().run_id), ()))))
    began = [now for now, left in times if left and left[0] != "deferred" and "deferred" in left]
    assert set(began) == {at(2)}
    assert made.moves >= 2


def test_a_question_is_answered_and_what_was_said_is_kept() -> None:
    airflow, made = play([planned(gated=True)], ("running", "awaiting_input", "running"), answers=lambda one: "Reject")
    assert airflow.answered == ["Reject"]
    assert made.done[0].answer == "Reject"


def test_what_never_ends_is_given_up_with_what_it_waits_for() -> None:
    with pytest.raises(
        LabError, match=r"nothing has changed for .* at 2025-06-03T02:00:00Z: .*wave_1.patch\[0\] running"
    ):
        play([planned()], ("running",) * 10_000_000)


def test_a_release_that_outlives_its_window_is_given_up() -> None:
    lab = FakeLab()

    class Forever(FakeAirflow):
        def _next(self, key: tuple[str, str], left: list[str]) -> str:
            return "deferred"

    made = Conductor(cast(LabApi, lab), Forever(lab), [planned()])
    with pytest.raises(LabError, match="has not ended although its window ended at 2025-06-03T07:00:00Z"):
        made.play()


def test_a_run_that_waits_for_another_of_its_dag_does_not_stop_the_clock() -> None:
    runs = [DagRun("d", "a", "running"), DagRun("d", "b", "queued"), DagRun("e", "c", "queued")]
    assert Conductor._behind(runs[1], runs)
    assert not Conductor._behind(runs[2], runs)


def test_the_outcome_is_the_reports_and_the_runs_state_where_there_is_none() -> None:
    _, made = play([planned()])
    [release] = made.done
    assert outcome_of(release) == "released"
    assert told(release).startswith("released (1 tasks,")
    assert told(release).endswith(": all done")
    assert outcome_of(replace(release, results={}, state="failed")) == "failed"
