"""No history of nodes makes a window reach one that was not admitted.

The world is pure: nodes, what happens to them, and Systems Manager, which reads tags when a window starts. The
release tag is the product's own: who writes it by hand is not in these histories, but found before a window opens
(tests/flow/test_admit.py) and when its nodes are compared with the wave's (tests/flow, the window protocol).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from nodes_world import AMAZON, DAY, HERE, REGISTERED, THERE, UBUNTU, WINDOWS, node, nodes_policy, reached, window_of

from sluice.core.node import Node
from sluice.core.policy.policy import Policy
from sluice.core.policy.slots import slots
from sluice.core.release.resolve import changed, resolve, without
from sluice.core.release.terms import Expected, Reason
from sluice.core.release.waves import split, tagged, target_of

RELEASE = "install-prod-20250609T0300-0123abcd"
GROUPS = ("prod-linux", "prod-windows", "nonprod-linux", "prod-centos", "strangers", None)
PLATFORMS = (AMAZON, UBUNTU, WINDOWS)
OWN = "sluice:release"

World = dict[str, dict[str, Node]]
"""Nodes by location and id."""

Event = tuple[str, int, int, int]
"""What happens, which node (by number, of those that are there), and two numbers to choose by."""

KINDS = ("launch", "copy", "terminate", "stop", "start", "lose", "find", "retag", "untag", "except", "unexcept")

events = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 200), st.integers(0, 5), st.integers(0, 2)), max_size=12
)


class History:
    """The world, and the exceptions of the policy, as events change them."""

    def __init__(self, sizes: tuple[int, int]) -> None:
        self.world: World = {HERE: {}, THERE: {}}
        self.excepted: set[str] = set()
        self.launched = 0
        for place, size in zip(self.world, sizes, strict=True):
            for number in range(size):
                self.launch(
                    place, "prod-linux" if number % 7 else "prod-windows", PLATFORMS[2 if not number % 7 else 0]
                )

    @property
    def policy(self) -> Policy:
        if not self.excepted:
            return nodes_policy()
        names = sorted(self.excepted)[:200]
        return nodes_policy(exceptions=[{"nodes": names, "owner": "o", "because": "b", "expires": "2025-07-01"}])

    def launch(self, place: str, group: str | None, platform: tuple[str, str]) -> None:
        self.launched += 1
        new = node(f"i-{self.launched:04}", group, platform)
        self.world[place][new.id] = new

    def happen(self, event: Event) -> None:
        kind, which, first, second = event
        place = (HERE, THERE)[second % 2]
        there = self.world[place]
        if kind == "launch" or not there:
            self.launch(place, GROUPS[first], PLATFORMS[second])
            return
        one = sorted(there.values(), key=lambda each: each.id)[which % len(there)]
        if kind == "terminate":
            del there[one.id]
        elif kind == "except":
            self.excepted.add(one.id)
        elif kind == "unexcept":
            self.excepted.discard(one.id)
        elif kind == "copy":  # "launch more like this": with the tags of the one that it is like, but ours
            self.launched += 1
            tags = {key: value for key, value in one.tags.items() if key != OWN}
            there[f"i-{self.launched:04}"] = replace(one, id=f"i-{self.launched:04}", tags=tags)
        else:
            there[one.id] = _changed(one, kind, GROUPS[first])


def _changed(one: Node, kind: str, group: str | None) -> Node:
    if kind == "stop":
        return replace(one, state="stopped")
    if kind == "start":
        return replace(one, state="running")
    if kind in ("lose", "find") and one.agent:
        return replace(one, agent=replace(one.agent, online=kind == "find"))
    tags = {key: value for key, value in one.tags.items() if key != "Patch Group"}
    return replace(one, tags=tags if kind == "untag" or group is None else {**tags, "Patch Group": group})


def _resolved(history: History) -> dict[str, tuple[Expected, ...]]:
    policy = history.policy
    window = window_of(policy, "install-prod")
    return {
        place: resolve(policy, window, nodes.values(), REGISTERED, place, DAY) for place, nodes in history.world.items()
    }


def _admit(
    before: dict[str, tuple[Expected, ...]], now: dict[str, tuple[Expected, ...]], kept_out: set[str]
) -> dict[str, list[Expected]]:
    refused = dict.fromkeys(kept_out, (str(Reason.NO_TWIN), ""))
    admitted = {}
    for place, expected in before.items():
        left = without(expected, refused)
        left = without(left, changed(left, now[place]))
        admitted[place] = [one for one in left if one.reason is None]
    return admitted


@given(st.tuples(st.integers(0, 120), st.integers(0, 60)), st.lists(events, min_size=6, max_size=6), st.data())
def test_no_history_makes_a_window_reach_a_node_outside_the_admitted_set(
    sizes: tuple[int, int], phases: list[list[Event]], data: Any
) -> None:
    history = History(sizes)
    passing: Callable[[], None] = _phases(history, phases)
    passing()
    before = _resolved(history)
    reachable = {one.node for expected in before.values() for one in expected if one.reason is None}
    kept_out = set(data.draw(st.lists(st.sampled_from(sorted(reachable)), max_size=5))) if reachable else set()
    passing()
    excepted_at_admission = set(history.excepted)
    admitted = _admit(before, _resolved(history), kept_out)
    set_of = {place: {one.node for one in nodes} for place, nodes in admitted.items()}
    everywhere = set().union(*set_of.values())
    assert everywhere <= reachable - kept_out - excepted_at_admission

    policy = history.policy
    window = window_of(policy, "install-prod")
    waves = split(window, RELEASE, admitted)
    for value, nodes, place in ((v, n, part.location) for wave in waves for part in wave for v, n in tagged(part)):
        for id in nodes:
            one = history.world[place][id]
            history.world[place][id] = replace(one, tags={**one.tags, OWN: value})

    times: dict[str, int] = {}
    for wave in waves:
        passing()
        for part in wave:
            for slot in slots(policy, window):
                hit = set(reached(target_of(part, slot), history.world[part.location]))
                assert hit <= set(dict(part.slots).get(slot.name, ())) <= set_of[part.location]
                for id in hit:
                    times[id] = times.get(id, 0) + 1
    assert all(number == 1 for number in times.values()), "no node is reached by two waves or slots"


def _phases(history: History, phases: list[list[Event]]) -> Callable[[], None]:
    left = iter(phases)

    def passing() -> None:
        for event in next(left, []):
            history.happen(event)

    return passing


@given(st.tuples(st.integers(0, 120), st.integers(0, 60)))
def test_where_nothing_happens_every_node_that_can_be_reached_is(sizes: tuple[int, int]) -> None:
    history = History(sizes)
    policy = history.policy
    window = window_of(policy, "install-prod")
    before = _resolved(history)
    admitted = _admit(before, before, set())
    hit: set[str] = set()
    for part in (part for wave in split(window, RELEASE, admitted) for part in wave):
        nodes = history.world[part.location]
        for value, ids in tagged(part):
            for id in ids:
                nodes[id] = replace(nodes[id], tags={**nodes[id].tags, OWN: value})
        for slot in slots(policy, window):
            hit |= set(reached(target_of(part, slot), nodes))
    assert hit == {one.node for expected in before.values() for one in expected if one.reason is None}
    assert len(hit) == sum(sizes)
