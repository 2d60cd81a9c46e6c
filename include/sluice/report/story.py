"""Everything that a report says of a release, read from the evidence alone: no call of AWS.

A release that stopped early has little of it, and the report says what is there.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

from sluice.core.errors import EvidenceError
from sluice.core.policy.window_steps import moment_of
from sluice.core.release.terms import Release
from sluice.evidence import release_records, tables
from sluice.evidence.store import Store

Row = dict[str, Any]

RECORDS = ("begun", "preflight", "manifest", "decision", "approval", "admitted", "verified", "closed", "outcome")
"""Records of the release as a whole that a report reads."""

INTERESTING = ("FAILED", "INSTALLED_PENDING_REBOOT", "MISSING", "INSTALLED_REJECTED")
"""States of patches that a report is about, beside what came with the release."""

TOLD = {
    "FAILED": "failed",
    "INSTALLED_PENDING_REBOOT": "pending",
    "MISSING": "missing",
    "INSTALLED_REJECTED": "rejected",
    "INSTALLED": "installed",
    "INSTALLED_OTHER": "installed",
}
_ORDER = ("failed", "pending", "rejected", "missing", "installed")
SEVERITIES = ("critical", "important", "high", "moderate", "medium", "low")


@dataclass(frozen=True, slots=True)
class Story:
    """A release, for people."""

    release: Release
    asked: Row
    outcome: Row
    """outcome, ok, line, at, planned; of a release that was not reported yet `outcome` is `under way`."""
    nodes: list[Row]
    """Every node that was expected, with what became of it."""
    patches: list[Row]
    """Every patch that the release was about, with the number of nodes by state."""
    executions: list[Row]
    """What each wave did in each location."""
    settles: list[Row]
    """How long was waited behind each wave, and what was judged then."""
    decision: Row | None
    approval: Row | None
    manifest: Row | None
    backups: list[Row]
    arrivals: list[Row]
    preflight: Row | None
    verified: Row | None
    closed: Row | None
    counts: Row = field(default_factory=dict)
    """Nodes: expected, admitted, succeeded, failed, pending_reboot, missed."""

    @property
    def scan(self) -> bool:
        """Whether it changed nothing."""
        return bool(self.outcome.get("operation") == "scan")

    @property
    def gated(self) -> bool:
        """Whether a gate stood before it."""
        return bool(self.outcome.get("gated")) or self.decision is not None

    def of(self, result: str) -> list[Row]:
        """The nodes of which that became."""
        return [one for one in self.nodes if one["result"] == result]

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Why nodes were missed, and how many, most of all first."""
        return Counter(str(one["reason"] or "unknown") for one in self.of("missed")).most_common()

    def as_json(self) -> Row:
        """Everything, as JSON has it."""
        plain: Row = json.loads(json.dumps(asdict(self), default=datetime.isoformat))
        return plain


def read(store: Store, release: str) -> Story:
    """Read a release. Raises EvidenceError where there is none of that id."""
    found = {name: release_records.read(store, release, name) for name in RECORDS}
    if found["begun"] is None:
        raise EvidenceError(
            f"expected a release in {store.describe()}, found none called {release!r}: ids are in the notes of DAG runs"
            " and below `releases/`"
        )
    made = Release.of_json(found["begun"]["release"])
    outcome = found["outcome"] or {"outcome": "under way", "ok": True, "line": "it was not reported yet", "at": None}
    nodes = _nodes(store, made, found["admitted"])
    executions = _executions(store, made)
    return Story(
        release=made,
        asked=found["begun"]["asked"],
        outcome=outcome,
        nodes=nodes,
        patches=_patches(store, made, executions, (found["manifest"] or {}).get("items", ())),
        executions=executions,
        settles=_settles(store, release, executions),
        decision=found["decision"],
        approval=found["approval"],
        manifest=found["manifest"],
        backups=tables.of_release(store, "backups", made),
        arrivals=tables.of_release(store, "arrivals", made),
        preflight=found["preflight"],
        verified=found["verified"],
        closed=found["closed"],
        counts=_counts(nodes, found["admitted"]),
    )


def _nodes(store: Store, release: Release, admitted: Any) -> list[Row]:
    """Nodes as they were verified, else as they were admitted, else as they were resolved."""
    columns = ("location", "node", "name", "group", "product", "role", "slot", "wave", "result", "reason", "line",
               "ours", "joined_by", "command", "status", "missing", "installed_pending_reboot",
               "failed")  # fmt: skip
    verified = tables.of_release(store, "patch_summaries", release, columns)
    if verified:
        return verified
    why = {one["node"]: one for place in (admitted or {}).get("locations", {}).values() for one in place["expected"]}
    blank: Row = dict.fromkeys(columns)
    return [
        {**blank, **{name: row[name] for name in columns if name in row}, **_not_reached(row, why.get(row["node"]))}
        for row in tables.of_release(store, "nodes", release)
    ]


