"""`python -m sluice plan`: show what differs between the policy and AWS. Changes nothing."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from sluice import cli
from sluice.cli import plans

if TYPE_CHECKING:
    from sluice.cli import Subparsers


def add(subparsers: Subparsers) -> None:
    """`plan [--policy PATH] [--location …] [--json]`."""
    command = subparsers.add_parser(
        "plan", help="show what applying the policy would change", description=__doc__, epilog="exit code 2: changes"
    )
    plans.add_options(command)
    command.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Plan in every location."""
    from sluice.aws.locations import in_each
    from sluice.aws.session import Connections, Duty

    policy = plans.sound_policy(options)
    locations = plans.chosen(policy, options)
    outcomes = in_each(Connections.of(policy), locations, Duty.READER, plans.planner(policy), plans.announce)
    if options.json:
        print(json.dumps({"locations": [plans.as_json(outcome) for outcome in outcomes]}, indent=2))
    else:
        plans.print_plans(outcomes)
    if plans.print_failures(outcomes):
        return cli.FAILED
    return cli.CHANGES if any(outcome.value and outcome.value.pending for outcome in outcomes) else cli.DONE
