"""Slots: what a window consists of in AWS, one task and one target each.

An install window has a slot for each patch group and OS product, a scan window one for each patch group
and one for the nodes that have no group. Slots are fixed: a release updates them and registers none.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from sluice.core.policy.baselines import PatchGroup
from sluice.core.policy.policy import Policy
from sluice.core.policy.windows import Window

MAX_SLOTS = 20
"""Tasks that AWS allows in a window."""

UNGROUPED = "ungrouped"
"""The slot of the nodes without a patch group."""

LONGEST_NAME = 128


@dataclass(frozen=True, slots=True)
class Slot:
    """A part of a window."""

    window: str
    """The window's name in the policy."""
    name: str
    """As AWS takes it for a target's and a task's name: letters, digits, `_`, `-` and `.`."""
    group: PatchGroup | None
    """None: nodes without a patch group."""
    product: str | None
    """The OS product, None in a scan window."""


def groups_of(policy: Policy, window: Window) -> tuple[PatchGroup, ...]:
    """The patch groups that a window reaches: one that replaces it takes its own groups away."""
    taken = {
        name
        for other in policy.windows
        if window.name in other.replaces and other.patch_groups != "all"
        for name in other.patch_groups
    }
    return tuple(
        group
        for group in policy.patch_groups
        if group.name not in taken and (window.patch_groups == "all" or group.name in window.patch_groups)
    )


def slots(policy: Policy, window: Window) -> tuple[Slot, ...]:
    """The slots of a window, in the policy's order; their names are unique in the window."""
    parts = list(_parts(policy, window))
    plain = [_sanitised(text) for text, _, _ in parts]
    count = Counter(plain)
    return tuple(
        Slot(window.name, name if count[name] == 1 and name else _distinct(name, text), group, product)
        for name, (text, group, product) in zip(plain, parts, strict=True)
    )


def _parts(policy: Policy, window: Window) -> Iterator[tuple[str, PatchGroup | None, str | None]]:
    for group in groups_of(policy, window):
        if window.installs:
            for product in group.products:
                yield f"{group.name}.{product}", group, product
        else:
            yield f"{group.name}.scan", group, None
    if not window.installs and window.patch_groups == "all":
        yield UNGROUPED, None, None


def _sanitised(text: str) -> str:
    name = re.sub(r"[^a-zA-Z0-9_.-]", "_", text)
    return name if len(name) <= LONGEST_NAME else ""


def _distinct(name: str, text: str) -> str:
    """A name for what is too long, or would be called as another is."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    shown = name or re.sub(r"[^a-zA-Z0-9_.-]", "_", text)
    return f"{shown[: LONGEST_NAME - 9]}-{digest}"
