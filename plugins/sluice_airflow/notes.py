"""Writes a run's outcome into its note, which Airflow's UI shows in the list of runs.

A task cannot: Airflow's Execution API has no such call, and its REST API wants a user and a password. A listener is
called where the run's state is decided, with the run itself (docs/adr/0040-note-by-a-listener.md).
"""

from __future__ import annotations

from typing import Any

from airflow.listeners import hookimpl

LONGEST = 1000
"""Characters of a note that Airflow keeps."""
STARTS = "patch_"


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:
    """A run has succeeded."""
    write(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """A run has failed."""
    write(dag_run)


def write(dag_run: Any) -> None:
    """Make the XCom `note` of the run's task `report` its note. What a person wrote there stays."""
    from airflow.models.xcom import XComModel
    from sqlalchemy.orm import object_session

    session = object_session(dag_run) if dag_run.dag_id.startswith(STARTS) else None
    if session is None or (dag_run.dag_run_note is not None and dag_run.dag_run_note.user_id is not None):
        return
    wanted = XComModel.get_many(run_id=dag_run.run_id, dag_ids=dag_run.dag_id, task_ids="report", key="note")
    with session.no_autoflush:
        found = session.scalars(wanted).first()
    if found is not None:
        dag_run.note = str(XComModel.deserialize_value(found))[:LONGEST]
