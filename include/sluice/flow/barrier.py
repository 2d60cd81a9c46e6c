"""Step 7's barrier: between a wave and the next, over all locations."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sluice.aws import nodes
from sluice.aws.locations import in_each
from sluice.aws.session import Connection
from sluice.core.errors import ReleaseError
from sluice.core.release import barrier as core
from sluice.core.release.barrier import Seen
from sluice.core.release.terms import Kind
from sluice.core.release.waves import count
from sluice.core.window_objects import reboots_in_waves
from sluice.core.window_record import WaveRecord
from sluice.flow import admit
from sluice.flow.records import read_record
from sluice.flow.run import Run, aws_time

KINDS: tuple[Kind, ...] = ("install", "reboot", "rescan")
"""Executions of a wave, in their order."""


def settle(run: Run, wave: int) -> dict[str, Any]:
    """Until when the wave settles, by AWS's clock: `{"until": moment or None}`; None: nothing is waited for.

    Chosen once: a retry waits for the same moment. Nothing settles after the last wave, or one without nodes.
    """
    found = run.recorded(_name(wave))
    if found is None:
        until = None
        if wave < count(run.window) and _places(run, wave):
            now = aws_time(run.connections, run.locations)
            until = (now + timedelta(minutes=run.window.waves.settle_minutes)).isoformat()
        found = run.record_once(_name(wave), {"until": until})
    return {"until": found["until"]}


def judge(run: Run, wave: int) -> dict[str, Any]:
    """Whether anything further may open: `{"stop": why or None, "failed": n, "of": n}`, of all waves so far.

    Judged once: a retry reads the same verdict. A location that cannot be read is unknown, and its nodes count as
    failed. Raises ReleaseError where the wave has not settled yet, or an earlier one was not judged.
    """
    found = run.recorded(_name(wave))
    if found is None:
        raise ReleaseError(f"{run.release.id}: expected wave {wave} to settle before it is judged; run settle first")
    if "judged" not in found:
        found = {**found, "judged": _judged(run, wave)}
        run.record(_name(wave), found)
    return {name: found["judged"][name] for name in ("stop", "failed", "of")}


def _judged(run: Run, wave: int) -> dict[str, Any]:
    before = _before(run, wave)
    seen = _seen(run, wave)
    reboots = reboots_in_waves(run.window, run.asked)
    failed = {node: why for one in seen.values() for node, why in core.failures(one, reboots=reboots).items()}
    bad = before["failed"] + len(failed)
    of = before["of"] + sum(len(one.nodes) for one in seen.values())
    why = before["stop"] or core.stop(run.window, seen, bad, of)
    return {"stop": why, "failed": bad, "of": of, "nodes": dict(sorted(failed.items()))}


def _before(run: Run, wave: int) -> dict[str, Any]:
    """The verdict behind the wave before."""
    if wave == 1:
        return {"stop": None, "failed": 0, "of": 0}
    found = run.recorded(_name(wave - 1)) or {}
    if "judged" not in found:
        raise ReleaseError(f"{run.release.id}: expected wave {wave - 1} to be judged before wave {wave}")
    judged: dict[str, Any] = found["judged"]
    return judged


def _seen(run: Run, wave: int) -> dict[str, Seen]:
    """What is known of the wave, by location."""
    places = _places(run, wave)
    known = [place for place in run.locations if place.key in places]
    outcomes = in_each(run.connections, known, run.duty, lambda connection: _read(run, connection, wave))
    found = {}
    for outcome in outcomes:
        members = places[outcome.location.key]
        records, online = outcome.value or ((), frozenset())
        found[outcome.location.key] = Seen(members, records, online, str(outcome.error or ""))
    return found


def _read(run: Run, connection: Connection, wave: int) -> tuple[tuple[WaveRecord, ...], frozenset[str]]:
    found = (read_record(run, connection, wave, kind) for kind in KINDS)
    records = tuple(one for one in found if one is not None)
    return records, frozenset(nodes.online(connection, records[0].nodes)) if records else frozenset()


def _places(run: Run, wave: int) -> dict[str, tuple[str, ...]]:
    """The nodes of the wave, by the policy's key of their location."""
    admitted = run.recorded(admit.RECORD)
    if admitted is None:
        raise ReleaseError(f"{run.release.id}: expected the admitted nodes, found no record of them: run admit first")
    return {
        key: tuple(sorted(node for _, members in part["slots"] for node in members))
        for key, place in admitted["locations"].items()
        for part in place["parts"]
        if part["wave"] == wave
    }


def _name(wave: int) -> str:
    return f"barrier-{wave}"
