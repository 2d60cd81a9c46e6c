"""What the inventory holds of a node: reported by the lab's agents, made when it is read, or put by callers.

AWS:PatchSummary and AWS:ComplianceItem have the fields that the patch payload uploads; AWS:PatchCompliance
is the older form of the latter. AWS:Application and AWS:WindowsUpdate are what the agent's inventory
plug-in would find on the node. Every value is a string.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from lab.agent import NodeResult
from lab.clock import stamp
from lab.evaluate import Evr, WindowsPatch
from lab.package_state import PackageState
from lab.ssm.inventory_types import AWS_TYPES, RETENTION_DAYS
from lab.ssm.node_facts import information, last_ping, role_name
from lab.ssm.patch_states import counts
from lab.ssm.patches import LEVELS, UPLOADED_STATES, Patch, patches, tally
from lab.world import Location, Node

Entry = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class InventoryItem:
    """One type's inventory of one node."""

    version: str
    captured: datetime
    entries: Sequence[Entry]
    content_hash: str | None = None

    def expired(self, now: datetime) -> bool:
        """Whether it is so old that AWS has deleted it."""
        return now - self.captured > timedelta(days=RETENTION_DAYS)


def item(location: Location, node: Node, type_name: str) -> InventoryItem | None:
    """The node's inventory of a type; None when it has none, or none that is not too old."""
    if type_name in REPORTED:
        found = REPORTED[type_name](location, node)
    else:
        found = location.inventory.get(node.node_id, {}).get(type_name)
    keeps = type_name in _KEPT_WITH_THE_NODE
    return None if found is None or (not keeps and found.expired(location.lab.clock.now())) else found


def _reported(type_name: str, captured: datetime, entries: Sequence[Entry]) -> InventoryItem:
    return InventoryItem(AWS_TYPES[type_name].version, captured, entries)


def _instance_information(location: Location, node: Node) -> InventoryItem:
    known = information(location, node)
    entry = {
        "AgentType": "amazon-ssm-agent",
        "AgentVersion": node.agent_version,
        "ComputerName": known["ComputerName"],
        "InstanceId": node.node_id,
        "IpAddress": node.ip_address,
        "PlatformName": known["PlatformName"],
        "PlatformType": known["PlatformType"],
        "PlatformVersion": known["PlatformVersion"],
        "ResourceType": known["ResourceType"],
        "InstanceStatus": _instance_status(location, node),
        **({"IamRole": role_name(node)} if node.hybrid and node.profile else {}),
    }
    return _reported("AWS:InstanceInformation", known["LastPingDateTime"], [entry])


def _instance_status(location: Location, node: Node) -> str:
    if location.reachable(node):
        return "Active"
    return "ConnectionLost" if location.running(node) else "Stopped"


def _tags(location: Location, node: Node) -> InventoryItem:
    entries = [{"Key": key, "Value": value} for key, value in location.tags(node.node_id).items()]
    return _reported("AWS:Tag", last_ping(location, node), entries)


def _applications(location: Location, node: Node) -> InventoryItem:
    captured = last_ping(location, node)
    agent = {"Name": "Amazon SSM Agent", "Publisher": "Amazon Web Services", "Version": node.agent_version}
    if location.lab.repositories.product(node.product).family == "windows":
        return _reported("AWS:Application", captured, [{**agent, "Architecture": "x86_64"}])
    entries = [
        {**package, "InstalledTime": _text(node.installed_at.get(key) or node.image_built)}
        for key, package in _packages(node.packages)
    ]
    return _reported("AWS:Application", captured, entries)


@lru_cache(maxsize=64)
def _packages(state: PackageState) -> tuple[tuple[str, Entry], ...]:
    """A state's packages as entries, less the time of installation; nodes share their states."""
    return tuple((key, _package(key, evr)) for key, evr in sorted(state.items()) if isinstance(evr, Evr))


def _package(key: str, evr: Evr) -> Entry:
    name, _, architecture = key.rpartition(".")
    release = {"Release": evr.release} if evr.release else {}
    return {"Name": name, "Architecture": architecture, "Epoch": str(evr.epoch), "Version": evr.version, **release}


def _windows_updates(location: Location, node: Node) -> InventoryItem | None:
    if location.lab.repositories.product(node.product).family != "windows":
        return None
    known = location.lab.repositories.view(node.product, node.packages, location.lab.clock.now())
    entries = [
        {
            "HotFixId": patch.kb,
            "Description": "Security Update" if patch.classification == "SecurityUpdates" else "Update",
            "InstalledTime": _text(node.installed_at.get(patch.kb) or node.image_built),
            "InstalledBy": "NT AUTHORITY\\SYSTEM",
        }
        for patch in known
        if isinstance(patch, WindowsPatch) and patch.installed
    ]
    return _reported("AWS:WindowsUpdate", last_ping(location, node), entries)


