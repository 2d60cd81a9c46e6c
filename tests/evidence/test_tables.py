"""What is written is read, once, whatever was interrupted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from evidence_rows import HERE, at, patch, release
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.core.errors import EvidenceError
from sluice.evidence import tables
from sluice.evidence.schema import TABLES
from sluice.evidence.store import FolderStore

NODES = [f"i-{number:017x}" for number in range(1, 6)]


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "evidence")


def test_the_key_says_table_day_release_and_part(store: FolderStore) -> None:
    found = release(9, "install-prod-linux", hour=3)
    key = tables.write(store, "patch_states", found, HERE, [patch(NODES[0])])
    assert key == f"patch_states/date=2025-06-09/release={found.id}/111111111111-eu-west-3.parquet"


def test_a_retry_writes_over_its_own_and_nothing_else(store: FolderStore) -> None:
    first, other = release(2), release(2, run="r2")
    tables.write(store, "patch_states", other, HERE, [patch(NODES[4])])
    tables.write(store, "patch_states", first, HERE, [patch(NODES[0]), patch(NODES[1])])
    before = store.get(tables.key_of("patch_states", first.day, first.id, HERE))
    tables.write(store, "patch_states", first, HERE, [patch(NODES[1]), patch(NODES[0])])
    assert store.get(tables.key_of("patch_states", first.day, first.id, HERE)) == before
    rows = tables.read(store, "patch_states", date(2025, 6, 2), date(2025, 6, 2))
    assert sorted(rows["node"]) == [NODES[0], NODES[1], NODES[4]]
    assert set(rows["release"]) == {first.id, other.id}


def test_dates_bound_what_is_read_on_both_sides(store: FolderStore) -> None:
    for day in (1, 2, 3, 4):
        tables.write(store, "patch_states", release(day), HERE, [patch(NODES[0])])
    found = tables.read(store, "patch_states", date(2025, 6, 2), date(2025, 6, 3), columns=["node"])
    assert sorted(found["release"]) == [release(2).id, release(3).id]
    assert found.columns == ["release", "node"]


def test_a_window_is_read_without_the_windows_whose_names_begin_with_its(store: FolderStore) -> None:
    for window in ("scan", "scan-daily", "scan-daily-2"):
        tables.write(store, "patch_states", release(2, window), HERE, [patch(NODES[0])])
    found = tables.read(store, "patch_states", date(2025, 6, 2), date(2025, 6, 2), window="scan-daily")
    assert list(found["window"]) == ["scan-daily"]


def test_nothing_written_is_no_rows_with_all_columns(store: FolderStore) -> None:
    found = tables.read(store, "nodes", date(2025, 6, 1), date(2025, 6, 30))
    assert found.height == 0
    assert found.columns == ["release", *(column.name for column in TABLES["nodes"].columns)]


def test_a_column_that_a_later_version_added_is_empty_in_earlier_files(store: FolderStore, tmp_path: Path) -> None:
    found = release(2)
    key = tables.write(store, "patch_states", found, HERE, [patch(NODES[0])])
    path = tmp_path / "evidence" / key
    pl.read_parquet(path).drop("ring").write_parquet(path)
    (row,) = tables.of_release(store, "patch_states", found)
    assert row == {**patch(NODES[0]), "ring": None, "release": found.id, "window": "scan-daily", "occurrence": at(2, 1)}


@pytest.mark.parametrize(
    ("table", "row", "said"),
    [
        ("moon", {}, "expected a table of the evidence"),
        ("patch_states", {**patch(NODES[0]), "colour": "red"}, "expected columns of patch_states .* found colour"),
        ("patch_states", {**patch(NODES[0]), "state": None}, "expected state in every row, found 1 without it"),
        ("patch_states", {**patch(NODES[0]), "ours": "perhaps"}, "expected rows of patch_states"),
        ("window_executions", {"wave": "first"}, "expected rows of window_executions"),
    ],
)
def test_what_the_schema_has_not_is_refused_and_nothing_written(
    store: FolderStore, table: str, row: dict[str, object], said: str
) -> None:
    with pytest.raises(EvidenceError, match=said):
        tables.write(store, table, release(2), HERE, [row])
    assert list(store.keys()) == []


def test_a_file_that_is_no_parquet_is_named(store: FolderStore) -> None:
    key = tables.key_of("nodes", "2025-06-02", release(2).id, "x")
    store.put(key, b"half a fi")
    with pytest.raises(EvidenceError, match=r"x\.parquet: expected Parquet of nodes"):
        tables.of_release(store, "nodes", release(2))


def test_the_files_are_hive_partitions_for_any_reader(store: FolderStore, tmp_path: Path) -> None:
    tables.write(store, "patch_states", release(2), HERE, [patch(NODES[0])])
    tables.write(store, "patch_states", release(3), HERE, [patch(NODES[0])])
    found = pl.scan_parquet(tmp_path / "evidence/patch_states/**/*.parquet", hive_partitioning=True).filter(
        pl.col("date") == date(2025, 6, 3)
    )
    assert found.collect()["release"].to_list() == [release(3).id]


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_a_table_says_what_each_column_is_and_sorts_by_its_own(table: object) -> None:
    found = TABLES[table.name]  # type: ignore[attr-defined]  # pytest's parametrize knows no types
    names = [column.name for column in found.columns]
    assert len(set(names)) == len(names)
    assert set(found.order) <= set(names)
    assert all(column.what.endswith((".", "…")) for column in found.columns)


texts = st.text(max_size=12)
rows = st.lists(
    st.builds(
        lambda node, title, state, installed: patch(node, state, "x" + title, installed=installed),
        st.sampled_from(NODES),
        texts,
        texts,
        st.none()
        | st.datetimes(at(1).replace(tzinfo=None), at(30).replace(tzinfo=None)).map(
            lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=at(1).tzinfo)
        ),
    ),
    max_size=8,
)


@settings(deadline=None, max_examples=50)  # each writes a file
@given(rows)
def test_rows_come_back_as_they_were_whatever_stands_in_them(
    tmp_path_factory: pytest.TempPathFactory, given: list
) -> None:  # type: ignore[type-arg]  # hypothesis builds them
    store = FolderStore(tmp_path_factory.mktemp("rows"))
    tables.write(store, "patch_states", release(2), HERE, given)
    added = {"release": release(2).id, "window": "scan-daily", "occurrence": at(2, 1)}
    back = tables.of_release(store, "patch_states", release(2))
    assert sorted(map(plain, back)) == sorted(plain({**row, **added}) for row in given)


def plain(row: Mapping[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, default=datetime.isoformat)


def test_text_that_is_no_unicode_is_kept_as_far_as_it_is(store: FolderStore) -> None:
    tables.write(store, "patch_states", release(2), HERE, [patch(NODES[0], "\ud800gone")])
    (row,) = tables.of_release(store, "patch_states", release(2))
    assert row["state"] == "?gone"
