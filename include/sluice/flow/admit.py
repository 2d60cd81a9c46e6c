"""Step 6: the admitted set, fixed once: the nodes that the release may touch, and the wave and slot of each.

Admitted is what was resolved, less what cannot be reached, less what the gate keeps out, less what has changed
since, less what has no backup where one is required. Nothing adds to it: a node that is launched or tagged
meanwhile is not reached, as a wave names its nodes by id, or by a tag that this step puts on them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sluice.aws import node_tags, operations
from sluice.aws.locations import in_each
from sluice.aws.session import Connection
from sluice.core.calendar import local_day
from sluice.core.errors import LostError, ReleaseError
from sluice.core.json_text import encoded
from sluice.core.release import backup as backups
from sluice.core.release import waves
from sluice.core.release.resolve import changed, without
from sluice.core.release.terms import Expected, WavePart
from sluice.evidence import tables
from sluice.flow import backup, gate
from sluice.flow.resolve import found_now, read_resolved
from sluice.flow.run import Run

STEP = RECORD = "admitted"


def admit(run: Run, ready: Sequence[str]) -> dict[str, Any]:
    """Fix the set, or find it fixed; tell each location its part, and put the release tags on.

    `{"waves": [[{"location": …, "nodes": n}, …], …], "admitted": n, "not_admitted": {reason: n}, "failed":
    {location: why}}`, as many waves as the policy has, some of them perhaps empty. A location that cannot be asked
    is left out and named. Raises ReleaseError where all of them fail.
    """
    record = run.recorded(RECORD)
    if record is None:
        record = run.record_once(RECORD, _decided(run, ready))
    failed = {**record["failed"], **_handed_out(run, record)}
    places = record["locations"]
    if failed and set(failed) >= set(places):
        raise ReleaseError(f"{run.release.id}: no location could be admitted: {'; '.join(failed.values())}")
    expected = [one for place in places.values() for one in place["expected"]]
    return {
        "waves": record["waves"],
        "admitted": sum(one["reason"] is None for one in expected),
        "not_admitted": dict(sorted(Counter(one["reason"] for one in expected if one["reason"]).items())),
        "failed": failed,
    }


def read_part(run: Run, connection: Connection, location: str, wave: int) -> WavePart | None:
    """The nodes of a wave in a location; None: it has none there.

    Raises ReleaseError where nothing was admitted yet.
    """
    return next((part for part in _parts(_read(run, connection)) if part.wave == wave), None)


def read_parts(run: Run, connection: Connection) -> tuple[WavePart, ...]:
    """What each wave is in a location, of the waves that have nodes there. Raises ReleaseError as `read_part`."""
    return tuple(_parts(_read(run, connection)))


def read_admitted(run: Run, connection: Connection) -> tuple[Expected, ...]:
    """All nodes that were expected in a location, with the reason of each that was not admitted."""
    return tuple(Expected.of_json(one) for one in _read(run, connection)["expected"])


def _read(run: Run, connection: Connection) -> Mapping[str, Any]:
    step = operations.read_step(connection, operations.bucket_of(run.policy, connection), run.release.id, STEP)
    if step is None:
        raise ReleaseError(
            f"{connection.key}: expected the admitted nodes of {run.release.id}, found no record of them: run the step"
            " admit again"
        )
    found: Mapping[str, Any] = step
    return found


def _parts(place: Mapping[str, Any]) -> list[WavePart]:
    return [WavePart.of_json(one) for one in place["parts"]]


def _decided(run: Run, ready: Sequence[str]) -> dict[str, Any]:
    """The admitted set as the locations are now, in the policy's order."""
    if not ready:
        raise ReleaseError(f"{run.release.id}: expected locations to admit nodes of, found none")
    excluded = gate.not_admissible(run)
    places = [place for place in run.locations if place.key in ready]
    outcomes = in_each(run.connections, places, run.duty, lambda connection: _checked(run, connection, excluded))
    failed = {one.location.key: str(one.error) for one in outcomes if one.error is not None}
    if len(failed) == len(outcomes):
        raise ReleaseError(f"{run.release.id}: no location could be admitted: {'; '.join(failed.values())}")
    found = {one.location.key: one.value for one in outcomes if one.value is not None}
    confirmed = {one.location.key: one.key for one in outcomes}
    admitted = {key: [one for one in expected if one.reason is None] for key, expected in found.items()}
    parts = waves.split(run.window, run.release.id, admitted)
    return {
        "locations": {
            key: {
                "confirmed": confirmed[key],
                "expected": [one.as_json() for one in expected],
                "parts": [part.as_json() for wave in parts for part in wave if part.location == key],
            }
            for key, expected in found.items()
        },
        "waves": [[{"location": part.location, "nodes": len(part.nodes)} for part in wave] for wave in parts],
        "failed": failed,
    }


def _checked(run: Run, connection: Connection, excluded: Mapping[str, tuple[str, str]]) -> tuple[Expected, ...]:
    """A location's nodes, with the reasons that have come since they were resolved."""
    expected = without(read_resolved(run, connection), excluded)
    expected = without(expected, changed(expected, found_now(run, connection)))
    standing = backup.outcome(run, connection)
    if standing is not None:
        tables.write(run.store, "backups", run.release, connection.key, backup.rows(connection.key, standing))
    if backups.mode(run.window, run.asked) == "required":
        today = local_day(run.window, run.release.occurrence)
        expected = without(expected, backups.unprotected(expected, run.policy, standing, today))
    return expected


def _handed_out(run: Run, record: Mapping[str, Any]) -> dict[str, str]:
    """Write each location's part and put the tags on; why that failed, by location."""
    places = [place for place in run.locations if place.key in record["locations"]]
    by_confirmed_key = {place["confirmed"]: place for place in record["locations"].values()}

    def hand_out(connection: Connection) -> None:
        place = by_confirmed_key[connection.key]
        bucket = operations.bucket_of(run.policy, connection)
        try:
            operations.put_step(connection, bucket, operations.step_key(run.release.id, STEP), encoded(place), was=None)
        except LostError:
            if _read(run, connection) != place:
                raise ReleaseError(
                    f"{connection.key}: expected the admitted nodes of {run.release.id} as they were fixed, found"
                    f" others in {bucket}: nothing may open there; find out who has written them"
                ) from None
        parts = _parts(place)
        together = waves.together(run.steps, parts)
        for value, nodes in (one for part in parts for one in waves.tagged(part, together)):
            node_tags.put(connection, nodes, value)
            _check_carriers(connection, value, nodes)

    outcomes = in_each(run.connections, places, run.duty, hand_out)
    return {one.location.key: str(one.error) for one in outcomes if one.error is not None}


def _check_carriers(connection: Connection, value: str, nodes: Collection[str]) -> None:
    """Raises ReleaseError where a node carries a wave's tag that is not in it: a copy of one that is, most likely."""
    if strangers := sorted(set(node_tags.carriers(connection, value)) - set(nodes)):
        raise ReleaseError(
            f"{connection.key}: expected the tag sluice:release={value} on the {len(nodes)} nodes of the wave, found it"
            f" also on {', '.join(strangers[:10])}: take it off there, then run the step admit again"
        )
