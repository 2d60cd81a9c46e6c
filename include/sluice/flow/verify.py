"""Step 9: read every node back, join what it shows to this release, keep it, and find what arrived unsoaked.

Read as the reader, which changes nothing. Nodes are read some hundreds at a time, in the order of their ids, each of
which is one part of the tables: a retry writes the same parts again. A location that cannot be read is named, and its
nodes count as missed.

What was read of a node stays when it is read again later, unless this release has done more on it since: AWS shows one
state a node, by then another run's, and that look would take the place of this one, of its failures and of the days
that a patch has soaked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sluice.aws import patch_catalog
from sluice.aws.locations import in_each
from sluice.aws.session import Connection, Duty
from sluice.core.errors import AWSError
from sluice.core.release import arrivals
from sluice.core.release.arrivals import Arrival, Unanswered
from sluice.core.release.patch_state import PatchState
from sluice.core.release.terms import Expected, PatchRow, Reason
from sluice.core.release.verify import Verified
from sluice.core.sighted import ABSENT, Sighted
from sluice.core.window_record import MISSING, SUCCESS, WaveRecord
from sluice.evidence import tables
from sluice.flow import admit
from sluice.flow.manifest import known_sightings, read_manifest
from sluice.flow.readback import Chunk, Readback, chunked
from sluice.flow.run import Run, aws_time

RECORD = "verified"


@dataclass(frozen=True, slots=True)
class _Location:
    """What was read in a location."""

    became: Counter[str]
    reasons: Counter[str]
    records: tuple[WaveRecord, ...]
    found: tuple[Sighted, ...]
    """What nodes of production show."""
    extra: tuple[str, ...]
    """Nodes that the release's executions reached and that it did not expect."""


def verify(run: Run) -> dict[str, Any]:
    """Read back, join and keep; the counts, also as the record `verified`.

    `{"nodes", "succeeded", "failed", "pending_reboot", "missed", "reasons": {reason: n}, "arrivals": n, "unread":
    {location: why}, "extra": [node, …]}`, where `extra` are nodes that its executions reached and that it did not
    expect: named, not judged. Raises EvidenceError where it cannot be kept.
    """
    stops, unopened = _stops(run), _unopened(run)
    outcomes = in_each(
        run.connections, run.locations, Duty.READER, lambda connection: _read(run, connection, stops, unopened)
    )
    found = [one.value for one in outcomes if one.value is not None]
    unread = {one.location.key: str(one.error) for one in outcomes if one.error is not None}
    became = sum((one.became for one in found), Counter[str]())
    reasons = sum((one.reasons for one in found), Counter[str]())
    for key, why in unread.items():
        rows = _lost(run, key, why)
        became.update(one["result"] for one in rows)
        reasons.update(one["reason"] for one in rows if one["result"] == "missed" and one["reason"])
    came, lacking = _arrivals(run, found, unread)
    told = {
        "nodes": became.total(),
        **{name: became[name] for name in ("succeeded", "failed", "pending_reboot", "missed")},
        "reasons": dict(sorted((str(name), number) for name, number in reasons.items() if number)),
        "arrivals": len(came),
        "unread": unread,
        "extra": [node for one in found for node in one.extra],
    }
    run.record(RECORD, {**told, "unanswered": [one.as_json() for one in lacking]})
    return told


def _stops(run: Run) -> dict[int, str]:
    """Why nothing opened behind a wave, as its barrier judged."""
    found = {}
    for wave in range(1, len((run.recorded(admit.RECORD) or {}).get("waves", ())) + 1):
        judged = (run.recorded(f"barrier-{wave}") or {}).get("judged") or {}
        if judged.get("stop"):
            found[wave] = str(judged["stop"])
    return found


def _unopened(run: Run) -> str:
    """Why nothing was opened at all, as far as it is known before the waves."""
    if run.asked.dry_run:
        return "a dry run opens no window"
    decision = run.recorded("decision")
    if decision and decision["verdict"] != "open":
        return f"the gate was {decision['verdict']}"
    return ""


