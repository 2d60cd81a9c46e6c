"""How the commands write moments, spans and patches, and read dates: the same everywhere."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo

from sluice.core.approval import Patch

YEARS = range(2000, 2101)
"""Years that a date of the command line may have: calendars of others are a slip of the pen."""

WIDTH = 100
"""Columns that are written at most."""


def moment(text: str) -> datetime:
    """A date or a date with a time, in UTC unless it says otherwise. For argparse."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a date such as 2025-06-10 or 2025-06-10T17:00, found {text!r}"
        ) from None
    if when.year not in YEARS:
        raise argparse.ArgumentTypeError(f"expected a year from {YEARS[0]} to {YEARS[-1]}, found {text!r}")
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def now() -> datetime:
    """The machine's clock, for what is looked at from now on when the command line names no moment."""
    return datetime.now(UTC)  # noqa: TID251  # a picture of coming times compares nothing with AWS's clock


def day(when: date) -> str:
    """`Mon 2025-06-09`."""
    return f"{when:%a %Y-%m-%d}"


def clock(when: datetime, zone: tzinfo = UTC) -> str:
    """`Mon 2025-06-09 03:00`, in that zone."""
    return f"{when.astimezone(zone):%a %Y-%m-%d %H:%M}"


def span(length: timedelta) -> str:
    """`6 d 20 h`, rounded down to minutes: `7 d`, `20 h`, `45 min`; `0 h` for nothing, `-4 h` for the past."""
    if length < timedelta(0):
        return f"-{span(-length)}"
    minutes = length // timedelta(minutes=1)
    parts = ((minutes // 1440, "d"), (minutes % 1440 // 60, "h"), (minutes % 60, "min"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 h"


def patch_words(patch: Patch) -> str:
    """`WINDOWS, SecurityUpdates, critical`."""
    return ", ".join(word for word in (str(patch.os), patch.classification, patch.severity) if word)


def cut(text: str, width: int) -> str:
    """At most so many characters."""
    return text if len(text) <= width else f"{text[: width - 3]}..."


def fold(line: str) -> Iterator[str]:
    """A line in as many as WIDTH needs, the later ones indented more; an empty one stays."""
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    yield from textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_on_hyphens=False) or [""]
