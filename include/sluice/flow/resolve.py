"""Step 1: which nodes a release expects in a location, and why it cannot reach some of them.

Resolved once: a retry reads what the first try found, so that all later steps speak of the same nodes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sluice.aws import nodes, operations, patch_groups
from sluice.aws.session import Connection
from sluice.core.errors import LostError, ReleaseError
from sluice.core.release import resolve as core
from sluice.core.release.terms import Expected
from sluice.evidence import tables
from sluice.flow.run import Run

STEP = "resolved"

_RELEASE = re.compile(r"(?P<window>.+)-(?P<day>\d{8})T\d{4}-[0-9a-f]{8}")


def resolve(run: Run, location: str) -> dict[str, Any]:
    """Find a location's nodes and write them down; how many are expected and reachable, by reason and slot.

    Raises ReleaseError for patch groups that the window does not have, AWSError where the location cannot be read.
    """
    core.check_groups(run.policy, run.window, run.asked)
    with run.connect(location) as connection:
        found = _recorded(run, connection)
        if found is None:
            failed = _failed_before(run, connection.key)
            found = _once(run, connection, core.narrowed(found_now(run, connection), run.asked, failed))
        key = connection.key
    tables.write(run.store, "nodes", run.release, key, [_row(run, one) for one in found])
    return {
        "location": location,
        "expected": len(found),
        "reachable": sum(one.reason is None for one in found),
        "reasons": dict(sorted(Counter(one.reason for one in found if one.reason).items())),
        "slots": dict(sorted(Counter(one.slot for one in found if one.slot and not one.reason).items())),
    }


def read_resolved(run: Run, connection: Connection) -> tuple[Expected, ...]:
    """What was resolved in a location. Raises ReleaseError where nothing was yet."""
    found = _recorded(run, connection)
    if found is None:
        raise ReleaseError(
            f"{connection.key}: expected the nodes of {run.release.id} to be resolved, found no record of it: run the"
            " step resolve for this location first"
        )
    return found


def _recorded(run: Run, connection: Connection) -> tuple[Expected, ...] | None:
    step = operations.read_step(connection, operations.bucket_of(run.policy, connection), run.release.id, STEP)
    return None if step is None else tuple(Expected.of_json(one) for one in step)


def _once(run: Run, connection: Connection, found: Sequence[Expected]) -> tuple[Expected, ...]:
    """Write it where nobody has yet; what holds."""
    bucket = operations.bucket_of(run.policy, connection)
    content = operations.encoded([one.as_json() for one in found])
    try:
        operations.put_step(connection, bucket, f"steps/{run.release.id}/{STEP}.json", content, was=None)
    except LostError:
        return read_resolved(run, connection)
    return tuple(found)


def found_now(run: Run, connection: Connection) -> tuple[Expected, ...]:
    """The nodes that the window expects in a location now, whatever was asked for and resolved before."""
    registered = {
        (one["PatchGroup"], one["BaselineIdentity"]["OperatingSystem"]) for one in patch_groups.listed(connection)
    }
    today = run.release.occurrence.astimezone(run.window.zone).date()
    return core.resolve(run.policy, run.window, nodes.listed(connection), registered, connection.key, today)


def _failed_before(run: Run, key: str) -> frozenset[str] | None:
    """The nodes of a location that failed in the release that this one retries; None: it retries none."""
    before = run.asked.retry_of
    if before is None:
        return None
    match = _RELEASE.fullmatch(before)
    if match is None or match["window"] != run.window.name:
        raise ReleaseError(
            f"expected retry_of to be a release of {run.window.name}, such as {run.release.id}, found {before}"
        )
    day = datetime.strptime(match["day"], "%Y%m%d").replace(tzinfo=UTC).date()
    columns = ("location", "node", "result")
    found = tables.read(run.store, "patch_summaries", day, day, release=before, columns=columns).to_dicts()
    if not found:
        raise ReleaseError(
            f"expected evidence of {before}, to retry its failed nodes, found none in {run.store.describe()}: it was"
            " not verified. Name its nodes instead"
        )
    return frozenset(one["node"] for one in found if one["location"] == key and one["result"] == "failed")


def _row(run: Run, one: Expected) -> dict[str, Any]:
    rings = {group.name: group.ring for group in run.policy.patch_groups}
    ring = rings.get(one.group) if one.group else None
    return {**one.as_json(), "ring": ring}