def _read(run: Run, connection: Connection, stops: Mapping[int, str], unopened: str) -> _Location:
    """Read a location back and keep it."""
    back = Readback(run, connection)
    now = connection.now()
    became, reasons, found = Counter[str](), Counter[str](), []
    for chunk in back.chunks(stops, unopened):
        part = f"{connection.key}-{chunk.number:03}"
        summaries = [_summary(run, one, now) for one in chunk.verified]
        stay = _staying(run, part, summaries)
        summaries = [stay.get(one["node"], one) for one in summaries]
        became.update(one["result"] for one in summaries)
        reasons.update(one["reason"] for one in summaries if one["result"] == "missed" and one["reason"])
        tables.write(run.store, "patch_summaries", run.release, part, summaries)
        states = [row for row in _states(run, back, chunk) if row["node"] not in stay]
        if stay:
            before = tables.of_part(run.store, "patch_states", run.release, part)
            states += [row for row in before if row["node"] in stay]
        tables.write(run.store, "patch_states", run.release, part, states)
        found += [_sighted(run, row) for row in states if row["ring"] in _production(run)]
    executions = [_execution(connection.key, record) for record in back.records]
    tables.write(run.store, "window_executions", run.release, connection.key, executions)
    tables.write(run.store, "command_invocations", run.release, connection.key, list(_invocations(back)))
    expected = {one.node for one in back.expected}
    reached = {one.node for record in back.records for one in record.results}
    return _Location(became, reasons, back.records, tuple(found), tuple(sorted(reached - expected)))


