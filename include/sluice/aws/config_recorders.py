"""AWS Config's recorder, without which its rules say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.core.doctor import Recorder

PATCH_COMPLIANCE = "AWS::SSM::PatchCompliance"
"""What the rule on patch compliance judges."""


@calls("config:DescribeConfigurationRecorders", "config:DescribeConfigurationRecorderStatus")
def look(connection: Connection) -> Recorder:
    """Whether the location has a recorder, and it records what the rule judges. There is one at most."""
    answer = connection.need("config", "DescribeConfigurationRecorders", "ConfigurationRecorders")
    if not answer["ConfigurationRecorders"]:
        return "missing"
    if not records(answer["ConfigurationRecorders"][0].get("recordingGroup", {})):
        return "without patch compliance"
    answer = connection.need("config", "DescribeConfigurationRecorderStatus", "ConfigurationRecordersStatus")
    return "recording" if any(one.get("recording") for one in answer["ConfigurationRecordersStatus"]) else "stopped"


def records(group: Mapping[str, Any]) -> bool:
    """Whether a recording group has patch compliance among what it records."""
    if group.get("recordingStrategy", {}).get("useOnly") == "EXCLUSION_BY_RESOURCE_TYPES":
        return PATCH_COMPLIANCE not in group.get("exclusionByResourceTypes", {}).get("resourceTypes", ())
    return bool(group.get("allSupported")) or PATCH_COMPLIANCE in group.get("resourceTypes", ())
