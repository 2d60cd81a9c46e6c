"""The calendar of a policy."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from time_policy import time_policy

from sluice.core.calendar import Occurrence, is_gated, occurrences, offset_changes, rings_of, skipped_times
from sluice.core.policy.policy import Policy


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]  # year, month, day and so on


def coming(policy: Policy, name: str, since: datetime, until: datetime) -> list[Occurrence]:
    window = next(window for window in policy.windows if window.name == name)
    return list(occurrences(policy, window, since, until))


def prod(since: datetime, until: datetime, more: dict[str, Any] | None = None, **window: Any) -> list[Occurrence]:
    return coming(time_policy(prod=window, **(more or {})), "install-prod", since, until)


def test_an_occurrence_at_the_first_moment_counts_and_at_the_last_does_not() -> None:
    starts = [each.start for each in prod(utc(2025, 6, 9, 3), utc(2025, 6, 23, 3))]
    assert starts == [utc(2025, 6, 9, 3), utc(2025, 6, 16, 3)]


def test_a_window_keeps_its_local_hour_and_the_change_is_named() -> None:
    found = prod(utc(2025, 10, 20), utc(2025, 11, 4), time_zone="Europe/Paris")
    assert [each.start.hour for each in found] == [1, 2, 2]
    assert {each.local.hour for each in found} == {3}
    assert [(before.start, then.start) for before, then in offset_changes(found)] == [(found[0].start, found[1].start)]


def test_a_local_time_that_the_clocks_jump_over_is_named() -> None:
    window = time_policy(prod={"schedule": "cron(30 2 * * ? *)", "time_zone": "Europe/Paris"}).windows[1]
    jumped_over = datetime(2025, 3, 30, 2, 30)  # noqa: DTZ001  # local time, as the window's zone has it
    assert skipped_times(window, utc(2025, 3, 28), utc(2025, 4, 2)) == (jumped_over,)
    assert skipped_times(window, utc(2025, 4, 1), utc(2025, 12, 1)) == ()


def test_what_hangs_on_a_start() -> None:
    (found,) = prod(utc(2025, 6, 9), utc(2025, 6, 10), lead_minutes=720)
    assert found.dag_start == utc(2025, 6, 8, 15)
    assert found.end == utc(2025, 6, 9, 7)
    assert found.last_task == utc(2025, 6, 9, 6)


@pytest.mark.parametrize(
    ("wanted", "hour", "minute"),
    [(None, 5, 0), (90, 4, 30), (600, 5, 0), (0, 3, 0)],
)
def test_the_latest_start_leaves_the_cutoff_and_an_hour(wanted: int | None, hour: int, minute: int) -> None:
    (found,) = prod(utc(2025, 6, 9), utc(2025, 6, 10), latest_start_minutes=wanted)
    assert found.latest_start == utc(2025, 6, 9, hour, minute)


def test_a_window_that_has_no_hour_before_its_cutoff_starts_in_time_or_not_at_all() -> None:
    (found,) = prod(utc(2025, 6, 9), utc(2025, 6, 10), duration_hours=1)
    assert found.latest_start == found.start


def test_a_freeze_is_a_day_of_the_windows_own_zone_and_binds_production_only() -> None:
    gate = {"gate": {"freezes": [{"from": "2025-06-17", "until": "2025-06-17", "because": "audit"}]}}
    evening = {"schedule": "cron(0 1 ? * * *)", "time_zone": "Asia/Tokyo"}
    found = prod(utc(2025, 6, 16), utc(2025, 6, 18), gate, **evening)
    assert [(each.start.date(), each.freeze is not None) for each in found] == [
        (date(2025, 6, 16), True),
        (date(2025, 6, 17), False),
    ]
    policy = time_policy(**gate)
    assert not any(each.freeze for each in coming(policy, "install-nonprod", utc(2025, 6, 16), utc(2025, 6, 20)))


def test_a_windows_own_gate_takes_the_place_of_the_policys() -> None:
    gate = {"gate": {"freezes": [{"from": "2025-06-01", "until": "2025-06-30", "because": "audit"}]}}
    assert all(each.freeze for each in prod(utc(2025, 6, 2), utc(2025, 6, 30), gate))
    assert not any(each.freeze for each in prod(utc(2025, 6, 2), utc(2025, 6, 30), gate, gate={}))


def test_a_window_has_the_rings_of_its_patch_groups() -> None:
    scan = {"name": "scan-daily", "operation": "scan", "schedule": "cron(0 1 * * ? *)", "duration_hours": 2}
    plain = time_policy()
    policy = time_policy(windows=[scan, *(window.model_dump(by_alias=True) for window in plain.windows)])
    assert [[ring.name for ring in rings_of(policy, window)] for window in policy.windows] == [
        ["nonprod", "prod"],
        ["nonprod"],
        ["prod"],
    ]
    assert [is_gated(policy, window) for window in policy.windows] == [False, False, True]
