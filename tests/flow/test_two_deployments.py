"""Two deployments in one account, with the same names of windows and one operations bucket, leave each other alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from drive import Drive
from flow_world import HERE, NONPROD, SCAN, SMALL, apply, at, run_of, small

from lab.testing import LabHandle
from sluice.aws import halts, operations, recalls
from sluice.aws.session import Connections, Duty
from sluice.core.errors import ReleaseError
from sluice.core.policy.policy import Policy
from sluice.flow.halt import halt
from sluice.flow.preflight import preflight
from sluice.flow.recall import recall
from sluice.flow.resolve import resolve
from sluice.flow.wave import advance

pytestmark = pytest.mark.usefixtures("in_process")

THREE = at(17, 3)


@pytest.fixture
def other(policy: Policy, tmp_path: Path) -> Policy:
    """A pilot beside the policy, applied: groups and evidence of its own, and otherwise the same names."""
    groups = [{**one, "name": f"pilot-{one['name']}"} for one in SMALL["patch_groups"]]
    windows = [
        {**one, **({"patch_groups": f"pilot-{one['patch_groups']}"} if "patch_groups" in one else {})}
        for one in SMALL["windows"]
    ]
    found = small(tmp_path / "pilot", deployment="pilot", patch_groups=groups, windows=windows)
    apply(found)
    return found


def test_their_windows_of_one_name_are_driven_at_the_same_hour(lab: LabHandle, policy: Policy, other: Policy) -> None:
    for window, hour in ((SCAN, 1), (NONPROD, 3)):
        lab.advance_to(at(17, hour - 1, 50))
        drive = Drive(lab, run_of(policy, window, at(17, hour)))
        drive.until_admitted()
        kind = "scan" if window == SCAN else "install"
        assert advance(drive.run, HERE, 1, kind).state == "waiting"
        beside = run_of(other, window, at(17, hour))
        resolve(beside, HERE)
        assert preflight(beside, [HERE])["refused"] == {}
        assert drive.wave(HERE, 1, kind).state == "done"


def test_halting_all_of_one_halts_nothing_of_the_other(lab: LabHandle, policy: Policy, other: Policy) -> None:
    lab.advance_to(at(17, 2, 50))
    drive = Drive(lab, run_of(policy, NONPROD, THREE))
    drive.until_admitted()
    assert advance(drive.run, HERE, 1, "install").state == "waiting"
    assert all(one.marked for one in halt(other, Connections.of(other), None, by="bob", because="the pilot is broken"))
    assert drive.wave(HERE, 1, "install").state == "done"
    beside = run_of(other, NONPROD, THREE)
    with beside.connect(HERE) as connection:
        why = halts.mark_of(connection, operations.bucket_of(other, connection), beside.release.id)
    assert "halted by bob" in str(why)


def test_evidence_that_is_another_deployments_is_refused_before_anything_is_begun(
    policy: Policy, other: Policy
) -> None:
    run_of(policy, NONPROD, THREE)
    shared = other.model_copy(update={"evidence": policy.evidence})
    with pytest.raises(ReleaseError, match=r"expected the evidence of deployment pilot .* found that of sluice"):
        run_of(shared, NONPROD, THREE)
    run_of(policy, SCAN, THREE)


def test_what_one_recalls_the_other_installs(lab: LabHandle, policy: Policy, other: Policy) -> None:
    recall(other, Connections.of(other), "openssl.x86_64", by="bob", because="the pilot's web servers do not start")
    for one, number in ((other, 1), (policy, 0)):
        connection = Connections.of(one).open(one.locations[0], Duty.READER)
        assert len(recalls.listed(connection, operations.bucket_of(one, connection))) == number
        connection.close()
