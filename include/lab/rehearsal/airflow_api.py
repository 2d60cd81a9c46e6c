"""An Airflow over its REST API, as one of its users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from lab.errors import LabError

PAGE = 100
DONE = ("success", "failed")
WAITING = frozenset({"deferred", "awaiting_input"})
"""States in which a task holds no worker: somebody else has to do something first."""
ACTIVE = ("scheduled", "queued", "running", "restarting", "up_for_retry", "up_for_reschedule", *sorted(WAITING))


@dataclass(frozen=True, slots=True)
class Task:
    """One task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str
    attempt: int


@dataclass(frozen=True, slots=True)
class DagRun:
    """One run of a DAG and its tasks that are neither done nor still to be looked at."""

    dag_id: str
    run_id: str
    state: str
    tasks: tuple[Task, ...] = ()

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.state in DONE

    @property
    def waits(self) -> bool:
        """Whether all that it does is wait, for AWS or a person."""
        return bool(self.tasks) and all(task.state in WAITING for task in self.tasks)


@dataclass
class AirflowApi:
    """Airflow at an address, as one user. Raises LabError where it refuses or does not answer."""

    address: str
    user: str
    password: str
    _http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self._http = httpx.Client(base_url=self.address, trust_env=False, timeout=60)
        self._sign_in()

    def close(self) -> None:
        """End its connections."""
        self._http.close()

    def dag_ids(self) -> set[str]:
        """The DAGs that Airflow has read."""
        return {str(one["dag_id"]) for one in self._pages("/api/v2/dags", "dags")}

    def import_errors(self) -> dict[str, str]:
        """DAG files that could not be read, and why."""
        found = self._pages("/api/v2/importErrors", "import_errors")
        return {str(one["filename"]): str(one["stack_trace"]) for one in found}

    def unpause(self, dag_id: str) -> None:
        """Let runs of a DAG begin."""
        self.ask("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any], run_after: datetime) -> None:
        """Trigger a run; `run_after` is the time that Airflow shows it under."""
        body = {"dag_run_id": run_id, "conf": dict(conf), "logical_date": None, "run_after": run_after.isoformat()}
        self.ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)

    def active(self) -> list[DagRun]:
        """The runs that have not ended, each with its tasks that are under way."""
        states = "&".join(f"state={state}" for state in ("queued", "running"))
        runs = list(self._pages(f"/api/v2/dags/~/dagRuns?{states}", "dag_runs"))
        if not runs:
            return []
        states = "&".join(f"state={state}" for state in ACTIVE)
        tasks = [
            _task(one) for one in self._pages(f"/api/v2/dags/~/dagRuns/~/taskInstances?{states}", "task_instances")
        ]
        return [_run(one, tasks) for one in runs]

    def run(self, dag_id: str, run_id: str) -> DagRun:
        """One run, without its tasks."""
        return _run(self.ask("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"), ())

    def tasks(self, dag_id: str, run_id: str) -> list[Task]:
        """Every task instance of a run."""
        return [
            _task(one) for one in self._pages(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances", "task_instances")
        ]

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """What a task that is not mapped handed on; None: nothing, or it is mapped."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        try:
            answer = self._send("GET", f"{path}?deserialize=true")
        except httpx.HTTPError as error:
            raise LabError(f"expected Airflow at {self.address} to answer: {error!r}") from error
        return answer.json()["value"] if answer.status_code == 200 else None

    def asked(self) -> list[Task]:
        """The questions that nobody has answered yet."""
        found = self._pages("/api/v2/dags/~/dagRuns/~/hitlDetails?response_received=false", "hitl_details")
        return [_task(one["task_instance"]) for one in found if one["task_instance"]["state"] == "awaiting_input"]

    def answer(self, asked: Task, option: str) -> None:
        """Answer a question."""
        path = f"/api/v2/dags/{asked.dag_id}/dagRuns/{asked.run_id}/taskInstances/{asked.task_id}/{asked.map_index}"
        self.ask("PATCH", f"{path}/hitlDetails", {"chosen_options": [option], "params_input": {}})

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request; its JSON."""
        try:
            answer = self._send(method, path, body)
        except httpx.HTTPError as error:
            raise LabError(f"expected Airflow at {self.address} to answer {method} {path}: {error!r}") from error
        if answer.status_code >= 300:
            raise LabError(f"Airflow refused {method} {path}: {answer.status_code} {answer.text.strip()[:2000]}")
        return answer.json() if answer.content else None

    def _send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        answer = self._http.request(method, path, json=body)
        if answer.status_code == 401:
            self._sign_in()
            answer = self._http.request(method, path, json=body)
        return answer

    def _sign_in(self) -> None:
        body = {"username": self.user, "password": self.password}
        try:
            answer = self._http.post("/auth/token", json=body)
        except httpx.HTTPError as error:
            raise LabError(f"expected Airflow at {self.address} to answer: {error!r}") from error
        if answer.status_code not in (200, 201):
            raise LabError(f"Airflow did not let {self.user} in: {answer.status_code} {answer.text.strip()[:300]}")
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def _pages(self, path: str, key: str) -> Iterator[Any]:
        offset = 0
        joiner = "&" if "?" in path else "?"
        while True:
            answer = self.ask("GET", f"{path}{joiner}limit={PAGE}&offset={offset}")
            yield from answer[key]
            offset += PAGE
            if offset >= answer["total_entries"]:
                return


def _task(one: Mapping[str, Any]) -> Task:
    return Task(
        dag_id=one["dag_id"],
        run_id=one["dag_run_id"],
        task_id=one["task_id"],
        map_index=one["map_index"],
        state=str(one["state"]),
        attempt=one["try_number"],
    )


def _run(one: Mapping[str, Any], tasks: Any) -> DagRun:
    own = [task for task in tasks if (task.dag_id, task.run_id) == (one["dag_id"], one["dag_run_id"])]
    return DagRun(one["dag_id"], one["dag_run_id"], one["state"], tuple(own))
