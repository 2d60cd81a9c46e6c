"""The command line, `python -m sluice`.

Exit codes: 0 done, 2 not understood.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sluice import __version__


def parser() -> argparse.ArgumentParser:
    """What the command line understands."""
    commands = argparse.ArgumentParser(
        prog="python -m sluice",
        description="Gated patch releases for AWS fleets.",
        epilog="The local AWS to rehearse on is a command of its own: python -m lab --help",
        allow_abbrev=False,
    )
    commands.add_argument("--version", action="version", version=f"sluice {__version__}")
    return commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, `sys.argv`'s unless given, and answer its exit code.

    As argparse does, raises SystemExit: with 0 after --help and --version, with 2 for what it does not know.
    """
    commands = parser()
    commands.parse_args(arguments)
    commands.print_help()
    return 0


if __name__ == "__main__":
    sys.exit(main())
