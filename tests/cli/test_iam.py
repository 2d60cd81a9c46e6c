"""`python -m sluice iam`."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.__main__ import main
from sluice.cli import blocks, iam

TEMPLATE = """\
Statement:
  # generated: image_deleter
  - old
  # end generated
After: kept
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one template and the document."""
    monkeypatch.setattr(iam, "ROOT", tmp_path)
    monkeypatch.setattr(iam, "TEMPLATES", tmp_path)
    monkeypatch.setattr(iam, "DOCUMENT", tmp_path / "infrastructure.md")
    (tmp_path / "infrastructure.md").write_text("<!-- generated: unowned -->\n<!-- end generated -->\n")
    (tmp_path / "one.yaml").write_text(TEMPLATE)
    return tmp_path


def test_it_says_which_files_differ_and_changes_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["iam"]) == 1
    shown = capsys.readouterr().out
    assert "Differs: one.yaml" in shown
    assert "python -m sluice iam --write" in shown
    assert (folder / "one.yaml").read_text() == TEMPLATE


def test_it_writes_what_stands_between_the_marks_and_nothing_else(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["iam", "--write"]) == 0
    text = (folder / "one.yaml").read_text()
    assert text.startswith("Statement:\n  # generated: image_deleter\n  - Effect: Allow\n")
    assert text.endswith("  # end generated\nAfter: kept\n")
    assert "ec2:DeregisterImage" in text
    assert "| `iam:PassRole` |" in (folder / "infrastructure.md").read_text()
    assert capsys.readouterr().out == "Wrote one.yaml\nWrote infrastructure.md\n"
    assert main(["iam"]) == 0


def test_a_block_that_it_does_not_know_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "one.yaml").write_text("# generated: everything\n# end generated\n")
    assert main(["iam", "--write"]) == 1
    assert "'everything'" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "infrastructure.md").unlink()
    assert main(["iam"]) == 1
    assert "found no such file or directory" in capsys.readouterr().err


def test_every_template_with_statements_has_blocks() -> None:
    assert [path.stem for path in iam.files() if blocks.names(path.read_text("utf-8"))] == [
        "control",
        "member",
        "reader",
        "ring",
        "scanner",
        "infrastructure",
    ]
