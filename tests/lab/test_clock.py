import logging
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.clock import START, Clock, stamp
from lab.errors import ClockError

HOUR = timedelta(hours=1)


def fail() -> None:
    raise RuntimeError("this event fails")


def test_a_manual_clock_stands_still_until_it_is_moved():
    clock = Clock()
    clock.start()
    assert clock.now() == START == clock.now()
    assert clock.advance(HOUR) == START + HOUR == clock.now()
    clock.stop()


def test_the_clock_starts_where_it_is_told_and_speaks_utc():
    paris_summer = datetime.fromisoformat("2025-07-01T02:00:00+02:00")
    assert Clock(paris_summer).now().isoformat() == "2025-07-01T00:00:00+00:00"


def test_a_start_without_a_zone_is_refused():
    with pytest.raises(ClockError, match="must carry a time zone"):
        Clock(datetime(2025, 6, 2))  # noqa: DTZ001  # that is what is refused


@pytest.mark.parametrize("rate", [0, -1.0])
def test_a_rate_that_does_not_go_forward_is_refused(rate):
    with pytest.raises(ClockError, match="above 0"):
        Clock(rate=rate)


def test_each_event_happens_at_its_own_time():
    clock = Clock()
    seen = []
    for hours in (3, 1, 2):
        clock.after(hours * 3600, lambda: seen.append(clock.now() - START))
    clock.advance(timedelta(hours=2))
    assert seen == [HOUR, 2 * HOUR]
    clock.advance(HOUR)
    assert seen == [HOUR, 2 * HOUR, 3 * HOUR]


def test_events_of_one_instant_happen_in_the_order_they_were_scheduled():
    clock = Clock()
    seen = []
    for name in "abc":
        clock.after(60, lambda name=name: seen.append(name))
    clock.advance(HOUR)
    assert seen == ["a", "b", "c"]


def test_an_event_that_another_schedules_within_the_move_happens_in_it():
    clock = Clock()
    seen = []
    clock.after(60, lambda: clock.after(60, lambda: seen.append(clock.now() - START)))
    clock.advance(HOUR)
    assert seen == [timedelta(minutes=2)]


def test_an_event_scheduled_in_the_past_happens_at_the_present():
    clock = Clock()
    seen = []
    clock.advance(HOUR)
    clock.at(START, lambda: seen.append(clock.now()))
    clock.run_due()
    assert seen == [START + HOUR]
    assert clock.now() == START + HOUR


def test_a_cancelled_event_never_happens_and_is_not_pending():
    clock = Clock()
    seen = []
    event = clock.after(60, lambda: seen.append(1), "never")
    stays = clock.after(120, lambda: seen.append(2), "stays")
    event.cancel()
    assert clock.pending() == [stays]
    clock.advance(HOUR)
    assert seen == [2]


def test_the_clock_never_goes_back():
    clock = Clock()
    clock.advance(HOUR)
    with pytest.raises(ClockError, match="forward: it is 2025-06-02T01:00:00Z, asked for 2025-06-02T00:30:00Z"):
        clock.advance_to(START + HOUR / 2)


def test_a_real_clock_cannot_be_moved():
    with pytest.raises(ClockError, match="real clock cannot be advanced"):
        Clock(rate=1.0).advance(HOUR)


def test_an_event_cannot_move_the_clock_it_happens_in():
    clock = Clock()
    clock.after(60, lambda: clock.advance(HOUR))
    with pytest.raises(ClockError, match="an event cannot move the clock"):
        clock.advance(HOUR)


def test_a_failing_event_stops_the_move_at_its_time_and_names_itself():
    clock = Clock()
    seen = []
    clock.after(60, fail, "the failing one")
    clock.after(120, lambda: seen.append(1))
    with pytest.raises(RuntimeError) as caught:
        clock.advance(HOUR)
    assert "'the failing one' of 2025-06-02T00:01:00Z" in caught.value.__notes__[0]
    assert clock.now() == START + timedelta(seconds=60)
    assert not seen
    clock.advance(HOUR)
    assert seen == [1]


def test_a_reset_forgets_events_and_begins_again():
    clock = Clock()
    clock.after(60, fail)
    clock.advance(timedelta(seconds=30))
    clock.reset(START)
    assert clock.pending() == []
    assert clock.advance(HOUR) == START + HOUR


