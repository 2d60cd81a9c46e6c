"""`python -m sluice schema`: the policy's JSON Schema."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from sluice import cli
from sluice.core.errors import SluiceError
from sluice.files import SHIPPED

if TYPE_CHECKING:
    from sluice.cli import Subparsers

FILE = SHIPPED / "policy.schema.json"


def add(subparsers: Subparsers) -> None:
    """`schema [--write]`."""
    command = subparsers.add_parser("schema", help="print the policy's JSON Schema, for editors", description=__doc__)
    command.add_argument("--write", action="store_true", help=f"write it to include/policy/{FILE.name} instead")


def run(options: argparse.Namespace) -> int:
    """Print the schema, or write it where policies look for it."""
    if not options.write:
        print(text(), end="")
        return cli.DONE
    try:
        FILE.write_text(text(), encoding="utf-8")
    except OSError as error:
        raise SluiceError(f"expected to write {FILE}, found {(error.strerror or str(error)).lower()}") from None
    print(f"Wrote {FILE}")
    return cli.DONE


def text() -> str:
    """The file's content."""
    from sluice.core.policy.json_schema import policy_schema

    return json.dumps(policy_schema(), indent=2, ensure_ascii=False) + "\n"
