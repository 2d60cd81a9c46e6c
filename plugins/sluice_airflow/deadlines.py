"""Deadline Alerts: a run that is not finished in time is told of. Airflow 3 takes `sla=` and does nothing with it."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference

from sluice_airflow.notifiers import PolicyNotifier

SUBJECT = "Sluice {{ dag_run.dag_id }}: not finished in time"
TEXT = """\
{{ dag_run.dag_id }} was to be finished by {{ deadline.deadline_time }}, and is {{ dag_run.state }}.
Run: {{ dag_run.dag_run_id }}
Nothing was stopped by this. See the run in Airflow, and the DAG's page there for what to do."""


WINDOW = "window's end and margin"
"""What the deadline of a window's run is, as Airflow shows it behind `Missed`."""


def deadline(within: timedelta, name: str = WINDOW) -> DeadlineAlert:
    """Tell whom the policy's `notify` names when a run is not finished so long after it was queued.

    The clock on the wall counts: it includes the wait for an approval. `name`: what that moment is.
    """
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=within,
        callback=AsyncCallback(PolicyNotifier, kwargs={"subject": SUBJECT, "text": TEXT}),
        name=name,
    )
