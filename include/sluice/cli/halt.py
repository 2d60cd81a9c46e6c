"""`python -m sluice halt`: stop a release, or everything, in all locations at once; or lift that again.

It needs the policy and AWS credentials (where roles are assumed: the halter's), and neither Airflow nor the
evidence store; an error in the policy hinders it only where it says which locations, as whom and whose windows.
Windows are disabled, what runs is cancelled, and a mark in the operations bucket keeps what is halted from opening
anything again. It may be given again at any time. docs/halt.md says what it does, and what becomes of nodes that
were in the middle.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import TYPE_CHECKING

from sluice import cli
from sluice.cli import plans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sluice.cli import Subparsers
    from sluice.flow.halting import Halted


def add(subparsers: Subparsers) -> None:
    """`halt [RELEASE | --all] --reason TEXT [--lift] [--policy PATH] [--location …]`."""
    command = subparsers.add_parser(
        "halt",
        help="stop a release, or everything, in all locations",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="exit code 1: something could not be halted; it is named, and the command may be given again",
    )
    command.add_argument("release", metavar="RELEASE", nargs="?", help="the id of a release; or --all")
    command.add_argument("--all", action="store_true", help="every window of the deployment, whichever release's")
    command.add_argument("--reason", metavar="TEXT", required=True, help="why; it stands in the mark")
    command.add_argument("--lift", action="store_true", help="what was halted may open again; opens nothing itself")
    plans.add_options(command)


def run(options: argparse.Namespace) -> int:
    """Halt or lift, and say what was done and what was not."""
    from sluice.aws.session import Connections
    from sluice.core.errors import PolicyError, SluiceError
    from sluice.files import read_policy_to_halt
    from sluice.flow.halt import halt, lift

    if bool(options.release) == options.all:
        raise SluiceError("expected the id of a release, or --all, found both or neither: nothing was halted")
    try:
        policy, problems = read_policy_to_halt(options.policy)
    except PolicyError as error:
        advice = "mend what a halt goes by (docs/halt.md), or name a policy that has it right with --policy"
        raise SluiceError(f"{error}\nnothing was halted: {advice}") from None
    if problems:
        print(f"The policy has errors that no halt waits for: {len(problems)}; `python -m sluice check` lists them.")
    connections = Connections.of(policy)
    places = plans.chosen(policy, options)
    asked = {"by": getpass.getuser(), "because": options.reason, "locations": places, "opened": plans.announce}
    if options.lift:
        return _say_lifted(lift(policy, connections, options.release, **asked), options.release or "everything")
    return _say_halted(halt(policy, connections, options.release, tell=plans.tell, **asked))


def _say_halted(found: Sequence[Halted]) -> int:
    for one in found:
        if one.nodes:
            print(f"{one.location}: in the middle when it was halted, so look at them: {', '.join(one.nodes)}")
    print(f"{sum(not one.left for one in found)} of {len(found)} locations halted.")
    if plans.print_left(found, "not halted"):
        print("Give the command again: it goes on where it stopped.", file=sys.stderr)
        return cli.FAILED
    return cli.DONE


def _say_lifted(found: Sequence[Halted], name: str) -> int:
    for one in found:
        if not one.left:
            print(f"{one.location}: {name} {'may open again' if one.marked else 'was not halted'}")
    print("Windows stay as they are: a release opens its own; what else was enabled, `apply` puts back.")
    return cli.FAILED if plans.print_left(found, "not lifted") else cli.DONE
