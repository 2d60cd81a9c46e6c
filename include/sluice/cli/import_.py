"""`python -m sluice import`: write a policy from what an account has now. Changes nothing in AWS.

The caller's own credentials read baselines, patch groups, maintenance windows and nodes of one account and
Region. What a policy cannot say stands in comments at its top.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sluice import cli
from sluice.core.errors import SluiceError

if TYPE_CHECKING:
    from sluice.cli import Subparsers


def add(subparsers: Subparsers) -> None:
    """`import [--region REGION] [--output FILE]`."""
    command = subparsers.add_parser(
        "import",
        help="write a policy from what an account has",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--region", help="else the Region of boto3's own configuration")
    command.add_argument("--output", metavar="FILE", help="a file that is not there yet; else standard output")


def run(options: argparse.Namespace) -> int:
    """Read the account and write the policy, if it loads again."""
    from sluice.aws.account import read_account
    from sluice.aws.session import Connections, Duty
    from sluice.cli import plans
    from sluice.core.policy.imported import imported
    from sluice.core.policy.load import load_policy
    from sluice.core.policy.places import Location, Roles

    location = Location(region=options.region) if options.region else Location()
    connection = Connections(Roles()).open(location, Duty.READER)
    try:
        plans.announce(connection)
        text = imported(read_account(connection))
    finally:
        connection.close()
    load_policy([(options.output or "imported.yaml", text)], {})
    if options.output is None:
        print(text, end="")
        return cli.DONE
    try:
        with Path(options.output).open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise SluiceError(
            f"{options.output}: expected a new file that can be written, found: {error.strerror}"
        ) from error
    print(f"written: {options.output}; next: python -m sluice check {options.output}", file=sys.stderr)
    return cli.DONE
