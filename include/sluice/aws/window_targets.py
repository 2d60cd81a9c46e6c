"""The targets of maintenance windows. They cannot be tagged: they are ours when their window is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.aws.windows import WINDOWS
from sluice.core.policy.objects import WindowTarget

TARGETS = "arn:{partition}:ssm:{region}:{account}:windowtarget/*"


@calls("ssm:DescribeMaintenanceWindowTargets", resources=WINDOWS)
def listed(connection: Connection, window_id: str) -> list[dict[str, Any]]:
    """Every target of a window, as MaintenanceWindowTarget."""
    operation = "DescribeMaintenanceWindowTargets"
    return list(connection.pages("ssm", operation, "Targets", WindowId=window_id, MaxResults=100))


@calls("ssm:RegisterTargetWithMaintenanceWindow", resources=WINDOWS, when="owned")
def register(connection: Connection, window_id: str, wanted: WindowTarget) -> str:
    """Register a target; its id."""
    answer = connection.need(
        "ssm",
        "RegisterTargetWithMaintenanceWindow",
        "WindowTargetId",
        WindowId=window_id,
        ResourceType=wanted.resource_type,
        **_members(wanted),
    )
    return str(answer["WindowTargetId"])


@calls("ssm:UpdateMaintenanceWindowTarget", resources=WINDOWS, when="owned")
@calls("ssm:UpdateMaintenanceWindowTarget", resources=TARGETS)
def update(connection: Connection, window_id: str, target_id: str, wanted: WindowTarget) -> None:
    """Give a target everything that is wanted, and nothing else."""
    connection.call(
        "ssm",
        "UpdateMaintenanceWindowTarget",
        WindowId=window_id,
        WindowTargetId=target_id,
        Replace=True,
        **_members(wanted),
    )


@calls("ssm:DeregisterTargetFromMaintenanceWindow", resources=WINDOWS, when="owned")
@calls("ssm:DeregisterTargetFromMaintenanceWindow", resources=TARGETS)
def deregister(connection: Connection, window_id: str, target_id: str) -> None:
    """Remove a target."""
    connection.call("ssm", "DeregisterTargetFromMaintenanceWindow", WindowId=window_id, WindowTargetId=target_id)


def as_object(answer: Mapping[str, Any], window: str) -> WindowTarget:
    """A target as it is; several keys, which ours never have, show as one that differs."""
    groups = answer["Targets"]
    return WindowTarget(
        window=window,
        name=answer.get("Name", answer["WindowTargetId"]),
        key=", ".join(group["Key"] for group in groups),
        values=tuple(value for group in groups for value in group.get("Values", ())),
        owner_information=answer.get("OwnerInformation", ""),
        resource_type=answer["ResourceType"],
    )


def _members(wanted: WindowTarget) -> dict[str, Any]:
    return {
        "Targets": [{"Key": wanted.key, "Values": list(wanted.values)}],
        "Name": wanted.name,
        "OwnerInformation": wanted.owner_information,
    }
