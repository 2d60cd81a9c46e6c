"""Run Command's operations: send, list, read, cancel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.ssm.exceptions import SSMException

from lab import commands, outputs
from lab.commands import Command, CommandInvocation
from lab.runs import Outcome, StepOutcome
from lab.ssm.base import SSMOperations, error
from lab.ssm.document_content import Step
from lab.ssm.documents import bind_parameters, find_document
from lab.ssm.model import WindowTask
from lab.ssm.selection import select
from lab.targets import managed, problem, resolve
from lab.world import Location

DEFAULT_TIMEOUT_SECONDS = 3600
INLINE_CHARACTERS = 2500
"""Output that ListCommandInvocations shows of a plugin."""
KEPT_OPTIONS = ("Comment", "NotificationConfig", "CloudWatchOutputConfig", "AlarmConfiguration")


class CommandOperations(SSMOperations):
    """SendCommand, ListCommands, ListCommandInvocations, GetCommandInvocation, CancelCommand."""

    def send_command(self) -> dict[str, Any]:
        """Send a document to the nodes that `InstanceIds` or `Targets` name."""
        params, location = self.params, self.location
        given_ids: list[str] = params.get("InstanceIds") or []
        targets: list[dict[str, Any]] = params.get("Targets") or []
        if bool(given_ids) == bool(targets):
            raise error("ValidationException", "Give either InstanceIds or Targets, and not both.")
        if wrong := problem(targets):
            raise error("ValidationException", wrong)
        if len(set(given_ids)) != len(given_ids):
            raise error("DuplicateInstanceId", "An instance id is given twice.")
        strange = [node_id for node_id in given_ids if not managed(location, node_id)]
        if strange:
            # AWS's words, which name no instance.
            raise error("InvalidInstanceId", f"Instances not in a valid state for account: {', '.join(strange)}")
        command = build_command(location, params, params["DocumentName"], given_ids, targets)
        commands.send(location, command, given_ids or resolve(location, targets))
        return {"Command": _command(command)}

    def list_commands(self) -> dict[str, Any]:
        """Commands, newest first."""
        node_id, filters = self.params.get("InstanceId"), _filters(self.params)

        def wanted(command: Command) -> bool:
            here = node_id is None or node_id in command.invocations
            return here and all(fits(command, {command.status, command.details}) for fits in filters)

        page, more = select(self, self._commands(), wanted, default=50)
        return {"Commands": [_command(command) for command in page], **more}

    def list_command_invocations(self) -> dict[str, Any]:
        """Commands on nodes, with the plugins' results when `Details` are asked for."""
        node_id, filters = self.params.get("InstanceId"), _filters(self.params)
        details = self.params.get("Details", False)
        pairs = ((command, one) for command in self._commands() for one in _chosen(command, node_id))
        page, more = select(
            self,
            pairs,
            lambda pair: all(fits(pair[0], {pair[1].status, pair[1].details}) for fits in filters),
            default=50,
        )
        return {"CommandInvocations": [self._invocation(*pair, details=details) for pair in page], **more}

    def get_command_invocation(self) -> dict[str, Any]:
        """A command on one node: the result of its only step, or of the one that `PluginName` names.

        Of several steps without a name it is the whole, which has no output (gravitational/teleport#41706).
        """
        command = self._command_by_id(self.params["CommandId"])
        invocation = command.invocations.get(self.params["InstanceId"])
        if invocation is None:
            raise error("InvocationDoesNotExist", "An error occurred: the command was not sent to this instance.")
        name = self.params.get("PluginName")
        named = [one for one in command.document.steps if name in (None, one.plugin, one.name)]
        if not named:
            raise error("InvalidPluginName", f"The document has no step {name}.")
        step = None
        if len(named) == 1:
            step = next((one for one in reported_steps(command, invocation) if one.step is named[0]), None)
        code = invocation.outcome.code if invocation.outcome else -1
        out, err = outputs.streams(step, invocation.node_id) if step else ("", "")
        started, ended = invocation.start, invocation.end
        return {
            "CommandId": command.command_id,
            "InstanceId": invocation.node_id,
            "Comment": command.options.get("Comment", ""),
            "DocumentName": command.document.name,
            "DocumentVersion": command.options["DocumentVersion"],
            **({"PluginName": named[0].plugin} if len(named) == 1 else {}),
            "ResponseCode": step.code if step else code,
            "ExecutionStartDateTime": _milliseconds(started) if started else "",
            "ExecutionElapsedTime": _duration(ended - started) if started and ended else "",
            "ExecutionEndDateTime": _milliseconds(ended) if started and ended else "",
            "Status": invocation.status,
            "StatusDetails": invocation.details,
            "StandardOutputContent": out[: outputs.SHOWN_AT_MOST],
            "StandardOutputUrl": self._url(command, invocation, step, "stdout") if step else "",
            "StandardErrorContent": err[:8000],
            "StandardErrorUrl": self._url(command, invocation, step, "stderr") if step else "",
            **_kept(command, "CloudWatchOutputConfig"),
        }

    def cancel_command(self) -> dict[str, Any]:
        """Cancel a command, on some nodes or all, best effort."""
        command = self._command_by_id(self.params["CommandId"])
        node_ids = self.params.get("InstanceIds") or None
        for node_id in node_ids or ():
            if node_id not in command.invocations:
                raise error("InvalidInstanceId", f"The command was not sent to {node_id}.")
        commands.cancel(self.location, command, node_ids)
        return {}

    def _commands(self) -> list[Command]:
        if command_id := self.params.get("CommandId"):
            return [self._command_by_id(command_id)]
        return sorted(self.location.commands.values(), key=lambda command: command.requested, reverse=True)

    def _command_by_id(self, command_id: str) -> Command:
        found = self.location.commands.get(command_id)
        if found is None:
            raise error("InvalidCommandId", f"Command {command_id} does not exist in this account and Region.")
        return found

    def _invocation(self, command: Command, invocation: CommandInvocation, *, details: bool) -> dict[str, Any]:
        node = self.location.nodes.get(invocation.node_id)
        steps = reported_steps(command, invocation)
        last = invocation.outcome.steps[-1] if invocation.outcome and invocation.outcome.steps else None
        return {
            "CommandId": command.command_id,
            "InstanceId": invocation.node_id,
            "InstanceName": node.name if node else "",
            "Comment": command.options.get("Comment", ""),
            "DocumentName": command.document.name,
            "DocumentVersion": command.options["DocumentVersion"],
            "RequestedDateTime": command.requested,
            "Status": invocation.status,
            "StatusDetails": invocation.details,
            "StandardOutputUrl": self._url(command, invocation, last, "stdout") if last else "",
            "StandardErrorUrl": self._url(command, invocation, last, "stderr") if last else "",
            "CommandPlugins": [self._plugin(command, invocation, step) for step in steps] if details else [],
            "ServiceRole": command.options.get("ServiceRoleArn", ""),
            **_kept(command, "NotificationConfig", "CloudWatchOutputConfig"),
        }

    def _plugin(self, command: Command, invocation: CommandInvocation, step: StepOutcome) -> dict[str, Any]:
        out, err = outputs.streams(step, invocation.node_id)
        return {
            "Name": step.step.plugin,
            "Status": "TimedOut" if step.timed_out else step.details,
            "StatusDetails": step.details,
            "ResponseCode": step.code,
            **({"ResponseStartDateTime": invocation.start} if invocation.start else {}),
            **({"ResponseFinishDateTime": invocation.end} if invocation.end else {}),
            "Output": (out + (f"\n----------ERROR-------\n{err}" if err else ""))[:INLINE_CHARACTERS],
            "StandardOutputUrl": self._url(command, invocation, step, "stdout"),
            "StandardErrorUrl": self._url(command, invocation, step, "stderr"),
            **self._place(command, invocation),
        }

    def _place(self, command: Command, invocation: CommandInvocation) -> dict[str, str]:
        """Where a plugin's output lies; nothing without a bucket."""
        if command.bucket is None:
            return {}
        return {
            "OutputS3Region": command.output_region or self.location.region,
            "OutputS3BucketName": command.bucket,
            "OutputS3KeyPrefix": outputs.key_prefix(command, invocation.node_id).rstrip("/"),
        }

    def _url(self, command: Command, invocation: CommandInvocation, step: StepOutcome, stream: str) -> str:
        if command.bucket is None or step.skipped:
            return ""
        region = command.output_region or self.location.region
        key = f"{outputs.key_prefix(command, invocation.node_id)}{outputs.plugin_folder(step)}/{stream}"
        return f"https://s3.{region}.amazonaws.com/{command.bucket}/{key}"


