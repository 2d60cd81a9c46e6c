"""Points of the check-list about commands, output, reboots and patch states."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from world_builder import (
    add_nodes,
    add_target,
    add_task,
    add_window,
    admin,
    executions,
    invocations,
    on_nodes,
    patch_state,
    plugin,
    script_document,
)

from lab.rules import Rule
from lab.testing import LabHandle
from lab.world import AgentState, Node, NodeFaults


def send(lab: LabHandle, nodes: list[Node], operation: str = "Scan", **options: Any) -> str:
    """Send the patch document to nodes by id; answers the command's id."""
    parameters = {"Operation": [operation], **options.pop("parameters", {})}
    answer = lab.client("ssm").send_command(
        DocumentName="AWS-RunPatchBaseline",
        InstanceIds=[node.node_id for node in nodes],
        Parameters=parameters,
        **options,
    )
    return str(answer["Command"]["CommandId"])


def details(lab: LabHandle, command: str) -> list[str]:
    """The invocations' detailed statuses, sorted."""
    return sorted(one["StatusDetails"] for one in on_nodes(lab, command).values())


def test_point_17_an_invocation_leads_to_its_command_and_the_command_to_its_nodes(lab: LabHandle) -> None:
    nodes = add_nodes(lab, 3)
    window = add_window(lab)
    add_task(lab, window, [add_target(lab, window)])
    lab.advance(hours=2)
    [invocation] = invocations(lab, executions(lab, window)[0]["WindowExecutionId"])
    assert set(on_nodes(lab, invocation["ExecutionId"])) == {node.node_id for node in nodes}
    one = lab.client("ssm").get_command_invocation(
        CommandId=invocation["ExecutionId"], InstanceId=nodes[0].node_id, PluginName="PatchLinux"
    )
    assert (one["Status"], one["ResponseCode"]) == ("Success", 0)
    assert f"Patch Summary for {nodes[0].node_id}" in one["StandardOutputContent"]


def test_point_17_a_command_waits_delayed_for_a_lost_agent_and_times_out(lab: LabHandle) -> None:
    nodes = add_nodes(lab, agent=AgentState.LOST)
    command = send(lab, nodes, TimeoutSeconds=600)
    lab.advance(minutes=5)
    assert details(lab, command) == ["Delayed"]
    lab.advance(minutes=10)
    assert details(lab, command) == ["DeliveryTimedOut"]
    [found] = lab.client("ssm").list_commands(CommandId=command)["Commands"]
    assert (found["Status"], found["StatusDetails"], found["DeliveryTimedOutCount"]) == (
        "TimedOut",
        "DeliveryTimedOut",
        1,
    )


def test_point_17_a_stopped_or_unknown_node_is_refused_by_name(lab: LabHandle) -> None:
    nodes = add_nodes(lab, running=False)
    with pytest.raises(ClientError, match="InvalidInstanceId"):
        send(lab, nodes)


def test_point_17_a_node_terminated_before_its_turn_is_undeliverable(lab: LabHandle) -> None:
    first, second = add_nodes(lab, 2, seconds=600)
    command = send(lab, [first, second], MaxConcurrency="1")
    lab.advance(seconds=30)
    waiting = next(one for one in on_nodes(lab, command).values() if one["Status"] == "Pending")
    lab.client("ec2").terminate_instances(InstanceIds=[waiting["InstanceId"]])
    lab.advance(hours=1)
    assert details(lab, command) == ["Success", "Undeliverable"]
    [found] = lab.client("ssm").list_commands(CommandId=command)["Commands"]
    assert found["Status"] == "Success"


def test_point_17_a_cancelled_command_stops_what_runs_and_what_waits(lab: LabHandle) -> None:
    nodes = add_nodes(lab, 3, seconds=600)
    command = send(lab, nodes, MaxConcurrency="1")
    lab.advance(seconds=30)
    lab.client("ssm").cancel_command(CommandId=command)
    lab.advance(minutes=1)
    assert details(lab, command) == ["Cancelled"] * 3
    assert all(node.result is None for node in nodes)


def test_point_18_a_command_starts_on_one_node_then_ramps_up_to_max_concurrency(lab: LabHandle) -> None:
    nodes = add_nodes(lab, 12, seconds=60)
    command = send(lab, nodes, MaxConcurrency="4")
    running = []
    for _ in range(4):
        lab.advance(seconds=61)
        running.append(sum(one["Status"] == "InProgress" for one in on_nodes(lab, command).values()))
    lab.advance(minutes=10)
    assert running == [2, 4, 4, 1]
    assert details(lab, command) == ["Success"] * 12


