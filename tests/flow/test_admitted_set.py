"""A release on the lab, whose nodes are tagged, launched, copied, started and stopped while it is under way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from drive import Drive
from flow_world import HERE, NONPROD, at, prepare, run_of
from nodes_flow import NODES_FLEET, named, wide

from lab.fleet import Fleet
from lab.testing import LabHandle
from sluice.core.policy.policy import Policy
from sluice.core.release.waves import IDS_AT_MOST

GROUP = {"Key": "Patch Group", "Value": "nonprod-linux"}
IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"


@pytest.fixture(params=[3, IDS_AT_MOST + 2], ids=["named by ids", "named by a tag"])
def lab_fleet(request: pytest.FixtureRequest) -> Fleet:
    groups = [
        one.model_copy(update={"count": request.param, "locations": [HERE]}) if one.name == "web-nonprod" else one
        for one in NODES_FLEET.groups
    ]
    return NODES_FLEET.model_copy(update={"groups": groups})


@pytest.fixture
def policy(aws_environment: LabHandle, tmp_path: Path) -> Policy:
    found = wide(tmp_path / "evidence")
    prepare(aws_environment, found)
    aws_environment.advance(hours=1)
    return found


def clients(lab: LabHandle) -> tuple[Any, Any]:
    account, region = HERE.split("/")
    return lab.client("ec2", account, region), lab.client("ssm", account, region)


def invoked(lab: LabHandle) -> set[str]:
    """Every node that any command was sent to in the location, by AWS's own account."""
    _, ssm = clients(lab)
    pages = ssm.get_paginator("list_command_invocations").paginate()
    return {one["InstanceId"] for page in pages for one in page["CommandInvocations"]}


def test_nothing_that_happens_to_nodes_makes_a_window_reach_one_that_was_not_admitted(
    policy: Policy, lab: LabHandle
) -> None:
    run = run_of(policy, NONPROD, at(2, 3), locations=(HERE,))
    drive = Drive(lab, run)
    drive.until_admitted()
    admitted = sorted(one.node for name, one in named(run).items() if name.startswith("web-nonprod"))
    assert drive.told["admit"]["admitted"] == len(admitted)
    history = _history(lab, admitted)
    drive.waited = lambda until: next(history, None)
    drive.waves()
    assert list(history) == [], "all of it happened while the release was waiting"
    assert invoked(lab) == set(admitted[1:]), "the stopped one is missed, and nobody is there in its place"


def _history(lab: LabHandle, admitted: list[str]) -> Iterator[None]:
    """What happens before the window opens, and while it is open."""
    ec2, ssm = clients(lab)
    others = strangers(lab, admitted)
    assert len(others) >= 5
    ec2.stop_instances(InstanceIds=[admitted[0]])
    ec2.create_tags(Resources=others[1:], Tags=[GROUP])
    image = ssm.get_parameter(Name=IMAGE)["Parameter"]["Value"]
    ec2.run_instances(
        ImageId=image, MinCount=2, MaxCount=2, InstanceType="t3.small", IamInstanceProfile={"Name": "ManagedNode"},
        TagSpecifications=[{"ResourceType": "instance", "Tags": [GROUP, {"Key": "Role", "Value": "web"}]}],
    )  # fmt: skip
    ec2.create_tags(Resources=[admitted[1]], Tags=[{"Key": "Patch Group", "Value": "prod-linux"}])
    yield
    ec2.create_tags(Resources=others[:1], Tags=[GROUP])
    yield


def strangers(lab: LabHandle, admitted: list[str]) -> list[str]:
    """The instances that were not admitted, of whatever group and state."""
    ec2, _ = clients(lab)
    found = (one["InstanceId"] for each in ec2.describe_instances()["Reservations"] for one in each["Instances"])
    return sorted(set(found) - set(admitted))


@pytest.mark.parametrize("lab_fleet", [3], indirect=True)
def test_the_groups_tag_would_have_reached_them(policy: Policy, lab: LabHandle) -> None:
    """What the test above would be worth nothing without."""
    ec2, ssm = clients(lab)
    ec2.create_tags(Resources=strangers(lab, []), Tags=[GROUP])
    ssm.send_command(
        DocumentName="AWS-RunPatchBaseline", Parameters={"Operation": ["Scan"]},
        Targets=[{"Key": "tag:Patch Group", "Values": ["nonprod-linux"]}],
    )  # fmt: skip
    lab.advance(minutes=30)
    assert len(invoked(lab)) >= 5
