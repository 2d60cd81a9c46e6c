"""The slots of windows."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sluice.core.policy.policy import Policy
from sluice.core.policy.slots import groups_of, slots


def policy(groups: dict[str, list[str]], *windows: dict[str, Any]) -> Policy:
    return Policy.model_validate(
        {
            "version": 1,
            "mode": "release",
            "rings": [{"name": "nonprod"}],
            "baselines": [{"name": "any", "os": "UBUNTU"}],
            "patch_groups": [
                {"name": name, "ring": "nonprod", "baselines": "any", "products": products}
                for name, products in groups.items()
            ],
            "windows": [{"schedule": "cron(0 1 ? * * *)", "duration_hours": 2, **window} for window in windows],
        }
    )


TWO = {"web": ["UBUNTU 22.04", "UBUNTU 24.04"], "db": ["UBUNTU 24.04"]}


def test_an_install_window_has_a_slot_for_each_group_and_product() -> None:
    found = policy(TWO, {"name": "install", "operation": "install"})
    assert [slot.name for slot in slots(found, found.windows[0])] == [
        "web.UBUNTU_22.04",
        "web.UBUNTU_24.04",
        "db.UBUNTU_24.04",
    ]


def test_a_scan_of_all_has_a_slot_for_each_group_and_one_for_nodes_without() -> None:
    found = policy(TWO, {"name": "scan", "operation": "scan"})
    assert [slot.name for slot in slots(found, found.windows[0])] == ["web.scan", "db.scan", "ungrouped"]


def test_a_scan_of_some_groups_leaves_nodes_without_a_group_alone() -> None:
    found = policy(TWO, {"name": "scan", "operation": "scan", "patch_groups": "db"})
    assert [slot.name for slot in slots(found, found.windows[0])] == ["db.scan"]


def test_a_window_that_replaces_another_takes_its_groups_away() -> None:
    found = policy(
        TWO,
        {"name": "install", "operation": "install"},
        {"name": "install-db", "operation": "install", "patch_groups": "db", "replaces": "install"},
    )
    assert [[group.name for group in groups_of(found, window)] for window in found.windows] == [["web"], ["db"]]


def test_groups_that_would_be_called_the_same_get_names_of_their_own() -> None:
    found = policy({"a b": ["UBUNTU 22.04"], "a_b": ["UBUNTU 22.04"]}, {"name": "install", "operation": "install"})
    names = [slot.name for slot in slots(found, found.windows[0])]
    assert len(set(names)) == 2
    assert all(name.startswith("a_b.UBUNTU_22.04-") for name in names)


GROUPS = st.lists(st.text("ab _.:/=+@-é", min_size=1, max_size=200).filter(str.strip), unique=True, max_size=6)


@given(GROUPS, st.sampled_from(["scan", "install"]))
def test_names_are_unique_and_such_as_aws_takes(names: list[str], operation: str) -> None:
    groups = {name: ["UBUNTU 22.04", "UBUNTU 24.04"] for name in names}
    found = policy(groups, {"name": "window", "operation": operation})
    made = [slot.name for slot in slots(found, found.windows[0])]
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"[a-zA-Z0-9_.-]{3,128}", name) for name in made)
