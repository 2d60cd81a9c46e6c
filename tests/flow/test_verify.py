"""What is reported of a node is this release's doing, and said to be another's where it is not."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from drive import Drive
from flow_world import HERE, NONPROD, PROD, SCAN, SMALL, at, prepare, run_of, small
from read_back import UntilClosed, driven, failing, rows

from lab.evaluate import Evr
from lab.faults import FaultRule
from lab.rules import Rule
from lab.testing import LabHandle
from sluice.aws import patch_states
from sluice.core.ledger import Demand, fold
from sluice.core.policy.policy import Policy
from sluice.core.release.terms import PatchKey, Reason
from sluice.evidence import queries
from sluice.flow.manifest import known_sightings
from sluice.flow.report import report
from sluice.flow.resolve import resolve
from sluice.flow.run import Run
from sluice.flow.verify import verify

pytestmark = pytest.mark.usefixtures("in_process")


def test_a_scan_reads_every_node_back_and_knows_its_own_by_the_command(lab: LabHandle, policy: Policy) -> None:
    run = driven(lab, policy, SCAN, at(4, 1))
    told = verify(run)
    assert told == {
        "nodes": 4, "succeeded": 4, "failed": 0, "pending_reboot": 0, "missed": 0, "reasons": {}, "arrivals": 0,
        "unread": {}, "extra": [],
    }  # fmt: skip
    summaries = rows(run, "patch_summaries")
    assert {(one["result"], one["ours"], one["joined_by"], one["operation"]) for one in summaries} == {
        ("succeeded", True, "command", "Scan")
    }
    states = rows(run, "patch_states")
    for one in summaries:
        mine = [state["state"] for state in states if state["node"] == one["node"]]
        assert mine.count("MISSING") == one["missing"]
        assert mine.count("INSTALLED") == one["installed"]
    (execution,) = rows(run, "window_executions")
    assert (execution["state"], execution["nodes"], execution["invoked"], execution["succeeded"]) == ("done", 4, 4, 4)
    invocations = rows(run, "command_invocations")
    assert len(invocations) == 4
    assert all(one["seconds"] > 0 and one["output"].startswith("s3://sluice-logs-") for one in invocations)
    took = queries.durations(run.store, SCAN, date(2025, 6, 4), date(2025, 6, 4), kind="scan")
    assert sum(one.invocations for one in took.values()) == 4


@pytest.fixture
def generous(aws_environment: LabHandle, tmp_path: Path) -> Policy:
    """The small policy with an install that goes on whatever fails."""
    windows = [
        {**window, "concurrency": "100%", "errors": "100%"} if window["name"] == NONPROD else window
        for window in SMALL["windows"]
    ]
    found = small(tmp_path / "evidence", windows=windows)
    prepare(aws_environment, found)
    return found


def test_what_failed_on_a_node_that_was_rebooted_in_the_same_release_has_failed_and_voids_its_soak(
    lab: LabHandle, generous: Policy
) -> None:
    verify(driven(lab, generous, NONPROD, at(17, 3), reboot="never"))  # what waits makes the next release reboot it
    bad = failing(lab, "web-nonprod-02")
    run = driven(lab, generous, NONPROD, at(30, 3))
    with run.connect(HERE) as connection:
        assert "FAILED" not in {row.state for row in patch_states.of_node(connection, bad, "")}, "the scan's word"
    verify(run)
    (summary,) = (one for one in rows(run, "patch_summaries") if one["node"] == bad)
    assert (summary["result"], summary["operation"]) == ("failed", "Scan")
    failed = {one["title"] for one in rows(run, "patch_states") if one["node"] == bad and one["state"] == "FAILED"}
    assert failed
    _, ring = generous.rings
    entries = fold(known_sightings(run, at(30, 6)), "AMAZON_LINUX_2023", Demand(ring, "nonprod"), at(30, 6))
    assert failed <= {one.title for one in entries if one.status == "void"}


def test_what_failed_is_told_with_its_line_and_what_rebooted_counts_by_the_scan_that_followed(
    lab: LabHandle, generous: Policy
) -> None:
    bad = failing(lab, "web-nonprod-02")
    run = driven(lab, generous, NONPROD, at(17, 3))
    told = verify(run)
    assert (told["succeeded"], told["failed"]) == (1, 1)
    by_node = {one["node"]: one for one in rows(run, "patch_summaries")}
    (good,) = (one for node, one in by_node.items() if node != bad)
    assert (good["result"], good["operation"], good["ours"]) == ("succeeded", "Scan", True)
    assert by_node[bad]["line"].startswith("failed on it: ")
    assert ": FAILED " in by_node[bad]["line"]  # what its output says
    found = report(run)
    assert (found["outcome"], found["ok"]) == ("partial", False)
    assert found["line"].startswith("1 of 2 nodes done, 1 failed")
    page = Path(found["files"]["html"]).read_text("utf-8")
    assert bad in page
    assert by_node[bad]["line"][:60] in page
    again = run_of(generous, NONPROD, at(17, 9), run_id="again", retry_of=run.release.id)
    assert resolve(again, HERE)["expected"] == 1


def test_a_node_that_a_command_never_came_to_is_told_why(lab: LabHandle, policy: Policy) -> None:
    bad = failing(lab, "web-nonprod-02")  # one at a time, and this one is the first
    run = driven(lab, policy, NONPROD, at(17, 3))
    assert verify(run)["failed"] == 2
    (other,) = (one for one in rows(run, "patch_summaries") if one["node"] != bad)
    assert other["line"].startswith("Cancelled: Terminated: more of the others failed than the window allows")


def test_production_is_known_by_its_manifest_and_reported_with_it(lab: LabHandle, policy: Policy) -> None:
    for window, when in ((NONPROD, at(17, 3)), (SCAN, at(30, 1))):
        verify(driven(lab, policy, window, when))
    run = driven(lab, policy, PROD, at(30, 3))
    assert run.recorded("verified") is None
    found = report(run)  # which reads back what nobody has read back
    assert (found["outcome"], found["ok"], found["line"]) == (
        "released", True, "2 of 2 nodes done, 2 of them wait for a reboot",
    )  # fmt: skip
    assert {(one["ours"], one["joined_by"]) for one in rows(run, "patch_summaries")} == {(True, "override list")}
    page = Path(found["files"]["html"]).read_text("utf-8")
    for section in ("Gate", "Manifest", "Backups", "Time line", "Arrived on production"):
        assert section in page
    (reported,) = queries.releases(run.store, date(2025, 6, 30), date(2025, 6, 30), window=PROD)
    assert (reported.release, reported.outcome, reported.pending_reboot) == (run.release.id, "released", 2)


def soaked(lab: LabHandle, folder: Path, reboot: str) -> tuple[Run, set[PatchKey], set[PatchKey]]:
    """A night's install, as non-production reboots; what waits for a reboot then, and what of it has soaked later."""
    windows = [{**one, **({"reboot": reboot} if one["name"] == NONPROD else {})} for one in SMALL["windows"]]
    policy = small(folder, windows=windows)
    prepare(lab, policy)
    verify(driven(lab, policy, SCAN, at(6, 1)))
    run = driven(lab, policy, NONPROD, at(6, 3))
    told = verify(run)
    assert (told["succeeded"], told["pending_reboot"], told["failed"]) == (0, 2, 0)
    verify(later := driven(lab, policy, SCAN, at(7, 1)))
    waiting, again = (
        {PatchKey(one["product"], one["id"], one["title"]): one["needless"] for one in rows(each, "patch_states")
         if one["state"] == "INSTALLED_PENDING_REBOOT"}
        for each in (run, later)
    )  # fmt: skip
    assert waiting.keys() <= again.keys()
    assert not any(again.values()), "nobody was asked then"
    ring = next(one for one in policy.rings if one.production)
    known = list(queries.sightings(run.store, date(2025, 6, 1), date(2025, 6, 30)))
    product = next(iter(waiting)).product
    entries = fold(known, product, Demand(ring, "nonprod", timedelta(days=30)), at(13, 4))
    return run, set(waiting), {entry.key for entry in entries if entry.soaked}


