"""What a DAG file knows of the policy when it is parsed: when a window runs, for how long, in how many waves.

A DAG file is parsed every few seconds, and reading a policy takes a tenth of a second: so what was read is kept in a
file beside Airflow's own, under a digest of the policy's files. Without it, or where it cannot be used, the policy is
read (docs/adr/0038-schedules-are-kept.md).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import CronTriggerTimetable

from sluice.core.dag_names import NAMED, dag_of

if TYPE_CHECKING:
    from sluice.core.policy.policy import Policy
    from sluice.core.policy.windows import Window

POLICY_CHECK = CronTriggerTimetable("30 0 * * *", timezone="UTC")
"""Drift is known before the night's first windows open."""

FORMAT = 3
"""Of what is kept: raise it when `PolicyPlan` or `WindowPlan` changes."""
_VARIABLE = re.compile(rb"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """A window of the policy as its DAG needs it."""

    name: str
    installs: bool
    gated: bool
    schedule: str
    zone: str
    lead_minutes: int
    duration_hours: int
    waves: int
    before: tuple[str, ...]
    """The steps of the policy before the waves, by name."""
    after: tuple[str, ...]
    margin_minutes: int
    """After the window's end, before a run counts as late."""
    retry_seconds: float
    ticket: str | None
    """Pattern of a change ticket; None: none is asked for."""
    locations: tuple[str, ...]
    patch_groups: tuple[str, ...]

    @property
    def dag_id(self) -> str:
        """The DAG of the window."""
        return dag_of(self.name)

    @property
    def run_time(self) -> timedelta:
        """How long a run may take before the deadline alert: from the DAG's start to the window's end and a margin."""
        return timedelta(minutes=self.lead_minutes + self.margin_minutes, hours=self.duration_hours)


@dataclass(frozen=True, slots=True)
class PolicyPlan:
    """What DAG files need of the policy."""

    windows: tuple[WindowPlan, ...]
    approval_hours: float
    """How long an answer to the policy's gate is waited for."""
    margin_minutes: int


def find(window: str) -> WindowPlan | None:
    """A window of the policy; None: the policy has none of that name."""
    return next((plan for plan in plans() if plan.name == window), None)


def installs() -> tuple[WindowPlan, ...]:
    """The windows that install."""
    return tuple(plan for plan in plans() if plan.installs)


def others() -> tuple[WindowPlan, ...]:
    """The windows that have no DAG file of their own."""
    return tuple(plan for plan in plans() if plan.name not in NAMED.values())


def plans() -> tuple[WindowPlan, ...]:
    """The windows of the policy that SLUICE_POLICY names. Raises PolicyError."""
    return policy_plan().windows


def check_time() -> timedelta:
    """How long comparing the policy with AWS may take before the deadline alert: its approval, and a margin.

    Where the policy cannot be used, a day: the run says what is wrong with it.
    """
    from sluice.core.errors import SluiceError

    try:
        plan = policy_plan()
    except SluiceError:
        return timedelta(days=1)
    return timedelta(hours=plan.approval_hours, minutes=plan.margin_minutes)


def policy_plan() -> PolicyPlan:
    """What DAG files need of the policy that SLUICE_POLICY names. Raises PolicyError."""
    digest = _digest()
    kept = _kept(digest)
    if kept is None:
        from sluice.files import read_policy

        policy = read_policy().policy
        kept = PolicyPlan(
            windows=tuple(plan_of(policy, one) for one in policy.windows),
            approval_hours=policy.gate.approval.hours,
            margin_minutes=policy.sla.run_margin_minutes,
        )
        _keep(digest, kept)
    return kept


def plan_of(policy: Policy, window: Window) -> WindowPlan:
    """What a window's DAG needs."""
    from sluice.core.calendar import gate_of, is_gated
    from sluice.core.policy.slots import groups_of
    from sluice.core.policy.window_steps import steps
    from sluice.core.release.waves import count

    return WindowPlan(
        name=window.name,
        installs=window.installs,
        gated=is_gated(policy, window),
        schedule=window.schedule,
        zone=window.time_zone,
        lead_minutes=window.lead_minutes,
        duration_hours=window.duration_hours,
        waves=count(window),
        before=tuple(step.name for step in steps(window) if step.moment == "before"),
        after=tuple(step.name for step in steps(window) if step.moment == "after"),
        margin_minutes=policy.sla.run_margin_minutes,
        retry_seconds=policy.timing.poll_at_most_seconds,
        ticket=gate_of(policy, window).change_ticket,
        locations=tuple(location.key for location in policy.locations),
        patch_groups=tuple(group.name for group in groups_of(policy, window)),
    )


def _digest() -> str:
    """What the policy's files say, and the variables that they name. Raises PolicyError where there are none."""
    from sluice import __version__
    from sluice.files import LARGEST, policy_files

    found = hashlib.sha256(f"{FORMAT} {__version__}".encode())
    for file in policy_files(None, os.environ):
        try:
            with file.open("rb") as stream:
                content = stream.read(LARGEST + 1)
        except OSError:  # reading the policy says why
            content = b""
        values = [os.environ.get(name.decode(), "") for name in _VARIABLE.findall(content)]
        found.update(json.dumps([str(file), hashlib.sha256(content).hexdigest(), *values]).encode())
    return found.hexdigest()


def _place() -> Path:
    """In Airflow's home, which is its own: a folder that everybody may write to could be anybody's."""
    return Path(os.environ.get("AIRFLOW_HOME") or Path.home() / "airflow") / "sluice-schedules.json"


def _kept(digest: str) -> PolicyPlan | None:
    try:
        found = json.loads(_place().read_bytes())
        if found["digest"] != digest:
            return None
        windows = tuple(
            WindowPlan(**{name: tuple(value) if isinstance(value, list) else value for name, value in one.items()})
            for one in found["policy"].pop("windows")
        )
        return PolicyPlan(windows, **found["policy"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # not there, or not ours to read
        return None


def _keep(digest: str, plan: PolicyPlan) -> None:
    """Write by way of another file, so that nobody reads half of it; where that cannot be, reading stays slower."""
    place = _place()
    content: dict[str, Any] = {"digest": digest, "policy": asdict(plan)}
    try:
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=".sluice-schedules-")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(content, stream)
        Path(name).replace(place)
    except OSError:
        return
