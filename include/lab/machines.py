"""What becomes of a node's agent when EC2 starts, stops, reboots or terminates its machine."""

from __future__ import annotations

from lab.commands import interrupt, node_reachable
from lab.ec2 import events
from lab.ec2.events import Change
from lab.runs import reboot
from lab.world import AgentState, Location


def changed(location: Location, instance_id: str, change: Change) -> None:
    """EC2 has changed a machine: what ran there is cut off, and a boot takes its time."""
    node = location.nodes.get(instance_id)
    if node is None:
        return
    if change in (Change.STOPPED, Change.REBOOTED, Change.TERMINATED):
        interrupt(location, instance_id)
        if node.agent is AgentState.ONLINE and node.rebooting_until is None:
            node.last_ping = location.lab.clock.now()
    if change is Change.TERMINATED:
        del location.nodes[instance_id]
        node_reachable(location, instance_id)
    elif change in (Change.STARTED, Change.REBOOTED):
        reboot(location, node)


def install() -> None:
    """Listen to EC2. Doing it again changes nothing."""
    if changed not in events.listeners:
        events.listeners.append(changed)