def _patch_summary(_location: Location, node: Node) -> InventoryItem | None:
    result = node.result
    if result is None:
        return None
    entry = {
        "BaselineId": result.baseline_id,
        "PatchGroup": result.patch_group,
        "SnapshotId": result.snapshot_id,
        "ExecutionId": result.command_id,
        **{member: str(count) for member, count in counts(result).members().items()},
        "OperationType": result.operation,
        "OperationStartTime": stamp(result.started),
        "OperationEndTime": stamp(result.ended),
    }
    optional = {
        "RebootOption": result.reboot_option,
        "InstallOverrideList": override_list(result),
        "LastNoRebootInstallOperationTime": result.last_no_reboot_install and stamp(result.last_no_reboot_install),
        "NonCompliantSeverity": non_compliant_severity(result),
    }
    entry |= {name: value for name, value in optional.items() if value}
    return _reported("AWS:PatchSummary", result.ended, [entry])


def override_list(result: NodeResult) -> str | None:
    """The override list that an install was given; the payload reports none of a scan."""
    return result.install_override_list if result.operation == "Install" else None


def non_compliant_severity(result: NodeResult) -> str | None:
    """The highest compliance level among what is not compliant, INFORMATIONAL at least; None: all is.

    The payload begins at INFORMATIONAL, so a node that only lacks UNSPECIFIED patches reports that.
    """
    found = tally(result)
    levels = [level for level in LEVELS if found[("NON_COMPLIANT", level)]]
    if not levels:
        return None
    return "INFORMATIONAL" if levels[0] == "UNSPECIFIED" else levels[0]


def _compliance_items(location: Location, node: Node) -> InventoryItem | None:
    result = node.result
    if result is None:
        return None
    context = {
        "ComplianceType": "Patch",
        "ExecutionId": result.command_id,
        "ExecutionType": "Command",
        "ExecutionTime": stamp(result.started),
    }
    entries = [
        {
            **context,
            "Id": patch.patch_id,
            "Title": patch.title,
            "Severity": patch.level,
            "Status": patch.status or "",
            **patch_details(result, patch),
        }
        for patch in patches(result, location.lab.repositories.product(node.product).family)
    ]
    return _reported("AWS:ComplianceItem", result.ended, entries)


def patch_details(result: NodeResult, patch: Patch) -> dict[str, str]:
    """The details of a patch's compliance item, as the payload uploads them.

    It leaves the document's name and version empty; InstalledTime is empty for what is not installed.
    """
    details = {
        "PatchBaselineId": result.baseline_id,
        "PatchState": UPLOADED_STATES[patch.state],
        "PatchGroup": result.patch_group,
        "DocumentName": "",
        "DocumentVersion": "",
        "InstalledTime": _text(patch.installed),
        "Classification": patch.classification,
        "PatchSeverity": patch.severity,
    }
    optional = {"CVEIds": patch.cves, "InstallOverrideList": override_list(result)}
    return details | {name: value for name, value in optional.items() if value}


def _patch_compliance(location: Location, node: Node) -> InventoryItem | None:
    result = node.result
    if result is None:
        return None
    entries = [
        {
            "Title": patch.title,
            "KBId": patch.patch_id,
            "Classification": patch.classification,
            "Severity": patch.severity,
            "State": UPLOADED_STATES[patch.state],
            "InstalledTime": _text(patch.installed),
        }
        for patch in patches(result, location.lab.repositories.product(node.product).family)
    ]
    return _reported("AWS:PatchCompliance", result.ended, entries)


def _text(when: datetime | None) -> str:
    return "" if when is None else stamp(when.astimezone(UTC))


REPORTED: Mapping[str, Callable[[Location, Node], InventoryItem | None]] = {
    "AWS:Application": _applications,
    "AWS:ComplianceItem": _compliance_items,
    "AWS:InstanceInformation": _instance_information,
    "AWS:PatchCompliance": _patch_compliance,
    "AWS:PatchSummary": _patch_summary,
    "AWS:Tag": _tags,
    "AWS:WindowsUpdate": _windows_updates,
}
"""What the lab's agents report, by type."""

_KEPT_WITH_THE_NODE = frozenset({"AWS:InstanceInformation", "AWS:Tag"})
"""What does not age: GetInventory shows stopped nodes, whenever they last reported."""
