"""What a plan says and what applying it does, on the lab."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from policies import (
    FOUR,
    INSTALL,
    apply,
    apply_everywhere,
    changed,
    connect,
    foreign_things,
    plan,
    plan_everywhere,
    small,
    state,
    window_named,
)

from lab.faults import FaultRule
from lab.testing import LabHandle
from sluice.aws.apply import apply_plan
from sluice.aws.permissions import declared
from sluice.aws.session import Connection
from sluice.core.errors import AnswerError, AWSError
from sluice.core.policy import reboot_document
from sluice.core.policy.objects import CANNOT_FIRE, DOCUMENT, TASK, WINDOW, Key
from sluice.files import SHIPPED, read_policy

pytestmark = pytest.mark.usefixtures("aws_environment", "accounts")


def test_a_policy_goes_round_over_two_accounts_with_two_regions(lab: LabHandle) -> None:
    policy = small(locations=FOUR, roles={"assume": True})
    first = plan_everywhere(policy)
    assert [outcome.error for outcome in first] == [None] * 4
    assert all(outcome.value and outcome.value.count("create") == len(outcome.value.changes) for outcome in first)
    assert all(outcome.error is None for outcome in apply_everywhere(policy))
    assert [outcome.value and outcome.value.pending for outcome in plan_everywhere(policy)] == [()] * 4

    other = changed(policy, "windows", 1, "duration_hours", value=5)
    for outcome in plan_everywhere(other):
        assert outcome.value is not None
        (change,) = outcome.value.pending
        assert (change.action, change.key) == ("update", Key(WINDOW, "install-nonprod"))
        assert [(one.field, one.before, one.after) for one in change.differences] == [("duration_hours", "4", "5")]
    apply_everywhere(other)
    assert [outcome.value and outcome.value.pending for outcome in plan_everywhere(other)] == [()] * 4
    assert all(
        state(lab, location["account"], location["region"])["windows"][0]["schedule"][2] == 5 for location in FOUR
    )


@pytest.mark.parametrize(
    ("path", "value", "noun", "field"),
    [
        (("baselines", 0, "rules", 0, "approve_after_days"), 3, "baseline", "rules[0].approve_after_days"),
        (("baselines", 1, "rules", 0, "priority"), ["Required"], "baseline", "rules[0].filters.PRIORITY"),
        (("baselines", 2, "rejected", "patches"), ["KB4519999"], "baseline", "rejected"),
        (("windows", 1, "schedule"), "cron(0 7 ? * MON-FRI *)", "window", "schedule"),
        (("windows", 1, "time_zone"), "UTC", "window", "time_zone"),
        (("windows", 0, "trigger"), "airflow", "window", "enabled"),
        (("windows", 1, "concurrency"), "20%", "task", "concurrency"),
        (("logs", "prefix"), "elsewhere", "task", "log_prefix"),
        (("tags",), {"patch_group": "PatchGroup"}, "target", "key"),
        (("patch_groups", 0, "baselines"), ["amazon"], "patch group", ""),
        (("extras", "data_sync_bucket"), "another-bucket", "data sync", ""),
        (("baselines", 0, "default"), False, "default baseline", ""),
    ],
)
def test_a_changed_field_is_planned_alone_and_then_there(
    lab: LabHandle, path: tuple[str | int, ...], value: Any, noun: str, field: str
) -> None:
    connection = connect(small())
    apply(connection, small())
    other = changed(small(), *path, value=value)
    made = plan(connection, other)
    assert noun in {change.key.noun for change in made.pending}
    if field:
        assert any(one.field == field for change in made.pending for one in change.differences)
        assert {change.action for change in made.pending if change.key.noun == noun} == {"update"}
    apply_plan(connection, other.deployment, made)
    assert plan(connection, other).pending == ()
    apply(connection, small())
    after = state(lab)
    lab.server.reset()
    apply(connect(small()), small())
    assert after == state(lab)


def test_applying_twice_changes_nothing_the_second_time(lab: LabHandle) -> None:
    connection = connect(small())
    apply(connection, small())
    lab.server.calls.clear()
    apply(connection, small())
    assert lab.server.calls.total(mutating=True) == 0


def test_planning_changes_nothing(lab: LabHandle) -> None:
    plan(connect(small()), small())
    assert lab.server.calls.total(mutating=True) == 0


def test_at_rest_a_window_installs_nothing_even_if_a_hand_enables_it(lab: LabHandle) -> None:
    apply(connect(small()), small())
    window = window_named(lab, INSTALL)
    assert not window.enabled
    assert (window.schedule, window.schedule_timezone) == ("cron(0 6 ? * MON-FRI *)", "Europe/Paris")
    assert {group["Key"]: group["Values"] for target in window.targets.values() for group in target.targets} == {
        "tag:sluice:release": ["none"]
    }
    for task in window.tasks.values():
        parameters = task.invocation_parameters["RunCommand"]["Parameters"]
        assert parameters == {"Operation": ["Scan"], "RebootOption": ["NoReboot"]}


def test_a_native_scan_window_is_enabled_and_targets_its_groups_by_their_tag(lab: LabHandle) -> None:
    apply(connect(small()), small())
    window = window_named(lab, "sluice-scan-daily")
    assert window.enabled
    assert sorted(str(target.targets[0]) for target in window.targets.values()) == [
        "{'Key': 'tag:Patch Group', 'Values': ['nonprod-linux']}",
        "{'Key': 'tag:Patch Group', 'Values': ['prod windows']}",
        "{'Key': 'tag:sluice:release', 'Values': ['none']}",
    ]


class Stepper:
    """Lets a day pass at every call, and looks what ran."""

    def __init__(self, lab: LabHandle, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lab, self.executions = lab, 0
        call = Connection.call

        def stepping(connection: Connection, service: str, operation: str, **parameters: Any) -> Any:
            answer = call(connection, service, operation, **parameters)
            lab.world.clock.advance(timedelta(days=1))
            self.executions = max(self.executions, len(lab.location().executions))
            return answer

        monkeypatch.setattr(Connection, "call", stepping)


def test_nothing_fires_while_a_policy_is_applied(lab: LabHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = changed(small(), "windows", 0, "trigger", value="airflow")
    connection = connect(policy)
    stepper = Stepper(lab, monkeypatch)
    apply(connection, policy)
    other = changed(policy, "windows", 1, "concurrency", value="50%")
    apply(connection, changed(other, "windows", 1, "schedule", value="cron(0 5 ? * * *)"))
    assert lab.world.clock.now().year == 2025
    assert stepper.executions == 0
    assert not lab.location().commands


def test_a_window_that_a_hand_enabled_is_disabled_before_anything_else(lab: LabHandle) -> None:
    connection = connect(small())
    apply(connection, small())
    window = window_named(lab, INSTALL)
    lab.client("ssm").update_maintenance_window(WindowId=window.window_id, Enabled=True)
    made = plan(connection, changed(small(), "baselines", 1, "rules", value=[{"priority": ["Required"]}]))
    assert (made.steps[0].act, made.steps[0].key) == ("hold", Key(WINDOW, "install-nonprod"))


def test_a_native_window_is_disabled_while_its_parts_change_and_enabled_again_at_the_end(lab: LabHandle) -> None:
    connection = connect(small())
    apply(connection, small())
    made = plan(connection, changed(small(), "windows", 0, "concurrency", value="3"))
    assert [step.act for step in made.steps] == ["hold", "update", "update", "update", "settle"]
    apply(connection, changed(small(), "windows", 0, "concurrency", value="3"))
    assert window_named(lab, "sluice-scan-daily").enabled


def test_drift_of_every_kind_is_seen_and_put_right(lab: LabHandle) -> None:
    connection = connect(small())
    apply(connection, small())
    before = state(lab)
    ssm = lab.client("ssm")
    window = window_named(lab, INSTALL)
    task = next(iter(window.tasks.values()))
    command = {"RunCommand": {"Parameters": {"Operation": ["Install"], "InstallOverrideList": ["s3://b/k"]}}}
    ssm.update_maintenance_window_task(
        WindowId=window.window_id, WindowTaskId=task.task_id, TaskInvocationParameters=command
    )
    target = ssm.register_target_with_maintenance_window(
        WindowId=window.window_id, ResourceType="INSTANCE", Targets=[{"Key": "InstanceIds", "Values": ["i-0123"]}]
    )
    ssm.register_task_with_maintenance_window(
        WindowId=window.window_id,
        TaskArn="AWS-RunShellScript",
        TaskType="RUN_COMMAND",
        MaxConcurrency="1",
        MaxErrors="1",
        Targets=[{"Key": "WindowTargetIds", "Values": [target["WindowTargetId"]]}],
    )
    ssm.update_maintenance_window(WindowId=window.window_id, StartDate="2026-01-01T00:00:00Z", ScheduleOffset=2)
    baseline = next(iter(lab.location().baselines))
    ssm.update_patch_baseline(BaselineId=baseline, ApprovedPatches=["kernel*"])
    made = plan(connection, small())
    shown = {(change.action, change.key.noun) for change in made.pending}
    assert shown == {
        ("update", "task"),
        ("delete", "task"),
        ("delete", "target"),
        ("update", "window"),
        ("update", "baseline"),
    }
    fields = {one.field for change in made.pending if change.action == "update" for one in change.differences}
    assert {"operation", "reboot_option", "start_date", "schedule_offset", "approved"} <= fields
    apply_plan(connection, "sluice", made)
    assert state(lab) == before


def test_what_the_policy_no_longer_has_is_deleted_and_its_default_goes_back_to_aws(lab: LabHandle) -> None:
    connection = connect(small())
    before = state(lab)
    apply(connection, small())
    slim = small(baselines=[], patch_groups=[], windows=[], extras={})
    apply(connection, slim)
    after = state(lab)
    assert after["defaults"].pop("AMAZON_LINUX_2023").startswith("arn:aws:ssm:")
    assert after.pop("documents").keys() == {reboot_document.NAME}
    before.pop("documents")
    assert after == before


def test_removing_everything_leaves_what_was_before(lab: LabHandle) -> None:
    connection = connect(small())
    theirs = foreign_things(lab)
    before = state(lab)
    apply(connection, small())
    apply_plan(connection, "sluice", plan(connection, small(), empty=True))
    after = state(lab)
    after["defaults"] = {}
    assert after == before
    assert plan(connection, small(), empty=True).changes == ()
    assert theirs


def test_a_changed_document_becomes_a_new_default_version_and_an_old_one_again(lab: LabHandle) -> None:
    connection = connect(small())
    apply(connection, small())
    ssm = lab.client("ssm")
    other = reboot_document.content().replace("no reboot is pending", "nothing to do")
    ssm.update_document(Name=reboot_document.NAME, Content=other, DocumentVersion="$LATEST", DocumentFormat="JSON")
    assert plan(connection, small()).pending == ()  # what runs is the default version
    ssm.update_document_default_version(Name=reboot_document.NAME, DocumentVersion="2")
    made = plan(connection, small())
    assert [(change.action, change.key.noun) for change in made.pending] == [("update", DOCUMENT)]
    apply_plan(connection, "sluice", made)
    assert lab.location().documents[reboot_document.NAME].default == 1
    assert plan(connection, small()).pending == ()


def test_a_copy_of_a_window_is_removed(lab: LabHandle) -> None:
    connection = connect(small())
    apply(connection, small())
    before = state(lab)
    lab.client("ssm").create_maintenance_window(
        Name="copy",
        Schedule=CANNOT_FIRE,
        Duration=3,
        Cutoff=1,
        AllowUnassociatedTargets=False,
        Tags=[{"Key": "sluice:deployment", "Value": "sluice"}, {"Key": "sluice:object", "Value": "install-nonprod"}],
    )
    assert {change.action for change in plan(connection, small()).pending} >= {"delete"}
    apply(connection, small())
    assert state(lab) == before


def test_the_config_rule_is_created_where_asked_and_removed_where_not(lab: LabHandle) -> None:
    config = lab.client("config")
    config.put_configuration_recorder(
        ConfigurationRecorder={"name": "default", "roleARN": "arn:aws:iam::111111111111:role/config"}
    )
    wanted = small(extras={"config_rule": True})
    connection = connect(wanted)
    apply(connection, wanted)
    (rule,) = config.describe_config_rules()["ConfigRules"]
    assert rule["Source"]["SourceIdentifier"] == "EC2_MANAGEDINSTANCE_PATCH_COMPLIANCE_STATUS_CHECK"
    assert plan(connection, wanted).pending == ()
    apply(connection, small())
    assert config.describe_config_rules()["ConfigRules"] == []
    # moto's answers have members that AWS's model has not.
    assert all("config:DescribeConfigRules" in problem for problem in lab.take_problems())


def test_a_denied_and_a_silent_location_do_not_stop_the_others(lab: LabHandle) -> None:
    policy = small(locations=FOUR, roles={"assume": True})
    lab.server.faults.add(
        FaultRule(kind="access_denied", service="sts", operation="AssumeRole", contains="222222222222"),
    )
    outcomes = apply_everywhere(policy)
    assert [outcome.error is None for outcome in outcomes] == [True, True, False, False]
    assert "the role of the policy applier cannot be assumed" in str(outcomes[2].error)


def test_a_cut_off_answer_is_a_failure_and_not_an_empty_account(lab: LabHandle) -> None:
    connection = connect(small())
    apply(connection, small())
    lab.server.faults.add(FaultRule(kind="truncate", service="ssm", operation="DescribeMaintenanceWindows", keep=2))
    with pytest.raises(AWSError) as caught:
        plan(connection, small())
    assert isinstance(caught.value, AnswerError)


def test_a_lost_answer_to_a_creation_leaves_no_copy(lab: LabHandle) -> None:
    connection = connect(small())
    apply(connection, small())
    before = state(lab)
    lab.server.reset()
    operations = (
        "CreateDocument", "CreatePatchBaseline", "CreateMaintenanceWindow", "CreateResourceDataSync",
        "RegisterTargetWithMaintenanceWindow", "RegisterTaskWithMaintenanceWindow", "UpdateMaintenanceWindow",
        "RegisterPatchBaselineForPatchGroup", "RegisterDefaultPatchBaseline",
    )  # fmt: skip
    lab.server.faults.add(
        *(FaultRule(kind="lost_reply", service="ssm", operation=name, times=1) for name in operations)
    )
    connection = connect(small())
    apply(connection, small())
    assert plan(connection, small()).pending == ()
    assert state(lab) == before


def test_every_call_is_declared_with_its_permission(lab: LabHandle) -> None:
    connection = connect(small(roles={"assume": True}, locations=FOUR[:1]))
    lab.server.calls.clear()
    apply(connection, small())
    apply(connection, changed(small(), "windows", 0, "concurrency", value="3"))
    apply_plan(connection, "sluice", plan(connection, small(), empty=True))
    actions = {action for permission in declared() for action in permission.actions}
    called = {f"{row['service']}:{row['operation']}" for row in lab.server.calls.counts()}
    assert called - actions == set()


def test_planning_reads_each_object_once(lab: LabHandle, capsys: pytest.CaptureFixture[str]) -> None:
    loaded = read_policy(str(Path(SHIPPED) / "default.yaml"))
    policy = loaded.policy.model_copy(update={"locations": small(locations=FOUR).locations})
    policy = policy.model_copy(update={"roles": small(roles={"assume": True}).roles})
    apply_everywhere(policy)
    lab.server.calls.clear()
    started = time.perf_counter()
    outcomes = plan_everywhere(policy)
    seconds = time.perf_counter() - started
    assert all(outcome.value and not outcome.value.pending for outcome in outcomes)
    calls = lab.server.calls.total()
    least = sum(least_calls(lab, location["account"], location["region"]) for location in FOUR)
    with capsys.disabled():
        print(f"\nplan over 4 locations: {calls} calls, {least} at least, {seconds:.2f} s")
    assert calls <= 1.1 * least


def least_calls(lab: LabHandle, account: str, region: str) -> int:
    """Who reads the same: an identity, each list once, and of each object what its list does not tell."""
    location = lab.location(account, region)
    identity, lists = 2, 7  # role, account; baselines, groups, windows, associations, syncs, rules, document
    windows = len(location.windows) * 4  # itself, its tags, its targets, its tasks
    tasks = sum(len(window.tasks) for window in location.windows.values())
    return identity + lists + 2 * len(location.baselines) + windows + tasks + len(location.documents)


def test_tasks_are_registered_on_their_own_slot(lab: LabHandle) -> None:
    apply(connect(small()), small())
    window = window_named(lab, INSTALL)
    names = {target.target_id: target.name for target in window.targets.values()}
    pairs = [(task.name, [names[i] for i in task.targets[0]["Values"]]) for task in window.tasks.values()]
    assert sorted(pairs) == [
        ("nonprod-linux.AMAZON_LINUX_2023", ["nonprod-linux.AMAZON_LINUX_2023"]),
        ("nonprod-linux.UBUNTU_22.04", ["nonprod-linux.UBUNTU_22.04"]),
    ]
    assert plan(connect(small()), small()).ids[Key(TASK, "install-nonprod/nonprod-linux.UBUNTU_22.04")]
