"""With the ledger nothing is requested before its soak: any schedule, zone, delay, soak, date and mishap."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from time_policy import time_policy

from sluice.core.approval import Patch
from sluice.core.journey import Course, Journey, journeys
from sluice.core.policy.baselines import OperatingSystem
from sluice.core.policy.policy import Policy
from sluice.core.schedule import Occurrences

ZONES = ("UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia")
DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
HOUR = timedelta(hours=1)


def crons() -> st.SearchStrategy[str]:
    weekdays = st.lists(st.sampled_from(DAYS), min_size=1, max_size=7, unique=True).map(",".join)
    monthly = st.sampled_from(("TUE#2", "SATL", "MON#1"))
    return st.builds("cron({} {} ? * {} *)".format, st.integers(0, 59), st.integers(0, 23), weekdays | monthly)


def windows(lead: int = 720) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "schedule": crons(),
            "time_zone": st.sampled_from(ZONES),
            "duration_hours": st.integers(1, 24),
            "cutoff_hours": st.just(0),
            "lead_minutes": st.integers(0, lead),
            "reboot": st.sampled_from(("never", "if_needed")).map(lambda when: {"when": when}),
        }
    )


@st.composite
def policies(draw: st.DrawFn, os: st.SearchStrategy[str]) -> Policy:
    soak = draw(st.integers(1, 30))
    # On Windows the delay is what holds a re-issue between manifest and window; shorter than the soak is questioned.
    delay = draw(st.integers(soak, 40))
    return time_policy(draw(os), delay=delay, soak=soak, nonprod=draw(windows()), prod=draw(windows()))


SYSTEMS = st.sampled_from(("AMAZON_LINUX_2023", "UBUNTU", "WINDOWS"))
DATES = st.datetimes(datetime(2025, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  # the strategy adds the zone


def the_journey(policy: Policy, issued: datetime, course: Course) -> Journey:
    patch = Patch.security(OperatingSystem(policy.baselines[0].os), "important")
    (found,) = journeys(policy, patch, issued, course)
    return found


def courses(os: str) -> st.SearchStrategy[Course]:
    reissue = st.none() if os != "WINDOWS" else st.none() | st.timedeltas(HOUR, timedelta(days=60))
    return st.builds(
        Course,
        missed_runs=st.integers(0, 6),
        reissued_after=reissue,
        offered_again=st.booleans(),
        needs_reboot=st.booleans(),
    )


@given(policy=policies(SYSTEMS), issued=DATES, data=st.data())
@settings(max_examples=150, deadline=None)
def test_nothing_is_requested_before_the_ring_before_had_that_very_issue_for_the_soak(
    policy: Policy, issued: datetime, data: st.DataObject
) -> None:
    course = data.draw(courses(policy.baselines[0].os))
    nonprod, prod = the_journey(policy, issued, course).ledger
    soak = policy.rings[1].soak
    assert soak is not None
    for request in prod:
        same = [each for each in nonprod if each.issued == request.issued]
        assert same, "production got an issue that non-production never had"
        done = [each.start + timedelta(hours=policy.windows[0].duration_hours) for each in same]
        assert request.start - min(done) >= timedelta(days=soak.days)
        assert not course.needs_reboot or policy.windows[0].reboot.when != "never"


@given(
    policy=policies(st.sampled_from(("AMAZON_LINUX_2023", "UBUNTU", "WINDOWS"))), issued=DATES, missed=st.integers(0, 6)
)
@settings(max_examples=150, deadline=None)
def test_the_days_are_those_that_counting_along_the_windows_finds(
    policy: Policy, issued: datetime, missed: int
) -> None:
    found = the_journey(policy, issued, Course(missed_runs=missed))
    nonprod, prod = policy.windows
    soak = policy.rings[1].soak
    assert soak is not None
    delays = [timedelta(days=baseline.rules[0].approve_after_days or 0) for baseline in policy.baselines]

    came = [start for start in starts(policy, 0, issued) if start > issued + delays[0]][missed]
    assert found.ledger[0][0].start == found.alone[0][0].start == came

    soaked = came + nonprod.duration + timedelta(days=soak.days)
    on_windows = policy.baselines[0].os == "WINDOWS"
    alone = [start for start in starts(policy, 1, issued) if start > issued + delays[1]]
    allowed = alone if on_windows else starts(policy, 1, issued)
    ledger = [start for start in allowed if start - timedelta(minutes=prod.lead_minutes) >= soaked]
    assert [each.start for each in found.alone[1]] == alone[:1]
    assert [each.start for each in found.ledger[1]] == ledger[:1]


def starts(policy: Policy, place: int, since: datetime) -> Sequence[datetime]:
    window = policy.windows[place]
    runs = Occurrences.of(window.schedule, anchor=since, timezone=window.time_zone).upcoming(since)
    return list(takewhile(lambda run: run < since + timedelta(days=436), runs))


@given(
    policy=policies(st.just("AMAZON_LINUX_2023")), issued=DATES, later=st.timedeltas(timedelta(0), timedelta(days=30))
)
@settings(max_examples=100, deadline=None)
def test_what_is_issued_later_never_comes_earlier(policy: Policy, issued: datetime, later: timedelta) -> None:
    one, other = (the_journey(policy, date, Course()) for date in (issued, issued + later))
    for earlier, then in zip((*one.alone, *one.ledger), (*other.alone, *other.ledger), strict=True):
        assert not then or bisect_right([each.start for each in earlier], then[0].start) > 0
