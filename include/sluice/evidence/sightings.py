"""What nodes showed of patches over some days, run by run: what the soak ledger folds.

A scan a day shows the same of most patches as the day before. So days are read one after the other, and what a
node shows again, unchanged, only moves the end of what it showed before: in memory is what all nodes show at one
time, whatever the number of days.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl

from sluice.core.sighted import ABSENT, Sighted
from sluice.evidence import tables
from sluice.evidence.store import Store

_NODE = ["location", "node"]
_PATCH = [*_NODE, "product", "id", "title"]
_SHOWN = ["ring", "group", "role", "classification", "severity", "state", "installed", "other", "needless"]
"""What makes a sighting another one when it changes."""
_FIRST = ["at", "release", "kind"]
"""What is kept of the first of several in a row."""
_WORDS = ("location", "node", "product", "id", "title", "ring", "group", "role", "classification", "severity", "state",
          "other", "release", "kind")  # fmt: skip
"""Kept as numbers: they repeat by the thousand."""

ROWS_AT_ONCE = 100_000


def sightings(
    store: Store,
    since: date,
    until: date,
    *,
    rings: Sequence[str] | None = None,
) -> Iterator[Sighted]:
    """What nodes showed in the releases dated from `since` to `until`, both included.

    Of some rings where they are named, without what is not applicable. A state that an earlier release had shown
    before `since` begins with its first showing in these days. A look at a node that shows none of this is no look:
    what was shown before does not go on, and nothing follows. No order is promised.
    """
    for frame in runs(store, since, until, rings=rings):
        for some in frame.iter_slices(ROWS_AT_ONCE):
            for row in some.cast(dict.fromkeys(_WORDS, pl.String)).iter_rows(named=True):
                yield Sighted(**{**row, "other": row["other"] or "", "needless": bool(row["needless"])})


def runs(
    store: Store,
    since: date,
    until: date,
    *,
    rings: Sequence[str] | None = None,
) -> Iterator[pl.DataFrame]:
    """As `sightings`, as frames: those that ended on a day, day by day, and at last those that have not ended."""
    going_on = _empty()
    looked = pl.DataFrame(schema={"location": pl.Categorical, "node": pl.Categorical, "last": tables.MOMENT})
    for day in _days(since, until):
        for new in _looks(_of_day(store, day, rings), looked):
            ended, going_on = _fold(going_on, new)
            if ended.height:
                yield ended
            last = new.group_by(_NODE).agg(pl.col("at").max().alias("last"))
            looked = pl.concat([looked, last]).group_by(_NODE).agg(pl.col("last").max())
    if going_on.height:
        yield going_on


def _days(since: date, until: date) -> Iterator[date]:
    for number in range((until - since).days + 1):
        yield since + timedelta(days=number)


def _of_day(store: Store, day: date, rings: Sequence[str] | None) -> pl.DataFrame:
    """A day's rows; of a look at a node that several releases read back, the rows of the one whose look it was."""
    columns = [*_PATCH, *_SHOWN, "kind", "at", "ours"]
    wanted = pl.lit(value=True)
    if rings is not None:
        wanted &= pl.col("ring").is_in(list(rings))
    frames = [
        _narrow(frame.filter(wanted))
        for _, frame in tables.by_release(store, "patch_states", day, day, columns=columns)
    ]
    if not frames:
        return _empty().with_columns(ours=pl.lit(value=True))
    together = pl.concat(frames)
    whose = (
        together.select(*_NODE, "at", "release", "ours")
        .unique()
        .sort("ours", "release", descending=[True, False])
        .unique([*_NODE, "at"], keep="first", maintain_order=True)
    )
    return together.join(whose.select(*_NODE, "at", "release"), on=[*_NODE, "at", "release"], how="semi").unique()


def _narrow(frame: pl.DataFrame) -> pl.DataFrame:
    kept = frame.filter(pl.col("state") != ABSENT).cast(dict.fromkeys(_WORDS, pl.Categorical))
    return kept.with_columns(pl.col("needless").fill_null(value=False))


def _looks(rows: pl.DataFrame, looked: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The rows of a day by the look at the node, the first look at each first, without looks known already."""
    known = rows.join(looked, on=_NODE, how="left")
    fresh = known.filter(pl.col("last").is_null() | (pl.col("at") > pl.col("last"))).drop("last")
    numbered = fresh.with_columns(pl.col("at").rank("dense").over(_NODE).alias("look"))
    for number in sorted(numbered["look"].unique()):
        yield numbered.filter(pl.col("look") == number).drop("look", "ours")


def _fold(going_on: pl.DataFrame, new: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What has ended, and what goes on, when these nodes were looked at once more."""
    same = [*_PATCH, *_SHOWN]
    untouched = going_on.join(new.select(_NODE).unique(), on=_NODE, how="anti")
    touched = going_on.join(new.select(_NODE).unique(), on=_NODE, how="semi")
    ended = touched.join(new, on=same, how="anti", nulls_equal=True)
    known = touched.select(*same, *(pl.col(name).alias(f"first_{name}") for name in _FIRST))
    merged = new.join(known, on=same, how="left", nulls_equal=True).with_columns(
        pl.col("at").alias("until"), *(pl.coalesce(f"first_{name}", name).alias(name) for name in _FIRST)
    )
    return ended, pl.concat([untouched, merged.select(untouched.columns)])


def _empty() -> pl.DataFrame:
    schema: dict[str, Any] = dict.fromkeys([*_PATCH, *_SHOWN, *_FIRST, "until"], pl.Categorical)
    return pl.DataFrame(
        schema={**schema, **dict.fromkeys(("installed", "at", "until"), tables.MOMENT), "needless": pl.Boolean}
    )
