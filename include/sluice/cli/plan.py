"""`python -m sluice plan`: show what differs between the policy and AWS. Changes nothing.

With --calls, and in JSON, also each call that `apply` would make and that changes something: found by carrying the
plan out where calls are written down instead of sent.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from sluice import cli
from sluice.cli import plans

if TYPE_CHECKING:
    from sluice.aws.session import Connection
    from sluice.cli import Subparsers
    from sluice.core.policy.plan import Plan


def add(subparsers: Subparsers) -> None:
    """`plan [--policy PATH] [--location …] [--calls] [--json]`."""
    command = subparsers.add_parser(
        "plan",
        help="show what applying the policy would change",
        description=__doc__,
        epilog="exit code 2: changes",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    plans.add_options(command)
    command.add_argument("--calls", action="store_true", help="also each call that `apply` would make and that changes")
    command.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Plan in every location."""
    from sluice.aws.locations import in_each
    from sluice.aws.planned_calls import PlannedCall, planned_calls
    from sluice.aws.session import Connections, Duty
    from sluice.flow.apply import planner

    policy = plans.sound_policy(options)
    locations = plans.chosen(policy, options)
    plan_of = planner(policy)
    calls: dict[str, tuple[PlannedCall, ...]] = {}

    def work(connection: Connection) -> Plan:
        plan = plan_of(connection)
        if options.calls or options.json:
            calls[connection.key] = planned_calls(connection, policy.deployment, plan)
        return plan

    outcomes = in_each(Connections.of(policy), locations, Duty.READER, work, plans.announce, plans.announce_waiting)
    if options.json:
        print(json.dumps({"locations": [plans.as_json(one, calls.get(one.key, ())) for one in outcomes]}, indent=2))
    else:
        plans.print_plans(outcomes, calls=calls)
    if plans.print_failures(outcomes):
        return cli.FAILED
    return cli.CHANGES if any(outcome.value and outcome.value.pending for outcome in outcomes) else cli.DONE
