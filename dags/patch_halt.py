"""Halt, by hand: stop a release, or everything, in all locations at once.

**Purpose.** In every location: a mark, after which nothing of it opens again; its windows disabled; what runs of it
cancelled, executions and commands. No new node begins within a minute. It is `python -m sluice halt`, which needs
neither Airflow nor this DAG: where Airflow is slow or down, use that one.

**Owner.** Whoever owns patching. Anybody who may trigger it may halt: it is easily taken back, with `lift`.

**Outcomes**, in the task `report` (log, XCom) and to whom the policy's `notify` names:

| outcome | what it means | what to do |
|---|---|---|
| success | halted, or lifted, in every location | look at the nodes that were in the middle |
| failed | something is left: it is named in the log of `halt` | trigger it again, which goes on; or halt by hand |

**What marking a run failed does, and does not do.** Airflow fails that run's tasks under way and skips the others; its
`close` still runs and puts the windows at rest, so that one that is armed does not fire. In AWS what has begun goes on:
the execution patches one node after the other to its end. Nothing is cancelled, nobody is told, no report is written,
and a retry or another run may open again. Halt it instead: then the run ends by itself, with the outcome `halted`, its
report and its evidence.

**Triage.**
- `halt` failed in a location: denied (the role of the halter), or AWS did not answer. The others are halted.
- Nodes in the middle had begun to install, scan or reboot when their command was cancelled: the agent stops what it
  runs within seconds, a package manager may have been at work. They are in the log and in the mark. Look at them, scan
  them, and release them again (`retry_of`).
- Lifting opens nothing. What was enabled on its own cron (`trigger: native`) is put back by `patch_policy`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from sluice_airflow.deadlines import deadline
from sluice_airflow.halting import PARAMS, halt, report

with DAG(
    dag_id="patch_halt",
    description="Stops a release, or everything, in all locations at once.",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=8,  # one that waits for a location that does not answer holds up no other
    allowed_run_types=["manual"],
    is_paused_upon_creation=False,  # a paused DAG does not run, by hand either
    params=PARAMS,
    tags=["sluice", "halt"],
    default_args={"owner": "patching", "priority_weight": 1000},  # before whatever else is queued
    deadline=deadline(timedelta(minutes=10), "ten minutes"),
):
    halted = halt.override(retries=2, retry_delay=timedelta(seconds=3))()
    halted >> report()
