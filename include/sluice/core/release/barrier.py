"""The barrier behind a wave: whether the next one may open, by what is known of all locations so far.

A node has failed when its command did not succeed, when nobody knows what came of it, or when its agent is not
online after the settle time. Beyond the failure budget nothing further opens.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
    record: WaveRecord | None
    """None: nothing was recorded, or it could not be read."""
    online: Collection[str] = ()
    """Its nodes whose agent is online."""
    unread: str = ""
    """Why it could not be read."""


def failures(seen: Seen) -> dict[str, str]:
    """Why, by node, for the nodes of a wave in a location that have failed."""
    if seen.record is None:
        return dict.fromkeys(seen.nodes, f"unknown: {seen.unread or 'nothing was recorded'}")
    if seen.record.verdict in STOPS or seen.record.verdict == "skipped":
        return {}  # never tried
    results = {one.node: one for one in seen.record.results}
    found: dict[str, str] = {}
    for node in seen.nodes:
        result = results.get(node)
        if result is None:
            found[node] = f"unknown: {seen.record.reason or 'no result of it'}"
        elif result.status != SUCCESS:
            found[node] = f"{result.status}{f': {result.details}' if result.details else ''}"
        elif node not in seen.online:
            found[node] = "its agent is not online"
    return found


def stop(window: Window, seen: Mapping[str, Seen], failed: int, of: int) -> str | None:
    """Why nothing further opens; None: the next wave may. `failed` of `of` nodes in all waves so far, everywhere."""
    for location, one in sorted(seen.items()):
        if one.record and one.record.verdict in STOPS:
            return f"{location}: {STOPS[one.record.verdict]}{f': {one.record.reason}' if one.record.reason else ''}"
    if of and failed * 100 > window.waves.failure_budget * of:
        return (
            f"{failed} of {of} nodes failed ({failed * 100 / of:.0f} %), more than the failure budget of"
            f" {window.waves.failure_budget:g} %"
        )
    return None
