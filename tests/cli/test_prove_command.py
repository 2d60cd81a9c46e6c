"""`python -m sluice prove`."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import yaml

from sluice.__main__ import main
from sluice.files import read_policy

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT / "include/policy/default.yaml"


def without_soak(folder: Path) -> Path:
    policy = copy.deepcopy(read_policy(str(DEFAULT)).sources.data)
    policy["rings"][1]["soak"] = {"days": 0}
    path = folder / "policy.yaml"
    path.write_text(yaml.safe_dump(policy), "utf-8")
    return path


@pytest.mark.parametrize("name", ["default.yaml", "demo.yaml"])
def test_a_soak_that_holds_ends_with_0(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prove", "--policy", str(DEFAULT.with_name(name)), "--at", "2025-06-02", "--years", "1"]) == 0
    shown = capsys.readouterr().out
    assert "1. By AWS's approval delays alone the soak BREAKS" in shown
    assert "2. With the ledger and this policy's schedules the soak HOLDS" in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_a_policy_without_soak_ends_with_1_and_the_request_that_breaks_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = without_soak(tmp_path)
    assert main(["prove", "--policy", str(path), "--at", "2025-06-02", "--years", "1"]) == 1
    shown = capsys.readouterr().out
    assert "the soak BREAKS\n   " in shown.split("2. With the ledger")[1]
    assert "the first that breaks it" in shown
    assert "prod demands 0 d" in shown


def test_json_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prove", "--policy", str(DEFAULT), "--at", "2025-06-02", "--years", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["first"], found["last"], found["releases"], found["holds"]) == ("2025-06-02", "2026-06-01", 730, True)
    assert found["ledger"]["broken"] == 0
    assert found["ledger"]["least_soak_hours"] >= 7 * 24
    friday = found["alone"]["friday"]["first"]
    assert (friday["issued"], friday["request"]["start"]) == ("2025-06-06T17:00:00+00:00", "2025-06-16T03:00:00+00:00")
    assert {row["os"] for row in found["days"]} == {"AMAZON_LINUX_2023", "REDHAT_ENTERPRISE_LINUX", "UBUNTU", "WINDOWS"}


def test_releases_that_a_last_window_leaves_behind_are_counted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    policy = copy.deepcopy(read_policy(str(DEFAULT)).sources.data)
    for window in policy["windows"]:
        if window["name"] == "install-prod-windows":
            window["schedule"] = "cron(0 3 ? * WED 2025)"
    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump(policy), "utf-8")
    assert main(["prove", "--policy", str(path), "--at", "2025-06-02", "--years", "1", "--json"]) == 0
    rows = {row["os"]: row for row in json.loads(capsys.readouterr().out)["days"]}
    # The last one is on Wednesday 31 December; what comes out from Wednesday 17 on has not soaked by then.
    assert rows["WINDOWS"]["alone"]["never"] > 2 * 150
    assert rows["WINDOWS"]["ledger"]["never"] >= rows["WINDOWS"]["alone"]["never"]
    assert rows["UBUNTU"]["ledger"]["never"] == 0


@pytest.mark.parametrize("years", ["0", "11", "two"])
def test_years_that_cannot_be_are_refused_with_2(capsys: pytest.CaptureFixture[str], years: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["prove", "--years", years])
    assert end.value.code == 2
    assert years in capsys.readouterr().err
