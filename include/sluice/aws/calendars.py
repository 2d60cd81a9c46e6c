"""SSM Change Calendars: maintenance windows do not look at them, so the gate does."""

from __future__ import annotations

from datetime import datetime

from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.core.errors import AWSError
from sluice.core.release.gate import MISSING, UNKNOWN

CALENDARS = "arn:{partition}:ssm:{region}:*:document/*"
"""A calendar may be another account's that shares it."""

NOT_THERE = ("InvalidDocument", "InvalidDocumentType")


@calls("ssm:GetCalendarState", resources=CALENDARS)
def state(connection: Connection, name: str, at: datetime) -> str:
    """OPEN or CLOSED at that time (UTC); `missing` where there is no such calendar, `unknown: …` if AWS refused."""
    try:
        answer = connection.need(
            "ssm", "GetCalendarState", "State", CalendarNames=[name], AtTime=at.strftime("%Y-%m-%dT%H:%M:%SZ")
        )
    except AWSError as error:
        return MISSING if error.code in NOT_THERE else f"{UNKNOWN}{error}"
    return str(answer["State"])
