"""The window protocol, walked: in every state that its small world has, no wave installs twice and none unannounced.

`small_world` says what the world is. Each walk is exhaustive for its locations, waves, late calls and hands; a third
of them is walked for each change, all of them and larger ones at night. The walk itself is held to finding what is
wrong: with each of the rules that the protocol stands on taken away it tells a story that ends in a second or an
unannounced Install.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from shares import share
from small_world import NEVER, Rules, Window, World

from sluice.core import window_protocol as protocol
from sluice.core.window_protocol import Choose, Move, Seen, Times
from sluice.core.window_record import WaveRecord

HALF_WAY = Window(enabled=False, schedule=NEVER)
"""A window that somebody prepared and left: a sweep has something to do, and its calls may come late."""

WALKS: dict[str, dict[str, Any]] = {
    "one wave, a late call and a hand, and a window that was left half way": {"waves": (0,), "left": HALF_WAY},
    "one wave, a hand, and a start date that AWS does not honour": {"waves": (0,), "own_tick": 2, "late": 0},
    "one wave, a late call, and a start date that AWS does not honour": {
        "waves": (0,), "left": HALF_WAY, "own_tick": 2, "hands": 0,
    },
    "two releases, a hand": {"waves": (0, 2), "starts": (1, 4), "late": 0},
    "two releases of the same hour, a hand": {"waves": (0, 2), "starts": (1, 1), "late": 0},
    "two locations, nobody interferes": {"waves": (0,), "locations": 2, "late": 0, "hands": 0, "last_tick": 3},
}  # fmt: skip
NIGHTLY: dict[str, dict[str, Any]] = {
    "two waves, a late call": {"waves": (0, 1), "hands": 0},
    "two releases, a late call": {"waves": (0, 2), "starts": (1, 4), "hands": 0},
    "two locations, a hand": {"waves": (0,), "locations": 2, "late": 0, "last_tick": 3},
    "two releases and three waves, a hand": {"late": 0, "starts": (1, 4)},
    "two locations and two releases of the same hour, nobody interferes": {
        "waves": (0, 2), "starts": (1, 1), "locations": 2, "late": 0, "hands": 0, "last_tick": 2, "length": 1,
    },
}  # fmt: skip


def walked(given: dict[str, Any]) -> None:
    world = World(**given)
    broken = world.walk()
    print(f"{world.states} states, {world.steps} steps, an Install ran in {world.fired}")
    assert broken is None, broken
    assert world.fired > world.states / 10, "a walk in which hardly anything runs says little"


@pytest.mark.shared
@pytest.mark.parametrize("name", share(list(WALKS), 3))
def test_no_wave_installs_twice_or_unannounced_and_close_and_sweep_put_to_rest(name: str) -> None:
    walked(WALKS[name])


@pytest.mark.nightly
@pytest.mark.parametrize("given", NIGHTLY.values(), ids=NIGHTLY.keys())
def test_nor_in_a_larger_world(given: dict[str, Any]) -> None:
    walked(given)


def _without_looking(record: WaveRecord | None, seen: Seen, now: datetime, times: Times, kind: Any) -> Move:
    """Does not look whether the window was started at another time."""
    if record is not None and record.step in ("planned", "arming"):
        seen = replace(seen, executions=tuple(one for one in seen.executions if one.start == record.at))
    return protocol.decide(record, seen, now, times, kind)


def _anew(record: WaveRecord | None, seen: Seen, now: datetime, times: Times, kind: Any) -> Move:
    """Opens anew at a later time where it does not know whether it has opened, and does not look."""
    if record is not None and record.step in ("planned", "arming", "armed"):
        later = protocol.opening(times, kind, now)
        if later is not None and later.at != record.at:
            return Choose(later)
        seen = replace(seen, executions=())
    return protocol.decide(record, seen, now, times, kind)


SPOILT: dict[str, tuple[Rules, dict[str, Any]]] = {
    "gives the window its own schedule before tasks and targets are at rest": (
        Rules(closing=("settle", "tasks", "targets")), {"waves": (0,), "late": 0, "own_tick": 2},
    ),
    "prepares tasks and targets while the window has its own schedule": (
        Rules(preparing=("tasks", "targets", "disarm")), {"waves": (0,), "late": 0, "own_tick": 2},
    ),
    "lets a worker go on that was overtaken": (Rules(fenced=False), {"waves": (0,), "late": 0, "own_tick": 2}),
    "overwrites a record that another worker has written": (
        Rules(conditional=False), {"waves": (0,), "hands": 0},
    ),
    "does not look for an execution at another time before it opens": (
        Rules(decide=_without_looking), {"waves": (0,), "starts": (3, 9), "own_tick": 2, "left": HALF_WAY},
    ),
    "moves the time of a window that may have been opened, and does not look": (
        Rules(decide=_anew), {"waves": (0,), "hands": 0, "late": 0},
    ),
    "gives the window at rest a schedule that fires": (Rules(), {"waves": (0,), "own_tick": 2, "left": HALF_WAY}),
    "gives the lease back while a call that opens the window is on its way": (
        Rules(keeps_lease=False), {"waves": (0, 2), "starts": (1, 4), "hands": 0, "last_tick": 1},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("rules", "given"), SPOILT.values(), ids=SPOILT.keys())
def test_the_walk_finds_a_protocol_that(rules: Rules, given: dict[str, Any]) -> None:
    broken = World(rules=rules, **given).walk()
    assert broken is not None
    assert "Install" in broken.splitlines()[0], broken
