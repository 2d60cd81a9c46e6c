"""`python -m sluice report`: make the report of a release anew from the evidence, or list the latest releases.

It reads the evidence and nothing else: no location is asked.
"""

from __future__ import annotations

import argparse
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sluice import cli

if TYPE_CHECKING:
    from sluice.cli import Subparsers
    from sluice.evidence.store import Store

LISTED_DAYS = 14
"""Up to the latest release."""


def add(subparsers: Subparsers) -> None:
    """`report [RELEASE] [--out FOLDER] [--policy PATH]`."""
    command = subparsers.add_parser(
        "report", help="make the report of a release anew, or list the latest releases", description=__doc__
    )
    command.add_argument("release", metavar="RELEASE", nargs="?", help="its id; without one the latest are listed")
    command.add_argument("--out", metavar="FOLDER", type=Path, help="write the files there, instead of to the evidence")
    command.add_argument("--policy", metavar="PATH", help="a file or folder; else SLUICE_POLICY, else include/policy")


def run(options: argparse.Namespace) -> int:
    """Write the files and say where they are."""
    import boto3

    from sluice.evidence.store import open_store
    from sluice.files import read_policy
    from sluice.flow.report import FILES, rendered, write

    store = open_store(read_policy(options.policy).policy, boto3.Session())
    if options.release is None:
        return _list(store)
    if options.out is None:
        for where in write(store, options.release).values():
            print(where)
        return cli.DONE
    options.out.mkdir(parents=True, exist_ok=True)
    for kind, content in rendered(store, options.release):
        path = options.out / FILES[kind]
        path.write_bytes(content)
        print(path)
    return cli.DONE


def _list(store: Store) -> int:
    from sluice.cli.plans import for_terminal
    from sluice.evidence import queries

    # By the evidence's own days, which are AWS's, and not by this machine's.
    days = [date.fromisoformat(key.split("/")[1].removeprefix("date=")) for key in store.keys("releases/date=")]
    if not days:
        print(f"No release was reported yet in {store.describe()}.")
        return cli.DONE
    for one in queries.releases(store, max(days) - timedelta(days=LISTED_DAYS), max(days)):
        print(f"{one.release}  {'' if one.ok else 'FAILED '}{one.outcome}: {for_terminal(one.line)}")
    return cli.DONE
