"""Maintenance windows themselves. Their targets and tasks: `sluice.aws.window_targets`, `sluice.aws.window_tasks`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sluice.aws import tags
from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.core.policy.objects import CANNOT_FIRE, NOT_BEFORE, MaintenanceWindow

WINDOWS = tags.RESOURCES["MaintenanceWindow"]


@calls("ssm:DescribeMaintenanceWindows")
def listed(connection: Connection) -> list[dict[str, Any]]:
    """Every window of the account, as MaintenanceWindowIdentity."""
    return list(connection.pages("ssm", "DescribeMaintenanceWindows", "WindowIdentities", MaxResults=100))


@calls("ssm:DescribeMaintenanceWindows")
def called(connection: Connection, name: str) -> list[str]:
    """The ids of the windows with a name, which AWS does not keep unique."""
    named = [{"Key": "Name", "Values": [name]}]  # AWS answers with names that begin so, too
    found = connection.pages("ssm", "DescribeMaintenanceWindows", "WindowIdentities", Filters=named, MaxResults=100)
    return sorted(one["WindowId"] for one in found if one["Name"] == name)


@calls("ssm:GetMaintenanceWindow", resources=WINDOWS)
def read(connection: Connection, window_id: str) -> MaintenanceWindow:
    """A window by id."""
    return read_with_next(connection, window_id)[0]


@calls("ssm:GetMaintenanceWindow", resources=WINDOWS)
def read_with_next(connection: Connection, window_id: str) -> tuple[MaintenanceWindow, datetime | None]:
    """A window by id, and when it fires next (UTC); None: AWS names no time, as of a window that is disabled."""
    members = ("Name", "Schedule", "Duration", "Cutoff", "Enabled", "AllowUnassociatedTargets")
    answer = connection.need("ssm", "GetMaintenanceWindow", *members, WindowId=window_id)
    coming = answer.get("NextExecutionTime")
    return _window(answer), datetime.fromisoformat(coming).astimezone(UTC) if coming else None


@calls("ssm:CreateMaintenanceWindow", when="created")  # IAM knows no resource for it
@calls("ssm:AddTagsToResource", resources=WINDOWS, when="created")
def create(connection: Connection, deployment: str, name: str, wanted: MaintenanceWindow) -> str:
    """Create a window with its ownership tags, on a schedule that cannot fire; its id.

    Creation cannot set Enabled: `hold` must follow, and `settle` when its targets and tasks are there.
    """
    answer = connection.need(
        "ssm",
        "CreateMaintenanceWindow",
        "WindowId",
        Tags=tags.ownership(deployment, name),
        **{**_members(wanted), "Schedule": CANNOT_FIRE, "ScheduleTimezone": "UTC"},
    )
    return str(answer["WindowId"])


@calls("ssm:UpdateMaintenanceWindow", resources=WINDOWS, when="owned")
def hold(connection: Connection, window_id: str) -> None:
    """Disable a window; nothing else of it changes."""
    connection.need("ssm", "UpdateMaintenanceWindow", "WindowId", WindowId=window_id, Enabled=False)


@calls("ssm:UpdateMaintenanceWindow", resources=WINDOWS, when="owned")
def settle(connection: Connection, window_id: str, wanted: MaintenanceWindow) -> None:
    """Give a window everything that it is at rest, and nothing else, in one call."""
    connection.need(
        "ssm",
        "UpdateMaintenanceWindow",
        "WindowId",
        WindowId=window_id,
        Replace=True,
        Enabled=wanted.enabled,
        **_members(wanted),
    )


@calls("ssm:UpdateMaintenanceWindow", resources=WINDOWS, when="owned")
def disarm(connection: Connection, window_id: str, wanted: MaintenanceWindow) -> None:
    """Disable a window and give it a schedule that cannot fire, in one call, before its tasks and targets change."""
    if wanted.enabled or wanted.schedule != CANNOT_FIRE:
        raise AssertionError(f"a window that is to be disarmed and could fire: {wanted}")
    settle(connection, window_id, wanted)


@calls("ssm:UpdateMaintenanceWindow", resources=WINDOWS, when="owned")
def arm(connection: Connection, window_id: str, wanted: MaintenanceWindow) -> None:
    """Enable a window for one start: everything of it in one call, so that there is nothing in between."""
    if not wanted.schedule.startswith("at("):
        raise AssertionError(f"a window that is to be opened for more than once: {wanted}")
    settle(connection, window_id, wanted)


@calls("ssm:DeleteMaintenanceWindow", resources=WINDOWS, when="owned")
def delete(connection: Connection, window_id: str) -> None:
    """Delete a window with its targets and tasks; its history stays for 30 days."""
    connection.call("ssm", "DeleteMaintenanceWindow", WindowId=window_id)


def _members(wanted: MaintenanceWindow) -> dict[str, Any]:
    return {
        "Name": wanted.name,
        "Description": wanted.description,
        "Schedule": wanted.schedule,
        "ScheduleTimezone": wanted.time_zone,
        "Duration": wanted.duration_hours,
        "Cutoff": wanted.cutoff_hours,
        "AllowUnassociatedTargets": wanted.allow_unassociated_targets,
        **({"StartDate": wanted.start_date} if wanted.start_date else {}),
    }


def _window(answer: Mapping[str, Any]) -> MaintenanceWindow:
    return MaintenanceWindow(
        name=answer["Name"],
        description=answer.get("Description", ""),
        schedule=answer["Schedule"],
        time_zone=answer.get("ScheduleTimezone", "UTC"),
        duration_hours=answer["Duration"],
        cutoff_hours=answer["Cutoff"],
        enabled=answer["Enabled"],
        allow_unassociated_targets=answer["AllowUnassociatedTargets"],
        schedule_offset=answer.get("ScheduleOffset"),
        start_date=_start_date(answer.get("StartDate")),
        end_date=answer.get("EndDate"),
    )


def _start_date(found: str | None) -> str | None:
    """A start date; ours as it was sent, however AWS writes it (times elsewhere come without their seconds)."""
    try:
        ours = found is not None and datetime.fromisoformat(found) == datetime.fromisoformat(NOT_BEFORE)
    except ValueError:  # another's, with its zone's name
        ours = False
    return NOT_BEFORE if ours else found
