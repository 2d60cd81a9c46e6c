"""Halt marks in the operations bucket: what is marked opens nothing any more, until somebody lifts the mark.

A mark is never removed: lifting it is written into it, so that who halted what, when and why can still be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sluice.aws import operations
from sluice.aws.session import Connection
from sluice.core.errors import AnswerError
from sluice.core.json_text import encoded
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


def mark_of(connection: Connection, bucket: str, release: str) -> str | None:
    """Why nothing of this release, or nothing at all, may open; None: no mark holds.

    Raises AWSError where the marks cannot be read: then nobody knows, and nothing may open either.
    """
    for name in (ALL, release):
        found = read(connection, bucket, name)
        if found and found.holds:
            return str(found)
    return None


def read(connection: Connection, bucket: str, name: str) -> Mark | None:
    """The mark of a release or of `all`, lifted or not. Raises AnswerError for one that nobody can read."""
    found = operations.read(connection, bucket, _key(name))
    if found is None:
        return None
    try:
        return Mark.of_json(found.json)
    except (ValueError, TypeError, AttributeError) as error:  # json.JSONDecodeError is a ValueError
        raise AnswerError(
            f"{connection.key}: {bucket}/{_key(name)}: expected a halt mark, found something else ({error}): nothing"
            " opens until it is written anew (python -m sluice halt); then it can be lifted"
        ) from error


def write(connection: Connection, bucket: str, mark: Mark) -> None:
    """Write a mark; what was there is overwritten."""
    operations.put_mark(connection, bucket, _key(mark.release), encoded(mark.as_json()))


def _key(name: str) -> str:
    return f"halts/{name}.json"
