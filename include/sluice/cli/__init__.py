"""The commands of `python -m sluice`, one a module.

A command's module has two functions:

    add(subparsers)    its parser, with `subparsers.add_parser(name, help=…)` and its options
    run(options)       does it, answers the exit code; `set_defaults(run=…)` where one module has several commands

and its name in COMMANDS. The other modules here are what several commands share. Every command is imported to
build the command line, so what is slow to import (boto3, polars, jinja2), and what shares it, is imported inside
`run`.

Exit codes, the same for every command:

    0      done; for `plan`: nothing to change
    1      refused or failed: what and what to do about it stands on standard error, without a traceback
    2      the command line was not understood; for `plan`: there are changes
    130    stopped by Ctrl-C
"""

from __future__ import annotations

import argparse
import importlib
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

COMMANDS = (
    "apply",
    "calendar",
    "check",
    "destroy",
    "doctor",
    "gate",
    "halt",
    "iam",
    "import_",
    "init",
    "plan",
    "prove",
    "recall",
    "report",
    "schema",
)
"""Modules of the commands, in the order in which help lists them."""

DONE = 0
FAILED = 1
CHANGES = 2
STOPPED = 130


def add_commands(subparsers: Subparsers) -> None:
    """Let every command add its parser; each parser's default `run` is what carries it out."""
    for module in _commands():
        before = set(subparsers.choices)
        module.add(subparsers)
        for name in set(subparsers.choices) - before:
            command = subparsers.choices[name]
            if command.get_default("run") is None:
                command.set_defaults(run=module.run)


def _commands() -> list[ModuleType]:
    return [importlib.import_module(f"{__name__}.{name}") for name in COMMANDS]
