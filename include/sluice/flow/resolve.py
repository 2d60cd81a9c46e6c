"""Step 1: which nodes a release expects in a location, and why it cannot reach some of them.

Resolved once: a retry reads what the first try found, so that all later steps speak of the same nodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sluice.aws import nodes, operations, patch_groups
from sluice.aws.session import Connection
from sluice.core.calendar import local_day
from sluice.core.errors import LostError, ReleaseError
from sluice.core.json_text import encoded
from sluice.core.policy.slots import groups_of
from sluice.core.release import resolve as core
from sluice.core.release.ids import parse_id
from sluice.core.release.terms import Asked, Expected, Release
from sluice.evidence import release_records, tables
from sluice.flow.run import Run

STEP = "resolved"


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
    content = encoded([one.as_json() for one in found])
    try:
        operations.put_step(connection, bucket, operations.step_key(run.release.id, STEP), content, was=None)
    except LostError:
        return read_resolved(run, connection)
    return tuple(found)


def last_resolved(run: Run, groups: Sequence[str], now: datetime) -> dict[str, dict[str, Any]]:
    """The nodes of patch groups as they were last resolved: rows of the table `nodes` (node, group, product, reason).

    In each of the policy's locations by the newest release or scan that resolved the whole of a group, of those begun
    by `now` (UTC) and at most as long ago as a patch may wait: a node that it did not find is gone. One that was asked
    for some nodes only says nothing of the others.
    """
    covering = {one.name: {group.name for group in groups_of(run.policy, one)} for one in run.policy.windows}
    reached = {group for own in covering.values() for group in own}
    open_ = {(place, group) for place in run.policy.locations for group in groups if group in reached}
    found: dict[str, dict[str, Any]] = {}
    day = now.date() + timedelta(days=1)  # a release lies under its occurrence's day, and begins a lead before
    last = (now - timedelta(days=max(ring.max_wait_days for ring in run.policy.rings))).date()
    while open_ and day >= last:
        for release, asked, rows in _resolved_on(run, day, now):
            whole = covering.get(release.window, set()).intersection(asked.patch_groups or groups)
            there = {row["location"] for row in rows} | _looked_through(run, release.id)
            for place, group in [one for one in open_ if one[1] in whole and any(map(one[0].is_at, there))]:
                open_.discard((place, group))
                own = [row for row in rows if row["group"] == group and place.is_at(row["location"])]
                for row in own:
                    found.setdefault(row["node"], row)
        day -= timedelta(days=1)
    return found


def _resolved_on(run: Run, day: date, now: datetime) -> list[tuple[Release, Asked, list[dict[str, Any]]]]:
    """The releases of a day that resolved whole groups, the newest first, with what was asked and the nodes."""
    found = []
    columns = ("location", "node", "group", "product", "reason")
    for name, frame in tables.by_release(run.store, "nodes", day, day, columns=columns):
        begun = release_records.read(run.store, name, "begun")
        if begun is None:
            continue
        asked, release = Asked.of_json(begun["asked"]), Release.of_json(begun["release"])
        if release.begun <= now and not asked.nodes and asked.retry_of is None:
            found.append((release, asked, frame.to_dicts()))
    return sorted(found, key=lambda one: (one[0].begun, one[0].id), reverse=True)


def _looked_through(run: Run, release: str) -> set[str]:
    """The locations that a release resolved, also those in which it found no node."""
    return set((release_records.read(run.store, release, "preflight") or {}).get("others", {}))


def found_now(run: Run, connection: Connection) -> tuple[Expected, ...]:
    """The nodes that the window expects in a location now, whatever was asked for and resolved before."""
    registered = {
        (one["PatchGroup"], one["BaselineIdentity"]["OperatingSystem"]) for one in patch_groups.listed(connection)
    }
    today = local_day(run.window, run.release.occurrence)
    return core.resolve(run.policy, run.window, nodes.listed(connection), registered, connection.key, today)


def _failed_before(run: Run, key: str) -> frozenset[str] | None:
    """The nodes of a location that failed in the release that this one retries; None: it retries none."""
    before = run.asked.retry_of
    if before is None:
        return None
    parts = parse_id(before)
    if parts is None or parts.window != run.window.name:
        raise ReleaseError(
            f"expected retry_of to be a release of {run.window.name}, such as {run.release.id}, found {before}"
        )
    day = parts.occurrence.date()
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
