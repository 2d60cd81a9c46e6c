"""The steps of a release that wait for nothing: each calls one function of `sluice.flow`.

Between tasks go keys and counts; rows are in the evidence store. Every step can be run twice. What it says is in its
log, and for the report in an XCom of its own name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from airflow.sdk import TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from sluice_airflow.failures import is_final, told
from sluice_airflow.operators.settle import WAVES
from sluice_airflow.runs import current_run, deployed_policy, named_window, refuse_unknown

NOTE = "note"
"""The XCom of `report` that becomes the run's note (`sluice_airflow.notes`)."""

Found = dict[str, Any]


@task
def begin() -> list[str]:
    """Begin the release, or find it begun, if whoever asks for it may; the keys of its locations."""
    from sluice.core.errors import ReleaseError
    from sluice.core.release.rights import objections

    with told():
        refuse_unknown(get_current_context())
        run = current_run()
        print(f"release {run.release.id} of {run.window.name}, planned for {run.release.occurrence.isoformat()}")
        print(f"asked: {run.asked.as_json()}")
        refused = objections(run.policy, run.window, run.asked, run.release.begun)
        if refused:
            raise ReleaseError("; ".join(refused))
        get_current_context()["ti"].xcom_push(key="release", value=run.release.id)
        return [location.key for location in run.locations]


@task(map_index_template="{{ location }}", multiple_outputs=False)
def resolve(location: str) -> Found:
    """Find the nodes of a location, and why some of them cannot be reached."""
    from sluice.flow.resolve import resolve

    cast("Found", get_current_context())["location"] = location
    with told():
        return _said(resolve(current_run(), location))


@task(trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
def preflight(resolved: Iterable[Found]) -> list[str]:
    """Look whether everything is as it must be, before anything is changed; the locations that are ready.

    A location that could not be resolved is left out, and counts as failed.
    """
    from sluice.flow.preflight import preflight

    with told():
        found = _said(preflight(current_run(), [one["location"] for one in resolved]))
    get_current_context()["ti"].xcom_push(key="preflight", value=found)
    return list(found["ready"])


@task(multiple_outputs=False)
def manifest(ready: Sequence[str]) -> Found:
    """Write down what has soaked, once, and hand it to each location."""
    from sluice.flow.manifest import manifest

    with told():
        return _said(manifest(current_run(), list(ready)))


@task(multiple_outputs=False)
def gate(ready: Sequence[str]) -> Found:
    """Decide by the policy's rules; what cannot be known closes it."""
    from sluice.flow.gate import gate

    with told():
        return _said(gate(current_run(), list(ready)))


@task(trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
def admit(places: Iterable[Any]) -> list[Found]:
    """Fix the set of nodes; what the first wave is in each location.

    `places` are the locations, as keys or as their backup has them; one whose backup failed is left out.
    """
    from sluice.flow.admit import admit

    with told():
        run = current_run()
        if run.asked.dry_run:
            raise AirflowSkipException("a dry run: no window is opened")
        found = _said(admit(run, [one if isinstance(one, str) else one["location"] for one in places]))
    waves = found.pop("waves")
    context = get_current_context()
    context["ti"].xcom_push(key="admitted", value=found)
    context["ti"].xcom_push(key=WAVES, value=waves)
    if not found["admitted"]:
        raise AirflowSkipException("no node was admitted: nothing to do")
    return list(waves[0])


@task
def places(first: Sequence[Found]) -> list[Found]:
    """Where the policy's steps run: every location that has nodes in some wave, in the order of the waves."""
    waves = get_current_context()["ti"].xcom_pull(task_ids="admit", key=WAVES) or [first]
    keys = dict.fromkeys(part["location"] for parts in waves for part in parts)
    return _said([{"location": key} for key in keys])


@task
def hold() -> None:
    """The setup that `close` is the teardown of. Does nothing: a teardown does not run when its setup failed."""


@task(trigger_rule=TriggerRule.ALL_DONE, multiple_outputs=False)
def verify(began: Sequence[Found] | None, waves: Sequence[str]) -> Found:
    """Read back what every node has now, and which of it is this release's doing."""
    from sluice.flow.verify import verify

    if began is None:
        raise AirflowSkipException("no wave was to begin")
    if set(states(waves).values()) <= {"skipped"}:
        raise AirflowSkipException("no window was opened")
    with told():
        return _said(verify(current_run()))


@task(multiple_outputs=False)
def close() -> Found:
    """Put every window at rest, give the leases back, take the release's tags off."""
    from sluice.flow.close import close

    with told():
        return _said(close(current_run()))


@task(trigger_rule=TriggerRule.ALL_DONE, multiple_outputs=False)
def report() -> Found:
    """Say what came of it: in the record, the report, the run's note and to whom the policy notifies.

    Fails where the release failed beyond the allowed ratio, or a step of it that is not a location's alone: this
    decides what the run's state is. Where it can write no report it says that.
    """
    from sluice.core.errors import SluiceError
    from sluice.flow.report import report
    from sluice_airflow.notices import send

    with told():
        try:
            run = current_run()
            found = _said(report(run))
        except SluiceError as error:
            _tell_no_report(error)
            raise
    broken = sorted(name for name, state in states().items() if state == "failed" and not _of_a_location(name))
    line = f"{found['line']}{'; failed: ' + ', '.join(broken) if broken else ''}"
    context = get_current_context()
    context["ti"].xcom_push(key="report", value=found)
    context["ti"].xcom_push(key=NOTE, value=f"{found['outcome']}: {line}\n{run.release.id}")
    if run.window.installs or broken or not found["ok"]:
        send(run.policy, f"Sluice {run.window.name}: {found['outcome']}", f"{line}\n{run.release.id}")
    if broken or not found["ok"]:
        raise AirflowFailException(line)
    return found


def _tell_no_report(error: Exception) -> None:
    """Tell whom the policy notifies, once: nobody else would, as a run that fails early meets its deadline."""
    from sluice_airflow.notices import send

    context = get_current_context()
    if not is_final(error, context):
        return
    text = f"the report failed: {error}"
    context["ti"].xcom_push(key=NOTE, value=text)
    subject = f"Sluice {named_window(context)}: the report failed"
    send(deployed_policy(), subject, f"{text}\n{context['dag_run'].run_id}")


LOCATIONS = ("resolve", "backup", ".scan", ".patch", ".reboot", "before", "after")
"""How the names of the tasks end of which each location has its own: one that fails fails its location alone."""


def _of_a_location(name: str) -> bool:
    return name.rpartition("_")[0].endswith(LOCATIONS) or name.endswith(LOCATIONS)


def states(tasks: Sequence[str] | None = None) -> dict[str, str]:
    """The states of the run's tasks by name; those of mapped ones have their index at the end, as in `resolve_0`."""
    ti = get_current_context()["ti"]
    found = ti.get_task_states(
        dag_id=ti.dag_id, run_ids=[ti.run_id], **({"task_ids": list(tasks)} if tasks is not None else {})
    )
    return {name: str(state) for name, state in found.get(ti.run_id, {}).items() if state is not None}


def _said(found: Any) -> Any:
    """Let the log have what a step returned."""
    print(found)
    return found
