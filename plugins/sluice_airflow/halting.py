"""The tasks of the DAG patch_halt: what `python -m sluice halt` does, by the same function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param, TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from sluice.core.release import ids
from sluice_airflow.failures import told

if TYPE_CHECKING:
    from sluice.aws.session import Connection
    from sluice.flow.halting import Halted

HALTED = "halted"
"""The XCom of `halt`, also of one that failed: locations, nodes in the middle, and what is left."""

PARAMS = {
    "release": Param(
        type="string",
        pattern=f"^({ids.ALL}|{ids.PATTERN})$",
        title="What",
        description="A release, such as install-nonprod-20250609T0300-0123abcd (it stands in its run's note), or all.",
    ),
    "reason": Param(type="string", pattern=r"\S", title="Reason", description="Why. It stands in the mark."),
    "lift": Param(
        default=False,
        type="boolean",
        title="Lift",
        description="Take a halt back, so that it may open again. Opens nothing itself.",
    ),
    "locations": Param(
        [],
        type="array",
        items={"type": "string", "pattern": r"^.+/.+$"},
        title="Locations",
        description="Only these, as ACCOUNT/REGION, one a line; none: all of the policy.",
    ),
}


@task(multiple_outputs=False)
def halt(params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Halt, or lift, in every location at once. Fails, and is tried again, while anything is left."""
    from sluice.flow.halt import halt, lift

    with told():
        asked = _asked(params or {})
        found = lift(**asked) if (params or {}).get("lift") else halt(**asked, tell=_tell)
    said = _said(found)
    context = get_current_context()
    context["ti"].xcom_push(key=HALTED, value=said)
    if said["left"]:
        raise AirflowException(f"not done: {'; '.join(said['left'])}. Another try goes on where this one stopped")
    return said


@task(trigger_rule=TriggerRule.ALL_DONE)
def report(params: Mapping[str, Any] | None = None) -> str:
    """Tell whom the policy's `notify` names; fails where something was not halted, so that the run does."""
    from sluice_airflow.notices import send
    from sluice_airflow.runs import read_to_halt

    given = params or {}
    ti = get_current_context()["ti"]
    said = ti.xcom_pull(task_ids="halt", key=HALTED)
    ti.xcom_push(key="report", value=said)
    what = f"{given['release']} {'lifted' if given.get('lift') else 'halted'}"
    line = _line(said) if said else "nothing was done: the log of `halt` says why"
    send(read_to_halt(), f"Sluice: {what}", f"{what}: {given['reason']}\n{line}")
    if said is None or said["left"]:
        raise AirflowFailException(line)
    return line


def _asked(params: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `halt` and `lift`."""
    from sluice.core.policy.places import chosen
    from sluice_airflow.aws import connections
    from sluice_airflow.runs import UNKNOWN, read_to_halt, refuse_unknown

    refuse_unknown(get_current_context())
    policy = read_to_halt()
    name = params["release"]
    return {
        "policy": policy,
        "connections": connections(policy),
        "release": None if name == ids.ALL else name,
        "by": getattr(get_current_context()["dag_run"], "triggering_user_name", None) or UNKNOWN,
        "because": params["reason"],
        "locations": chosen(policy.locations, params.get("locations") or ()),
    }


def _tell(connection: Connection, text: str) -> None:
    print(f"{connection.key}: {text}")


def _said(found: Sequence[Halted]) -> dict[str, Any]:
    return {
        "locations": len(found),
        "marked": sum(one.marked for one in found),
        "disabled": [f"{one.location}: {name}" for one in found for name in one.disabled],
        "nodes": [f"{one.location}: {node}" for one in found for node in one.nodes],
        "left": [f"{one.location}: {text}" for one in found for text in one.left],
    }


def _line(said: Mapping[str, Any]) -> str:
    parts = [
        f"marks in {said['marked']} of {said['locations']} locations",
        f"{len(said['disabled'])} windows disabled",
        f"in the middle: {', '.join(said['nodes']) or 'no node'}",
        *(["not done: " + "; ".join(said["left"])] if said["left"] else []),
    ]
    return "\n".join(parts)
