"""`python -m sluice init --pilot`: write a policy that scans at most five nodes. Changes nothing in AWS.

The nodes are looked at with the caller's own credentials. Each has to be managed, online and without a patch group:
a node that has one is somebody's already.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sluice import cli
from sluice.core.errors import EndpointError, SluiceError

if TYPE_CHECKING:
    from sluice.cli import Subparsers

OUTPUT = "pilot.yaml"


def add(subparsers: Subparsers) -> None:
    """`init --pilot --account … --region … --nodes … [--output FILE] [--rehearsal]`."""
    command = subparsers.add_parser(
        "init",
        help="write a policy to begin with",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--pilot", action="store_true", required=True, help="one that scans at most five nodes")
    command.add_argument("--account", required=True, help="12 digits; the credentials have to be this account's")
    command.add_argument("--region", required=True, help="e.g. eu-west-3")
    command.add_argument("--nodes", required=True, nargs="+", metavar="ID", help="instance ids, at most five")
    command.add_argument("--output", default=OUTPUT, metavar="FILE", help=f"a file that is not there yet: {OUTPUT}")
    command.add_argument(
        "--rehearsal", action="store_true", help="leave `endpoint: aws` out, for the lab; else only AWS is asked"
    )


def run(options: argparse.Namespace) -> int:
    """Look at the nodes and write the policy."""
    from sluice.core.policy.pilot import GROUP, TAG, check_number

    options.nodes = list(dict.fromkeys(options.nodes))
    check_number(options.nodes)
    file = Path(options.output)
    if file.exists():
        raise SluiceError(f"{file}: expected a new file, found one: remove it, or name another with --output")
    text = _policy(options)
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise SluiceError(f"{file}: expected a new file that can be written, found: {error.strerror}") from error
    print(f"written: {file}. Its nodes are those with the tag {TAG} = {GROUP}, which you give them:")
    print(
        f"  aws ec2 create-tags --region {options.region} --resources {' '.join(options.nodes)}"
        f" --tags 'Key={TAG},Value={GROUP}'"
    )
    return cli.DONE


def _policy(options: argparse.Namespace) -> str:
    from pydantic import ValidationError

    from sluice.aws import nodes
    from sluice.aws.session import Connections, Duty
    from sluice.cli import plans
    from sluice.core.policy.load import load_policy
    from sluice.core.policy.pilot import pilot_policy
    from sluice.core.policy.places import CALLER, Location, Roles

    if CALLER in (options.account, options.region):
        raise SluiceError("expected the account's 12 digits and a Region by name: a pilot says where it is")
    try:
        location = Location(account=options.account, region=options.region)
    except ValidationError as error:
        raise SluiceError("; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors())) from None
    try:
        connection = Connections(Roles(), aws_only=not options.rehearsal, read_only=True).open(location, Duty.READER)
    except EndpointError as error:
        raise SluiceError(
            f"expected an endpoint of AWS's own for a pilot, found {error.url}; nothing was written: unset"
            " AWS_ENDPOINT_URL and endpoint_url in the AWS configuration, or give --rehearsal to try it out there"
        ) from error
    try:
        plans.announce(connection)
        text = pilot_policy(
            connection.account,
            connection.region,
            options.nodes,
            nodes.listed(connection),
            rehearsal=options.rehearsal,
        )
    finally:
        connection.close()
    load_policy([(options.output, text)], {})
    return text
