"""A location with anything wrong is refused before anything has changed there, and stops no other."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flow_world import HERE, NONPROD, PROD, at, prepare, run_of
from nodes_flow import BOTH, NODES_FLEET, THERE, excepting, named, wide

from lab.faults import FaultRule
from lab.fleet import Fleet
from lab.instance_profiles import OWN_POLICY
from lab.testing import LabHandle
from sluice.aws import leases, node_tags, operations
from sluice.core.errors import ReleaseError
from sluice.core.policy.policy import Policy
from sluice.evidence import tables
from sluice.flow.preflight import preflight
from sluice.flow.resolve import resolve
from sluice.flow.run import Run

pytestmark = pytest.mark.usefixtures("in_process")

UNKNOWN = "unknown whether"


@pytest.fixture
def lab_fleet() -> Fleet:
    return NODES_FLEET


@pytest.fixture
def policy(aws_environment: LabHandle, tmp_path: Path) -> Policy:
    """Of the first location alone, applied."""
    found = wide(tmp_path / "evidence")
    found = found.model_copy(update={"locations": found.locations[:1]})
    prepare(aws_environment, found)
    aws_environment.advance(hours=1)
    return found


@pytest.fixture
def both(aws_environment: LabHandle, tmp_path: Path) -> Policy:
    """Of both locations, applied."""
    found = wide(tmp_path / "evidence")
    prepare(aws_environment, found)
    aws_environment.advance(hours=1)
    return found


def begun(policy: Policy, window: str = NONPROD, **asked: Any) -> Run:
    run = run_of(policy, window, at(3, 3), **asked)
    for location in run.locations:
        resolve(run, location.key)
    return run


def keys(policy: Policy) -> list[str]:
    return [location.key for location in policy.locations]


def ssm(lab: LabHandle) -> Any:
    return lab.client("ssm", "111111111111", "eu-west-3")


def window_id(lab: LabHandle, name: str = NONPROD) -> str:
    (found,) = ssm(lab).describe_maintenance_windows(Filters=[{"Key": "Name", "Values": [f"sluice-{name}"]}])[
        "WindowIdentities"
    ]
    return str(found["WindowId"])


def refused(policy: Policy, window: str = NONPROD) -> str:
    """Why the location is refused."""
    with pytest.raises(ReleaseError, match="no location is ready, and nothing was changed") as error:
        preflight(begun(policy, window), keys(policy))
    return str(error.value).partition(f"{HERE}: ")[2]


def test_what_is_as_the_policy_has_it_is_ready_and_what_nobody_knows_is_said(policy: Policy, lab: LabHandle) -> None:
    run = begun(policy)
    lab.server.calls.clear()
    told = preflight(run, keys(policy))
    assert (told["ready"], told["refused"]) == ([HERE], {})
    (unknown,) = told["warnings"]
    assert unknown.partition(UNKNOWN)[1] == UNKNOWN
    assert "no past durations of nonprod-linux.AMAZON_LINUX_2023" in unknown
    assert run.recorded("preflight") == told
    changes = {row["operation"] for row in lab.server.calls.counts(mutating=True)}
    assert changes == set(), "a location that is at rest is only looked at"


def test_drift_refuses_the_location_and_names_the_fields(policy: Policy, lab: LabHandle) -> None:
    ssm(lab).update_maintenance_window(WindowId=window_id(lab), Duration=5)
    assert "window install-nonprod is not as the policy has it (duration_hours): python -m" in refused(policy)


def test_a_window_that_is_not_there_refuses_the_location(policy: Policy, lab: LabHandle) -> None:
    ssm(lab).delete_maintenance_window(WindowId=window_id(lab))
    why = refused(policy)
    assert "window install-nonprod is not there: python -m sluice plan, then apply" in why


def test_drift_of_another_window_is_not_this_releases_business(policy: Policy, lab: LabHandle) -> None:
    ssm(lab).update_maintenance_window(WindowId=window_id(lab, PROD), Duration=5)
    assert preflight(begun(policy), keys(policy))["refused"] == {}


def test_a_baseline_that_was_changed_refuses_the_location(policy: Policy, lab: LabHandle) -> None:
    baselines = ssm(lab).describe_patch_baselines(Filters=[{"Key": "OWNER", "Values": ["Self"]}])["BaselineIdentities"]
    nonprod = next(one["BaselineId"] for one in baselines if one["BaselineName"].endswith("nonprod-amazon"))
    ssm(lab).update_patch_baseline(BaselineId=nonprod, RejectedPatches=["openssl"])
    assert "baseline nonprod-amazon is not as the policy has it (rejected" in refused(policy)


def test_a_window_that_another_release_drives_refuses_the_location(policy: Policy, lab: LabHandle) -> None:
    run = begun(policy)
    with run.connect(HERE) as connection:
        now = connection.now()
        bucket = operations.bucket_of(policy, connection)
        other = "install-nonprod-20250602T0300-0123abcd"
        leases.acquire(connection, bucket, NONPROD, other, now=now, expires=now + timedelta(hours=1))
    assert f"expected window install-nonprod to be free, found it driven by {other}" in refused(policy)


def test_a_retry_that_drives_the_window_already_is_not_refused_for_that(policy: Policy, lab: LabHandle) -> None:
    run = begun(policy)
    with run.connect(HERE) as connection:
        now = connection.now()
        bucket = operations.bucket_of(policy, connection)
        leases.acquire(connection, bucket, NONPROD, run.release.id, now=now, expires=now + timedelta(hours=1))
    ssm(lab).update_maintenance_window(
        WindowId=window_id(lab), Schedule="at(2025-06-03T03:00:00)", Enabled=True, ScheduleTimezone="UTC"
    )
    told = preflight(run, keys(policy))
    assert told["refused"] == {}
    assert ssm(lab).get_maintenance_window(WindowId=window_id(lab))["Enabled"], "nor is it swept"


def test_a_stale_open_window_is_swept_first(policy: Policy, lab: LabHandle) -> None:
    ssm(lab).update_maintenance_window(
        WindowId=window_id(lab), Schedule="at(2025-06-02T00:30:00)", Enabled=True, ScheduleTimezone="UTC"
    )
    told = preflight(begun(policy), keys(policy))
    assert told["refused"] == {}
    assert any("was left open or half way by a release, and is at rest now" in text for text in told["warnings"])


def test_tags_of_earlier_releases_are_taken_off_and_those_of_one_under_way_are_not(
    policy: Policy, lab: LabHandle
) -> None:
    run = begun(policy)
    web = sorted(one.node for name, one in named(run).items() if name.startswith("web-nonprod"))
    past, now = (f"install-nonprod-2025060{day}T0300-0123abcd/s/1" for day in (1, 3))
    with run.connect(HERE) as connection:
        node_tags.put(connection, web[:1], past)
        node_tags.put(connection, web[1:], now)
        told = preflight(run, keys(policy))
        assert node_tags.carriers(connection, "*") == {web[1]: now}
    assert any(text.endswith("took the tag of earlier releases off 1 nodes") for text in told["warnings"])


def test_a_bucket_that_is_not_there_refuses_the_location(policy: Policy, lab: LabHandle) -> None:
    lab.client("s3", "111111111111", "eu-west-3").delete_bucket(Bucket="sluice-logs-111111111111-eu-west-3")
    assert refused(policy).startswith("the bucket sluice-logs-111111111111-eu-west-3 is not there")


def test_nodes_that_may_not_use_the_buckets_refuse_the_location(policy: Policy, lab: LabHandle) -> None:
    lab.client("iam").delete_role_policy(RoleName="ManagedNode", PolicyName=OWN_POLICY)
    assert refused(policy) == (
        "2 nodes with the role of ManagedNode may not s3:PutObject on sluice-logs-111111111111-eu-west-3: attach"
        " include/cloudformation/node-policy.yaml to it"
    )


def test_nobody_knows_whether_nodes_may_use_the_buckets_where_the_simulator_cannot_be_asked(
    policy: Policy, lab: LabHandle
) -> None:
    lab.server.faults.add(FaultRule(kind="access_denied", operation="SimulatePrincipalPolicy"))
    told = preflight(begun(policy), keys(policy))
    assert told["refused"] == {}
    assert told["warnings"][0].startswith(f"{HERE}: unknown whether 2 nodes may use the buckets (ManagedNode): ")


def test_a_bucket_whose_own_policy_allows_something_leaves_it_unknown(policy: Policy, lab: LabHandle) -> None:
    lab.client("iam").delete_role_policy(RoleName="ManagedNode", PolicyName=OWN_POLICY)
    bucket = "sluice-logs-111111111111-eu-west-3"
    allow = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:*",'
        f' "Resource": "arn:aws:s3:::{bucket}/*"}}]}}'
    )
    lab.client("s3", "111111111111", "eu-west-3").put_bucket_policy(Bucket=bucket, Policy=allow)
    told = preflight(begun(policy), keys(policy))
    assert told["refused"] == {}
    assert "allows something of its own, which the simulator leaves out" in told["warnings"][0]


def foreign(lab: LabHandle, number: int, document: str = "AWS-RunShellScript") -> None:
    """A window of others at 04:00 each day."""
    made = ssm(lab).create_maintenance_window(
        Name=f"theirs-{number}", Schedule="cron(0 4 * * ? *)", Duration=2, Cutoff=1, AllowUnassociatedTargets=True
    )
    ssm(lab).register_task_with_maintenance_window(
        WindowId=made["WindowId"], TaskArn=document, TaskType="RUN_COMMAND", MaxConcurrency="1", MaxErrors="1",
        Targets=[{"Key": "InstanceIds", "Values": ["i-0123456789abcdef0"]}],
        TaskInvocationParameters={"RunCommand": {"Parameters": {"Operation": ["Scan"]}}} if "Patch" in document else {},
    )  # fmt: skip


def test_more_windows_at_that_hour_than_aws_runs_refuse_the_location_unless_the_quota_is_raised(
    policy: Policy, lab: LabHandle
) -> None:
    for number in range(4):
        foreign(lab, number)
    assert preflight(begun(policy), keys(policy))["refused"] == {}
    foreign(lab, 4)
    assert "found 5 others while install-nonprod is open (theirs-" in refused(policy)
    raised = excepting(policy, findings=["P118"])
    told = preflight(run_of(raised, NONPROD, at(3, 3)), keys(policy))
    assert told["refused"] == {}
    assert any("expected at most 5 windows open at once" in text for text in told["warnings"])


def test_a_window_of_others_that_patches_at_that_hour_is_named(policy: Policy, lab: LabHandle) -> None:
    foreign(lab, 1, "AWS-RunPatchBaseline")
    told = preflight(begun(policy), keys(policy))
    assert told["refused"] == {}
    assert any("patches at 2025-06-03 04:00 UTC while install-nonprod is open" in text for text in told["warnings"])


def associated(lab: LabHandle, name: str, operation: str, *targets: dict[str, Any]) -> str:
    """An association of others that patches; its id."""
    made = ssm(lab).create_association(
        Name="AWS-RunPatchBaseline",
        AssociationName=name,
        Parameters={"Operation": [operation]},
        Targets=targets or [{"Key": "tag:Patch Group", "Values": ["nonprod-linux"]}],
    )
    return str(made["AssociationDescription"]["AssociationId"])


def test_what_of_others_installs_on_the_releases_groups_is_told_and_kept(policy: Policy, lab: LabHandle) -> None:
    theirs = associated(lab, "Patch-All", "Install")
    policy_of_others = associated(
        lab, "AWS-QuickSetup-PatchPolicy-InstallPatches-LA-x", "Install", {"Key": "InstanceIds", "Values": ["*"]}
    )
    associated(lab, "Scan-All", "Scan")
    associated(lab, "Production", "Install", {"Key": "tag:Patch Group", "Values": ["prod-linux"]})
    lab.server.calls.clear()
    run = begun(policy)
    told = preflight(run, keys(policy))
    assert told["refused"] == {}
    labels = [
        f"association {theirs} (Patch-All)",
        f"patch policy {policy_of_others} (AWS-QuickSetup-PatchPolicy-InstallPatches-LA-x)",
    ]
    first, second = run.recorded("preflight")["others"][HERE]
    assert [first["label"], second["label"]] == labels
    assert first["groups"] == ["nonprod-linux"]
    warned = [text for text in told["warnings"] if "installs on" in text]
    assert warned[0] == f"{HERE}: installs on nonprod-linux too: {labels[0]}"
    asked = [row for row in lab.server.calls.counts() if row["operation"] == "DescribeAssociation"]
    assert sum(row["count"] for row in asked) == 3, "of one that is on other groups alone nothing is asked"


def test_where_the_operation_of_others_cannot_be_read_that_is_told_and_nothing_is_put_down_to_them(
    policy: Policy, lab: LabHandle
) -> None:
    theirs = associated(lab, "Patch-All", "Install")
    lab.server.faults.add(FaultRule(kind="access_denied", service="ssm", operation="DescribeAssociation"))
    told = preflight(begun(policy), keys(policy))
    assert (told["ready"], told["others"]) == ([HERE], {HERE: []})
    (warned,) = (text for text in told["warnings"] if "Patch-All" in text)
    assert "unknown whether this installs on nonprod-linux too, so that nothing is put down to it" in warned
    assert f"association {theirs} (Patch-All)" in warned


def test_a_window_of_others_installs_on_the_targets_of_its_task_that_installs_alone(
    policy: Policy, lab: LabHandle
) -> None:
    made = ssm(lab).create_maintenance_window(
        Name="theirs", Schedule="cron(0 12 ? * SAT *)", Duration=2, Cutoff=1, AllowUnassociatedTargets=True
    )["WindowId"]
    new = {"TaskInvocationParameters": {"RunCommand": {"Parameters": {"Operation": ["Scan"]}}}}
    old = {"TaskParameters": {"Operation": {"Values": ["Install"]}}}
    for said, group in ((new, "nonprod-linux"), (old, "prod-linux")):
        target = ssm(lab).register_target_with_maintenance_window(
            WindowId=made, ResourceType="INSTANCE", Targets=[{"Key": "tag:Patch Group", "Values": [group]}]
        )["WindowTargetId"]
        ssm(lab).register_task_with_maintenance_window(
            WindowId=made, TaskArn="AWS-RunPatchBaseline", TaskType="RUN_COMMAND", MaxConcurrency="1", MaxErrors="1",
            Targets=[{"Key": "WindowTargetIds", "Values": [target]}], **said,
        )  # fmt: skip
    assert preflight(begun(policy), keys(policy))["others"] == {HERE: []}
    assert preflight(begun(policy, PROD), keys(policy))["others"] == {
        HERE: [{"label": f"window {made} (theirs)", "groups": ["prod-linux"]}]
    }


def test_a_release_that_by_its_past_does_not_fit_is_refused(policy: Policy) -> None:
    before = run_of(policy, NONPROD, at(2, 3), run_id="before")
    row = {
        "location": HERE, "wave": 1, "kind": "install", "execution": "e", "slot": "nonprod-linux.AMAZON_LINUX_2023",
        "node": "i-1", "command": "c", "status": "Success", "seconds": 6000.0,
    }  # fmt: skip
    tables.write(before.store, "command_invocations", before.release, HERE, [row])
    assert "wave 1 of 1 ends at 2025-06-03 06:20 UTC" in refused(policy)
    assert begun(policy).recorded("preflight")["ready"] == [], "what refused it stays readable"


def test_a_location_that_cannot_be_asked_stops_no_other(both: Policy, lab: LabHandle) -> None:
    run = begun(both)
    lab.server.faults.add(
        FaultRule(kind="access_denied", service="sts", operation="AssumeRole", contains="222222222222")
    )
    told = preflight(run, BOTH)
    assert told["ready"] == [HERE]
    assert "cannot be assumed" in told["refused"][THERE]
    assert preflight(run, (HERE,))["refused"][THERE] == "its nodes could not be resolved"


def test_nothing_goes_on_where_no_location_is_ready(policy: Policy) -> None:
    with pytest.raises(ReleaseError, match=r"no location is ready, and nothing was changed:\n111111111111/eu-west-3: "):
        preflight(begun(policy), ())


def test_nodes_that_were_asked_for_and_are_nowhere_are_named(policy: Policy) -> None:
    with pytest.raises(ReleaseError, match="found i-0123456789abcdef0: in no location that was asked"):
        preflight(begun(policy, nodes=("i-0123456789abcdef0",)), keys(policy))
