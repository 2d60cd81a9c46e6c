"""What the DAGs of releases share: the DAG's own settings, and the groups of steps that they are made of.

ready = find_nodes()                begin, resolve, preflight
allowed = ask(ready)                manifest, gate, approve                     production
first = admit(ready, allowed)       backup, admit
run_waves(plan, first)              hold, (before), wave_1 … wave_n, (after), verify, close, report
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
    """The waves, each behind the barrier of the one before; then what came of it, whatever happened.

    The policy's steps stand around them where the window has any.
    """
    opens = {"patch": ("install",), "reboot": ("reboot", "rescan", "ask")}
    waves(plan.waves, first, opens, before=plan.before, after=plan.after)


def run_reboots(most: int, first: Any) -> None:
    """Reboots alone, in at most so many waves."""
    waves(most, first, {"reboot": ("reboot", "rescan", "ask")})


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


def waves(
    number: int,
    first: Any,
    opens: Mapping[str, Sequence[Kind]],
    before: Sequence[Kind] = (),
    after: Sequence[Kind] = (),
) -> None:
    """So many waves, one behind the other, in each of which the tasks of `opens` run their executions.

    The steps of `before` come first in each location: where one of them fails, that location's waves say so and open
    nothing (`sluice.flow.sight`), and the others go on. Those of `after` come last, whatever became of the waves.
    """
    holding = steps.hold()
    first >> holding
    places = steps.places(first) if before or after else None
    last, parts, names = holding, first, []
    if before:
        last = _around("before", before).expand(part=places)
        holding >> last
        names.append("before")
    for wave in range(1, number + 1):
        rule = TriggerRule.ALL_DONE if before and wave == 1 else TriggerRule.ALL_SUCCESS
        with TaskGroup(f"wave_{wave}", tooltip=f"Wave {wave} of at most {number}"):
            group = _in_each_location(wave, opens, rule).expand(part=parts)
            settle = SettleOperator(task_id="settle", wave=wave, parts=parts, trigger_rule=TriggerRule.ALL_DONE)
            last >> group >> settle
        last, parts = settle, settle.output
    names += [f"wave_{wave}.{name}" for wave in range(1, number + 1) for name in opens]
    if after:
        behind = _around("after", after, trigger_rule=TriggerRule.ALL_DONE).expand(part=places)
        last >> behind
        last = behind
        names.append("after")
    finish(first, holding, last, names)


def finish(first: Any, holding: Any, last: Any, names: Sequence[str]) -> None:
    """Read back, close, report: also after a failure."""
    verify = steps.verify(first, list(names))
    close = steps.close().as_teardown(setups=holding, on_failure_fail_dagrun=True)
    last >> verify >> close >> steps.report()


def _around(name: str, kinds: Sequence[Kind], **settings: Any) -> Any:
    """Steps of the policy in one location, one after another."""
    return WindowOperator.partial(
        task_id=name, wave=0, kinds=tuple(kinds), map_index_template="{{ location }}", **settings
    )


def _in_each_location(wave: int, opens: Mapping[str, Sequence[Kind]], rule: TriggerRule) -> Any:
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
                    trigger_rule=rule if number == 0 else TriggerRule.ALL_SUCCESS,
                )
                for number, (name, kinds) in enumerate(opens.items())
            )
        )

    return locations
