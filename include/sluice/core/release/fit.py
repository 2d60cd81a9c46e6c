"""Whether a release fits into its window, by how long its nodes took before.

A slot patches `concurrency` nodes at a time, so in so many rounds; the slots of a window run side by side; a wave
ends with its slowest slot, over all locations, and the next opens when it has settled. Steps before the waves come
first, one after another; those after may run on to the cutoff.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from sluice.core.policy.window_steps import WindowStep
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
    """Slots and steps without past durations, sorted: the end is at least what is said, and may be later."""


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
    before: Sequence[WindowStep] = (),
    took: Mapping[str, float] | None = None,
) -> Fit:
    """When the waves are expected to end.

    `past` is how long (seconds) an invocation of a slot takes at the worst that is usual; `start` is when the first
    execution opens (UTC), `lead` how long before its time each later one is opened; `before` are the steps before the
    waves, and `took` is how long (seconds) their executions have taken, by name.
    """
    known, unknown, begin, ends, slowest = took or {}, set[str](), start, [], []
    for step in before:
        unknown |= {step.name} - known.keys()
        begin += timedelta(seconds=known.get(step.name, 0.0)) + lead
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