def test_what_needs_no_reboot_soaks_although_aws_counts_it_as_waiting_for_one(
    aws_environment: LabHandle, tmp_path: Path
) -> None:
    lab = aws_environment
    lab.world.rules.add(Rule(kind="script", match="*", exit_code=0))  # "no reboot is pending", the document says
    _, waiting, has_soaked = soaked(lab, tmp_path / "evidence", "if_needed")
    assert waiting <= has_soaked


@pytest.mark.parametrize("pending", ["no", "yes"])
def test_where_nothing_reboots_nodes_are_asked_and_what_needs_none_soaks(
    aws_environment: LabHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pending: str
) -> None:
    lab = aws_environment
    monkeypatch.setattr("lab.scripts.ScriptStep.reboot_required", lambda step: pending == "yes")
    booted = {one.node_id: one.booted_at for one in lab.location().nodes.values()}
    run, waiting, has_soaked = soaked(lab, tmp_path / "evidence", "never")
    assert has_soaked & waiting == (waiting if pending == "no" else set())
    assert {one.node_id: one.booted_at for one in lab.location().nodes.values()} == booted
    (asked,) = (one for one in rows(run, "window_executions") if one["kind"] == "ask")
    assert (asked["state"], asked["succeeded"]) == ("done", 2)
    assert report(run)["line"] == "2 of 2 nodes done, 2 of them wait for a reboot"


