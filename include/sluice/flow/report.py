"""Step 11: say what came of a release, from its records: the outcome, and a report for people, a spreadsheet, machines.

It runs whatever happened before, also after a rejection or a failure: what is not known is said to be unknown. The
files lie beside the release's records and are written over by a retry; `python -m sluice report` makes them anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sluice.aws import halts, operations
from sluice.aws.locations import in_each
from sluice.aws.session import Connection, Duty
from sluice.core.calendar import Occurrence
from sluice.core.errors import SluiceError
from sluice.core.json_text import encoded
from sluice.core.policy.window_steps import step_named, step_told
from sluice.core.release import outcome as core
from sluice.core.release.gate import Rule, reasons
from sluice.core.release.outcome import Facts, Opening, Verdict
from sluice.core.release.terms import Reason
from sluice.core.release.verify import MAIN
from sluice.evidence import release_records, tables
from sluice.evidence.store import Store
from sluice.flow import admit
from sluice.flow.run import Run, aws_time
from sluice.flow.verify import verify
from sluice.report import page, sheet, story

RECORD = "outcome"

LOST = (Reason.NOT_OPENED, Reason.NOT_INVOKED, Reason.LOCATION)
"""Reasons for which a node that was admitted is missed all the same."""

FILES = {"html": "report.html", "csv": "nodes.csv", "json": "report.json"}


def report(run: Run) -> dict[str, Any]:
    """Judge, record and write: `{"outcome", "ok", "line", "files": {"html", "csv", "json": where}}`.

    What was opened and not yet read back is read back first. Raises EvidenceError where nothing can be written.
    """
    unread = _read_back(run)
    facts = _facts(run, unread)
    verdict = core.judge(facts)
    at = _now(run)
    run.record(RECORD, _record(run, verdict, facts, at))
    told = story.read(run.store, run.release.id)
    tables.write(run.store, "releases", run.release, "release", [_row(run, verdict, facts, told.counts, at)])
    files = write(run.store, run.release.id) if run.asked.report else {}
    return {"outcome": verdict.outcome, "ok": verdict.ok, "line": verdict.line, "files": files}


def _now(run: Run) -> datetime:
    """AWS's time; that of the beginning where nobody answers any more: the report is written all the same."""
    try:
        return aws_time(run.connections, run.locations)
    except SluiceError:
        return run.release.begun


def write(store: Store, release: str) -> dict[str, str]:
    """Make the files of a report from the evidence, beside the release's records; where they are.

    Raises EvidenceError where there is no such release.
    """
    keys = {kind: release_records.file_key(release, name) for kind, name in FILES.items()}
    for kind, content in rendered(store, release):
        store.put(keys[kind], content)
    return {kind: store.describe(key) for kind, key in keys.items()}


def rendered(store: Store, release: str) -> Iterator[tuple[str, bytes]]:
    """The files of a report by kind, from the evidence alone."""
    told = story.read(store, release)
    yield "json", encoded(told.as_json())
    yield "csv", sheet.nodes(told)
    yield "html", page.render(told, FILES["json"])


def _read_back(run: Run) -> dict[str, str]:
    """Read back what was admitted and not read back yet; why that failed, by location."""
    if run.recorded(admit.RECORD) is None or run.asked.dry_run:
        return {}
    found = run.recorded("verified")
    if found is not None:
        return dict(found["unread"])
    try:
        return dict(verify(run)["unread"])
    except SluiceError as error:
        return {location.key: str(error) for location in run.locations}


def _facts(run: Run, unread: Mapping[str, str]) -> Facts:
    told = story.read(run.store, run.release.id)
    decision = told.decision or {}
    approval = told.approval or {}
    refused = _refused(run, told.preflight or {})
    lost = _lost(run, told.of("missed"))
    missed = Counter(str(one["reason"]) for one in told.of("missed") if one["reason"] not in LOST)
    return Facts(
        budget=run.window.waves.failure_budget,
        operation=run.operation,
        gated=run.gated,
        dry_run=run.asked.dry_run,
        halted=_halted(run),
        refused=refused,
        verdict=decision.get("verdict"),
        why=reasons(decision.get("verdict"), map(Rule.of_json, decision.get("rules", ()))),
        needs_approval=bool(decision.get("needs_approval")) if run.gated else bool(approval),
        answer=approval.get("option"),
        by=approval.get("by"),
        unasked=bool(approval.get("unasked")),
        expected=told.counts["expected"],
        admitted=told.counts["admitted"],
        succeeded=told.counts["succeeded"],
        failed=told.counts["failed"],
        pending_reboot=told.counts["pending_reboot"],
        lost=len(lost),
        lost_in=tuple(sorted({str(one["location"]) for one in lost})),
        refused_nodes=_refused_nodes(run, refused),
        unread=unread,
        missed=missed,
        openings=_openings(told.executions),
        steps=_steps(run, told.executions),
        foreign=tuple(row["reason"] or "" for row in told.executions if row["foreign"]),
        arrivals=len(told.arrivals),
        extra=tuple((told.verified or {}).get("extra", ())),
        overdue=_overdue(told.manifest or {}),
    )


