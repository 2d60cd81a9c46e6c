"""What the check computes from schedules, with zones and daylight saving."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_corpus import TODAY, texts

from sluice.core.policy.lint import lint
from sluice.core.policy.lint.runs import clock_changes, patch_tuesdays, runs
from sluice.core.policy.load import load_policy
from sluice.core.policy.windows import Window


def message(part: str, code: str, day: date = TODAY) -> str:
    return next(found.message for found in lint(load_policy(texts(part), {}), day) if found.code == code)


def window(schedule: str, zone: str = "UTC", hours: int = 2) -> Window:
    data = {"name": "scan-it", "operation": "scan", "schedule": schedule, "time_zone": zone, "duration_hours": hours}
    return Window.model_validate(data)


def test_a_skipped_and_a_doubled_time_name_their_dates_of_the_next_two_years() -> None:
    found = clock_changes("cron(30 2 * * ? *)", "Europe/Paris", TODAY)
    assert [(f"{local:%Y-%m-%d %H:%M}", what) for local, what in found] == [
        ("2026-03-29 02:30", "skipped"),
        ("2026-10-25 02:30", "doubled"),
        ("2027-03-28 02:30", "skipped"),
        ("2027-10-31 02:30", "doubled"),
    ]


def test_a_zone_whose_clocks_change_at_midnight_is_looked_at_on_the_right_day() -> None:
    found = clock_changes("cron(30 0 * * ? *)", "Africa/Cairo", TODAY)
    assert [(f"{local:%Y-%m-%d %H:%M}", what) for local, what in found] == [
        ("2026-04-24 00:30", "skipped"),
        ("2027-04-30 00:30", "skipped"),
    ]


@pytest.mark.parametrize(
    ("schedule", "zone"),
    [
        ("cron(30 2 * * ? *)", "UTC"),
        ("cron(30 4 * * ? *)", "Europe/Paris"),
        ("cron(30 2 ? * MON *)", "Europe/Paris"),
        ("cron(30 2 * * ? *)", "Asia/Kolkata"),
        ("rate(1 day)", "Europe/Paris"),
    ],
)
def test_a_time_that_every_day_has_once_is_not_asked_about(schedule: str, zone: str) -> None:
    assert clock_changes(schedule, zone, TODAY) == ()


@settings(max_examples=200, deadline=None)
@given(
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    zone=st.sampled_from(["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Tokyo"]),
)
def test_the_skipped_times_are_the_days_on_which_a_daily_schedule_does_not_run(
    hour: int, minute: int, zone: str
) -> None:
    schedule = f"cron({minute} {hour} * * ? *)"
    one = window(schedule, zone)
    days = {run.astimezone(one.zone).date() for run in runs(one, TODAY)}
    skipped = [local.date() for local, what in clock_changes(schedule, zone, TODAY) if what == "skipped"]
    within = [day for day in skipped if day <= max(days)]
    assert not days & set(within)
    assert (max(days) - min(days)).days + 1 == len(days) + len(within)


def test_patch_tuesday_is_the_second_tuesday_at_ten_in_seattle() -> None:
    found = [f"{day:%Y-%m-%d %H:%M}" for day in patch_tuesdays(TODAY)]
    assert found[0] == "2026-03-10 17:00"
    assert found[8] == "2026-11-10 18:00"
    assert len(found) == 12


WINDOWS = """
baselines:
  - {name: nonprod-windows, os: WINDOWS, rules: [{classification: SecurityUpdates, approve_after_days: 0}]}
  - {name: prod-windows, os: WINDOWS, rules: [{classification: SecurityUpdates, approve_after_days: 7}]}
patch_groups:
  - {name: win-nonprod, ring: nonprod, baselines: nonprod-windows, products: WINDOWS Server 2022}
  - {name: win-prod, ring: prod, baselines: prod-windows, products: WINDOWS Server 2022}
windows:
  - name: win-nonprod
    operation: install
    schedule: cron(0 9 ? * MON-FRI *)
    duration_hours: 4
    patch_groups: win-nonprod
    reboot: if_needed
  - {name: win-prod, operation: install, schedule: "cron(0 9 ? * DAY *)", duration_hours: 4, patch_groups: win-prod,
     lead_minutes: 120, backup: on, waves: {canary: 1}}
