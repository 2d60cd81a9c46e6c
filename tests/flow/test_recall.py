"""A recalled patch is installed by nobody: not by what runs, not by what comes, not by the next apply."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from drive import Drive
from flow_world import HERE, NONPROD, PROD, SCAN, apply, at, run_of

from lab.testing import LabHandle
from sluice.__main__ import main
from sluice.aws import recalls
from sluice.aws.actual import read_actual
from sluice.aws.operations import Bucket
from sluice.aws.session import Connections, Duty
from sluice.core.errors import ReleaseError
from sluice.core.policy.desired import desired
from sluice.core.policy.plan import make_plan
from sluice.core.policy.policy import Policy
from sluice.flow import wave
from sluice.flow.manifest import read_manifest
from sluice.flow.recall import Recalled, lift, recall
from sluice.flow.run import Run
from sluice.flow.verify import verify

pytestmark = pytest.mark.usefixtures("in_process")

BUCKET = "sluice-operations-111111111111-eu-west-3"


def recalled(policy: Policy, patch: str) -> Recalled:
    (found,) = recall(policy, Connections.of(policy), patch, by="ops", because="it loses data")
    return found


def running(lab: LabHandle, policy: Policy, window: str, day: int) -> Run:
    """A release whose first wave is installing."""
    lab.advance_to(at(day, 2))
    run = run_of(policy, window, at(day, 3), run_id=f"w{day}")
    drive = Drive(lab, run)
    drive.until_admitted()
    while not in_progress(lab):
        found = wave.advance(run, HERE, 1, "install")
        assert found.state == "waiting", found
        drive.wait(None if found.execution else found.until, drive.now)
    return run


def in_progress(lab: LabHandle) -> set[str]:
    """Nodes on which a command runs now."""
    return {
        one.node_id
        for command in lab.location().commands.values()
        for one in command.invocations.values()
        if one.details == "InProgress"
    }


def soaked(lab: LabHandle, policy: Policy) -> None:
    for window, when in ((NONPROD, at(17, 3)), (SCAN, at(30, 1))):
        lab.advance_to(when - timedelta(hours=1))
        run = run_of(policy, window, when, run_id=f"r-{when:%m%d%H}")
        Drive(lab, run).release()
        verify(run)


def test_what_installs_it_is_cancelled_and_what_does_not_goes_on(lab: LabHandle, policy: Policy) -> None:
    soaked(lab, policy)
    run = running(lab, policy, PROD, 30)
    made = read_manifest(run)
    assert made is not None
    nodes = in_progress(lab)
    assert recalled(policy, "never-heard-of").cancelled == ()
    assert in_progress(lab) == nodes
    found = recalled(policy, made.items[0].title)
    assert found.left == ()
    assert set(found.nodes) == nodes
    assert len(found.cancelled) == 2  # the execution, and its command
    lab.advance(minutes=30)
    assert not in_progress(lab)
    with run.connect(HERE) as connection:
        assert wave.advance(run, HERE, 1, "install").state != "waiting"
        assert recalls.read(connection, Bucket(BUCKET, "sluice"), made.items[0].title) == found.recall


def test_a_run_before_production_is_cancelled_where_a_node_of_it_lacks_the_patch(
    lab: LabHandle, policy: Policy
) -> None:
    lab.advance_to(at(17, 1))
    scan = run_of(policy, SCAN, at(17, 1), run_id="s17")
    Drive(lab, scan).release()
    running(lab, policy, NONPROD, 17)
    assert recalled(policy, "never-heard-of").cancelled == ()
    missing = [
        one["KBId"]
        for node in in_progress(lab)
        for one in lab.client("ssm").describe_instance_patches(InstanceId=node)["Patches"]
        if one["State"] == "MISSING"
    ]
    assert recalled(policy, missing[0]).cancelled


def armed(lab: LabHandle, policy: Policy, window: str, day: int) -> tuple[Run, Drive]:
    """A release whose first wave opens in ten minutes: its window is enabled."""
    lab.advance_to(at(day, 2, 50))
    run = run_of(policy, window, at(day, 3), run_id=f"w{day}")
    drive = Drive(lab, run)
    drive.until_admitted()
    assert wave.advance(run, HERE, 1, "install").until == at(day, 3)
    assert enabled(lab) == [f"sluice-{window}"]
    return run, drive


def enabled(lab: LabHandle) -> list[str]:
    return [one.name for one in lab.location().windows.values() if one.enabled]


def missing(lab: LabHandle) -> str:
    """A KB or package that nodes of non-production lack."""
    found = lab.client("ec2").describe_instances(Filters=[{"Name": "tag:Patch Group", "Values": ["nonprod-linux"]}])
    node = found["Reservations"][0]["Instances"][0]["InstanceId"]
    rows = lab.client("ssm").describe_instance_patches(InstanceId=node)["Patches"]
    return next(str(one["KBId"]) for one in rows if one["State"] == "MISSING")


def test_a_window_of_production_that_is_open_to_install_it_is_disabled_and_the_release_held(
    lab: LabHandle, policy: Policy
) -> None:
    soaked(lab, policy)
    run, drive = armed(lab, policy, PROD, 30)
    made = read_manifest(run)
    assert made is not None
    assert (recalled(policy, "never-heard-of").disabled, enabled(lab)) == ((), [f"sluice-{PROD}"])
    found = recalled(policy, made.items[0].title)
    assert (found.disabled, found.cancelled, found.left) == ((PROD,), (), ())
    done = drive.wave(HERE, 1, "install")
    assert (done.state, "recalled" in done.reason) == ("held", True)
    lab.advance(hours=6)
    assert not in_progress(lab)
    assert done.execution is None


def test_a_window_before_production_is_disabled_too_where_the_releases_nodes_lack_it(
    lab: LabHandle, policy: Policy
) -> None:
    lab.advance_to(at(17, 1))
    Drive(lab, run_of(policy, SCAN, at(17, 1), run_id="s17")).release()
    _, drive = armed(lab, policy, NONPROD, 17)
    assert recalled(policy, "never-heard-of").disabled == ()
    assert recalled(policy, missing(lab)).disabled == (NONPROD,)
    done = drive.wave(HERE, 1, "install")
    assert (done.state, "recalled" in done.reason) == ("held", True)


def test_what_is_recalled_between_the_preflight_and_the_opening_opens_nowhere(lab: LabHandle, policy: Policy) -> None:
    lab.advance_to(at(17, 1))
    Drive(lab, run_of(policy, SCAN, at(17, 1), run_id="s17")).release()
    lab.advance_to(at(17, 2, 50))
    drive = Drive(lab, run_of(policy, NONPROD, at(17, 3), run_id="w17"))
    drive.until_admitted()
    recalled(policy, "never-heard-of")
    assert wave.look(drive.run, HERE, 1, "install").due, "none of its nodes lacks that"
    recalled(policy, missing(lab))
    done = drive.wave(HERE, 1, "install")
    assert (done.state, "recalled" in done.reason) == ("held", True)
    assert enabled(lab) == []


def test_until_the_next_apply_a_recall_keeps_installs_back_and_scans_go_on(lab: LabHandle, policy: Policy) -> None:
    lab.advance_to(at(17))
    recalled(policy, "openssl.x86_64:1:3.0.8-1.amzn2023.0.20")
    scan = run_of(policy, SCAN, at(17, 1), run_id="s17")
    assert Drive(lab, scan).release()["report"]["outcome"] == "released"
    lab.advance_to(at(17, 2, 50))
    with pytest.raises(ReleaseError, match="rejected"):
        Drive(lab, run_of(policy, NONPROD, at(17, 3), run_id="w17")).until_admitted()
    apply(policy)
    again = run_of(policy, NONPROD, at(17, 3), run_id="w17b")
    assert Drive(lab, again).release()["report"]["outcome"] == "released"
    lab.advance_to(at(18, 0, 50))
    scan = run_of(policy, SCAN, at(18, 1), run_id="s18")
    assert Drive(lab, scan).release()["report"]["outcome"] == "released"


def rejected(policy: Policy) -> set[str]:
    """The objects that a plan would change, with what is recalled."""
    with_connection = Connections.of(policy).open(policy.locations[0], Duty.POLICY_APPLIER)
    try:
        wanted = desired(recalls.merged(policy, with_connection), "111111111111", "eu-west-3")
        plan = make_plan("111111111111", "eu-west-3", wanted, read_actual(with_connection, policy.deployment))
    finally:
        with_connection.close()
    return {one.key.name for one in plan.pending}


def test_the_next_apply_rejects_it_in_every_baseline_until_it_is_lifted(lab: LabHandle, policy: Policy) -> None:
    assert rejected(policy) == set()
    recalled(policy, "openssl.x86_64:1:3.0.8-1.amzn2023.0.20")
    assert rejected(policy) == {"nonprod-amazon", "prod-amazon"}
    lift(policy, Connections.of(policy), "openssl.x86_64:1:3.0.8-1.amzn2023.0.20", by="ops")
    assert rejected(policy) == set()


def test_recalled_twice_it_keeps_who_was_first(lab: LabHandle, policy: Policy) -> None:
    first = recalled(policy, "kb5060531")
    lab.advance(hours=2)
    again = recalled(policy, "KB5060531")
    assert again.recall == first.recall
    assert first.recall is not None
    assert first.recall.patch == "KB5060531"


@pytest.mark.parametrize("patch", ["", "*", "../x", "a b", "openssl*"])
def test_what_is_no_patch_is_refused_before_anything_is_written(lab: LabHandle, policy: Policy, patch: str) -> None:
    with pytest.raises(ReleaseError, match="nothing was recalled"):
        recalled(policy, patch)
    assert lab.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="recalls/")["KeyCount"] == 0


@pytest.fixture
def file(policy: Policy, tmp_path: Path) -> str:
    """The policy as a file: the command line reads it so."""
    path = tmp_path / "policy.json"
    path.write_text(policy.model_dump_json(by_alias=True, exclude_unset=True))
    (tmp_path / "policy.yaml").write_text(path.read_text())
    return str(tmp_path / "policy.yaml")


def test_the_command_recalls_names_who_has_it_and_lifts(
    lab: LabHandle, policy: Policy, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.advance_to(at(17))
    scan = run_of(policy, SCAN, at(17, 1), run_id="s17")
    Drive(lab, scan).release()
    verify(scan)
    arguments = ["recall", "bash", "--policy", file]
    assert main(arguments) == 1
    assert "expected --reason" in capsys.readouterr().err
    assert main([*arguments, "--reason", "it loses data"]) == 0
    shown = capsys.readouterr().out
    assert "recalled in 1 of 1 locations" in shown
    assert "4 nodes have it" in shown
    assert main([*arguments, "--lift"]) == 0
    assert "bash may be installed again" in capsys.readouterr().out
    assert main([*arguments, "--lift"]) == 0
    assert "bash was not recalled" in capsys.readouterr().out


def test_the_command_replays_a_decision_offline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dataclasses import replace

    from sluice.core.release.gate import Facts, Limits, decide

    limits = Limits(95, 36, 90, None, False, "never", 4)
    decision = decide(Facts("r", "w", at(1), "observe", limits))
    path = tmp_path / "decision.json"
    path.write_text(json.dumps(decision.as_json()))
    assert main(["gate", "replay", str(path)]) == 0
    assert "nothing, as recorded" in capsys.readouterr().out
    path.write_text(json.dumps(replace(decision, verdict="open").as_json()))
    assert main(["gate", "replay", str(path)]) == 1
    assert "the record says open, deciding again says nothing" in capsys.readouterr().err
    path.write_text("{")
    assert main(["gate", "replay", str(path)]) == 1
    assert "expected JSON" in capsys.readouterr().err
    assert main(["gate", "replay", str(tmp_path / "none.json")]) == 1
    assert "none that can be read" in capsys.readouterr().err
