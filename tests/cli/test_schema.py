"""`python -m sluice schema`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sluice.__main__ import main
from sluice.cli import schema


def test_it_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Sluice policy"


def test_it_writes_it_where_policies_look_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schema, "FILE", tmp_path / "policy.schema.json")
    assert main(["schema", "--write"]) == 0
    assert (tmp_path / "policy.schema.json").read_text("utf-8") == schema.text()
    assert str(tmp_path) in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_to_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schema, "FILE", tmp_path / "missing" / "policy.schema.json")
    assert main(["schema", "--write"]) == 1
    assert "found no such file or directory" in capsys.readouterr().err
