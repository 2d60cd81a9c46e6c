"""Airflow's real task execution without its servers: each run is a `dag.test()` in a process of its own.

A server process imports Airflow once, reads the DAGs once, and forks for each run: what `dag.test()` takes for granted,
that it is alone in its process, is so, and runs of several DAGs can wait side by side. They talk by small files: a
request begins a run, its status says whether it waits, its result what came of it.

`dag.test()` waits for a trigger in line, one at a time: locations of a wave go one after another. That is right for one
location; several are rehearsed with Airflow's own parts (`airflow_parts`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.rehearsal.airflow_api import DagRun, Task
from lab.rehearsal.ground import PRODUCT, ROOT
from lab.rehearsal.preload import preload
from lab.rehearsal.processes import Processes

LOOK_SECONDS = 0.02
READY_SECONDS = 120.0
REQUESTER, APPROVER = "requester", "approver"
PRELOADED = (
    "airflow.api_fastapi.core_api.datamodels.hitl",
    "airflow.api_fastapi.core_api.routes.public.hitl",
    "airflow.sdk.execution_time.supervisor",
)
"""What runs need, imported before they are forked: pydantic's models cannot be built by two threads at once."""
KEYS = ("return_value", "preflight", "admitted", "report")
"""XComs that a run's result has."""


def in_process_settings(home: Path) -> dict[str, str]:
    """Airflow's settings for runs without servers."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    }


@dataclass
class InProcessAirflow:
    """Runs DAGs in processes of their own. `environment` is what tasks find: AWS and the policy."""

    home: Path
    environment: Mapping[str, str]
    processes: Processes
    settle_seconds: float = 0.1
    _runs: dict[tuple[str, str], Path] = field(default_factory=dict)

    def start(self) -> None:
        """Start the server; returns when it has read the DAGs. Raises LabError where it cannot."""
        self.home.mkdir(parents=True, exist_ok=True)
        own = {name: value for name, value in self.environment.items() if not name.startswith("AIRFLOW")}
        log = self.home / "server.log"
        command = [sys.executable, "-W", "ignore", "-m", "lab.rehearsal.in_process", str(self.home)]
        server = self.processes.start("airflow", command, {**own, **in_process_settings(self.home)}, log, self.home)
        patience = time.monotonic() + READY_SECONDS
        while not (self.home / "ready").exists():
            if server.poll() is not None or time.monotonic() > patience:
                raise LabError(f"Airflow did not start:\n{log.read_text('utf-8', 'replace')[-3000:]}")
            time.sleep(LOOK_SECONDS)

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any], run_after: datetime) -> None:
        """Begin a run in a process of its own; one of the same id anew, from its first task."""
        again = self._runs.get((dag_id, run_id))
        folder = again.with_name(f"{again.name}~") if again else self.home / "runs" / f"{dag_id}@{run_id}"
        folder.mkdir(parents=True)
        self._runs[dag_id, run_id] = folder
        request = {"dag_id": dag_id, "run_id": run_id, "conf": dict(conf), "run_after": run_after.isoformat()}
        _write(folder / "request", request)

    def active(self) -> list[DagRun]:
        """The runs that have not ended."""
        found = []
        for (dag_id, run_id), folder in self._runs.items():
            if not (folder / "result").exists():
                status = _read(folder / "status") or {"state": "running", "task": ""}
                task = Task(dag_id, run_id, status["task"], -1, status["state"], status.get("turn", 0))
                found.append(DagRun(dag_id, run_id, "running", (task,)))
        return found

    def run(self, dag_id: str, run_id: str) -> DagRun:
        """One run."""
        result = self._result(dag_id, run_id)
        return DagRun(dag_id, run_id, "running" if result is None else result["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[Task]:
        """Every task instance of a run that has ended."""
        result = self._result(dag_id, run_id) or {"tasks": []}
        return [Task(dag_id, run_id, *one) for one in result["tasks"]]

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """What a task of a run that has ended handed on."""
        result = self._result(dag_id, run_id) or {"xcoms": {}}
        return result["xcoms"].get(f"{task_id}/{key}")

    def asked(self) -> list[Task]:
        """Questions without an answer."""
        return [
            task
            for run in self.active()
            for task in run.tasks
            if task.state == "awaiting_input" and not self._answer_file(task).exists()
        ]

    def answer(self, asked: Task, option: str) -> None:
        """Answer one."""
        _write(self._answer_file(asked), {"option": option})

    def _answer_file(self, asked: Task) -> Path:
        return self._runs[asked.dag_id, asked.run_id] / "answer"

    def _result(self, dag_id: str, run_id: str) -> Any:
        found = _read(self._runs[dag_id, run_id] / "result")
        if found is not None and "crashed" in found:
            raise LabError(f"dag.test() of {dag_id} {run_id} crashed:\n{found['crashed']}")
        return found


def _write(file: Path, content: Mapping[str, Any]) -> None:
    """Write it whole: whoever reads sees all of it or nothing."""
    draft = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}")
    draft.write_text(json.dumps(content, default=str), "utf-8")
    draft.replace(file)


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return None


class _Server:
    """Forks a process for each run that is asked for, until its parent is gone."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._begun: set[Path] = set()
        self._parent = os.getppid()

    def serve(self) -> None:
        bag = _read_dags()
        signal.signal(
            signal.SIGCHLD, signal.SIG_IGN
        )  # nobody waits for the runs: they say themselves what came of them
        (self._home / "runs").mkdir(exist_ok=True)
        _write(self._home / "ready", {"dags": sorted(bag.dags)})
        while os.getppid() == self._parent:
            for file in sorted((self._home / "runs").glob("*/request")):
                if file.parent not in self._begun:
                    self._begun.add(file.parent)
                    self._fork(bag, file.parent)
            time.sleep(LOOK_SECONDS)

    @staticmethod
    def _fork(bag: Any, folder: Path) -> None:
        from airflow import settings

        engine: Any = settings.engine
        engine.dispose()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            status = 1
            try:
                _Run(folder, bag).play()
                status = 0
            finally:
                os._exit(status)


