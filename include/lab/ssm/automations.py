"""Automation's operations. What an automation does is a state transition (`lab.automations`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moto.ssm.exceptions import SSMException

from lab.automations import Automation, end_automation, start_automation
from lab.ssm.base import SSMOperations, error
from lab.ssm.document_operations import RESERVED_PREFIXES
from lab.ssm.document_parameters import bind
from lab.ssm.documents import find_document
from lab.world import Location
from sluice.core.errors import ScheduleError
from sluice.core.schedule import parse_instant


class AutomationOperations(SSMOperations):
    """StartAutomationExecution, GetAutomationExecution, DescribeAutomation*, StopAutomationExecution."""

    def start_automation_execution(self) -> dict[str, Any]:
        """Start an automation; AWS's documents need not exist in the lab, the account's own must.

        Raises AutomationDefinitionNotFoundException, AutomationDefinitionVersionNotFoundException and
        InvalidAutomationExecutionParametersException.
        """
        return self.once(self._start)

    def _start(self) -> dict[str, Any]:
        check_definition(self.location, self.params)
        automation = start_automation(
            self.location,
            self.params["DocumentName"],
            self.params.get("Parameters") or {},
            self.params.get("Targets") or [],
            self.params.get("TargetParameterName"),
        )
        return {"AutomationExecutionId": automation.automation_id}

    def get_automation_execution(self) -> dict[str, Any]:
        """One automation, with its one step."""
        automation = self._automation()
        found = self._described(automation)
        return {
            "AutomationExecution": {**found, "StepExecutions": [_step(automation)], "StepExecutionsTruncated": False}
        }

    def describe_automation_executions(self) -> dict[str, Any]:
        """Automations, newest first."""
        found = sorted(self.location.automations.values(), key=lambda one: one.started, reverse=True)
        for wanted in self.params.get("Filters") or []:
            found = [one for one in found if _matches(wanted["Key"], wanted["Values"], one)]
        page, more = self.page(found, default=50)
        return {"AutomationExecutionMetadataList": [self._metadata(one) for one in page], **more}

    def describe_automation_step_executions(self) -> dict[str, Any]:
        """The one step of an automation, if it is what the filters ask for."""
        steps = [_step(self._automation())]
        for wanted in self.params.get("Filters") or []:
            member = _STEP_MEMBERS.get(wanted["Key"])
            if member is None:
                raise error("InvalidFilterKey", f"The filter key {wanted['Key']} is not one that the lab knows.")
            steps = [step for step in steps if step[member] in wanted["Values"]]
        page, more = self.page(steps, default=50)
        return {"StepExecutions": page, **more}

    def stop_automation_execution(self) -> dict[str, Any]:
        """Stop an automation: it is cancelled, or completes if `Type` says so."""
        automation = self._automation()
        end_automation(self.location, automation, "Success" if self.params.get("Type") == "Complete" else "Cancelled")
        return {}

    def _automation(self) -> Automation:
        found = self.location.automations.get(self.params["AutomationExecutionId"])
        if found is None:
            raise error(
                "AutomationExecutionNotFoundException",
                f"Automation execution {self.params['AutomationExecutionId']} does not exist.",
            )
        return found

    def _described(self, one: Automation) -> dict[str, Any]:
        optional = {
            "Parameters": one.parameters,
            "ExecutionEndTime": one.ended,
            "FailureMessage": one.failure,
            "TargetParameterName": one.target_parameter,
            "Targets": one.targets,
        }
        return {
            "AutomationExecutionId": one.automation_id,
            "DocumentName": one.document,
            "DocumentVersion": "1",
            "ExecutionStartTime": one.started,
            "AutomationExecutionStatus": one.status,
            "Mode": "Auto",
            "ExecutedBy": f"arn:aws:iam::{self.location.account}:root",
            **{key: value for key, value in optional.items() if value},
        }

    def _metadata(self, one: Automation) -> dict[str, Any]:
        found = self._described(one)
        found.pop("Parameters", None)
        return {**found, "AutomationType": "Local"}


def check_definition(location: Location, given: Mapping[str, Any]) -> None:
    """Refuse to start what does not exist, or with parameters that its document does not take.

    `given` has the members of StartAutomationExecution. A document of AWS that the lab does not have takes any.
    """
    name, target = given["DocumentName"], given.get("TargetParameterName")
    try:
        document = find_document(location, name, given.get("DocumentVersion"))
    except SSMException as problem:
        if problem.code == "InvalidDocumentVersion":
            raise error("AutomationDefinitionVersionNotFoundException", problem.message) from problem
        if name.rpartition("/")[2].lower().startswith(RESERVED_PREFIXES):
            return
        raise error("AutomationDefinitionNotFoundException", problem.message) from problem
    if document.document_type != "Automation":
        raise error("AutomationDefinitionNotFoundException", f"{name} is no Automation document.")
    if target is not None and target not in document.parameters:
        raise error("InvalidAutomationExecutionParametersException", f"{name} has no parameter {target}.")
    parameters: Mapping[str, list[str]] = given.get("Parameters") or {}
    try:
        # The targets give the target parameter its values.
        bind(
            document.name,
            {key: value for key, value in document.parameters.items() if key != target},
            {key: value for key, value in parameters.items() if key != target},
        )
    except SSMException as problem:
        raise error("InvalidAutomationExecutionParametersException", problem.message) from problem


_STEP_MEMBERS = {
    "StepExecutionStatus": "StepStatus",
    "StepExecutionId": "StepExecutionId",
    "StepName": "StepName",
    "Action": "Action",
}
"""Member of a step by the filter's key."""


def _step(one: Automation) -> dict[str, Any]:
    return {
        "StepName": "run",
        "Action": "aws:executeAwsApi",
        "ExecutionStartTime": one.started,
        **({"ExecutionEndTime": one.ended} if one.ended else {}),
        "StepStatus": one.status,
        "StepExecutionId": one.automation_id,
        **({"FailureMessage": one.failure} if one.failure else {}),
    }


def _matches(key: str, values: list[str], one: Automation) -> bool:
    if key == "ExecutionId":
        return one.automation_id in values
    if key == "ExecutionStatus":
        return one.status in values
    if key == "DocumentNamePrefix":
        return any(one.document.startswith(value) for value in values)
    if key in ("StartTimeBefore", "StartTimeAfter"):
        bounds = [_time(value) for value in values]
        return all(one.started < bound if key == "StartTimeBefore" else one.started > bound for bound in bounds)
    raise error("InvalidFilterKey", f"The filter key {key} is not one that the lab knows.")


def _time(text: str) -> datetime:
    try:
        return parse_instant(text)
    except ScheduleError as problem:
        raise error("InvalidFilterValue", str(problem)) from problem
