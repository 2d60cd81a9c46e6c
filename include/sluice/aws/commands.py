"""Commands of Run Command, and what became of them on each node."""

from __future__ import annotations

from typing import Any

from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.core.errors import AnswerError

FINAL = frozenset({"Success", "Failed", "TimedOut", "Cancelled"})
"""Statuses of an invocation that change no more (API reference, CommandInvocation)."""


@calls("ssm:ListCommands")  # IAM knows no resource for it
def read(connection: Connection, command_id: str) -> dict[str, Any]:
    """A command by id, as Command. Raises AnswerError where AWS does not show it."""
    found = list(connection.pages("ssm", "ListCommands", "Commands", CommandId=command_id))
    if len(found) != 1 or "Status" not in found[0]:
        raise AnswerError(
            f"{connection.key}: expected command {command_id}, found {len(found)}; nothing was concluded from it, try"
            " again"
        )
    return found[0]


@calls("ssm:ListCommandInvocations")  # IAM knows no resource for it
def invocations(
    connection: Connection, command_id: str, *, status: str | None = None, details: bool = False
) -> list[dict[str, Any]]:
    """A command's invocations, one a node, as CommandInvocation, all pages; with a `status` only those that have it.

    With `details` each has its steps, as CommandPlugin: when they ran and what they ended with.
    """
    more: dict[str, Any] = {"Filters": [{"key": "Status", "value": status}]} if status else {}
    if details:
        more["Details"] = True
    operation = "ListCommandInvocations"
    return list(connection.pages("ssm", operation, "CommandInvocations", CommandId=command_id, MaxResults=50, **more))


@calls("ssm:CancelCommand")  # IAM knows no resource for it: any command of the account
def cancel(connection: Connection, command_id: str) -> None:
    """Cancel a command: it starts on no further node, and what runs is asked to stop."""
    connection.call("ssm", "CancelCommand", CommandId=command_id)
