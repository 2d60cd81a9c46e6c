"""What happens to instances, told to whoever simulates the machines (the agents).

EC2 knows an instance's state; it does not know that a machine that boots loses its agent for a while.
Whoever does adds a listener when its module is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from lab.world import Location


class Change(StrEnum):
    """What happened. A reboot may also come from CreateImage, which reboots unless told not to."""

    LAUNCHED = "launched"
    STARTED = "started"
    STOPPED = "stopped"
    REBOOTED = "rebooted"
    TERMINATED = "terminated"


Listener = Callable[[Location, str, Change], None]
"""Called with the location, the instance's id and the change, after EC2's state has changed."""

listeners: list[Listener] = []


def emit(location: Location, instance_id: str, change: Change) -> None:
    """Tell every listener, in the order in which they were added."""
    for listener in listeners:
        listener(location, instance_id, change)
