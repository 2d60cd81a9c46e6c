"""What a run may be asked for by hand: a form in Airflow's UI, checked before the run is made."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.sdk import Param

from sluice.core.release import ids
from sluice_airflow.schedules import WindowPlan

NODE = r"^m?i-[0-9a-f]{8,17}$"
AS_POLICY = "policy"

Params = dict[str, Param]


def of_release(plan: WindowPlan) -> Params:
    """What a release of a window may be asked for; an install more than a scan, production more than the rest."""
    form = _where(plan.locations, plan.patch_groups)
    if plan.installs:
        form |= _install(plan)
    if plan.gated:
        form |= _gated()
    return form | _common()


def of_reboot(plans: Sequence[WindowPlan]) -> Params:
    """What a reboot by hand may be asked for; the window is chosen, as it says which nodes, waves and hours."""
    names = [plan.name for plan in plans]
    locations = list(dict.fromkeys(key for plan in plans for key in plan.locations))
    groups = list(dict.fromkeys(name for plan in plans for name in plan.patch_groups))
    return {
        "window": Param(
            names[0],
            type="string",
            enum=names,
            title="Window",
            description="Whose nodes: its patch groups, waves, concurrency and failure budget apply.",
        ),
        "reboot": Param(
            "if_needed",
            type="string",
            enum=["if_needed", "always"],
            title="Reboot",
            description="if_needed: each node asks its OS, and reboots where a patch waits for it. always: every node.",
        ),
        **_ticket([plan.ticket for plan in plans if plan.gated and plan.ticket]),
        **_where(locations, groups),
        **_common(),
    }


def _where(locations: Sequence[str], groups: Sequence[str]) -> Params:
    return {
        "locations": _several(
            "Locations", "Only these, as ACCOUNT/REGION; none: all of the policy.", r"^.+/.+$", examples=locations
        ),
        "patch_groups": _several("Patch groups", "Only these; none: all of the window.", r"\S", examples=groups),
        "nodes": _several("Nodes", "Only these instance ids, one a line; none: all.", NODE),
    }


def _install(plan: WindowPlan) -> Params:
    form = {
        "retry_of": _text(
            "Retry of",
            "A release, such as install-nonprod-20250609T0300-0123abcd: only its failed nodes.",
            f"^{ids.PATTERN}$",
        ),
        "reboot": Param(
            AS_POLICY,
            type="string",
            enum=[AS_POLICY, "never", "if_needed", "always"],
            title="Reboot",
            description="policy: as the window says. if_needed: nodes for which a patch waits, in waves. always: all.",
        ),
        "backup": Param(
            AS_POLICY,
            type="string",
            enum=[AS_POLICY, "on", "off"],
            title="Backup",
            description="An image of each node before it is patched. Where the policy requires one, off is refused.",
        ),
        "dry_run": Param(
            default=False,
            type="boolean",
            title="Dry run",
            description="Everything up to the approval; no window is opened and no image is made.",
        ),
    }
    return form | _ticket([plan.ticket] if plan.ticket else [])


def _ticket(patterns: Sequence[str]) -> Params:
    """A change ticket that matches one of these; no question where there are none."""
    if not patterns:
        return {}
    different = dict.fromkeys(patterns)
    return {
        "change_ticket": _text(
            "Change ticket",
            f"The policy asks for one that matches {' or '.join(different)}.",
            f"^(?:{'|'.join(f'(?:{one})' for one in different)})$",
        )
    }


def _gated() -> Params:
    return {
        "expedite": _several(
            "Expedite",
            "For an emergency: patches that have not soaked, as AWS names them (KB5060531, openssl.x86_64), one a line."
            " Always needs an approval by somebody else.",
            r"^\S+$",
        ),
        "because": _text("Because", "The reason of an expedite; needed with it.", r"\S"),
    }


def _common() -> Params:
    return {
        "report": Param(
            default=True, type="boolean", title="Report", description="Write the report. Evidence is kept either way."
        ),
        "occurrence": Param(
            None,
            type=["null", "string"],
            format="date-time",
            title="Occurrence",
            description="The planned time of the window; empty: now. At most its lead and a day ahead, as the DAG"
            " begins no other run until it is over. What needs an approval in a window of two or three hours needs one"
            " some time ahead: the answer has to come before the window's latest start.",
        ),
    }


def _several(title: str, description: str, pattern: str, examples: Sequence[str] = ()) -> Param:
    offered = {"examples": list(examples)} if examples else {}
    return Param(
        [],
        type="array",
        items={"type": "string", "pattern": pattern},
        title=title,
        description=description,
        **offered,
    )


def _text(title: str, description: str, pattern: str) -> Param:
    return Param(None, type=["null", "string"], pattern=pattern, title=title, description=description)
