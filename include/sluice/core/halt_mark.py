"""Halt marks: what is marked opens nothing any more, until somebody lifts the mark.

A mark is never removed: lifting it is written into it, so that who halted what, when and why can still be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sluice.core.release.ids import ALL
from sluice.core.release.terms import Plain


@dataclass(frozen=True, slots=True)
class Mark(Plain):
    """Who halted what."""

    release: str
    """The id of a release, or `all`."""
    by: str
    because: str
    at: datetime
    """AWS's time (UTC)."""
    nodes: tuple[str, ...] = ()
    """Those that were in the middle of an installation, a scan or a reboot, written before it was cancelled."""
    lifted_by: str = ""
    lifted_because: str = ""
    lifted_at: datetime | None = None
    """None: it holds."""

    @property
    def holds(self) -> bool:
        """Whether nobody has lifted it."""
        return self.lifted_at is None

    def __str__(self) -> str:
        what = "everything" if self.release == ALL else self.release
        return f"{what} was halted by {self.by} at {self.at:%Y-%m-%d %H:%M:%S} UTC: {self.because}"