def test_nodes_that_cannot_be_asked_are_no_failure(aws_environment: LabHandle, tmp_path: Path) -> None:
    lab = aws_environment
    lab.world.rules.add(Rule(kind="script", match="*", outcome="Failed", exit_code=1))
    run, waiting, has_soaked = soaked(lab, tmp_path / "evidence", "never")
    assert not has_soaked & waiting
    found = report(run)
    assert (found["outcome"], found["ok"]) == ("released", True)


PROD_LINUX = {"Key": "tag:Patch Group", "Values": ["prod-linux"]}


def associated(lab: LabHandle, name: str, operation: str) -> str:
    """An association of others that patches production; its id."""
    made = lab.client("ssm").create_association(
        Name="AWS-RunPatchBaseline", AssociationName=name, Parameters={"Operation": [operation]}, Targets=[PROD_LINUX]
    )
    return str(made["AssociationDescription"]["AssociationId"])


def windowed(lab: LabHandle, name: str, operation: str) -> str:
    """A window of others that patches production, and next in July; its id."""
    ssm = lab.client("ssm")
    window = ssm.create_maintenance_window(
        Name=name, Schedule="cron(0 12 1 JUL ? *)", Duration=2, Cutoff=1, AllowUnassociatedTargets=True
    )["WindowId"]
    target = ssm.register_target_with_maintenance_window(
        WindowId=window, ResourceType="INSTANCE", Targets=[PROD_LINUX]
    )["WindowTargetId"]
    ssm.register_task_with_maintenance_window(
        WindowId=window, TaskArn="AWS-RunPatchBaseline", TaskType="RUN_COMMAND", MaxConcurrency="1", MaxErrors="1",
        Targets=[{"Key": "WindowTargetIds", "Values": [target]}],
        TaskInvocationParameters={"RunCommand": {"Parameters": {"Operation": [operation]}}},
    )  # fmt: skip
    return str(window)


def came_meanwhile(lab: LabHandle, policy: Policy) -> Run:
    """Two scans, between which somebody installs on production: the second one."""
    assert verify(driven(lab, policy, SCAN, at(24, 1)))["arrivals"] == 0
    nodes = [one.node_id for one in lab.location().nodes.values() if (one.name or "").startswith("web-prod")]
    lab.client("ssm").send_command(
        DocumentName="AWS-RunPatchBaseline", InstanceIds=nodes, Parameters={"Operation": ["Install"]}
    )
    run = driven(lab, policy, SCAN, at(25, 1))
    assert verify(run)["arrivals"] > 0
    return run


def test_what_others_install_with_is_on_its_nodes_rows_and_is_the_cause_of_what_came_meanwhile(
    lab: LabHandle, policy: Policy
) -> None:
    labels = {f"association {associated(lab, 'Patch-All', 'Install')} (Patch-All)"}
    labels |= {f"window {windowed(lab, 'theirs', 'Install')} (theirs)"}
    run = came_meanwhile(lab, policy)
    told = {one["other"] for one in rows(run, "patch_states") if one["ring"] == "prod"}
    assert [set(one.split(", ")) for one in told] == [labels]
    assert {one["other"] for one in rows(run, "patch_states") if one["ring"] != "prod"} == {None}
    assert {(one["cause"], one["detail"]) for one in rows(run, "arrivals")} >= {("other patcher", next(iter(told)))}
    assert {one["cause"] for one in rows(run, "arrivals")} == {"other patcher"}


def test_nothing_is_put_down_to_others_that_only_scan_or_whose_window_is_disabled(
    lab: LabHandle, policy: Policy
) -> None:
    associated(lab, "Scan-All", "Scan")
    associated(lab, "AWS-QuickSetup-PatchPolicy-ScanForPatches-LA-abcde", "Scan")
    windowed(lab, "scans", "Scan")
    disabled = windowed(lab, "disabled", "Install")
    lab.client("ssm").update_maintenance_window(WindowId=disabled, Enabled=False)
    run = came_meanwhile(lab, policy)
    assert {one["other"] for one in rows(run, "patch_states")} == {None}
    assert all("between two looks" in one["detail"] for one in rows(run, "arrivals"))


