"""An Airflow over REST as a rehearsal needs it: one user asks, another answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lab.errors import LabError
from lab.rehearsal.airflow_api import AirflowApi, DagRun, Task

READ_SECONDS = 120.0


@dataclass
class RestAirflow:
    """Triggers as one user and answers as another."""

    requester: AirflowApi
    approver: AirflowApi
    settle_seconds: float = 1.0
    ready: set[str] = field(default_factory=set)

    def close(self) -> None:
        """End the connections."""
        self.requester.close()
        self.approver.close()

    def prepare(self, dag_ids: Collection[str], alive: Callable[[], None] = lambda: None) -> None:
        """Wait until Airflow has read these DAGs and let their runs begin. Raises LabError for those it cannot read."""
        patience = time.monotonic() + READ_SECONDS
        while missing := sorted(set(dag_ids) - self.requester.dag_ids()):
            alive()
            if errors := self.requester.import_errors():
                name, trace = next(iter(errors.items()))
                raise LabError(f"Airflow cannot read {name}:\n{trace}")
            if time.monotonic() > patience:
                raise LabError(
                    f"expected the DAGs {', '.join(missing)} within {READ_SECONDS:.0f} s, found none of them"
                )
            time.sleep(0.5)
        for dag_id in sorted(set(dag_ids) - self.ready):
            self.requester.unpause(dag_id)
            self.ready.add(dag_id)

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any], run_after: datetime) -> None:
        """Trigger a run as the requester."""
        self.requester.trigger(dag_id, run_id, conf, run_after)

    def active(self) -> list[DagRun]:
        """The runs that have not ended."""
        return self.requester.active()

    def run(self, dag_id: str, run_id: str) -> DagRun:
        """One run."""
        return self.requester.run(dag_id, run_id)

    def tasks(self, dag_id: str, run_id: str) -> list[Task]:
        """Every task instance of a run."""
        return self.requester.tasks(dag_id, run_id)

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """What a task handed on."""
        return self.requester.xcom(dag_id, run_id, task_id, key)

    def asked(self) -> list[Task]:
        """Questions without an answer."""
        return self.approver.asked()

    def answer(self, asked: Task, option: str) -> None:
        """Answer as the approver."""
        self.approver.answer(asked, option)