def _not_reached(row: Row, admitted: Row | None) -> Row:
    found = admitted if admitted and admitted["reason"] else row
    return {
        "result": "missed",
        "reason": found["reason"] or "nothing was opened",
        "line": found["detail"],
        "ours": False,
    }


def _counts(nodes: Sequence[Row], admitted: Any) -> Row:
    found = Counter(one["result"] for one in nodes)
    let_in = None
    if admitted is not None:
        let_in = sum(one["reason"] is None for place in admitted["locations"].values() for one in place["expected"])
    names = ("succeeded", "failed", "pending_reboot", "missed")
    return {"expected": len(nodes), "admitted": let_in, **{name: found[name] for name in names}}


def _executions(store: Store, release: Release) -> list[Row]:
    """With how long the nodes took."""
    columns = ("location", "wave", "kind", "seconds")
    seconds: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for row in tables.of_release(store, "command_invocations", release, columns):
        if row["seconds"] is not None:
            seconds[row["location"], row["wave"], row["kind"]].append(row["seconds"])
    found = []
    for row in tables.of_release(store, "window_executions", release):
        took = seconds[row["location"], row["wave"], row["kind"]]
        found.append({**row, "median": median(took) if took else None, "longest": max(took) if took else None})
    return sorted(found, key=lambda row: (*_place(row), row["location"]))


def _place(row: Row) -> tuple[int, int, int]:
    """Where an execution stands in a release: the steps before, the waves, the steps after."""
    moment = moment_of(row["kind"])
    if moment:
        return 0 if moment == "before" else 2, 0, int(row["kind"].rpartition("-")[2])
    return 1, row["wave"], {"scan": 0, "install": 0, "reboot": 1, "ask": 1, "rescan": 2}.get(row["kind"], 3)


def _settles(store: Store, release: str, executions: Iterable[Row]) -> list[Row]:
    found = []
    for wave in sorted({row["wave"] for row in executions}):
        barrier = release_records.read(store, release, f"barrier-{wave}")
        if barrier is None:
            continue
        ends = [row["end"] for row in executions if row["wave"] == wave and row["end"]]
        until = datetime.fromisoformat(barrier["until"]) if barrier.get("until") else None
        judged = barrier.get("judged") or {}
        found.append({"wave": wave, "from": max(ends, default=None), "until": until, **_judged(judged)})
    return found


def _judged(judged: Mapping[str, Any]) -> Row:
    return {"stop": judged.get("stop"), "failed": judged.get("failed"), "of": judged.get("of")}


def _patches(
    store: Store, release: Release, executions: Sequence[Row], items: Iterable[Mapping[str, Any]]
) -> list[Row]:
    """What the manifest has, what came to nodes since the first window opened, and what is in no good state."""
    import polars as pl

    starts = [row["start"] for row in executions if row["start"]]
    listed = {(one["id"], one["title"]) for one in items}
    columns = ("product", "id", "title", "classification", "severity", "state", "installed")
    numbers: Counter[tuple[str, str, str, str]] = Counter()
    words: dict[tuple[str, str, str], tuple[str, str]] = {}
    for frame in tables.parts(store, "patch_states", release, columns):
        came = pl.col("installed") >= min(starts) if starts else pl.lit(value=False)
        wanted = pl.col("state").is_in(INTERESTING) | came
        if listed:
            wanted |= pl.col("id").is_in(sorted({name for name, _ in listed}))
        keys = ["product", "id", "title"]
        grouped = frame.filter(wanted).group_by(*keys, "state").agg(
            pl.len(), pl.col("classification").max(), pl.col("severity").max(), came.any().alias("came")
        )  # fmt: skip
        for row in grouped.iter_rows(named=True):
            key = (row["product"], row["id"], row["title"])
            if row["state"] not in INTERESTING and not row["came"] and not _is_listed(listed, row["id"], row["title"]):
                continue
            numbers[*key, TOLD.get(row["state"], "other")] += row["len"]
            words[key] = max(words.get(key, ("", "")), (row["classification"], row["severity"]))
    return sorted((_patch(key, numbers, words[key], listed) for key in words), key=_urgency)


def _is_listed(listed: set[tuple[str, str]], patch: str, title: str) -> bool:
    return (patch, title) in listed or (patch, "") in listed


def _patch(
    key: tuple[str, str, str],
    numbers: Counter[tuple[str, str, str, str]],
    words: tuple[str, str],
    listed: set[tuple[str, str]],
) -> Row:
    product, patch, title = key
    return {
        "product": product,
        "id": patch,
        "title": title,
        "classification": words[0],
        "severity": words[1],
        "requested": _is_listed(listed, patch, title),
        **{name: numbers[*key, name] for name in _ORDER},
    }


def _urgency(row: Row) -> tuple[Any, ...]:
    """Failures first, then what was requested, then by severity and number of nodes."""
    severity = row["severity"].casefold()
    rank = SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)
    return (-row["failed"], -row["pending"], not row["requested"], rank, -row["missing"], row["title"], row["id"])
