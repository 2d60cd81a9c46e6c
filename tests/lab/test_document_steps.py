"""Documents of several steps on a node: which run, which are skipped, what is reported of each."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from world_builder import add_nodes, on_nodes

from lab.rules import Rule
from lab.testing import LabHandle
from lab.world import Node, NodeFaults

SKIPPED = "skipped due to prior step with an exit condition"


def run(lab: LabHandle, node: Node, *scripts: str, **inputs: dict[str, Any]) -> str:
    """Run a document with a step for each script (`step1`, …; `inputs` by name) to its end; answers the command."""
    steps = [
        {
            "action": "aws:runShellScript",
            "name": f"step{number}",
            "inputs": {"runCommand": [script], **inputs.get(f"step{number}", {})},
        }
        for number, script in enumerate(scripts, start=1)
    ]
    ssm = lab.client("ssm")
    ssm.create_document(
        Name="steps", Content=json.dumps({"schemaVersion": "2.2", "mainSteps": steps}), DocumentType="Command"
    )
    command = str(ssm.send_command(DocumentName="steps", InstanceIds=[node.node_id])["Command"]["CommandId"])
    lab.advance(hours=4)
    return command


def reported(lab: LabHandle, command: str) -> dict[str, tuple[str, int, str]]:
    """Status, code and output of each step of the command's only node."""
    [one] = on_nodes(lab, command).values()
    return {step["Name"]: (step["Status"], step["ResponseCode"], step["Output"]) for step in one["CommandPlugins"]}


def status(lab: LabHandle, command: str) -> str:
    [one] = on_nodes(lab, command).values()
    return str(one["StatusDetails"])