"""


def test_the_lag_of_patch_tuesday_is_computed_from_the_windows_and_the_soak() -> None:
    text = message(WINDOWS.replace("DAY", "WED"), "P179")
    assert "found 14.6 to 14.7 days" in text  # 18:00 UTC in winter, 17:00 in summer
    assert "those of 2026-03-10 have soaked by 2026-03-18 09:00 UTC and wait 7.0 days for 2026-03-25 09:00 UTC" in text


def test_a_lag_that_is_always_the_same_is_one_number() -> None:
    here = "time_zone: America/Los_Angeles"
    part = WINDOWS.replace("    duration_hours: 4\n", f"    duration_hours: 4\n    {here}\n")
    text = message(part.replace("DAY", "WED").replace("lead_minutes: 120", f"lead_minutes: 120, {here}"), "P179")
    assert "found 15.0 days from Microsoft's release" in text


def test_waves_that_do_not_fit_are_told_in_minutes() -> None:
    part = """
windows:
  - {name: install-prod, operation: install, schedule: "cron(0 4 ? * MON *)", duration_hours: 2, lead_minutes: 720,
     patch_groups: web-prod, waves: {canary: 1}, backup: on}
"""
    told = message(part, "P183")
    assert "expected 35 minutes between the start and the last wave, for 2 waves to settle (" in told
    assert "(executions that open before it: 1)" in told
    rebooting = part.replace("backup: on", "backup: on, reboot: if_needed, before: [{document: Example-Drain}]")
    assert "expected 50 minutes" in message(rebooting, "P183")  # a step, and a wave with its reboots and a scan


def test_a_window_the_day_after_the_soak_is_not_asked_about() -> None:
    with pytest.raises(StopIteration):
        message(WINDOWS.replace("DAY", "THU"), "P179")


PARIS = """
windows:
  - name: install-prod
    operation: install
    schedule: cron(0 4 ? * MON *)
    time_zone: Europe/Paris
    duration_hours: 4
    lead_minutes: 720
    patch_groups: web-prod
    waves: {canary: 1, shares: [25%]}
    backup: on
"""


def test_an_overlap_that_only_summer_has_is_found_with_its_days() -> None:
    text = message(PARIS, "P177")  # 04:00 in Paris is 03:00 UTC in winter, when the scan is over, and 02:00 in summer
    assert "on 30 days of the next year, first 2026-03-30 02:00 UTC (patch group web-prod)" in text


def test_windows_that_follow_each_other_without_a_gap_do_not_overlap() -> None:
    found = lint(
        load_policy(texts(PARIS.replace("    time_zone: Europe/Paris\n", "").replace("0 4", "0 3")), {}), TODAY
    )
    assert found == []


def six(time: str) -> str:
    groups = "".join(
        f"  - {{name: group-{n}, ring: nonprod, baselines: nonprod-linux, products: AMAZON_LINUX_2023}}\n"
        for n in range(6)
    )
    scans = "".join(
        f"  - {{name: scan-{n}, operation: scan, schedule: 'cron({'0 10' if n else time} ? * SUN *)', "
        f"duration_hours: 2, patch_groups: group-{n}}}\n"
        for n in range(6)
    )
    return f"patch_groups:\n{groups}windows:\n{scans}"


def test_the_sixth_window_that_is_open_at_once_is_named_with_the_moment() -> None:
    text = message(six("30 11"), "P118")
    assert "found 6 on 2026-03-08 at 11:30 UTC (scan-0, scan-1, scan-2, scan-3, scan-4, scan-5)" in text


def test_a_window_that_starts_as_another_ends_does_not_count_with_it() -> None:
    with pytest.raises(StopIteration):
        message(six("0 12"), "P118")


def test_a_gate_that_some_runs_find_closed_says_how_many() -> None:
    part = """
windows:
  - {name: scan-daily, operation: scan, schedule: "cron(0 1 ? * MON-FRI *)", duration_hours: 2}
gate:
  approval: {needed: always, approvers: release-managers}
"""
    assert "found every one earlier" in message(part, "P204")  # of Monday 03:00 less 12 hours, Friday's is the last
    monthly = message(part.replace("MON-FRI", "SUN#1"), "P203")
    assert "found 37 of 48 runs of the next year without, first on 2026-04-13" in monthly