def test_point_18_after_more_than_max_errors_nothing_further_starts(lab: LabHandle) -> None:
    nodes = add_nodes(lab, 10, faults=NodeFaults(exit_codes={"AWS-RunShellScript": 9}))
    command = lab.client("ssm").send_command(
        DocumentName="AWS-RunShellScript",
        InstanceIds=[node.node_id for node in nodes],
        Parameters={"commands": ["true"]},
        MaxConcurrency="1",
        MaxErrors="3",
    )["Command"]["CommandId"]
    lab.advance(hours=1)
    assert details(lab, command) == ["Failed"] * 4 + ["Terminated"] * 6
    [found] = lab.client("ssm").list_commands(CommandId=command)["Commands"]
    assert (found["StatusDetails"], found["ErrorCount"]) == ("Failed", 4)


def test_point_18_delivery_failures_do_not_count_as_errors(lab: LabHandle) -> None:
    add_nodes(lab, 3, agent=AgentState.LOST)
    add_nodes(lab, 3)
    nodes = list(lab.location("111111111111", "eu-west-3").nodes.values())
    command = send(lab, nodes, MaxErrors="0", TimeoutSeconds=60)
    lab.advance(hours=1)
    assert details(lab, command) == ["DeliveryTimedOut"] * 3 + ["Success"] * 3


def test_point_19_pseudo_parameters_are_filled_into_the_documents_parameters(lab: LabHandle) -> None:
    add_nodes(lab)
    window = add_window(lab)
    target = add_target(lab, window)
    text = "echo {{WINDOW_ID}} {{WINDOW_EXECUTION_ID}} {{ INVOCATION_ID }} {{WINDOW_TARGET_ID}} {{TARGET_TYPE}}"
    add_task(
        lab,
        window,
        [target],
        TaskArn="AWS-RunShellScript",
        TaskInvocationParameters={
            "RunCommand": {
                "Parameters": {"commands": [text]},
                "OutputS3BucketName": "logs",
                "OutputS3KeyPrefix": "runs/{{WINDOW_ID}}",
            }
        },
    )
    lab.advance(hours=2)
    execution = executions(lab, window)[0]["WindowExecutionId"]
    [invocation] = invocations(lab, execution)
    [command] = lab.client("ssm").list_commands(CommandId=invocation["ExecutionId"])["Commands"]
    filled = f"echo {window} {execution} {invocation['InvocationId']} {target} INSTANCE"
    assert command["Parameters"]["commands"] == [filled]
    assert json.loads(invocation["Parameters"])["commands"] == [filled]
    assert command["OutputS3KeyPrefix"] == "runs/{{WINDOW_ID}}"


def test_point_19_pseudo_parameters_in_the_prefix_are_a_setting(lab: LabHandle) -> None:
    lab.world.settings.pseudo_parameters_everywhere = True
    add_nodes(lab)
    window = add_window(lab)
    add_task(
        lab,
        window,
        [add_target(lab, window)],
        run_command={"OutputS3BucketName": "logs", "OutputS3KeyPrefix": "runs/{{WINDOW_ID}}"},
    )
    lab.advance(hours=2)
    [invocation] = invocations(lab, executions(lab, window)[0]["WindowExecutionId"])
    [command] = lab.client("ssm").list_commands(CommandId=invocation["ExecutionId"])["Commands"]
    assert command["OutputS3KeyPrefix"] == f"runs/{window}"


def test_point_20_all_nodes_of_an_execution_share_one_snapshot_and_two_executions_do_not(lab: LabHandle) -> None:
    nodes = add_nodes(lab, 3)
    window = add_window(lab, "rate(6 hours)")
    add_task(lab, window, [add_target(lab, window)])
    lab.advance(hours=7)
    first = {patch_state(lab, node)["SnapshotId"] for node in nodes}
    lab.advance(hours=6)
    second = {patch_state(lab, node)["SnapshotId"] for node in nodes}
    assert len(first) == len(second) == 1
    assert first != second


