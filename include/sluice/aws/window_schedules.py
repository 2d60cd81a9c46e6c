"""When AWS will start windows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from sluice.aws.permissions import calls
from sluice.aws.session import Connection


@calls("ssm:DescribeMaintenanceWindowSchedule")  # IAM knows no resource for it
def upcoming(connection: Connection, window_id: str, after: datetime, before: datetime) -> Iterator[datetime]:
    """The starts of an enabled window between two moments, UTC. AWS lists none of a disabled one. All pages."""
    bounds = [
        {"Key": "ScheduledAfter", "Values": [_stamp(after)]},
        {"Key": "ScheduledBefore", "Values": [_stamp(before)]},
    ]
    for one in connection.pages(
        "ssm",
        "DescribeMaintenanceWindowSchedule",
        "ScheduledWindowExecutions",
        WindowId=window_id,
        Filters=bounds,
        MaxResults=100,
    ):
        when = datetime.fromisoformat(one["ExecutionTime"])
        yield when.astimezone(UTC)


def _stamp(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