def _read_dags() -> Any:
    """Make the database, read the DAGs and write them down, once for all runs."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.sdk.execution_time.supervisor import in_process_api_server
    from airflow.utils.db import initdb

    for name in PRELOADED:
        import_module(name)
    preload([PRODUCT])
    api: Any = in_process_api_server().app
    api._cadwyn_initialize()  # else each run does, with its first request
    initdb()
    make: Any = DagBundlesManager
    manager = make()
    manager.sync_bundles_to_db()
    [bundle] = manager.get_all_dag_bundles()
    bundle.initialize()
    bag = BundleDagBag(dag_folder=bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
    if bag.import_errors:
        raise LabError(f"DAGs that cannot be read: {dict(bag.import_errors)}")
    sync_bag_to_db(bag, bundle.name, bundle.version)
    return bag


class _Run:
    """One run in a process of its own."""

    def __init__(self, folder: Path, bag: Any) -> None:
        self._folder = folder
        self._request = _read(folder / "request")
        self._dag = bag.dags[self._request["dag_id"]]
        self._over = threading.Event()
        self._turn = 0

    def play(self) -> None:
        """Run the DAG to its end and write down what came of it."""
        import traceback

        try:
            self._prepare()
            if "approve" in self._dag.task_dict:
                threading.Thread(target=self._answer_when_asked, name="approver", daemon=True).start()
            self._dag.deadline = None  # dag.test() crashes with one (apache/airflow#73428)
            dag: Any = self._dag
            run_after = datetime.fromisoformat(self._request["run_after"])
            run = dag.test(run_after=run_after, run_conf=self._request["conf"], logical_date=None)
            result = {"state": str(run.state.value), "tasks": self._tasks(run), "xcoms": self._xcoms(run)}
        except BaseException:
            result = {"crashed": traceback.format_exc()}
        self._over.set()
        _write(self._folder / "result", result)

    def _prepare(self) -> None:
        """Give the run its name, let it be the only one that is cleared, and note when it waits."""
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.models.dagrun import DagRun as Record
        from airflow.sdk.definitions import dag as definitions
        from airflow.serialization.definitions.dag import SerializedDAG

        run_id = self._request["run_id"]
        wait: Any = definitions._run_inline_trigger

        def wait_noted(trigger: Any, ti: Any) -> Any:
            self._status("deferred", ti.task_id)
            try:
                return wait(trigger, ti)
            finally:
                self._status("running", ti.task_id)

        patched: list[tuple[Any, str, Any]] = [
            (Record, "generate_run_id", staticmethod(lambda **_: run_id)),
            # Without a logical date it would clear every run of the DAG that there ever was.
            (SerializedDAG, "clear_dags", staticmethod(lambda *_, **__: 0)),
            # The DAGs are written down already.
            (DagBundlesManager, "sync_bundles_to_db", lambda *_, **__: None),
            (DagBundlesManager, "get_all_dag_bundles", lambda _: ()),
            (definitions, "_run_inline_trigger", wait_noted),
        ]
        for owner, name, value in patched:
            setattr(owner, name, value)

    def _status(self, state: str, task: str) -> None:
        self._turn += 1
        _write(self._folder / "status", {"state": state, "task": task, "turn": self._turn})

    def _answer_when_asked(self) -> None:
        """Say that a person is asked, and hand on what is answered."""
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session

        wanted = {"dag_id": self._request["dag_id"], "run_id": self._request["run_id"], "state": "awaiting_input"}
        while not self._over.wait(0.2):
            with contextlib.suppress(Exception), create_session() as session:  # SQLite may be locked: look again
                waiting = session.query(TaskInstance).filter_by(**wanted).first()
                if waiting is None:
                    continue
                answer = _read(self._folder / "answer")
                if answer is None:
                    self._status("awaiting_input", waiting.task_id)
                else:
                    self._respond(session, waiting, answer["option"])
                    self._status("running", waiting.task_id)

    @staticmethod
    def _respond(session: Any, waiting: Any, option: str) -> None:
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
        from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
        from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail

        update_hitl_detail(
            dag_id=waiting.dag_id,
            dag_run_id=waiting.run_id,
            task_id=waiting.task_id,
            update_hitl_detail_payload=UpdateHITLDetailPayload(chosen_options=[option]),
            user=SimpleAuthManagerUser(username=APPROVER, role="admin"),
            session=session,
            map_index=waiting.map_index,
        )

    @staticmethod
    def _tasks(run: Any) -> list[tuple[str, int, str, int]]:
        return [
            (one.task_id, one.map_index, str(getattr(one.state, "value", one.state)), one.try_number)
            for one in run.get_task_instances()
        ]

    @staticmethod
    def _xcoms(run: Any) -> dict[str, Any]:
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        with create_session() as session:
            found: Any = session.scalars(XComModel.get_many(run_id=run.run_id, dag_ids=run.dag_id))
            return {
                f"{one.task_id}/{one.key}": XComModel.deserialize_value(one)
                for one in found
                if one.key in KEYS and one.map_index < 0
            }


if __name__ == "__main__":
    _Server(Path(sys.argv[1])).serve()
