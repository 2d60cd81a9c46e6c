"""Writing rows and reading them back: Parquet under dated keys that are derived from the release.

A file is written whole or not at all, and its key says whose rows it has and which part of them: what was half
written when a run died is written over by its retry, so that no row is lost and none is there twice. Whoever
splits a table into parts splits it the same way every time.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl

from sluice.core.errors import EvidenceError
from sluice.core.release.ids import parse_id
from sluice.core.release.terms import Release
from sluice.evidence.schema import TABLES, Table, Type
from sluice.evidence.store import Store

MOMENT = pl.Datetime("ms", "UTC")

DTYPES: Mapping[Type, pl.DataType] = {
    Type.TEXT: pl.String(),
    Type.WORD: pl.String(),
    Type.WHOLE: pl.Int64(),
    Type.NUMBER: pl.Float64(),
    Type.MOMENT: MOMENT,
    Type.TRUTH: pl.Boolean(),
}

_KEY = re.compile(r"(?P<table>[a-z_]+)/date=(?P<date>\d{4}-\d\d-\d\d)/release=(?P<release>[^/]+)/[^/]+\.parquet")


def write(store: Store, table: str, release: Release, part: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Write one part of a release's rows of a table; the key. What that part was before is overwritten.

    `part` names it within the release, such as a location; `/` becomes `-`. Rows have the table's own columns
    (optional ones may be left out); the release's are added. Raises EvidenceError for a table, column or value
    that the schema has not.
    """
    found = _table(table)
    given = {"window": release.window, "occurrence": release.occurrence}
    frame = _frame(found, [{**row, **given} for row in rows])
    key = key_of(table, release.day, release.id, part)
    content = io.BytesIO()
    frame.write_parquet(content, compression="zstd")
    store.put(key, content.getvalue())
    return key


def read(
    store: Store,
    table: str,
    since: date,
    until: date,
    *,
    window: str | None = None,
    release: str | None = None,
    columns: Sequence[str] | None = None,
) -> pl.DataFrame:
    """The rows of a table whose releases are dated from `since` to `until`, both included.

    Of one window or release where it is named. `columns` limits what is read; `release` is always there.
    """
    frames = [frame for _, frame in by_release(store, table, since, until, window=window, release=release,
                                               columns=columns)]  # fmt: skip
    return pl.concat(frames) if frames else empty(table, columns)


def by_release(
    store: Store,
    table: str,
    since: date,
    until: date,
    *,
    window: str | None = None,
    release: str | None = None,
    columns: Sequence[str] | None = None,
) -> Iterator[tuple[str, pl.DataFrame]]:
    """As `read`, one release after another by date and id: for more rows than fit into memory at once."""
    found = _table(table)
    first, last = since.isoformat(), until.isoformat()
    for month in _months(since, until):
        together: dict[tuple[str, str], list[str]] = {}
        for key in store.keys(f"{table}/date={month}-"):
            match = _KEY.fullmatch(key)
            if match and first <= match["date"] <= last and _wanted(match["release"], window, release):
                together.setdefault((match["date"], match["release"]), []).append(key)
        for (_, name), keys in sorted(together.items()):
            yield name, pl.concat([_read(store, found, key, name, columns) for key in keys])


def _months(since: date, until: date) -> Iterator[str]:
    """Months as keys have them, `2025-06`: a listing for each month is one call where one for each day is thirty."""
    day = since.replace(day=1)
    while day <= until:
        yield f"{day:%Y-%m}"
        day = (day + timedelta(days=31)).replace(day=1)


def of_release(
    store: Store, table: str, release: Release, columns: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """A release's rows of a table, as dicts; none where nothing was written."""
    return [row for frame in parts(store, table, release, columns) for row in frame.to_dicts()]


def of_part(store: Store, table: str, release: Release, part: str) -> list[dict[str, Any]]:
    """The table's own columns of one part of a release's rows, as `write` takes them; none where it was not written."""
    found = _table(table)
    own = [column.name for column in found.own]
    keys = store.keys(key_of(table, release.day, release.id, part))
    return [row for key in keys for row in _read(store, found, key, release.id, own).select(own).to_dicts()]


def parts(store: Store, table: str, release: Release, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
    """A release's rows of a table, part by part: for more rows than fit into memory at once."""
    found = _table(table)
    for key in store.keys(f"{table}/date={release.day}/release={release.id}/"):
        if _KEY.fullmatch(key):
            yield _read(store, found, key, release.id, columns)


def empty(table: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """No rows, with the table's columns."""
    return pl.DataFrame(schema={"release": pl.String(), **_schema(_table(table), columns)})


def key_of(table: str, day: str, release: str, part: str) -> str:
    """Where a part of a release's rows of a table is kept."""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", part)
    return f"{table}/date={day}/release={release}/{name}.parquet"


def _wanted(found: str, window: str | None, release: str | None) -> bool:
    if window is not None:
        parts = parse_id(found)
        if parts is None or parts.window != window:
            return False
    return release in (None, found)


def _read(store: Store, table: Table, key: str, release: str, columns: Sequence[str] | None) -> pl.DataFrame:
    content = store.get(key)
    if content is None:
        raise EvidenceError(
            f"{store.describe(key)}: it was listed and is gone; nobody removes evidence while it is read"
        )
    schema = _schema(table, columns)
    try:
        there = pl.read_parquet_schema(io.BytesIO(content))
        frame = pl.read_parquet(io.BytesIO(content), columns=[name for name in schema if name in there])
    except pl.exceptions.PolarsError as error:
        raise EvidenceError(f"{store.describe(key)}: expected Parquet of {table.name}, found {error}") from error
    added = [pl.lit(None, dtype).alias(name) for name, dtype in schema.items() if name not in there]
    return frame.with_columns(pl.lit(release).alias("release"), *added).select("release", *schema)


def _table(name: str) -> Table:
    if name not in TABLES:
        raise EvidenceError(f"expected a table of the evidence ({', '.join(TABLES)}), found {name}")
    return TABLES[name]


def _schema(table: Table, columns: Sequence[str] | None) -> dict[str, pl.DataType]:
    known = {column.name: DTYPES[column.type] for column in table.columns}
    if columns is None:
        return known
    if unknown := [name for name in columns if name not in known and name != "release"]:
        raise EvidenceError(f"expected columns of {table.name} ({', '.join(known)}), found {', '.join(unknown)}")
    return {name: known[name] for name in columns if name != "release"}


def _frame(table: Table, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    schema = _schema(table, None)
    if unknown := sorted({name for row in rows for name in row} - schema.keys()):
        raise EvidenceError(f"expected columns of {table.name} ({', '.join(schema)}), found {', '.join(unknown)}")
    try:
        frame = pl.DataFrame([{name: _clean(row.get(name)) for name in schema} for row in rows], schema=schema)
    except (pl.exceptions.PolarsError, TypeError, OverflowError) as error:
        types = ", ".join(f"{column.name}: {column.type.value}" for column in table.columns)
        raise EvidenceError(f"expected rows of {table.name} ({types}), found {error}") from error
    for column in table.columns:
        if not column.optional and (lacking := frame[column.name].null_count()):
            raise EvidenceError(f"{table.name}: expected {column.name} in every row, found {lacking} without it")
    return frame.sort(*table.order, nulls_last=True, maintain_order=True)


def _clean(value: Any) -> Any:
    """Text as UTF-8 can say it: JSON may name half a character, and nothing is lost for it but that."""
    if isinstance(value, str) and not value.isascii():
        return value.encode(errors="replace").decode()
    return value
