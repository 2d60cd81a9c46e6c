"""What AWS last knew of a node's patches, as counts: InstancePatchState."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sluice.core.release.terms import Plain


@dataclass(frozen=True, slots=True)
class PatchState(Plain):
    """What a node's last patch run left. The next run, whoever's, overwrites it."""

    node: str
    group: str
    """The patch group that the run reported, not the one of its tags now."""
    operation: Literal["Scan", "Install"]
    start: datetime
    """When the run began, by the node's clock."""
    end: datetime
    """When it ended, by the node's clock."""
    baseline: str = ""
    snapshot: str = ""
    override_list: str | None = None
    """URL of the list of an install that had one. AWS says none of a scan."""
    reboot_option: str | None = None
    last_install_without_reboot: datetime | None = None
    installed: int = 0
    installed_other: int = 0
    installed_pending_reboot: int = 0
    installed_rejected: int = 0
    missing: int = 0
    failed: int = 0
    not_applicable: int = 0
    available_security_update: int = 0
    critical_non_compliant: int = 0
    security_non_compliant: int = 0
    other_non_compliant: int = 0
