"""`python -m sluice doctor` as a person types it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from world_builder import admin

from lab.faults import FaultRule
from lab.testing import LabHandle
from sluice.__main__ import main
from sluice.files import DEMO, SHIPPED

pytestmark = pytest.mark.usefixtures("aws_environment")

POLICY = ["--policy", str(SHIPPED / DEMO)]
FIRST = ["--location", "111111111111/eu-west-3"]


@pytest.fixture
def lab_fleet() -> str:
    return "demo"


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    code = main(["doctor", "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)["locations"]


def findings(location: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in location["findings"]}


def test_the_demo_fleet_shows_everything_that_is_wrong_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    code, (location,) = told(capsys, *POLICY, *FIRST)
    assert code == 1
    found = findings(location)
    assert {name: one["count"] for name, one in found.items()} | {"patchers-unknown": 6} == {
        "agent-not-latest": 1,
        "agent-offline": 1,
        "aws-default": 1,
        "baseline-not-applied": found["baseline-not-applied"]["count"],
        "bucket-missing": 1,
        "deprecated-policy": 1,
        "group-not-in-policy": 1,
        "hybrid": 1,
        "no-profile": 1,
        "patchers-unknown": 6,
        "permissions-unknown": 7,
        "role-not-assumed": 1,
        "stopped": 2,
        "untagged": 1,
    }
    assert "legacy-apps" in found["aws-default"]["what"]
    assert sum(kind["count"] for kind in location["nodes"]) == 32


def test_read_only_makes_no_call_that_changes_anything(lab: LabHandle, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--read-only"]) == 0
    assert "AWS's default" in capsys.readouterr().out
    calls = admin(lab, "GET", "/lab/calls?mutating=true")
    assert calls["total"] == 0, calls
    assert admin(lab, "GET", "/lab/calls")["total"] > 10


def test_the_doctor_changes_nothing_with_roles_and_buckets_either(
    lab: LabHandle, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["doctor", *POLICY])
    assert admin(lab, "GET", "/lab/calls?mutating=true")["total"] == 0


def test_account_and_endpoint_are_said_before_anything_is_asked_of_systems_manager(
    lab: LabHandle, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.server.faults.add(
        FaultRule(kind="access_denied", service="ssm"), FaultRule(kind="access_denied", service="ec2")
    )
    assert main(["doctor", "--read-only"]) == 1
    shown = capsys.readouterr()
    assert f"111111111111/eu-west-3: as arn:aws:iam::111111111111:user/lab at {lab.endpoint}" in shown.err
    assert "error unread" in shown.out


def test_a_denied_location_stops_no_other(lab: LabHandle, capsys: pytest.CaptureFixture[str]) -> None:
    lab.server.faults.add(FaultRule(kind="access_denied", operation="AssumeRole", contains="222222222222"))
    code, locations = told(capsys, *POLICY)
    assert code == 1
    assert [location["location"] for location in locations if location["error"]] == [
        "222222222222/eu-west-3",
        "222222222222/eu-central-1",
    ]
    assert all(location["findings"] for location in locations if not location["error"])


def test_others_windows_and_associations_are_told(lab: LabHandle, capsys: pytest.CaptureFixture[str]) -> None:
    ssm = lab.client("ssm")
    window = ssm.create_maintenance_window(
        Name="nightly", Schedule="cron(0 2 * * ? *)", Duration=2, Cutoff=1, AllowUnassociatedTargets=False
    )["WindowId"]
    target = ssm.register_target_with_maintenance_window(
        WindowId=window, ResourceType="INSTANCE", Targets=[{"Key": "tag:Patch Group", "Values": ["prod-linux"]}]
    )["WindowTargetId"]
    ssm.register_task_with_maintenance_window(
        WindowId=window,
        TaskType="RUN_COMMAND",
        TaskArn="AWS-RunPatchBaseline",
        Targets=[{"Key": "WindowTargetIds", "Values": [target]}],
        MaxConcurrency="1",
        MaxErrors="1",
        TaskInvocationParameters={"RunCommand": {"Parameters": {"Operation": ["Install"]}}},
    )
    ssm.create_association(
        Name="AWS-GatherSoftwareInventory",
        AssociationName="inventory",
        Targets=[{"Key": "InstanceIds", "Values": ["*"]}],
    )
    code, (location,) = told(capsys, "--read-only")
    assert code == 0
    found = findings(location)
    assert found["foreign-window"]["ids"] == [window]
    assert "nightly" in found["foreign-window"]["what"]
    assert found["other-association"]["severity"] == "note"


def test_nodes_that_a_foreign_windows_task_names_itself_are_told(
    lab: LabHandle, capsys: pytest.CaptureFixture[str]
) -> None:
    ssm = lab.client("ssm")
    window = ssm.create_maintenance_window(
        Name="by-hand", Schedule="cron(0 2 * * ? *)", Duration=2, Cutoff=1, AllowUnassociatedTargets=True
    )["WindowId"]
    node = ssm.describe_instance_information()["InstanceInformationList"][0]["InstanceId"]
    for document in ("AWS-RunPatchBaseline", "AWS-RunShellScript"):
        ssm.register_task_with_maintenance_window(
            WindowId=window,
            TaskType="RUN_COMMAND",
            TaskArn=document,
            Targets=[{"Key": "InstanceIds", "Values": [node]}],
            MaxConcurrency="1",
            MaxErrors="1",
        )
    _, (location,) = told(capsys, "--read-only")
    what = findings(location)["foreign-window"]["what"]
    assert f"runs AWS-RunPatchBaseline, AWS-RunShellScript on InstanceIds={node}: it patches" in what


def test_a_fleet_and_policy_in_order_end_with_0(lab: LabHandle, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["--location", "222222222222/eu-central-1"]
    assert main(["apply", "--yes", *POLICY, *place]) == 0
    s3 = lab.client("s3", account="222222222222", region="eu-central-1")
    for use in ("logs", "operations"):
        s3.create_bucket(
            Bucket=f"sluice-{use}-222222222222-eu-central-1",
            CreateBucketConfiguration={"LocationConstraint": "eu-central-1"},
        )
    lab.client("s3").create_bucket(
        Bucket="sluice-evidence-111111111111", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"}
    )
    trust = {"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"}, "Action": "sts:AssumeRole"}
    for ring in ("nonprod", "prod"):
        lab.client("iam", account="222222222222").create_role(
            RoleName=f"sluice-window-{ring}",
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )
    capsys.readouterr()
    code, (location,) = told(capsys, *POLICY, *place)
    assert {one["severity"] for one in location["findings"]} <= {"unknown", "note"}
    assert {kind["baseline"] for kind in location["nodes"]} == {"registered"}
    assert code == 0
