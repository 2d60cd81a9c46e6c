"""What is due when is the policy's calendar, under the names that DAGs have; what can be asked of a rehearsal."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.rehearsal.agenda import agenda, read_policy
from lab.rehearsal.airflow_parts import USERS, AirflowParts
from lab.rehearsal.command import main, options_of, plan_of, welcome
from lab.rehearsal.drills import SMALL
from lab.rehearsal.play import DEMO_POLICY, Plan, moment
from lab.rehearsal.processes import Processes
from lab.rehearsal.table import aligned, shortened
from sluice.core.dag_names import NAMED
from sluice.core.policy.policy import Policy

FIRST = datetime(2025, 6, 3, tzinfo=UTC)


@pytest.fixture(scope="module")
def demo() -> Policy:
    return read_policy(DEMO_POLICY, dict(os.environ))


def test_the_fortnight_has_each_window_as_often_as_the_calendar_says(demo: Policy) -> None:
    found = agenda(demo, FIRST, FIRST + timedelta(weeks=2))
    counts = {name: sum(one.window == name for one in found) for name in NAMED.values()}
    assert counts == {"scan-daily": 14, "install-nonprod": 10, "install-prod-linux": 2, "install-prod-windows": 2}
    assert found == sorted(found)


def test_a_window_with_a_lead_is_due_before_it_opens(demo: Policy) -> None:
    monday = next(one for one in agenda(demo, FIRST, FIRST + timedelta(weeks=1)) if one.window == "install-prod-linux")
    assert (monday.dag_start, monday.start) == (
        datetime(2025, 6, 8, 15, tzinfo=UTC),
        datetime(2025, 6, 9, 3, tzinfo=UTC),
    )
    assert monday.gated
    assert monday.run_id == "rehearsal__2025-06-09T03:00"


def test_each_window_is_released_by_the_dag_that_airflow_has_for_it(demo: Policy) -> None:
    names = {"scan-daily": "patch_scan", "reboot": "patch_reboot.window", "install-erp": "patch_install_erp"}
    own = demo.model_copy(update={"windows": tuple(demo.windows[0].model_copy(update={"name": one}) for one in names)})
    found = agenda(own, FIRST, FIRST + timedelta(days=1))
    assert {one.window: one.dag_id for one in found} == names


def test_it_can_be_limited_to_some_windows(demo: Policy) -> None:
    assert {one.window for one in agenda(demo, FIRST, FIRST + timedelta(weeks=2), ["scan-daily"])} == {"scan-daily"}


def test_a_policy_with_errors_is_refused_with_all_of_them(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("version: 1\nmode: nonsense\n")
    with pytest.raises(LabError, match=r"policy.yaml:2.*observe"):
        read_policy(file, dict(os.environ))


def test_only_the_demo_as_shipped_is_held_to_what_the_demo_shows() -> None:
    assert Plan().is_the_fortnight
    assert not Plan(weeks=1).is_the_fortnight
    assert not Plan(seed=1).is_the_fortnight
    assert not Plan(first=moment("2025-06-10")).is_the_fortnight
    assert not Plan(policy_file=SMALL / "policy.yaml").is_the_fortnight


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "June"], "expected a day such as 2025-06-03, found 'June'"),
        (["--weeks", "0"], "expected a whole number of weeks from 1 to 52, found '0'"),
        (["--drill", "flood"], "invalid choice: 'flood'"),
        (["--drill", "halt", "--policy", "my.yaml"], "expected at most --home beside it, found --policy"),
        (["--drill", "halt", "--fleet", "demo", "--from", "2025-06-03"], "beside it, found --from, --fleet"),
        (["--drill", "halt", "--weeks", "2", "--seed", "0"], "beside it, found --weeks, --seed"),
        (["--drill", "halt", "--window", "scan-daily", "--in-process"], "beside it, found --window, --in-process"),
    ],
)
def test_what_is_not_understood_is_said(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments, "rehearse")
    assert said in capsys.readouterr().err


def test_without_options_it_is_the_demos_fortnight_and_each_option_changes_its_part() -> None:
    assert planned("--home", "elsewhere") == Plan()
    changed = planned(
        "--policy", str(SMALL / "policy.yaml"), "--fleet", "large", "--from", "2025-07-01", "--weeks", "4"
    )
    assert changed == Plan(SMALL / "policy.yaml", "large", moment("2025-07-01"), 4)
    assert planned("--seed", "7", "--window", "a", "--window", "b") == Plan(seed=7, windows=("a", "b"))


def planned(*arguments: str) -> Plan:
    return plan_of(options_of("rehearse", arguments))


def test_every_user_of_the_demos_airflow_is_told_with_a_password(tmp_path: Path) -> None:
    parts = AirflowParts(tmp_path, {}, Processes(tmp_path / "processes"))
    said = welcome(parts, 12.3)
    assert parts.address in said
    assert len(USERS) == 4
    for name in USERS:
        assert f"user {name}, password {parts.passwords[name]}\n" in said


def test_a_policy_that_is_not_there_is_said_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--policy", str(tmp_path / "none.yaml"), "--home", str(tmp_path / "home")], "rehearse") == 1
    assert "none.yaml" in capsys.readouterr().err


def test_columns_are_as_wide_as_they_need_to_be_and_lines_are_short() -> None:
    assert aligned([("a", "bb"), ("ccc", "d")]) == ["a    bb", "ccc  d"]
    assert shortened("one\n two  three", 9) == "one two …"
