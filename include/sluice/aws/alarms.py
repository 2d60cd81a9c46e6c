"""CloudWatch alarms that keep production closed."""

from __future__ import annotations

from collections.abc import Sequence

from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.core.errors import AWSError
from sluice.core.release.gate import MISSING, UNKNOWN

ALARMS = "arn:{partition}:cloudwatch:{region}:{account}:alarm:*"

AT_ONCE = 100
"""Names that one call takes (B:cloudwatch AlarmNames)."""


@calls("cloudwatch:DescribeAlarms", resources=ALARMS)
def states(connection: Connection, names: Sequence[str]) -> dict[str, str]:
    """OK, ALARM or INSUFFICIENT_DATA of each, composite ones too; `missing` or `unknown: …` where that is all there is.

    CloudWatch answers alarms that do not exist with silence.
    """
    found = dict.fromkeys(names, MISSING)
    for start in range(0, len(names), AT_ONCE):
        some = list(names[start : start + AT_ONCE])
        try:
            answer = connection.need(
                "cloudwatch",
                "DescribeAlarms",
                "MetricAlarms",
                AlarmNames=some,
                AlarmTypes=["MetricAlarm", "CompositeAlarm"],
                MaxRecords=AT_ONCE,
            )
        except AWSError as error:
            found |= dict.fromkeys(some, f"{UNKNOWN}{error}")
            continue
        every = (*answer["MetricAlarms"], *answer.get("CompositeAlarms", ()))
        found |= {alarm["AlarmName"]: str(alarm["StateValue"]) for alarm in every if alarm["AlarmName"] in found}
    return found
