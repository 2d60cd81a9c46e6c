"""What the DAGs of releases share: the DAG's own settings, and the groups of steps that they are made of.

ready = find_nodes()                begin, resolve, preflight
allowed = ask(ready)                manifest, gate, approve                     production
first = admit(ready, allowed)       backup, admit
run_waves(plan, first)              hold, wave_1 … wave_n, verify, close, report
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, TaskGroup, TriggerRule, chain, task_group

from sluice_airflow import params, steps
from sluice_airflow.approval import ReleaseApproval
from sluice_airflow.deadlines import deadline
from sluice_airflow.operators.image import BackupOperator
from sluice_airflow.operators.settle import SettleOperator
from sluice_airflow.operators.window import WindowOperator
from sluice_airflow.schedules import WindowPlan
from sluice_airflow.timetable import WindowTimetable

if TYPE_CHECKING:
    from sluice.core.release.terms import Kind

OWNER = "patching"


def dag(plan: WindowPlan, description: str, page: str | None, **changes: Any) -> DAG:
    """The DAG of a window, or what `changes` make of it: its schedule, form and deadline are the policy's.

    Installs begin paused, and nothing is backfilled.
    """
    timetable = WindowTimetable(plan.schedule, plan.zone, plan.lead_minutes, 60 * plan.duration_hours)
    settings: dict[str, Any] = {
        "dag_id": plan.dag_id,
        "params": params.of_release(plan),
        "tags": ["sluice", "install" if plan.installs else "scan", *(["production"] if plan.gated else [])],
        "is_paused_upon_creation": True if plan.installs else None,
        "allowed_run_types": ["scheduled", "manual"],
        "deadline": deadline(plan.run_time),
        **changes,
    }
    return DAG(
        schedule=settings.pop("schedule", timetable),
        description=description,
        doc_md=page,
        catchup=False,
        max_active_runs=1,
        default_args={"owner": OWNER, "retries": 2, "retry_delay": timedelta(seconds=plan.retry_seconds)},
        **settings,
    )


def find_nodes() -> Any:
    """Whom the release is for, in which locations, and whether everything is as it must be. Changes nothing."""
    return steps.preflight(steps.resolve.expand(location=steps.begin()))


def ask(ready: Any) -> Any:
    """What to install, whether it may be, and a person's word where the policy asks for one."""
    gate = steps.gate(ready)
    steps.manifest(ready) >> gate
    return approve(gate)


def approve(after: Any, **asking: Any) -> Any:
    """A person's word."""
    asked = ReleaseApproval(task_id="approve", **asking)
    after >> asked
    return asked


def admit(ready: Any, allowed: Any = None) -> Any:
    """An image of each node where the policy asks for it; then the set of nodes is fixed."""
    backup = BackupOperator.partial(task_id="backup", map_index_template="{{ location }}").expand(location=ready)
    if allowed is not None:
        allowed >> backup
    return steps.admit(backup.output)


def admit_reboots(ready: Any, allowed: Any) -> Any:
    """The set of nodes is fixed; nothing is installed, so that no image is needed."""
    first = steps.admit.override(trigger_rule=TriggerRule.ALL_SUCCESS)(ready)
    allowed >> first
    return first


def run_waves(plan: WindowPlan, first: Any) -> None:
    """The waves, each behind the barrier of the one before; then what came of it, whatever happened."""
    waves(plan.waves, first, {"patch": ("install",), "reboot": ("reboot", "rescan")})


def run_reboots(most: int, first: Any) -> None:
    """Reboots alone, in at most so many waves."""
    waves(most, first, {"reboot": ("reboot", "rescan")})


def run_scan(ready: Any) -> None:
    """One wave over all nodes, which changes nothing."""
    first = steps.admit(ready)
    holding = steps.hold()
    first >> holding
    with TaskGroup("wave_1", tooltip="Scan all nodes"):
        scan = WindowOperator.partial(task_id="scan", wave=1, kinds=("scan",), map_index_template="{{ location }}")
        scanned = scan.expand(part=first)
    holding >> scanned
    finish(first, holding, scanned, ["wave_1.scan"])


def waves(number: int, first: Any, opens: Mapping[str, Sequence[Kind]]) -> None:
    """So many waves, one behind the other, in each of which the tasks of `opens` run their executions."""
    holding = steps.hold()
    first >> holding
    last, parts = holding, first
    for wave in range(1, number + 1):
        with TaskGroup(f"wave_{wave}", tooltip=f"Wave {wave} of at most {number}"):
            group = _in_each_location(wave, opens).expand(part=parts)
            settle = SettleOperator(task_id="settle", wave=wave, parts=parts, trigger_rule=TriggerRule.ALL_DONE)
            last >> group >> settle
        last, parts = settle, settle.output
    finish(first, holding, last, [f"wave_{wave}.{name}" for wave in range(1, number + 1) for name in opens])


def finish(first: Any, holding: Any, last: Any, names: Sequence[str]) -> None:
    """Read back, close, report: also after a failure."""
    verify = steps.verify(first, list(names))
    close = steps.close().as_teardown(setups=holding, on_failure_fail_dagrun=True)
    last >> verify >> close >> steps.report()


def _in_each_location(wave: int, opens: Mapping[str, Sequence[Kind]]) -> Any:
    """A wave in one location, which goes through it by itself: one that fails keeps no other's nodes from their reboot.

    Its tasks are named after the wave: the group itself stands for the locations.
    """

    @task_group(group_id="locations", prefix_group_id=False, tooltip="In each location by itself")
    def locations(part: Any) -> None:
        chain(
            *(
                WindowOperator(
                    task_id=f"wave_{wave}.{name}",
                    part=part,
                    wave=wave,
                    kinds=tuple(kinds),
                    map_index_template="{{ location }}",
                )
                for name, kinds in opens.items()
            )
        )

    return locations
