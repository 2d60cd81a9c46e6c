"""Whether nodes may use the buckets that a release needs, from the policies of their roles."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sluice.aws import instance_profiles, roles
from sluice.aws.duties import Grant
from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.core.errors import AWSError

NO_POLICY = "NoSuchBucketPolicy"

Wanted = Sequence[tuple[str, str, str]]
"""Action, bucket, and the beginning of the keys that it is for."""


def refused(connection: Connection, profile: str, wanted: Wanted, *, hybrid: bool) -> tuple[str, ...]:
    """What the role of a profile may not do, as `s3:GetObject on BUCKET`; hybrid machines name their role itself.

    IAM's simulator does not see bucket policies. Raises AWSError where nobody knows: the simulator cannot be asked,
    there is no role, or a bucket's own policy allows something, which may be just that.
    """
    arns = [_role(connection, profile)] if hybrid else instance_profiles.role_arns(connection, profile)
    if not arns:
        raise AWSError(f"the instance profile {profile} is not there any more, or has no role")
    missing = [
        (action, bucket)
        for action, bucket, prefix in wanted
        for arn in arns
        if roles.refused(connection, "", arn, [Grant(action, (_objects(connection, bucket, prefix),))])
    ]
    if unclear := [bucket for _, bucket in missing if allows(connection, bucket)]:
        raise AWSError(
            f"the policy of {', '.join(unclear)} allows something of its own, which the simulator leaves out"
        )
    return tuple(f"{action} on {bucket}" for action, bucket in missing)


@calls("s3:GetBucketPolicy", resources=("arn:{partition}:s3:::{operations}", "arn:{partition}:s3:::{logs}"))
def allows(connection: Connection, bucket: str) -> bool:
    """Whether a bucket's own policy allows anything to anybody."""
    try:
        answer = connection.need("s3", "GetBucketPolicy", "Policy", Bucket=bucket)
    except AWSError as error:
        if error.code == NO_POLICY:
            return False
        raise
    statements = json.loads(answer["Policy"]).get("Statement", ())
    found: Sequence[Mapping[str, str]] = [statements] if isinstance(statements, dict) else statements
    return any(one.get("Effect") == "Allow" for one in found)


def _objects(connection: Connection, bucket: str, prefix: str) -> str:
    return f"arn:{connection.partition}:s3:::{bucket}/{prefix}*"


def _role(connection: Connection, name: str) -> str:
    return f"arn:{connection.partition}:iam::{connection.account}:role/{name}"
