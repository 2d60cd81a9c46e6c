"""The nodes of two locations, for the steps that decide which of them a release may touch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flow_world import HERE, SMALL, small

from lab.fleet import Fleet, load_fleet
from lab.testing import LabHandle
from sluice.core.policy.policy import Policy
from sluice.core.policy.rings import Waiver
from sluice.core.release.terms import Expected
from sluice.flow.resolve import read_resolved
from sluice.flow.run import Run

THERE = "222222222222/eu-central-1"
BOTH = (HERE, THERE)

NODES_FLEET = load_fleet(Path(__file__).with_name("nodes_fleet.yaml"))

OFTEN = {"poll_seconds": 20, "poll_at_most_seconds": 60}


def wide(folder: Path, prod: Mapping[str, Any] | None = None, **changes: Any) -> Policy:
    """The small policy over both locations, with a role assumed for each; `prod` changes the production window."""
    windows = [
        {**window, **(prod or {})} if window["name"] == "install-prod-linux" else window for window in SMALL["windows"]
    ]
    return small(
        folder,
        locations=[dict(zip(("account", "region"), key.split("/"), strict=True)) for key in BOTH],
        roles={"assume": True, "external_id": "example"},
        timing=OFTEN,
        **{"windows": windows, **changes},
    )


def register(lab: LabHandle, policy: Policy) -> None:
    """The buckets of each location and a baseline for each patch group: all that matters to nodes."""
    for location in policy.locations:
        s3 = lab.client("s3", location.account, location.region)
        for bucket in (policy.operations_bucket, policy.logs.bucket):
            name = str(bucket).replace("{account}", location.account).replace("{region}", location.region)
            s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": location.region})
        ssm = lab.client("ssm", location.account, location.region)
        rule = {
            "PatchFilterGroup": {"PatchFilters": [{"Key": "CLASSIFICATION", "Values": ["*"]}]},
            "ApproveAfterDays": 0,
        }
        for group in policy.patch_groups:
            baseline = ssm.create_patch_baseline(
                Name=group.name, OperatingSystem="AMAZON_LINUX_2023", ApprovalRules={"PatchRules": [rule]}
            )
            ssm.register_patch_baseline_for_patch_group(BaselineId=baseline["BaselineId"], PatchGroup=group.name)


def excepting(policy: Policy, **waiver: Any) -> Policy:
    """The policy with one more exception."""
    one = Waiver.model_validate({"owner": "dba", "because": "migration", "expires": "2025-07-01", **waiver})
    return policy.model_copy(update={"exceptions": (*policy.exceptions, one)})


def many(web: int, *, there: int = 3) -> Fleet:
    """The fleet with so many production nodes."""
    groups = []
    for group in NODES_FLEET.groups:
        if group.name == "web-prod":
            groups.append(group.model_copy(update={"name": "here", "count": web, "locations": [HERE]}))
            groups.append(group.model_copy(update={"name": "there", "count": there, "locations": [THERE]}))
        else:
            groups.append(group)
    return NODES_FLEET.model_copy(update={"groups": groups})


def named(run: Run, location: str = HERE) -> dict[str, Expected]:
    """What was resolved in a location, by the nodes' names; their ids where they have none."""
    with run.connect(location) as connection:
        return {one.name or one.node: one for one in read_resolved(run, connection)}


def called(lab: LabHandle) -> dict[str, int]:
    """How often each operation was asked of the lab."""
    found: dict[str, int] = {}
    for row in lab.server.calls.counts():
        found[str(row["operation"])] = found.get(str(row["operation"]), 0) + int(str(row["count"]))
    return found
