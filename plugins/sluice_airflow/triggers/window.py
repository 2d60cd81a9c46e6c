"""Waits for an execution of a window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice_airflow.triggers.polling import PollingTrigger

if TYPE_CHECKING:
    from sluice.flow.run import Run


class WindowTrigger(PollingTrigger):
    """One wave of one release in one location: `location`, `wave` and `kind`."""

    def look(self, run: Run) -> str | None:
        """What became of it; `due`: there is a move to make."""
        from sluice.flow.wave import look

        found = look(run, self.of["location"], self.of["wave"], self.of["kind"])
        if found.state != "waiting":
            return str(found.state)
        return "due" if found.due else None
