"""What a plan names as the calls it makes is what applying it calls, one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from policies import FOUR, apply, changed, connect, plan, small

from lab.testing import LabHandle
from sluice.__main__ import main
from sluice.aws.apply import apply_plan
from sluice.aws.planned_calls import PlannedCall, planned_calls
from sluice.aws.session import Connection, Duty
from sluice.core.policy.policy import Policy

pytestmark = pytest.mark.usefixtures("aws_environment")

OTHER = {
    "a field of a window": ("windows", 1, "duration_hours", 5),
    "fewer targets and tasks": ("windows", 1, "patch_groups", ["prod windows"]),
    "a baseline that becomes a default no more": ("baselines", 0, "default", False),
    "another sync": ("extras", "data_sync_bucket", "another-bucket"),
    "a group on fewer baselines": ("patch_groups", 0, "baselines", ["amazon"]),
}


def made(calls: tuple[PlannedCall, ...]) -> list[tuple[str, str]]:
    return [(one.service, one.operation) for one in calls]


class Watched(Connection):
    """A connection that counts what it sends and changes something."""

    def __init__(self, behind: Connection) -> None:
        super().__init__(None, aws_only=False, account=behind.account, region=behind.region)
        self.behind = behind
        self.sent: list[tuple[str, str, dict[str, Any]]] = []

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        if not operation.startswith(("Describe", "Get", "List")):
            self.sent.append((service, operation, parameters))
        return self.behind.call(service, operation, **parameters)


def test_the_calls_of_a_first_apply_are_named_one_by_one_with_what_they_say(lab: LabHandle) -> None:
    policy = small()
    found = plan(connect(policy), policy)
    calls = planned_calls(connect(policy, Duty.READER), policy.deployment, found)
    assert lab.server.calls.total(mutating=True) == 0
    watched = Watched(connect(policy))
    apply_plan(watched, policy.deployment, found)
    assert made(calls) == [(service, operation) for service, operation, _ in watched.sent]
    assert len(calls) == lab.server.calls.total(mutating=True) > 20
    for named, (_, operation, parameters) in zip(calls, watched.sent, strict=True):
        assert set(named.parameters) == set(parameters), operation
        if operation.startswith("Create"):
            assert named.parameters == parameters


@pytest.mark.parametrize("path", OTHER.values(), ids=OTHER)
def test_the_calls_of_a_change_are_named_one_by_one(lab: LabHandle, path: tuple[Any, ...]) -> None:
    policy = small()
    connection = connect(policy)
    apply(connection, policy)
    other = changed(policy, *path[:-1], value=path[-1])
    found = plan(connection, other)
    calls = planned_calls(connection, other.deployment, found)
    watched = Watched(connection)
    apply_plan(watched, other.deployment, found)
    assert made(calls) == [(service, operation) for service, operation, _ in watched.sent]
    assert calls


def test_the_calls_of_a_take_over_are_named_before_anybody_agrees_to_it(lab: LabHandle) -> None:
    ssm = lab.client("ssm")
    theirs = ssm.create_patch_baseline(Name="theirs", OperatingSystem="UBUNTU")["BaselineId"]
    ssm.register_patch_baseline_for_patch_group(BaselineId=theirs, PatchGroup="nonprod-linux")
    policy = small()
    calls = planned_calls(connect(policy), policy.deployment, plan(connect(policy), policy))
    (away,) = [one for one in calls if one.operation == "DeregisterPatchBaselineForPatchGroup"]
    assert away.parameters == {"PatchGroup": "nonprod-linux", "BaselineId": theirs}


def test_where_nothing_is_to_change_no_call_is_named(lab: LabHandle) -> None:
    policy = small()
    apply(connect(policy), policy)
    assert planned_calls(connect(policy), policy.deployment, plan(connect(policy), policy)) == ()


@pytest.fixture
def policy_file(lab: LabHandle, tmp_path: Path) -> Path:
    for location in FOUR:
        lab.location(location["account"], location["region"])
    return written(tmp_path, small(locations=FOUR, roles={"assume": True}))


def written(folder: Path, policy: Policy) -> Path:
    file = folder / "policy.yaml"
    file.write_text(yaml.safe_dump(policy.model_dump(mode="json", by_alias=True, exclude_unset=True)))
    return file


def test_the_command_lists_them_in_their_order_for_locations_alike(
    lab: LabHandle, policy_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--calls", "--policy", str(policy_file)]) == 2
    out = capsys.readouterr().out
    assert out.count("calls that change something") == 2  # one for each Region, which the sync says
    lines = out.splitlines()
    start = next(index for index, line in enumerate(lines) if "calls that change something" in line)
    assert lines[start + 1].split() == ["1", "ssm:CreateDocument", "document", "Sluice-RebootIfPending"]
    assert lines[-1].split()[1].startswith("ssm:CreateResourceDataSync")
    assert lab.server.calls.total(mutating=True) == 0


def test_without_asking_for_them_the_text_has_none(policy_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["plan", "--policy", str(policy_file)])
    assert "calls that change" not in capsys.readouterr().out


def test_json_has_every_call_with_its_parameters(policy_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["plan", "--json", "--policy", str(policy_file)])
    for location in json.loads(capsys.readouterr().out)["locations"]:
        window = next(one for one in location["calls"] if one["call"] == "ssm:CreateMaintenanceWindow")
        assert (window["object"], window["name"]) == ("window", "scan-daily")
        assert window["parameters"]["Schedule"] == "at(2099-12-31T23:59:59)"
        register = next(one for one in location["calls"] if one["call"] == "ssm:RegisterTargetWithMaintenanceWindow")
        assert register["parameters"]["WindowId"] == "(of CreateMaintenanceWindow)"
