"""Change calendars: open or closed, now and next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.ssm.calendars import CalendarError, parse, state
from lab.testing import LabHandle

NOON = datetime(2025, 6, 4, 12, tzinfo=UTC)


def calendar(*events: str, kind: str = "DEFAULT_OPEN", extra: str = "") -> str:
    lines = ["BEGIN:VCALENDAR", "PRODID:-//AWS//Change Calendar 1.0//EN", "VERSION:2.0", f"X-CALENDAR-TYPE:{kind}"]
    lines += [line for line in extra.splitlines() if line]
    for number, event in enumerate(events):
        uid = [] if "UID:" in event else [f"UID:event-{number}"]
        lines += ["BEGIN:VEVENT", *uid, "DTSTAMP:20250101T000000Z", *event.split(), "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""])


def at(text: str, when: datetime) -> tuple[bool, datetime | None]:
    return state([parse(text)], when)


def utc(day: int, hour: int = 0, minute: int = 0, month: int = 6) -> datetime:
    return datetime(2025, month, day, hour, minute, tzinfo=UTC)


def test_an_open_calendar_is_closed_during_an_event() -> None:
    text = calendar("DTSTART:20250604T100000Z DTEND:20250604T140000Z")
    assert at(text, utc(4, 9)) == (True, utc(4, 10))
    assert at(text, utc(4, 10)) == (False, utc(4, 14))
    assert at(text, utc(4, 13, 59)) == (False, utc(4, 14))
    assert at(text, utc(4, 14)) == (True, None)


def test_a_closed_calendar_is_open_during_an_event() -> None:
    text = calendar("DTSTART:20250604T100000Z DTEND:20250604T140000Z", kind="DEFAULT_CLOSED")
    assert at(text, utc(4, 9)) == (False, utc(4, 10))
    assert at(text, NOON) == (True, utc(4, 14))


def test_overlapping_and_touching_events_are_one_change() -> None:
    text = calendar(
        "DTSTART:20250604T100000Z DTEND:20250604T120000Z",
        "DTSTART:20250604T110000Z DURATION:PT2H",
        "DTSTART:20250604T130000Z DTEND:20250604T150000Z",
    )
    assert at(text, utc(4, 9)) == (True, utc(4, 10))
    assert at(text, utc(4, 10, 30)) == (False, utc(4, 15))


def test_an_event_without_a_length_changes_nothing() -> None:
    assert at(calendar("DTSTART:20250604T100000Z"), utc(4, 9)) == (True, None)


def test_a_day_long_event_is_in_the_calendars_time_zone() -> None:
    event = "DTSTART;VALUE=DATE:20250605 DTEND;VALUE=DATE:20250606"
    assert at(calendar(event), utc(4, 12)) == (True, utc(5))
    paris = calendar(event, extra="X-WR-TIMEZONE:Europe/Paris")
    assert at(paris, utc(4, 12)) == (True, utc(4, 22))
    assert at(paris, utc(5, 12)) == (False, utc(5, 22))
    assert at(calendar("DTSTART;VALUE=DATE:20250605"), utc(5, 12)) == (False, utc(6))


def test_a_weekly_event_comes_back_every_week() -> None:
    text = calendar("DTSTART:20250603T020000Z DTEND:20250603T040000Z RRULE:FREQ=WEEKLY")
    assert at(text, utc(3, 3)) == (False, utc(3, 4))
    assert at(text, utc(3, 5)) == (True, utc(10, 2))
    assert at(text, utc(24, 3)) == (False, utc(24, 4))


def test_a_recurring_event_ends_with_its_count_or_its_until() -> None:
    start = "DTSTART:20250603T020000Z DTEND:20250603T040000Z"
    assert at(calendar(f"{start} RRULE:FREQ=DAILY;COUNT=2"), utc(4, 5)) == (True, None)
    until = calendar(f"{start} RRULE:FREQ=DAILY;UNTIL=20250605T020000Z")
    assert at(until, utc(4, 5)) == (True, utc(5, 2))
    assert at(until, utc(5, 5)) == (True, None)


def test_until_and_exdates_are_in_utc_even_for_an_event_elsewhere() -> None:
    evenings = "DTSTART;TZID=America/New_York:20250603T220000 DURATION:PT1H RRULE:FREQ=DAILY"
    assert at(calendar(f"{evenings};UNTIL=20250605T020000Z"), utc(5, 1)) == (True, utc(5, 2))
    assert at(calendar(f"{evenings};UNTIL=20250605T013000Z"), utc(5, 1)) == (True, None)
    assert at(calendar(f"{evenings} EXDATE:20250605T020000Z"), utc(5, 1)) == (True, utc(6, 2))


def test_an_event_may_end_in_another_time_zone_than_it_begins() -> None:
    text = calendar("DTSTART;TZID=Europe/Paris:20250604T120000 DTEND;TZID=America/New_York:20250604T090000")
    assert at(text, utc(4, 10)) == (False, utc(4, 13))


def test_until_a_date_includes_that_day() -> None:
    days = "DTSTART;VALUE=DATE:20250603 RRULE:FREQ=DAILY"
    assert at(calendar(f"{days};UNTIL=20250604"), utc(3, 12)) == (False, utc(5))


def test_a_recurring_event_keeps_its_local_time_when_clocks_change() -> None:
    text = calendar("DTSTART;TZID=Europe/Paris:20251024T080000 DURATION:PT1H RRULE:FREQ=DAILY")
    assert at(text, utc(25, 0, month=10)) == (True, utc(25, 6, month=10))
    assert at(text, utc(26, 0, month=10)) == (True, utc(26, 7, month=10))


def test_occurrences_can_be_left_out_added_and_moved() -> None:
    weekly = "UID:weekly DTSTART:20250603T020000Z DURATION:PT1H RRULE:FREQ=WEEKLY;COUNT=4"
    text = calendar(
        f"{weekly} EXDATE:20250610T020000Z RDATE:20250612T020000Z",
        "UID:weekly RECURRENCE-ID:20250617T020000Z DTSTART:20250618T060000Z DURATION:PT1H",
    )
    starts = []
    when = utc(3, 2, 30)
    while (change := at(text, when)[1]) is not None:
        when = change
        if not at(text, when)[0]:
            starts.append(when)
    assert starts == [utc(12, 2), utc(18, 6), utc(24, 2)]


def test_a_change_years_ahead_is_found() -> None:
    text = calendar("DTSTART;VALUE=DATE:20241224 DTEND;VALUE=DATE:20250102 RRULE:FREQ=YEARLY")
    assert at(text, NOON) == (True, utc(24, month=12))
    assert at(calendar("DTSTART:20290101T000000Z DURATION:PT1H"), NOON) == (True, datetime(2029, 1, 1, tzinfo=UTC))


def test_several_calendars_are_open_only_together() -> None:
    freeze = parse(calendar("DTSTART:20250604T100000Z DTEND:20250604T140000Z"))
    hours = parse(calendar("DTSTART:20250604T080000Z DTEND:20250604T160000Z", kind="DEFAULT_CLOSED"))
    assert state([freeze, hours], utc(4, 7)) == (False, utc(4, 8))
    assert state([freeze, hours], utc(4, 9)) == (True, utc(4, 10))
    assert state([freeze, hours], NOON) == (False, utc(4, 14))
    assert state([freeze, hours], utc(4, 15)) == (True, utc(4, 16))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("not a calendar", "iCalendar"),
        (calendar().replace("X-CALENDAR-TYPE:DEFAULT_OPEN\r\n", ""), "X-CALENDAR-TYPE"),
        (calendar(kind="DEFAULT_AJAR"), "X-CALENDAR-TYPE"),
        (calendar("SUMMARY:nothing"), "DTSTART"),
        (calendar("DTSTART:20250604T100000Z DTEND:20250604T090000Z"), "before it begins"),
        (calendar("DTSTART:20250604T100000Z DURATION:PT1M RRULE:FREQ=MINUTELY"), "MINUTELY"),
        (calendar(extra="X-WR-TIMEZONE:Mars/Olympus"), "Mars/Olympus"),
    ],
)
def test_a_calendar_that_makes_no_sense_is_refused_with_the_reason(text: str, word: str) -> None:
    with pytest.raises(CalendarError, match=word):
        parse(text)


FULL = calendar(
    "UID:a DTSTART;TZID=America/New_York:20250603T220000 DURATION:PT1H "
    "RRULE:FREQ=DAILY;UNTIL=20250605T020000Z;BYDAY=MO EXDATE:20250604T020000Z RDATE;VALUE=DATE:20250701",
    "UID:a RECURRENCE-ID:20250617T020000Z DTSTART;VALUE=DATE:20250618 DTEND;VALUE=DATE:20250619",
    extra="X-WR-TIMEZONE:Europe/Paris",
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(FULL) - 1), st.sampled_from("029TZ:;=,-PMHDYABRULE \r\n"), st.integers(0, 2)),
        min_size=1,
        max_size=6,
    )
)
def test_a_mangled_calendar_is_read_or_refused_but_never_a_crash(edits: list[tuple[int, str, int]]) -> None:
    text = list(FULL)
    for place, character, kind in edits:
        text[place] = ("", character, text[place] + character)[kind]
    try:
        read = parse("".join(text))
    except CalendarError:
        return
    assert state([read], NOON)[0] in (True, False)


@settings(max_examples=60, deadline=None)
@given(
    events=st.lists(
        st.tuples(st.integers(0, 300), st.integers(1, 60), st.sampled_from(["", "RRULE:FREQ=DAILY;COUNT=3"])),
        max_size=5,
    ),
    hour=st.integers(0, 350),
    opens=st.booleans(),
)
def test_the_state_holds_until_the_next_transition_and_not_beyond(
    events: list[tuple[int, int, str]], hour: int, opens: bool
) -> None:
    base = utc(1)
    texts = []
    for start, length, recurrence in events:
        begins = base + timedelta(hours=start)
        texts.append(f"DTSTART:{begins:%Y%m%dT%H%M%SZ} DURATION:PT{length}H {recurrence}")
    read = parse(calendar(*texts, kind="DEFAULT_OPEN" if opens else "DEFAULT_CLOSED"))

    def covered(when: datetime) -> bool:
        hours = (when - base) / timedelta(hours=1)
        return any(
            start + 24 * day <= hours < start + 24 * day + length
            for start, length, recurrence in events
            for day in range(3 if recurrence else 1)
        )

    when = base + timedelta(hours=hour)
    is_open, change = state([read], when)
    assert is_open == (covered(when) != opens)
    until = change or when + timedelta(days=40)
    step = when
    while step < until:
        assert (covered(step) != opens) == is_open
        step += timedelta(hours=1)
    if change is not None:
        assert (covered(change) != opens) != is_open


@settings(max_examples=40, deadline=None)
@given(
    zone=st.sampled_from(["Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
    day=st.integers(0, 364),
    hour=st.integers(0, 23),
)
def test_a_daily_event_is_at_the_same_local_time_all_year(zone: str, day: int, hour: int) -> None:
    text = calendar(f"DTSTART;TZID={zone}:20250101T{hour:02d}0000 DURATION:PT30M RRULE:FREQ=DAILY")
    local = datetime(2025, 1, 1, hour, 15, tzinfo=ZoneInfo(zone)) + timedelta(days=day)
    if local.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) != local.replace(tzinfo=None):
        return  # clocks were put forward over it
    assert at(text, local.astimezone(UTC))[0] is False


def create(ssm: Any, name: str, text: str, **members: Any) -> None:
    ssm.create_document(
        Name=name, Content=text, **{"DocumentType": "ChangeCalendar", "DocumentFormat": "TEXT", **members}
    )


def test_a_client_reads_the_state_of_a_calendar_now_and_at_a_time(lab: LabHandle) -> None:
    ssm = lab.client("ssm")
    create(ssm, "freeze", calendar("DTSTART:20250602T060000Z DTEND:20250602T080000Z"))
    answer = ssm.get_calendar_state(CalendarNames=["freeze"])
    assert answer["State"] == "OPEN"
    assert answer["AtTime"] == "2025-06-02T00:00:00Z"
    assert answer["NextTransitionTime"] == "2025-06-02T06:00:00Z"
    lab.advance(hours=7)
    assert ssm.get_calendar_state(CalendarNames=["freeze"])["State"] == "CLOSED"
    arn = "arn:aws:ssm:eu-west-3:111111111111:document/freeze"
    answer = ssm.get_calendar_state(CalendarNames=[arn], AtTime="2025-06-02T10:00:00+02:00")
    assert (answer["State"], answer["AtTime"]) == ("OPEN", "2025-06-02T08:00:00Z")
    assert "NextTransitionTime" not in answer


def test_what_is_no_calendar_is_a_typed_error(lab: LabHandle) -> None:
    ssm = lab.client("ssm")
    create(ssm, "fine", calendar())

    def code(**members: Any) -> str:
        with pytest.raises(ClientError) as caught:
            ssm.get_calendar_state(**members)
        return str(caught.value.response["Error"]["Code"])

    assert code(CalendarNames=["nobody"]) == "InvalidDocument"
    assert code(CalendarNames=["fine", "AWS-RunPatchBaseline"]) == "InvalidDocumentType"
    assert code(CalendarNames=["fine"], AtTime="yesterday") == "ValidationException"
    assert code(CalendarNames=[]) == "ValidationException"
    for beyond in ("9999-12-31T23:00:00Z", "0001-01-01T00:00:00+14:00"):
        assert code(CalendarNames=["fine"], AtTime=beyond) == "ValidationException"


def test_an_event_that_reaches_beyond_all_dates_is_a_typed_error(lab: LabHandle) -> None:
    ssm = lab.client("ssm")
    create(ssm, "endless", calendar("DTSTART:20250601T000000Z DURATION:P3000000D"))
    with pytest.raises(ClientError, match="UnsupportedCalendarException"):
        ssm.get_calendar_state(CalendarNames=["endless"])


def test_a_calendar_document_is_checked_when_it_is_made(lab: LabHandle) -> None:
    ssm = lab.client("ssm")
    with pytest.raises(ClientError, match="InvalidDocumentContent"):
        create(ssm, "bad", calendar(kind="DEFAULT_AJAR"))
    with pytest.raises(ClientError, match="InvalidDocumentContent"):
        create(ssm, "json", calendar(), DocumentFormat="JSON")
    create(ssm, "good", calendar())
    document = ssm.get_document(Name="good")
    assert (document["DocumentFormat"], document["Content"]) == ("TEXT", calendar())
    assert ssm.describe_document(Name="good")["Document"]["DocumentType"] == "ChangeCalendar"
