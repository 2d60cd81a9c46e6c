"""Releases as a whole: whether anything may install, whether anything reboots, and the gate before production."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sluice.core.calendar import gate_of
from sluice.core.policy.gate import Gate
from sluice.core.policy.lint.runs import open_times, runs
from sluice.core.policy.lint.subject import Found, Subject
from sluice.core.policy.windows import Window
from sluice.core.yaml_text import Path

_LOW_PERCENT = 80
_LONG_FREEZE = 60


def check(subject: Subject) -> Iterator[Found]:
    """Modes, reboots and gates."""
    yield from _mode(subject)
    yield from _reboots(subject)
    yield from _gates(subject)
    for index, window in subject.production_installs:
        yield from _evidence(subject, index, window)


def _mode(subject: Subject) -> Iterator[Found]:
    names = ", ".join(window.name for _, window in subject.installs)
    if subject.policy.mode == "observe" and names:
        yield Found(
            "P191",
            ("mode",),
            f"expected no install windows in mode observe, found {names}: nothing will install; they are there to be "
            "seen until the mode is release",
        )
    if subject.policy.mode == "release" and not names:
        yield Found(
            "P192",
            ("mode",),
            "expected install windows in mode release, found none: add some, or set mode: observe",
        )


def _reboots(subject: Subject) -> Iterator[Found]:
    if not subject.installs:
        return
    if all(window.reboot.when == "never" for _, window in subject.installs):
        yield Found(
            "P184",
            ("windows", subject.installs[0][0], *_given(subject.installs[0][1], "reboot")),
            "expected a window that reboots, found reboot: never in all of them: reboot debt grows, and what needs a "
            "reboot never soaks, nor does what is installed on its node while that waits; reboot by hand "
            "(patch_reboot), or let the first ring reboot if_needed",
        )
        return
    for index, window in subject.production_installs:
        ring = subject.reached_rings[index][-1]
        before = subject.ring_before(ring.name)
        soaking = [one for number, one in subject.installs if before in subject.reached_rings[number]]
        if window.reboot.when != "never" and soaking and all(one.reboot.when == "never" for one in soaking):
            yield Found(
                "P186",
                ("windows", index, "reboot"),
                f"expected the ring before to reboot too, found reboot: never in {soaking[0].name}: what needs a "
                "reboot soaks only after one, so it never reaches production; let it reboot there first",
            )


def _given(part: Window, key: str) -> tuple[str, ...]:
    return (key,) if key in part.model_fields_set else ()


def _gates(subject: Subject) -> Iterator[Found]:
    """The policy's gate where a window of production uses it, and those of windows themselves."""
    gates: list[tuple[Gate, Path]] = []
    if any(window.gate is None for _, window in subject.production_installs):
        gates.append((subject.policy.gate, ("gate",)))
    gates += [(window.gate, ("windows", i, "gate")) for i, window in subject.production_installs if window.gate]
    for gate, path in gates:
        yield from _weak(gate, path)
        yield from _approval(gate, path)
        yield from _freezes(subject, gate, path)


def _weak(gate: Gate, at: Path) -> Iterator[Found]:
    asks = gate.approval.needed != "never"
    if not asks and not gate.calendars and not gate.alarms and not gate.change_ticket:
        yield Found(
            "P201",
            at,
            "expected somebody or something to ask besides the soak, found approval: never, no calendar, no alarm and "
            "no change ticket: add one, or waive this where the ledger alone is meant to decide",
        )
    for key in ("success_percent", "agents_percent"):
        value = getattr(gate, key)
        if value < _LOW_PERCENT:
            yield Found(
                "P202",
                (*at, key),
                f"expected at least {_LOW_PERCENT} percent, found {value:g}: with less the gate opens on a ring that "
                "is not well; raise it",
            )
    if gate.change_ticket and re.fullmatch(gate.change_ticket, ""):
        yield Found(
            "P208",
            (*at, "change_ticket"),
            f"expected a pattern that asks for a ticket, found {gate.change_ticket!r}, which an empty text fits: write "
            "what tickets look like (CHG[0-9]{7}, say)",
        )


def _approval(gate: Gate, at: Path) -> Iterator[Found]:
    approval = gate.approval
    if approval.needed == "never" and approval.approvers:
        yield Found(
            "P206",
            (*at, "approval", "approvers"),
            f"expected no approvers where approval is never asked, found {', '.join(approval.approvers)}: remove them, "
            "or ask",
        )
    if approval.needed != "never" and not approval.approvers:
        yield Found(
            "P207",
            (*at, "approval"),
            "expected approvers, found none: whoever may edit the DAG in Airflow can approve a production release; "
            "name some, or waive this where Airflow's roles are enough",
        )


def _freezes(subject: Subject, gate: Gate, at: Path) -> Iterator[Found]:
    for number, freeze in enumerate(gate.freezes):
        days = (freeze.last - freeze.first).days + 1
        if freeze.last < subject.today:
            yield Found(
                "P205",
                (*at, "freezes", number),
                f"expected a freeze to come, found one that ended on {freeze.last}: remove it, or move it to next year",
            )
        elif days > _LONG_FREEZE:
            yield Found(
                "P209",
                (*at, "freezes", number),
                f"expected a freeze of at most {_LONG_FREEZE} days, found {days}: production gets nothing all that "
                "time, critical patches included, but by expedite; shorten it",
            )


def _evidence(subject: Subject, index: int, window: Window) -> Iterator[Found]:
    """Whether the scans come often enough for what the gate calls fresh."""
    gate = gate_of(subject.policy, window)
    at: Path = ("windows", index, "gate") if window.gate else ("gate",)
    lead = timedelta(minutes=window.lead_minutes)
    starts = [run - lead for run in runs(window, subject.today)]
    ends = _evidence_ends(subject, index)
    allowed = timedelta(hours=gate.evidence_hours)
    first = ends[0] if ends else datetime.max.replace(tzinfo=UTC)
    judged = [start for start in starts if not ends or start >= first]
    late = [start for start in judged if not ends or start - ends[bisect_right(ends, start) - 1] > allowed]
    if not late:
        return
    if len(late) == len(judged):
        yield Found(
            "P204",
            (*at, "evidence_hours"),
            f"expected a scan of the same nodes at most {gate.evidence_hours:g} hours before {window.name}, found "
            f"{'every one earlier' if ends else 'none'}: the gate would never open; scan before it, or raise "
            "evidence_hours",
        )
        return
    yield Found(
        "P203",
        (*at, "evidence_hours"),
        f"expected a scan at most {gate.evidence_hours:g} hours before each run of {window.name}, found "
        f"{len(late)} of {len(judged)} runs of the next year without, first on {late[0] + lead:%Y-%m-%d}: the gate "
        "stays closed then; scan more often, or raise evidence_hours",
    )


def _evidence_ends(subject: Subject, index: int) -> list[datetime]:
    """When scans end that look at the nodes of the ring before the window's, ascending."""
    ring = subject.reached_rings[index][-1]
    before = subject.ring_before(ring.name)
    groups = {group.name for group in subject.policy.patch_groups if before and group.ring == before.name}
    ends = {
        end
        for number, _ in subject.scans
        if groups & {group.name for group in subject.reach[number]}
        for _, end in open_times(subject.policy.windows[number], subject.today)
    }
    return sorted(ends)