def test_point_20_a_snapshot_freezes_the_baseline_for_three_days(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    ssm = lab.client("ssm")
    baseline = ssm.create_patch_baseline(Name="none", OperatingSystem="AMAZON_LINUX_2023")["BaselineId"]
    ssm.register_patch_baseline_for_patch_group(BaselineId=baseline, PatchGroup="web")
    snapshot = {"SnapshotId": ["12345678-1234-1234-1234-123456789012"]}
    send(lab, [node], parameters=snapshot)
    lab.advance(minutes=10)
    assert patch_state(lab, node)["MissingCount"] == 0
    everything = {"PatchRules": [_everything()]}
    ssm.update_patch_baseline(BaselineId=baseline, ApprovalRules=everything)
    lab.advance(days=1)
    send(lab, [node], parameters=snapshot)
    lab.advance(minutes=10)
    assert patch_state(lab, node)["MissingCount"] == 0
    send(lab, [node])
    lab.advance(days=3)
    assert patch_state(lab, node)["MissingCount"] > 0
    expired = send(lab, [node], parameters=snapshot)
    lab.advance(minutes=10)
    assert details(lab, expired) == ["Failed"]


def test_point_21_output_lies_in_s3_under_the_agents_key(lab: LabHandle) -> None:
    [linux] = add_nodes(lab)
    [windows] = add_nodes(lab, product="WindowsServer2022")
    lab.client("s3").create_bucket(Bucket="logs", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    command = send(lab, [linux, windows], OutputS3BucketName="logs", OutputS3KeyPrefix="2025/06/02")
    lab.advance(minutes=30)
    keys = {one["Key"] for one in lab.client("s3").list_objects_v2(Bucket="logs")["Contents"]}
    assert keys == {
        f"2025/06/02/{command}/{linux.node_id}/awsrunShellScript/PatchLinux/stdout",
        f"2025/06/02/{command}/{windows.node_id}/awsrunPowerShellScript/PatchWindows/stdout",
    }
    body = lab.client("s3").get_object(Bucket="logs", Key=min(keys))["Body"].read().decode()
    assert "Patch Summary for" in body


def test_point_21_a_failing_script_leaves_its_error_beside_its_output(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    lab.client("s3").create_bucket(Bucket="logs", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    script_document(lab, "failing", 'echo "half way"\nexit 4')
    command = lab.client("ssm").send_command(
        DocumentName="failing", InstanceIds=[node.node_id], OutputS3BucketName="logs"
    )["Command"]["CommandId"]
    lab.advance(minutes=5)
    prefix = f"{command}/{node.node_id}/awsrunShellScript/runScript/"
    read = {
        name: lab.client("s3").get_object(Bucket="logs", Key=prefix + name)["Body"].read().decode()
        for name in ("stdout", "stderr")
    }
    assert read["stdout"] == "half way\n"
    assert "exit status 4" in read["stderr"]


def test_point_22_a_node_that_reboots_is_away_and_comes_back(lab: LabHandle) -> None:
    [node] = add_nodes(lab, seconds=60, reboot_seconds=300)
    send(lab, [node], "Install")
    lab.advance(seconds=200)
    assert _ping(lab, node) == "ConnectionLost"
    lab.advance(seconds=300)
    assert _ping(lab, node) == "Online"
    assert patch_state(lab, node)["InstalledPendingRebootCount"] == 0


def test_point_22_a_script_that_exits_194_or_3010_reboots_and_runs_again(lab: LabHandle) -> None:
    [linux] = add_nodes(lab)
    [windows] = add_nodes(lab, product="WindowsServer2022")
    probe = "if needs-restarting -r; then exit 0; fi\nif true; then\n  exit 194\nfi"
    script_document(lab, "reboot-linux", probe)
    script_document(
        lab,
        "reboot-windows",
        "if (Test-Path 'HKLM:\\RebootRequired') {\n  exit 3010\n}\nexit 0",
        action="aws:runPowerShellScript",
    )
    for node, name, waiting in ((linux, "reboot-linux", "kernel.x86_64"), (windows, "reboot-windows", "KB5062572")):
        before = node.booted_at
        node.pending = frozenset({waiting})
        command = lab.client("ssm").send_command(DocumentName=name, InstanceIds=[node.node_id])["Command"]["CommandId"]
        lab.advance(minutes=30)
        assert details(lab, command) == ["Success"]
        assert node.booted_at > before
        again = node.booted_at
        lab.client("ssm").send_command(DocumentName=name, InstanceIds=[node.node_id])
        lab.advance(minutes=30)
        assert node.booted_at == again


def test_point_22_a_script_that_asks_the_os_does_not_reboot_for_what_needs_none(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    script_document(lab, "reboot-linux", "if ! needs-restarting -r; then\n  exit 194\nfi\nexit 0")
    node.pending = frozenset({"python3.x86_64"})
    before = node.booted_at
    lab.client("ssm").send_command(DocumentName="reboot-linux", InstanceIds=[node.node_id])
    lab.advance(minutes=30)
    assert node.booted_at == before


def test_point_22_an_agent_that_never_comes_back_times_out_after_the_step_time_out(lab: LabHandle) -> None:
    [node] = add_nodes(lab, faults=NodeFaults(reboot_never_returns=True))
    command = send(lab, [node], "Install", parameters={"StepTimeoutSeconds": ["1800"]})
    lab.advance(minutes=20)
    assert details(lab, command) == ["InProgress"]
    lab.advance(minutes=30)
    assert details(lab, command) == ["ExecutionTimedOut"]
    assert _ping(lab, node) == "ConnectionLost"


def test_point_22_a_node_that_hangs_times_out(lab: LabHandle) -> None:
    [node] = add_nodes(lab, faults=NodeFaults(hang=True))
    command = send(lab, [node], parameters={"StepTimeoutSeconds": ["600"]})
    lab.advance(minutes=11)
    assert details(lab, command) == ["ExecutionTimedOut"]
    assert node.result is None


def test_point_23_patch_states_change_only_with_a_scan_or_an_install(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    send(lab, [node])
    lab.advance(minutes=10)
    before = patch_state(lab, node)
    lab.advance(days=30)
    assert patch_state(lab, node) == before
    send(lab, [node])
    lab.advance(minutes=10)
    assert patch_state(lab, node)["OperationStartTime"] > before["OperationStartTime"]
    assert patch_state(lab, node)["MissingCount"] > before["MissingCount"]


def test_point_23_an_install_without_reboot_leaves_patches_pending_until_a_reboot_and_a_scan(lab: LabHandle) -> None:
    [node] = add_nodes(lab, image_age_days=200)
    lab.advance(days=60)
    send(lab, [node], "Install", parameters={"RebootOption": ["NoReboot"]})
    lab.advance(hours=1)
    state = patch_state(lab, node)
    assert state["InstalledPendingRebootCount"] > 0
    assert state["RebootOption"] == "NoReboot"
    assert state["LastNoRebootInstallOperationTime"] == state["OperationEndTime"]
    lab.client("ec2").reboot_instances(InstanceIds=[node.node_id])
    lab.advance(hours=1)
    assert patch_state(lab, node) == state
    send(lab, [node])
    lab.advance(hours=1)
    assert patch_state(lab, node)["InstalledPendingRebootCount"] == 0


def test_point_23_reboot_if_needed_reboots_for_what_was_pending_even_with_nothing_to_install(lab: LabHandle) -> None:
    [node] = add_nodes(lab, image_age_days=200)
    lab.advance(days=60)
    send(lab, [node], "Install", parameters={"RebootOption": ["NoReboot"]})
    lab.advance(hours=1)
    before = node.booted_at
    send(lab, [node], "Install", parameters={"RebootOption": ["RebootIfNeeded"]})
    lab.advance(hours=1)
    assert node.booted_at > before
    again = node.booted_at
    send(lab, [node], "Install", parameters={"RebootOption": ["RebootIfNeeded"]})
    lab.advance(hours=1)
    assert node.booted_at == again


def test_point_23_a_second_patch_operation_at_the_same_time_fails_without_a_word(lab: LabHandle) -> None:
    [node] = add_nodes(lab, seconds=600)
    send(lab, [node])
    lab.advance(seconds=10)
    second = send(lab, [node])
    lab.advance(hours=1)
    assert details(lab, second) == ["Failed"]
    assert plugin(lab, second, node, "PatchLinux")["Output"] == ""


def test_point_23_a_failed_install_is_reported_as_failed(lab: LabHandle) -> None:
    [node] = add_nodes(lab, faults=NodeFaults(install_failure=1.0), image_age_days=200)
    lab.advance(days=60)
    command = send(lab, [node], "Install")
    lab.advance(hours=1)
    assert details(lab, command) == ["Failed"]
    assert patch_state(lab, node)["FailedCount"] > 0


def test_an_install_override_list_installs_exactly_what_it_names_and_its_dependencies(lab: LabHandle) -> None:
    [node] = add_nodes(lab, image_age_days=200)
    lab.advance(days=60)
    send(lab, [node])
    lab.advance(minutes=10)
    missing = _patches(lab, node, "Missing")
    chosen = missing[0]
    s3 = lab.client("s3")
    s3.create_bucket(Bucket="ops", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    listed = f"patches:\n- id: '{chosen['KBId']}'\n  title: '{chosen['Title']}'\n"
    s3.put_object(Bucket="ops", Key="manifest.yaml", Body=listed.encode())
    send(lab, [node], "Install", parameters={"InstallOverrideList": ["s3://ops/manifest.yaml"]})
    lab.advance(hours=1)
    assert patch_state(lab, node)["InstallOverrideList"] == "s3://ops/manifest.yaml"
    left = {one["KBId"] for one in _patches(lab, node, "Missing")}
    assert chosen["KBId"] not in left
    assert left < {one["KBId"] for one in missing}


def test_an_override_list_that_cannot_be_downloaded_fails_the_node(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    command = send(lab, [node], "Install", parameters={"InstallOverrideList": ["s3://nowhere/list.yaml"]})
    lab.advance(hours=1)
    assert details(lab, command) == ["Failed"]
    assert "s3://nowhere/list.yaml" in plugin(lab, command, node, "PatchLinux")["Output"]
    assert node.result is None


def test_both_overrides_together_fail_the_document(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    both = {"InstallOverrideList": ["s3://ops/list.yaml"], "BaselineOverride": ["s3://ops/baseline.json"]}
    command = send(lab, [node], "Install", parameters=both)
    lab.advance(hours=1)
    assert details(lab, command) == ["Failed"]


def test_an_exit_code_by_rule_decides_a_script(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    lab.world.rules.add(Rule(kind="script", match="*check-backup*", exit_code=3, seconds=20))
    script_document(lab, "post", "check-backup --all")
    command = lab.client("ssm").send_command(DocumentName="post", InstanceIds=[node.node_id])["Command"]["CommandId"]
    lab.advance(minutes=1)
    one = lab.client("ssm").get_command_invocation(CommandId=command, InstanceId=node.node_id)
    assert (one["Status"], one["ResponseCode"]) == ("Failed", 3)


def test_a_document_for_another_platform_fails_there(lab: LabHandle) -> None:
    [node] = add_nodes(lab, product="WindowsServer2022")
    command = lab.client("ssm").send_command(
        DocumentName="AWS-RunShellScript",
        Targets=[{"Key": "tag:Patch Group", "Values": ["web"]}],
        Parameters={"commands": ["true"]},
    )["Command"]["CommandId"]
    lab.advance(minutes=5)
    assert details(lab, command) == ["InvalidPlatform"]
    assert node.result is None


def test_a_command_waits_for_an_agent_that_comes_back(lab: LabHandle) -> None:
    [node] = add_nodes(lab, agent=AgentState.LOST)
    command = send(lab, [node])
    lab.advance(minutes=5)
    admin(lab, "PATCH", "/lab/fleet", {"match": {"node_ids": [node.node_id]}, "set": {"agent": "online"}})
    lab.advance(minutes=10)
    assert details(lab, command) == ["Success"]


def _ping(lab: LabHandle, node: Node) -> str:
    [one] = lab.client("ssm").describe_instance_information(Filters=[{"Key": "InstanceIds", "Values": [node.node_id]}])[
        "InstanceInformationList"
    ]
    return str(one["PingStatus"])


def _patches(lab: LabHandle, node: Node, state: str) -> list[dict[str, Any]]:
    pages = (
        lab.client("ssm")
        .get_paginator("describe_instance_patches")
        .paginate(InstanceId=node.node_id, Filters=[{"Key": "State", "Values": [state]}])
    )
    return [one for page in pages for one in page["Patches"]]


def _everything() -> dict[str, Any]:
    return {
        "PatchFilterGroup": {"PatchFilters": [{"Key": "PRODUCT", "Values": ["*"]}]},
        "ApproveAfterDays": 0,
        "EnableNonSecurity": True,
    }


def test_the_elapsed_time_of_a_scan_is_the_nodes_own(lab: LabHandle) -> None:
    [node] = add_nodes(lab, seconds=90)
    send(lab, [node])
    lab.advance(minutes=5)
    state = patch_state(lab, node)
    assert state["OperationEndTime"] - state["OperationStartTime"] == timedelta(seconds=90)


def test_a_node_that_is_stopped_while_it_patches_reports_nothing_and_the_command_times_out(lab: LabHandle) -> None:
    [node] = add_nodes(lab, seconds=600)
    command = send(lab, [node], parameters={"StepTimeoutSeconds": ["1200"]})
    lab.advance(minutes=5)
    lab.client("ec2").stop_instances(InstanceIds=[node.node_id])
    lab.advance(minutes=10)
    assert details(lab, command) == ["InProgress"]
    lab.advance(minutes=10)
    assert details(lab, command) == ["ExecutionTimedOut"]
    assert node.result is None


def test_a_node_can_patch_again_after_it_was_stopped_and_started(lab: LabHandle) -> None:
    [node] = add_nodes(lab, seconds=600)
    send(lab, [node])
    lab.advance(minutes=5)
    ec2 = lab.client("ec2")
    ec2.stop_instances(InstanceIds=[node.node_id])
    ec2.start_instances(InstanceIds=[node.node_id])
    lab.advance(minutes=10)
    command = send(lab, [node])
    lab.advance(hours=1)
    assert details(lab, command) == ["Success"]
