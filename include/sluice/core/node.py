"""A node as EC2 and Systems Manager know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sluice.core.os_product import os_product

GROUP_KEYS = ("Patch Group", "PatchGroup")
"""Tag keys that Patch Manager reads a node's patch group from (UG:patch-manager-patch-groups)."""


@dataclass(frozen=True, slots=True)
class Agent:
    """What a node's agent reported of itself."""

    version: str
    latest: bool | None
    """Whether it is the newest there is; None where AWS does not say, as on Windows and hybrid nodes at times."""
    online: bool
    last_ping: datetime | None
    platform_name: str
    platform_version: str

    @property
    def product(self) -> str | None:
        """The OS product, None for a platform that Patch Manager has no word for."""
        return os_product(self.platform_name, self.platform_version)


@dataclass(frozen=True, slots=True)
class Node:
    """An EC2 instance, or a hybrid machine."""

    id: str
    tags: Mapping[str, str]
    state: str
    """EC2's `running`, `stopped` …; of a hybrid machine nobody knows it: empty."""
    profile: str | None
    """The name of its instance profile; of a hybrid machine its role's."""
    agent: Agent | None
    """None: Systems Manager shows no agent. It never shows those of stopped instances."""

    @property
    def hybrid(self) -> bool:
        """A machine outside EC2, registered by activation."""
        return self.id.startswith("mi-")

    @property
    def stopped(self) -> bool:
        """Whether it is stopped, or about to be."""
        return self.state in ("stopped", "stopping")

    @property
    def product(self) -> str | None:
        """Its OS product, where an agent tells."""
        return self.agent.product if self.agent else None

    @property
    def patch_manager_group(self) -> str | None:
        """The patch group that Patch Manager reads, by either of its keys."""
        return next((self.tags[key] for key in GROUP_KEYS if self.tags.get(key)), None)

    def group(self, key: str) -> str | None:
        """Its patch group by the tag of that key."""
        return self.tags.get(key) or None
