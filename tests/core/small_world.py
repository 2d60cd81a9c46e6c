"""Every state of a small world around the window protocol: locations, releases, workers that die or are late, hands.

One step of the world is one call of AWS, one tick of the clock, or one thing that people do. What a worker sees,
decides and does first is one step too, as its lease and its conditional writes have it; a call may instead be on its
way while its worker is overtaken (`LATE`), and land at any later time, once. Dying needs no step of its own: a worker
that never does another one is dead, and another may begin at any time.

The worker's decisions are the product's own (`sluice.core.window_protocol`), AWS is the few lines of `_land` and
`_fire`. Everything is a tuple, so that a state that was seen is known again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sluice.core import window_protocol as protocol
from sluice.core.window_protocol import (
    CLOSING,
    DRIVES,
    PREPARING,
    Announce,
    Arm,
    Cancel,
    Choose,
    Close,
    Done,
    Execution,
    Finish,
    Follow,
    Move,
    Prepare,
    Rest,
    Seen,
    Times,
    Trust,
    Wait,
)
from sluice.core.window_record import WaveRecord

TICK = timedelta(hours=1)
BEGIN = datetime(2025, 6, 2, tzinfo=UTC)
NEVER, OWN = 1000, 2000
"""Schedules of a window: one that cannot fire, and its own; others are the tick of an at().

Nothing here is -2: Python's hash of it is that of -1, so states that differ would be taken for one.
"""
WAVES = ((1, 1), (1, 2), (2, 1))
"""Release and wave of every execution that the world wants, by index."""
NOBODY = 0
SWEEP = 9
"""The owner of a sweep's lease."""


class Window(NamedTuple):
    enabled: bool = False
    schedule: int = OWN
    task: int = -1
    """Index of the wave whose Install it is; -1: at rest."""
    target: int = -1


AT_REST = Window()


class Record(NamedTuple):
    step: str
    at: int = -1
    chosen: int = 0
    sent: bool = False
    execution: int = -1
    verdict: str = ""


class Run(NamedTuple):
    """An execution."""

    tick: int
    task: int
    target: int
    status: str = "run"


class Worker(NamedTuple):
    kind: str
    """wave, close or sweep."""
    owner: int
    wave: int = -1
    queue: tuple[tuple[Any, ...], ...] = ()
    """Calls that are decided and not made."""


class Place(NamedTuple):
    """A location."""

    window: Window = AT_REST
    lease: tuple[int, int] = (NOBODY, 0)
    """Owner, and the tick at which it ends."""
    records: tuple[Record | None, ...] = (None,) * len(WAVES)
    workers: tuple[Worker, ...] = ()
    late: tuple[Any, ...] | None = None
    """A call on its way, whose worker was overtaken."""
    runs: tuple[Run, ...] = ()
    """Executions that somebody may still ask for, one a tick at most."""
    ran: tuple[int, ...] = ()
    """Waves whose own Install ran, once for each time."""
    mixed: bool = False
    """Whether an Install of one wave ran on the nodes of another."""
    unplanned: bool = False
    """Whether an Install ran at another time than its record's, or before it was announced."""


class State(NamedTuple):
    now: int = 0
    late: int = 0
    """How many calls may still come late."""
    hands: int = 0
    """How often somebody may still enable a window."""
    was_late: bool = False
    places: tuple[Place, ...] = (Place(),)


@dataclass(frozen=True)
class Rules:
    """The protocol that is walked: the product's, or one that a test has spoilt."""

    decide: Callable[[WaveRecord | None, Seen, datetime, Times, Any], Move] = protocol.decide
    closing: tuple[str, ...] = CLOSING
    preparing: tuple[str, ...] = PREPARING
    fenced: bool = True
    """Whether a worker that was overtaken makes no further call."""
    keeps_lease: bool = True
    """Whether the close keeps the lease until no call that opens the window can matter any more."""
    leased: bool = True
    """Whether a lease keeps other releases away."""
    conditional: bool = True
    """Whether the record is written only over what was read."""