def build_command(
    location: Location, given: dict[str, Any], document_name: str, ids: list[str], targets: list[dict[str, Any]]
) -> Command:
    """A command from SendCommand's parameters or a window task's, not yet sent. Raises the errors of SendCommand."""
    document = find_document(location, document_name, given.get("DocumentVersion"))
    if document.document_type != "Command":
        raise error("InvalidDocument", f"{document_name} is a document of type {document.document_type}, not Command.")
    options = {key: given[key] for key in KEPT_OPTIONS if key in given}
    options["DocumentVersion"] = given.get("DocumentVersion") or "$DEFAULT"
    if role := given.get("ServiceRoleArn"):
        options["ServiceRoleArn"] = role
    return Command(
        command_id=location.lab.guid(),
        document=document,
        parameters=bind_parameters(document, given.get("Parameters") or {}),
        requested=location.lab.clock.now(),
        timeout_seconds=given.get("TimeoutSeconds") or DEFAULT_TIMEOUT_SECONDS,
        max_concurrency=given.get("MaxConcurrency") or "50",
        max_errors=given.get("MaxErrors") or "0",
        instance_ids=ids,
        targets=targets,
        options=options,
        bucket=given.get("OutputS3BucketName") or None,
        prefix=given.get("OutputS3KeyPrefix") or "",
        output_region=given.get("OutputS3Region") or None,
    )


