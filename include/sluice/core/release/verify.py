"""What became of each node that a release expected: its patch state, joined to the release's own runs.

AWS keeps one patch state a node, the last run's, whoever started it. It is this release's

- after a reboot in waves by the Scan that followed it, else by the install:
- where a manifest was requested by the state's InstallOverrideList, which nobody else's run has;
- else by the command's id, as Inventory's AWS:PatchSummary has it, or by the times of the command on the node, since
  a node runs one patch operation at a time (a second one fails) and Inventory lags behind.

What an earlier or a later run left is not counted as this release's result, and is said so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from sluice.core.policy.reboot_document import NONE_PENDING
from sluice.core.release.patch_state import PatchState
from sluice.core.release.shown import some
from sluice.core.release.terms import Expected, Kind, PatchRow, Plain, Reason, WavePart
from sluice.core.window_record import MISSING, SUCCESS, Result, WaveRecord

Became = Literal["succeeded", "failed", "missed", "pending_reboot"]

CLOCKS = timedelta(minutes=2)
"""How far the node's clock, which dates its state, may be from the one that dates its command."""

PATCHING: tuple[Kind, ...] = ("rescan", "install", "scan")
"""Kinds that run a patch operation, the last of a wave first."""

MAIN: tuple[Kind, ...] = ("install", "scan", "reboot", "ask")
"""Kinds that a release is for, of which a wave has one."""

MEANS = {
    "Terminated": "more of the others failed than the window allows, so the command was sent to no further node",
    "DeliveryTimedOut": "its agent did not take the command in time",
    "Delivery Timed Out": "its agent did not take the command in time",
    "Undeliverable": "its agent could not be reached",
    "ExecutionTimedOut": "the command did not end in time",
    "Execution Timed Out": "the command did not end in time",
    "InvalidPlatform": "the document is for other platforms",
    "Invalid Platform": "the document is for other platforms",
}
"""StatusDetails of a command on a node (UG:monitor-commands), in words that say what happened."""


@dataclass(frozen=True, slots=True)
class Ran(Plain):
    """A command on a node, as Run Command tells it."""

    node: str
    command: str
    document: str
    details: str
    """AWS's StatusDetails: Success, Failed, DeliveryTimedOut, …"""
    code: int | None = None
    """Exit code of the first step that did not succeed, else of the last."""
    start: datetime | None = None
    """When it began on the node; None: never."""
    end: datetime | None = None
    output: str | None = None
    """Where its output lies, `s3://bucket/prefix`."""
    said: str = ""
    """The first line of its output, where Run Command keeps one."""

    @property
    def seconds(self) -> float | None:
        """How long it took on the node."""
        return (self.end - self.start).total_seconds() if self.start and self.end else None


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of a release in one location."""

    location: str
    """Account and Region, as AWS confirmed them."""
    expected: tuple[Expected, ...]
    """With the reasons of those that were not admitted."""
    parts: tuple[WavePart, ...] = ()
    records: tuple[WaveRecord, ...] = ()
    states: Mapping[str, PatchState] = field(default_factory=dict)
    """By node."""
    rows: Mapping[str, Sequence[PatchRow]] = field(default_factory=dict)
    """What each node's state is made of."""
    ran: Mapping[tuple[str, str], Ran] = field(default_factory=dict)
    """By command and node."""
    run_by: Mapping[str, str] = field(default_factory=dict)
    """The command of each node's last patch run, as far as Inventory knows and it is one of the release's."""
    lists: Mapping[str, str] = field(default_factory=dict)
    """URL of the requested list by slot; empty where no manifest was requested."""
    requested: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    """Ids and titles that the lists have, by slot; no title: whatever version."""
    stops: Mapping[int, str] = field(default_factory=dict)
    """Why nothing opened behind a wave, by its number."""
    unopened: str = ""
    """Why nothing was opened at all, where that is known."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What became of one node."""

    node: Expected
    became: Became
    wave: int | None = None
    reason: str | None = None
    line: str = ""
    """Why, as far as it is known without the output."""
    state: PatchState | None = None
    ours: bool = False
    joined_by: str | None = None
    kind: Kind | None = None
    """What the execution did whose result the state is, or would be."""
    ran: Ran | None = None
    """The command that decided it."""
    needed_none: datetime | None = None
    """When its operating system was asked whether it needs a reboot, before this state, and needed none any more."""
    installed_first: bool = False
    """Whether the release's own install came before that."""

    def needless(self, row: PatchRow) -> bool:
        """Whether a patch counts as waiting for a reboot that the operating system does not need.

        After an install without a reboot AWS counts every patch as waiting until the next one
        (UG:patch-manager-compliance-states). Who was asked after it was installed, and needed none, has it.
        """
        if self.needed_none is None or row.state != "INSTALLED_PENDING_REBOOT":
            return False
        return self.installed_first if row.installed is None else row.installed <= self.needed_none

    @property
    def needs_line(self) -> bool:
        """Whether its output may explain it."""
        return self.became == "failed" and self.ran is not None and self.ran.details != SUCCESS