@dataclass
class World:
    """What is walked, and what was found on the way."""

    locations: int = 1
    late: int = 1
    hands: int = 1
    own_tick: int | None = None
    """When the window's own schedule fires; None: never, as a window at rest has a start date that does not come."""
    last_tick: int = 6
    waves: tuple[int, ...] = (0, 1, 2)
    """Indices of the waves that are wanted."""
    starts: tuple[int, int] = (1, 2)
    """Planned start of each release."""
    length: int = 2
    """Ticks that a window is open."""
    left: Window = AT_REST
    """What the window is at the beginning: at rest, or as somebody left it."""
    rules: Rules = field(default_factory=Rules)
    states: int = 0
    steps: int = 0
    fired: int = 0
    """States in which an Install had run."""

    def walk(self, at_most: int = 20_000_000) -> str | None:
        """Every state, nearest first; what is broken, as a story, or None.

        States are remembered by their hash (64 bits): of ten million, two that differ are taken for one with a chance
        of some three in a million.
        """
        first = State(late=self.late, hands=self.hands, places=(Place(self.left),) * self.locations)
        before: dict[int, tuple[int, str]] = {hash(first): (0, "")}
        frontier = deque([first])
        while frontier:
            state = frontier.popleft()
            self.states += 1
            self.fired += any(place.ran for place in state.places)
            if broken := self.broken(state):
                return _story(before, hash(state), broken)
            for told, following in self.steps_from(state):
                self.steps += 1
                known = hash(following)
                if known not in before:
                    before[known] = (hash(state), told)
                    frontier.append(following)
            assert len(before) < at_most, f"more than {at_most} states"
        return None

    def _essence(self, place: Place, now: int) -> Place:
        """A place without what makes no difference any more, so that states that go on alike are one."""
        records = tuple(one and _essence_of(one, now) for one in place.records)
        open_since = [min(one.chosen, one.at) for one in records if one and one.step != "closed"]
        since = min(open_since, default=now + 1)
        followed = {one.execution for one in records if one}
        runs = tuple(
            run
            for run in place.runs
            if run.status in ("run", "cancelling") or run.tick >= since or run.tick in followed
        )
        lease = place.lease if place.lease[1] > now else (NOBODY, 0)
        return place._replace(records=records, runs=runs, lease=lease)

    # what may happen

    def steps_from(self, state: State) -> Iterator[tuple[str, State]]:
        if state.now < self.last_tick:
            yield f"tick {state.now + 1}", self._tick(state)
        for index, place in enumerate(state.places):
            for told, following, late, hands in self._steps_at(state, place):
                places = list(state.places)
                places[index] = self._essence(following, state.now)
                yield (
                    f"[{index}] {told}",
                    State(
                        state.now,
                        state.late - late,
                        state.hands - hands,
                        state.was_late or bool(late),
                        tuple(sorted(places, key=repr)) if len(places) > 1 else tuple(places),
                    ),
                )

    def _steps_at(self, state: State, place: Place) -> Iterator[tuple[str, Place, int, int]]:
        yield from ((told, after, 0, 0) for told, after in self._beginnings(state, place))
        for worker in place.workers:
            for told, after, late in self._worker_steps(state, place, worker):
                yield told, after, late, 0
        if place.late is not None:
            yield f"late call lands: {place.late}", self._land(place._replace(late=None), place.late), 0, 0
        if state.hands and not place.window.enabled:
            yield "a hand enables the window", place._replace(window=place.window._replace(enabled=True)), 0, 1
        for run in place.runs:
            if run.status in ("run", "cancelling"):
                yield f"the execution of tick {run.tick} ends", _with_run(place, _ended(run)), 0, 0

    def _beginnings(self, state: State, place: Place) -> Iterator[tuple[str, Place]]:
        """Another worker begins: it takes the lease, and who had it before finds that out."""
        for index in self.waves:
            if self._may_begin(state, index):
                yield from self._wave_begins(state, place, index)
        for release in {WAVES[index][0] for index in self.waves}:
            ours = [place.records[index] for index in self.waves if WAVES[index][0] == release]
            if any(ours) and self._free(state, place, release):
                worker = Worker("close", release)
                if worker not in place.workers:
                    yield f"close of release {release} begins", self._taken(state, place, worker)
        stale = _stale(place.window) or any(worker.kind == "sweep" for worker in place.workers)
        if stale and self._free(state, place, SWEEP):
            worker = Worker("sweep", SWEEP)
            if worker not in place.workers:
                yield "a sweep begins", self._taken(state, place, worker)

    def _may_begin(self, state: State, index: int) -> bool:
        """The barrier: a later wave opens when the one before is closed, in every location."""
        release, wave = WAVES[index]
        if wave == 1:
            return True
        before = WAVES.index((release, wave - 1))
        records = [place.records[before] for place in state.places]
        return all(one is not None and one.step == "closed" and one.verdict in ("done", "failed") for one in records)

    def _wave_begins(self, state: State, place: Place, index: int) -> Iterator[tuple[str, Place]]:
        release = WAVES[index][0]
        move = self._decide(state, place, index)
        if isinstance(move, (Wait, Done)):
            return
        if not isinstance(move, DRIVES):
            done = place
            for call in self._calls(state, place, index, move):  # it may die between two of them
                done = self._land(done, call)
                yield f"wave {WAVES[index]}: {type(move).__name__}", done
        elif self._free(state, place, release):
            worker = Worker("wave", release, index)
            if worker not in place.workers:
                yield f"a worker of wave {WAVES[index]} takes the lease", self._taken(state, place, worker)
        elif isinstance(move, Rest):
            record = place.records[index]
            assert record is not None
            yield f"wave {WAVES[index]} leaves the window", _with_record(place, index, record._replace(step="closed"))

    def _free(self, state: State, place: Place, owner: int) -> bool:
        holder, ends = place.lease
        return not self.rules.leased or holder in (NOBODY, owner) or state.now >= ends

    def _taken(self, state: State, place: Place, worker: Worker) -> Place:
        holder, ends = place.lease
        expires = state.now + 1 if worker.kind != "wave" else max(self._end(worker.owner), state.now) + 1
        if holder == worker.owner and state.now < ends:
            expires = max(ends, expires)
        others = () if self.rules.fenced else place.workers[-1:]
        return place._replace(lease=(worker.owner, expires), workers=(*others, worker))

    def _end(self, release: int) -> int:
        return self.starts[release - 1] + self.length

    def _worker_steps(self, state: State, place: Place, worker: Worker) -> Iterator[tuple[str, Place, int]]:
        calls, told = worker.queue, f"{worker.kind} {worker.owner}"
        if not calls:
            calls, told = self._decided(state, place, worker)
        others = tuple(one for one in place.workers if one is not worker)
        if not calls:
            yield f"{told}: leaves", place._replace(workers=others), 0
            return
        call, rest = calls[0], calls[1:]
        after = place._replace(workers=(*others, worker._replace(queue=rest)))
        landed = self._land(after, call)
        yield f"{told}: {call}", landed, 0
        if state.late and place.late is None and call[0] not in ("lease",):
            yield f"{told}: LATE {call}", place._replace(workers=others, late=call), 1

    def _decided(self, state: State, place: Place, worker: Worker) -> tuple[tuple[tuple[Any, ...], ...], str]:
        if worker.kind == "wave":
            move = self._decide(state, place, worker.wave)
            told = f"wave {WAVES[worker.wave]} decides {type(move).__name__}"
            return self._calls(state, place, worker.wave, move), told
        if worker.kind == "close":
            return self._closing(state, place, worker), f"close {worker.owner}"
        calls = self._to_rest(place) if _stale(place.window) else ()
        return calls or ((("lease", SWEEP, None),) if place.lease[0] == SWEEP else ()), "sweep"

    def _closing(self, state: State, place: Place, worker: Worker) -> tuple[tuple[Any, ...], ...]:
        for index in self.waves:
            record = place.records[index]
            if WAVES[index][0] != worker.owner or record is None or record.step == "closed":
                continue
            if record.step != "closing":
                return (("record", index, record, record._replace(step="closing", verdict="failed")),)
            calls = self._to_rest(place)
            return calls or (("record", index, record, record._replace(step="closed")),)
        if _stale(place.window):
            return self._to_rest(place)
        return (
            (("lease", worker.owner, self._lease_until(state, place, worker.owner)),)
            if place.lease[0] == worker.owner
            else ()
        )

    def _lease_until(self, state: State, place: Place, release: int) -> int | None:
        last = self._quiet_from(place, release) if self.rules.keeps_lease else None
        return None if last is None or last <= _at(state.now) else (last - BEGIN) // TICK

    def _quiet_from(self, place: Place, release: int) -> datetime | None:
        ours = [(one, index) for index, one in enumerate(place.records) if one and WAVES[index][0] == release]
        return protocol.quiet_from([_as_record(one, index) for one, index in ours], TICK)

    # what a worker sees, decides and calls

    def _decide(self, state: State, place: Place, index: int) -> Move:
        record = place.records[index]
        release = WAVES[index][0]
        window = _state_of(place.window, record, index, state.now) if record else "other"
        seen = tuple(run for run in place.runs if record is not None and run.tick >= min(record.chosen, record.at))
        if record is not None and record.step == "running":
            seen = tuple(run for run in seen if run.tick == record.execution)
        quiet = None if record else self._quiet_from(place, release)
        return self._asked(record, index, window, seen, quiet, state.now, self.starts[release - 1])

    def _asked(
        self,
        record: Record | None,
        index: int,
        window: str,
        seen: Any,
        quiet: datetime | None,
        now: int,
        start: int,
    ) -> Move:
        key = (record, index, window, seen, quiet, now, start, self.length)
        if key not in self._known:
            executions = tuple(_execution(run, index) for run in seen)
            given = None if record is None else _as_record(record, index)
            times = Times(_at(start), _at(start + self.length), 0, TICK, TICK)
            sight = Seen(window, executions, quiet_from=quiet)  # type: ignore[arg-type]  # one of its words
            self._known[key] = self.rules.decide(given, sight, _at(now), times, "install")
        return self._known[key]

    def __post_init__(self) -> None:
        self._known: dict[Any, Move] = {}

    def _calls(self, state: State, place: Place, index: int, move: Move) -> tuple[tuple[Any, ...], ...]:
        """The calls that a move is."""
        record = place.records[index]
        if isinstance(move, (Wait, Done)):
            return ()
        if isinstance(move, (Prepare, Rest)):
            wanted = Window(False, NEVER, index, index)
            return (
                self._acts(self.rules.preparing, place, wanted) if isinstance(move, Prepare) else self._to_rest(place)
            )
        if isinstance(move, Arm):
            assert record is not None
            return (("window", True, record.at),)
        written = ("record", index, record, _written(record, move, state.now))
        return (("cancel", int(move.execution.id)), written) if isinstance(move, Cancel) else (written,)

    def _to_rest(self, place: Place) -> tuple[tuple[Any, ...], ...]:
        return self._acts(self.rules.closing, place, AT_REST)

    def _acts(self, acts: tuple[str, ...], place: Place, wanted: Window) -> tuple[tuple[Any, ...], ...]:
        found = place.window
        calls = {
            "hold": ("hold",) if found.enabled else None,
            "disarm": ("window", False, NEVER) if found[:2] != wanted[:2] else None,
            "settle": ("window", False, OWN) if found[:2] != wanted[:2] else None,
            "tasks": ("task", wanted.task) if found.task != wanted.task else None,
            "targets": ("target", wanted.target) if found.target != wanted.target else None,
        }
        return tuple(call for act in acts if (call := calls[act]) is not None)

    # AWS

    def _land(self, place: Place, call: tuple[Any, ...]) -> Place:
        """A call arrives."""
        kind, window = call[0], place.window
        if kind in ("window", "hold", "task", "target"):
            changed = {
                "window": lambda: window._replace(enabled=call[1], schedule=call[2]),
                "hold": lambda: window._replace(enabled=False),
                "task": lambda: window._replace(task=call[1]),
                "target": lambda: window._replace(target=call[1]),
            }[kind]()
            return place._replace(window=changed)
        if kind == "cancel":
            running = [run for run in place.runs if run.tick == call[1] and run.status == "run"]
            return _with_run(place, running[0]._replace(status="cancelling")) if running else place
        return self._land_lease(place, *call[1:]) if kind == "lease" else self._land_record(place, *call[1:])

    def _land_lease(self, place: Place, owner: int, until: int | None) -> Place:
        holder, ends = place.lease
        if holder != owner:
            return place
        return place._replace(lease=(NOBODY, 0) if until is None else (owner, min(ends, until)))

    def _land_record(self, place: Place, index: int, was: Record | None, then: Record) -> Place:
        if self.rules.conditional and place.records[index] != was:
            return place
        return _with_record(place, index, then)

    def _tick(self, state: State) -> State:
        now = state.now + 1
        places = [self._essence(self._fire(place, now), now) for place in state.places]
        return state._replace(now=now, places=tuple(sorted(places, key=repr)) if len(places) > 1 else tuple(places))

    def _fire(self, place: Place, now: int) -> Place:
        """A window that is enabled fires at its time; one that has an execution is skipped."""
        window = place.window
        due = window.schedule == now or (window.schedule == OWN and now == self.own_tick)
        if not (window.enabled and due):
            return place
        busy = any(run.status in ("run", "cancelling") for run in place.runs)
        if window.task < 0 or window.target < 0:
            run = Run(now, -1, -1, "done")  # a scan, or nobody
        else:
            run = Run(now, window.task, window.target, "skipped" if busy else "run")
        place = place._replace(runs=(*place.runs, run))
        if run.status != "run":
            return place
        if run.task != run.target:
            return place._replace(mixed=True)
        record = place.records[run.task]
        planned = record is not None and record.sent and record.at == now
        ran = tuple(sorted((*place.ran, run.task)))
        return place._replace(ran=ran, unplanned=place.unplanned or not planned)

    # what must hold

    def broken(self, state: State) -> str | None:
        for place in state.places:
            if len(place.ran) != len(set(place.ran)):
                return f"more than one Install execution of a wave: {place.ran}"
            if place.mixed and not state.was_late:
                return f"an Install of one wave on the nodes of another, and nothing came late: {place.runs}"
            if place.unplanned:
                return f"an Install ran that was not announced for this time: {place}"
            for index, record in enumerate(place.records):
                if record and record.verdict == "done" and index not in place.ran:
                    return f"wave {WAVES[index]} is done, and its Install never ran: {place}"
            if why := self._never_at_rest(state, place):
                return why
        return None

    def _never_at_rest(self, state: State, place: Place) -> str | None:
        """Whether close and sweep leave anything, when all leases are over and a late call has come or gone."""
        for late in {place.late, None}:
            landed = self._land(place, late) if late else place
            runs = tuple(_ended(run) if run.status in ("run", "cancelling") else run for run in landed.runs)
            end = self._cleaned(state, landed._replace(late=None, workers=(), lease=(NOBODY, 0), runs=runs))
            if end.window != AT_REST or any(one and one.step != "closed" for one in end.records):
                return f"not at rest after close and sweep: {end}"
        return None

    def _cleaned(self, state: State, place: Place) -> Place:
        key = (place.window, place.records, place.runs)
        if key not in self._clean:
            later = state._replace(now=self.last_tick + self.length + 2)
            for worker in (Worker("close", 1), Worker("close", 2), Worker("sweep", SWEEP)):
                place = self._taken(later, place._replace(lease=(NOBODY, 0)), worker)
                for _ in range(20):
                    calls, _told = self._decided(later, place, worker)
                    for call in calls:
                        place = self._land(place, call)
                    if not calls:
                        break
                place = place._replace(workers=())
            self._clean[key] = place
        return self._clean[key]

    @property
    def _clean(self) -> dict[Any, Place]:
        return self.__dict__.setdefault("_cleaned_places", {})


