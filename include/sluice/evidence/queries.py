"""What later releases, reports and people ask of the evidence. Each question is bounded by days.

sightings         what nodes showed of patches, for the soak ledger
releases          what became of releases
durations         how long invocations took, for whether a release fits its window
step_durations    how long the steps around its waves took, for the same
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from sluice.core.policy.window_steps import moment_of
from sluice.core.release.terms import Kind, Plain
from sluice.evidence import tables
from sluice.evidence.sightings import sightings
from sluice.evidence.store import Store

__all__ = ["Durations", "Reported", "durations", "releases", "sightings", "step_durations"]


@dataclass(frozen=True, slots=True)
class Reported(Plain):
    """A release as it was reported."""

    release: str
    window: str
    occurrence: datetime
    begun: datetime
    reported: datetime
    operation: str
    gated: bool
    outcome: str
    ok: bool
    line: str
    expected: int
    admitted: int
    succeeded: int
    failed: int
    pending_reboot: int
    missed: int
    retry_of: str | None = None


@dataclass(frozen=True, slots=True)
class Durations(Plain):
    """How long the invocations of a slot took, in seconds."""

    slot: str
    invocations: int
    median: float
    high: float
    """Nineteen of twenty took no longer."""
    longest: float


def releases(store: Store, since: date, until: date, *, window: str | None = None) -> tuple[Reported, ...]:
    """The releases dated from `since` to `until`, both included, by occurrence; of one window where it is named.

    Only those that came to their report: what is under way or was abandoned has records, but no outcome.
    """
    found = tables.read(store, "releases", since, until, window=window).sort("occurrence", "release")
    return tuple(Reported.of_json(row) for row in found.to_dicts())


def step_durations(store: Store, window: str, since: date, until: date) -> dict[str, float]:
    """How long (seconds) the executions of a window's steps took that succeeded, at most, by the step's name."""
    columns = ("kind", "state", "start", "end")
    found: dict[str, float] = {}
    for _, frame in tables.by_release(store, "window_executions", since, until, window=window, columns=columns):
        for row in frame.filter(pl.col("state") == "done").drop_nulls(["start", "end"]).iter_rows(named=True):
            if moment_of(row["kind"]):
                seconds = (row["end"] - row["start"]).total_seconds()
                found[row["kind"]] = max(seconds, found.get(row["kind"], 0.0))
    return found


def durations(store: Store, window: str, since: date, until: date, *, kind: Kind = "install") -> dict[str, Durations]:
    """How long the invocations of a window took on the nodes of each slot, by slot; of one kind.

    Only those that came to their end on the node: one that timed out or was cancelled says nothing of how long the
    work takes. A slot without any is not there.
    """
    columns = ("slot", "kind", "status", "seconds")
    frames = [
        frame.filter(
            (pl.col("kind") == kind)
            & pl.col("status").is_in(["Success", "Failed"])
            & pl.col("seconds").is_not_null()
            & pl.col("slot").is_not_null()
        ).select("slot", "seconds")
        for _, frame in tables.by_release(store, "command_invocations", since, until, window=window, columns=columns)
    ]
    if not frames:
        return {}
    seconds = pl.col("seconds")
    found = pl.concat(frames).group_by("slot").agg(
        pl.len().alias("invocations"),
        seconds.median().alias("median"),
        seconds.quantile(0.95, interpolation="higher").alias("high"),
        seconds.max().alias("longest"),
    )  # fmt: skip
    return {row["slot"]: Durations(**row) for row in found.sort("slot").to_dicts()}