def test_what_patches_a_node_by_itself_is_on_that_nodes_rows_alone(lab: LabHandle, policy: Policy) -> None:
    node = next(one for one in lab.location().nodes.values() if (one.name or "").startswith("web-prod"))
    node.packages = node.packages.with_installed({"dnf-automatic.noarch": Evr(0, "4.14.0", "8.amzn2023")})
    run = driven(lab, policy, SCAN, at(4, 1))
    verify(run)
    labelled = {one["node"]: one["other"] for one in rows(run, "patch_states") if one["other"]}
    assert labelled == {node.node_id: "dnf-automatic"}


def test_a_release_of_before_others_were_recorded_is_read_back_as_it_was(lab: LabHandle, policy: Policy) -> None:
    associated(lab, "Patch-All", "Install")
    run = driven(lab, policy, SCAN, at(4, 1))
    run.record("preflight", {name: one for name, one in run.recorded("preflight").items() if name != "others"})
    assert verify(run)["succeeded"] == 4
    assert {one["other"] for one in rows(run, "patch_states")} == {None}


def test_a_location_that_cannot_be_read_is_named_and_read_by_the_retry(lab: LabHandle, policy: Policy) -> None:
    run = driven(lab, policy, SCAN, at(4, 1))
    lab.server.faults.add(FaultRule(kind="access_denied", service="ssm", operation="DescribeInstancePatches"))
    told = verify(run)
    assert (told["missed"], told["reasons"], list(told["unread"])) == (4, {"location failed": 4}, [HERE])
    found = report(run)
    assert (found["outcome"], found["ok"]) == ("partial", False)
    assert f"not read back: {HERE}" in found["line"]
    lab.server.faults.clear()
    assert verify(run)["succeeded"] == 4
    assert [one["result"] for one in rows(run, "patch_summaries")] == ["succeeded"] * 4
    assert report(run)["outcome"] == "released"


def test_a_node_that_was_stopped_is_a_number_with_a_reason_and_no_failure(lab: LabHandle, policy: Policy) -> None:
    node = next(one for one in lab.location().nodes.values() if one.name == "web-prod-01")
    lab.client("ec2").stop_instances(InstanceIds=[node.node_id])
    run = driven(lab, policy, SCAN, at(4, 1))
    told = verify(run)
    assert (told["succeeded"], told["missed"], told["reasons"]) == (3, 1, {str(Reason.STOPPED): 1})
    found = report(run)
    assert (found["outcome"], found["ok"], found["line"]) == (
        "released", True, "3 of 3 nodes scanned; missed 1: 1 stopped",
    )  # fmt: skip


def test_a_release_that_was_too_late_says_so_and_reads_no_node(lab: LabHandle, policy: Policy) -> None:
    lab.advance_to(at(4, 3))
    run = run_of(policy, NONPROD, at(4, 3))
    drive = UntilClosed(lab, run)
    drive.until_admitted()
    lab.advance_to(at(4, 5, 30))  # half an hour before the cutoff
    drive.waves()
    found = report(run)
    assert (found["outcome"], found["ok"]) == ("late", True)
    assert {one["result"] for one in rows(run, "patch_summaries")} == {"missed"}


def test_a_release_that_stopped_before_anything_has_a_report(lab: LabHandle, policy: Policy) -> None:
    run = run_of(policy, NONPROD, at(4, 3))
    found = report(run)
    assert (found["outcome"], found["ok"]) == ("held", False)
    assert Path(found["files"]["html"]).exists()
    json.dumps(found)


def test_a_canary_that_does_not_come_through_its_reboot_stops_the_release_and_is_told(
    aws_environment: LabHandle, tmp_path: Path
) -> None:
    lab = aws_environment
    changed = {"waves": {"canary": 1, "settle_minutes": 1}, "reboot": "if_needed"}
    windows = [{**one, **(changed if one["name"] == NONPROD else {})} for one in SMALL["windows"]]
    policy = small(tmp_path / "evidence", windows=windows)
    prepare(lab, policy)
    lab.advance_to(at(17, 2, 40))
    lab.world.rules.add(Rule(kind="script", match="*", outcome="Failed", exit_code=1))
    told = Drive(lab, run_of(policy, NONPROD, at(17, 3))).release()
    assert told["barrier-1"]["stop"] == "1 of 1 nodes failed (100 %), more than the failure budget of 5 %"
    assert not any(name.startswith("wave-2-") for name in told)
    assert (told["report"]["outcome"], told["report"]["ok"]) == ("partial", False)
    assert "1 failed" in told["report"]["line"]
