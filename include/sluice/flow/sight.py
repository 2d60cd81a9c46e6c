"""What a worker sees of its wave in one location: nodes, window, executions, and what forbids to open. Reads only."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeAlias

from sluice.aws import executions, halts, patch_states, recalls
from sluice.aws.session import Connection
from sluice.core.calendar import occurrences
from sluice.core.errors import ReleaseError
from sluice.core.kept import kept
from sluice.core.policy.slots import slots
from sluice.core.policy.window_steps import WindowStep, moment_of, step_named, step_told
from sluice.core.release.terms import Kind
from sluice.core.release.waves import joined, nameable
from sluice.core.window_objects import Wave, WindowObjects, armed, reboots, resting, window_name, with_strays
from sluice.core.window_protocol import (
    SOON,
    Blocked,
    Execution,
    Seen,
    Times,
    WindowState,
    opens_from,
    quiet_from,
    scans,
)
from sluice.core.window_record import Verdict, WaveRecord
from sluice.flow.admit import read_part, read_parts
from sluice.flow.execution import Looked, look_at
from sluice.flow.gate import allowed_now
from sluice.flow.manifest import override_list
from sluice.flow.recall import lacking
from sluice.flow.records import STEPS_WAVE, read_record, read_records
from sluice.flow.run import Run
from sluice.flow.window import Found, OwnWindow

LONGEST = timedelta(hours=24)
"""How far back an execution may have begun that still runs: a window is open for a day at most (API reference,
CreateMaintenanceWindow)."""

AHEAD_LEADS = 2
"""How many times `open_lead_minutes` before its start a window is opened at the earliest: once for AWS, once for
Airflow to get a worker there."""

Slots: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""Slots by name, and their nodes."""


