"""Automation by itself: what can be started, how it is found, how it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.rules import Rule
from lab.testing import LabHandle

RUNBOOK = {
    "schemaVersion": "0.3",
    "parameters": {"Ticket": {"type": "String"}, "Note": {"type": "String", "default": "none"}},
    "mainSteps": [{"name": "wait", "action": "aws:sleep", "inputs": {"Duration": "PT1M"}}],
}


@pytest.fixture
def ssm(lab: LabHandle) -> Any:
    client = lab.client("ssm")
    client.create_document(Name="Close", Content=json.dumps(RUNBOOK), DocumentType="Automation")
    return client


def start(ssm: Any, name: str = "AWS-RestartEC2Instance", **members: Any) -> str:
    if name == "AWS-RestartEC2Instance":
        members = {"Parameters": {"InstanceId": ["i-0123456789abcdef0"]}, **members}
    return str(ssm.start_automation_execution(DocumentName=name, **members)["AutomationExecutionId"])


def listed(ssm: Any, **filters: list[str]) -> list[str]:
    given = [{"Key": key, "Values": values} for key, values in filters.items()]
    found = ssm.describe_automation_executions(**({"Filters": given} if given else {}))[
        "AutomationExecutionMetadataList"
    ]
    return [one["AutomationExecutionId"] for one in found]


def refused(ssm: Any, name: str, **members: Any) -> str:
    with pytest.raises(ClientError) as caught:
        ssm.start_automation_execution(DocumentName=name, **members)
    return str(caught.value.response["Error"]["Code"])


def test_an_automation_ends_as_its_rule_says(lab: LabHandle, ssm: Any) -> None:
    lab.world.rules.add(Rule(kind="automation", match="AWS-Restart*", outcome="Failed", seconds=30))
    automation = start(ssm)
    found = ssm.get_automation_execution(AutomationExecutionId=automation)["AutomationExecution"]
    assert (found["AutomationExecutionStatus"], found["Parameters"]) == (
        "InProgress",
        {"InstanceId": ["i-0123456789abcdef0"]},
    )
    lab.advance(seconds=31)
    found = ssm.get_automation_execution(AutomationExecutionId=automation)["AutomationExecution"]
    assert found["AutomationExecutionStatus"] == "Failed"
    assert "AWS-RestartEC2Instance" in found["FailureMessage"]


def test_a_document_of_awss_that_the_lab_does_not_have_can_be_started(ssm: Any) -> None:
    automation = start(ssm, "AWS-ConfigureS3BucketLogging")
    found = ssm.get_automation_execution(AutomationExecutionId=automation)["AutomationExecution"]
    assert found["DocumentName"] == "AWS-ConfigureS3BucketLogging"
    [one] = ssm.describe_automation_executions()["AutomationExecutionMetadataList"]
    assert one["AutomationType"] == "Local"


def test_what_does_not_exist_cannot_be_started(ssm: Any) -> None:
    assert refused(ssm, "Nobody") == "AutomationDefinitionNotFoundException"
    assert refused(ssm, "AWS-RunShellScript") == "AutomationDefinitionNotFoundException"
    assert refused(ssm, "Close", DocumentVersion="7") == "AutomationDefinitionVersionNotFoundException"


def test_parameters_are_those_that_the_document_takes(ssm: Any) -> None:
    wrong = "InvalidAutomationExecutionParametersException"
    assert refused(ssm, "Close") == wrong
    assert refused(ssm, "Close", Parameters={"Ticket": ["1"], "Colour": ["red"]}) == wrong
    assert refused(ssm, "Close", TargetParameterName="Colour", Targets=[{"Key": "tag:a", "Values": ["b"]}]) == wrong
    assert start(ssm, "Close", Parameters={"Ticket": ["1"]})
    assert start(ssm, "Close", TargetParameterName="Ticket", Targets=[{"Key": "ParameterValues", "Values": ["1"]}])


def test_a_client_token_starts_an_automation_once(ssm: Any) -> None:
    token = "11111111-2222-3333-4444-555555555555"
    first = start(ssm, "Close", Parameters={"Ticket": ["1"]}, ClientToken=token)
    assert start(ssm, "Close", Parameters={"Ticket": ["1"]}, ClientToken=token) == first
    assert refused(ssm, "Close", Parameters={"Ticket": ["2"]}, ClientToken=token) == "IdempotentParameterMismatch"


def test_automations_are_found_by_document_status_and_time(lab: LabHandle, ssm: Any) -> None:
    first = start(ssm)
    lab.advance(minutes=10)
    second = start(ssm, "Close", Parameters={"Ticket": ["1"]})
    assert listed(ssm) == [second, first]
    assert listed(ssm, DocumentNamePrefix=["Clo"]) == [second]
    assert listed(ssm, ExecutionStatus=["Success"]) == [first]
    assert listed(ssm, StartTimeAfter=["2025-06-02T00:05:00Z"]) == [second]
    assert listed(ssm, StartTimeBefore=["2025-06-02T00:05:00Z"]) == [first]
    with pytest.raises(ClientError, match="InvalidFilterKey"):
        listed(ssm, OpsItemId=["oi-1"])
    with pytest.raises(ClientError, match="InvalidFilterValue"):
        listed(ssm, StartTimeAfter=["yesterday"])


def test_steps_are_filtered_rather_than_all_shown(lab: LabHandle, ssm: Any) -> None:
    automation = start(ssm)
    lab.advance(minutes=1)

    def steps(key: str, value: str) -> int:
        wanted = [{"Key": key, "Values": [value]}]
        found = ssm.describe_automation_step_executions(AutomationExecutionId=automation, Filters=wanted)
        return len(found["StepExecutions"])

    assert (steps("StepExecutionStatus", "Success"), steps("StepExecutionStatus", "Failed")) == (1, 0)
    with pytest.raises(ClientError, match="InvalidFilterKey"):
        steps("ParentStepIteration", "1")


def test_an_automation_that_is_stopped_stays_stopped(lab: LabHandle, ssm: Any) -> None:
    cancelled, completed = start(ssm), start(ssm)
    ssm.stop_automation_execution(AutomationExecutionId=cancelled)
    ssm.stop_automation_execution(AutomationExecutionId=completed, Type="Complete")
    lab.advance(minutes=1)
    assert listed(ssm, ExecutionStatus=["Cancelled"]) == [cancelled]
    assert listed(ssm, ExecutionStatus=["Success"]) == [completed]
    with pytest.raises(ClientError, match="AutomationExecutionNotFoundException"):
        ssm.stop_automation_execution(AutomationExecutionId="11111111-2222-3333-4444-555555555555")
