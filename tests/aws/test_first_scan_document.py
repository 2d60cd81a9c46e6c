"""docs/first-scan.md can be typed in as it stands, and does to an account what it says."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from transcript import ROOT, Step, run, transcript
from world_builder import admin

from lab.testing import LabHandle

DOCUMENT = ROOT / "docs" / "first-scan.md"
READ, PILOT, PLAN, SCAN, UNDO = (
    "## 1. Read",
    "## 2. Pilot",
    "## 3. Plan",
    "## 4. Scan",
    "## 5. Check and undo",
)


AT_MOST = 900.0
"""Seconds for all boxes, an Airflow that starts, scans and stops among them."""


@pytest.fixture
def lab_fleet() -> str:
    return "demo"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, and a port of its own for Airflow's UI."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("AIRFLOW__API__PORT", str(port))
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in [
        name for name in os.environ if name.startswith(("AIRFLOW__CORE", "AIRFLOW__DATABASE", "AIRFLOW__LOG"))
    ]:
        monkeypatch.delenv(name)
    return tmp_path


def before(heading: str) -> list[Step]:
    """The steps that stand before a heading."""
    return transcript(DOCUMENT.read_text().split(f"\n{heading}\n")[0])


def typed(lab: LabHandle, steps: list[Step], folder: Path, *more: str) -> list[list[str]]:
    return run([*(step.command for step in steps), *more], lab.endpoint, folder)


def test_every_box_shows_what_it_prints_and_in_the_end_the_account_is_as_it_was_found(
    lab: LabHandle, machine: Path
) -> None:
    look = "python -m sluice doctor --read-only --json 2> /dev/null"
    found = as_json(typed(lab, before(PILOT), machine, look)[-1])
    admin(lab, "POST", "/lab/reset")

    steps = transcript(DOCUMENT.read_text())
    outputs = run([step.command for step in steps], lab.endpoint, machine, AT_MOST)
    assert len(steps) > 35
    for step, output in zip(steps, outputs, strict=True):
        assert output == step.output, step.command

    left = json.loads((machine / "after.json").read_text())
    assert left["locations"][0]["nodes"] == found["locations"][0]["nodes"]
    assert left["locations"][0]["findings"] == found["locations"][0]["findings"]


def test_what_is_compared_is_alike_and_more_than_nothing() -> None:
    steps = {step.command: step.output for step in transcript(DOCUMENT.read_text())}
    (ours,) = [output for command, output in steps.items() if "report/report.json" in command]
    (states,) = [output for command, output in steps.items() if "describe-instance-patch-states" in command]
    (summary,) = [output for command, output in steps.items() if "list-resource-compliance-summaries" in command]
    assert ours == states
    _, missing, failed, pending = ours[0].split("\t")
    assert int(missing) > 0
    assert summary[0].split("\t")[1:] == ["NON_COMPLIANT", str(int(missing) + int(failed) + int(pending))]


def test_until_the_scan_nothing_is_changed(lab: LabHandle, tmp_path: Path) -> None:
    typed(lab, before(SCAN), tmp_path)
    calls = admin(lab, "GET", "/lab/calls")
    assert calls["total"] > 50
    assert admin(lab, "GET", "/lab/calls?mutating=true")["total"] == 0


def test_every_account_and_endpoint_is_printed_before_every_act() -> None:
    for step in transcript(DOCUMENT.read_text()):
        command = step.command
        asks_aws = any(f"sluice {name}" in command for name in ("init", "plan", "apply", "destroy", "import"))
        if asks_aws or command == "python -m sluice doctor --read-only":
            assert step.output[0].startswith("111111111111/eu-west-3: as arn:aws:iam::111111111111:user/lab at"), (
                command
            )


def as_json(lines: list[str]) -> Any:
    return json.loads("\n".join(lines))


def test_the_calls_that_the_plan_names_are_those_that_apply_makes(lab: LabHandle, tmp_path: Path) -> None:
    named = [
        line.split()[1]
        for step in transcript(DOCUMENT.read_text())
        if "plan --calls" in step.command
        for line in step.output
        if line.split()[0].isdecimal() and "ssm:" in line
    ]
    typed(lab, before(SCAN), tmp_path, "python -m sluice apply --yes")
    last = admin(lab, "GET", "/lab/calls?last=1000")["last"]
    assert named == [f"{one['service']}:{one['operation']}" for one in last if one["mutating"]]
    assert len(named) > 5
