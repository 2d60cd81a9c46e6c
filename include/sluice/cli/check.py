"""`python -m sluice check [PATH]`: say whether the policy is sound.

Every finding is one line: where it is, its code, whether it is an error or a question, what was expected, what
was found, and what to do. Errors end with exit code 1, questions alone with 0.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sluice import cli
from sluice.cli.colours import Colour, Colours

if TYPE_CHECKING:
    from sluice.cli import Subparsers
    from sluice.core.policy.lint import Finding

PAGE = "docs/findings.md"
FROM_HERE_ON_LINT = "P100"
"""Codes below are of parts that cannot be read or that name what is not there."""


def add(subparsers: Subparsers) -> None:
    """`check [PATH] [--json]`."""
    command = subparsers.add_parser(
        "check",
        help="check the policy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "path", nargs="?", metavar="PATH", help="a file or folder; else what SLUICE_POLICY names, else include/policy"
    )
    command.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Check the policy and print what was found."""
    from sluice.cli.words import now
    from sluice.flow.policy_check import examined

    loaded, findings = examined(options.path, now().date())
    files = loaded.sources.files if loaded else sorted({finding.place.file for finding in findings})
    if options.json:
        print(json.dumps(_document(files, findings), indent=2))
    else:
        _print(files, findings)
    return cli.FAILED if _counts(findings)["error"] else cli.DONE


def _counts(findings: Sequence[Finding]) -> Counter[str]:
    return Counter("waived" if finding.waived_until else finding.kind for finding in findings)


def _document(files: Sequence[str], findings: Sequence[Finding]) -> dict[str, object]:
    counts = _counts(findings)
    return {
        "files": list(files),
        "errors": counts["error"],
        "questions": counts["question"],
        "waived": counts["waived"],
        "findings": [
            {
                "code": finding.code,
                "kind": finding.kind,
                "file": finding.place.file,
                "line": finding.place.line,
                "message": finding.message,
                "waived_until": finding.waived_until.isoformat() if finding.waived_until else None,
            }
            for finding in findings
        ],
    }


def _print(files: Sequence[str], findings: Sequence[Finding]) -> None:
    colours = Colours(sys.stdout)
    for finding in findings:
        print(_line(finding, colours))
    counts = _counts(findings)
    words = [_number(counts["error"], "error"), _number(counts["question"], "question")]
    if counts["waived"]:
        words.append(f"{counts['waived']} waived")
    verdict: Colour = "red" if counts["error"] else "yellow" if counts["question"] else "green"
    print(f"{colours(', '.join(words), verdict)} in {', '.join(files)}")
    if any(finding.code < FROM_HERE_ON_LINT for finding in findings):
        print(
            "What is judged by a part that cannot be read as it stands is told once that is mended: check again then."
        )
    if findings:
        print(f"{PAGE} explains every code.")


def _line(finding: Finding, colours: Colours) -> str:
    if finding.waived_until:
        waived = f"{finding.place}: {finding.code} {finding.kind}, waived until {finding.waived_until}"
        return colours(f"{waived}: {finding.message}", "dim")
    kind = colours(f"{finding.code} {finding.kind}:", "red" if finding.kind == "error" else "yellow")
    return f"{colours(str(finding.place), 'bold')}: {kind} {finding.message}"


def _number(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
