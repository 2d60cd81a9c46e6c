"""What the rules look at: the policy, the day, and what several rules ask of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TypeAlias

from sluice.core.calendar import rings_of
from sluice.core.policy.baselines import Baseline, PatchGroup
from sluice.core.policy.policy import Policy
from sluice.core.policy.rings import Ring
from sluice.core.policy.slots import groups_of
from sluice.core.policy.windows import Window
from sluice.core.yaml_text import Path

WINDOWS_OS = "WINDOWS"


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule found, and the part of the policy that it is about."""

    code: str
    path: Path
    message: str
    """What was expected, what was found, what to do."""


Rule: TypeAlias = Callable[["Subject"], Iterator[Found]]


class Subject:
    """A policy on a day. Its names refer to something and occur once: `sluice.core.policy.structure` saw to it."""

    def __init__(self, policy: Policy, today: date) -> None:
        self.policy = policy
        self.today = today

    @cached_property
    def rings(self) -> dict[str, Ring]:
        """By name."""
        return {ring.name: ring for ring in self.policy.rings}

    @cached_property
    def baselines(self) -> dict[str, Baseline]:
        """By name."""
        return {baseline.name: baseline for baseline in self.policy.baselines}

    @cached_property
    def groups(self) -> dict[str, PatchGroup]:
        """By name."""
        return {group.name: group for group in self.policy.patch_groups}

    @cached_property
    def windows(self) -> dict[str, Window]:
        """By name."""
        return {window.name: window for window in self.policy.windows}

    @cached_property
    def groups_of_baseline(self) -> dict[str, list[PatchGroup]]:
        """The patch groups that a baseline serves."""
        return {
            name: [group for group in self.policy.patch_groups if name in group.baselines] for name in self.baselines
        }

    @cached_property
    def reach(self) -> list[tuple[PatchGroup, ...]]:
        """Per window, in the policy's order: the patch groups that it reaches."""
        return [groups_of(self.policy, window) for window in self.policy.windows]

    @cached_property
    def reaching(self) -> dict[str, list[tuple[int, Window]]]:
        """By the name of a patch group that any window reaches: these windows, with their index."""
        found: dict[str, list[tuple[int, Window]]] = {}
        for index, window in enumerate(self.policy.windows):
            for group in self.reach[index]:
                found.setdefault(group.name, []).append((index, window))
        return found

    @cached_property
    def installs(self) -> list[tuple[int, Window]]:
        """The install windows with their index."""
        return [(index, window) for index, window in enumerate(self.policy.windows) if window.installs]

    @cached_property
    def scans(self) -> list[tuple[int, Window]]:
        """The scan windows with their index."""
        return [(index, window) for index, window in enumerate(self.policy.windows) if not window.installs]

    def ring_before(self, name: str) -> Ring | None:
        """The ring in which the patches of this one soak: the nearest before it, None for the first."""
        before: Ring | None = None
        for ring in self.policy.rings:
            if ring.name == name:
                return before
            before = ring
        return None

    @cached_property
    def reached_rings(self) -> list[tuple[Ring, ...]]:
        """Per window, in the policy's order: the rings of the patch groups that it reaches."""
        return [rings_of(self.policy, window) for window in self.policy.windows]

    def on_production(self, index: int) -> bool:
        """Whether the window reaches a production ring."""
        return any(ring.production for ring in self.reached_rings[index])

    @cached_property
    def production_installs(self) -> list[tuple[int, Window]]:
        """The install windows that reach a production ring."""
        return [(index, window) for index, window in self.installs if self.on_production(index)]
