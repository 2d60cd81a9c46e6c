"""Change calendars: documents of type ChangeCalendar, iCalendar text, and whether they are open.

UG:systems-manager-change-calendar. `X-CALENDAR-TYPE` says what the calendar is without an event
(DEFAULT_OPEN, DEFAULT_CLOSED); while an event lasts it is the other. Events may recur (RRULE, RDATE,
EXDATE, changed occurrences); times without a zone are in the calendar's X-WR-TIMEZONE, else UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, cast
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rruleset, rrulestr
from icalendar import Calendar as ICalendar
from icalendar.cal import Component

from lab.clock import stamp
from lab.ssm.base import SSMOperations, error
from lab.ssm.documents import find_document

HORIZONS = (timedelta(days=32), timedelta(days=400), timedelta(days=1830))
"""How far NextTransitionTime looks ahead, further only when nothing is found nearer."""

YEARS = range(1970, 2200)
"""Years that can be asked about: those that cron expressions of Systems Manager know."""

FASTEST = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")

Span = tuple[datetime, datetime]


class CalendarError(Exception):
    """A calendar that the lab cannot read; says why."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event: its first start (wall-clock time in `zone`), how long it lasts, and its recurrence."""

    start: datetime
    length: timedelta
    zone: tzinfo
    recurrence: rruleset | None

    def spans(self, after: datetime, before: datetime) -> Iterator[Span]:
        """Its occurrences that overlap `after` to `before`, in UTC."""
        if self.recurrence is None:
            starts: Iterable[datetime] = [self.start]
        else:
            # A zone's offset changes by hours at most: a day on either side misses nothing.
            slack = timedelta(days=1)
            starts = self.recurrence.between(
                after.astimezone(self.zone).replace(tzinfo=None) - self.length - slack,
                before.astimezone(self.zone).replace(tzinfo=None) + slack,
                inc=True,
            )
        for start in starts:
            begins = start.replace(tzinfo=self.zone).astimezone(UTC)
            ends = (start + self.length).replace(tzinfo=self.zone).astimezone(UTC)
            if ends > after and begins < before and ends > begins:
                yield begins, ends


@dataclass(frozen=True, slots=True)
class ChangeCalendar:
    """A calendar: open or closed by default, and the other during its events."""

    open_by_default: bool
    events: tuple[Event, ...]

    def spans(self, after: datetime, before: datetime) -> list[Span]:
        """When it is not what it is by default, between two times."""
        return [span for event in self.events for span in event.spans(after, before)]

    def is_open(self, spans: Sequence[Span], when: datetime) -> bool:
        """Whether it is open at a time that `spans` cover."""
        return self.open_by_default != any(begins <= when < ends for begins, ends in spans)


def state(calendars: Sequence[ChangeCalendar], when: datetime) -> tuple[bool, datetime | None]:
    """Whether all calendars are open at `when`, and when that next changes (None: not within five years)."""
    moment = timedelta(microseconds=1)
    for horizon in HORIZONS:
        spans = [calendar.spans(when, when + horizon) for calendar in calendars]
        now_open = _all_open(calendars, spans, when)
        bounds = sorted({t for found in spans for span in found for t in span if when < t < when + horizon - moment})
        for bound in bounds:
            if _all_open(calendars, spans, bound) != now_open:
                return now_open, bound
    return now_open, None


def _all_open(calendars: Sequence[ChangeCalendar], spans: Sequence[Sequence[Span]], when: datetime) -> bool:
    return all(calendar.is_open(found, when) for calendar, found in zip(calendars, spans, strict=True))


def parse(text: str) -> ChangeCalendar:
    """Read a calendar's text. Raises CalendarError."""
    try:
        return _read(ICalendar.from_ical(text))
    except (ValueError, LookupError, TypeError, AttributeError) as problem:
        # A property that icalendar cannot read says so with one of these, some only when it is used.
        raise CalendarError(f"it is no iCalendar text ({problem})") from problem


def _read(root: Component) -> ChangeCalendar:
    kind = str(root.get("X-CALENDAR-TYPE", ""))
    if root.name != "VCALENDAR" or kind not in ("DEFAULT_OPEN", "DEFAULT_CLOSED"):
        raise CalendarError("it must be a VCALENDAR with X-CALENDAR-TYPE:DEFAULT_OPEN or DEFAULT_CLOSED")
    zone = _zone(str(root.get("X-WR-TIMEZONE", "UTC")))
    components = list(root.walk("VEVENT"))
    changed: dict[str, list[Any]] = {}
    for one in components:
        if "RECURRENCE-ID" in one:
            changed.setdefault(str(one.get("UID")), []).append(one.decoded("RECURRENCE-ID"))
    events = tuple(_event(one, zone, changed.get(str(one.get("UID")), [])) for one in components)
    return ChangeCalendar(kind == "DEFAULT_OPEN", events)


