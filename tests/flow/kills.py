"""What releases that are killed leave in AWS, as the lab has it."""

from __future__ import annotations

from datetime import timedelta

from lab.testing import LabHandle
from sluice.aws.actual import read_actual
from sluice.aws.session import Connections, Duty
from sluice.core.policy.desired import desired
from sluice.core.policy.plan import make_plan
from sluice.core.policy.policy import Policy

RETRY = timedelta(minutes=3)
"""How long after a death the next try begins: sooner than a window opens after it was armed."""


def installs(lab: LabHandle) -> list[tuple[str, tuple[str, ...], str]]:
    """The Install commands that windows sent, by the lab's record: window, nodes, what was requested."""
    location = lab.location()
    found = []
    for run in location.executions.values():
        for task in run.tasks:
            for one in task.invocations:
                command = location.commands.get(one.execution_id or "")
                if command is not None and command.parameters.get("Operation") == ["Install"]:
                    given = (command.parameters.get("InstallOverrideList") or [""])[0]
                    found.append((run.window_id, tuple(sorted(command.invocations)), given))
    return found


def at_rest(policy: Policy) -> bool:
    """Whether everything in AWS is as the policy has it."""
    connection = Connections.of(policy).open(policy.locations[0], Duty.READER)
    wanted = desired(policy, connection.account, connection.region)
    return not make_plan(
        connection.account, connection.region, wanted, read_actual(connection, policy.deployment)
    ).pending