def test_clear_drops_what_is_pending_and_leaves_the_time():
    clock = Clock()
    clock.advance(HOUR)
    clock.after(60, fail)
    clock.clear()
    assert clock.pending() == []
    assert clock.now() == START + HOUR


def test_a_rate_clock_runs_its_events_by_itself():
    clock = Clock(rate=36000.0)
    done = threading.Event()
    times = []

    def act() -> None:
        times.append(clock.now())
        done.set()

    clock.start()
    event = clock.after(1800, act)
    assert done.wait(10)
    clock.stop()
    assert times == [event.when]


def test_a_rate_clock_can_be_moved_and_goes_on_from_there():
    clock = Clock(rate=60.0)
    seen = []
    event = clock.after(3 * 3600, lambda: seen.append(clock.now()))
    clock.advance(timedelta(days=1))
    assert seen == [event.when]
    assert clock.now() >= START + timedelta(days=1)


def test_a_failing_event_is_logged_and_does_not_stop_a_clock_that_runs(caplog):
    clock = Clock(rate=36000.0)
    done = threading.Event()
    told: list[Exception] = []
    clock.on_crash = told.append
    clock.after(10, fail, "the failing one")
    clock.after(20, done.set)
    with caplog.at_level(logging.ERROR, "lab.clock"):
        clock.start()
        assert done.wait(10)
        clock.stop()
    assert "incident: an event crashed" in caplog.text
    assert [str(error) for error in told] == ["this event fails"]


def test_a_stopped_clock_can_be_started_again():
    clock = Clock(rate=36000.0)
    clock.start()
    clock.stop()
    done = threading.Event()
    clock.after(60, done.set)
    clock.start()
    assert done.wait(10)
    clock.stop()


def test_an_event_millennia_away_does_not_trouble_a_running_clock():
    clock = Clock(rate=1.0)
    done = threading.Event()
    clock.at(datetime(9999, 1, 1, tzinfo=UTC), fail)
    clock.start()
    clock.at(clock.now(), done.set)
    assert done.wait(10)
    clock.stop()


def test_no_request_sees_an_event_half_done():
    clock = Clock()
    half, seen = threading.Event(), []
    state = {"left": 1, "right": 1}

    def act() -> None:
        state["left"] = 2
        half.set()
        state["right"] = 2

    def look() -> None:
        half.wait(10)
        with clock.lock:
            seen.append(dict(state))

    clock.after(60, act)
    reader = threading.Thread(target=look)
    reader.start()
    clock.advance(HOUR)
    reader.join(10)
    assert seen == [{"left": 2, "right": 2}]


def test_two_moves_at_the_same_time_add_up():
    clock = Clock()
    clock.after(1, lambda: threading.Event().wait(0.01))
    threads = [threading.Thread(target=clock.advance, args=(HOUR,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert clock.now() == START + 8 * HOUR


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 200)), max_size=25),
    st.lists(st.integers(0, 300), min_size=1, max_size=8),
)
def test_whatever_is_scheduled_happens_once_in_order_and_on_time(events, moves):
    clock = Clock()
    seen: list[tuple[datetime, datetime]] = []

    def plan(when: datetime, then: int) -> None:
        def act() -> None:
            seen.append((when, clock.now()))
            if then:
                plan(clock.now() + timedelta(seconds=then), 0)

        clock.at(when, act)

    for seconds, then in events:
        plan(START + timedelta(seconds=seconds), then)
    for seconds in moves:
        clock.advance(timedelta(seconds=seconds))
    end = START + timedelta(seconds=sum(moves))
    assert clock.now() == end
    assert all(planned == at for planned, at in seen)
    assert [at for _, at in seen] == sorted(at for _, at in seen)
    due = [seconds for seconds, _ in events] + [seconds + then for seconds, then in events if then]
    assert len(seen) == sum(START + timedelta(seconds=seconds) <= end for seconds in due)


def test_times_are_written_as_aws_writes_them():
    assert stamp(datetime.fromisoformat("2025-06-02T02:00:00.750+02:00")) == "2025-06-02T00:00:00Z"
