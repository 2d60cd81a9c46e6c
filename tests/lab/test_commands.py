"""Run Command as a client sees it: what is refused, what a command shows, how commands are found."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from world_builder import add_nodes, on_nodes

from lab.ssm.commands import _duration
from lab.testing import LabHandle
from lab.world import AgentState, Node, NodeFaults

TRUE = {"commands": ["true"]}


def send(lab: LabHandle, nodes: list[Node], **options: Any) -> str:
    """Send a script to nodes by id; answers the command's id."""
    given = {"DocumentName": "AWS-RunShellScript", "Parameters": TRUE, **options}
    answer = lab.client("ssm").send_command(InstanceIds=[node.node_id for node in nodes], **given)
    return str(answer["Command"]["CommandId"])


def refused(lab: LabHandle, **request: Any) -> tuple[str, str]:
    """The error's code and message."""
    given = {"DocumentName": "AWS-RunShellScript", "Parameters": TRUE, **request}
    with pytest.raises(ClientError) as caught:
        lab.client("ssm").send_command(**given)
    found = caught.value.response["Error"]
    return found["Code"], found["Message"]


def ids(lab: LabHandle, operation: str, member: str, *filters: tuple[str, str]) -> list[str]:
    """The ids of the commands, or of the commands on nodes, that filters let through."""
    given = [{"key": key, "value": value} for key, value in filters]
    return [one["CommandId"] for one in getattr(lab.client("ssm"), operation)(Filters=given)[member]]


def test_a_command_is_pending_when_it_is_sent_and_in_progress_when_it_has_begun(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    sent = lab.client("ssm").send_command(
        DocumentName="AWS-RunShellScript", InstanceIds=[node.node_id], Parameters=TRUE
    )["Command"]
    assert (sent["Status"], sent["StatusDetails"]) == ("Pending", "Pending")
    [later] = lab.client("ssm").list_commands(CommandId=sent["CommandId"])["Commands"]
    assert later["Status"] == "InProgress"


def test_a_command_to_a_tag_that_nothing_has_succeeds_without_instances(lab: LabHandle) -> None:
    sent = lab.client("ssm").send_command(
        DocumentName="AWS-RunShellScript", Targets=[{"Key": "tag:Role", "Values": ["nobody"]}], Parameters=TRUE
    )["Command"]
    [later] = lab.client("ssm").list_commands(CommandId=sent["CommandId"])["Commands"]
    assert (later["Status"], later["StatusDetails"], later["TargetCount"]) == ("Success", "NoInstancesInTag", 0)


def test_a_command_names_the_document_version_that_was_asked_for(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    default, first = send(lab, [node]), send(lab, [node], DocumentVersion="1")
    versions = {one["CommandId"]: one["DocumentVersion"] for one in lab.client("ssm").list_commands()["Commands"]}
    assert versions == {default: "$DEFAULT", first: "1"}


@pytest.mark.parametrize("document", ["AWS-CreateImage", "AWS-GatherSoftwareInventory"])
def test_run_command_takes_only_command_documents(lab: LabHandle, document: str) -> None:
    [node] = add_nodes(lab)
    code, message = refused(lab, DocumentName=document, InstanceIds=[node.node_id])
    assert code == "InvalidDocument"
    assert "not Command" in message


@pytest.mark.parametrize(
    "targets",
    [
        [{"Key": "Role", "Values": ["web"]}],
        [{"Key": "tag:", "Values": ["web"]}],
        [{"Key": "tag:Role", "Values": []}],
        [{"Key": "tag:Role"}],
        [{"Values": ["web"]}],
        [{"Key": "WindowTargetIds", "Values": ["x"]}],
    ],
)
def test_a_target_that_names_nothing_is_refused(lab: LabHandle, targets: list[dict[str, Any]]) -> None:
    assert refused(lab, Targets=targets)[0] == "ValidationException"


@pytest.mark.parametrize("key", ["InstanceIds", "instanceids"])
def test_targets_may_name_nodes_by_id(lab: LabHandle, key: str) -> None:
    first, _ = add_nodes(lab, 2)
    sent = lab.client("ssm").send_command(
        DocumentName="AWS-RunShellScript", Targets=[{"Key": key, "Values": [first.node_id]}], Parameters=TRUE
    )["Command"]
    assert set(on_nodes(lab, sent["CommandId"])) == {first.node_id}


def test_an_instance_that_is_no_running_managed_node_is_refused_in_aws_words(lab: LabHandle) -> None:
    [good] = add_nodes(lab)
    for bad in add_nodes(lab, running=False) + add_nodes(lab, agent=AgentState.NONE):
        code, message = refused(lab, InstanceIds=[good.node_id, bad.node_id])
        assert code == "InvalidInstanceId"
        assert message.startswith("Instances not in a valid state for account")


def test_commands_are_found_by_their_fine_status_too(lab: LabHandle) -> None:
    good, bad = add_nodes(lab)[0], add_nodes(lab, faults=NodeFaults(exit_codes={"true": 7}))[0]
    lost = add_nodes(lab, agent=AgentState.LOST)[0]
    fine = send(lab, [good])
    incomplete = send(lab, [good, bad], MaxErrors="5")
    late = send(lab, [lost], TimeoutSeconds=60)
    lab.advance(hours=1)

    def commands(status: str) -> list[str]:
        return ids(lab, "list_commands", "Commands", ("Status", status))

    def on_node(status: str) -> list[str]:
        return ids(lab, "list_command_invocations", "CommandInvocations", ("Status", status))

    assert commands("Success") == [fine]
    assert commands("Incomplete") == commands("Failed") == [incomplete]
    assert commands("DeliveryTimedOut") == commands("TimedOut") == [late]
    assert on_node("DeliveryTimedOut") == on_node("TimedOut") == [late]
    assert on_node("Undeliverable") == []


def test_times_of_an_invocation_are_written_as_aws_writes_them(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    command = send(lab, [node])
    lab.advance(minutes=1)
    one = lab.client("ssm").get_command_invocation(CommandId=command, InstanceId=node.node_id)
    assert one["ExecutionStartDateTime"] == "2025-06-02T00:00:00.000Z"
    assert one["ExecutionElapsedTime"] == "PT3S"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "PT0S"), (0.056, "PT0.056S"), (2.44, "PT2.44S"), (60, "PT1M"), (88, "PT1M28S"), (3600.271, "PT1H0.271S")],
)
def test_durations_are_javas(seconds: float, text: str) -> None:
    assert _duration(timedelta(seconds=seconds)) == text


def test_the_output_of_a_node_that_is_gone_can_still_be_read(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    command = send(lab, [node], DocumentName="AWS-RunPatchBaseline", Parameters={"Operation": ["Scan"]})
    lab.advance(hours=1)
    del lab.location().nodes[node.node_id]
    one = lab.client("ssm").get_command_invocation(CommandId=command, InstanceId=node.node_id, PluginName="PatchLinux")
    assert f"Patch Summary for {node.node_id}" in one["StandardOutputContent"]
