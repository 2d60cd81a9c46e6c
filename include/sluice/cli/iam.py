"""`python -m sluice iam`: what each role may do, from the permissions that stand beside the calls of AWS."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sluice import cli
from sluice.cli import blocks
from sluice.core.errors import SluiceError

if TYPE_CHECKING:
    from sluice.cli import Subparsers

ROOT = Path(__file__).parents[3]
TEMPLATES = ROOT / "include" / "cloudformation"
DOCUMENT = ROOT / "docs" / "infrastructure.md"


def add(subparsers: Subparsers) -> None:
    """`iam [--write]`."""
    command = subparsers.add_parser(
        "iam", help="show whether the roles' templates are what the code needs", description=__doc__
    )
    command.add_argument("--write", action="store_true", help="write them into include/cloudformation/ and docs/")


def run(options: argparse.Namespace) -> int:
    """Say which files differ from what the code needs, or write them."""
    differing = [(path, text) for path in files() if (text := wanted(path)) != _read(path)]
    if options.write:
        for path, text in differing:
            _write(path, text)
    for path, _ in differing:
        print(f"{'Wrote' if options.write else 'Differs:'} {path.relative_to(ROOT)}")
    if differing and not options.write:
        print("The code needs other permissions than these grant: python -m sluice iam --write")
        return cli.FAILED
    if not differing:
        print("Templates and document grant what the code needs.")
    return cli.DONE


def files() -> list[Path]:
    """The files that have generated parts."""
    return [*sorted(TEMPLATES.glob("*.yaml")), DOCUMENT]


def wanted(path: Path) -> str:
    """What a file has to be."""
    from sluice.cli import iam_text

    try:
        return blocks.rewritten(_read(path), iam_text.block)
    except KeyError as error:
        raise SluiceError(f"{path}: expected the name of a block that this command knows, found {error}") from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SluiceError(f"expected to read {path}, found {(error.strerror or str(error)).lower()}") from None


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SluiceError(f"expected to write {path}, found {(error.strerror or str(error)).lower()}") from None