def _event(one: Component, zone: tzinfo, changed: Sequence[Any]) -> Event:
    if "DTSTART" not in one:
        raise CalendarError("an event has no DTSTART")
    first = one.decoded("DTSTART")
    zone = first.tzinfo if isinstance(first, datetime) and first.tzinfo else zone
    start = _local(first, zone)
    if "DTEND" in one:
        length = _local(one.decoded("DTEND"), zone) - start
    elif "DURATION" in one:
        length = one.decoded("DURATION")
    else:
        length = timedelta(days=0 if isinstance(first, datetime) else 1)
    if length < timedelta(0):
        raise CalendarError(f"the event of {start.isoformat()} ends before it begins")
    recurs = "RECURRENCE-ID" not in one and ("RRULE" in one or "RDATE" in one)
    return Event(start, length, zone, _recurrence(one, start, zone, changed) if recurs else None)


def _recurrence(one: Component, start: datetime, zone: tzinfo, changed: Sequence[Any]) -> rruleset:
    found = rruleset()
    found.rdate(start)
    for rule in _as_list(one.get("RRULE", [])):
        found.rrule(_rule(rule, start, zone))
    for extra in _dates(one, "RDATE"):
        found.rdate(_local(extra, zone))
    for gone in [*_dates(one, "EXDATE"), *changed]:
        found.exdate(_local(gone, zone))
    return found


def _rule(rule: Any, start: datetime, zone: tzinfo) -> rrule:
    """An RRULE for wall-clock times: UNTIL, which stands in UTC, moved to the event's zone."""
    if rule.get("FREQ", [""])[0] not in FASTEST:
        raise CalendarError(f"an event recurs {rule.get('FREQ', ['?'])[0]}; the lab takes {', '.join(FASTEST)}")
    given = dict(rule)
    if "UNTIL" in given:
        until = given["UNTIL"][0]
        # A date means the whole of it.
        whole_day = timedelta(0) if isinstance(until, datetime) else timedelta(hours=23, minutes=59, seconds=59)
        given["UNTIL"] = [_local(until, zone) + whole_day]
    return cast(rrule, rrulestr(type(rule)(given).to_ical().decode(), dtstart=start))


def _dates(one: Component, name: str) -> list[Any]:
    return [entry.dt for dates in _as_list(one.get(name, [])) for entry in dates.dts]


def _as_list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]


def _local(value: Any, zone: tzinfo) -> datetime:
    """A date or time as wall-clock time in `zone`; one without a zone is in it already."""
    if isinstance(value, datetime):
        return value if value.tzinfo is None else value.astimezone(zone).replace(tzinfo=None)
    if isinstance(value, date):
        return datetime.combine(value, datetime.min.time())
    raise CalendarError(f"{value} is neither a date nor a time")


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as problem:
        raise CalendarError(f"there is no time zone {name}") from problem


class CalendarOperations(SSMOperations):
    """GetCalendarState."""

    def get_calendar_state(self) -> dict[str, Any]:
        """Whether all the calendars are open, now or at a time, and when that changes next.

        Raises InvalidDocument, InvalidDocumentType, UnsupportedCalendarException, ValidationException.
        """
        when = self._when()
        calendars = [self._calendar(name) for name in self.params["CalendarNames"]]
        if not calendars:
            raise error("ValidationException", "CalendarNames must name at least one calendar.")
        try:
            is_open, change = state(calendars, when)
        except OverflowError as problem:
            raise error("UnsupportedCalendarException", f"An event reaches beyond all dates: {problem}") from problem
        answer = {"State": "OPEN" if is_open else "CLOSED", "AtTime": stamp(when)}
        return answer if change is None else {**answer, "NextTransitionTime": stamp(change)}

    def _when(self) -> datetime:
        given = self.params.get("AtTime")
        if given is None:
            return self.now()
        try:
            when = datetime.fromisoformat(given)
        except ValueError as problem:
            raise error("ValidationException", f"AtTime must be an ISO 8601 time, found {given}.") from problem
        if when.year not in YEARS:
            raise error("ValidationException", f"AtTime must be of the years {YEARS[0]} to {YEARS[-1]}, found {given}.")
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)

    def _calendar(self, name: str) -> ChangeCalendar:
        document = find_document(self.location, name)
        if document.document_type != "ChangeCalendar":
            raise error(
                "InvalidDocumentType", f"The document {name} is a {document.document_type}, not a ChangeCalendar."
            )
        try:
            return parse(document.text)
        except CalendarError as problem:
            raise error("UnsupportedCalendarException", f"The calendar {name} cannot be read: {problem}") from problem
