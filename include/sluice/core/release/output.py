"""The line of a command's output that explains why it failed."""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 300
"""Characters of a line that are shown."""

_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-_])")
"""What terminals take for colours and titles."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""Control characters and what turns the direction of text, which would change how the line reads."""

_NOISE = re.compile(
    r"^(failed to run commands: exit status \d+|exit status \d+|-{4,}.*|.*\[(INFO|DEBUG)\].*|warning:.*|"
    r"(Installed|Missing|Failed|NotApplicable|Installed\w+)Count: .*)$",
    re.IGNORECASE,
)
"""What the agent and the patch payload say after every failure, or without one."""

_CAUSE = re.compile(
    r"no space left|denied|timed? ?out|unmet|conflict|broken|could not|cannot|can't|unable to|not found|no such|"
    r"refused|unreachable|corrupt|invalid|expired|mismatch|0x8[0-9a-f]{7}",
    re.IGNORECASE,
)
"""Words of a cause."""
_ERROR = re.compile(r"\berror\b|^E: |\bfatal\b|exception\b|\bfail(ed|ure)\b", re.IGNORECASE)
"""Words that say that something failed."""
_EXCEPTION = re.compile(r"^[\w.]*(Error|Exception|Failure|Exit)\b.*")
"""The last line of a traceback."""


def explaining_line(stdout: str, stderr: str) -> str:
    """The line that says why, as far as one does; empty where nothing was said.

    The end of a traceback; else what names an error and its cause, or a cause, or an error: the first that does, as
    what follows is its consequence, and what was written as an error before what was not; else the last line.
    """
    texts = [list(_lines(text)) for text in (stderr, stdout)]
    for find in (_of_traceback, _with_both, _with_cause, _with_error, _last):
        for lines in texts:
            if found := find(lines):
                return found if len(found) <= LONGEST else f"{found[: LONGEST - 1]}…"
    return ""


def without_controls(text: str) -> str:
    """Text without what a terminal or a browser would take for more than letters."""
    return _CONTROL.sub("", _ESCAPES.sub("", text))


def _lines(text: str) -> Iterator[str]:
    for line in without_controls(text).replace("\t", " ").split("\n"):
        if (stripped := line.strip()) and not _NOISE.match(stripped):
            yield stripped


def _of_traceback(lines: list[str]) -> str | None:
    begun = [number for number, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    return next((line for line in lines[begun[-1] + 1 :] if _EXCEPTION.match(line)), None) if begun else None


def _with_both(lines: list[str]) -> str | None:
    return next((line for line in lines if _ERROR.search(line) and _CAUSE.search(line)), None)


def _with_cause(lines: list[str]) -> str | None:
    return next((line for line in lines if _CAUSE.search(line)), None)


def _with_error(lines: list[str]) -> str | None:
    return next((line for line in lines if _ERROR.search(line)), None)


def _last(lines: list[str]) -> str | None:
    return lines[-1] if lines else None
