"""Runs a DAG as `dag.test()` does, with somebody who answers what it asks."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

DAGS = Path(__file__).resolve().parents[2] / "dags"

REQUESTER = "dag_test"
"""As whom `dag.test()` triggers."""

NOBODY = "nobody answers"
"""The answer of nobody: the time for it is over."""


@dataclass(frozen=True)
class Run:
    """What came of a run."""

    state: str
    tasks: Mapping[str, list[str]]
    """States of each task's instances, by map index."""
    report: Mapping[str, Any]
    """Empty: it could not be written."""
    asked: str | None
    """What the approval said."""
    note: str | None
    """What Airflow shows beside the run."""
    left: timedelta | None
    """For how long an answer was waited for, when it was looked for."""
    links: Mapping[tuple[str, str], list[str]]
    """Of each task's instances by map index, by the task and the link's class; empty where there is none."""


def read_dags() -> Any:
    """The project's DAGs as Airflow's processor reads them.

    Read anew for each run: `dag.test()` leaves a run's parameters in the DAG that it ran.
    """
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(str(DAGS), bundle_path=DAGS, bundle_name="dags-folder")


def run_dag(
    dag: Any,
    conf: Mapping[str, Any],
    *,
    answer: str = "",
    by: str = "alice",
    meanwhile: Callable[[], None] = lambda: None,
    scheduled: tuple[datetime, datetime] | None = None,
) -> Run:
    """Run it to its end. With an `answer` (Approve, Reject, NOBODY), `by` gives it when asked, after `meanwhile`.

    With `scheduled`, when it begins and when its window starts, it is the schedule's run, which nobody asked for.
    """
    person = _Person(dag.dag_id, answer, by, meanwhile)
    dag.deadline = None  # dag.test() crashes with one (apache/airflow#73428)
    # A job in the background ignores it, and whoever answers could not tell that they failed.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    if answer:
        person.start()
    try:
        with warnings.catch_warnings(), _by_calendar(scheduled), _restless():
            # Airflow's own, of a DAG with several versions: here a version with each policy's deadline.
            warnings.filterwarnings("ignore", "Multiple rows returned with uselist=False")
            run = dag.test(run_conf=dict(conf), logical_date=None)
    except KeyboardInterrupt:
        raise person.error or KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, handler)
        person.done.set()
        if answer:
            person.join()
    if person.error is not None:
        raise person.error
    states: dict[str, list[str]] = {}
    for one in sorted(run.get_task_instances(), key=lambda one: (one.task_id, one.map_index)):
        states.setdefault(one.task_id, []).append(str(one.state))
    return Run(str(run.state.value), states, _report(run), person.asked, _note(run), person.left, _links(run))


@contextmanager
def _restless() -> Iterator[None]:
    """Let `dag.test()` look again at once where it finds nothing to run.

    It sleeps a second there, which is after each layer of skipped tasks and while somebody is asked.
    """
    from airflow.sdk import DAG

    sleep = time.sleep

    def short(seconds: float) -> None:
        sleep(0.1 if sys._getframe(1).f_code is DAG.test.__code__ else seconds)

    time.sleep = short
    try:
        yield
    finally:
        time.sleep = sleep


@contextmanager
def _by_calendar(scheduled: tuple[datetime, datetime] | None) -> Iterator[None]:
    """Let `dag.test()` make the run that the scheduler would make then; None: as it does, one by hand."""
    if scheduled is None:
        yield
        return
    run_after, _ = scheduled
    from airflow.models import dagrun
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    def create(*, dag: Any, session: Any, **settings: Any) -> Any:
        given = {
            **settings,
            "run_id": dagrun.DagRun.generate_run_id(
                run_type=DagRunType.SCHEDULED, logical_date=run_after, run_after=run_after
            ),
            "logical_date": run_after,
            "data_interval": scheduled,
            "run_after": run_after,
            "run_type": DagRunType.SCHEDULED,
            "triggered_by": DagRunTriggeredByType.TIMETABLE,
            "triggering_user_name": None,
        }
        # The tests share a database, and a schedule's time is taken once.
        for old in session.query(dagrun.DagRun).filter_by(dag_id=dag.dag_id, logical_date=run_after):
            session.delete(old)
        session.commit()
        return dag.create_dagrun(**given, state="running", session=session)

    made = dagrun.get_or_create_dagrun
    dagrun.get_or_create_dagrun = create
    try:
        yield
    finally:
        dagrun.get_or_create_dagrun = made


