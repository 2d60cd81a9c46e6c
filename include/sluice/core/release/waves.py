"""Waves: in which order the admitted nodes of a release are patched.

    canary        so many nodes of each slot, in the first location that has it
    shares        percents of the others, of each slot, spread over the locations
    the rest

Their number is the policy's, so that a DAG knows it when it is parsed; a wave may have no nodes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from math import ceil

from sluice.core.policy.objects import NOBODY, RELEASE_TAG
from sluice.core.policy.slots import Slot
from sluice.core.policy.window_steps import WindowStep
from sluice.core.policy.windows import Window, exact
from sluice.core.release.terms import Expected, WavePart

IDS_AT_MOST = 50
"""Instance ids that AWS takes in a target (Q); more nodes are named by a tag."""

Places = Mapping[str, Sequence[Expected]]
"""The admitted nodes by location, the locations in the policy's order."""


def count(window: Window) -> int:
    """How many waves a release of the window has."""
    if not window.installs:
        return 1
    return window.waves.number


def split(window: Window, release: str, admitted: Places) -> tuple[tuple[WavePart, ...], ...]:
    """The parts of every wave, one for each location that has nodes in it; `count(window)` waves."""
    waves: list[dict[str, dict[str, list[str]]]] = [{} for _ in range(count(window))]
    for slot in sorted({one.slot for nodes in admitted.values() for one in nodes if one.slot}):
        members = {place: sorted(one.node for one in nodes if one.slot == slot) for place, nodes in admitted.items()}
        for wave, place, node in _of_slot(window, members):
            waves[wave].setdefault(place, {}).setdefault(slot, []).append(node)
    return tuple(
        tuple(
            WavePart(release, number, place, tuple((slot, tuple(sorted(ids))) for slot, ids in sorted(slots.items())))
            for place, slots in ((place, wave[place]) for place in admitted if place in wave)
        )
        for number, wave in enumerate(waves, start=1)
    )


def _of_slot(window: Window, members: Mapping[str, Sequence[str]]) -> Iterator[tuple[int, str, str]]:
    """Wave (counted from 0), location and node, for every node of a slot."""
    if not window.installs:
        yield from ((0, place, node) for place, nodes in members.items() for node in nodes)
        return
    canary = _canary(window, members)
    yield from ((0, place, node) for place, node in canary)
    first = 1 if window.waves.canary else 0
    others = [one for one in _spread(members) if one not in set(canary)]
    begin, share = 0, Fraction(0)
    for number, percent in enumerate(window.waves.shares):
        share += exact(percent)
        end = min(len(others), ceil(len(others) * share / 100))
        yield from ((first + number, place, node) for place, node in others[begin:end])
        begin = end
    yield from ((count(window) - 1, place, node) for place, node in others[begin:])


def _canary(window: Window, members: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    for place, nodes in members.items():
        if nodes:
            return [(place, node) for node in nodes[: window.waves.canary]]
    return []


def _spread(members: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """The nodes in an order of which every beginning has about the same share of each location."""
    placed = [
        (Fraction(2 * index + 1, 2 * len(nodes)), order, place, node)
        for order, (place, nodes) in enumerate(members.items())
        for index, node in enumerate(nodes)
    ]
    return [(place, node) for _, _, place, node in sorted(placed)]


def tag_value(release: str, slot: str, wave: int) -> str:
    """The value of the release tag on the nodes of a slot in a wave."""
    return f"{release}/{slot}/{wave}"


def tagged(part: WavePart, together: Collection[str] = ()) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The nodes of a part that have to carry the release tag: value and nodes.

    `together` are the slots whose nodes a step has to name, of all waves at once.
    """
    return tuple(
        (tag_value(part.release, slot, part.wave), nodes)
        for slot, nodes in part.slots
        if len(nodes) > IDS_AT_MOST or slot in together
    )


def together(steps: Sequence[WindowStep], parts: Sequence[WavePart]) -> tuple[str, ...]:
    """The slots that one of the steps names by tags: of more nodes in a location's parts than a target takes."""
    if not any(step.on_nodes for step in steps):
        return ()
    return tuple(slot for slot, nodes in joined(parts) if len(nodes) > IDS_AT_MOST)


def joined(parts: Sequence[WavePart]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The nodes of all waves in a location, by slot: whom a step reaches."""
    found: dict[str, list[str]] = {}
    for slot, nodes in (one for part in parts for one in part.slots):
        found.setdefault(slot, []).extend(nodes)
    return tuple((slot, tuple(sorted(nodes))) for slot, nodes in sorted(found.items()))


def nameable(some: tuple[str, ...], members: tuple[str, ...]) -> tuple[str, ...]:
    """Some of a slot's nodes in a wave as a target can name them: by id, or all of the wave's by their tag."""
    return some if len(some) <= IDS_AT_MOST else members


def target_of(part: WavePart, slot: Slot) -> tuple[str, tuple[str, ...]]:
    """Key and values of a slot's target while a wave is run: one key, never two, and only nodes of the wave.

    Nobody's tag where the wave has no node of the slot.
    """
    nodes = dict(part.slots).get(slot.name, ())
    if not nodes:
        return f"tag:{RELEASE_TAG}", (NOBODY,)
    if len(nodes) <= IDS_AT_MOST:
        return "InstanceIds", nodes
    return f"tag:{RELEASE_TAG}", (tag_value(part.release, slot.name, part.wave),)


def target_of_all(window: Window, release: str, slot: Slot, nodes: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Key and values of a slot's target while a step is run: its nodes in all waves, which carry a value per wave."""
    if not nodes:
        return f"tag:{RELEASE_TAG}", (NOBODY,)
    if len(nodes) <= IDS_AT_MOST:
        return "InstanceIds", nodes
    return f"tag:{RELEASE_TAG}", tuple(tag_value(release, slot.name, wave) for wave in range(1, count(window) + 1))
