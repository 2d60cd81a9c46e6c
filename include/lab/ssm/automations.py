"""Automation's operations. What an automation does is a state transition (`lab.automations`)."""

from __future__ import annotations

from typing import Any

from lab.automations import Automation, end_automation, start_automation
from lab.ssm.base import SSMOperations, error


class AutomationOperations(SSMOperations):
    """StartAutomationExecution, GetAutomationExecution, DescribeAutomation*, StopAutomationExecution."""

    def start_automation_execution(self) -> dict[str, Any]:
        """Start an automation; documents of AWS need not exist in the lab, their outcome is a rule's."""
        return self.once(self._start)

    def _start(self) -> dict[str, Any]:
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
        """The one step of an automation."""
        return {"StepExecutions": [_step(self._automation())]}

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
            "Parameters": one.parameters,
            "Outputs": {},
            "Mode": "Auto",
            "ExecutedBy": f"arn:aws:iam::{self.location.account}:root",
            **{key: value for key, value in optional.items() if value},
        }

    def _metadata(self, one: Automation) -> dict[str, Any]:
        found = self._described(one)
        del found["Parameters"]
        return {**found, "AutomationType": "Local"}


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
    raise error("InvalidFilterKey", f"The filter key {key} is not one that the lab knows.")
