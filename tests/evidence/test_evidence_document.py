"""docs/evidence.md says what the tables are, column by column; SLUICE_WRITE=1 writes it anew."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.evidence.schema import OF_RELEASE, TABLES

PAGE = Path(__file__).parents[2] / "docs/evidence.md"
BETWEEN = re.compile(r"(<!-- tables: .* -->\n).*(<!-- end of tables -->)", re.DOTALL)


def tables() -> Iterator[str]:
    every = "".join(f"| `{column.name}` | {column.type.value} | {column.what} |\n" for column in OF_RELEASE)
    yield f"\nEvery table has\n\n| column | type | |\n|---|---|---|\n{every}"
    for table in TABLES.values():
        yield f"\n### {table.name}\n\n{table.row}\n\n| column | type | |\n|---|---|---|\n"
        for column in table.own:
            yield f"| `{column.name}`{' ?' if column.optional else ''} | {column.type.value} | {column.what} |\n"
    yield "\n"


def test_the_document_has_every_table_and_column() -> None:
    text = PAGE.read_text("utf-8")
    wanted = BETWEEN.sub(lambda found: f"{found[1]}{''.join(tables())}{found[2]}", text)
    if os.environ.get("SLUICE_WRITE"):
        PAGE.write_text(wanted, "utf-8")
    assert wanted == text or os.environ.get("SLUICE_WRITE"), "the schema changed: SLUICE_WRITE=1 pytest tests/evidence"


def test_the_queries_of_the_document_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evidence_rows import HERE, patch, release

    from sluice.evidence import tables as written
    from sluice.evidence.store import FolderStore

    monkeypatch.chdir(tmp_path)
    written.write(FolderStore(tmp_path / "evidence"), "patch_states", release(9), HERE, [patch("i-1", "MISSING")])
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    shown: list[object] = []
    exec(code, {"print": shown.append})  # noqa: S102  # the document's own example
    assert shown[0].height == 1  # type: ignore[attr-defined]  # a frame
