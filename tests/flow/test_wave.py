"""A window is opened once for a wave, for its nodes, at its time, and is at rest afterwards, whoever interferes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from drive import Drive
from flow_world import HERE, NONPROD, PROD, SCAN, at, run_of

from lab.ssm.model import Window
from lab.testing import LabHandle
from sluice.aws import leases, window_tasks
from sluice.aws.actual import read_actual
from sluice.aws.halts import write
from sluice.aws.operations import bucket_of
from sluice.aws.session import Connection, Connections, Duty
from sluice.core.errors import ReleaseError
from sluice.core.halt_mark import Mark
from sluice.core.policy.desired import desired
from sluice.core.policy.plan import make_plan
from sluice.core.policy.policy import Policy
from sluice.core.window_objects import at_rest
from sluice.flow.admit import read_parts
from sluice.flow.close import close
from sluice.flow.records import read_record, read_records
from sluice.flow.report import report
from sluice.flow.run import Run
from sluice.flow.sweep import sweep
from sluice.flow.verify import verify
from sluice.flow.wave import advance, look

pytestmark = pytest.mark.usefixtures("in_process")

THREE = at(3, 3)


@pytest.fixture
def connection(policy: Policy) -> Iterator[Connection]:
    found = Connections.of(policy).open(policy.locations[0], Duty.NONPROD_INSTALLER)
    yield found
    found.close()


def admitted(lab: LabHandle, policy: Policy, when: datetime = THREE, window: str = NONPROD, **asked: Any) -> Run:
    """A release whose nodes are admitted, ten minutes before its time: now it may be opened."""
    lab.advance_to(when - timedelta(minutes=10))
    run = run_of(policy, window, when, **asked)
    Drive(lab, run).until_admitted()
    return run


def window_of(lab: LabHandle, name: str = NONPROD) -> Window:
    return next(one for one in lab.location().windows.values() if one.name == f"sluice-{name}")


def executions(lab: LabHandle, name: str = NONPROD) -> list[Any]:
    window_id = window_of(lab, name).window_id
    return [one for one in lab.location().executions.values() if one.window_id == window_id]


def pending(policy: Policy, connection: Connection) -> Any:
    wanted = desired(policy, connection.account, connection.region)
    actual = read_actual(connection, policy.deployment)
    return make_plan(connection.account, connection.region, wanted, actual).pending


def halt(policy: Policy, connection: Connection, release: str) -> None:
    mark = Mark(release, "somebody", "a test", connection.now())
    write(connection, bucket_of(policy, connection), mark)


def drive(lab: LabHandle, run: Run, kind: Any = "install") -> Any:
    return Drive(lab, run).wave(HERE, 1, kind)


def test_a_wave_installs_on_its_nodes_at_its_time_and_leaves_the_window_at_rest(
    policy: Policy, lab: LabHandle, connection: Connection
) -> None:
    run = admitted(lab, policy)
    first = advance(run, HERE, 1, "install")
    assert (first.state, first.until) == ("waiting", THREE)
    window = window_of(lab)
    assert (window.enabled, window.schedule, window.duration) == (True, "at(2025-06-03T03:00:00)", 4)
    done = drive(lab, run)
    assert (done.state, done.counts) == ("done", {"expected": 2, "success": 2, "missing": 0, "failed": 0})
    assert [one.start for one in executions(lab)] == [THREE]
    record = read_record(run, connection, 1, "install")
    assert record is not None
    prefix = f"install-nonprod/2025/06/03/{run.release.id}/1-install/nonprod-linux.AMAZON_LINUX_2023"
    assert {one.prefix for one in lab.location().commands.values()} == {prefix}
    assert {one.node for one in record.results} == set(record.nodes)
    assert pending(policy, connection) == ()


def test_a_window_is_opened_shortly_before_its_time_and_not_when_its_run_begins(
    policy: Policy, lab: LabHandle, connection: Connection
) -> None:
    lab.advance_to(THREE - timedelta(hours=2))
    run = run_of(policy, NONPROD, THREE)
    Drive(lab, run).until_admitted()
    before = lab.server.calls.total(mutating=True)
    found = advance(run, HERE, 1, "install")
    assert (found.state, found.until, found.due) == ("waiting", THREE - timedelta(minutes=10), False)
    assert lab.server.calls.total(mutating=True) == before, "not even its lease is taken"
    lab.advance_to(THREE - timedelta(minutes=10))
    assert look(run, HERE, 1, "install").due
    assert advance(run, HERE, 1, "install").until == THREE
    assert window_of(lab).enabled


def test_what_still_runs_of_another_release_is_waited_for_before_the_window_changes(
    policy: Policy, lab: LabHandle, connection: Connection
) -> None:
    first = admitted(lab, policy)
    advance(first, HERE, 1, "install")
    lab.advance_to(THREE + timedelta(seconds=5))
    advance(first, HERE, 1, "install")
    close(first)  # as after a run that somebody has marked failed
    (running,) = executions(lab)
    assert running.status == "IN_PROGRESS"
    other = run_of(policy, NONPROD, THREE + timedelta(seconds=5), run_id="r2")
    Drive(lab, other).until_admitted()
    tasks = dict(window_of(lab).tasks)
    found = advance(other, HERE, 1, "install")
    assert (found.state, found.reason) == ("waiting", "another execution of the window is running")
    assert window_of(lab).tasks == tasks
    done = drive(lab, other)
    assert done.state == "done"
    assert [one.status for one in executions(lab)] == ["SUCCESS", "SUCCESS"], "AWS skips what fires beside another"


def test_what_waits_for_a_reboot_is_rebooted_and_scanned_in_executions_of_their_own(
    policy: Policy, lab: LabHandle, connection: Connection
) -> None:
    told = Drive(lab, admitted(lab, policy, at(17, 3))).release()
    kinds = [told[f"wave-1-{kind}-{HERE}"] for kind in ("install", "reboot", "rescan")]
    assert [one.state for one in kinds] == ["done", "done", "done"]
    documents = [run.tasks[0].task.task_arn for run in executions(lab)]
    assert documents == ["AWS-RunPatchBaseline", "Sluice-RebootIfPending", "AWS-RunPatchBaseline"]
    assert kinds[2].counts["success"] == kinds[1].counts["expected"] > 0
    assert pending(policy, connection) == ()


def test_the_step_may_be_run_again_at_any_time_without_a_second_execution(policy: Policy, lab: LabHandle) -> None:
    run = admitted(lab, policy)
    progress = advance(run, HERE, 1, "install")
    while progress.state == "waiting":
        for other in (run, run_of(policy, NONPROD, THREE)):
            progress = advance(other, HERE, 1, "install")
        lab.advance(minutes=2)
    assert progress.state == "done"
    assert len(executions(lab)) == 1


def test_looking_changes_nothing_and_says_what_is_due(policy: Policy, lab: LabHandle) -> None:
    run = admitted(lab, policy)
    before = lab.server.calls.total(mutating=True)
    assert look(run, HERE, 1, "install").due
    assert lab.server.calls.total(mutating=True) == before
    advance(run, HERE, 1, "install")
    before = lab.server.calls.total(mutating=True)
    assert not look(run, HERE, 1, "install").due
    lab.advance_to(THREE + timedelta(seconds=1))
    assert look(run, HERE, 1, "install").due
    assert lab.server.calls.total(mutating=True) == before


def test_nothing_opens_where_less_than_the_cutoff_and_an_hour_is_left(
    policy: Policy, lab: LabHandle, connection: Connection
) -> None:
    run = admitted(lab, policy)
    lab.advance_to(THREE + timedelta(hours=2))
    late = advance(run, HERE, 1, "install")
    assert late.state == "late"
    assert advance(run, HERE, 1, "install") == late
    assert (executions(lab), pending(policy, connection)) == ([], ())


def test_a_halted_release_opens_nothing_and_what_is_open_is_closed_before_its_time(
    policy: Policy, lab: LabHandle, connection: Connection
) -> None:
    run = admitted(lab, policy)
    advance(run, HERE, 1, "install")
    halt(policy, connection, run.release.id)
    assert advance(run, HERE, 1, "install").state == "halted"
    other = admitted(lab, policy, at(4, 3), run_id="r2")
    halt(policy, connection, other.release.id)
    assert advance(other, HERE, 1, "install").state == "halted"
    lab.advance_to(at(4, 5))
    assert (executions(lab), pending(policy, connection)) == ([], ())


def test_a_window_that_somebody_disables_does_not_fire_which_is_a_failure(policy: Policy, lab: LabHandle) -> None:
    run = admitted(lab, policy)
    advance(run, HERE, 1, "install")
    lab.client("ssm").update_maintenance_window(WindowId=window_of(lab).window_id, Enabled=False)
    done = drive(lab, run)
    assert done.state == "failed"
    assert "did not fire" in done.reason
    assert executions(lab) == []


def test_a_node_that_somebody_adds_to_the_target_cancels_the_execution(
    policy: Policy, lab: LabHandle, connection: Connection
) -> None:
    run = admitted(lab, policy)
    advance(run, HERE, 1, "install")
    window = window_of(lab)
    (target,) = window.targets.values()
    nodes = [node for node in lab.location().nodes if node.startswith("i-")]
    lab.client("ssm").update_maintenance_window_target(
        WindowId=window.window_id,
        WindowTargetId=target.target_id,
        Targets=[{"Key": "InstanceIds", "Values": nodes}],
    )
    lab.advance_to(THREE + timedelta(seconds=5))
    done = drive(lab, run)
    assert done.state == "failed"
    assert "found also" in done.reason
    assert {one.status for one in lab.location().commands.values()} <= {"Cancelling", "Cancelled"}
    lab.advance(hours=2)
    assert [one.status for one in executions(lab)] == ["CANCELLED"]
    assert pending(policy, connection) == ()
    verify(run)
    told = report(run)
    assert (told["outcome"], told["ok"]) == ("partial", False)
    extra = sorted(set(nodes) - {node for _, members in read_parts(run, connection)[0].slots for node in members})
    assert f"reached and not expected: {', '.join(extra)}" in told["line"]
    assert "found also" in told["line"]


def test_an_automation_that_somebody_adds_to_the_window_is_not_this_waves_and_fails_it(
    policy: Policy, lab: LabHandle, connection: Connection
) -> None:
    run = admitted(lab, policy)
    advance(run, HERE, 1, "install")
    lab.client("ssm").register_task_with_maintenance_window(
        WindowId=window_of(lab).window_id, TaskType="AUTOMATION", TaskArn="Theirs"
    )
    lab.advance_to(THREE + timedelta(seconds=5))
    with pytest.raises(ReleaseError, match="find out who changes it"):  # what others add is not taken off
        drive(lab, run)
    record = read_record(run, connection, 1, "install")
    assert record is not None
    assert record.verdict == "failed"
    assert "not this wave's" in record.reason


def test_another_release_waits_for_the_window_and_is_told_whose_it_is(policy: Policy, lab: LabHandle) -> None:
    run = admitted(lab, policy)
    advance(run, HERE, 1, "install")
    other = run_of(policy, NONPROD, THREE, run_id="r2")
    with pytest.raises(ReleaseError, match=run.release.id):
        Drive(lab, other).until_admitted()


def test_closed_before_its_time_it_never_fires_and_its_lease_is_kept_until_then(
    policy: Policy, lab: LabHandle, connection: Connection
) -> None:
    run = admitted(lab, policy)
    advance(run, HERE, 1, "install")
    assert close(run)["at_rest"] == 1
    assert {one.verdict for one in read_records(run, connection).values()} == {"failed"}
    assert pending(policy, connection) == ()
    lease = leases.lease_of(connection, bucket_of(policy, connection), NONPROD)
    assert lease is not None
    assert (lease.owner, lease.expires) == (run.release.id, THREE + timedelta(minutes=10))
    lab.advance_to(THREE + timedelta(hours=1))
    assert executions(lab) == []
    assert close(run)["at_rest"] == 1
    lease = leases.lease_of(connection, bucket_of(policy, connection), NONPROD)
    assert lease is not None
    assert lease.owner is None


def test_closed_while_its_execution_runs_the_window_is_at_rest_at_once_and_what_began_ends(
    policy: Policy, lab: LabHandle, connection: Connection
) -> None:
    run = admitted(lab, policy)
    advance(run, HERE, 1, "install")
    lab.advance_to(THREE + timedelta(seconds=5))
    assert close(run)["at_rest"] == 1
    assert pending(policy, connection) == ()
    assert [one.status for one in executions(lab)] == ["IN_PROGRESS"]
    lab.advance_to(THREE + timedelta(hours=2))
    assert [one.status for one in executions(lab)] == ["SUCCESS"], "and no second one began"


def test_a_window_that_is_left_open_is_swept_and_one_that_is_driven_is_not(
    policy: Policy, lab: LabHandle, connection: Connection
) -> None:
    run = admitted(lab, policy)
    advance(run, HERE, 1, "install")
    other = run_of(policy, NONPROD, at(4, 3), run_id="r2")
    assert any("left alone" in one for one in sweep(other, connection))
    assert any("left alone" in one for one in sweep(run, connection)), "not even its own wave is swept"
    assert window_of(lab).enabled
    lab.advance_to(at(4, 2))
    assert any("is at rest now" in one for one in sweep(other, connection))
    assert (sweep(other, connection), pending(policy, connection)) == ([], ())


def test_a_scan_reaches_groups_by_their_tag_and_asked_for_nodes_by_id(policy: Policy, lab: LabHandle) -> None:
    tasks = dict(window_of(lab, SCAN).tasks)
    run = admitted(lab, policy, at(3, 1), SCAN)
    assert Drive(lab, run).wave(HERE, 1, "scan").counts["success"] == 4
    node = next(one for one in lab.location().nodes if one.startswith("i-"))
    some = admitted(lab, policy, at(4, 1), SCAN, run_id="r2", nodes=(node,))
    advance(some, HERE, 1, "scan")
    targets = [one.targets for one in window_of(lab, SCAN).targets.values()]
    assert [{"Key": "InstanceIds", "Values": [node]}] in targets
    assert window_of(lab, SCAN).tasks == tasks, "a scan changes no task"


def test_no_one_puts_an_ungated_install_on_production_or_any_where_only_is_observed(
    policy: Policy, lab: LabHandle, connection: Connection
) -> None:
    (task,) = at_rest(policy, PROD, connection.account, connection.region).tasks.values()
    install = replace(task, operation="Install")
    found = window_of(lab, PROD)
    (task_id,), (target_id,) = found.tasks, found.targets
    observe = policy.model_copy(update={"mode": "observe"})
    for given, why in ((None, "policy"), (policy, "manifest"), (observe, "observe")):
        with pytest.raises(ReleaseError, match=why):
            window_tasks.update(connection, found.window_id, task_id, target_id, install, given)
    with pytest.raises(ReleaseError, match="policy"):
        window_tasks.register(connection, found.window_id, target_id, install)
    assert {one.invocation_parameters["RunCommand"]["Parameters"]["Operation"][0] for one in found.tasks.values()} == {
        "Scan"
    }
    listed = replace(install, other_parameters=(("InstallOverrideList", ("s3://bucket/key",)),))
    window_tasks.update(connection, found.window_id, task_id, target_id, listed, policy)


def test_a_dry_run_and_a_reboot_that_nobody_asked_for_are_skipped(policy: Policy, lab: LabHandle) -> None:
    run = admitted(lab, policy)
    assert advance(replace(run, asked=replace(run.asked, dry_run=True)), HERE, 1, "install").state == "skipped"
    never = replace(run, asked=replace(run.asked, reboot="never"))
    assert {advance(never, HERE, 1, kind).state for kind in ("reboot", "rescan")} == {"skipped"}
    assert advance(run, HERE, 1, "ask").reason == "nothing has to be known of reboots"
    with pytest.raises(ReleaseError, match="expected an install"):
        advance(run, HERE, 1, "scan")