def _written(record: Record | None, move: Move, now: int) -> Record:
    """The record as a move writes it."""
    if isinstance(move, Choose):
        return Record("planned", (move.opening.at - BEGIN) // TICK, now, record.sent if record else False)
    if isinstance(move, Finish):
        return record._replace(step="closed") if record else Record("closed", verdict=move.verdict)
    assert record is not None
    if isinstance(move, Follow):
        return record._replace(step="running", execution=int(move.execution.id))
    if isinstance(move, (Close, Cancel)):
        return record._replace(step="closing", verdict=move.verdict if isinstance(move, Close) else "failed")
    assert isinstance(move, (Announce, Trust)), move
    return record._replace(step="arming", sent=True) if isinstance(move, Announce) else record._replace(step="armed")


def _state_of(window: Window, record: Record, index: int, now: int) -> str:
    """What `sluice.flow.sight` makes of a window."""
    if window == AT_REST:
        return "rest"
    if record.step == "closing" or (window.task, window.target) != (index, index):
        return "other"
    if (window.enabled, window.schedule) == (False, NEVER):
        return "prepared"
    return "armed" if (window.enabled, window.schedule) == (True, record.at) else "other"


def _execution(run: Run, index: int) -> Execution:
    words = {"run": "IN_PROGRESS", "cancelling": "CANCELLING", "done": "SUCCESS", "cancelled": "CANCELLED"}
    nothing = run.target < 0 or run.status == "skipped"
    nodes = () if nothing else ("ours",) if run.target == index else ("others",)
    return Execution(
        id=str(run.tick),
        start=_at(run.tick),
        status=words.get(run.status, "SKIPPED_OVERLAPPING"),
        final=run.status not in ("run", "cancelling"),
        ours=None if nothing else run.task == index,
        nodes=nodes,
    )


@cache
def _as_record(record: Record, index: int) -> WaveRecord:
    release, wave = WAVES[index]
    return WaveRecord(
        release=str(release),
        wave=wave,
        location="here",
        kind="install",
        window_id="mw",
        step=record.step,  # type: ignore[arg-type]  # one of its words
        chosen=_at(record.chosen),
        slots=(("slot", ("ours",)),),
        at=_at(record.at),
        duration_hours=1,
        sent=record.sent,
        execution=None if record.execution < 0 else str(record.execution),
        verdict=record.verdict,  # type: ignore[arg-type]  # one of its words
    )


def _at(tick: int) -> datetime:
    return BEGIN + tick * TICK


def _stale(window: Window) -> bool:
    return window != AT_REST


def _ended(run: Run) -> Run:
    return run._replace(status={"run": "done", "cancelling": "cancelled"}.get(run.status, run.status))


def _with_record(place: Place, index: int, record: Record) -> Place:
    return place._replace(records=(*place.records[:index], record, *place.records[index + 1 :]))


def _with_run(place: Place, changed: Run) -> Place:
    return place._replace(runs=tuple(changed if run.tick == changed.tick else run for run in place.runs))


def _essence_of(record: Record, now: int) -> Record:
    """A closed record is asked only for its verdict, and for how long the lease is kept because of it."""
    if record.step != "closed":
        return record
    kept = record.sent and record.execution < 0 and record.at + 1 > now
    return Record("closed", at=record.at if kept else -1, sent=kept, verdict=record.verdict)


def _story(before: dict[int, tuple[int, str]], at: int, broken: str) -> str:
    told = []
    while before[at][1]:
        at, step = before[at]
        told.append(step)
    return "\n".join([broken, *(f"  {number:2} {step}" for number, step in enumerate(reversed(told), start=1))])
