"""Whether a release fits into its window, by how long its nodes took before.

A slot patches `concurrency` nodes at a time, so in so many rounds; the slots of a window run side by side; a wave
ends with its slowest slot, over all locations, and the next opens when it has settled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from sluice.core.policy.windows import Window
from sluice.core.release.terms import WavePart


@dataclass(frozen=True, slots=True)
class Fit:
    """When a release is expected to end."""

    wave_ends: tuple[datetime, ...]
    """Of each wave that has nodes, in their order."""
    slowest: tuple[str, ...]
    """The slot that ends last in each of them."""
    unknown: tuple[str, ...]
    """Slots without past durations, sorted: the end is at least what is said, and may be later."""


def at_once(concurrency: str, nodes: int) -> int:
    """How many of so many nodes MaxConcurrency lets run at a time: a share is rounded down, and at least one."""
    if concurrency.endswith("%"):
        return max(1, nodes * int(concurrency[:-1]) // 100)
    return min(int(concurrency), max(1, nodes))


def predict(
    window: Window,
    waves: Sequence[Sequence[WavePart]],
    past: Mapping[str, float],
    start: datetime,
    lead: timedelta,
) -> Fit:
    """When the waves are expected to end.

    `past` is how long (seconds) an invocation of a slot takes at the worst that is usual; `start` is when the first
    wave opens (UTC), `lead` how long before its time each later one is opened.
    """
    begin, ends, slowest = start, [], []
    unknown: set[str] = set()
    for wave in (wave for wave in waves if any(part.nodes for part in wave)):
        longest, name = 0.0, ""
        for slot, nodes in (one for part in wave for one in part.slots):
            seconds = past.get(slot)
            if seconds is None:
                unknown.add(slot)
                continue
            length = ceil(len(nodes) / at_once(window.concurrency, len(nodes))) * seconds
            longest, name = max((longest, name), (length, slot))
        ends.append(begin + timedelta(seconds=longest))
        slowest.append(name)
        begin = ends[-1] + timedelta(minutes=window.waves.settle_minutes) + lead
    return Fit(tuple(ends), tuple(slowest), tuple(sorted(unknown)))
