"""What a plan says of others' objects, and that applying it leaves them alone."""

from __future__ import annotations

import json

import pytest
from policies import (
    SMALL,
    apply,
    changed,
    connect,
    foreign_things,
    plan,
    small,
    theirs_window,
)

from lab.testing import LabHandle
from sluice.aws.apply import apply_plan
from sluice.core.errors import TakeOverError
from sluice.core.policy import reboot_document

pytestmark = pytest.mark.usefixtures("aws_environment", "accounts")


def test_foreign_objects_are_never_touched_not_even_of_the_same_name(lab: LabHandle) -> None:
    theirs = foreign_things(lab)
    location = lab.location()
    before = (
        location.baselines[theirs["baseline"]].body,
        repr(location.windows[theirs["window"]]),
        repr(location.associations[theirs["association"]]),
        location.patch_groups["theirs", "AMAZON_LINUX_2023"],
    )
    connection = connect(small())
    apply(connection, small())
    apply(connection, changed(small(), "windows", 1, "duration_hours", value=6))
    apply_plan(connection, "sluice", plan(connection, small(), empty=True))
    assert before == (
        location.baselines[theirs["baseline"]].body,
        repr(location.windows[theirs["window"]]),
        repr(location.associations[theirs["association"]]),
        location.patch_groups["theirs", "AMAZON_LINUX_2023"],
    )


def test_two_deployments_in_one_account_do_not_touch_each_other(lab: LabHandle) -> None:
    one = small(extras={})
    other = small(
        deployment="other",
        extras={},
        patch_groups=[
            {"name": "their-linux", "ring": "nonprod", "baselines": ["ubuntu"], "products": ["UBUNTU 22.04"]}
        ],
        windows=[],
        baselines=[{"name": "ubuntu", "os": "UBUNTU", "rules": [{"priority": ["Required"]}]}],
    )
    connection = connect(one)
    apply(connection, one)
    apply(connection, other)
    assert plan(connection, one).pending == ()
    apply_plan(connection, "other", plan(connection, other, empty=True))
    assert plan(connection, one).pending == ()


def test_the_document_stays_while_another_deployment_has_windows_and_goes_with_the_last(lab: LabHandle) -> None:
    pilot = small(
        deployment="pilot",
        baselines=[{"name": "ubuntu", "os": "UBUNTU", "rules": [{"priority": ["Required"]}]}],
        patch_groups=[{"name": "pilot", "ring": "nonprod", "baselines": ["ubuntu"], "products": ["UBUNTU 22.04"]}],
        windows=[{**SMALL["windows"][0], "patch_groups": ["pilot"]}],
        extras={},
    )
    connection = connect(small())
    apply(connection, pilot)
    apply(connection, small())
    leaving = plan(connection, pilot, empty=True)
    assert [(notice.kind, notice.id) for notice in leaving.notices[:1]] == [("document", reboot_document.NAME)]
    assert "stays: windows of other deployments run it (sluice)" in leaving.notices[0].effect
    apply_plan(connection, "pilot", leaving)
    assert plan(connection, pilot, empty=True).pending == ()
    assert reboot_document.NAME in lab.location().documents
    assert plan(connection, small()).pending == ()
    apply_plan(connection, "sluice", plan(connection, small(), empty=True))
    assert reboot_document.NAME not in lab.location().documents


def test_a_group_that_a_foreign_baseline_serves_needs_to_be_taken_over(lab: LabHandle) -> None:
    ssm = lab.client("ssm")
    baseline = ssm.create_patch_baseline(Name="theirs", OperatingSystem="UBUNTU")["BaselineId"]
    ssm.register_patch_baseline_for_patch_group(BaselineId=baseline, PatchGroup="nonprod-linux")
    connection = connect(small())
    made = plan(connection, small())
    assert made.needs() == ("nonprod-linux",)
    lab.server.calls.clear()
    with pytest.raises(TakeOverError, match="--take-over 'nonprod-linux'"):
        apply_plan(connection, "sluice", made)
    assert lab.server.calls.total(mutating=True) == 0
    apply_plan(connection, "sluice", made, ("nonprod-linux",))
    assert plan(connection, small()).pending == ()
    assert baseline in lab.location().baselines


def test_a_foreign_window_on_a_group_is_named_with_what_would_change_for_it(lab: LabHandle) -> None:
    window = theirs_window(lab, "nonprod-linux")
    connection = connect(small())
    made = plan(connection, small())
    (notice,) = made.notices
    assert (notice.id, notice.take_over) == (window, ("nonprod-linux",))
    assert "becomes the policy's at once" in notice.effect
    with pytest.raises(TakeOverError):
        apply_plan(connection, "sluice", made)
    apply(connection, small(), "nonprod-linux")
    later = plan(connection, changed(small(), "windows", 1, "duration_hours", value=5))
    assert [notice.take_over for notice in later.notices] == [()]
    assert later.needs() == ()


def test_an_association_on_every_node_and_a_patch_policy_are_reported(lab: LabHandle) -> None:
    ssm = lab.client("ssm")
    ssm.create_association(
        Name="AWS-RunPatchBaseline",
        AssociationName="nightly",
        Parameters={"Operation": ["Scan"]},
        Targets=[{"Key": "InstanceIds", "Values": ["*"]}],
    )
    ssm.create_association(
        Name="AWS-RunPatchBaseline",
        AssociationName="AWS-QuickSetup-PatchPolicy-ScanForPatches-LA-abcde",
        Parameters={"Operation": ["Scan"]},
        Targets=[{"Key": "InstanceIds", "Values": ["*"]}],
    )
    made = plan(connect(small()), small())
    assert [(notice.kind, notice.take_over) for notice in made.notices] == [
        ("association", ("nonprod-linux", "prod windows")),
        ("patch policy", ()),
    ]


def test_a_document_of_others_by_our_name_is_not_overwritten(lab: LabHandle) -> None:
    step = {"name": "a", "action": "aws:runShellScript", "inputs": {"runCommand": ["true"]}}
    theirs = json.dumps({"schemaVersion": "2.2", "mainSteps": [step]})
    lab.client("ssm").create_document(Name=reboot_document.NAME, Content=theirs, DocumentType="Command")
    connection = connect(small())
    made = plan(connection, small())
    assert made.needs() == (f"document {reboot_document.NAME}",)
    apply_plan(connection, "sluice", made, made.needs())
    assert plan(connection, small()).pending == ()
