"""Which nodes a release expects, and why it cannot reach those that it cannot.

An install expects the nodes of its window's patch groups, and names those that no window reaches because they have
no patch group, or one that the policy has not. A scan expects every node, tagged or not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from sluice.core.errors import ReleaseError
from sluice.core.node import Node
from sluice.core.os_product import covers, operating_system
from sluice.core.policy.policy import Policy
from sluice.core.policy.slots import Slot, groups_of, slots
from sluice.core.policy.windows import Window
from sluice.core.release.terms import Asked, Expected, Reason


@dataclass(frozen=True)
class _Scope:
    """What the nodes of a location are held against."""

    policy: Policy
    window: Window
    slots: tuple[Slot, ...]
    registered: Collection[tuple[str, str]]
    today: date

    @property
    def known(self) -> frozenset[str]:
        """Every patch group of the policy."""
        return frozenset(group.name for group in self.policy.patch_groups)

    @property
    def own(self) -> frozenset[str]:
        """The window's patch groups."""
        return frozenset(group.name for group in groups_of(self.policy, self.window))


def resolve(
    policy: Policy,
    window: Window,
    nodes: Iterable[Node],
    registered: Collection[tuple[str, str]],
    location: str,
    today: date,
) -> tuple[Expected, ...]:
    """The nodes that a release of the window expects in a location, by id.

    `registered` are the patch groups and operating systems that a baseline is registered for; `today` is the day of
    the release in the window's time zone, on which exceptions are over or not.
    """
    scope = _Scope(policy, window, slots(policy, window), registered, today)
    found = (_expected(scope, node, location) for node in nodes)
    return tuple(sorted((one for one in found if one is not None), key=lambda one: one.node))


def narrowed(expected: Iterable[Expected], asked: Asked, failed: Collection[str] | None = None) -> tuple[Expected, ...]:
    """What was asked for of it; `failed` are the nodes of the release that is retried."""
    return tuple(
        one
        for one in expected
        if (not asked.nodes or one.node in asked.nodes)
        and (not asked.patch_groups or one.group in asked.patch_groups)
        and (failed is None or one.node in failed)
    )


def check_groups(policy: Policy, window: Window, asked: Asked) -> None:
    """Raises ReleaseError where patch groups were asked for that the window does not reach."""
    own = [group.name for group in groups_of(policy, window)]
    if unknown := [name for name in asked.patch_groups if name not in own]:
        raise ReleaseError(
            f"expected patch groups of {window.name} ({', '.join(own)}), found {', '.join(unknown)}: ask for one of"
            " them, or run the window that reaches it"
        )


def _expected(scope: _Scope, node: Node, location: str) -> Expected | None:
    group = node.group(scope.policy.tags.patch_group)
    if group in scope.known and group not in scope.own:
        return None  # another window's
    if group not in scope.known and not _concerns_strangers(scope.window):
        return None
    slot = _slot(scope, group, node.product)
    reason, detail = _reason(scope, node, group, slot)
    return Expected(
        node=node.id,
        location=location,
        name=node.tags.get("Name", ""),
        group=group,
        product=node.product,
        role=node.tags.get(scope.policy.tags.role) or None,
        slot=slot.name if slot else None,
        reason=reason,
        detail=detail,
    )


def _concerns_strangers(window: Window) -> bool:
    """Whether nodes outside the policy's groups are the window's business.

    An install names them, as none reaches them; of scans the one over everything takes them.
    """
    return window.installs or window.patch_groups == "all"


def _slot(scope: _Scope, group: str | None, product: str | None) -> Slot | None:
    """The slot that reaches a node; of several products that cover its own, the most exact."""
    if not scope.window.installs:
        name = group if group in scope.known else None
        return next((one for one in scope.slots if (one.group.name if one.group else None) == name), None)
    fitting = [
        one
        for one in scope.slots
        if one.group and one.group.name == group and one.product and product and covers(one.product, product)
    ]
    return max(fitting, key=lambda one: len(one.product or ""), default=None)


Why = tuple[Reason, str]
"""A reason and its detail."""


