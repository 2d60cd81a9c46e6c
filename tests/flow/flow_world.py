"""A small world for the release flow: a policy of one location, its buckets, and the policy applied."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.testing import LabHandle
from sluice.aws import recalls
from sluice.aws.actual import read_actual
from sluice.aws.apply import apply_plan
from sluice.aws.locations import in_each
from sluice.aws.session import Connection, Connections, Duty
from sluice.core.policy.desired import desired
from sluice.core.policy.plan import make_plan
from sluice.core.policy.policy import Policy
from sluice.core.release.terms import Asked
from sluice.flow.run import Run, begin

FLEET = Path(__file__).with_name("fleet.yaml")

HERE = "111111111111/eu-west-3"

NONPROD, PROD, SCAN = "install-nonprod", "install-prod-linux", "scan-daily"


def _baseline(name: str, days: int) -> dict[str, Any]:
    return {
        "name": name,
        "os": "AMAZON_LINUX_2023",
        "rules": [{"classification": "Security", "approve_after_days": days, "compliance": "HIGH"}],
    }


def _group(name: str, ring: str) -> dict[str, Any]:
    return {"name": name, "ring": ring, "baselines": f"{ring}-amazon", "products": "AMAZON_LINUX_2023"}


SMALL: Mapping[str, Any] = {
    "version": 1,
    "mode": "release",
    "locations": [{"account": "111111111111", "region": "eu-west-3"}],
    "rings": [{"name": "nonprod"}, {"name": "prod", "production": True, "soak": 7, "max_failure_percent": 20}],
    "baselines": [_baseline("nonprod-amazon", 0), _baseline("prod-amazon", 7)],
    "patch_groups": [_group("nonprod-linux", "nonprod"), _group("prod-linux", "prod")],
    "windows": [
        {"name": SCAN, "operation": "scan", "schedule": "cron(0 1 * * ? *)", "duration_hours": 2},
        {
            "name": NONPROD,
            "operation": "install",
            "schedule": "cron(0 3 ? * MON-FRI *)",
            "duration_hours": 4,
            "patch_groups": "nonprod-linux",
            "reboot": {"when": "if_needed", "how": "waves"},
            "waves": "all_at_once",
        },
        {
            "name": PROD,
            "operation": "install",
            "schedule": "cron(0 3 ? * MON *)",
            "duration_hours": 4,
            "lead_minutes": 120,
            "patch_groups": "prod-linux",
            "waves": {"canary": 1, "settle_minutes": 10},
            "backup": "on",
        },
    ],
    "gate": {"approval": "never"},
    "operations_bucket": "sluice-operations-{account}-{region}",
    "logs": {"bucket": "sluice-logs-{account}-{region}"},
    "timing": {"poll_seconds": 0.05, "poll_at_most_seconds": 0.2},
}


def small(folder: Path, **changes: Any) -> Policy:
    """The small policy with its evidence in a folder; `changes` to its keys."""
    return Policy.model_validate({**SMALL, "evidence": {"folder": str(folder)}, **changes})


def prepare(lab: LabHandle, policy: Policy) -> None:
    """Make the buckets of each location, and the policy's objects in it."""
    for location in policy.locations:
        s3 = lab.client("s3", location.account, location.region)
        for bucket in (policy.operations_bucket, policy.logs.bucket):
            name = str(bucket).replace("{account}", location.account).replace("{region}", location.region)
            s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": location.region})

    apply(policy)


def apply(policy: Policy) -> None:
    """Apply the policy, and what is recalled, in each location."""

    def make(connection: Connection) -> None:
        wanted = desired(recalls.merged(policy, connection), connection.account, connection.region)
        plan = make_plan(connection.account, connection.region, wanted, read_actual(connection, policy.deployment))
        apply_plan(connection, policy.deployment, plan)

    for outcome in in_each(Connections.of(policy), policy.locations, Duty.POLICY_APPLIER, make):
        assert outcome.error is None, outcome.error


def run_of(policy: Policy, window: str, occurrence: datetime | None = None, *, run_id: str = "r1", **asked: Any) -> Run:
    """A begun run of a window."""
    return begin(
        policy,
        Connections.of(policy),
        window,
        dag_id=f"patch_{window.replace('-', '_')}",
        run_id=run_id,
        asked=Asked(occurrence=occurrence, **asked),
        planned=None,
    )


def at(day: int, hour: int = 0, minute: int = 0, month: int = 6) -> datetime:
    """A moment of June 2025 (UTC), or of another month."""
    return datetime(2025, month, day, hour, minute, tzinfo=UTC)
