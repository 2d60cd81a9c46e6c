"""What a reader and the next contributor may rely on in every file."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from source import ROOT, make_targets, project_files, python_files

EXCLUSION = re.compile(
    r"#\s*(noqa|type:\s*ignore)\b(?P<codes>(\[[\w, -]+\]|:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*)?)(?P<reason>.*)"
)


def unexplained(line: str) -> bool:
    """Whether a line switches a check off without naming the check and a reason."""
    found = EXCLUSION.search(line)
    return bool(found) and not (found["codes"] and re.match(r"\s+#\s+\S+ \S+", found["reason"]))


@pytest.mark.parametrize("switch", ["noqa", "noqa: S101", "type: ignore", "type: ignore[attr-defined]"])
def test_an_exclusion_without_a_reason_is_noticed(switch: str) -> None:
    assert unexplained(f"x = 1  # {switch}")


def test_every_lint_exclusion_names_its_code_and_its_reason() -> None:
    assert not [
        f"{file.relative_to(ROOT)}:{number}"
        for folder in ("include", "plugins", "dags", "tests")
        for file in python_files(folder)
        if file != Path(__file__)
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
        if unexplained(line)
    ]


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    here = re.compile(rf"{re.escape(str(ROOT))}\b|/home/(?!ec2-user|ubuntu|admin)\w+/|/Users/\w+/")
    assert not [
        str(file.relative_to(ROOT))
        for file in project_files()
        if file != Path(__file__) and here.search(file.read_bytes().decode("utf-8", "replace"))
    ]


def test_make_help_describes_every_target() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^ *make ([\w-]+) +\S", shown, re.MULTILINE)) == make_targets()


def test_contributing_says_what_every_command_is_for() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert not {target for target in make_targets() if f"make {target}" not in text}


def test_relative_links_between_documents_lead_somewhere() -> None:
    broken = [
        (str(file.relative_to(ROOT)), target)
        for file in project_files(".md")
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", file.read_text("utf-8"))
        if "://" not in target and not (file.parent / target).exists()
    ]
    assert not broken


def test_decisions_are_numbered_without_a_gap_and_listed_in_the_index() -> None:
    folder = ROOT / "docs/adr"
    records = sorted(file.name for file in folder.glob("[0-9]*.md"))
    assert [int(name[:4]) for name in records] == list(range(1, len(records) + 1))
    assert re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", (folder / "README.md").read_text("utf-8")) == records
    for name in records:
        assert re.match(rf"# {name[:4]}\. .+\n\nStatus: \w+", (folder / name).read_text("utf-8")), name
