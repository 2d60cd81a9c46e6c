"""`python -m sluice calendar`."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice.__main__ import main
from sluice.files import read_policy

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT / "include/policy/default.yaml"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the policy as shipped with changes of windows by name, and of the rest."""

    def _write(windows: dict[str, dict[str, Any]] | None = None, **rest: Any) -> Path:
        policy = copy.deepcopy(read_policy(str(DEFAULT)).sources.data)
        for window in policy["windows"]:
            window.update((windows or {}).get(window["name"], {}))
        path = tmp_path / "policy.yaml"
        path.write_text(yaml.safe_dump({**policy, **rest}), "utf-8")
        return path

    return _write


def calendar(capsys: pytest.CaptureFixture[str], policy: Path, *options: str) -> str:
    assert main(["calendar", "--policy", str(policy), *options]) == 0
    return capsys.readouterr().out


def test_every_window_stands_under_its_ring_in_every_week(capsys: pytest.CaptureFixture[str]) -> None:
    shown = calendar(capsys, DEFAULT, "--at", "2025-06-09", "--weeks", "3").splitlines()
    for week in (24, 25, 26):
        assert any(line.startswith(f"2025 week {week} ") for line in shown)
    rows = [line for line in shown if line.startswith("  install-prod-windows ")]
    assert [row.split()[1:] for row in rows] == [[".", ".", "03:00", "4h", ".", ".", ".", "."]] * 3


def test_four_weeks_are_shown_unless_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert calendar(capsys, DEFAULT, "--at", "2025-06-09").count(" week ") == 4


def test_nothing_before_the_moment_that_is_looked_from(capsys: pytest.CaptureFixture[str]) -> None:
    shown = calendar(capsys, DEFAULT, "--at", "2025-06-11T12:00", "--weeks", "1")
    this, then = [line for line in shown.splitlines() if line.startswith("  install-nonprod ")]
    assert this.split()[1:] == [".", "03:00", "4h", "03:00", "4h", ".", "."]
    assert then.split()[1:] == ["03:00", "4h"] * 3
    assert this.index(".") == next(line for line in shown.splitlines() if " week " in line).index("Wed")


def test_the_coming_week_is_shown_also_on_its_last_day(capsys: pytest.CaptureFixture[str]) -> None:
    shown = calendar(capsys, DEFAULT, "--at", "2025-06-15T20:00", "--weeks", "1")
    rows = [line for line in shown.splitlines() if line.startswith("  install-nonprod ")]
    assert [row.split()[1:] for row in rows] == [["."], ["03:00", "4h"] * 5 + [".", "."]]
    assert "none in this time" not in shown


def test_clock_changes_freezes_and_skipped_times_are_marked(capsys: pytest.CaptureFixture[str], write: Write) -> None:
    policy = write(
        {
            "install-prod-linux": {"time_zone": "Europe/Paris"},
            "scan-daily": {"time_zone": "Europe/Paris", "schedule": "cron(30 2 * * ? *)"},
        },
        gate={"freezes": [{"from": "2025-04-02", "until": "2025-04-02", "because": "quarter's end"}]},
    )
    shown = calendar(capsys, policy, "--at", "2025-03-24", "--weeks", "2")
    assert "03:00 4h*" in shown
    assert "02:30 --!" in shown
    assert "03:00 4hx" in shown
    assert "30 Mar 2025 02:30 does not exist in Europe/Paris: skipped" in shown
    assert "install-prod-linux: clocks change in Europe/Paris: until then 03:00 is 02:00 UTC" in shown


def test_a_window_that_comes_more_than_once_a_day_says_how_often(
    capsys: pytest.CaptureFixture[str], write: Write
) -> None:
    shown = calendar(capsys, write({"scan-daily": {"schedule": "cron(0 1/6 * * ? *)"}}), "--at", "2025-06-09")
    assert "01:00 +3" in shown


