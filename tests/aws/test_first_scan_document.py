"""docs/first-scan.md can be typed in as it stands, and does to an account what it says."""

from __future__ import annotations

import json
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


@pytest.fixture
def lab_fleet() -> str:
    return "demo"


def before(heading: str) -> list[Step]:
    """The steps that stand before a heading."""
    return transcript(DOCUMENT.read_text().split(f"\n{heading}\n")[0])


def typed(lab: LabHandle, steps: list[Step], folder: Path, *more: str) -> list[list[str]]:
    return run([*(step.command for step in steps), *more], lab.endpoint, folder)


def test_every_box_shows_what_it_prints(lab: LabHandle, tmp_path: Path) -> None:
    steps = transcript(DOCUMENT.read_text())
    outputs = typed(lab, steps, tmp_path)
    assert len(steps) > 15
    for step, output in zip(steps, outputs, strict=True):
        assert output == step.output, step.command


def test_until_the_scan_nothing_is_changed(lab: LabHandle, tmp_path: Path) -> None:
    typed(lab, before(SCAN), tmp_path)
    calls = admin(lab, "GET", "/lab/calls")
    assert calls["total"] > 50
    assert admin(lab, "GET", "/lab/calls?mutating=true")["total"] == 0


def test_in_the_end_the_account_is_as_it_was_found(lab: LabHandle, tmp_path: Path) -> None:
    look = "python -m sluice doctor --read-only --json 2> /dev/null"
    found = as_json(typed(lab, before(PILOT), tmp_path, look)[-1])
    admin(lab, "POST", "/lab/reset")
    typed(lab, transcript(DOCUMENT.read_text()), tmp_path)
    left = json.loads((tmp_path / "after.json").read_text())
    assert left["locations"][0]["nodes"] == found["locations"][0]["nodes"]
    assert left["locations"][0]["findings"] == found["locations"][0]["findings"]


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
