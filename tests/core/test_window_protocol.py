"""What the window protocol decides, rule by rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.core.policy.window_steps import StepName
from sluice.core.release.terms import Kind
from sluice.core.window_protocol import (
    Announce,
    Arm,
    Blocked,
    Cancel,
    Choose,
    Close,
    Done,
    Execution,
    Finish,
    Follow,
    Opening,
    Prepare,
    Rest,
    Seen,
    Times,
    Trust,
    Wait,
    decide,
    opening,
    quiet_from,
)
from sluice.core.window_record import LEAVES, STEPS, Result, WaveRecord

START = datetime(2025, 6, 2, 3, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
TIMES = Times(START, START + 4 * HOUR, cutoff_hours=1, lead=5 * MINUTE, grace=10 * MINUTE)
PLANNED = WaveRecord(
    release="r",
    wave=1,
    location="111111111111/eu-west-3",
    kind="install",
    window_id="mw-1",
    step="planned",
    chosen=START - HOUR,
    slots=(("web", ("i-1", "i-2")),),
    at=START,
    duration_hours=4,
)
ARMING = replace(PLANNED, step="arming", sent=True)
ARMED = replace(ARMING, step="armed")
RUNNING = replace(ARMED, step="running", execution="e")
OURS = Execution("e", START, "IN_PROGRESS", final=False, ours=True, nodes=("i-1", "i-2"))
ENDED = replace(OURS, status="SUCCESS", final=True)
HALTED = Blocked("halted", "halted by somebody")
BEFORE = START - 30 * MINUTE


def told(record: WaveRecord | None, seen: Seen, now: datetime = BEFORE, kind: Kind = "install") -> object:
    return decide(record, seen, now, TIMES, kind)


def step(name: str = "before-1", *nodes: str) -> WaveRecord:
    """A step of the policy that runs, on nodes or on none."""
    return replace(RUNNING, wave=0, kind=StepName(name), slots=(("web", nodes),) if nodes else ())


def test_it_opens_at_the_planned_start_or_as_soon_as_it_may() -> None:
    assert opening(TIMES, "install", START - HOUR) == Opening(START, 4)
    assert opening(TIMES, "install", START + 7 * MINUTE + timedelta(seconds=1)) == Opening(START + 13 * MINUTE, 3)


@given(
    st.integers(-600, 600),
    st.integers(0, 23),
    st.integers(1, 24),
    st.integers(1, 60),
    st.sampled_from(["install", "scan"]),
)
def test_what_opens_ends_with_the_window_or_is_a_scan_and_leaves_the_cutoff_and_an_hour(
    minutes: int, cutoff: int, hours: int, lead: int, kind: Kind
) -> None:
    times = Times(START, START + hours * HOUR, cutoff, lead * MINUTE, 10 * MINUTE)
    now = START + minutes * MINUTE
    found = opening(times, kind, now)
    if found is None:
        left = times.end - max(times.start, now + times.lead)
        assert left < (cutoff + 1) * HOUR
        return
    assert found.at >= max(times.start, now + times.lead)
    assert found.duration_hours > cutoff
    assert found.at + found.duration_hours * HOUR <= times.end + (HOUR - MINUTE if kind == "scan" else timedelta())


def test_what_changes_nodes_is_opened_shortly_before_its_start_and_a_scan_whenever_it_may_be() -> None:
    times = replace(TIMES, ahead=10 * MINUTE)
    early, soon = START - HOUR, START - 10 * MINUTE
    for kind in ("install", "reboot", StepName("before-1")):
        found = decide(None, Seen(), early, times, kind)
        assert isinstance(found, Wait), kind
        assert found.until == soon
        assert decide(None, Seen(), soon, times, kind) == Choose(opening(times, kind, soon) or Opening(START, 0))
    for kind in ("scan", "rescan", "ask"):
        assert isinstance(decide(None, Seen(), early, times, kind), Choose), kind
    assert decide(None, Seen(blocked=HALTED), early, times, "install") == Finish("halted", HALTED.reason)


def test_less_than_the_cutoff_and_an_hour_is_late_and_nothing_opens() -> None:
    assert isinstance(told(None, Seen(), START + 2 * HOUR - 5 * MINUTE), Choose)
    late = told(None, Seen(), START + 2 * HOUR - 4 * MINUTE)
    assert isinstance(late, Finish)
    assert late.verdict == "late"


def test_the_policys_latest_start_is_kept() -> None:
    times = replace(TIMES, latest=START + 10 * MINUTE)
    assert opening(times, "install", START + 5 * MINUTE) == Opening(START + 10 * MINUTE, 3)
    assert opening(times, "install", START + 6 * MINUTE) is None


def test_it_is_prepared_announced_opened_read_back_and_followed_to_its_end() -> None:
    assert told(PLANNED, Seen("rest")) == Prepare()
    assert told(PLANNED, Seen("prepared")) == Announce()
    assert told(ARMING, Seen("prepared")) == Arm()
    assert told(ARMING, Seen("armed")) == Trust()
    assert told(ARMED, Seen()) == Wait(START, "the window opens at 2025-06-02 03:00 UTC")
    assert told(ARMED, Seen("other", (OURS,)), START) == Follow(OURS)
    assert isinstance(told(RUNNING, Seen("other", (OURS,)), START), Wait)
    assert told(RUNNING, Seen("other", (ENDED,)), START) == Close("done", "", ENDED)
    closing = replace(RUNNING, step="closing", verdict="done")
    assert told(closing, Seen("other")) == Rest()
    assert told(closing, Seen("rest")) == Finish("done", "")
    assert told(replace(closing, step="closed"), Seen()) == Done()


@pytest.mark.parametrize("record", [PLANNED, ARMING], ids=lambda one: one.step)
def test_nothing_opens_that_is_halted_or_held(record: WaveRecord) -> None:
    assert told(None, Seen(blocked=HALTED)) == Finish("halted", HALTED.reason)
    assert told(record, Seen("prepared", blocked=HALTED)) == Close("halted", HALTED.reason)
    assert told(record, Seen("prepared", blocked=Blocked("held", "frozen"))) == Close("held", "frozen")


def test_what_is_halted_while_it_was_opened_is_closed_before_its_time() -> None:
    assert told(ARMING, Seen("armed", blocked=HALTED)) == Close("halted", HALTED.reason)
    assert told(ARMED, Seen(blocked=HALTED)) == Close("halted", HALTED.reason)


def test_what_did_not_fire_is_put_down_to_what_forbids_it_since() -> None:
    late, recalled = START + TIMES.grace, Blocked("held", "openssl is recalled by ops: it loses data")
    assert isinstance(told(ARMED, Seen(blocked=recalled), START), Wait), "it may still fire"
    assert told(ARMED, Seen(blocked=recalled), late) == Close("held", f"{recalled.reason}; it did not fire")
    found = told(ARMED, Seen(), late)
    assert isinstance(found, Close)
    assert found.verdict == "failed"


@pytest.mark.parametrize(
    "wrong", [replace(OURS, nodes=("i-1", "i-2", "i-9")), replace(OURS, ours=False)], ids=["a node", "commands"]
)
@pytest.mark.parametrize("final", [False, True], ids=["it runs", "it has ended"])
def test_what_reached_others_or_ran_something_else_is_marked_for_the_whole_release(
    wrong: Execution, final: bool
) -> None:
    found = told(RUNNING, Seen("other", (replace(wrong, final=final),)), START)
    assert isinstance(found, Close if final else Cancel)
    assert found.foreign
    failed = told(RUNNING, Seen("other", (replace(ENDED, status="CANCELLED"),)), START)
    assert isinstance(failed, Close)
    assert not failed.foreign, "its own nodes: its location has failed"


def test_another_time_read_back_closes_it() -> None:
    found = told(ARMING, Seen("misarmed"))
    assert isinstance(found, Close)
    assert found.verdict == "failed"


def test_past_its_time_it_opens_no_more() -> None:
    assert isinstance(told(PLANNED, Seen("prepared"), START), Close)
    assert told(ARMING, Seen("prepared"), START) == Wait(
        START + TIMES.grace, "the window may have opened at 2025-06-02 03:00 UTC"
    )
    gone = told(ARMING, Seen("prepared"), START + TIMES.grace)
    assert isinstance(gone, Close)
    assert gone.verdict == "late"


def test_what_does_not_fire_is_closed_and_failed_after_the_grace() -> None:
    assert isinstance(told(ARMED, Seen(), START + 9 * MINUTE), Wait)
    found = told(ARMED, Seen(), START + TIMES.grace)
    assert isinstance(found, Close)
    assert found.verdict == "failed"


@pytest.mark.parametrize("record", [PLANNED, ARMING, ARMED], ids=lambda one: one.step)
def test_a_retry_finds_the_execution_of_its_own_time(record: WaveRecord) -> None:
    assert told(record, Seen("armed", (replace(OURS, start=START + MINUTE),)), START + 2 * MINUTE) == Follow(
        replace(OURS, start=START + MINUTE)
    )


@pytest.mark.parametrize("record", [PLANNED, ARMING], ids=lambda one: one.step)
def test_an_execution_of_the_wave_at_another_time_is_cancelled_and_nothing_opens(record: WaveRecord) -> None:
    stray = replace(OURS, start=START - 40 * MINUTE)
    assert isinstance(told(record, Seen("prepared", (stray,))), Cancel)
    over = told(record, Seen("prepared", (replace(stray, final=True),)))
    assert isinstance(over, Close)
    assert over.verdict == "failed"


def test_nothing_opens_while_another_execution_of_the_window_runs() -> None:
    other = replace(OURS, ours=False, start=START - 40 * MINUTE)
    assert isinstance(told(PLANNED, Seen("prepared", (other,))), Wait)
    assert told(PLANNED, Seen("prepared", (replace(other, final=True),))) == Announce()


def test_a_node_too_many_cancels_an_install_and_is_only_told_of_a_scan() -> None:
    extra = replace(OURS, nodes=("i-1", "i-2", "i-3"))
    found = told(RUNNING, Seen("other", (extra,)), START)
    assert isinstance(found, Cancel)
    assert "i-3" in found.reason
    assert isinstance(told(replace(RUNNING, kind="scan"), Seen("other", (extra,)), START, "scan"), Wait)


def test_commands_of_others_in_its_execution_cancel_it() -> None:
    assert isinstance(told(RUNNING, Seen("other", (replace(OURS, ours=False),)), START), Cancel)


@pytest.mark.parametrize(
    ("execution", "why"),
    [
        (replace(ENDED, nodes=(), ours=None), "reached none of 2 nodes"),
        (replace(ENDED, status="CANCELLED"), "was cancelled"),
        (replace(ENDED, status="SKIPPED_OVERLAPPING", nodes=(), ours=None), "skipped"),
    ],
    ids=["empty", "cancelled", "skipped"],
)
def test_an_empty_cancelled_or_skipped_execution_is_no_success(execution: Execution, why: str) -> None:
    found = told(RUNNING, Seen("other", (execution,)), START)
    assert isinstance(found, Close)
    assert found.verdict == "failed"
    assert why in found.reason


def test_an_execution_that_aws_forgot_is_no_success() -> None:
    found = told(RUNNING, Seen("other", ()), START)
    assert isinstance(found, Close)
    assert found.verdict == "failed"


def test_a_native_scan_is_watched_and_its_window_not_touched() -> None:
    times = replace(TIMES, watched=True)
    assert decide(None, Seen(), START, times, "scan") == Choose(Opening(START, 0))
    closing = replace(RUNNING, kind="scan", step="closing", verdict="done", watched=True)
    assert decide(closing, Seen("other"), START, times, "scan") == Finish("done", "")


def test_no_time_is_chosen_while_a_call_for_an_earlier_wave_may_still_open_the_window() -> None:
    sent = replace(ARMING, step="closed", verdict="failed")
    quiet = quiet_from([sent, replace(PLANNED, step="closed"), replace(RUNNING, at=START + HOUR)], TIMES.grace)
    assert quiet == START + TIMES.grace, "neither what was never sent nor what ran counts"
    waits = told(None, Seen(quiet_from=quiet), START)
    assert isinstance(waits, Wait)
    assert waits.until == quiet
    assert isinstance(told(None, Seen(quiet_from=quiet), START + TIMES.grace), Choose)


def test_a_step_after_may_open_wherever_a_wave_could_and_is_late_when_the_cutoff_is_there() -> None:
    last_wave = TIMES.end - 2 * HOUR
    assert opening(TIMES, "install", last_wave) is None
    assert opening(TIMES, StepName("before-1"), last_wave) is None
    assert opening(TIMES, StepName("after-1"), last_wave + 30 * MINUTE) == Opening(last_wave + 35 * MINUTE, 2)
    assert opening(TIMES, StepName("after-1"), TIMES.end - HOUR) is None


@pytest.mark.parametrize(
    ("nodes", "unsuccessful", "why"),
    [
        (("i-1", "i-2"), (), ""),
        (("i-1", "i-2"), ("i-2",), "it did not succeed on 1 of 2 nodes: i-2"),
        (("i-1",), (), "it did not succeed on 1 of 2 nodes: i-2"),
    ],
)
def test_a_step_on_nodes_succeeds_where_it_did_on_each_of_them(
    nodes: tuple[str, ...], unsuccessful: tuple[str, ...], why: str
) -> None:
    found = replace(ENDED, nodes=nodes, unsuccessful=unsuccessful, tasks=("SUCCESS",))
    verdict = "failed" if why else "done"
    assert told(step("before-1", "i-1", "i-2"), Seen("other", (found,)), START) == Close(verdict, why, found)


@pytest.mark.parametrize("tasks", [("SUCCESS",), ("FAILED",), ("SUCCESS", "TIMED_OUT"), ()])
def test_a_step_on_no_node_succeeds_by_its_task_whatever_the_execution_says(tasks: tuple[str, ...]) -> None:
    found = replace(ENDED, ours=None, nodes=(), tasks=tasks)
    move = told(step("after-2"), Seen("other", (found,)), START)
    assert isinstance(move, Close)
    assert move.verdict == ("done" if tasks == ("SUCCESS",) else "failed")


def test_a_step_on_no_node_whose_window_sends_commands_is_cancelled() -> None:
    found = replace(OURS, ours=False)
    assert isinstance(told(step("before-1"), Seen("other", (found,)), START), Cancel)


def test_a_step_that_runs_for_longer_than_the_policy_says_is_cancelled_and_a_wave_is_not() -> None:
    running = replace(OURS, nodes=("i-1",))
    limited = replace(TIMES, timeout=30 * MINUTE)
    record = step("before-1", "i-1")
    waiting = decide(record, Seen("other", (running,)), START + 29 * MINUTE, limited, record.kind)
    assert isinstance(waiting, Wait)
    cancelled = decide(record, Seen("other", (running,)), START + 30 * MINUTE, limited, record.kind)
    assert cancelled == Cancel(running, "the execution e did not end within 30 minutes")
    assert isinstance(told(RUNNING, Seen("other", (OURS,)), START + 3 * HOUR), Wait)


def test_each_step_says_what_dying_behind_it_leaves() -> None:
    assert set(LEAVES) == {None, *STEPS}


def test_a_record_survives_json() -> None:
    record = replace(RUNNING, started=START, results=(Result("i-1", "Failed", "ExecutionTimedOut", "c"),))
    assert WaveRecord.of_json(record.as_json()) == record
    assert record.counts == {"expected": 2, "success": 0, "missing": 0, "failed": 1}
