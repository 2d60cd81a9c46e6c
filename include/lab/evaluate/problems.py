"""pydantic's findings as lines: where, what was expected, what was found."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import ValidationError

_SHOWN = 60
"""Characters of a wrong value that a message repeats."""


def problems(error: ValidationError, root: str = "") -> list[str]:
    """One line per problem: `baseline.ApprovalRules.PatchRules[0].ComplianceLevel: expected …; found "SOME"`."""
    return [
        f"{_path(root, problem['loc'])}: {_expected(problem['msg'])}; found {_found(problem['type'], problem['input'])}"
        for problem in error.errors(include_url=False)
    ]


def _path(root: str, place: tuple[int | str, ...]) -> str:
    path = root
    for part in place:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.removeprefix(".") or "standard input"


def _expected(message: str) -> str:
    if message == "Field required":
        return "expected a value"
    message = re.sub(r"^(Input should be |Value error, )", "", message)
    return "expected " + re.sub(r"a valid dictionary( or instance of \w+)?", "an object", message)


def _found(kind: str, value: Any) -> str:
    if kind == "missing":
        return "none"
    text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