def test_a_step_runs_although_the_one_before_has_failed(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    command = run(lab, node, "exit 3", "echo second")
    steps = reported(lab, command)
    assert steps["step1"][:2] == ("Failed", 3)
    assert steps["step2"] == ("Success", 0, "second\n")
    assert status(lab, command) == "Failed"


def test_a_step_that_exits_on_failure_keeps_the_others_from_running(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    command = run(lab, node, "exit 3", "echo second", "echo third", step1={"onFailure": "exit"})
    steps = reported(lab, command)
    assert steps["step1"][:2] == ("Failed", 3)
    assert [steps[name][:2] for name in ("step2", "step3")] == [("Success", 0)] * 2
    assert all(SKIPPED in steps[name][2] for name in ("step2", "step3"))
    assert status(lab, command) == "Failed"


def test_a_failure_may_end_a_document_as_a_success(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    command = run(lab, node, "exit 3", "echo second", step1={"onFailure": "successAndExit"})
    assert SKIPPED in reported(lab, command)["step2"][2]
    assert status(lab, command) == "Success"


def test_a_success_may_end_a_document(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    command = run(lab, node, "exit 0", "exit 4", step1={"onSuccess": "exit"})
    assert SKIPPED in reported(lab, command)["step2"][2]
    assert status(lab, command) == "Success"


@pytest.mark.parametrize(("code", "ends"), [(168, "Success"), (169, "Failed")])
def test_two_exit_codes_end_a_document(lab: LabHandle, code: int, ends: str) -> None:
    [node] = add_nodes(lab)
    command = run(lab, node, f"exit {code}", "exit 4")
    steps = reported(lab, command)
    assert steps["step1"][:2] == (ends, code)
    assert SKIPPED in steps["step2"][2]
    assert status(lab, command) == ends


def test_a_finally_step_runs_whatever_came_before(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    last = {"step1": {"onFailure": "exit"}, "step3": {"finallyStep": True}}
    command = run(lab, node, "exit 3", "echo second", "echo third", **last)
    steps = reported(lab, command)
    assert SKIPPED in steps["step2"][2]
    assert steps["step3"] == ("Success", 0, "third\n")
    assert status(lab, command) == "Failed"


def test_a_step_that_is_killed_at_its_time_out_does_not_end_the_document(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    lab.world.rules.add(Rule(kind="script", match="*sleep*", exit_code=0, seconds=7200))
    command = run(lab, node, "sleep 7200", "echo second", step1={"timeoutSeconds": "600"})
    steps = reported(lab, command)
    assert steps["step1"][:2] == ("TimedOut", 137)
    assert steps["step2"] == ("Success", 0, "second\n")
    assert status(lab, command) == "ExecutionTimedOut"


@pytest.mark.parametrize("given", ["99999999999999999999", "0", "4", "172801", "soon"])
def test_a_time_out_that_the_agent_does_not_take_is_an_hour(lab: LabHandle, given: str) -> None:
    [node] = add_nodes(lab, faults=NodeFaults(hang=True))
    command = run(lab, node, "true", step1={"timeoutSeconds": given})
    one = on_nodes(lab, command)[node.node_id]
    assert one["StatusDetails"] == "ExecutionTimedOut"
    [step] = one["CommandPlugins"]
    assert (step["ResponseFinishDateTime"] - step["ResponseStartDateTime"]).total_seconds() == 3600


@pytest.mark.parametrize(("script", "code"), [("exit 256", 0), ("exit 300", 44), ("exit 4294967295", 0)])
def test_a_shell_keeps_eight_bits_of_an_exit_code(lab: LabHandle, script: str, code: int) -> None:
    [node] = add_nodes(lab)
    assert reported(lab, run(lab, node, script))["step1"][1] == code


def test_steps_for_other_platforms_are_reported_as_skipped(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    ssm = lab.client("ssm")
    command = ssm.send_command(
        DocumentName="AWS-RunPatchBaseline", InstanceIds=[node.node_id], Parameters={"Operation": ["Scan"]}
    )["Command"]["CommandId"]
    lab.advance(hours=1)
    steps = reported(lab, command)
    assert list(steps) == ["PatchWindows", "PatchLinux", "PatchMacOS"]
    why = "unsatisfied preconditions: '\"StringEquals\": [platformType, Windows]'. Step name: PatchWindows"
    assert steps["PatchWindows"] == ("Success", 0, f"Step execution skipped due to {why}")
    named = ssm.get_command_invocation(CommandId=command, InstanceId=node.node_id, PluginName="PatchWindows")
    assert named["StandardOutputContent"] == steps["PatchWindows"][2]


def test_a_step_may_depend_on_a_parameter_and_on_the_platform_in_any_case(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    steps = [
        {"name": "full", "precondition": {"StringEquals": ["{{ mode }}", "full"]}},
        {"name": "quick", "precondition": {"StringEquals": ["{{ mode }}", "quick"]}},
        {"name": "linux", "precondition": {"StringEquals": ["platformType", "linux"]}},
    ]
    content = {
        "schemaVersion": "2.2",
        "parameters": {"mode": {"type": "String"}},
        "mainSteps": [{"action": "aws:runShellScript", "inputs": {"runCommand": ["echo ran"]}, **one} for one in steps],
    }
    ssm = lab.client("ssm")
    made = ssm.create_document(Name="modes", Content=json.dumps(content), DocumentType="Command")
    assert made["DocumentDescription"]["PlatformTypes"] == ["Linux", "MacOS"]
    command = ssm.send_command(DocumentName="modes", InstanceIds=[node.node_id], Parameters={"mode": ["full"]})
    lab.advance(minutes=1)
    ran = {name for name, (_, _, text) in reported(lab, command["Command"]["CommandId"]).items() if text == "ran\n"}
    assert ran == {"full", "linux"}


def test_of_several_steps_without_a_name_only_the_whole_is_told(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    command = run(lab, node, "echo first", "exit 5")
    one = lab.client("ssm").get_command_invocation(CommandId=command, InstanceId=node.node_id)
    assert "PluginName" not in one
    assert (one["Status"], one["ResponseCode"]) == ("Failed", 5)
    assert (one["StandardOutputContent"], one["StandardErrorContent"]) == ("", "")


def test_a_step_that_the_document_does_not_have_is_refused(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    command = run(lab, node, "true")
    with pytest.raises(ClientError, match="InvalidPluginName"):
        lab.client("ssm").get_command_invocation(CommandId=command, InstanceId=node.node_id, PluginName="step2")