def _staying(run: Run, part: str, now: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What an earlier try has kept of the nodes on which this release has done nothing since, by node.

    A state that is this release's is always the newer one; a command of it that decides otherwise than it did then is
    something done. After a month Run Command knows none.
    """
    before = {one["node"]: one for one in tables.of_part(run.store, "patch_summaries", run.release, part)}
    found = {}
    for one in now:
        kept = before.get(one["node"])
        if kept is None or kept["reason"] == Reason.LOCATION or one["ours"]:
            continue
        if one["command"] is None or all(one[name] == kept[name] for name in ("command", "status")):
            found[one["node"]] = kept
    return found


def _summary(run: Run, one: Verified, now: datetime) -> dict[str, Any]:
    state = one.state
    return {
        **_node(run, one.node),
        "slot": one.node.slot,
        "wave": one.wave,
        "name": one.node.name,
        "read": now,
        "result": one.became,
        "reason": one.reason,
        "line": one.line or None,
        "ours": one.ours,
        "joined_by": one.joined_by,
        "command": one.ran.command if one.ran else None,
        "status": one.ran.details if one.ran else None,
        **(_of_state(state) if state else {}),
    }


def _of_state(state: PatchState) -> dict[str, Any]:
    renamed = {"start": "operation_start", "end": "operation_end"}
    plain = {name: getattr(state, name) for name in state.__dataclass_fields__ if name not in ("node", "group")}
    return {renamed.get(name, name): value for name, value in plain.items()}


def _states(run: Run, back: Readback, chunk: Chunk) -> Iterator[dict[str, Any]]:
    for one in chunk.verified:
        if one.state is None:
            continue
        node = {
            **_node(run, one.node),
            "kind": one.kind or ("install" if run.window.installs else "scan"),
            "operation": one.state.operation,
            "other": back.others.get(one.node.node),
            "at": one.state.end,
            "ours": one.ours,
        }
        for row in chunk.rows.get(one.node.node, ()):
            if row.state != ABSENT:  # thousands on a Windows node; the summary has their number
                yield {**node, **_patch(row), "needless": one.needless(row)}


def _patch(row: PatchRow) -> dict[str, Any]:
    return {
        "product": row.product,
        "id": row.id,
        "title": row.title,
        "classification": row.classification,
        "severity": row.severity,
        "state": row.state,
        "installed": row.installed,
    }


def _node(run: Run, node: Expected) -> dict[str, Any]:
    rings = {group.name: group.ring for group in run.policy.patch_groups}
    return {
        "location": node.location,
        "node": node.node,
        "group": node.group,
        "product": node.product,
        "role": node.role,
        "ring": rings.get(node.group) if node.group else None,
    }


def _execution(location: str, record: WaveRecord) -> dict[str, Any]:
    return {
        "location": location,
        "wave": record.wave,
        "kind": record.kind,
        "window_id": record.window_id or None,
        "execution": record.execution,
        "planned": record.at,
        "start": record.started,
        "end": record.ended,
        "state": record.verdict or "waiting",
        "reason": record.reason or None,
        "foreign": record.foreign,
        "nodes": len(record.nodes),
        "invoked": sum(one.status != MISSING for one in record.results),
        "succeeded": sum(one.status == SUCCESS for one in record.results),
    }


def _invocations(back: Readback) -> Iterator[dict[str, Any]]:
    for record in back.records:
        slot_of = {node: slot for slot, nodes in record.slots for node in nodes}
        for one in record.results:
            ran = back.ran.get((one.command or "", one.node))
            if one.command is None or record.execution is None:
                continue
            yield {
                "location": back.connection.key,
                "wave": record.wave,
                "kind": record.kind,
                "execution": record.execution,
                "slot": slot_of.get(one.node),
                "node": one.node,
                "command": one.command,
                "document": ran.document or None if ran else None,
                "status": ran.details if ran else one.details or one.status,
                "code": ran.code if ran else None,
                "start": ran.start if ran else None,
                "end": ran.end if ran else None,
                "seconds": ran.seconds if ran else None,
                "output": ran.output if ran else None,
            }


def _lost(run: Run, key: str, why: str) -> list[dict[str, Any]]:
    """The summaries of the known nodes of a location that cannot be read: missed, but for what was read before.

    What an earlier try has kept of a node is the better evidence, and stays.
    """
    admitted = (run.recorded(admit.RECORD) or {}).get("locations", {}).get(key)
    expected = [Expected.of_json(one) for one in admitted["expected"]] if admitted else []
    if not expected:
        return []
    now = aws_time(run.connections, run.locations)
    waves = {node: part["wave"] for part in admitted["parts"] for _, nodes in part["slots"] for node in nodes}
    columns = ("location", "node", "result", "reason")
    kept = {one["node"]: one for one in tables.of_release(run.store, "patch_summaries", run.release, columns)}
    found = []
    for number, nodes in chunked(expected):
        rows = [kept[one.node] for one in nodes if one.node in kept and kept[one.node]["reason"] != Reason.LOCATION]
        if not rows:
            missed = (
                Verified(one, "missed", waves.get(one.node), one.reason or Reason.LOCATION, one.detail or why)
                for one in nodes
            )
            rows = [_summary(run, one, now) for one in missed]
            tables.write(run.store, "patch_summaries", run.release, f"{expected[0].location}-{number:03}", rows)
        found += rows
    return found


# what arrived on production


def _production(run: Run) -> frozenset[str]:
    return frozenset(ring.name for ring in run.policy.rings if ring.production)


def _sighted(run: Run, row: Mapping[str, Any]) -> Sighted:
    known = {name: row[name] for name in ("node", "location", "ring", "group", "role", "at", "kind", "needless")}
    patch = {name: row[name] for name in ("product", "id", "title", "classification", "severity", "state", "installed")}
    return Sighted(**known, **patch, until=row["at"], release=run.release.id, other=row["other"] or "")


def _arrivals(
    run: Run, read: Sequence[_Location], unread: Mapping[str, str]
) -> tuple[tuple[Arrival, ...], tuple[Unanswered, ...]]:
    """What has come to production without a soak, and what was requested and came to no node."""
    found = [one for place in read for one in place.found]
    if not found:
        _keep_arrivals(run, (), unread)
        return (), ()
    began = min((record.started for place in read for record in place.records if record.started), default=None)
    at = max(one.at for one in found)
    before = [
        one
        for one in known_sightings(run, at)
        if one.release != run.release.id and one.shown and (began is None or one.at < began)
    ]
    manifest = read_manifest(run) if run.gated else None
    came = arrivals.arrivals(
        run.policy,
        found,
        before,
        at=at,
        manifest=manifest,
        began=began if run.window.installs else None,
        issued=_issued(run, found, unread),
    )
    _keep_arrivals(run, came, unread)
    return came, arrivals.unanswered(manifest, found) if manifest else ()


def _keep_arrivals(run: Run, came: Sequence[Arrival], unread: Mapping[str, str]) -> None:
    """Keep what came, and what an earlier try found in a location that cannot be read now."""
    places = (run.recorded(admit.RECORD) or {}).get("locations", {})
    lost = {places[key]["confirmed"] for key in unread if key in places}
    columns = [field.name for field in fields(Arrival)]
    before = tables.of_release(run.store, "arrivals", run.release, columns) if lost else []
    rows = [{**one.as_json(), "installed": one.installed, "cause": str(one.cause)} for one in came]
    rows += [{name: one[name] for name in columns} for one in before if one["location"] in lost]
    tables.write(run.store, "arrivals", run.release, "all", rows)


def _issued(run: Run, found: Sequence[Sighted], unread: Mapping[str, str]) -> dict[str, datetime]:
    """When the updates that Windows nodes have were issued last; nothing where nobody can be asked."""
    kbs = sorted({one.id for one in found if one.windows and one.shown == "installed"})
    for location in run.locations if kbs else ():
        if location.key in unread:
            continue
        try:
            with run.connect(location.key, Duty.READER) as connection:
                return patch_catalog.issued(connection, kbs)
        except AWSError:
            continue
    return {}
