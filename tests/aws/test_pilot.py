"""A pilot is refused wherever it would be more than one, before anything is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.testing import LabHandle
from sluice.__main__ import main
from sluice.core.policy.pilot import GROUP

pytestmark = pytest.mark.usefixtures("aws_environment")

TARGETS = [{"Key": "tag:Patch Group", "Values": [GROUP]}]


@pytest.fixture
def lab_fleet() -> str:
    return "demo"


@pytest.fixture
def pilot(lab: LabHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pilot's policy as `init` writes it, for the fleet's node without a group."""
    monkeypatch.chdir(tmp_path)
    location = lab.location()
    node = next(node_id for node_id in location.nodes if "Patch Group" not in location.tags(node_id))
    place = ["--account", "111111111111", "--region", "eu-west-3"]
    assert main(["init", "--pilot", *place, "--nodes", node, "--rehearsal"]) == 0
    lab.server.calls.clear()
    return tmp_path / "pilot.yaml"


def refused(pilot: Path, capsys: pytest.CaptureFixture[str], *commands: list[str]) -> str:
    capsys.readouterr()
    for command in commands or (["plan"], ["apply", "--yes"], ["apply", "--yes", "--take-over", GROUP]):
        assert main([*command, "--policy", str(pilot)]) == 1, command
    shown = capsys.readouterr()
    return shown.out + shown.err


def with_changes(pilot: Path, **changes: Any) -> Path:
    policy = yaml.safe_load(pilot.read_text())
    pilot.write_text(yaml.safe_dump({**policy, **changes}))
    return pilot


def test_init_marks_the_policy_as_a_pilot_and_it_can_be_planned(pilot: Path) -> None:
    assert yaml.safe_load(pilot.read_text())["pilot"] is True
    assert main(["plan", "--policy", str(pilot)]) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "release"}, "expected mode: observe in a pilot"),
        ({"rings": [{"name": "pilot"}, {"name": "prod", "production": True, "soak": 7}]}, "no production ring"),
        ({"extras": {"config_rule": True}}, "nothing for the account as a whole"),
    ],
)
def test_a_policy_that_says_more_is_refused_by_check_plan_and_apply_before_aws_is_asked(
    lab: LabHandle, pilot: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], message: str
) -> None:
    with_changes(pilot, **changes)
    for command in (["plan"], ["apply", "--yes"]):
        assert message in refused(pilot, capsys, command)
    assert main(["check", str(pilot)]) == 1
    assert lab.server.calls.total() == 0


@pytest.mark.parametrize(("key", "value"), [("concurrency", 2), ("patch_groups", "all"), ("operation", "install")])
def test_its_window_scans_its_own_group_one_node_at_a_time(
    lab: LabHandle, pilot: Path, capsys: pytest.CaptureFixture[str], key: str, value: Any
) -> None:
    (window,) = yaml.safe_load(pilot.read_text())["windows"]
    with_changes(pilot, windows=[{**window, key: value}])
    assert "P232" in refused(pilot, capsys)
    assert lab.server.calls.total() == 0


@pytest.mark.parametrize("system", ["AMAZON_LINUX_2023", "WINDOWS"])
def test_a_group_that_a_baseline_of_others_serves_is_refused_whatever_its_operating_system(
    lab: LabHandle, pilot: Path, capsys: pytest.CaptureFixture[str], system: str
) -> None:
    ssm = lab.client("ssm")
    theirs = ssm.create_patch_baseline(Name="theirs", OperatingSystem=system)["BaselineId"]
    ssm.register_patch_baseline_for_patch_group(BaselineId=theirs, PatchGroup=GROUP)
    lab.server.calls.clear()
    told = refused(pilot, capsys)
    assert f"expected one that no baseline of others serves, found {theirs} for {system}" in told
    assert lab.server.calls.total(mutating=True) == 0


def test_a_group_that_a_window_of_others_names_is_refused(
    lab: LabHandle, pilot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ssm = lab.client("ssm")
    window = ssm.create_maintenance_window(
        Name="theirs", Schedule="rate(7 days)", Duration=2, Cutoff=1, AllowUnassociatedTargets=False
    )["WindowId"]
    ssm.register_target_with_maintenance_window(WindowId=window, ResourceType="INSTANCE", Targets=TARGETS)
    lab.server.calls.clear()
    assert f"found the window {window} (theirs) on it" in refused(pilot, capsys)
    assert lab.server.calls.total(mutating=True) == 0


def test_a_group_that_an_association_of_others_names_is_refused(
    lab: LabHandle, pilot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.client("ssm").create_association(Name="AWS-GatherSoftwareInventory", Targets=TARGETS)
    assert "found the association" in refused(pilot, capsys)


def test_what_collects_inventory_of_every_node_is_no_reason_to_refuse(lab: LabHandle, pilot: Path) -> None:
    everything = [{"Key": "InstanceIds", "Values": ["*"]}]
    lab.client("ssm").create_association(Name="AWS-GatherSoftwareInventory", Targets=everything)
    assert main(["plan", "--policy", str(pilot)]) == 2


@pytest.mark.parametrize(("number", "code"), [(5, 2), (6, 1)])
def test_the_tag_on_more_than_five_nodes_is_refused(
    lab: LabHandle, pilot: Path, capsys: pytest.CaptureFixture[str], number: int, code: int
) -> None:
    location = lab.location()
    nodes = [node_id for node_id in sorted(location.nodes) if node_id.startswith("i-")][:number]
    lab.client("ec2").create_tags(Resources=nodes, Tags=[{"Key": "Patch Group", "Value": GROUP}])
    assert main(["plan", "--policy", str(pilot)]) == code
    told = capsys.readouterr().err
    assert ("expected at most 5 nodes in sluice-pilot, found 6" in told) is (code == 1)


def test_an_applied_pilot_is_still_one_and_can_always_be_undone(
    lab: LabHandle, pilot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apply", "--yes", "--policy", str(pilot)]) == 0
    assert main(["plan", "--policy", str(pilot)]) == 0
    lab.client("ssm").create_association(Name="AWS-GatherSoftwareInventory", Targets=TARGETS)
    assert "found the association" in refused(pilot, capsys, ["plan"])
    assert main(["destroy", "--yes", "--yes", "--policy", str(pilot)]) == 0
    assert not lab.location().windows
