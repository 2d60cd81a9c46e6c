"""The inventory types that the lab knows, with their schemas.

AWS's types are documented with all their attributes (UG:inventory-schema). The lab's agents report some
of them (`lab.ssm.inventory_items`); of the others a caller may put what an agent's plug-in would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

RETENTION_DAYS = 30
"""How long inventory is kept without being captured again (fixed quota)."""


@dataclass(frozen=True, slots=True)
class InventoryType:
    """An inventory type: which attributes its entries have and which of them are numbers."""

    name: str
    version: str
    attributes: tuple[str, ...]
    numbers: frozenset[str] = frozenset()
    aggregated: tuple[str, ...] = ()
    """Attributes by which AWS counts nodes."""
    display_name: str | None = None


def _type(
    name: str, attributes: str, version: str = "1.0", aggregated: str = "", display: str | None = None
) -> InventoryType:
    """A type from its attributes, separated by blanks; `#` marks a number."""
    names = attributes.split()
    numbers = frozenset(each[1:] for each in names if each.startswith("#"))
    plain = tuple(each.removeprefix("#") for each in names)
    return InventoryType(name, version, plain, numbers, tuple(aggregated.split()), display)


_SEVERITIES = ("Critical", "High", "Medium", "Low", "Informational", "Unspecified")

_ALL = (
    _type("AWS:AWSComponent", "Name ApplicationType Publisher Version InstalledTime Architecture URL"),
    _type(
        "AWS:Application",
        "Name ApplicationType Publisher Version Release Epoch InstalledTime Architecture URL Summary PackageId",
        version="1.1",
        aggregated="Name Version",
        display="Application",
    ),
    _type("AWS:BillingInfo", "BillingProductId"),
    _type(
        "AWS:ComplianceItem",
        "ComplianceType ExecutionId ExecutionType ExecutionTime Id Title Status Severity DocumentName DocumentVersion"
        " Classification PatchBaselineId PatchSeverity PatchState PatchGroup InstalledTime InstallOverrideList"
        " DetailedText DetailedLink CVEIds",
    ),
    _type(
        "AWS:ComplianceSummary",
        "ComplianceType PatchGroup PatchBaselineId Status OverallSeverity ExecutionId ExecutionType ExecutionTime "
        + " ".join(f"#{status}{severity}Count" for status in ("Compliant", "NonCompliant") for severity in _SEVERITIES),
    ),
    _type(
        "AWS:File",
        "Name Size Description FileVersion InstalledDate ModificationTime LastAccessTime ProductName InstalledDir"
        " ProductLanguage CompanyName ProductVersion",
    ),
    _type(
        "AWS:InstanceDetailedInformation",
        "CPUModel #CPUCores #CPUs #CPUSpeedMHz #CPUSockets CPUHyperThreadEnabled OSServicePack",
    ),
    _type(
        "AWS:InstanceInformation",
        "AgentType AgentVersion ComputerName IamRole InstanceId IpAddress PlatformName PlatformType PlatformVersion"
        " ResourceType AgentStatus InstanceStatus",
        aggregated="PlatformName PlatformType PlatformVersion",
        display="Platform",
    ),
    _type("AWS:Network", "Name SubnetMask Gateway DHCPServer DNSServer MacAddress IPV4 IPV6"),
    _type("AWS:PatchCompliance", "Title KBId Classification Severity State InstalledTime"),
    _type(
        "AWS:PatchSummary",
        "PatchGroup BaselineId SnapshotId OwnerInformation #InstalledCount #InstalledPendingRebootCount"
        " #InstalledOtherCount #InstalledRejectedCount #NotApplicableCount #UnreportedNotApplicableCount"
        " #AvailableSecurityUpdateCount #MissingCount #FailedCount OperationType OperationStartTime OperationEndTime"
        " InstallOverrideList RebootOption LastNoRebootInstallOperationTime ExecutionId NonCompliantSeverity"
        " #SecurityNonCompliantCount #CriticalNonCompliantCount #OtherNonCompliantCount",
    ),
    _type("AWS:ResourceGroup", "Name Arn"),
    _type("AWS:Service", "Name DisplayName ServiceType Status DependentServices ServicesDependedOn StartType"),
    _type("AWS:Tag", "Key Value"),
    _type("AWS:WindowsRegistry", "KeyPath ValueName ValueType Value"),
    _type(
        "AWS:WindowsRole",
        "Name DisplayName Path FeatureType DependsOn Description Installed InstalledState SubFeatures"
        " ServerComponentDescriptor Parent",
    ),
    _type("AWS:WindowsUpdate", "HotFixId Description InstalledTime InstalledBy"),
)

AWS_TYPES: Mapping[str, InventoryType] = {each.name: each for each in _ALL}
"""By name."""