def _report(run: Any) -> Mapping[str, Any]:
    from airflow.models.xcom import XComModel

    found = XComModel.get_many(run_id=run.run_id, dag_ids=run.dag_id, task_ids="report", key="report")
    said = _session().scalars(found).one_or_none()
    return {} if said is None else XComModel.deserialize_value(said)


def _links(run: Any) -> Mapping[tuple[str, str], list[str]]:
    """What Airflow's API answers with: it reads a link where the task's process has left it."""
    from airflow.models.xcom import XComModel

    found: dict[tuple[str, str], list[str]] = {}
    every = _session().scalars(XComModel.get_many(run_id=run.run_id, dag_ids=run.dag_id)).all()
    for one in sorted(every, key=lambda one: (one.task_id, one.map_index)):
        if one.key.startswith("_link_"):
            name = one.key.removeprefix("_link_")
            found.setdefault((one.task_id, name), []).append(str(XComModel.deserialize_value(one)))
    return found


def _note(run: Any) -> str | None:
    """What the listener writes where the scheduler has the run in its session: `dag.test()` has it in none."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    from sluice_airflow.notes import write

    with create_session() as session:
        write(session.get(DagRun, run.id))
    note = _session().get(DagRun, run.id).note
    return None if note is None else str(note)


def _session() -> Any:
    from airflow import settings

    return settings.Session()


class _Person(threading.Thread):
    """Answers through the function behind Airflow's API, without its server."""

    def __init__(self, dag_id: str, answer: str, name: str, meanwhile: Callable[[], None]) -> None:
        super().__init__(name="person", daemon=True)
        self.done = threading.Event()
        self.asked: str | None = None
        self.left: timedelta | None = None
        self.error: Exception | None = None
        self._dag_id, self._answer, self._user, self._meanwhile = dag_id, answer, name, meanwhile
        self._waited = False

    def run(self) -> None:
        from sqlalchemy.exc import OperationalError

        try:
            while not self.done.wait(0.1) and self.asked is None:
                with suppress(OperationalError):  # the run writes at the same moment, and SQLite has one writer
                    self._look()
        except Exception as error:  # dag.test() would wait for an answer forever
            self.error = error
            _thread.interrupt_main()

    def _look(self) -> None:
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session

        with create_session() as session:
            waiting = session.query(TaskInstance).filter_by(dag_id=self._dag_id, state="awaiting_input").one_or_none()
            if waiting is None:
                return
            if not self._waited:
                self._meanwhile()
                self._waited = True
            from airflow.sdk import timezone

            self.left = waiting.trigger_timeout - timezone.utcnow()
            asked = self._expire(session, waiting) if self._answer == NOBODY else self._respond(session, waiting)
        self.asked = asked

    @staticmethod
    def _expire(session: Any, waiting: Any) -> str:
        """The time is over: what the scheduler does every few seconds finds it so."""
        from airflow.jobs.job import Job
        from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
        from airflow.models.hitl import HITLDetail

        waiting.trigger_timeout -= timedelta(days=8)
        session.flush()
        SchedulerJobRunner(Job()).check_awaiting_input_timeouts(session=session)
        return str(session.get(HITLDetail, waiting.id).body)

    def _respond(self, session: Any, waiting: Any) -> str:
        # Imported when asked: dag.test() imports the API too, and pydantic's models cannot be built by two threads.
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
        from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
        from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
        from airflow.models.hitl import HITLDetail

        asked = str(session.get(HITLDetail, waiting.id).body)
        update_hitl_detail(
            dag_id=waiting.dag_id,
            dag_run_id=waiting.run_id,
            task_id=waiting.task_id,
            update_hitl_detail_payload=UpdateHITLDetailPayload(chosen_options=[self._answer]),
            user=SimpleAuthManagerUser(username=self._user, role="admin"),
            session=session,
            map_index=waiting.map_index,
        )
        return asked
