"""Run Command's operations: send, list, read, cancel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from moto.ssm.exceptions import SSMException

from lab import commands, outputs
from lab.clock import stamp
from lab.commands import Command, CommandInvocation
from lab.runs import StepOutcome
from lab.ssm.base import SSMOperations, error
from lab.ssm.documents import bind_parameters, find_document
from lab.ssm.model import WindowTask
from lab.ssm.selection import select
from lab.targets import managed, resolve
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
        if len(set(given_ids)) != len(given_ids):
            raise error("DuplicateInstanceId", "An instance id is given twice.")
        strange = [node_id for node_id in given_ids if not managed(location, node_id)]
        if strange:
            raise error("InvalidInstanceId", f"Instances {strange} not in a valid state for account {location.account}")
        command = build_command(location, params, params["DocumentName"], given_ids, targets)
        commands.send(location, command, given_ids or resolve(location, targets))
        return {"Command": _command(command)}

    def list_commands(self) -> dict[str, Any]:
        """Commands, newest first."""
        node_id, filters = self.params.get("InstanceId"), _filters(self.params)

        def wanted(command: Command) -> bool:
            here = node_id is None or node_id in command.invocations
            return here and all(fits(command, command.status) for fits in filters)

        page, more = select(self, self._commands(), wanted, default=50)
        return {"Commands": [_command(command) for command in page], **more}

    def list_command_invocations(self) -> dict[str, Any]:
        """Commands on nodes, with the plugins' results when `Details` are asked for."""
        node_id, filters = self.params.get("InstanceId"), _filters(self.params)
        details = self.params.get("Details", False)
        pairs = ((command, one) for command in self._commands() for one in _chosen(command, node_id))
        page, more = select(
            self, pairs, lambda pair: all(fits(pair[0], pair[1].status) for fits in filters), default=50
        )
        return {"CommandInvocations": [self._invocation(*pair, details=details) for pair in page], **more}

    def get_command_invocation(self) -> dict[str, Any]:
        """A command on one node: its last plugin's result, or the one that `PluginName` names."""
        command = self._command_by_id(self.params["CommandId"])
        invocation = command.invocations.get(self.params["InstanceId"])
        if invocation is None:
            raise error("InvocationDoesNotExist", "An error occurred: the command was not sent to this instance.")
        steps = invocation.outcome.steps if invocation.outcome else []
        name = self.params.get("PluginName")
        step = next((one for one in reversed(steps) if name in (None, one.step.plugin, one.step.name)), None)
        if name and step is None and invocation.final:
            raise error("InvalidPluginName", f"The plugin {name} is not valid.")
        out, err = outputs.streams(self.location, step, invocation.node_id) if step else ("", "")
        started, ended = invocation.start, invocation.end
        elapsed = f"PT{(ended - started).total_seconds():.3f}S" if started and ended else ""
        return {
            "CommandId": command.command_id,
            "InstanceId": invocation.node_id,
            "Comment": command.options.get("Comment", ""),
            "DocumentName": command.document.name,
            "DocumentVersion": command.document.version,
            **({"PluginName": step.step.plugin} if step else {}),
            "ResponseCode": step.code if step else -1,
            "ExecutionStartDateTime": stamp(started) if started else "",
            "ExecutionElapsedTime": elapsed,
            "ExecutionEndDateTime": stamp(ended) if started and ended else "",
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
        steps = invocation.outcome.steps if invocation.outcome else []
        last = steps[-1] if steps else None
        return {
            "CommandId": command.command_id,
            "InstanceId": invocation.node_id,
            "InstanceName": node.name if node else "",
            "Comment": command.options.get("Comment", ""),
            "DocumentName": command.document.name,
            "DocumentVersion": command.document.version,
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
        out, err = outputs.streams(self.location, step, invocation.node_id)
        failed = "TimedOut" if invocation.details == "ExecutionTimedOut" else "Failed"
        status = "Success" if step.code == 0 else failed
        return {
            "Name": step.step.plugin,
            "Status": status,
            "StatusDetails": status if status != "TimedOut" else "ExecutionTimedOut",
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
        if command.bucket is None:
            return ""
        region = command.output_region or self.location.region
        key = f"{outputs.key_prefix(command, invocation.node_id)}{outputs.plugin_folder(step)}/{stream}"
        return f"https://s3.{region}.amazonaws.com/{command.bucket}/{key}"


def build_command(
    location: Location, given: dict[str, Any], document_name: str, ids: list[str], targets: list[dict[str, Any]]
) -> Command:
    """A command from SendCommand's parameters or a window task's, not yet sent. Raises the errors of SendCommand."""
    document = find_document(location, document_name, given.get("DocumentVersion"))
    options = {key: given[key] for key in KEPT_OPTIONS if key in given}
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
        "DocumentVersion": command.document.version,
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


def _kept(command: Command, *names: str) -> dict[str, Any]:
    return {name: command.options[name] for name in names if name in command.options}


def _chosen(command: Command, node_id: str | None) -> Iterable[CommandInvocation]:
    if node_id is None:
        return command.invocations.values()
    found = command.invocations.get(node_id)
    return () if found is None else (found,)


def _filters(params: dict[str, Any]) -> list[Callable[[Command, str], bool]]:
    """The request's filters, each a test of a command and of the status that is asked about."""
    return [_filter(one["key"], one["value"]) for one in params.get("Filters") or []]


def _filter(key: str, value: str) -> Callable[[Command, str], bool]:
    if key in ("InvokedAfter", "InvokedBefore"):
        bound = _time(value)
        if key == "InvokedAfter":
            return lambda command, status: command.requested > bound
        return lambda command, status: command.requested < bound
    if key == "Status":
        return lambda command, status: status == value
    if key == "DocumentName":
        return lambda command, status: command.document.name == value
    return lambda command, status: (value == "Complete") is command.ended


def _time(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise error("InvalidFilterKey", f"{text!r} is not an ISO-8601 time such as 2025-06-02T00:00:00Z") from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
