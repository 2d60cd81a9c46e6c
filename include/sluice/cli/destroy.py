"""`python -m sluice destroy`: remove from AWS what is the deployment's, after asking twice.

Windows, baselines, registrations and documents with its ownership tags go; so nodes of its patch groups
fall on their operating system's default baseline. Where a window or association of others patches such a group,
that needs --take-over. History, logs, evidence and images stay.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sluice.cli import plans

if TYPE_CHECKING:
    from sluice.cli import Subparsers


def add(subparsers: Subparsers) -> None:
    """`destroy [--policy PATH] [--location …] [--take-over NAME] [--yes --yes]`."""
    command = subparsers.add_parser(
        "destroy",
        help="remove from AWS what is the deployment's",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    plans.add_options(command)
    plans.add_take_over(command)
    command.add_argument("--yes", action="count", default=0, help="given twice: don't ask")


def run(options: argparse.Namespace) -> int:
    """Plan, ask twice, remove."""
    from sluice.cli.carry_out import carry_out
    from sluice.flow.apply import planner

    policy = plans.sound_policy(options)
    locations = plans.chosen(policy, options)

    def agreed(changes: int, where: str) -> bool:
        return options.yes >= 2 or (
            plans.agreed_to(f"Remove these {changes} objects from {where}? (yes)", "yes")
            and plans.agreed_to(f"Sure? Type the deployment's name, {policy.deployment}:", policy.deployment)
        )

    return carry_out(policy, locations, planner(policy, empty=True), agreed, tuple(options.take_over))
