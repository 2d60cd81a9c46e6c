"""The barrier behind a wave: whether the next one may open, by what is known of all locations so far.

A node has failed when its command did not succeed, when it did not come through its reboot, when nobody knows what
came of it, or when its agent is not online after the settle time. Beyond the failure budget nothing further opens.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sluice.core.policy.windows import Window
from sluice.core.window_record import SUCCESS, WaveRecord

STOPS = {
    "late": "it is too late to open a window",
    "halted": "the release is halted",
    "held": "the gate's volatile rules do not hold any more",
}
"""Verdicts of a wave in a location after which nothing further opens anywhere, and why."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a wave in one location."""

    nodes: tuple[str, ...]
    records: tuple[WaveRecord, ...] = ()
    """Of its executions, in their order: install, reboot, rescan. Empty: nothing was recorded, or can be read."""
    online: Collection[str] = ()
    """Its nodes whose agent is online."""
    unread: str = ""
    """Why it could not be read."""


def failures(seen: Seen, *, reboots: bool = False) -> dict[str, str]:
    """Why, by node, for the nodes of a wave in a location that have failed.

    `reboots`: an install is followed by a reboot of the nodes that need it.
    """
    if not seen.records:
        return dict.fromkeys(seen.nodes, f"unknown: {seen.unread or 'nothing was recorded'}")
    main, *others = seen.records
    if main.verdict in STOPS or main.verdict == "skipped":
        return {}  # never tried
    if reboots and main.kind == "install" and main.verdict == "done" and not others:
        return dict.fromkeys(seen.nodes, "unknown: nothing was recorded of its reboot")
    found = {node: _why_failed(node, main, others, seen.online) for node in seen.nodes}
    return {node: why for node, why in found.items() if why}


def _why_failed(node: str, main: WaveRecord, others: Sequence[WaveRecord], online: Collection[str]) -> str | None:
    """Why a node has failed: by its install, then by the scan behind its reboot, which sees what it is now."""
    tried = [one for one in others if node in one.nodes and one.verdict not in (*STOPS, "skipped")]
    last = tried[-1] if tried else main
    for record in (main, last) if main.kind == "install" else (last,):
        result = next((one for one in record.results if one.node == node), None)
        what = "" if record is main else f"{record.kind}: "
        if result is None:
            return f"unknown: {what}{record.reason or 'no result of it'}"
        if result.status != SUCCESS:
            return f"{what}{result.status}{f': {result.details}' if result.details else ''}"
    return None if node in online else "its agent is not online"


def stop(window: Window, seen: Mapping[str, Seen], failed: int, of: int) -> str | None:
    """Why nothing further opens; None: the next wave may. `failed` of `of` nodes in all waves so far, everywhere."""
    for location, one in sorted(seen.items()):
        for record in one.records:
            if record.verdict in STOPS:
                return f"{location}: {STOPS[record.verdict]}{f': {record.reason}' if record.reason else ''}"
            if record.foreign:
                return f"{location}: the release has failed: {record.reason}"
    if of and failed * 100 > window.waves.failure_budget * of:
        return (
            f"{failed} of {of} nodes failed ({failed * 100 / of:.0f} %), more than the failure budget of"
            f" {window.waves.failure_budget:g} %"
        )
    return None
