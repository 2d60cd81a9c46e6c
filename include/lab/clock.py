"""The lab's time: a clock and the queue of what happens next.

Everything in the lab that takes time (a window that opens, a node that installs, an image that
becomes available) is an event on one queue, and one clock decides when it happens:

    manual    time stands still until `advance` or `advance_to`; events then run in order, each at its own time
    real      one lab second is one second, from the wall clock's own time or from a given start
    RATE      RATE lab seconds pass in a second

Events run under `lock`, as every request does, so that nothing is ever seen half done. Two events of
the same instant run in the order in which they were scheduled.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lab.errors import ClockError

START = datetime(2025, 6, 2, tzinfo=UTC)
"""When the lab's time begins unless told otherwise (the advisories it ships start there)."""

LONGEST_SLEEP = 3600.0
"""Real seconds between two looks at the queue, at most: a thread cannot wait for a date millennia away."""

log = logging.getLogger(__name__)


@dataclass(order=True, slots=True)
class Event:
    """One thing that will happen. `cancel()` it and it never does."""

    when: datetime
    order: int
    action: Callable[[], None] | None = field(compare=False)
    label: str = field(compare=False, default="")

    def cancel(self) -> None:
        """Forget the event; cancelling one that has run does nothing."""
        self.action = None


class Clock:
    """Time in UTC and the events to come.

    `rate` is None for a manual clock, else lab seconds per real second (1.0 is real time).
    """

    def __init__(self, start: datetime = START, rate: float | None = None) -> None:
        if start.tzinfo is None:
            raise ClockError(f"the clock's start must carry a time zone, found {start.isoformat()}")
        if rate is not None and rate <= 0:
            raise ClockError(f"the clock's rate must be above 0 lab seconds per second, found {rate}")
        self.lock = threading.RLock()
        self.rate = rate
        self._now = start.astimezone(UTC)
        self._anchor = time.monotonic()
        self._queue: list[Event] = []
        self._order = itertools.count()
        self._wake = threading.Condition(self.lock)
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._event_time: datetime | None = None
        self.on_crash: Callable[[Exception], None] | None = None
        """Told of an event that fails while the clock runs by itself."""

    def now(self) -> datetime:
        """The lab's time, aware, in UTC. During an event it is the event's own time."""
        if self._event_time is not None:
            return self._event_time
        if self.rate is None:
            return self._now
        return self._now + timedelta(seconds=(time.monotonic() - self._anchor) * self.rate)

    def at(self, when: datetime, action: Callable[[], None], label: str = "") -> Event:
        """Let `action` happen at `when`; a time that is past happens at once, after what is due before it."""
        with self._wake:
            event = Event(when, next(self._order), action, label)
            heapq.heappush(self._queue, event)
            self._wake.notify_all()
            return event

    def after(self, seconds: float, action: Callable[[], None], label: str = "") -> Event:
        """Let `action` happen `seconds` of lab time from now."""
        return self.at(self.now() + timedelta(seconds=seconds), action, label)

    def advance(self, by: timedelta) -> datetime:
        """Move the clock on by `by`, running what becomes due. See `advance_to`."""
        with self.lock:
            return self.advance_to(self.now() + by)

    def advance_to(self, until: datetime) -> datetime:
        """Move the clock to `until`, running each event at its own time, and answer the new time.

        Raises ClockError on a real clock (it cannot be moved), for a time that is past, and within an event. What an
        event raises ends the move at that event's time; what was to follow stays pending.
        """
        with self.lock:
            if self.rate == 1.0:
                raise ClockError("a real clock cannot be advanced; start the lab with --clock manual or --clock RATE")
            if self._event_time is not None:
                raise ClockError("an event cannot move the clock that it happens in; let it schedule another event")
            if until < self.now():
                raise ClockError(f"the clock only goes forward: it is {stamp(self.now())}, asked for {stamp(until)}")
            self._run_due(until)
            self._now, self._anchor = until, time.monotonic()
            return until

    def run_due(self) -> None:
        """Run what is due by now (a clock that runs by itself does this on its own).

        An event that fails is logged, and the others go on: whoever asks has nothing to do with it.
        """
        with self.lock:
            while self._event_time is None:
                try:
                    self._run_due(self.now())
                except Exception as error:
                    log.exception("incident: an event crashed, the clock goes on")
                    if self.on_crash is not None:
                        self.on_crash(error)
                else:
                    return

    def pending(self) -> list[Event]:
        """The events to come, soonest first."""
        with self.lock:
            return sorted(event for event in self._queue if event.action is not None)

    def soonest(self) -> datetime | None:
        """When the next event happens; None: there is none."""
        with self.lock:
            while self._queue and self._queue[0].action is None:
                heapq.heappop(self._queue)
            return self._queue[0].when if self._queue else None

    def clear(self) -> None:
        """Drop every pending event, as a reset does."""
        with self._wake:
            self._queue.clear()
            self._wake.notify_all()

    def reset(self, start: datetime) -> None:
        """Drop every event and begin again at `start`."""
        with self._wake:
            self._queue.clear()
            self._now, self._anchor = start.astimezone(UTC), time.monotonic()
            self._wake.notify_all()

    def start(self) -> None:
        """Begin running due events in the background; a manual clock has nothing to run by itself."""
        if self.rate is not None and self._thread is None:
            self._stopped = False
            self._thread = threading.Thread(target=self._run, name="lab-clock", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop the background thread; pending events stay pending."""
        with self._wake:
            self._stopped = True
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None

    def _run_due(self, until: datetime) -> None:
        try:
            while self._queue and self._queue[0].when <= until:
                event = heapq.heappop(self._queue)
                if event.action is None:
                    continue
                self._event_time = max(event.when, self._event_time or self._now)
                try:
                    event.action()
                except Exception as error:
                    error.add_note(f"in the lab's event {event.label!r} of {stamp(event.when)}")
                    raise
        finally:
            if self.rate is None and self._event_time is not None:
                self._now = self._event_time
            self._event_time = None

    def _run(self) -> None:
        with self._wake:
            while not self._stopped:
                self.run_due()
                self._wake.wait(self._seconds_to_next())

    def _seconds_to_next(self) -> float | None:
        if self.rate is None or not self._queue:
            return None
        seconds = (self._queue[0].when - self.now()).total_seconds() / self.rate
        return min(max(0.0, seconds), LONGEST_SLEEP)


def stamp(when: datetime) -> str:
    """A time as AWS and the admin API write it: `2025-06-02T00:00:00Z`."""
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
