"""When a schedule fires: zones and their clock changes, offsets, start and end dates."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from sluice.core.errors import ScheduleError
from sluice.core.schedule import Occurrences

START = datetime(2025, 6, 2, tzinfo=UTC)


def local_runs(expression: str, zone: str, since: datetime, count: int) -> list[str]:
    upcoming = Occurrences.of(expression, anchor=since, timezone=zone).upcoming(since)
    return [run.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes") for run in islice(upcoming, count)]


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Europe/Paris", "2025-06-02T00:00:00+00:00"),
        ("America/New_York", "2025-06-02T06:00:00+00:00"),
        ("Asia/Kolkata", "2025-06-02T20:30:00+00:00"),
        ("Australia/Lord_Howe", "2025-06-02T15:30:00+00:00"),
    ],
)
def test_a_cron_expression_is_read_in_the_windows_zone(zone: str, expected: str) -> None:
    before = datetime(2025, 6, 1, 23, 59, tzinfo=UTC)
    run = Occurrences.of("cron(0 2 * * ? *)", anchor=before, timezone=zone).after(before)
    assert run is not None
    assert run.isoformat() == expected
    assert run.tzinfo is UTC


def test_a_window_keeps_its_local_hour_when_the_clocks_change() -> None:
    since = datetime(2025, 3, 29, 12, tzinfo=UTC)
    assert local_runs("cron(0 4 * * ? *)", "Europe/Paris", since, 2) == [
        "2025-03-30T04:00+02:00",
        "2025-03-31T04:00+02:00",
    ]
    assert local_runs("cron(0 4 ? * SUN *)", "America/New_York", datetime(2025, 10, 26, tzinfo=UTC), 2) == [
        "2025-10-26T04:00-04:00",
        "2025-11-02T04:00-05:00",
    ]


@pytest.mark.parametrize(
    ("zone", "since", "expression", "expected"),
    [
        (
            "Europe/Paris",
            datetime(2025, 3, 29, 12, tzinfo=UTC),
            "cron(30 2 * * ? *)",
            ["2025-03-31T02:30+02:00", "2025-04-01T02:30+02:00"],
        ),
        (
            "America/New_York",
            datetime(2025, 3, 8, 12, tzinfo=UTC),
            "cron(0 2 * * ? *)",
            ["2025-03-10T02:00-04:00", "2025-03-11T02:00-04:00"],
        ),
        # Lord Howe moves its clocks by half an hour: 02:15 is skipped, 02:45 is not.
        (
            "Australia/Lord_Howe",
            datetime(2025, 10, 4, 1, tzinfo=UTC),
            "cron(15,45 2 * * ? *)",
            ["2025-10-05T02:45+11:00", "2025-10-06T02:15+11:00", "2025-10-06T02:45+11:00"],
        ),
    ],
)
def test_a_local_time_that_a_clock_change_skips_is_no_run(
    zone: str, since: datetime, expression: str, expected: list[str]
) -> None:
    assert local_runs(expression, zone, since, len(expected)) == expected


@pytest.mark.parametrize(
    ("zone", "since", "expression", "expected"),
    [
        (
            "Europe/Paris",
            datetime(2025, 10, 25, 12, tzinfo=UTC),
            "cron(30 2 * * ? *)",
            ["2025-10-26T02:30+02:00", "2025-10-27T02:30+01:00"],
        ),
        (
            "America/New_York",
            datetime(2025, 11, 1, 12, tzinfo=UTC),
            "cron(0/30 1 * * ? *)",
            ["2025-11-02T01:00-04:00", "2025-11-02T01:30-04:00", "2025-11-03T01:00-05:00"],
        ),
        (
            "Australia/Lord_Howe",
            datetime(2025, 4, 5, 1, tzinfo=UTC),
            "cron(45 1 * * ? *)",
            ["2025-04-06T01:45+11:00", "2025-04-07T01:45+10:30"],
        ),
    ],
)
def test_a_local_time_that_comes_twice_is_one_run_the_first_time(
    zone: str, since: datetime, expression: str, expected: list[str]
) -> None:
    assert local_runs(expression, zone, since, len(expected)) == expected


def test_asking_between_the_two_passes_of_an_hour_finds_the_next_days_run() -> None:
    between = datetime(2025, 10, 26, 1, 15, tzinfo=UTC)  # 02:15 in Paris, the second time
    assert local_runs("cron(30 2 * * ? *)", "Europe/Paris", between, 1) == ["2025-10-27T02:30+01:00"]


def test_a_rate_of_a_day_is_24_hours_whatever_the_clocks_do() -> None:
    anchor = datetime(2025, 3, 29, 2, tzinfo=UTC)
    daily = Occurrences.of("rate(1 day)", anchor=anchor, timezone="Europe/Paris")
    assert list(islice(daily.upcoming(anchor), 2)) == [anchor + timedelta(days=1), anchor + timedelta(days=2)]


def test_an_offset_moves_each_run_on_by_days_at_the_same_local_hour() -> None:
    moved = Occurrences.of("cron(30 23 ? * TUE#3 *)", anchor=START, timezone="Europe/Paris", offset=2)
    local = [run.astimezone(ZoneInfo("Europe/Paris")).isoformat() for run in islice(moved.upcoming(START), 2)]
    assert local == ["2025-06-19T23:30:00+02:00", "2025-07-17T23:30:00+02:00"]


def test_an_offset_over_a_clock_change_keeps_the_local_hour() -> None:
    since = datetime(2025, 3, 28, tzinfo=UTC)
    moved = Occurrences.of("cron(0 4 ? * SAT#5 *)", anchor=since, timezone="Europe/Paris", offset=2)
    assert moved.after(since) == datetime(2025, 3, 31, 2, tzinfo=UTC)


def test_a_run_whose_base_day_was_past_when_the_schedule_was_set_is_lost() -> None:
    # The page's own example: yesterday's run with an offset of two days does not run tomorrow.
    wednesday = datetime(2025, 6, 11, 12, tzinfo=UTC)
    late = Occurrences.of("cron(0 2 ? * TUE#2 *)", anchor=wednesday, offset=2)
    in_time = Occurrences.of("cron(0 2 ? * TUE#2 *)", anchor=START, offset=2)
    assert in_time.after(wednesday) == datetime(2025, 6, 12, 2, tzinfo=UTC)
    assert late.after(wednesday) == datetime(2025, 7, 10, 2, tzinfo=UTC)


@pytest.mark.parametrize("expression", ["rate(7 days)", "at(2025-07-07T15:55:00)"])
def test_an_offset_is_refused_without_a_cron_expression(expression: str) -> None:
    with pytest.raises(ScheduleError, match="An offset can't be added to the specified schedule"):
        Occurrences.of(expression, anchor=START, offset=1)


@pytest.mark.parametrize("offset", [-1, 7])
def test_an_offset_is_one_to_six_days(offset: int) -> None:
    with pytest.raises(ScheduleError, match="1-6 days"):
        Occurrences.of("cron(0 2 * * ? *)", anchor=START, offset=offset)


def test_start_and_end_bound_the_runs_and_belong_to_them() -> None:
    bounded = Occurrences.of(
        "cron(0 2 * * ? *)", anchor=START, start_date="2025-06-10T02:00:00Z", end_date="2025-06-11T04:00:00+02:00"
    )
    assert [run.isoformat() for run in bounded.upcoming(START)] == [
        "2025-06-10T02:00:00+00:00",
        "2025-06-11T02:00:00+00:00",
    ]


def test_the_start_date_of_the_user_guides_example_lets_the_first_wednesday_after_it_run() -> None:
    window = Occurrences.of(
        "cron(0 09 ? * WED *)",
        anchor=datetime(2020, 12, 1, tzinfo=UTC),
        timezone="America/Los_Angeles",
        start_date="2021-01-01T00:00:00-08:00",
    )
    # The guide says the 4th, which was a Monday; the Wednesday it means is the 6th.
    assert window.after(datetime(2020, 12, 1, tzinfo=UTC)) == datetime(2021, 1, 6, 17, tzinfo=UTC)


def test_a_rate_with_a_start_date_to_come_runs_at_it_and_then_every_interval_until_the_end() -> None:
    # Second example of UG:maintenance-windows-schedule-options.
    created = datetime(2018, 12, 1, tzinfo=UTC)
    window = Occurrences.of(
        "rate(7 days)",
        anchor=created,
        timezone="Asia/Tokyo",
        start_date="2019-01-01T03:15:00+09:00",
        end_date="2019-06-30T06:15:00+09:00",
    )
    runs = [run.astimezone(ZoneInfo("Asia/Tokyo")) for run in window.upcoming(created)]
    assert runs[0].isoformat() == "2019-01-01T03:15:00+09:00"
    assert runs[-1].isoformat() == "2019-06-25T03:15:00+09:00"
    assert {run.strftime("%a %H:%M") for run in runs} == {"Tue 03:15"}


def test_a_rate_with_a_start_date_that_is_past_counts_from_its_anchor() -> None:
    window = Occurrences.of("rate(1 hour)", anchor=START, start_date="2020-01-01T00:30:00Z")
    assert window.after(START) == START + timedelta(hours=1)


def test_at_outside_of_start_and_end_never_fires() -> None:
    window = Occurrences.of("at(2025-07-07T15:55:00)", anchor=START, end_date="2025-07-01T00:00:00Z")
    assert window.after(START) is None


def test_an_end_before_the_start_is_refused() -> None:
    with pytest.raises(ScheduleError, match="Window start date must be before window end date"):
        Occurrences.of(
            "rate(1 day)", anchor=START, start_date="2025-07-02T00:00:00Z", end_date="2025-07-02T01:00:00+02:00"
        )


def test_a_rate_beyond_the_end_of_time_never_fires() -> None:
    assert Occurrences.of("rate(999999999 days)", anchor=START).after(START) is None


def test_a_cron_expression_that_starts_at_the_end_of_time_never_fires() -> None:
    occurrences = Occurrences.of(
        "cron(0 2 * * ? *)", anchor=START, timezone="Asia/Tokyo", start_date="9999-12-31T23:00:00Z"
    )
    assert occurrences.after(START) is None
