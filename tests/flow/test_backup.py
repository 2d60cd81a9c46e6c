"""An image of each node before it is patched: asked for as fast as AWS lets, found again by every retry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from flow_world import HERE, NONPROD, at, run_of
from nodes_flow import called, many, named, register, wide

from lab.ec2.images import fail_images
from lab.faults import FaultRule
from lab.fleet import Fleet
from lab.testing import LabHandle
from sluice.core.errors import ReleaseError
from sluice.core.policy.policy import Policy
from sluice.flow.backup import look, outcome, start
from sluice.flow.resolve import resolve
from sluice.flow.run import Run

BACKUP = {"mode": "on", "keep_days": 10}


@pytest.fixture
def lab_fleet() -> Fleet:
    return many(2)


def nonprod(folder: Path, backup: Any) -> Policy:
    """The policy whose non-production window, which has no gate, backs up."""
    found = wide(folder)
    windows = [
        window.model_copy(update={"backup": type(window.backup).model_validate(backup)})
        if window.name == NONPROD
        else window
        for window in found.windows
    ]
    return found.model_copy(update={"windows": tuple(windows)})


@pytest.fixture
def policy(aws_environment: LabHandle, tmp_path: Path) -> Policy:
    found = nonprod(tmp_path / "evidence", BACKUP)
    register(aws_environment, found)
    aws_environment.advance(hours=1)
    aws_environment.world.settings.image_seconds = 60
    return found


def begun(policy: Policy, **asked: Any) -> Run:
    run = run_of(policy, NONPROD, at(2, 3), **asked)
    resolve(run, HERE)
    return run


def images(lab: LabHandle) -> list[dict[str, Any]]:
    ec2 = lab.client("ec2", "111111111111", "eu-west-3")
    return list(ec2.describe_images(Owners=["self"])["Images"])


def carry_through(run: Run, lab: LabHandle, rounds: int = 100) -> dict[str, Any]:
    """What a task and its trigger do: look, and ask for more when that is due."""
    told = start(run, HERE)
    for _ in range(rounds):
        if told["state"] != "waiting":
            return told
        lab.advance(seconds=60)
        told = look(run, HERE)
        if told["state"] == "waiting" and told["due_now"]:
            told = start(run, HERE)
    raise AssertionError(f"not done after {rounds} looks: {told}")


def test_each_node_gets_an_image_with_its_tags_on_image_and_snapshots(policy: Policy, lab: LabHandle) -> None:
    run = begun(policy)
    assert start(run, HERE) == {
        "state": "waiting",
        "available": 0,
        "pending": 2,
        "failed": 0,
        "missing": 0,
        "due": None,
    }
    lab.advance(minutes=5)
    assert look(run, HERE)["state"] == "done"
    node = named(run)["web-nonprod-01"].node
    image = next(one for one in images(lab) if one["Name"].endswith(node))
    assert image["Name"] == f"{run.release.id}/{node}"
    wanted = {
        "Name": image["Name"],
        "sluice:deployment": "sluice",
        "sluice:release": run.release.id,
        "sluice:node": node,
        "sluice:expires": "2025-06-12",
    }
    ec2 = lab.client("ec2", "111111111111", "eu-west-3")
    snapshot = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    tagged = ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]
    for tags in (image["Tags"], tagged["Tags"]):
        assert {tag["Key"]: tag["Value"] for tag in tags} == wanted


@pytest.mark.parametrize("reboot", [False, True])
def test_a_node_is_rebooted_for_its_image_only_where_the_policy_says_so(
    policy: Policy, lab: LabHandle, tmp_path: Path, reboot: bool
) -> None:
    run = begun(nonprod(tmp_path / "evidence", {**BACKUP, "reboot": reboot}))
    ids = {one.node for one in named(run).values() if one.slot}
    booted = {node.node_id: node.booted_at for node in lab.location().nodes.values() if node.node_id in ids}
    start(run, HERE)
    lab.advance(minutes=20)
    now = {id: lab.location().nodes[id].booted_at for id in booted}
    assert all((now[id] > booted[id]) is reboot for id in booted)
    assert len(booted) == 2


def test_a_retry_finds_the_images_of_the_first_try(policy: Policy, lab: LabHandle) -> None:
    run = begun(policy)
    first = start(run, HERE)
    assert start(run, HERE) == first
    lab.advance(minutes=5)
    assert start(begun(policy), HERE)["available"] == 2
    assert called(lab)["CreateImage"] == 2
    assert len(images(lab)) == 2


def test_a_lost_reply_leaves_no_second_image(policy: Policy, lab: LabHandle) -> None:
    lab.server.faults.add(FaultRule(kind="lost_reply", service="ec2", operation="CreateImage", times=1))
    assert carry_through(begun(policy), lab)["available"] == 2
    assert len(images(lab)) == 2


def test_a_failed_image_is_named_and_the_others_are_made(policy: Policy, lab: LabHandle) -> None:
    run = begun(policy)
    node = named(run)["web-nonprod-01"].node
    fail_images(lab.location(), node)
    told = carry_through(run, lab)
    assert (told["state"], told["available"], told["failed"]) == ("done", 1, 1)
    with run.connect(HERE) as connection:
        found = outcome(run, connection)
    assert found is not None
    assert "is failed" in found.without()[node]


def test_a_node_that_is_gone_is_named_and_holds_up_no_other(policy: Policy, lab: LabHandle) -> None:
    run = begun(policy)
    node = named(run)["web-nonprod-01"].node
    lab.client("ec2", "111111111111", "eu-west-3").terminate_instances(InstanceIds=[node])
    lab.advance(minutes=1)
    told = carry_through(run, lab)
    assert (told["available"], told["failed"]) == (1, 1)


def test_images_are_waited_for_until_the_latest_start_and_no_longer(policy: Policy, lab: LabHandle) -> None:
    lab.world.settings.image_seconds = 6 * 3600
    run = begun(policy)
    assert start(run, HERE)["state"] == "waiting"
    lab.advance_to(at(2, 4, 49))
    assert look(run, HERE)["state"] == "waiting"
    lab.advance_to(at(2, 4, 51))
    assert look(run, HERE) | {"due": None} == {
        "state": "done", "available": 0, "pending": 2, "failed": 0, "missing": 0, "due": None, "due_now": False,
    }  # fmt: skip


def test_a_look_changes_nothing_and_asks_for_what_is_missing_when_that_is_due(policy: Policy, lab: LabHandle) -> None:
    run = begun(policy)
    assert look(run, HERE)["due_now"], "nothing was asked for yet"
    start(run, HERE)
    lab.server.calls.clear()
    look(run, HERE)
    assert lab.server.calls.total(mutating=True) == 0


def test_nothing_is_backed_up_where_it_is_off_or_nothing_opens(policy: Policy, lab: LabHandle) -> None:
    for number, asked in enumerate(({"backup": "off"}, {"dry_run": True})):
        run = begun(policy, run_id=f"r{number}", **asked)
        assert start(run, HERE)["state"] == look(run, HERE)["state"] == "off"
    assert "CreateImage" not in called(lab)


def test_nobody_goes_without_a_required_backup(policy: Policy, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="install-nonprod requires backups"):
        start(begun(nonprod(tmp_path / "evidence", "required"), backup="off"), HERE)


class TestManyNodes:
    """More nodes than AWS takes images of at a time."""

    @pytest.fixture
    def lab_fleet(self) -> Fleet:
        found = many(2)
        groups = [one.model_copy(update={"count": 60}) if one.name == "web-nonprod" else one for one in found.groups]
        return found.model_copy(update={"groups": groups})

    def test_the_rate_is_learned_from_throttles_and_every_node_gets_its_image(
        self, policy: Policy, lab: LabHandle
    ) -> None:
        lab.world.settings.pending_snapshots = 15
        run = begun(policy)
        told = carry_through(run, lab)
        assert (told["available"], told["failed"], told["missing"]) == (60, 0, 0)
        assert called(lab)["CreateImage"] < 60 * 2, "most calls are not in vain"

    def test_a_throttled_api_ends_a_round_and_not_the_backup(
        self, policy: Policy, lab: LabHandle, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        once = Config(retries={"mode": "standard", "total_max_attempts": 1})  # the SDK's own pauses are of real time
        monkeypatch.setattr("sluice.aws.session.CONFIG", once)
        lab.server.faults.add(FaultRule(kind="throttle", service="ec2", operation="CreateImage", after=4, times=3))
        run = begun(policy)
        told = start(run, HERE)
        assert (told["pending"], told["missing"]) == (4, 56)
        assert start(run, HERE)["pending"] == 4, "the next round is not due yet"
        assert carry_through(run, lab)["available"] == 60

    def test_every_page_of_images_is_read(
        self, policy: Policy, lab: LabHandle, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sluice.aws.images.PAGE", 7)
        run = begun(policy)
        told = carry_through(run, lab)
        assert (told["available"], told["failed"], told["missing"]) == (60, 0, 0)
        asked = called(lab)["DescribeImages"]
        assert look(run, HERE)["available"] == 60
        assert called(lab)["DescribeImages"] - asked == 9, "sixty images by seven"
