"""`python -m sluice report`: a report is made anew from the evidence, wherever it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from reported import Written

from sluice.__main__ import main
from sluice.core.policy.policy import Policy

WINDOW = {"name": "scan-daily", "operation": "scan", "schedule": "cron(0 1 * * ? *)", "duration_hours": 2}


@pytest.fixture
def policy(tmp_path: Path, written: Written) -> str:
    data = {
        "version": 1,
        "mode": "observe",
        "rings": [{"name": "nonprod"}],
        "windows": [WINDOW],
        "evidence": {"folder": str(tmp_path / "evidence")},
    }
    Policy.model_validate(data)
    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump(data))
    return str(path)


def test_the_files_are_made_anew_where_they_belong(
    policy: str, written: Written, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", written.release.id, "--policy", policy]) == 0
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert {path.name for path in paths} == {"report.html", "nodes.csv", "report.json"}
    before = {path: path.read_bytes() for path in paths}
    assert main(["report", written.release.id, "--policy", policy]) == 0
    assert {path: path.read_bytes() for path in paths} == before


def test_or_in_a_folder_and_the_evidence_stays_as_it_is(policy: str, written: Written, tmp_path: Path) -> None:
    before = list(written.store.keys())
    assert main(["report", written.release.id, "--policy", policy, "--out", str(tmp_path / "a" / "b")]) == 0
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == {"report.html", "nodes.csv", "report.json"}
    assert list(written.store.keys()) == before


def test_a_release_that_is_not_there_is_named(policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "install-moon-20250609T0300-00000000", "--policy", policy]) == 1
    assert "found none called 'install-moon-20250609T0300-00000000'" in capsys.readouterr().err


def test_without_a_release_the_latest_are_listed_whatever_this_machines_clock_says(
    policy: str, capsys: pytest.CaptureFixture[str], written: Written
) -> None:
    assert main(["report", "--policy", policy]) == 0
    assert capsys.readouterr().out.startswith("No release was reported yet in ")
    written.released()
    assert main(["report", "--policy", policy]) == 0
    assert capsys.readouterr().out == f"{written.release.id}  partial: 44 of 46 nodes done\n"