def verify(place: Place) -> tuple[Verified, ...]:
    """What became of each node that was expected in a location, by node."""
    waves = {node: part.wave for part in place.parts for node in part.nodes}
    return tuple(
        _Node(place, one, waves.get(one.node)).verified() for one in sorted(place.expected, key=lambda one: one.node)
    )


class _Node:
    """One node of a place, and the runs that reached it."""

    def __init__(self, place: Place, node: Expected, wave: int | None) -> None:
        self.place = place
        self.node = node
        self.wave = wave
        self.records = {record.kind: record for record in place.records if record.wave == wave}
        self.results: dict[Kind, Result] = {
            kind: result
            for kind, record in self.records.items()
            for result in record.results
            if result.node == node.node
        }
        self.state = place.states.get(node.node)

    def verified(self) -> Verified:
        if self.node.reason is not None:
            return self._missed(self.node.reason, self.node.detail)
        if self.wave is None:
            return self._missed(Reason.NOT_OPENED, self.place.unopened or "the release admitted no nodes")
        main = next((kind for kind in MAIN if kind in self.records), None)
        if main is None:
            return self._missed(Reason.NOT_OPENED, self._why_not_opened())
        result = self.results.get(main)
        if result is None:
            return self._without_result(self.records[main])
        if result.status == MISSING:
            return self._missed(Reason.NOT_INVOKED, result.details)
        return self._reached(main, result)

    def _without_result(self, record: WaveRecord) -> Verified:
        none_needed = record.kind in ("reboot", "ask") and record.verdict in ("done", "skipped")
        if none_needed and self.node.node not in record.nodes:
            return Verified(self.node, "succeeded", self.wave, line="no reboot was needed", state=self.state)
        return self._missed(Reason.NOT_OPENED, record.reason or f"the wave ended as {record.verdict or record.step}")

    def _missed(self, reason: str, line: str) -> Verified:
        return Verified(self.node, "missed", self.wave, reason, line, self.state)

    def _why_not_opened(self) -> str:
        before = [why for wave, why in sorted(self.place.stops.items()) if self.wave is not None and wave < self.wave]
        return before[0] if before else self.place.unopened or "nothing was recorded of its wave here"

    def _reached(self, main: Kind, result: Result) -> Verified:
        kind, by = self._join()
        installed = self.results.get("install")
        became, line = self._became(main, result, ours=kind is not None)
        unverified = became == "failed" and kind is None and result.status == SUCCESS
        return Verified(
            node=self.node,
            became=became,
            wave=self.wave,
            reason=Reason.NOT_VERIFIED if unverified else None,
            line=line,
            state=self.state,
            ours=kind is not None,
            joined_by=by,
            kind=kind or main,
            ran=self._ran(result),
            needed_none=self._needed_none(kind),
            installed_first=installed is not None and installed.status == SUCCESS,
        )

    def _needed_none(self, kind: Kind | None) -> datetime | None:
        """When the operating system needed no reboot any more; after a reboot it is its scan that shows so."""
        asked = self.results.get("reboot" if kind == "rescan" else "ask")
        ran = self._ran(asked) if asked is not None and asked.status == SUCCESS else None
        return ran.start if ran and (kind == "rescan" or ran.said in NONE_PENDING) else None

    def _ran(self, result: Result) -> Ran | None:
        if result.command is None:
            return None
        return self.place.ran.get((result.command, self.node.node)) or Ran(
            self.node.node, result.command, "", result.details or result.status
        )

    # whose the state is

    def _join(self) -> tuple[Kind | None, str | None]:
        """Which of the release's runs left the state, and how that is known; None: none of them."""
        if self.state is None:
            return None, None
        for kind in PATCHING:
            by = self._left_by(kind, self.state) if kind in self.results else None
            if by:
                return kind, by
        return None, None

    def _left_by(self, kind: Kind, state: PatchState) -> str | None:
        if state.operation != ("Install" if kind == "install" else "Scan"):
            return None
        if kind == "install" and self.place.lists:
            given = self.place.lists.get(self.node.slot or "")
            return "override list" if given and state.override_list == given else None
        command = self.results[kind].command
        if command is not None and self.place.run_by.get(self.node.node) == command:
            return "command"
        ran = self._ran(self.results[kind])
        if ran is None or ran.start is None:
            return None
        end = ran.end or ran.start
        return "times" if ran.start - CLOCKS <= state.start and state.end <= max(end, ran.start) + CLOCKS else None

    def _is_later(self) -> bool:
        """Whether the state is of a run after all of the release's."""
        ends = [ran.end for result in self.results.values() if (ran := self._ran(result)) and ran.end]
        return self.state is not None and bool(ends) and self.state.start > max(ends)

    # what became of it

    def _became(self, main: Kind, result: Result, *, ours: bool) -> tuple[Became, str]:
        """By what the node is now, where that is this release's or later; else by what its agent said."""
        said = _said(result)
        if main in ("reboot", "ask"):
            return self._became_rebooted(result, said)
        if not ours and not (result.status == SUCCESS and self._is_later()):
            if result.status != SUCCESS:
                return "failed", said
            return "failed", f"the agent said Success, and {self._whose()}"
        note = "" if ours else f"{self._whose()}; it shows what the node is now"
        if main == "scan":
            return "succeeded", note
        return self._became_patched(result, said, note)

    def _became_patched(self, result: Result, said: str, note: str) -> tuple[Became, str]:
        if why := self._why_failed(result):
            return "failed", why
        if self.state is not None and self.state.installed_pending_reboot:
            return self._became_waiting(self.state.installed_pending_reboot, note)
        if result.status != SUCCESS:
            return "succeeded", note or f"its agent said {said}; the node has what was asked for"
        return "succeeded", note

    def _why_failed(self, result: Result) -> str | None:
        """What is not as it was wanted on the node."""
        if failed := sorted(self._in(("FAILED",))):
            return f"failed on it: {some(failed)}"
        if self.state is not None and self.state.failed:
            return f"{self.state.failed} patches failed on it"
        # After a success what is missing was approved since, unless the release named it.
        if (result.status != SUCCESS or self.place.lists) and (lacking := sorted(self._lacking())):
            return f"still missing: {some(lacking)}"
        return None

    def _became_waiting(self, patches: int, note: str = "") -> tuple[Became, str]:
        """It waits for a reboot: failed where it did not come through one.

        AWS counts every patch of an install without a reboot as waiting until the next one, needed or not
        (UG:patch-manager-compliance-states), and the document reboots where the operating system needs it.
        """
        waits = f"{patches} patches wait for a reboot"
        rebooted = self.results.get("reboot")
        if rebooted is not None and rebooted.status != SUCCESS:
            return "failed", f"{waits} after the reboot, which ended as {_said(rebooted)}"
        if rebooted is not None or self._needed_none(None):
            waits += ", which its operating system did not need"
        return "pending_reboot", f"{waits}; {note}" if note else waits

    def _became_rebooted(self, result: Result, said: str) -> tuple[Became, str]:
        if self.state is not None and self.state.installed_pending_reboot:
            return self._became_waiting(self.state.installed_pending_reboot)
        return ("succeeded", "") if result.status == SUCCESS else ("failed", said)

    def _in(self, states: Sequence[str]) -> Iterator[str]:
        for row in self.place.rows.get(self.node.node, ()):
            if row.state in states:
                yield row.title or row.id

    def _lacking(self) -> Iterator[str]:
        """What the release wanted on the node and is not: what its list has, else what its baseline approves."""
        wanted = self.place.requested.get(self.node.slot or "") if self.place.lists else None
        if wanted is None:
            yield from self._in(("MISSING",))
            return
        for row in self.place.rows.get(self.node.node, ()):
            if row.state in ("MISSING", "FAILED") and not wanted.isdisjoint({(row.id, row.title), (row.id, "")}):
                yield row.title or row.id

    def _whose(self) -> str:
        """Whose the state is, in words."""
        if self.state is None:
            return "no patch run of the node was ever reported"
        when = "a later" if self.state.start > (self._last_start() or self.state.start) else "an earlier"
        return f"its state is of {when} {self.state.operation} of {self.state.end:%Y-%m-%d %H:%M} UTC"

    def _last_start(self) -> datetime | None:
        starts = [ran.start for result in self.results.values() if (ran := self._ran(result)) and ran.start]
        return max(starts, default=None)


def _said(result: Result) -> str:
    details = result.details or result.status
    return ": ".join(dict.fromkeys(part for part in (result.status, details, MEANS.get(details, "")) if part))
