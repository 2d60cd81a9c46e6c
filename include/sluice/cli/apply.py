"""`python -m sluice apply`: make AWS as the policy says, after asking.

Killed at any point, it is run again: the next plan goes on from there. It changes what carries the
deployment's ownership tags; what is of others needs --take-over, which names it.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sluice.cli import plans

if TYPE_CHECKING:
    from sluice.cli import Subparsers


def add(subparsers: Subparsers) -> None:
    """`apply [--policy PATH] [--location …] [--take-over NAME] [--yes]`."""
    command = subparsers.add_parser(
        "apply",
        help="make AWS as the policy says",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    plans.add_options(command)
    plans.add_take_over(command)
    command.add_argument("--yes", action="store_true", help="don't ask")


def run(options: argparse.Namespace) -> int:
    """Plan, ask, apply."""
    from sluice.cli.carry_out import carry_out
    from sluice.flow.apply import planner

    policy = plans.sound_policy(options)
    locations = plans.chosen(policy, options)

    def agreed(changes: int, where: str) -> bool:
        return bool(options.yes) or plans.agreed_to(f"Make these {changes} changes in {where}? (yes)", "yes")

    return carry_out(policy, locations, planner(policy), agreed, tuple(options.take_over))
