"""What a node's agent does with a command, and what it reports.

This module holds the records of a patch operation's result; the operations of `lab.ssm` read them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from lab.evaluate import Row


@dataclass(slots=True)
class NodeResult:
    """What the last `AWS-RunPatchBaseline` of a node reported: the next one overwrites it.

    `rows` is shared between nodes in the same state; what is this node's own lies in the overlays.
    """

    command_id: str
    operation: str
    """`Scan` or `Install`."""
    baseline_id: str
    snapshot_id: str
    patch_group: str
    started: datetime
    ended: datetime
    rows: tuple[Row, ...]
    reboot_option: str | None = None
    """As the document's parameter said, which a scan has too."""
    install_override_list: str | None = None
    last_no_reboot_install: datetime | None = None
    failed: frozenset[str] = frozenset()
    """Ids whose install failed: FAILED instead of MISSING."""
    pending: frozenset[str] = frozenset()
    """Ids installed since the last boot that need one: INSTALLED_PENDING_REBOOT."""
    installed_at: dict[str, datetime] = field(default_factory=dict)
    """When a patch of this node was installed, by id, where it was not on its image."""
    image_built: datetime | None = None
    """InstalledTime of everything else that is installed."""
    available_security_updates: str = "COMPLIANT"
    """The baseline's AvailableSecurityUpdatesComplianceStatus when the operation ran (Windows only)."""

    def state(self, row: Row) -> str:
        """A row's state on this node."""
        if row.id in self.pending:
            return "INSTALLED_PENDING_REBOOT"
        if row.id in self.failed and row.state == "MISSING":
            return "FAILED"
        return row.state

    def counts(self) -> Counter[str]:
        """How many rows there are of each state."""
        if not self.failed and not self.pending:
            return Counter(row.state for row in self.rows)
        return Counter(self.state(row) for row in self.rows)
