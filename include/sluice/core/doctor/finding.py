"""A finding of the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "unknown", "note"]
"""error: the policy will not do what it says. warning: it deserves a look. unknown: nobody can tell. note: to know."""

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "unknown", "note")
"""The worst first."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about nodes, windows, roles and so on."""

    name: str
    """What programs know it by, e.g. `no-agent`."""
    severity: Severity
    ids: tuple[str, ...]
    what: str
    """What was found, to be read after the count of ids: `6 nodes: …`."""
    advice: str
    noun: str = "node"

    @property
    def count(self) -> int:
        """Of the ids."""
        return len(self.ids)
