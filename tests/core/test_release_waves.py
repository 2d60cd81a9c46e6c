"""Waves: one canary of each kind, shares, the rest; each node once, in an order that every retry finds again."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate
from math import ceil
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from nodes_world import HERE, THERE, nodes_policy, window_of

from sluice.core.policy.slots import Slot
from sluice.core.policy.windows import Window
from sluice.core.release.terms import Expected, WavePart
from sluice.core.release.waves import IDS_AT_MOST, count, nameable, split, tagged, target_of

RELEASE = "install-prod-20250609T0300-0123abcd"
LINUX, UBUNTU = "prod-linux.AMAZON_LINUX_2023", "prod-linux.UBUNTU_22.04"


def window(waves: Any) -> Window:
    return window_of(nodes_policy(waves=waves), "install-prod")


def members(location: str, slot: str, number: int) -> list[Expected]:
    return [
        Expected(f"i-{slot[-1]}{location[-1]}{index:03}", location, "", "prod-linux", "P", None, slot)
        for index in range(number)
    ]


def sizes(found: tuple[tuple[WavePart, ...], ...]) -> list[dict[str, int]]:
    return [{part.location: len(part.nodes) for part in wave} for wave in found]


def test_the_number_of_waves_is_the_policys() -> None:
    assert count(window({"canary": 1, "shares": [25, "50%"]})) == 4
    assert count(window({"canary": 0, "shares": [25]})) == 2
    assert count(window("all_at_once")) == 1
    assert count(window({"canary": 2})) == 2
    assert count(window({"canary": 1, "shares": [33.3, 33.3, 33.4]})) == 4, "the shares are everything: nothing is left"
    assert count(window_of(nodes_policy(), "scan")) == 1


def test_the_canary_is_one_node_of_each_slot_in_the_first_location_that_has_it() -> None:
    admitted = {HERE: members(HERE, LINUX, 4), THERE: [*members(THERE, LINUX, 4), *members(THERE, UBUNTU, 3)]}
    first = split(window({"canary": 1}), RELEASE, admitted)[0]
    assert [(part.location, part.slots) for part in first] == [
        (HERE, ((LINUX, ("i-33000",)),)),
        (THERE, ((UBUNTU, ("i-41000",)),)),
    ]


def test_shares_are_of_the_nodes_after_the_canary_and_spread_over_the_locations() -> None:
    admitted = {HERE: members(HERE, LINUX, 41), THERE: members(THERE, LINUX, 20)}
    found = split(window({"canary": 1, "shares": [25]}), RELEASE, admitted)
    assert sizes(found) == [{HERE: 1}, {HERE: 10, THERE: 5}, {HERE: 30, THERE: 15}]


def test_a_slot_of_one_node_is_patched_in_the_first_wave_and_no_other() -> None:
    found = split(window({"canary": 1, "shares": [25]}), RELEASE, {HERE: members(HERE, LINUX, 1)})
    assert sizes(found) == [{HERE: 1}, {}, {}]


def test_a_scan_is_one_wave_over_everything() -> None:
    scan = window_of(nodes_policy(), "scan")
    admitted = {HERE: members(HERE, "prod-linux.scan", 3), THERE: members(THERE, "ungrouped", 2)}
    assert sizes(split(scan, RELEASE, admitted)) == [{HERE: 3, THERE: 2}]


@given(
    st.lists(st.tuples(st.integers(0, 130), st.integers(0, 70)), min_size=1, max_size=4),
    st.integers(0, 3),
    st.lists(st.integers(1, 30), max_size=3),
)
def test_every_admitted_node_is_in_exactly_one_wave(
    sized: list[tuple[int, int]], canary: int, shares: list[int]
) -> None:
    policy_window = window({"canary": canary, "shares": shares})
    admitted = {
        f"{number}/{number}": [*members(str(number), LINUX, linux), *members(str(number), UBUNTU, ubuntu)]
        for number, (linux, ubuntu) in enumerate(sized)
    }
    found = split(policy_window, RELEASE, admitted)
    assert len(found) == count(policy_window)
    placed = [(part.location, node) for wave in found for part in wave for node in part.nodes]
    wanted = [(place, one.node) for place, nodes in admitted.items() for one in nodes]
    assert Counter(placed) == Counter(wanted)
    assert all(part.wave == number for number, wave in enumerate(found, start=1) for part in wave)
    for slot, counted in ((LINUX, [linux for linux, _ in sized]), (UBUNTU, [ubuntu for _, ubuntu in sized])):
        first = min(canary, next((number for number in counted if number), 0))
        others = sum(counted) - first
        ends = [first, *(first + ceil(others * sum(shares[: number + 1]) / 100) for number in range(len(shares)))]
        by_wave = [sum(len(dict(part.slots).get(slot, ())) for part in wave) for wave in found]
        assert list(accumulate(by_wave)) == [*ends[0 if canary else 1 :], sum(counted)]
    reordered = {place: list(reversed(nodes)) for place, nodes in admitted.items()}
    assert split(policy_window, RELEASE, reordered) == found


def test_a_slot_of_at_most_50_nodes_is_named_by_ids_and_a_larger_one_by_a_tag() -> None:
    nodes = tuple(f"i-{number:03}" for number in range(IDS_AT_MOST + 1))
    slot, other, none = (Slot("install-prod", name, None, None) for name in (LINUX, UBUNTU, "prod-windows.X"))
    part = WavePart(RELEASE, 2, HERE, ((LINUX, nodes), (UBUNTU, nodes[:IDS_AT_MOST])))
    value = f"{RELEASE}/{LINUX}/2"
    assert target_of(part, slot) == ("tag:sluice:release", (value,))
    assert target_of(part, other) == ("InstanceIds", nodes[:IDS_AT_MOST])
    assert target_of(part, none) == ("tag:sluice:release", ("none",))
    assert tagged(part) == ((value, nodes),)


def test_some_nodes_of_a_tagged_slot_are_named_by_id_or_not_apart_from_the_others() -> None:
    nodes = tuple(f"i-{number:03}" for number in range(80))
    assert nameable(nodes[:50], nodes) == nodes[:50]
    assert nameable(nodes[:51], nodes) == nodes
