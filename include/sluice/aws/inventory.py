"""Inventory: which nodes have a package or a registry value, where inventory is collected at all.

GetInventory answers the nodes that a filter fits; what else it says of them is left aside.
"""

from __future__ import annotations

from sluice.aws.permissions import calls
from sluice.aws.session import Connection

PACKAGE = "AWS:Application.Name"
REGISTRY_VALUE = "AWS:WindowsRegistry.ValueName"

PACKAGES = ("unattended-upgrades", "dnf-automatic", "yum-cron")
"""Packages that patch on their own."""

EVERYWHERE = "bash"
"""A package that every Linux node has: where Inventory shows it, it would show the others."""

WSUS_SERVER = "WUServer"
"""Its value names the WSUS server, under Policies\\Microsoft\\Windows\\WindowsUpdate (Windows Update's own policy)."""


@calls("ssm:GetInventory")
def nodes_with(connection: Connection, attribute: str, value: str) -> frozenset[str]:
    """Ids of the nodes whose inventory has that value."""
    wanted = [{"Key": attribute, "Values": [value], "Type": "Equal"}]
    return frozenset(one["Id"] for one in connection.pages("ssm", "GetInventory", "Entities", Filters=wanted))


def patchers(connection: Connection) -> tuple[dict[str, frozenset[str]], frozenset[str]]:
    """Ids of nodes by other patcher, and of all nodes on which one would show."""
    found = {name: nodes_with(connection, PACKAGE, name) for name in PACKAGES}
    found["WSUS"] = nodes_with(connection, REGISTRY_VALUE, WSUS_SERVER)
    return found, nodes_with(connection, PACKAGE, EVERYWHERE).union(*found.values())
