"""The lab with two locations, a policy for them, and a clock that moves while a trigger waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from dag_runs import Run, read_dags, run_dag
from flow_world import SMALL, prepare

from lab.testing import LabHandle
from sluice.core.policy.policy import Policy

FLEET = Path(__file__).with_name("fleet.yaml")
FIRST, SECOND = "111111111111/eu-west-3", "111111111111/eu-central-1"
LOCATIONS = [{"account": "111111111111", "region": one.partition("/")[2]} for one in (FIRST, SECOND)]

AT_MOST = timedelta(minutes=5)
"""How far the clock moves in one look of a trigger, so that what waits for a time does not miss it."""


@dataclass
class World:
    """The lab, a policy that is applied in it, and its file."""

    lab: LabHandle
    policy: Policy
    file: Path

    def run(self, dag_id: str, conf: Mapping[str, Any] | None = None, **settings: Any) -> Run:
        """Run a DAG to its end; `settings` as `dag_runs.run_dag` has them."""
        return run_dag(read_dags().dags[dag_id], conf or {}, **settings)

    def to(self, when: datetime) -> None:
        """Move the clock."""
        self.lab.advance_to(when)


def written(folder: Path, **changes: Any) -> tuple[Policy, Path]:
    """The small policy for both locations, as a file."""
    data = {**SMALL, "locations": LOCATIONS, "evidence": {"folder": str(folder / "evidence")}, **changes}
    file = folder / "policy.yaml"
    file.write_text(yaml.safe_dump(data), "utf-8")
    return Policy.model_validate(data), file


def world_of(lab: LabHandle, folder: Path, setenv: Callable[[str, str], None], **changes: Any) -> World:
    """Write the policy, apply it, and let Airflow find it."""
    policy, file = written(folder, **changes)
    prepare(lab, policy)
    setenv("SLUICE_POLICY", str(file))
    return World(lab, policy, file)


def pacemaker(lab: LabHandle) -> Callable[[float], Any]:
    """What a trigger does in place of sleeping: the lab's clock moves to the next event, or a few minutes on."""

    async def sleep(seconds: float) -> None:
        clock = lab.world.clock
        pending = clock.pending()
        until = clock.now() + AT_MOST
        clock.advance_to(max(clock.now(), min([until, *(one.when for one in pending[:1])])))

    return sleep
