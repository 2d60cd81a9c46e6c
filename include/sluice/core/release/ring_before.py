"""How the nodes stand that take patches before a release does: who counts, who is healthy, how new that knowledge is.

Those count that are expected there now: what is terminated is neither well nor ill. A node with a stated reason for
which it is not reached (stopped, excepted …) says nothing either way and is left out. One that runs and is silent
counts, and not as healthy: a patch may have silenced it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sluice.core.os_product import covers
from sluice.core.release.gate import Seen
from sluice.core.release.terms import Plain, Reason

COUNT = (None, Reason.AGENT_LOST)
"""Reasons of nodes that count; None: it can be reached."""


@dataclass(frozen=True, slots=True)
class Standing(Plain):
    """A node of a ring before, as the last release or scan that expected it knew it."""

    node: str
    ring: str
    product: str | None
    """OS product, as the agent reports or last reported it; None: not known."""
    reason: str | None
    """Why it was not reached then, a `Reason`; None: it could be."""
    looked: datetime | None
    """When its patches were last read (UTC); None: never."""
    failed: str
    """What failed on it and is not repaired; empty: nothing."""


@dataclass(frozen=True, slots=True)
class RingBefore:
    """What the gate is told."""

    nodes: int
    """Those that count."""
    failed: tuple[str, ...]
    """On which something failed, and what."""
    silent: tuple[str, ...]
    """The others that nobody looked at lately, and since when."""
    left_out: tuple[str, ...]
    """Those that do not count, and why."""
    evidence: tuple[Seen, ...]
    """The newest look at the nodes that count, for each ring and OS product by itself."""


def stand(nodes: Iterable[Standing], wanted: Sequence[tuple[str, str]], since: datetime) -> RingBefore:
    """How the nodes of the rings before stand. Pure.

    `wanted` are the rings with the OS products, as the policy lists them, that a release takes patches from; results
    from before `since` (UTC) are too old.
    """
    own = {one.node: one for one in nodes if any(_is_of(one, *pair) for pair in wanted)}
    ours = [own[node] for node in sorted(own)]
    counted = [one for one in ours if one.reason in COUNT]
    return RingBefore(
        nodes=len(counted),
        failed=tuple(f"{one.node} ({one.failed})" for one in counted if one.failed),
        silent=tuple(f"{one.node} ({_since(one)})" for one in counted if not one.failed and _is_old(one, since)),
        left_out=tuple(f"{one.node} ({one.reason})" for one in ours if one.reason not in COUNT),
        evidence=tuple(
            Seen(
                f"ring {ring}, {product}",
                max((one.looked for one in counted if one.looked and _is_of(one, ring, product)), default=None),
            )
            for ring, product in wanted
        ),
    )


def _is_of(one: Standing, ring: str, product: str) -> bool:
    return one.ring == ring and one.product is not None and covers(product, one.product)


def _is_old(one: Standing, since: datetime) -> bool:
    return one.looked is None or one.looked < since


def _since(one: Standing) -> str:
    return f"not looked at since {one.looked:%Y-%m-%d %H:%M}" if one.looked else "never looked at"
