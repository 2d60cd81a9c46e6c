"""What was read of a target location, for the prerequisites to be judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sluice.core.node import Node
from sluice.core.policy.others import Other

Topic = Literal["nodes", "baselines", "windows", "associations", "profiles", "inventory", "recorder"]
"""What is read as one: where it failed, nothing is concluded from it."""


Recorder = Literal["recording", "stopped", "without patch compliance", "missing"]
"""AWS Config's recorder in a location."""


@dataclass(frozen=True, slots=True)
class RoleFact:
    """A role that the policy assumes."""

    duty: str
    name: str
    refused: str | None
    """AWS's words where it cannot be assumed."""


@dataclass(frozen=True, slots=True)
class PermissionFact:
    """What IAM's simulator says that a caller or role may not do."""

    duty: str
    principal: str
    missing: tuple[str, ...] = ()
    """Actions."""
    unknown: str | None = None
    """Why nobody knows, where the simulator could not be asked."""
    own: bool = False
    """Whether the principal is whoever asks, as the policy assumes no role: another caller may do other duties."""


@dataclass(frozen=True, slots=True)
class BucketFact:
    """A bucket of the policy."""

    name: str
    use: str
    state: Literal["there", "missing", "elsewhere", "unknown"]
    """elsewhere: in another Region."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """One target location. Empty where it was not asked for; what failed is `unread`."""

    nodes: tuple[Node, ...] = ()
    registrations: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Baseline ids by patch group and operating system."""
    own_defaults: frozenset[str] = frozenset()
    """Operating systems whose default baseline is one of the account's own."""
    others: tuple[Other, ...] = ()
    profile_policies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of the managed policies attached to the roles of instance profiles."""
    patchers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Ids of the nodes on which Inventory shows another patcher, by its name."""
    inventoried: frozenset[str] = frozenset()
    """Ids of the nodes whose packages or registry Inventory has, so that a patcher would show."""
    roles: tuple[RoleFact, ...] = ()
    permissions: tuple[PermissionFact, ...] = ()
    buckets: tuple[BucketFact, ...] = ()
    recorder: Recorder | None = None
    """None where the policy has no rule of AWS Config."""
    unread: Mapping[Topic, str] = field(default_factory=dict)
    """Why a topic could not be read."""
