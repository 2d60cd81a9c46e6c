"""Patch groups: which baseline is registered for which."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from sluice.aws.baselines import BASELINES, PREDEFINED
from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.core.policy.desired import registration_key
from sluice.core.policy.objects import Registration
from sluice.core.policy.plan import Found


@calls("ssm:DescribePatchGroups")
def listed(connection: Connection) -> list[dict[str, Any]]:
    """Every registration of the account, as PatchGroupPatchBaselineMapping."""
    return list(connection.pages("ssm", "DescribePatchGroups", "Mappings", MaxResults=100))


def found(connection: Connection, own_baselines: Collection[str]) -> Iterator[Found]:
    """Every registration; ours are those of our baselines, given by their ids."""
    for mapping in listed(connection):
        group, baseline = mapping["PatchGroup"], mapping["BaselineIdentity"]
        baseline_id, system = baseline["BaselineId"], baseline["OperatingSystem"]
        registration = Registration(group, system, baseline_id)
        owned = baseline_id in own_baselines
        yield Found(registration_key(group, system), baseline_id, registration, owned=owned)


@calls("ssm:RegisterPatchBaselineForPatchGroup", resources=(BASELINES, PREDEFINED))
def register(connection: Connection, group: str, baseline_id: str) -> None:
    """Let a baseline serve a group that none of the same operating system serves. Twice is as good as once."""
    connection.call("ssm", "RegisterPatchBaselineForPatchGroup", PatchGroup=group, BaselineId=baseline_id)


@calls("ssm:DeregisterPatchBaselineForPatchGroup", resources=(BASELINES, PREDEFINED))
def deregister(connection: Connection, group: str, baseline_id: str) -> None:
    """Let a baseline no longer serve a group, which then falls on AWS's default."""
    connection.call("ssm", "DeregisterPatchBaselineForPatchGroup", PatchGroup=group, BaselineId=baseline_id)