class Sight:
    """One wave, or one step around the waves, in one location, as it is."""

    def __init__(self, run: Run, connection: Connection, location: str, wave: int, kind: Kind) -> None:
        self.run = run
        self.connection = connection
        self.location = location
        self.wave = wave
        self.kind = kind
        self.own = OwnWindow(run.policy, window_name(run.window, kind), connection)
        self.looked: dict[str, Looked] = {}
        """Executions that were looked at, by id."""

    @kept
    def times(self) -> Times:
        """When it may happen."""
        return times_of(self.run, self.wave, self.kind)

    def seen(self, record: WaveRecord | None, now: datetime) -> Seen:
        """What the next move depends on, and no more: each look costs calls."""
        if record is None:
            earliest = opens_from(self.times, self.kind)
            if earliest is not None and now < earliest:
                return Seen(blocked=self._halted())
            others = read_records(self.run, self.connection).values()
            return Seen(blocked=self._blocked(), quiet_from=quiet_from(others, self.times.grace))
        if record.step == "closing":
            return Seen("rest" if record.watched else self._window_state(record, now))
        found = self._executions(record)
        if record.step in ("planned", "arming"):
            return Seen(self._window_state(record, now), found, self._blocked())
        overdue = record.step == "armed" and not record.watched and now >= record.time + self.times.grace
        return Seen("other", found, self._blocked() if overdue and not found else self._halted())

    def wanted(self, record: WaveRecord) -> WindowObjects:
        """The window as the wave needs it, disarmed."""
        return self._wave(record).objects(self.own.rest)

    def log_prefixes(self, record: WaveRecord) -> tuple[str, ...] | None:
        """Of the wave's own commands, as the policy is now; None: nobody can tell them."""
        return self._wave(record).log_prefixes(self.wanted(record))

    @kept
    def admitted(self) -> Slots:
        """The nodes of the wave here, or of all waves for a step."""
        if self._step:
            return joined(read_parts(self.run, self.connection))
        part = read_part(self.run, self.connection, self.location, self.wave)
        return part.slots if part else ()

    @property
    def idle(self) -> bool:
        """Whether there is nothing here to do it for. What runs on no node is done where the release has nodes."""
        return not (self.admitted if self._step else self.slots())

    def stopped(self) -> tuple[Verdict, str] | None:
        """Why this never opens, by what came of the steps that belong before it; None: they have succeeded here.

        Raises ReleaseError where one of them has not ended.
        """
        for step in self._before_this:
            record = read_record(self.run, self.connection, STEPS_WAVE, step.name)
            if record is None or record.step != "closed":
                raise ReleaseError(
                    f"{self.location}: expected {step} to have ended, found it"
                    f" {record.step if record else 'not begun'}: nothing opens here before it has; run it again"
                )
            if record.verdict not in ("done", "skipped"):
                verdict: Verdict = "skipped" if moment_of(self.kind) == "after" else record.verdict
                return verdict, step_told(self.location, step, record.verdict, record.reason)
        return None

    @property
    def _before_this(self) -> tuple[WindowStep, ...]:
        """The steps that have to succeed first: those before the waves, and of one's own kind the earlier ones."""
        every = self.run.steps
        if self._step:
            return every[: every.index(self._step)]
        return tuple(step for step in every if step.moment == "before")

    @property
    def _step(self) -> WindowStep | None:
        return step_named(self.run.window, self.kind)

    def slots(self) -> Slots:
        """Slots and nodes that this execution is for.

        Raises ReleaseError where the policy has one of the admitted slots no more.
        """
        if self._step and not self._step.on_nodes:
            return ()
        if gone := sorted({slot for slot, _ in self.admitted} - set(self._products)):
            raise ReleaseError(
                f"{self.location}: expected the slots on window {self.run.window.name} of which the release admitted"
                f" nodes, found {', '.join(gone)} taken out of the policy: put it back, or halt the release"
            )
        if self.kind == "install" and self.run.gated:
            return tuple((slot, nodes) for slot, nodes in self.admitted if self._products[slot] in self._manifest)
        if self.kind == "rescan":
            before = read_record(self.run, self.connection, self.wave, "reboot")
            return before.slots if before and before.execution else ()
        if self.kind == "ask" or (self.kind == "reboot" and reboots(self.run.window, self.run.asked) != "always"):
            return self._pending()
        return self.admitted

    def _pending(self) -> Slots:
        """The nodes that wait for a reboot; of a slot where they are too many to be named, all of the wave.

        The document asks each node, and leaves alone what does not wait.
        """
        nodes = [node for _, members in self.admitted for node in members]
        states = patch_states.of_nodes(self.connection, nodes)
        pending = {one.node for one in states if one.installed_pending_reboot}
        found = (
            (slot, nameable(tuple(node for node in members if node in pending), members))
            for slot, members in self.admitted
        )
        return tuple((slot, members) for slot, members in found if members)

    def _executions(self, record: WaveRecord) -> tuple[Execution, ...]:
        """The window's executions since the time was chosen; where one is followed, only that.

        As long as the window is not open also those that began before and still run: one of a release whose run
        somebody has marked failed in Airflow goes on, and AWS skips what fires beside it.
        """
        since = min(record.chosen, record.at or record.chosen) - SOON
        before_it_is_open = record.step in ("planned", "arming")
        prefixes = None if record.log_prefixes is None else frozenset(record.log_prefixes)
        found = []
        for one in executions.since(self.connection, record.window_id, since - LONGEST * before_it_is_open):
            over = one["StartTime"] < since and one["Status"] in executions.FINAL
            if record.execution in (None, one["WindowExecutionId"]) and not over:
                looked = look_at(self.connection, one, prefixes)
                self.looked[looked.execution.id] = looked
                found.append(looked.execution)
        return tuple(found)

    def _window_state(self, record: WaveRecord, now: datetime) -> WindowState:
        found = self.own.found()
        if found.objects == resting(self.own.rest, found.objects):
            return "rest"
        if record.step == "closing":
            return "other"
        wanted = with_strays(self.wanted(record), found.objects)
        if (found.objects.tasks, found.objects.targets) != (wanted.tasks, wanted.targets):
            return "other"
        return "prepared" if found.objects.window == wanted.window else self._open_state(found, record, now)

    def _open_state(self, found: Found, record: WaveRecord, now: datetime) -> WindowState:
        at = record.time
        if found.objects.window != armed(self.own.rest.window, at, record.duration_hours):
            return "other"
        return "armed" if now >= at or found.coming == at else "misarmed"

    def _halted(self) -> Blocked | None:
        why = halts.mark_of(self.connection, self.own.bucket, self.run.release.id)
        return Blocked("halted", why) if why else None

    def _blocked(self) -> Blocked | None:
        if halted := self._halted():
            return halted
        if scans(self.kind) or moment_of(self.kind) == "after":
            return None  # it changes nothing, or ends what the gate has let begin
        why = allowed_now(self.run, self.connection) or self._recalled()
        return Blocked("held", why) if why else None

    def _recalled(self) -> str | None:
        """The patch that was recalled since the release began and that an install without a manifest would bring.

        What was recalled before is rejected in the baselines, or the preflight has refused.
        """
        if self.run.gated or self.kind != "install":
            return None
        found = recalls.listed(self.connection, self.own.bucket)
        new = [one for one in found if one.lifted is None and one.at >= self.run.release.begun]
        missing = lacking(self.connection, (node for _, nodes in self.admitted for node in nodes), new)
        return str(missing) if missing else None

    def _wave(self, record: WaveRecord) -> Wave:
        run = self.run
        manifest = self._manifest if self.kind == "install" and run.gated else {}
        return Wave(run.policy, run.window, run.release, run.asked, record, manifest)

    @kept
    def _products(self) -> dict[str, str]:
        return {slot.name: slot.product or "" for slot in slots(self.run.policy, self.run.window)}

    @kept
    def _manifest(self) -> dict[str, str]:
        """Where the manifest of each OS product is that the release requests something of."""
        found = {product: override_list(self.run, self.connection, product) for product in set(self._products.values())}
        return {product: url for product, url in found.items() if url}


def times_of(run: Run, wave: int, kind: Kind) -> Times:
    """When an execution of the release may happen. What comes after the first one follows as it fits."""
    window, start = run.window, run.release.occurrence
    step = step_named(window, kind)
    first = kind == "before-1" if window.before else wave == 1 and kind in ("scan", "install")
    minutes = window.latest_start_minutes if first else None
    return Times(
        start=start,
        end=start + window.duration,
        cutoff_hours=window.cutoff_hours,
        lead=timedelta(minutes=run.policy.timing.open_lead_minutes),
        grace=timedelta(minutes=run.policy.timing.start_grace_minutes),
        latest=None if minutes is None else start + timedelta(minutes=minutes),
        watched=_starts_by_itself(run, kind),
        timeout=timedelta(minutes=step.step.timeout_minutes) if step else None,
        ahead=timedelta(minutes=AHEAD_LEADS * run.policy.timing.open_lead_minutes),
    )


def _starts_by_itself(run: Run, kind: Kind) -> bool:
    """Whether AWS starts it on the window's own schedule: a native scan at a time that the schedule has."""
    if run.window.trigger != "native" or kind != "scan":
        return False
    start = run.release.occurrence
    return any(occurrences(run.policy, run.window, start, start + timedelta(seconds=1)))
