"""Instance profiles: which managed policies their roles have."""

from __future__ import annotations

from typing import Any

from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.core.errors import AWSError

PROFILES = "arn:{partition}:iam::{account}:instance-profile/*"
ROLES = "arn:{partition}:iam::{account}:role/*"


def policies(connection: Connection, name: str) -> tuple[str, ...]:
    """Names of the managed policies attached to a profile's role; none where the profile has been deleted.

    An instance may run on with a profile that is no longer there.
    """
    return tuple(policy for role in _roles(connection, name) for policy in role_policies(connection, role["RoleName"]))


def role_arns(connection: Connection, name: str) -> tuple[str, ...]:
    """The ARNs of a profile's roles, AWS allows one; none where the profile has been deleted."""
    return tuple(role["Arn"] for role in _roles(connection, name))


@calls("iam:GetInstanceProfile", resources=PROFILES)
def _roles(connection: Connection, name: str) -> list[dict[str, Any]]:
    try:
        answer = connection.need("iam", "GetInstanceProfile", "InstanceProfile", InstanceProfileName=name)
    except AWSError as error:
        if error.code == "NoSuchEntity":
            return []
        raise
    return list(answer["InstanceProfile"]["Roles"])


@calls("iam:ListAttachedRolePolicies", resources=ROLES)
def role_policies(connection: Connection, role: str) -> tuple[str, ...]:
    """Names of the managed policies attached to a role."""
    found: list[str] = []
    marker: dict[str, str] = {}
    while True:
        answer = connection.need("iam", "ListAttachedRolePolicies", "AttachedPolicies", RoleName=role, **marker)
        found += [policy["PolicyName"] for policy in answer["AttachedPolicies"]]
        if not answer.get("IsTruncated"):
            return tuple(found)
        marker = {"Marker": answer["Marker"]}
