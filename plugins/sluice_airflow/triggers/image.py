"""Waits for the images of a location."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice_airflow.triggers.polling import PollingTrigger

if TYPE_CHECKING:
    from sluice.flow.run import Run


class ImageTrigger(PollingTrigger):
    """The images of one release in one location: `location`. Not one of them, all."""

    def look(self, run: Run) -> str | None:
        """What became of them; `due`: more of them may be asked for now."""
        from sluice.flow.backup import look

        found = look(run, self.of["location"])
        if found["state"] != "waiting":
            return str(found["state"])
        return "due" if found.get("due_now") else None
