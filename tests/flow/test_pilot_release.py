"""A pilot stays one after it was applied: its scans are refused once its nodes are somebody's."""

from __future__ import annotations

from pathlib import Path

import pytest
from flow_world import HERE, SCAN, at, prepare, run_of, small

from lab.testing import LabHandle
from sluice.core.errors import ReleaseError
from sluice.core.policy.policy import Policy
from sluice.flow.preflight import preflight
from sluice.flow.resolve import resolve


@pytest.fixture
def pilot(aws_environment: LabHandle, tmp_path: Path) -> Policy:
    """The small policy as a pilot, applied."""
    found = small(tmp_path / "evidence", mode="observe", pilot=True)
    prepare(aws_environment, found)
    return found


def test_a_pilot_on_its_own_is_ready(lab: LabHandle, pilot: Policy) -> None:
    run = run_of(pilot, SCAN, at(3, 1))
    resolve(run, HERE)
    assert preflight(run, [HERE])["ready"] == [HERE]


def test_a_pilot_whose_group_somebody_else_uses_by_now_scans_nothing(lab: LabHandle, pilot: Policy) -> None:
    targets = [{"Key": "tag:Patch Group", "Values": ["nonprod-linux"]}]
    lab.client("ssm").create_association(Name="AWS-GatherSoftwareInventory", Targets=targets)
    run = run_of(pilot, SCAN, at(3, 1))
    resolve(run, HERE)
    with pytest.raises(ReleaseError, match="patch group nonprod-linux: expected one that nobody else uses"):
        preflight(run, [HERE])
