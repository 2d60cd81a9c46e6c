"""A worker on one wave in one location: the moves of `sluice.core.window_protocol`, carried out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sluice.aws import leases, operations, patch_states
from sluice.aws.operations import Stored
from sluice.aws.session import Connection
from sluice.core.errors import LeasedError, LostError, ReleaseError
from sluice.core.json_text import encoded
from sluice.core.lease import Lease
from sluice.core.release.terms import Kind
from sluice.core.window_objects import armed
from sluice.core.window_protocol import (
    AGAIN,
    DRIVES,
    Announce,
    Arm,
    Cancel,
    Choose,
    Close,
    Done,
    Finish,
    Follow,
    Move,
    Prepare,
    Rest,
    Trust,
    Wait,
    decide,
)
from sluice.core.window_record import SUCCESS, Result, Verdict, WaveRecord
from sluice.flow.execution import Looked, cancel, with_missing
from sluice.flow.records import read_record, step_of
from sluice.flow.run import Run
from sluice.flow.sight import Sight

MOVES = 30
"""More than any way through the protocol has: whoever needs more is undone by somebody else, again and again."""


class Driver:
    """What a worker has read, and the lease if it holds it."""

    def __init__(self, run: Run, connection: Connection, location: str, wave: int, kind: Kind) -> None:
        self.run = run
        self.connection = connection
        self.sight = Sight(run, connection, location, wave, kind)
        self.own = self.sight.own
        self.key = operations.step_key(run.release.id, step_of(wave, kind))
        self.stored: Stored | None = None
        self.record: WaveRecord | None = None
        self._lease: Lease | None = None

    def advance(self) -> Wait | Done:
        """Move after move, until there is nothing to do now.

        Raises ReleaseError where somebody undoes every move.
        """
        for _ in range(MOVES):
            move = self.next()
            if isinstance(move, (Wait, Done)):
                return move
            if in_the_way := self._try(move):
                return in_the_way
        raise ReleaseError(
            f"{self.connection.key}: window {self.own.name} was changed again and again while wave"
            f" {self.sight.wave} was driven: find out who changes it, and run this step again"
        )

    def next(self) -> Move:
        """The next move."""
        self._read()
        if self.record is None and (stopped := self.sight.stopped()):
            return Finish(*stopped)
        if self.record is None and self.sight.idle:
            return Finish("skipped", "no node of the wave needs it here")
        if self.record is not None and self.record.step == "closed":
            return Done()
        now = self.connection.now()
        return decide(self.record, self.sight.seen(self.record, now), now, self.sight.times, self.sight.kind)

    def close(self, verdict: Verdict, reason: str) -> WaveRecord | None:
        """End it wherever it is, and put the window to rest; what is recorded then, None: nothing ever was."""
        self._read()
        record = self.record
        if record is None or record.step == "closed":
            return record
        if record.step != "closing":
            seen = self.sight.seen(record, self.connection.now()).executions if record.step == "running" else ()
            self._close(Close(verdict, reason, seen[0] if seen else None))
        if not record.watched:
            self._rest(Rest())
        self._write(step="closed")
        return self.record

    def _try(self, move: Move) -> Wait | None:
        """Do a move; what to wait for where somebody else is in the way.

        The lease comes first, and what was seen before it is looked at again: what another worker was doing then, it
        does no more.
        """
        try:
            if self._lease is None and isinstance(move, DRIVES):
                self._held()
                return None
            _DO[type(move)](self, move)
        except LeasedError as error:
            if not isinstance(move, Rest):
                return Wait(self.connection.now() + AGAIN, str(error))
            self._write(step="closed")  # whoever drives the window now has prepared it anew: nothing of ours is left
        except LostError as error:
            return Wait(self.connection.now() + AGAIN, f"another worker is at it: {error}")
        return None

    def _choose(self, move: Choose) -> None:
        self._held()
        watched = self.sight.times.watched
        chosen = self._new(
            step="armed" if watched else "planned",
            window_id=self.own.id,
            at=move.opening.at,
            duration_hours=move.opening.duration_hours,
            slots=self.sight.slots(),
            watched=watched,
            sent=watched,
        )
        self._put(replace(chosen, log_prefixes=self.sight.log_prefixes(chosen)), None)

    def _finish(self, move: Finish) -> None:
        if self.record is None:
            self._put(self._new(step="closed", verdict=move.verdict, reason=move.reason), None)
        else:
            self._write(step="closed")

    def _prepare(self, move: Prepare) -> None:
        record = self._known()
        if (prefixes := self.sight.log_prefixes(record)) != record.log_prefixes:
            self._write(log_prefixes=prefixes)
        self.own.prepare(self._held(), self.sight.wanted(self._known()))

    def _announce(self, move: Announce) -> None:
        self._held()
        self._write(step="arming", sent=True)

    def _arm(self, move: Arm) -> None:
        record = self._known()
        opened = armed(self.own.rest.window, record.time, record.duration_hours)
        self.own.arm(self._held(), replace(self.own.rest, window=opened))

    def _trust(self, move: Trust) -> None:
        self._write(step="armed")

    def _follow(self, move: Follow) -> None:
        self._write(step="running", execution=move.execution.id, started=move.execution.start)

    def _cancel(self, move: Cancel) -> None:
        cancel(self.connection, self.sight.looked[move.execution.id])
        self._close(Close("failed", move.reason, move.execution, move.foreign))

    def _close(self, move: Close) -> None:
        looked = self.sight.looked[move.execution.id] if move.execution else None
        reason = f"{move.reason}: {looked.details}" if looked and looked.details and move.reason else move.reason
        self._write(step="closing", verdict=move.verdict, reason=reason, foreign=move.foreign, **self._outcome(looked))

    def _rest(self, move: Rest) -> None:
        self.own.put_to_rest(self._held())

    def _outcome(self, looked: Looked | None) -> dict[str, Any]:
        """What is recorded of an execution that is over, or given up."""
        if looked is None:
            return {}
        return {
            "execution": looked.execution.id,
            "started": looked.execution.start,
            "ended": looked.ended,
            "status": looked.execution.status,
            "results": self._results(looked),
        }

    def _results(self, looked: Looked) -> tuple[Result, ...]:
        record = self._known()
        found = with_missing(looked.results, record.nodes)
        if record.kind == "rescan":
            return self._after_the_reboot(found)
        if record.kind != "install":
            return found
        found = self._with_failures(found)
        nodes = {node for _, members in self.sight.admitted for node in members} - set(record.nodes)
        nothing = "nothing was requested for its OS product"
        return tuple(sorted((*found, *(Result(node, SUCCESS, nothing) for node in nodes)), key=lambda one: one.node))

    def _with_failures(self, found: tuple[Result, ...]) -> tuple[Result, ...]:
        """What failed on the nodes, patch by patch, while AWS shows it: the next scan, whoever's, says missing."""
        states = patch_states.of_nodes(self.connection, [one.node for one in found])
        rows = patch_states.of_each(self.connection, {one.node: "" for one in states if one.failed})
        failed = {
            node: tuple(sorted((row.id, row.title) for row in own if row.state == "FAILED"))
            for node, own in rows.items()
        }
        return tuple(replace(one, failed=failed.get(one.node, ())) for one in found)

    def _after_the_reboot(self, found: tuple[Result, ...]) -> tuple[Result, ...]:
        """What the nodes are now: one that did not come through its reboot and still waits for one has failed.

        After an install without a reboot AWS counts every patch as waiting until the node reboots next, needed or not
        (UG:patch-manager-compliance-states): where the document asked the operating system and it needed none, none
        is lacking.
        """
        before = read_record(self.run, self.connection, self.sight.wave, "reboot")
        through = {one.node for one in (before.results if before else ()) if one.status == SUCCESS}
        states = patch_states.of_nodes(self.connection, [one.node for one in found])
        pending = {one.node for one in states if one.installed_pending_reboot}
        return tuple(
            replace(one, status="Failed", details="a reboot is still pending")
            if one.status == SUCCESS and one.node in pending - through
            else one
            for one in found
        )

    def _known(self) -> WaveRecord:
        if self.record is None:
            raise AssertionError("a move of something that is not recorded")
        return self.record

    def _read(self) -> None:
        self.stored = operations.read(self.connection, self.own.bucket, self.key)
        self.record = WaveRecord.of_json(self.stored.json) if self.stored else None

    def _new(self, **members: Any) -> WaveRecord:
        sight = self.sight
        given = {"window_id": "", "chosen": self.connection.now(), **members}
        return WaveRecord(self.run.release.id, sight.wave, sight.location, sight.kind, **given)

    def _write(self, **members: Any) -> None:
        self._put(replace(self._known(), **members), self.stored)

    def _put(self, record: WaveRecord, was: Stored | None) -> None:
        """Write a record, if it is still what it was when the move was decided."""
        content = encoded(record.as_json())
        etag = operations.put_step(self.connection, self.own.bucket, self.key, content, was=was)
        self.record, self.stored = record, Stored(content, etag)

    def _held(self) -> Lease:
        """The window's lease, taken when it is first needed."""
        if self._lease is None:
            now, times = self.connection.now(), self.sight.times
            expires = max(times.end, now) + times.grace
            release, window = self.run.release.id, self.run.window.name
            self._lease = leases.acquire(self.connection, self.own.bucket, window, release, now=now, expires=expires)
        return self._lease


_DO: dict[type, Callable[[Driver, Any], None]] = {
    Choose: Driver._choose,
    Finish: Driver._finish,
    Prepare: Driver._prepare,
    Announce: Driver._announce,
    Arm: Driver._arm,
    Trust: Driver._trust,
    Follow: Driver._follow,
    Cancel: Driver._cancel,
    Close: Driver._close,
    Rest: Driver._rest,
}
