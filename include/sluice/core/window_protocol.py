"""How one window of one location executes one wave, once: the next move, from what is recorded and seen. Pure.

    record, seen = …                      what was written down, and what AWS shows
    move = decide(record, seen, now, times)

A worker does the move and asks again, until the move is to wait or there is nothing left to do. It may die
anywhere: the next one reads the same record and sees the same AWS. docs/window-protocol.md explains each rule,
tests/core/test_window_protocol_world.py walks every state of a small world.

Two orders carry the promise of at most one execution:

- `PREPARING`: first the window gets a schedule that cannot fire, only then tasks and targets, and only a window
  that is exactly as prepared is opened.
- `CLOSING`: the window keeps its `at()`, which is past, until tasks and targets are at rest, and only then gets its
  own schedule back: whoever enables it on the way fires nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from sluice.core.policy.window_steps import moment_of
from sluice.core.release.terms import Kind
from sluice.core.window_record import Verdict, WaveRecord

Act = Literal["disarm", "tasks", "targets", "arm", "hold", "settle"]
PREPARING: tuple[Act, ...] = ("disarm", "tasks", "targets")
"""`disarm`: disabled, on a schedule that cannot fire. Then the wave's tasks and targets."""
CLOSING: tuple[Act, ...] = ("hold", "tasks", "targets", "settle")
"""`hold`: disabled, nothing else. Then tasks and targets at rest. `settle`: the window's own schedule."""

SOON = timedelta(seconds=5)
"""Starts were observed up to 0.4 s beside their time (UG:mw-cli-tutorial-task-info); clocks differ by more."""
AGAIN = timedelta(seconds=30)
"""When to look again at what another worker or another execution is in the way of."""


@dataclass(frozen=True, slots=True)
class Times:
    """When an execution may happen. Everything in UTC."""

    start: datetime
    """The window's planned start."""
    end: datetime
    cutoff_hours: int
    lead: timedelta
    """It opens at the earliest so long from now."""
    grace: timedelta
    """What has not begun so long after its time does not begin any more."""
    latest: datetime | None = None
    """It opens at the latest then, by the policy; None: while it fits."""
    watched: bool = False
    """Whether AWS starts it on the window's own schedule, and the window is not touched."""
    timeout: timedelta | None = None
    """What still runs so long after it began has failed; None: it may run until AWS ends it."""
    ahead: timedelta | None = None
    """What changes nodes is opened at the earliest so long before `start`: an open window fires whatever becomes of
    Airflow, alarms and recalls until then. None: as soon as it may be."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A time to open at, and for how long."""

    at: datetime
    duration_hours: int


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution of the window as far as it can be seen."""

    id: str
    start: datetime
    status: str
    final: bool
    """Whether it, and every command of it on every node, has ended."""
    ours: bool | None
    """Whether its commands are this wave's, by their log prefix; None: it has none yet, or none ever."""
    nodes: tuple[str, ...] = ()
    """Nodes that its commands were sent to."""
    unsuccessful: tuple[str, ...] = ()
    """Those on which they did not succeed, or not yet."""
    tasks: tuple[str, ...] = ()
    """Statuses of its tasks."""


WindowState = Literal["prepared", "armed", "misarmed", "rest", "other"]
"""prepared: disabled, cannot fire, tasks and targets the wave's. armed: enabled, at its time and AWS says so too.
misarmed: enabled for that time, and AWS names another or none. rest: as the policy has it."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why nothing may open now."""

    verdict: Literal["halted", "held"]
    reason: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What AWS shows of the window."""

    window: WindowState = "rest"
    executions: tuple[Execution, ...] = ()
    """Since the time was chosen, oldest first; before it is open also those that still ran then."""
    blocked: Blocked | None = None
    """Why it may not open; a halt at any time, everything else only as long as it has not opened, or when it did not
    fire."""
    quiet_from: datetime | None = None
    """When the last call that opens the window for another execution of the release can do nothing any more."""


@dataclass(frozen=True, slots=True)
class Wait:
    """There is nothing to do before `until`."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Choose:
    """Write down the time; whoever comes first chooses it for all."""

    opening: Opening


@dataclass(frozen=True, slots=True)
class Finish:
    """Write down that it is over; the window was not touched, or is at rest again."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Prepare:
    """Do `PREPARING`."""


@dataclass(frozen=True, slots=True)
class Announce:
    """Write down that the window is about to be opened."""


@dataclass(frozen=True, slots=True)
class Arm:
    """Open the window: one call."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Write down that the window was read back as it should be."""


@dataclass(frozen=True, slots=True)
class Follow:
    """Write down which execution it is."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel an execution and its commands, and close as failed."""

    execution: Execution
    reason: str
    foreign: bool = False
    """Whether it reached nodes, or runs commands, that are not the wave's."""


