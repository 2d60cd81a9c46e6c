"""What a schedule expression means, and what is said of one that means nothing."""

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from sluice.core.errors import ScheduleError
from sluice.core.schedule import At, Occurrences, Rate, parse, parse_instant, parse_zone

START = datetime(2025, 6, 2, tzinfo=UTC)  # a Monday


def runs(expression: str, count: int, since: datetime = START) -> list[str]:
    upcoming = Occurrences.of(expression, anchor=since).upcoming(since)
    return [run.strftime("%Y-%m-%d %H:%M:%S") for run in islice(upcoming, count)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cron(0 10 * * ? *)", ["2025-06-02 10:00:00", "2025-06-03 10:00:00"]),
        ("cron(15 12 ? * * *)", ["2025-06-02 12:15:00", "2025-06-03 12:15:00"]),
        ("cron(0 18 ? * MON-FRI *)", ["2025-06-02 18:00:00", "2025-06-03 18:00:00"]),
        ("cron(0 8 1 * ? *)", ["2025-07-01 08:00:00", "2025-08-01 08:00:00"]),
        ("cron(0/15 * * * ? *)", ["2025-06-02 00:15:00", "2025-06-02 00:30:00"]),
        ("cron(0/5 8-17 ? * MON-FRI *)", ["2025-06-02 08:00:00", "2025-06-02 08:05:00"]),
        ("cron(24 30 09 ? * * *)", ["2025-06-02 09:30:24", "2025-06-03 09:30:24"]),
        ("cron(0 30 23 ? * TUE#3 *)", ["2025-06-17 23:30:00", "2025-07-15 23:30:00"]),
        ("cron(0 2 ? * THU#3 *)", ["2025-06-19 02:00:00", "2025-07-17 02:00:00"]),
        ("cron(0 2 L * ? *)", ["2025-06-30 02:00:00", "2025-07-31 02:00:00"]),
        ("cron(15 10 ? * 6L *)", ["2025-06-27 10:15:00", "2025-07-25 10:15:00"]),
        ("cron(15 10 ? * FRIL *)", ["2025-06-27 10:15:00", "2025-07-25 10:15:00"]),
        ("cron(0 0 21 ? 1/1 TUE#2 *)", ["2025-06-10 21:00:00", "2025-07-08 21:00:00"]),
        ("cron(0 2 ? JAN,JUL SUN#1 *)", ["2025-07-06 02:00:00", "2026-01-04 02:00:00"]),
        ("cron(0 2 1 1 ? 2027/5)", ["2027-01-01 02:00:00", "2032-01-01 02:00:00"]),
    ],
)
def test_an_expression_of_the_user_guide_fires_when_the_guide_says(expression: str, expected: list[str]) -> None:
    assert runs(expression, 2) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cron(0 0 1W * ? *)", ["2025-07-01", "2025-08-01", "2025-09-01", "2025-10-01", "2025-11-03"]),
        ("cron(0 0 15W 6-8 ? *)", ["2025-06-16", "2025-07-15", "2025-08-15", "2026-06-15", "2026-07-15"]),
        ("cron(0 0 14W 6 ? *)", ["2025-06-13", "2026-06-15", "2027-06-14", "2028-06-14", "2029-06-14"]),
        ("cron(0 0 31W 8 ? 2025-2030)", ["2025-08-29", "2026-08-31", "2027-08-31", "2028-08-31", "2029-08-31"]),
        ("cron(0 0 LW * ? *)", ["2025-06-30", "2025-07-31", "2025-08-29", "2025-09-30", "2025-10-31"]),
        ("cron(0 0 ? * L *)", ["2025-06-07", "2025-06-14", "2025-06-21", "2025-06-28", "2025-07-05"]),
        ("cron(0 0 ? * FRI-MON *)", ["2025-06-06", "2025-06-07", "2025-06-08", "2025-06-09", "2025-06-13"]),
        ("cron(0 0 ? 11-1 MON#1 *)", ["2025-11-03", "2025-12-01", "2026-01-05", "2026-11-02", "2026-12-07"]),
    ],
)
def test_last_days_nearest_weekdays_and_ranges_over_the_end_are_taken_as_quartz_takes_them(
    expression: str, expected: list[str]
) -> None:
    assert [run[:10] for run in runs(expression, 5)] == expected


