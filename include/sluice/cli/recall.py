"""`python -m sluice recall`: take a patch back in all locations, or lift that again.

No new manifest has it, releases whose manifest has it are held, windows that are open to install it are disabled, what
runs and installs it is cancelled, and the next `apply` rejects it in every baseline. A package is rejected by its name,
all versions of it: lift the recall when the next one is out. It needs the policy and AWS credentials (where roles are
assumed: the halter's), and reads the evidence to name the nodes that have it. docs/soak-and-gate.md says more.
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

    from sluice.aws.session import Connections
    from sluice.cli import Subparsers
    from sluice.core.policy.policy import Policy
    from sluice.flow.recall import Recalled


def add(subparsers: Subparsers) -> None:
    """`recall PATCH --reason TEXT [--lift] [--policy PATH] [--location …]`."""
    command = subparsers.add_parser(
        "recall",
        help="take a patch back: nobody installs it any more",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="exit code 1: something could not be done; it is named, and the command may be given again",
    )
    command.add_argument("patch", metavar="PATCH", help="KB5060531, openssl, openssl.x86_64, or a title of AWS")
    command.add_argument("--reason", metavar="TEXT", help="why; it stands in the recall")
    command.add_argument("--lift", action="store_true", help="it may be installed again, from the next apply on")
    plans.add_options(command)


def run(options: argparse.Namespace) -> int:
    """Recall or lift, and say what was done and what was not."""
    from sluice.aws.session import Connections
    from sluice.core.errors import SluiceError
    from sluice.files import read_policy
    from sluice.flow.recall import lift, recall

    if not options.lift and not options.reason:
        raise SluiceError("expected --reason with why it is recalled, found none: nothing was recalled")
    policy = read_policy(options.policy).policy
    connections = Connections.of(policy)
    places = plans.chosen(policy, options)
    by = getpass.getuser()
    if options.lift:
        lifted = lift(policy, connections, options.patch, by=by, locations=places, opened=plans.announce)
        return _say_lifted(lifted, options.patch)
    found = recall(
        policy,
        connections,
        options.patch,
        by=by,
        because=options.reason,
        locations=places,
        tell=plans.tell,
        opened=plans.announce,
    )
    return _say_recalled(found, policy, connections)


def _say_recalled(found: Sequence[Recalled], policy: Policy, connections: Connections) -> int:
    for one in found:
        if one.nodes:
            print(f"{one.location}: in the middle when it was cancelled, so look at them: {', '.join(one.nodes)}")
    standing = [one.recall for one in found if one.recall is not None]
    print(
        f"recalled in {len(standing)} of {len(found)} locations; `python -m sluice apply` rejects it in the baselines,"
        " and until then installs of its operating systems are refused"
    )
    if standing:
        _say_holders(policy, connections, standing[0].patch)
    return cli.FAILED if plans.print_left(found, "not done") else cli.DONE


def _say_holders(policy: Policy, connections: Connections, patch: str) -> None:
    """The nodes that have it, as far as the evidence tells."""
    from sluice.core.errors import SluiceError
    from sluice.flow.holders import holders

    try:
        having = holders(policy, connections, patch)
    except SluiceError as error:
        print(f"which nodes have it is not known: {plans.for_terminal(str(error))}", file=sys.stderr)
        return
    for one in having:
        what = plans.for_terminal(one.title or one.id)
        print(f"{one.location}: {one.node} has {what}, seen {one.until:%Y-%m-%d %H:%M} UTC")
    print(f"{len({one.node for one in having})} nodes have it, by the evidence of the last scans and installs")


def _say_lifted(found: Sequence[Recalled], patch: str) -> int:
    for one in found:
        if not one.left:
            became = "may be installed again" if one.recall else "was not recalled"
            print(f"{one.location}: {plans.for_terminal(patch)} {became}")
    print("Its baselines reject it until the next `python -m sluice apply`.")
    return cli.FAILED if plans.print_left(found, "not done") else cli.DONE
