"""From a task of Airflow to the release that it is a step of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_current_context

from sluice.core.dag_names import REBOOT, window_of

if TYPE_CHECKING:
    from sluice.core.policy.policy import Policy
    from sluice.core.release.terms import Asked
    from sluice.flow.run import Run

UNKNOWN = "unknown"
"""Who asked for a run by hand that Airflow names nobody for."""
LISTS = ("patch_groups", "locations", "nodes", "expedite")
TEXTS = ("retry_of", "change_ticket", "because")


def current_run() -> Run:
    """The release of the running task."""
    return run_of(get_current_context())


def run_of(context: Mapping[str, Any]) -> Run:
    """The release of a task, begun by whichever step comes first and found by all others."""
    params, dag_run = context["params"], context["dag_run"]
    window = named_window(context)
    policy = deployed_policy()
    return begun(policy, window, dag_run.dag_id, dag_run.run_id, asked_of(params, dag_run), planned(dag_run))


def begun(
    policy: Policy, window: str, dag_id: str, run_id: str, asked: Asked | None = None, when: datetime | None = None
) -> Run:
    """The release of a run; a trigger, which comes after its task, needs to know neither `asked` nor `when`."""
    from sluice.core.release.terms import Asked
    from sluice.flow.run import begin
    from sluice_airflow.aws import shared_connections

    connections = shared_connections(policy)
    return begin(policy, connections, window, dag_id=dag_id, run_id=run_id, asked=asked or Asked(), planned=when)


def named_window(context: Mapping[str, Any]) -> str:
    """The window that a run is for: its DAG's, or the one that was chosen where the DAG's form lets one be chosen."""
    dag_id = context["dag_run"].dag_id
    return str(context["params"]["window"]) if dag_id == REBOOT else window_of(dag_id)


def refuse_unknown(context: Mapping[str, Any]) -> None:
    """Raise ReleaseError where a run was given a parameter that its DAG's form has not.

    Airflow takes any, unchecked: whoever gave it would believe that it does something.
    """
    from sluice.core.errors import ReleaseError

    form = set(context["dag"].params)
    if unknown := sorted(set(context["params"]) - form):
        raise ReleaseError(
            f"expected parameters of the DAG's form ({', '.join(sorted(form))}), found {', '.join(unknown)}: trigger it"
            " again without"
        )


def deployed_policy() -> Policy:
    """The deployment's policy, which SLUICE_POLICY names: whoever triggers a run does not choose who may."""
    from sluice.files import read_policy

    return read_policy().policy


def read_to_halt() -> Policy:
    """As `deployed_policy`, of one that may have errors where a halt needs nothing; they are printed."""
    from sluice.files import read_policy_to_halt

    policy, problems = read_policy_to_halt()
    for problem in problems:
        print(problem)
    return policy


def scheduled(dag_run: Any) -> bool:
    """Whether the calendar made the run; everything else counts as asked for by hand."""
    return str(getattr(dag_run.run_type, "value", dag_run.run_type)) == "scheduled"


def asked_of(params: Mapping[str, Any], dag_run: Any) -> Asked:
    """What a run's parameters ask. A scheduled run has the defaults, and nobody who asks."""
    from sluice.core.release.terms import Asked

    occurrence = params.get("occurrence")
    by = None if scheduled(dag_run) else getattr(dag_run, "triggering_user_name", None) or UNKNOWN
    return Asked(
        occurrence=moment(occurrence) if occurrence else None,
        reboot=params.get("reboot") or "policy",
        backup=params.get("backup") or "policy",
        report=params.get("report") is not False,
        dry_run=bool(params.get("dry_run")),
        by=by,
        only_reboots=dag_run.dag_id == REBOOT,
        **{name: tuple(params.get(name) or ()) for name in LISTS},
        **{name: params.get(name) or None for name in TEXTS},
    )


def planned(dag_run: Any) -> datetime | None:
    """The occurrence of a scheduled run, which its timetable has given it. None: by hand."""
    return dag_run.data_interval_end if scheduled(dag_run) else None


def moment(text: str) -> datetime:
    """A moment as the form has it, UTC where it names no zone. Raises ReleaseError."""
    from datetime import UTC

    from sluice.core.errors import ReleaseError

    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ReleaseError(f"expected an occurrence such as 2025-06-09T03:00:00Z, found {text!r}") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