def test_a_day_that_comes_every_few_years_is_found() -> None:
    assert runs("cron(0 0 29 2 ? *)", 3) == ["2028-02-29 00:00:00", "2032-02-29 00:00:00", "2036-02-29 00:00:00"]
    assert runs("cron(0 0 29 2 ? *)", 2, datetime(2096, 3, 1, tzinfo=UTC)) == [
        "2104-02-29 00:00:00",
        "2108-02-29 00:00:00",
    ]
    assert runs("cron(0 0 ? * FRI#5 *)", 3)[0] == "2025-08-29 00:00:00"


@pytest.mark.parametrize("expression", ["cron(0 0 31 2 ? *)", "cron(0 0 30W 2 ? *)", "cron(0 0 1 1 ? 2024)"])
def test_a_day_that_never_comes_again_has_no_next_run(expression: str) -> None:
    assert Occurrences.of(expression, anchor=START).after(START) is None


def test_a_rate_counts_from_its_anchor_and_first_fires_one_interval_later() -> None:
    anchor = datetime(2025, 6, 2, 10, 4, 4, 99000, tzinfo=UTC)
    every = Occurrences.of("rate(5 minutes)", anchor=anchor)
    assert list(islice(every.upcoming(anchor), 2)) == [anchor + timedelta(minutes=5), anchor + timedelta(minutes=10)]
    assert every.after(anchor + timedelta(minutes=5)) == anchor + timedelta(minutes=10)
    assert every.after(anchor - timedelta(days=1)) == anchor + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("expression", "interval"),
    [
        ("rate(1 minute)", timedelta(minutes=1)),
        ("rate(30 minutes)", timedelta(minutes=30)),
        ("rate(1 hour)", timedelta(hours=1)),
        ("rate(25 days)", timedelta(days=25)),
    ],
)
def test_a_rate_is_singular_or_plural_as_its_number_is(expression: str, interval: timedelta) -> None:
    assert parse(expression) == Rate(expression, interval)


