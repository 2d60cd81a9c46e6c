"""The report as one HTML page that stands alone: no script, nothing loaded, everything escaped."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sluice.core.release.output import without_controls
from sluice.report.story import Story
from sluice.report.time_line import draw

HERE = Path(__file__).parent

ROWS_AT_MOST = 500
"""Rows of a table on the page; the JSON beside it has all."""
LONGEST_CELL = 400
"""Characters of a text on the page."""

NONE = "\N{EN DASH}"
"""What stands where there is nothing."""

SAID = {
    "released": "Released",
    "partial": "Partial",
    "held": "Held",
    "nothing": "Nothing to do",
    "late": "Late",
    "halted": "Halted",
    "under way": "Under way",
}


def render(story: Story, beside: str = "") -> bytes:
    """The page. `beside` says where the JSON with everything is."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"moment": moment, "clock": clock, "seconds": seconds, "cut": cut}
    page = environment.get_template("release.html.j2").render(
        story=story,
        picture=draw(story),
        said=SAID,
        at_most=ROWS_AT_MOST,
        beside=beside,
    )
    return page.encode(errors="replace")


def moment(value: datetime | str | None) -> str:
    """A moment for people: `Mon 2025-06-09 03:00 UTC`."""
    if value is None or value == "":
        return NONE
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return f"{found.astimezone(UTC):%a %Y-%m-%d %H:%M} UTC"


def clock(value: datetime | None, day: datetime) -> str:
    """The time of day, with the day where it is another than `day`'s."""
    if value is None:
        return NONE
    own = value.astimezone(UTC)
    return f"{own:%H:%M:%S}" if own.date() == day.astimezone(UTC).date() else f"{own:%a %d %H:%M:%S}"


def seconds(value: float | None) -> str:
    """A span for people, in hours, minutes and seconds: `4:30`, `1:02:03`."""
    if value is None:
        return NONE
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def cut(text: str | None) -> str:
    """A text that is not too long for a cell."""
    found = without_controls(text or "")
    return found if len(found) <= LONGEST_CELL else f"{found[:LONGEST_CELL]}…"


def _clean(value: Any) -> Any:
    """Every text that comes onto the page; escaping follows, of all but what the template itself has escaped."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return without_controls(value)
    return NONE if value is None else value