def _reason(scope: _Scope, node: Node, group: str | None, slot: Slot | None) -> tuple[Reason | None, str]:
    """The first of the reasons for which a node is not reached."""
    unserved = _unserved(scope, node, group)
    if not scope.window.installs:
        return _unreachable(node) or _unknown(node) or (None, unserved or "")
    found = _stranger(scope, node, group) or _excepted(scope, node, group) or _unreachable(node) or _unknown(node)
    if found is None and slot is None:
        found = Reason.NOT_LISTED, f"{group} does not list {node.product}"
    if found is None and unserved:
        found = Reason.NO_BASELINE, unserved
    return found or (None, "")


def _unserved(scope: _Scope, node: Node, group: str | None) -> str | None:
    """That a node's patch group has no baseline for its system, so that AWS's default decides about it."""
    if group is None or node.product is None:
        return None
    system = operating_system(node.product)
    return None if (group, system) in scope.registered else f"no baseline serves {group} on {system}"


def _unknown(node: Node) -> Why | None:
    if node.product is not None or node.agent is None:
        return None
    told = f"{node.agent.platform_name} {node.agent.platform_version}".strip()
    return Reason.UNKNOWN_PRODUCT, f"the agent says {told!r}, which Patch Manager has no word for"


def _stranger(scope: _Scope, node: Node, group: str | None) -> Why | None:
    key = scope.policy.tags.patch_group
    if group in scope.own:
        return None
    if group is None:
        other = node.patch_manager_group
        return Reason.NO_GROUP, f"tagged by another key than {key}: {other}" if other else f"no tag {key}"
    if _unserved(scope, node, group):
        return Reason.NO_BASELINE, f"{group} is not in the policy, and no baseline serves it"
    return Reason.NO_GROUP, f"{group} is not in the policy"


def _excepted(scope: _Scope, node: Node, group: str | None) -> Why | None:
    """Of several exceptions that hold the longest is told."""
    holding = [
        one
        for one in scope.policy.exceptions
        if one.holds(scope.today) and (node.id in one.nodes or group in one.patch_groups)
    ]
    if not holding:
        return None
    longest = max(holding, key=lambda one: one.expires)
    return Reason.EXCEPTED, f"until {longest.expires}, {longest.owner}: {longest.because}"


def _unreachable(node: Node) -> Why | None:
    if node.stopped:
        return Reason.STOPPED, node.state
    if node.agent is None:
        if node.profile is None:
            return Reason.NO_PROFILE, "and so unknown to Systems Manager"
        return Reason.NO_AGENT, f"{node.state}, with the profile {node.profile}"
    if not node.agent.online:
        last = node.agent.last_ping
        return Reason.AGENT_LOST, f"last heard of at {last:%Y-%m-%d %H:%M} UTC" if last else "never heard of"
    return None


def without(expected: Iterable[Expected], missing: Mapping[str, tuple[str, str]]) -> tuple[Expected, ...]:
    """The same nodes, those of `missing` no longer reachable: reason and detail by node. A first reason stays."""
    return tuple(
        replace(one, reason=missing[one.node][0], detail=missing[one.node][1])
        if one.reason is None and one.node in missing
        else one
        for one in expected
    )


def changed(before: Iterable[Expected], now: Iterable[Expected]) -> dict[str, tuple[str, str]]:
    """Reason and detail of the nodes that could be reached when they were resolved and cannot be any more.

    A node that has moved to another slot since is one of them: what was decided, was decided for the slot it had.
    """
    fresh = {one.node: one for one in now}
    found: dict[str, tuple[str, str]] = {}
    for one in before:
        if one.reason is not None:
            continue
        then = fresh.get(one.node)
        if then is None:
            found[one.node] = (Reason.GONE, "terminated, or in no patch group of the window any more")
        elif then.reason is not None:
            found[one.node] = (then.reason, then.detail)
        elif then.slot != one.slot:
            found[one.node] = (Reason.GONE, f"was in the slot {one.slot}, is in {then.slot}")
    return found
