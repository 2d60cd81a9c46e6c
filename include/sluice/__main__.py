"""The command line, `python -m sluice`. Its commands and their exit codes: `sluice.cli`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from sluice import __version__, cli
from sluice.core.errors import SluiceError

EPILOG = """\
exit codes: 0 done, 1 refused or failed, 2 not understood (or, for plan: there are changes), 130 stopped by Ctrl-C
The local AWS to rehearse on is a command of its own: python -m lab --help"""


def parser() -> argparse.ArgumentParser:
    """What the command line understands."""
    commands = argparse.ArgumentParser(
        prog="python -m sluice",
        description="Gated patch releases for AWS fleets.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands.add_argument("--version", action="version", version=f"sluice {__version__}")
    cli.add_commands(commands.add_subparsers(title="commands", metavar="COMMAND"))
    return commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, `sys.argv`'s unless given, and answer its exit code.

    As argparse does, raises SystemExit: with 0 after --help and --version, with 2 for what it does not know.
    """
    if isinstance(sys.stdout, TextIOWrapper):  # a terminal that cannot show a character gets its number
        sys.stdout.reconfigure(errors="backslashreplace")
    commands = parser()
    options = commands.parse_args(arguments)
    if "run" not in options:
        commands.print_help()
        return cli.DONE
    try:
        code = int(options.run(options))
        sys.stdout.flush()
    except SluiceError as error:
        print(f"sluice: {error}", file=sys.stderr)
        return cli.FAILED
    except KeyboardInterrupt:
        print("sluice: stopped", file=sys.stderr)
        return cli.STOPPED
    except BrokenPipeError:  # who reads has seen enough, e.g. `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return cli.FAILED
    return code


if __name__ == "__main__":
    sys.exit(main())