def test_at_fires_once_in_utc_whatever_the_zone() -> None:
    once = Occurrences.of("at(2025-07-07T15:55:00)", anchor=START, timezone="America/Los_Angeles")
    when = datetime(2025, 7, 7, 15, 55, tzinfo=UTC)
    assert list(once.upcoming(START)) == [when]
    assert once.after(when) is None
    assert parse("at(2025-07-07T15:55)") == At("at(2025-07-07T15:55)", when)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("every day", "rate(<number> minutes|hours|days)"),
        ("cron(0 2 * * ? *", "Schedule expressions must have the following syntax"),
        ("CRON(0 2 * * ? *)", "Schedule expressions must have the following syntax"),
        ("cron()", "found 0"),
        ("cron(0 2 * * ?)", "found 5"),
        ("cron(0 0 2 * * ? * *)", "found 8"),
        ("cron(60 2 * * ? *)", "minutes: expected 0-59, found '60'"),
        ("cron(0 24 * * ? *)", "hours: expected 0-23, found '24'"),
        ("cron(0 2 0 * ? *)", "day-of-month: expected 1-31, found '0'"),
        ("cron(0 2 * 13 ? *)", "month: expected 1-12 or JAN-DEC, found '13'"),
        ("cron(0 2 ? * 0 *)", "day-of-week: expected 1-7 or SUN-SAT, found '0'"),
        ("cron(0 2 ? * TUES *)", "day-of-week: expected 1-7 or SUN-SAT, found 'TUES'"),
        ("cron(0 2 * * ? 2200)", "year: expected 1970-2199, found '2200'"),
        ("cron(0 2 * * ? 2030-2025)", "year: expected an ascending range"),
        ("cron(61 0 2 * * ? *)", "seconds: expected 0-59, found '61'"),
        ("cron(0 2 * * MON *)", "day-of-week AND a day-of-month"),
        ("cron(0 2 * * * *)", "day-of-week AND a day-of-month"),
        ("cron(0 2 ? * ? *)", "? in both"),
        ("cron(0 2 ? * TUE#6 *)", "1st to 5th weekday"),
        ("cron(0 2 ? * TUE#0 *)", "1st to 5th weekday"),
        ("cron(0 2 ? * TUE#2,FRI *)", "found 'TUE#2'"),
        ("cron(0 2 1,L * ? *)", "found 'L'"),
        ("cron(0 2 32W * ? *)", "found '32'"),
        ("cron(0/0 2 * * ? *)", "an increment of 1-59, found '0/0'"),
        ("cron(? 2 * * ? *)", "minutes: expected 0-59, found '?'"),
        ("cron(-5 2 * * ? *)", "minutes: expected 0-59, found '-5'"),
        ("cron(1,,2 2 * * ? *)", "minutes: expected 0-59, found ''"),
        ("cron(* 2 * * ? *)", "at least 5 minutes between two runs, found 02:00:00 and 02:01:00"),
        ("cron(*/4 2 * * ? *)", "found 02:00:00 and 02:04:00"),
        ("cron(* 0 2 * * ? *)", "found 02:00:00 and 02:00:01"),
        ("cron(2,58 0,23 * * ? *)", "found 23:58:00 and 00:02:00"),
        ("rate(5 hour)", "expected rate(5 hours)"),
        ("rate(1 hours)", "expected rate(1 hour)"),
        ("rate(0 days)", "Invalid schedule frequency"),
        ("rate(90 seconds)", "a number and minutes, hours or days"),
        ("rate(-1 days)", "a number and minutes, hours or days"),
        ("rate(2 weeks)", "a number and minutes, hours or days"),
        ("at(2025-07-07)", "expected at(yyyy-MM-ddTHH:mm:ss)"),
        ("at(2025-07-07T15:55:00Z)", "without a time zone"),
        ("at(2025-02-30T15:55:00)", "Invalid schedule at DateTime expression"),
    ],
)
def test_a_malformed_expression_is_refused_and_told_what_was_expected(expression: str, said: str) -> None:
    with pytest.raises(ScheduleError) as refused:
        parse(expression)
    assert said in str(refused.value)
    assert expression in str(refused.value)


def test_times_either_side_of_midnight_may_be_close_when_no_two_days_in_a_row_match() -> None:
    assert runs("cron(2,58 0,23 1 * ? *)", 4) == [
        "2025-07-01 00:02:00",
        "2025-07-01 00:58:00",
        "2025-07-01 23:02:00",
        "2025-07-01 23:58:00",
    ]


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "/etc/localtime", "Europe", "UTC+2"])
def test_a_zone_that_iana_does_not_know_is_refused_by_name(name: str) -> None:
    with pytest.raises(ScheduleError, match="malformed timezone"):
        parse_zone(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-06-02T02:00:00+02:00", START),
        ("2025-06-02T00:00:00Z", START),
        ("2025-06-02T00:00Z", START),
        ("2025-06-01T16:30:00.000-07:30", START),
        ("2025-06-02T00:00:00", START),
    ],
)
def test_a_date_is_read_with_its_offset_and_is_utc_without_one(text: str, expected: datetime) -> None:
    assert parse_instant(text) == expected
    assert parse_instant(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "2025-06-02",
        "20250602T000000Z",
        "tomorrow",
        "2025-06-31T00:00:00Z",
        "1748822400",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:00:00-02:00",
    ],
)
def test_a_malformed_date_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ScheduleError, match="2018-01-01T00:00:00Z"):
        parse_instant(text)
