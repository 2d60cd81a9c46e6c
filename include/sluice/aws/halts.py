"""Halt marks in the operations bucket: what is marked opens nothing any more, until somebody lifts the mark.

A mark is never removed: lifting it is written into it, so that who halted what, when and why can still be read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from sluice.aws import operations
from sluice.aws.session import Connection
from sluice.core.errors import AnswerError, ReleaseError
from sluice.core.json_text import encoded
from sluice.core.release.terms import Plain

ALL = "all"
"""The mark of everything; no release's id is like it."""

_RELEASE = re.compile(r"([A-Za-z0-9._-]{1,200})-[0-9]{8}T[0-9]{4}-[0-9a-f]{8}")


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


def window_of(release: str) -> str:
    """The window of a release, by the release's id. Raises ReleaseError for what is no id, and so not safe in a key."""
    found = _RELEASE.fullmatch(release)
    if found is None:
        raise ReleaseError(
            f"expected the id of a release, such as install-nonprod-20250603T0300-0a1b2c3d, found {release!r}: it is in"
            " the note of its DAG run"
        )
    return found[1]


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
