"""`python -m sluice gate replay FILE`: decide again, offline, from what was kept of a decision.

The file is a release's decision.json from the evidence (`releases/<release>/decision.json`). The same facts must come
to the same verdict, rule by rule: exit code 1 where they do not, as the record was altered or another version decided.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sluice import cli
from sluice.cli import plans

if TYPE_CHECKING:
    from sluice.cli import Subparsers


def add(subparsers: Subparsers) -> None:
    """`gate replay FILE [--json]`."""
    command = subparsers.add_parser(
        "gate",
        help="decide again on a production release, offline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    acts = command.add_subparsers(metavar="ACT", required=True)
    replay = acts.add_parser("replay", help="decide again from a stored decision", allow_abbrev=False)
    replay.add_argument("file", metavar="FILE", type=Path, help="decision.json of a release")
    replay.add_argument("--json", action="store_true", help="the decision as JSON")
    replay.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Decide again and show the rules. Raises SluiceError where the verdict or a rule comes out differently."""
    from sluice.core.release.gate import replay

    decision = replay(_read(options.file))
    if options.json:
        print(json.dumps(decision.as_json(), indent=1, sort_keys=True))
        return cli.DONE
    print(f"{decision.facts.release} at {decision.facts.at:%Y-%m-%d %H:%M:%S} UTC: {decision.verdict}, as recorded")
    for rule in decision.rules:
        print(f"  {rule.held:8}{rule.name:16}{plans.for_terminal(rule.because)}")
    if decision.verdict == "open":
        print(f"  a person {'has' if decision.needs_approval else 'does not have'} to approve it")
    return cli.DONE


def _read(path: Path) -> Any:
    from sluice.core.errors import SluiceError

    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SluiceError(f"expected a decision in {path}, found none that can be read: {error}") from error
    except ValueError as error:
        raise SluiceError(f"{path}: expected JSON, found something else: {error}") from error
