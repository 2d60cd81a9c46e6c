"""The nodes of a release as CSV that no spreadsheet takes for more than text.

A cell that begins with `=`, `+`, `-`, `@` or their like is a formula for Excel, LibreOffice and Google Sheets: it gets
an apostrophe before it, which they show as text. Every cell is quoted, and has neither line breaks nor control
characters.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Sequence
from typing import Any

from sluice.core.release.output import without_controls
from sluice.report.story import Story

COLUMNS = ("location", "node", "name", "group", "product", "role", "slot", "wave", "result", "reason", "line", "status",
           "command", "ours", "joined_by", "missing", "installed_pending_reboot", "failed")  # fmt: skip

FORMULA = ("=", "+", "-", "@", "|", "%")
"""How what a spreadsheet may take for a formula, or for a command (DDE), begins; also in their wide forms."""


def nodes(story: Story) -> bytes:
    """One row a node; UTF-8 with the mark that Excel knows it by."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(("release", *COLUMNS))
    for row in story.nodes:
        writer.writerow(_cells([story.release.id, *(row[name] for name in COLUMNS)]))
    return text.getvalue().encode("utf-8-sig")


def _cells(values: Sequence[Any]) -> list[Any]:
    return [safe(value) if isinstance(value, str) else value for value in values]


def safe(text: str) -> str:
    """Text that a spreadsheet shows as it is."""
    clean = " ".join(without_controls(text.replace("\r", " ").replace("\n", " ").replace("\t", " ")).split())
    narrow = unicodedata.normalize("NFKC", clean[:1])
    return f"'{clean}" if narrow.startswith(FORMULA) else clean