@dataclass(frozen=True, slots=True)
class Close:
    """Write down what came of it, before the window is put to rest."""

    verdict: Verdict
    reason: str
    execution: Execution | None = None
    foreign: bool = False
    """As of `Cancel`."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Do `CLOSING`."""


@dataclass(frozen=True, slots=True)
class Done:
    """It is over."""


Move: TypeAlias = Wait | Choose | Finish | Prepare | Announce | Arm | Trust | Follow | Cancel | Close | Rest | Done

DRIVES = (Choose, Prepare, Announce, Arm, Rest)
"""Moves that only the holder of the window's lease makes. The others write what was seen, over what was read, or stop
an execution of the wave's own: whoever drives the window now."""


def opening(times: Times, kind: Kind, now: datetime) -> Opening | None:
    """When and for how long it opens, chosen now; None: it fits no more.

    An execution that changes nodes ends with the window: whole hours, rounded down, and at least the cutoff and one
    more must be left. A scan changes nothing: it may end up to an hour later, and is late when the cutoff is there. So
    may a step after the waves: wherever a wave could open, what belongs behind it can.
    """
    at = max(times.start, _whole_minutes(now + times.lead))
    if times.latest is not None and at > times.latest:
        return None
    left = times.end - at
    hour = timedelta(hours=1)
    hours = -(-left // hour) if scans(kind) or moment_of(kind) == "after" else left // hour
    return Opening(at, hours) if hours > times.cutoff_hours else None


def quiet_from(records: Iterable[WaveRecord], grace: timedelta) -> datetime | None:
    """When no call that opens the window for one of the executions can do anything any more; None: none was sent.

    One that ran is past its time, and its `at()` with it.
    """
    sent = [one.time + grace for one in records if one.sent and one.execution is None and not one.watched]
    return max(sent, default=None)


def scans(kind: Kind) -> bool:
    """Whether it changes nothing on its nodes."""
    return kind in ("scan", "rescan", "ask")


def decide(record: WaveRecord | None, seen: Seen, now: datetime, times: Times, kind: Kind) -> Move:
    """The next move."""
    if record is None:
        return _first(seen, now, times, kind)
    if record.step in ("planned", "arming"):
        return _before_it_is_open(record, seen, now, times)
    if record.step == "armed":
        return _open(record, seen, now, times)
    if record.step == "running":
        return _running(record, seen, now, times)
    if record.step == "closing":
        return Finish(record.verdict, record.reason) if record.watched or seen.window == "rest" else Rest()
    return Done()


def opens_from(times: Times, kind: Kind) -> datetime | None:
    """When its time may be chosen at the earliest; None: at any time, since it changes nothing on its nodes."""
    return None if times.ahead is None or scans(kind) else times.start - times.ahead


def _first(seen: Seen, now: datetime, times: Times, kind: Kind) -> Move:
    if seen.blocked:
        return Finish(seen.blocked.verdict, seen.blocked.reason)
    if times.watched:
        return Choose(Opening(times.start, 0))
    earliest = opens_from(times, kind)
    if earliest is not None and now < earliest:
        return Wait(earliest, f"its window starts at {_clock(times.start)}, and is opened shortly before")
    found = opening(times, kind, now)
    if found is None:
        return Finish(
            "late",
            f"expected to open so that the cutoff and an hour are left before {_clock(times.end)},"
            f" found {_clock(now)}, and {times.lead} needed to open: nothing was opened",
        )
    if seen.quiet_from is not None and now < seen.quiet_from:
        return Wait(seen.quiet_from, "a call that opens the window for another wave may still be on its way")
    return Choose(found)


def _before_it_is_open(record: WaveRecord, seen: Seen, now: datetime, times: Times) -> Move:
    return (
        _already_started(record, seen, times)
        or _forbidden(seen)
        or _read_back(record, seen)
        or _past_its_time(record, now, times)
        or _towards_opening(record, seen, now)
    )


def _already_started(record: WaveRecord, seen: Seen, times: Times) -> Move | None:
    if stray := _stray(record, seen, times):
        return _cancelled(
            stray,
            f"the window was started at {_clock(stray.start)}, and not at its time {_clock(record.time)}:"
            " somebody enabled it",
        )
    found = _at_its_time(record, seen, times)
    return Follow(found) if found and (record.sent or found.ours) else None


def _forbidden(seen: Seen) -> Move | None:
    return Close(seen.blocked.verdict, seen.blocked.reason) if seen.blocked else None


def _read_back(record: WaveRecord, seen: Seen) -> Move | None:
    if record.sent and seen.window == "armed":
        return Trust()
    if record.sent and seen.window == "misarmed":
        at = _clock(record.time)
        return Close("failed", f"the window was opened for {at}, and AWS names another time or none for it")
    return None


def _past_its_time(record: WaveRecord, now: datetime, times: Times) -> Move | None:
    at = record.time
    if now < at:
        return None
    if record.sent and now < at + times.grace:
        return Wait(at + times.grace, f"the window may have opened at {_clock(at)}")
    return Close("late", f"the window was to open at {_clock(at)}, which passed before it was opened; it opens no more")


def _towards_opening(record: WaveRecord, seen: Seen, now: datetime) -> Move:
    if any(not one.final for one in seen.executions):
        return Wait(min(record.time, now + AGAIN), "another execution of the window is running")
    if seen.window != "prepared":
        return Prepare()
    return Arm() if record.sent else Announce()


def _open(record: WaveRecord, seen: Seen, now: datetime, times: Times) -> Move:
    at = record.time
    if found := _at_its_time(record, seen, times):
        return Follow(found)
    if seen.blocked and seen.blocked.verdict == "halted":
        return Close("halted", seen.blocked.reason)
    if now < at:
        return Wait(at, f"the window opens at {_clock(at)}")
    if now < at + times.grace:
        return Wait(min(at + times.grace, now + AGAIN), f"the window should have opened at {_clock(at)}")
    if seen.blocked:
        return Close(seen.blocked.verdict, f"{seen.blocked.reason}; it did not fire")
    minutes = times.grace // timedelta(minutes=1)
    return Close("failed", f"no execution began within {minutes} minutes of {_clock(at)}: the window did not fire")


def _running(record: WaveRecord, seen: Seen, now: datetime, times: Times) -> Move:
    found = next((one for one in seen.executions if one.id == record.execution), None)
    if found is None:
        return Close("failed", f"AWS no longer knows the execution {record.execution}")
    if wrong := _not_the_waves(record, found):
        return _cancelled(found, wrong, foreign=True)
    if not found.final:
        if times.timeout is not None and now >= found.start + times.timeout:
            minutes = times.timeout // timedelta(minutes=1)
            return Cancel(found, f"the execution {found.id} did not end within {minutes} minutes")
        return Wait(now, f"the execution {found.id} is {found.status}")
    return _ended(record, seen, found)


def _ended(record: WaveRecord, seen: Seen, found: Execution) -> Move:
    if found.status == "CANCELLED":
        if seen.blocked and seen.blocked.verdict == "halted":
            return Close("halted", seen.blocked.reason, found)
        return Close("failed", f"the execution {found.id} was cancelled", found)
    if found.status == "SKIPPED_OVERLAPPING":
        return Close("failed", f"AWS skipped the execution {found.id}: another one was running", found)
    if record.nodes and not found.nodes:
        return Close("failed", f"the execution {found.id} reached none of {len(record.nodes)} nodes", found)
    if moment_of(record.kind) and (wrong := _step_failed(record, found)):
        return Close("failed", wrong, found)
    return Close("done", "", found)


def _step_failed(record: WaveRecord, found: Execution) -> str | None:
    """Why a step has not succeeded; None: it has, on every node that it is for, or its task where it is for none."""
    if record.nodes:
        bad = sorted({*found.unsuccessful, *record.nodes} - (set(found.nodes) - set(found.unsuccessful)))
        some = f"{', '.join(bad[:10])}{' and others' if len(bad) > 10 else ''}"
        return f"it did not succeed on {len(bad)} of {len(record.nodes)} nodes: {some}" if bad else None
    if found.tasks == ("SUCCESS",):
        return None
    return f"expected its one task to end as SUCCESS, found {', '.join(found.tasks) or 'no task'}"


def _cancelled(found: Execution, reason: str, *, foreign: bool = False) -> Move:
    """Cancel it, unless it has ended; either way the wave has failed."""
    return Close("failed", reason, found, foreign) if found.final else Cancel(found, reason, foreign)


def _not_the_waves(record: WaveRecord, found: Execution) -> str | None:
    """Why an execution at the wave's time is not what the wave is to be; None: it is."""
    if found.ours is False:
        return f"the execution {found.id} runs commands that are not this wave's: the window was changed meanwhile"
    extra = sorted(set(found.nodes) - set(record.nodes))
    if extra and not scans(record.kind):
        return f"expected the {len(record.nodes)} nodes of the wave, found also {', '.join(extra[:10])}"
    return None


def _at_its_time(record: WaveRecord, seen: Seen, times: Times) -> Execution | None:
    """The execution that began at the wave's time."""
    at = record.time
    return next((one for one in seen.executions if at - SOON <= one.start <= at + times.grace), None)


def _stray(record: WaveRecord, seen: Seen, times: Times) -> Execution | None:
    """An execution of this wave's own commands at another time: AWS was made to run it. A scan harms nobody."""
    if scans(record.kind):
        return None
    own = [one for one in seen.executions if one.ours]
    at = record.time
    return next((one for one in own if not at - SOON <= one.start <= at + times.grace), None)


def _whole_minutes(moment: datetime) -> datetime:
    """The next whole minute, so that people read the same time everywhere."""
    floor = moment.replace(second=0, microsecond=0)
    return floor if floor == moment else floor + timedelta(minutes=1)


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment.second else f"{moment:%Y-%m-%d %H:%M} UTC"
