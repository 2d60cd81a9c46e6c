"""What happened, from the lab's own record: first and last days of each patch in each ring, and the invariant.

    No prod release requests a patch version before it has been on non-production for the soak period, except
    those that an approved expedite or a named waiver lists.

Nothing here is the product's word: the lab notes what its package managers were asked for and what they installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sluice.core.policy.policy import Policy

SLACK = timedelta(seconds=1)
"""Times in the journal are whole seconds."""


@dataclass(frozen=True, slots=True, order=True)
class Patch:
    """One version of a package, or a KB, on one OS product as the lab names it."""

    product: str
    id: str
    version: str

    def __str__(self) -> str:
        return f"{self.id} {self.version}".strip() + f" ({self.product})"


@dataclass(slots=True)
class Days:
    """When a patch was installed in a ring, and on how many nodes."""

    first: datetime
    last: datetime
    nodes: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Broken:
    """A request on production of something that had not soaked."""

    at: datetime
    node: str
    patch: Patch
    since: datetime | None
    """When it was in effect on a node of the ring before; None: never."""
    demanded: timedelta

    def __str__(self) -> str:
        since = (
            "never was on the ring before"
            if self.since is None
            else f"on the ring before since {self.since:%d %b %H:%M}"
        )
        return (
            f"{self.at:%d %b %H:%M} {self.node} was asked for {self.patch}: {since}, expected {self.demanded.days} days"
        )


@dataclass
class Record:
    """The journal of a lab over a policy: `before` is what the nodes had before anything ran."""

    policy: Policy
    entries: Sequence[Mapping[str, Any]]
    before: Sequence[Mapping[str, Any]]
    groups: Mapping[str, str | None]
    """Each node's patch group before anything ran."""

    def ring_of(self, group: str | None) -> str | None:
        """The ring of a patch group; None: the policy has none of that name."""
        return next((one.ring for one in self.policy.patch_groups if one.name == group), None)

    def is_production(self, group: str | None) -> bool:
        """Whether a patch group is in a ring of production."""
        name = self.ring_of(group)
        return any(ring.production for ring in self.policy.rings if ring.name == name)

    def installs(self) -> list[Mapping[str, Any]]:
        """Install operations, in order."""
        return [entry for entry in self.entries if entry["kind"] == "install"]

    def days(self) -> dict[Patch, dict[str, Days]]:
        """First and last day of each patch that came, in each ring."""
        found: dict[Patch, dict[str, Days]] = {}
        for entry in self.installs():
            ring = self.ring_of(entry["group"])
            at = datetime.fromisoformat(entry["at"])
            for key, version in entry["installed"] if ring else ():
                rings = found.setdefault(Patch(entry["product"], key, version), {})
                days = rings.setdefault(str(ring), Days(at, at))
                days.last = at
                days.nodes.add(entry["name"] or entry["node_id"])
        return found

    def in_effect(self, ring: str) -> dict[Patch, datetime]:
        """Since when each patch is in effect in a ring: installed, and booted where it takes a boot.

        What nodes had before anything ran counts from their image on, as AWS's InstalledTime does.
        """
        found: dict[Patch, datetime] = {}
        waiting: dict[str, list[Patch]] = {}
        for node in self.before:
            if self.ring_of(self.groups.get(node["node_id"])) == ring and node["image_built"]:
                for key, version in node["packages"]:
                    _earliest(found, Patch(node["product"], key, version), datetime.fromisoformat(node["image_built"]))
        for entry in self.entries:
            at = datetime.fromisoformat(entry["at"])
            if entry["kind"] == "boot":
                for patch in waiting.pop(entry["node_id"], ()):
                    _earliest(found, patch, at)
            elif self.ring_of(entry["group"]) == ring:
                for key, version in entry["installed"]:
                    patch = Patch(entry["product"], key, version)
                    if key in entry["needs_reboot"]:
                        waiting.setdefault(entry["node_id"], []).append(patch)
                    else:
                        _earliest(found, patch, at)
        return found

    def broken(self, allowed: Callable[[Patch, datetime], bool] = lambda patch, at: False) -> list[Broken]:
        """Every request on a ring of production of what had not soaked in the ring before.

        `allowed` says what an expedite or waiver lets through. The shortest soak of the ring is demanded: which
        severity a patch has is the product's to know.
        """
        found = []
        names = [ring.name for ring in self.policy.rings]
        for index, ring in enumerate(self.policy.rings):
            if not ring.production or not index:
                continue
            demanded = timedelta(days=ring.soak.shortest if ring.soak else 0)
            since = self.in_effect(names[index - 1])
            for at, node, patch in self._requests(ring.name):
                began = since.get(patch)
                soaked = began is not None and at - began >= demanded - SLACK
                if not soaked and not allowed(patch, at):
                    found.append(Broken(at, node, patch, began, demanded))
        return found

    def _requests(self, ring: str) -> Iterable[tuple[datetime, str, Patch]]:
        for entry in self.installs():
            if self.ring_of(entry["group"]) == ring:
                for key, version in entry["requested"]:
                    patch = Patch(entry["product"], key, version)
                    yield datetime.fromisoformat(entry["at"]), entry["name"] or entry["node_id"], patch

    def ungated(self) -> list[Mapping[str, Any]]:
        """Installs on production without a list of what to install, or outside a window's execution."""
        return [
            entry
            for entry in self.installs()
            if self.is_production(entry["group"]) and not (entry["override"] and entry["execution_id"])
        ]

    def overtaken(self, ring: str, soak: timedelta) -> list[tuple[Patch, Patch]]:
        """Patches of a ring whose successor came there before they had soaked: the older and the newer one."""
        firsts: dict[tuple[str, str], list[tuple[datetime, Patch]]] = {}
        for patch, rings in self.days().items():
            if ring in rings:
                firsts.setdefault((patch.product, patch.id), []).append((rings[ring].first, patch))
        found = []
        for versions in firsts.values():
            ordered = sorted(versions)
            found += [(older, newer) for (came, older), (then, newer) in pairwise(ordered) if came < then < came + soak]
        return found


def waived(policy: Policy) -> Callable[[Patch, datetime], bool]:
    """Whether a waiver of the policy lets a patch through."""

    def allowed(patch: Patch, at: datetime) -> bool:
        named = {
            name
            for waiver in policy.exceptions
            if at.date() <= waiver.expires
            for name in (*waiver.patches, *waiver.packages)
        }
        return bool({patch.id, patch.id.rpartition(".")[0]} & named)

    return allowed


def _earliest(found: dict[Patch, datetime], patch: Patch, at: datetime) -> None:
    if patch not in found or at < found[patch]:
        found[patch] = at
