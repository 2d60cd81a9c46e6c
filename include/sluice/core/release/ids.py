"""The ids of releases: how they are made and read, and what they are like. Names alone, cheap where DAGs are parsed."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from sluice.core.errors import ReleaseError

PATTERN = r"[a-z][a-z0-9-]{0,63}-[0-9]{8}T[0-9]{4}-[0-9a-f]{8}"
"""What an id is like, whole, for Python and for a browser: the window's name, the occurrence, the run's digest."""
ALL = "all"
"""Stands where an id would, for everything; no id is like it."""

_ID = re.compile(PATTERN)
_OCCURRENCE = "%Y%m%dT%H%M"


@dataclass(frozen=True, slots=True)
class IdParts:
    """What the id of a release says of it."""

    window: str
    occurrence: datetime
    """To the minute (UTC)."""


def release_id(window: str, occurrence: datetime, deployment: str, dag_id: str, run_id: str) -> str:
    """The id of a release: safe in names and keys, and the same for every retry of a run."""
    return f"{window}-{occurrence:{_OCCURRENCE}}-{run_digest(deployment, dag_id, run_id)}"


def run_digest(deployment: str, dag_id: str, run_id: str) -> str:
    """Eight hex digits that tell one run from every other."""
    return hashlib.sha256("\n".join((deployment, dag_id, run_id)).encode()).hexdigest()[:8]


def any_release_of(window: str) -> str:
    """The ids of every release of a window, as a pattern of AWS's with `?`."""
    return f"{window}-{'?' * 8}T{'?' * 4}-{'?' * 8}"


def parse_id(text: str) -> IdParts | None:
    """What an id says; None: the text is no id, or names no moment that there is."""
    if _ID.fullmatch(text) is None:
        return None
    window, occurrence, _ = text.rsplit("-", 2)
    try:
        return IdParts(window, datetime.strptime(occurrence, _OCCURRENCE).replace(tzinfo=UTC))
    except ValueError:
        return None


def window_of(release: str) -> str:
    """The window of a release, by its id. Raises ReleaseError for what is no id, and so not safe in a key."""
    found = parse_id(release)
    if found is None:
        raise ReleaseError(
            f"expected the id of a release, such as install-nonprod-20250603T0300-0a1b2c3d, found {release!r}: it is in"
            " the note of its DAG run"
        )
    return found.window
