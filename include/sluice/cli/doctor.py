"""`python -m sluice doctor`: say whether the target locations are ready for the policy. Changes nothing.

Exit code 1 where something is an error: then the policy would not do what it says.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sluice import cli

if TYPE_CHECKING:
    from sluice.aws.locations import Outcome
    from sluice.cli import Subparsers
    from sluice.cli.colours import Colour
    from sluice.core.doctor import Facts, Finding, Severity
    from sluice.core.policy.policy import Policy

SHOWN = 6
"""Ids of a finding that the table shows; JSON has all."""

_COLOURS: Mapping[Severity, Colour] = {"error": "red", "warning": "yellow", "unknown": "yellow", "note": "dim"}


def add(subparsers: Subparsers) -> None:
    """`doctor [--policy PATH] [--location …] [--read-only] [--json]`."""
    from sluice.cli import plans

    command = subparsers.add_parser(
        "doctor", help="say whether the locations are ready for the policy", description=__doc__
    )
    plans.add_options(command)
    command.add_argument(
        "--read-only",
        action="store_true",
        help="look at what is there only, not at what the policy needs; refuse every call that is not a read",
    )
    command.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Look at every location and print what was found."""
    from sluice.aws import prerequisites
    from sluice.aws.locations import in_each
    from sluice.aws.session import Connection, Connections, Duty
    from sluice.cli import plans
    from sluice.core.doctor import as_found, examine

    policy = plans.sound_policy(options)
    connections = Connections.of(policy, read_only=True)

    def look(connection: Connection) -> Facts:
        if options.read_only:
            return prerequisites.facts_as_found(connection, policy)
        return prerequisites.facts(connection, connections, policy)

    chosen = plans.chosen(policy, options)
    outcomes = in_each(connections, chosen, Duty.READER, look, plans.announce, plans.announce_waiting)
    judged = as_found(policy) if options.read_only else policy
    findings = [examine(outcome.value, judged) if outcome.value else [] for outcome in outcomes]
    if options.json:
        documents = [_as_json(*pair, policy) for pair in zip(outcomes, findings, strict=True)]
        print(json.dumps({"locations": documents}, indent=2))
    else:
        _print(outcomes, findings, policy)
    failed = plans.print_failures(outcomes)
    worst = {one.severity for found in findings for one in found}
    return cli.FAILED if failed or "error" in worst else cli.DONE


def _print(outcomes: Sequence[Outcome[Facts]], findings: Sequence[list[Finding]], policy: Policy) -> None:
    from sluice.cli import plans
    from sluice.cli.colours import Colours
    from sluice.cli.words import fold

    colours = Colours(sys.stdout)
    for outcome, found in zip(outcomes, findings, strict=True):
        print(colours(outcome.key, "bold"))
        if outcome.value is None:
            print(f"  {colours('failed', 'red')}: {plans.why(outcome)}")
            continue
        for line in _overview(outcome.value, policy):
            print(f"  {line}")
        for one in found:
            print()
            for number, line in enumerate(_lines(one)):
                for part in fold(f"  {line}"):
                    print(part if number else colours(part, _COLOURS[one.severity]))
        print(f"\n  {_counts(found)}")


def _overview(facts: Facts, policy: Policy) -> Iterator[str]:
    """The nodes by OS product, patch group and baseline, as a table."""
    from sluice.cli.plans import for_terminal
    from sluice.core.doctor import kinds

    rows = [
        (str(count), for_terminal(kind.product) or "(no agent)", for_terminal(kind.group) or "(none)", kind.baseline)
        for kind, count in kinds(facts, policy).items()
    ]
    table = [("nodes", "OS product", "patch group", "baseline"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(3)]
    for count, product, group, baseline in table:
        yield f"{count:>{widths[0]}}  {product:<{widths[1]}}  {group:<{widths[2]}}  {baseline}"


def _lines(one: Finding) -> Iterator[str]:
    from sluice.cli.plans import for_terminal

    noun = one.noun if one.count == 1 else _plural(one.noun)
    yield f"{one.severity} {one.name}: {one.count} {noun} {for_terminal(one.what)}"
    more = f" and {one.count - SHOWN} more" if one.count > SHOWN else ""
    yield f"  {', '.join(map(for_terminal, one.ids[:SHOWN]))}{more}"
    yield f"  To do: {one.advice}"


def _plural(noun: str) -> str:
    return f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"


def _counts(findings: Sequence[Finding]) -> str:
    from sluice.core.doctor import SEVERITIES

    counts = Counter(one.severity for one in findings)
    return ", ".join(f"{counts[one]} {one}{'' if counts[one] == 1 or one == 'unknown' else 's'}" for one in SEVERITIES)


def _as_json(outcome: Outcome[Facts], findings: Sequence[Finding], policy: Policy) -> dict[str, Any]:
    from sluice.core.doctor import kinds

    connection = outcome.connection
    document: dict[str, Any] = {
        "location": outcome.key,
        "caller": connection.arn if connection else None,
        "endpoint": connection.endpoint() if connection else None,
        "error": str(outcome.error) if outcome.error else None,
    }
    if outcome.value is None:
        return document
    return document | {
        "nodes": [
            {
                "count": count,
                "product": kind.product or None,
                "patch_group": kind.group or None,
                "baseline": kind.baseline,
            }
            for kind, count in kinds(outcome.value, policy).items()
        ],
        "findings": [
            {
                "name": one.name,
                "severity": one.severity,
                "noun": one.noun,
                "count": one.count,
                "ids": list(one.ids),
                "what": one.what,
                "advice": one.advice,
            }
            for one in findings
        ],
    }