@pytest.mark.parametrize(
    "options", [["--weeks", "1"], ["--patch", "2025-06-13"], ["--patch", "2025-06-13", "--needs-reboot"]]
)
def test_no_line_is_wider_than_100(capsys: pytest.CaptureFixture[str], options: list[str]) -> None:
    assert max(map(len, calendar(capsys, DEFAULT, "--at", "2025-06-09", *options).splitlines())) <= 100


def test_json_has_every_occurrence_with_what_hangs_on_it(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(calendar(capsys, DEFAULT, "--at", "2025-06-09", "--weeks", "1", "--json"))
    (prod,) = [window for window in found["windows"] if window["name"] == "install-prod-windows"]
    assert prod["occurrences"] == [
        {
            "start": "2025-06-11T03:00:00+00:00",
            "local": "2025-06-11T03:00:00+00:00",
            "dag_start": "2025-06-10T15:00:00+00:00",
            "latest_start": "2025-06-11T05:00:00+00:00",
            "last_task": "2025-06-11T06:00:00+00:00",
            "end": "2025-06-11T07:00:00+00:00",
            "frozen": None,
        }
    ]


def test_a_patchs_days_are_those_of_the_windows(capsys: pytest.CaptureFixture[str]) -> None:
    shown = calendar(capsys, DEFAULT, "--patch", "2025-06-10T17:00", "--os", "windows", "--json")
    (journey,) = json.loads(shown)["journeys"]
    nonprod, prod = journey["rings"]
    assert [each["start"][:10] for each in nonprod["ledger"]] == ["2025-06-11"]
    # Non-production has it on Wednesday 11 by 07:00; on Wednesday 18 at 03:00 AWS alone would be four hours early.
    assert [(each["start"][:10], each["soaked_hours"]) for each in prod["alone"]] == [("2025-06-18", 7 * 24 - 4)]
    assert [each["start"][:10] for each in prod["ledger"]] == ["2025-06-25"]


def test_without_an_operating_system_all_of_the_policy_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(calendar(capsys, DEFAULT, "--patch", "2025-06-13", "--json"))
    assert {journey["os"] for journey in found["journeys"]} == {
        "AMAZON_LINUX_2023",
        "REDHAT_ENTERPRISE_LINUX",
        "UBUNTU",
        "WINDOWS",
    }


def test_what_no_rule_approves_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    shown = calendar(capsys, DEFAULT, "--patch", "2025-06-13", "--os", "WINDOWS", "--classification", "Drivers")
    assert "approves no such patch" in shown
    assert "never in the time looked at" in shown


def test_a_reboot_that_never_comes_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    shown = calendar(capsys, DEFAULT, "--patch", "2025-06-13", "--os", "WINDOWS", "--needs-reboot")
    assert "needs a reboot and the window makes none" in shown


def test_a_wait_of_months_still_fits_the_picture(capsys: pytest.CaptureFixture[str], write: Write) -> None:
    rare = write({"install-prod-linux": {"schedule": "cron(0 3 1 1 ? *)"}})
    shown = calendar(capsys, rare, "--patch", "2025-06-13", "--os", "UBUNTU")
    assert max(map(len, shown.splitlines())) <= 100
    assert "Thu 2026-01-01 03:00" in shown


def test_a_policy_that_only_observes_says_that_nothing_installs(
    capsys: pytest.CaptureFixture[str], write: Write
) -> None:
    assert "nothing installs" in calendar(capsys, write(mode="observe"), "--at", "2025-06-09")


def test_an_operating_system_that_the_policy_does_not_install_on_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calendar", "--policy", str(DEFAULT), "--patch", "2025-06-13", "--os", "SUSE"]) == 1
    assert "found SUSE" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ["--weeks", "0"],
        ["--weeks", "many"],
        ["--weeks", "61"],
        ["--at", "soon"],
        ["--at", "0001-01-01"],
        ["--patch", "2025-02-30"],
        ["--patch", "2025-06-13", "--os", "BEOS"],
        ["--severity", "dire"],
    ],
)
def test_what_cannot_be_is_refused_with_2(capsys: pytest.CaptureFixture[str], options: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["calendar", "--policy", str(DEFAULT), *options])
    assert end.value.code == 2
    assert options[-1] in capsys.readouterr().err
