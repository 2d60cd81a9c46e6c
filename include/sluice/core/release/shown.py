"""Lists of names in a sentence: the first few, and how many more."""

from __future__ import annotations

from collections.abc import Sequence

MOST = 5
"""Names that a sentence has."""


def some(names: Sequence[str]) -> str:
    """The first few names, in the order that they have, and how many more: `a, b, c, d, e and 7 more`."""
    more = len(names) - MOST
    return ", ".join(names[:MOST]) + (f" and {more} more" if more > 0 else "")
