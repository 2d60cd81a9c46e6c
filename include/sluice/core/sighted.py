"""What one node showed of one patch, and what that says.

INSTALLED_OTHER shows what is installed on Windows, Debian and Ubuntu alone: where rpm rules, its title may be that of a
newer version which nobody installed, since the payload shows the newest that it knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sluice.core import soak
from sluice.core.approval import SEVERITY_OF
from sluice.core.os_product import operating_system
from sluice.core.release.terms import Kind, Plain

TELLS_INSTALLED = frozenset({"WINDOWS", "UBUNTU", "DEBIAN", "RASPBIAN"})
"""Operating systems on which INSTALLED_OTHER shows the version that is installed."""

ABSENT = "NOT_APPLICABLE"
"""What only Windows says by name; elsewhere such a package has no row."""

WAITS = "INSTALLED_PENDING_REBOOT"

STATES: Mapping[str, soak.State] = {
    "INSTALLED": "installed",
    WAITS: "pending_reboot",
    "MISSING": "missing",
    "AVAILABLE_SECURITY_UPDATE": "missing",
    "FAILED": "failed",
}
"""What AWS's states say of the version in the title. The others say nothing of it."""


@dataclass(frozen=True, slots=True)
class Sighted(Plain):
    """One patch on one node, as read back at one time or, unchanged, at several in a row."""

    node: str
    location: str
    """`111111111111/eu-west-3`."""
    ring: str | None
    """The ring of its patch group then; None: it had none."""
    group: str | None
    role: str | None
    product: str
    """OS product, as the agent reports it."""
    id: str
    """AWS's KBId: `KB5060531`, `openssl.x86_64`."""
    title: str
    """Verbatim."""
    classification: str
    severity: str
    """As AWS has it; empty where it says nothing."""
    state: str
    """As AWS has it: INSTALLED, MISSING …"""
    installed: datetime | None
    """InstalledTime, None where AWS has none (it writes 1970 then)."""
    at: datetime
    """When the node was first seen so: the end of the operation that reported it (UTC)."""
    until: datetime
    """When it was last seen so, with nothing else in between; `at` where it was seen once."""
    release: str
    """The release that first saw it."""
    kind: Kind
    """What that release's execution did."""
    other: str = ""
    """Another patcher that is known to work on the node then, in words; empty: none is known."""
    needless: bool = False
    """Whether it counts as waiting for a reboot, and the operating system, asked since it was installed, needs none."""

    @property
    def windows(self) -> bool:
        """Whether it is Windows', where the KB is the patch."""
        return operating_system(self.product) == "WINDOWS"

    @property
    def shown(self) -> soak.State | None:
        """What it says of the version in its title; None: nothing that can be relied on."""
        if self.state == "INSTALLED_OTHER" and operating_system(self.product) in TELLS_INSTALLED:
            return "installed"
        return STATES.get(self.state)


def title_of(row: Sighted) -> str:
    """What tells versions apart: the KB is the patch on Windows."""
    return "" if row.windows else row.title


def severity_of(row: Sighted) -> str:
    """The policy's word for a row's severity."""
    return SEVERITY_OF.get(row.severity.casefold(), "unknown")
