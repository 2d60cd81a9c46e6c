"""What reading back left in the evidence, and releases as far as that."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from drive import Drive
from flow_world import run_of

from lab.testing import LabHandle
from lab.world import NodeFaults
from sluice.core.policy.policy import Policy
from sluice.evidence import tables
from sluice.flow.run import Run


def rows(run: Run, table: str) -> list[dict[str, Any]]:
    day = date.fromisoformat(run.release.day)
    return tables.read(run.store, table, day, day, release=run.release.id).to_dicts()


class UntilClosed(Drive):
    """A release as far as its close: what follows is what is tested here."""

    def after(self) -> None:
        pass


def driven(lab: LabHandle, policy: Policy, window: str, when: datetime, **asked: Any) -> Run:
    """A release from its beginning to its close."""
    lab.advance_to(when - timedelta(hours=1))
    run = run_of(policy, window, when, run_id=f"r-{when:%m%d%H}", **asked)
    UntilClosed(lab, run).release()
    return run


def failing(lab: LabHandle, name: str) -> str:
    """Every install fails on the node of that name; its id."""
    node = next(one for one in lab.location().nodes.values() if one.name == name)
    node.faults = NodeFaults(install_failure=1.0)
    return node.node_id
