"""An execution of a window, down to what its commands did on each node: all pages of everything."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sluice.aws import commands, executions
from sluice.aws.session import Connection
from sluice.core.window_protocol import Execution
from sluice.core.window_record import MISSING, SUCCESS, Result


@dataclass(frozen=True, slots=True)
class Looked:
    """An execution as it was looked at."""

    execution: Execution
    results: tuple[Result, ...]
    """Of each node that a command was sent to, by node; a status that is not final is as it was then."""
    ended: datetime | None
    commands: tuple[str, ...]
    """Those that have not ended, by id."""
    details: str
    """Why AWS says that it failed, as far as it says."""


def look_at(connection: Connection, identity: dict[str, Any], prefixes: frozenset[str] | None) -> Looked:
    """Look at an execution. `prefixes` are the log prefixes of the wave's own commands; None: nobody can tell them."""
    tasks = executions.tasks(connection, identity["WindowExecutionId"])
    invoked = list(_invocations(connection, identity["WindowExecutionId"], tasks))
    sent = [commands.read(connection, one["ExecutionId"]) for one in invoked if _is_command(one)]
    nodes = {one["CommandId"]: commands.invocations(connection, one["CommandId"]) for one in sent}
    results = [_result(one) for found in nodes.values() for one in found]
    open_commands = [one["CommandId"] for one in sent if not _ended(one, nodes[one["CommandId"]])]
    return Looked(
        execution=Execution(
            id=identity["WindowExecutionId"],
            start=identity["StartTime"],
            status=identity["Status"],
            final=identity["Status"] in executions.FINAL and not open_commands,
            ours=_ours(sent, prefixes, only_commands=len(sent) == sum(1 for one in invoked if one.get("ExecutionId"))),
            nodes=tuple(sorted({one.node for one in results})),
            unsuccessful=tuple(sorted({one.node for one in results if one.status != SUCCESS})),
            tasks=tuple(one["Status"] for one in tasks),
        ),
        results=tuple(sorted(results, key=lambda one: one.node)),
        ended=identity.get("EndTime"),
        commands=tuple(open_commands),
        details="; ".join(sorted({one["StatusDetails"] for one in invoked if one.get("StatusDetails")})),
    )


def cancel(connection: Connection, looked: Looked) -> None:
    """Cancel it with its commands: an execution's own end stops only what has not begun."""
    executions.cancel(connection, looked.execution.id)
    for command in looked.commands:
        commands.cancel(connection, command)


def with_missing(results: Collection[Result], nodes: Collection[str]) -> tuple[Result, ...]:
    """The results, and one for each of the nodes that has none."""
    reached = {one.node for one in results}
    missing = [Result(node, MISSING, "the execution did not reach it") for node in nodes if node not in reached]
    return tuple(sorted((*results, *missing), key=lambda one: one.node))


def _is_command(invocation: dict[str, Any]) -> bool:
    """Whether a command is behind it: of an automation or a function `ExecutionId` is something else."""
    return bool(invocation.get("ExecutionId")) and invocation["TaskType"] == "RUN_COMMAND"


def _invocations(
    connection: Connection, execution_id: str, tasks: Collection[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    for task in tasks:
        yield from executions.invocations(connection, execution_id, task["TaskExecutionId"])


def _ended(command: dict[str, Any], invocations: list[dict[str, Any]]) -> bool:
    """Whether a command has ended on every node that AWS counts for it: a list that is short is not the whole."""
    whole = len(invocations) >= command.get("TargetCount", 0)
    over = command["Status"] in commands.FINAL
    return whole and over and all(one["Status"] in commands.FINAL for one in invocations)


def _ours(sent: list[dict[str, Any]], prefixes: frozenset[str] | None, *, only_commands: bool) -> bool | None:
    """Whether it ran the wave's own commands, and nothing else; what is for no node sends none."""
    if not only_commands and prefixes != frozenset():
        return False
    if prefixes is None or not sent:
        return None
    return all(one.get("OutputS3KeyPrefix", "") in prefixes for one in sent)


def _result(invocation: dict[str, Any]) -> Result:
    details = invocation.get("StatusDetails", "")
    status = invocation["Status"]
    return Result(invocation["InstanceId"], status, "" if details == status else details, invocation["CommandId"])
