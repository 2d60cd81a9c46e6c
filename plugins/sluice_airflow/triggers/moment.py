"""Waits for a time of AWS's clock."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sluice_airflow.triggers.polling import PollingTrigger

if TYPE_CHECKING:
    from sluice.flow.run import Run


class MomentTrigger(PollingTrigger):
    """A moment: `until`, ISO 8601. The machine's own clock is not asked (docs/adr/0008-clock-of-aws.md)."""

    def look(self, run: Run) -> str | None:
        """The moment, once it is past."""
        from sluice.flow.run import aws_time

        until = str(self.of["until"])
        return until if aws_time(run.connections, run.locations) >= datetime.fromisoformat(until) else None