def _refused(run: Run, preflight: Mapping[str, Any]) -> dict[str, str]:
    """Why, by location: refused by preflight, or ready and then lost before its nodes were admitted."""
    refused = dict(preflight.get("refused", {}))
    admitted = run.recorded(admit.RECORD)
    if admitted is not None:
        for key in preflight.get("ready", ()):
            if key not in admitted["locations"]:
                refused[key] = admitted["failed"].get(key, "a step before the admission failed there; see its log")
    return refused


def _overdue(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """What the manifest had to leave out for too long, and what it waits for."""
    return tuple(
        f"{one['title'] or one['id']} ({one['status']})" for one in manifest.get("waits", ()) if one["overdue"]
    )


def _halted(run: Run) -> str | None:
    """The halt mark that holds for the release; None: there is none, as far as locations answer."""

    def mark(connection: Connection) -> str | None:
        return halts.mark_of(connection, operations.bucket_of(run.policy, connection), run.release.id)

    marks = [one.value for one in in_each(run.connections, run.locations, Duty.READER, mark)]
    return next((mark for mark in marks if mark), None)


def _lost(run: Run, missed: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Nodes that were admitted and missed all the same."""
    places = (run.recorded(admit.RECORD) or {}).get("locations", {})
    admitted = {one["node"] for place in places.values() for one in place["expected"] if one["reason"] is None}
    return [one for one in missed if one["node"] in admitted]


def _refused_nodes(run: Run, refused: Mapping[str, str]) -> int:
    """Nodes that could have been reached in locations that preflight refused, as far as they were resolved."""
    columns = ("location", "reason")
    found = tables.of_release(run.store, "nodes", run.release, columns) if refused else []
    return sum(one["location"] in refused and one["reason"] is None for one in found)


def _openings(executions: Sequence[Mapping[str, Any]]) -> tuple[Opening, ...]:
    """Of what the release was for."""
    kinds = {row["kind"] for row in executions}
    main = next((kind for kind in MAIN if kind in kinds), None)
    return tuple(
        Opening(row["state"], row["reason"] or "", row["execution"]) for row in executions if row["kind"] == main
    )


def _steps(run: Run, executions: Sequence[Mapping[str, Any]]) -> tuple[Opening, ...]:
    """Of the steps around the waves, each with its location: no wave says it for those that come after."""
    return tuple(
        Opening(row["state"], step_told(row["location"], step, row["state"], row["reason"]), row["execution"])
        for row in executions
        if (step := step_named(run.window, row["kind"])) is not None
    )


def _record(run: Run, verdict: Verdict, facts: Facts, at: datetime) -> dict[str, Any]:
    planned = Occurrence(run.window, run.release.occurrence)
    return {
        **verdict.as_json(),
        "at": at.isoformat(),
        "operation": run.operation,
        "gated": run.gated,
        "retry_of": run.asked.retry_of,
        "budget": facts.budget,
        "halted": facts.halted,
        "planned": {
            "start": planned.start.isoformat(),
            "end": planned.end.isoformat(),
            "cutoff": planned.last_task.isoformat(),
        },
    }


def _row(run: Run, verdict: Verdict, facts: Facts, counts: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    names = ("expected", "succeeded", "failed", "pending_reboot", "missed")
    return {
        "dag_id": run.release.dag_id,
        "run_id": run.release.run_id,
        "operation": run.operation,
        "gated": run.gated,
        "begun": run.release.begun,
        "reported": at,
        **verdict.as_json(),
        **{name: counts[name] for name in names},
        "admitted": facts.admitted or 0,
        "by": run.asked.by,
        "retry_of": run.asked.retry_of,
    }
