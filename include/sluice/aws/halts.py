"""Halt marks in the operations bucket."""

from __future__ import annotations

from sluice.aws import operations
from sluice.aws.session import Connection
from sluice.core.errors import AnswerError
from sluice.core.halt_mark import Mark
from sluice.core.json_text import encoded
from sluice.core.release.ids import ALL

HALTS = "halts"


def mark_of(connection: Connection, bucket: operations.Bucket, release: str) -> str | None:
    """Why nothing of this release, or nothing at all, may open; None: no mark holds.

    Raises AWSError where the marks cannot be read: then nobody knows, and nothing may open either.
    """
    for name in (ALL, release):
        found = read(connection, bucket, name)
        if found and found.holds:
            return str(found)
    return None


def read(connection: Connection, bucket: operations.Bucket, name: str) -> Mark | None:
    """The mark of a release or of `all`, lifted or not. Raises AnswerError for one that nobody can read."""
    found = operations.read(connection, bucket, bucket.key(HALTS, name))
    if found is None:
        return None
    try:
        return Mark.of_json(found.json)
    except (ValueError, TypeError, AttributeError) as error:  # json.JSONDecodeError is a ValueError
        where = f"{connection.key}: {bucket}/{bucket.key(HALTS, name)}"
        raise AnswerError(
            f"{where}: expected a halt mark, found something else ({error}):"
            " nothing opens until it is written anew (python -m sluice halt); then it can be lifted"
        ) from error


def write(connection: Connection, bucket: operations.Bucket, mark: Mark) -> None:
    """Write a mark; what was there is overwritten."""
    operations.put_mark(connection, bucket, bucket.key(HALTS, mark.release), encoded(mark.as_json()))