def reported_steps(command: Command, invocation: CommandInvocation) -> list[StepOutcome]:
    """What the agent reports of each step of the document, also of those that it skipped; nothing before the end.

    Skipped ones are successful and say why (AG:agent/runpluginutil/run.go).
    """
    outcome = invocation.outcome
    if outcome is None or not outcome.steps:
        return []
    ran = {id(one.step): one for one in outcome.steps}
    return [
        ran.get(id(step)) or StepOutcome(step, 0, text=_why_skipped(step, outcome, command.parameters), skipped=True)
        for step in command.document.steps
    ]


def _why_skipped(step: Step, outcome: Outcome, parameters: dict[str, list[str]]) -> str:
    if step.runs_on(outcome.platform, parameters):
        return f"Plugin with name {step.action} and id {step.name} skipped due to prior step with an exit condition"
    if step.precondition is not None:
        unmet = f'"StringEquals": [{", ".join(step.precondition)}]'
        return f"Step execution skipped due to unsatisfied preconditions: '{unmet}'. Step name: {step.name}"
    return f"Step execution skipped due to unsupported plugin: {step.action}. Step name: {step.name}"


def window_command(
    location: Location, task: WindowTask, given: dict[str, Any], targets: list[dict[str, Any]], snapshot_id: str
) -> Command | str:
    """The command of a window's task, or why there can be none: a window's invocation then fails with that text."""
    limits = {"MaxConcurrency": task.max_concurrency, "MaxErrors": task.max_errors}
    try:
        command = build_command(location, {**given, **limits}, task.task_arn, [], targets)
    except SSMException as problem:
        return f"{problem.code}: {problem.message}"[:250]
    command.snapshot_id = snapshot_id
    return command


def _command(command: Command) -> dict[str, Any]:
    longest = max((step.timeout_seconds(command.parameters) for step in command.document.steps), default=0)
    seconds = command.timeout_seconds + longest
    return {
        "CommandId": command.command_id,
        "DocumentName": command.document.name,
        "DocumentVersion": command.options["DocumentVersion"],
        "Comment": command.options.get("Comment", ""),
        "ExpiresAfter": datetime.fromtimestamp(command.requested.timestamp() + seconds, UTC),
        "Parameters": command.parameters,
        "InstanceIds": command.instance_ids,
        "Targets": command.targets,
        "RequestedDateTime": command.requested,
        "Status": command.status,
        "StatusDetails": command.details,
        **({"OutputS3Region": command.output_region} if command.output_region else {}),
        **({"OutputS3BucketName": command.bucket, "OutputS3KeyPrefix": command.prefix} if command.bucket else {}),
        "MaxConcurrency": command.max_concurrency,
        "MaxErrors": command.max_errors,
        "TargetCount": len(command.invocations),
        "CompletedCount": command.finished,
        "ErrorCount": command.errors,
        "DeliveryTimedOutCount": command.delivery_timeouts,
        "ServiceRole": command.options.get("ServiceRoleArn", ""),
        "TimeoutSeconds": command.timeout_seconds,
        **_kept(command, "NotificationConfig", "CloudWatchOutputConfig", "AlarmConfiguration"),
    }


def _milliseconds(when: datetime) -> str:
    """A time as GetCommandInvocation writes it: `2023-05-12T12:49:12.236Z`."""
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _duration(span: timedelta) -> str:
    """A duration as GetCommandInvocation writes it, Java's way: `PT0.056S`, `PT2.44S`, `PT1H0.271S`."""
    minutes, milliseconds = divmod(round(span.total_seconds() * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, rest = divmod(milliseconds, 1000)
    seconds = f"{whole}.{rest:03d}".rstrip("0") if rest else str(whole)
    parts = [f"{hours}H" if hours else "", f"{minutes}M" if minutes else "", f"{seconds}S" if milliseconds else ""]
    return f"PT{''.join(parts) or '0S'}"


def _kept(command: Command, *names: str) -> dict[str, Any]:
    return {name: command.options[name] for name in names if name in command.options}


def _chosen(command: Command, node_id: str | None) -> Iterable[CommandInvocation]:
    if node_id is None:
        return command.invocations.values()
    found = command.invocations.get(node_id)
    return () if found is None else (found,)


def _filters(params: dict[str, Any]) -> list[Callable[[Command, set[str]], bool]]:
    """The request's filters, each a test of a command and of the statuses, coarse and fine, that are asked about."""
    return [_filter(one["key"], one["value"]) for one in params.get("Filters") or []]


def _filter(key: str, value: str) -> Callable[[Command, set[str]], bool]:
    if key in ("InvokedAfter", "InvokedBefore"):
        bound = _time(value)
        if key == "InvokedAfter":
            return lambda command, _statuses: command.requested > bound
        return lambda command, _statuses: command.requested < bound
    if key == "Status":
        return lambda _command, statuses: value in statuses
    if key == "DocumentName":
        return lambda command, _statuses: command.document.name == value
    return lambda command, _statuses: (value == "Complete") is command.ended


def _time(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise error("InvalidFilterKey", f"{text!r} is not an ISO-8601 time such as 2025-06-02T00:00:00Z") from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
