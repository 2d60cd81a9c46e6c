"""Records of a release that belong to no one location: `releases/<release>/<name>.json`, beside its report."""

from __future__ import annotations

import json
from typing import Any

from sluice.core.errors import EvidenceError
from sluice.evidence.store import Store


def file_key(release: str, file: str) -> str:
    """Where a file of a release is kept, by its name."""
    return f"releases/{release}/{file}"


def key(release: str, name: str) -> str:
    """Where a record of a release is kept."""
    return file_key(release, f"{name}.json")


def read(store: Store, release: str, name: str) -> Any:
    """A record of a release; None: there is none. Raises EvidenceError for one that is no JSON."""
    content = store.get(key(release, name))
    try:
        return None if content is None else json.loads(content)
    except ValueError as error:
        raise EvidenceError(f"{store.describe(key(release, name))}: expected JSON, found {error}") from error
