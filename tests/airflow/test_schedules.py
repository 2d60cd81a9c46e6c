"""Schedules are the policy's: a DAG and its window cannot disagree, and a policy is read once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from flow_world import SMALL

from sluice_airflow import schedules, timetable
from sluice_airflow.timetable import WindowTimetable

DAY = timedelta(days=1)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Airflow's home, with a policy beside it."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("SLUICE_POLICY", str(tmp_path / "policy.yaml"))
    write(tmp_path)
    return tmp_path


def write(home: Path, **changes: Any) -> None:
    (home / "policy.yaml").write_text(yaml.safe_dump({**SMALL, **changes}), "utf-8")


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> Any:
    """From now on whoever reads the policy fails."""

    def forbid() -> None:
        def refuse(*arguments: Any) -> None:
            raise AssertionError("the policy was read")

        monkeypatch.setattr("sluice.files.read_policy", refuse)

    return forbid


def at(text: str) -> Any:
    from pendulum import parse

    return parse(text)


def next_run(
    table: WindowTimetable,
    now: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    last: tuple[str, str] | None = None,
    catchup: bool = False,
) -> str | None:
    from airflow.timetables.base import DataInterval, TimeRestriction

    monkeypatch.setattr(timetable, "utcnow", lambda: at(now))
    found = table.next_dagrun_info(
        last_automated_data_interval=DataInterval(at(last[0]), at(last[1])) if last else None,
        restriction=TimeRestriction(earliest=None, latest=None, catchup=catchup),
    )
    return found.run_after.isoformat() if found else None


def test_what_was_read_of_the_policy_is_kept(home: Path, unreadable: Any) -> None:
    read = schedules.plans()
    unreadable()
    assert schedules.plans() == read
    assert [plan.name for plan in read] == ["scan-daily", "install-nonprod", "install-prod-linux"]
    prod = read[2]
    assert (prod.gated, prod.waves, prod.lead_minutes, prod.duration_hours) == (True, 2, 120, 4)
    assert prod.run_time == timedelta(hours=2 + 4 + 1)


def test_a_changed_policy_is_read_again(home: Path) -> None:
    assert schedules.find("install-nonprod") is not None
    write(home, windows=SMALL["windows"][:1])
    assert schedules.find("install-nonprod") is None


def test_a_variable_that_the_policy_names_counts_as_its_content(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, locations=[{"account": "${env:OURS}", "region": "eu-west-3"}])
    monkeypatch.setenv("OURS", "111111111111")
    assert schedules.plans()[0].locations == ("111111111111/eu-west-3",)
    monkeypatch.setenv("OURS", "222222222222")
    assert schedules.plans()[0].locations == ("222222222222/eu-west-3",)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"digest": 1}', '{"windows": [{}]}', "\x00"])
def test_what_is_kept_may_be_broken(home: Path, content: str) -> None:
    read = schedules.plans()
    (home / "sluice-schedules.json").write_text(content, "utf-8")
    assert schedules.plans() == read
    kept = json.loads((home / "sluice-schedules.json").read_text("utf-8"))
    (home / "sluice-schedules.json").write_text(json.dumps({"digest": kept["digest"], "policy": {"windows": [{}]}}))
    assert schedules.plans() == read


def test_where_nothing_can_be_kept_the_policy_is_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(home / "not" / "there"))
    assert schedules.plans()[0].name == "scan-daily"


def test_what_is_kept_is_whole_and_leaves_nothing_beside_it(home: Path) -> None:
    schedules.plans()
    assert sorted(file.name for file in home.iterdir()) == ["policy.yaml", "sluice-schedules.json"]


def test_a_run_starts_its_lead_before_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    table = WindowTimetable("cron(0 3 ? * MON *)", "UTC", 720, 240)
    assert next_run(table, "2025-06-04T00:00:00Z", monkeypatch) == "2025-06-08T15:00:00+00:00"
    assert (
        next_run(table, "2025-06-08T15:00:01Z", monkeypatch, last=("2025-06-08T15:00:00Z", "2025-06-09T03:00:00Z"))
        == "2025-06-15T15:00:00+00:00"
    )


def test_the_lead_holds_where_the_clocks_change(monkeypatch: pytest.MonkeyPatch) -> None:
    table = WindowTimetable("cron(0 3 ? * SUN *)", "Europe/Paris", 120, 240)
    assert next_run(table, "2025-03-28T00:00:00Z", monkeypatch) == "2025-03-29T23:00:00+00:00"  # 03:00 is 01:00 UTC
    assert next_run(table, "2025-04-01T00:00:00Z", monkeypatch) == "2025-04-05T23:00:00+00:00"


def test_what_airflow_missed_is_made_up_for_while_the_window_is_open_and_not_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = WindowTimetable("cron(0 3 ? * MON *)", "UTC", 720, 240)
    last = ("2025-06-01T15:00:00Z", "2025-06-02T03:00:00Z")
    assert next_run(table, "2025-06-09T06:59:00Z", monkeypatch, last=last) == "2025-06-08T15:00:00+00:00"
    assert next_run(table, "2025-06-09T07:00:01Z", monkeypatch, last=last) == "2025-06-15T15:00:00+00:00"
    assert next_run(table, "2025-09-09T00:00:00Z", monkeypatch, last=last) == "2025-09-14T15:00:00+00:00"


def test_a_dag_that_is_new_runs_nothing_that_is_past(monkeypatch: pytest.MonkeyPatch) -> None:
    table = WindowTimetable("cron(0 3 ? * MON *)", "UTC", 720, 240)
    assert next_run(table, "2025-06-08T15:05:00Z", monkeypatch) == "2025-06-08T15:00:00+00:00"  # parsed a little late
    assert next_run(table, "2025-06-09T03:00:00Z", monkeypatch) == "2025-06-15T15:00:00+00:00"


def test_a_schedule_that_comes_once_has_no_second_run(monkeypatch: pytest.MonkeyPatch) -> None:
    table = WindowTimetable("at(2025-06-10T02:00:00)", "UTC", 60, 120)
    assert next_run(table, "2025-06-01T00:00:00Z", monkeypatch) == "2025-06-10T01:00:00+00:00"
    last = ("2025-06-10T01:00:00Z", "2025-06-10T02:00:00Z")
    assert next_run(table, "2025-06-11T00:00:00Z", monkeypatch, last=last) is None


@pytest.mark.parametrize("lead", [0, 360, 1440])
def test_a_lead_that_is_changed_after_a_run_was_made_makes_no_second_run_for_its_window(
    monkeypatch: pytest.MonkeyPatch, lead: int
) -> None:
    table = WindowTimetable("cron(0 3 ? * MON *)", "UTC", lead, 240)
    last = ("2025-06-08T15:00:00Z", "2025-06-09T03:00:00Z")  # made with a lead of twelve hours
    expected = at("2025-06-16T03:00:00Z") - timedelta(minutes=lead)
    assert next_run(table, "2025-06-08T16:00:00Z", monkeypatch, last=last) == expected.isoformat()


def test_a_run_carries_the_start_of_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.timetables.base import TimeRestriction

    monkeypatch.setattr(timetable, "utcnow", lambda: at("2025-06-04T00:00:00Z"))
    restriction = TimeRestriction(earliest=None, latest=None, catchup=False)
    table = WindowTimetable("cron(0 3 ? * MON *)", "UTC", 720, 240)
    found = table.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
    assert found is not None
    assert found.data_interval == (at("2025-06-08T15:00:00Z"), at("2025-06-09T03:00:00Z"))


def test_a_timetable_survives_airflows_database() -> None:
    table = WindowTimetable("cron(0 3 ? * SAT#3 *)", "Europe/Paris", 90, 240)
    again = WindowTimetable.deserialize(json.loads(json.dumps(table.serialize())))
    assert again.serialize() == table.serialize()
    assert (again.summary, again.description) == (table.summary, table.description)
    assert datetime(2025, 1, 1, tzinfo=UTC) == timetable.ANCHOR
