"""Cron expressions against croniter and dateutil, which know nothing of this implementation."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile

from croniter import croniter
from dateutil import tz
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.core.schedule import Occurrences

ZONES = ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Havana", "UTC"]
ORACLE_ENDS = datetime(2037, 1, 1, tzinfo=UTC)
"""dateutil reads the 32-bit part of the zones' files, which has no transition after 2037."""
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]

moments = st.integers(0, 4 * 366 * 86400).map(
    lambda second: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
)


@st.composite
def spans(draw: st.DrawFn, low: int, high: int) -> str:
    """A value, a range, a range with a step."""
    first, last = sorted((draw(st.integers(low, high)), draw(st.integers(low, high))))
    form = draw(st.sampled_from(["one", "range", "step"]))
    if form == "one" or first == last:
        return str(first)
    return f"{first}-{last}" if form == "range" else f"{first}-{last}/{draw(st.integers(1, high))}"


def lists(low: int, high: int) -> st.SearchStrategy[str]:
    return st.just("*") | st.lists(spans(low, high), min_size=1, max_size=3).map(",".join)


# Multiples of five, so that no two runs are closer than AWS takes.
minutes = st.lists(st.integers(0, 11).map(lambda five: str(5 * five)), min_size=1, max_size=3).map(",".join)
minutes |= st.sampled_from(["*/5", "*/10", "*/20"])


@st.composite
def weekdays(draw: st.DrawFn) -> tuple[str, str]:
    """A day-of-week as AWS writes it (1-7 or names) and as croniter does (0-6)."""
    day, nth = draw(st.integers(0, 6)), draw(st.integers(1, 5))
    written = draw(st.sampled_from([str(day + 1), DAYS[day]]))
    forms = [(written, str(day)), (f"{written}#{nth}", f"{day}#{nth}"), (f"{written}L", f"L{day}")]
    if day < 6:  # croniter reads a range of one day as the whole week
        last = draw(st.integers(day + 1, 6))
        forms.append((f"{written}-{last + 1}", f"{day}-{last}"))
    return draw(st.sampled_from(forms))


@st.composite
def expressions(draw: st.DrawFn) -> tuple[str, str]:
    """The same expression as AWS writes it and as croniter does."""
    minute, hour = draw(minutes), draw(lists(0, 23))
    month = draw(lists(1, 12) | st.sampled_from(range(12)).map(lambda index: str(index + 1)))
    aws_month = MONTHS[int(month) - 1] if month.isdigit() and draw(st.booleans()) else month
    if draw(st.booleans()):
        day = draw(st.just("L") | lists(1, 28))
        return f"cron({minute} {hour} {day} {aws_month} ? *)", f"{minute} {hour} {day} {month} *"
    aws_day, day = draw(weekdays())
    return f"cron({minute} {hour} ? {aws_month} {aws_day} *)", f"{minute} {hour} * {month} {day}"


def known(runs: Iterable[datetime], count: int) -> list[datetime]:
    """The first runs, of those whose zone the oracle knows."""
    return list(islice(takewhile(lambda run: run < ORACLE_ENDS, runs), count))


def oracle(expression: str, since: datetime) -> Iterator[datetime]:
    """Naive local times after `since`."""
    times = croniter(expression, since)
    while True:
        yield times.get_next(datetime)


@settings(max_examples=150, deadline=None)
@given(expressions(), moments)
def test_a_cron_expression_fires_when_croniter_says(expression: tuple[str, str], since: datetime) -> None:
    aws, standard = expression
    found = list(islice(Occurrences.of(aws, anchor=since).upcoming(since), 5))
    assert found == [run.replace(tzinfo=UTC) for run in islice(oracle(standard, since.replace(tzinfo=None)), 5)]


@settings(max_examples=150, deadline=None)
@given(expressions(), st.sampled_from(ZONES), moments)
def test_in_every_zone_each_local_time_that_exists_fires_once(
    expression: tuple[str, str], zone: str, since: datetime
) -> None:
    aws, standard = expression
    theirs = tz.gettz(zone)
    assert theirs is not None
    local = since.astimezone(theirs).replace(tzinfo=None) - timedelta(hours=3)
    existing = (run.replace(tzinfo=theirs) for run in oracle(standard, local) if tz.datetime_exists(run, theirs))
    expected = (run.astimezone(UTC) for run in existing if run.astimezone(UTC) > since)
    assert known(Occurrences.of(aws, anchor=since, timezone=zone).upcoming(since), 5) == known(expected, 5)


@settings(max_examples=100, deadline=None)
@given(expressions(), st.sampled_from(ZONES), st.integers(1, 6), moments)
def test_an_offset_is_the_same_local_time_that_many_days_later(
    expression: tuple[str, str], zone: str, offset: int, since: datetime
) -> None:
    theirs = tz.gettz(zone)
    assert theirs is not None
    for run in known(Occurrences.of(expression[0], anchor=since, timezone=zone, offset=offset).upcoming(since), 3):
        base = run.astimezone(theirs).replace(tzinfo=None) - timedelta(days=offset)
        assert croniter.match(expression[1], base)
        assert base.replace(tzinfo=theirs).astimezone(UTC) >= since


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 400),
    st.sampled_from(["minute", "hour", "day"]),
    moments,
    st.timedeltas(timedelta(days=-30), timedelta(days=900)),
)
def test_a_rate_fires_at_whole_intervals_after_its_anchor(
    number: int, unit: str, anchor: datetime, later: timedelta
) -> None:
    interval = timedelta(**{f"{unit}s": number})
    every = Occurrences.of(f"rate({number} {unit}{'s' if number > 1 else ''})", anchor=anchor)
    first, second = islice(every.upcoming(anchor + later), 2)
    assert (first - anchor) % interval == timedelta(0)
    assert first > anchor
    assert timedelta(0) < first - (anchor + later)
    assert later < timedelta(0) or first - (anchor + later) <= interval
    assert second - first == interval


@settings(max_examples=100, deadline=None)
@given(expressions(), st.sampled_from(ZONES), moments)
def test_asking_after_each_run_finds_the_runs_that_are_upcoming(
    expression: tuple[str, str], zone: str, since: datetime
) -> None:
    occurrences = Occurrences.of(expression[0], anchor=since, timezone=zone)
    when = since
    for run in islice(occurrences.upcoming(since), 4):
        assert occurrences.after(when) == run
        when = run
