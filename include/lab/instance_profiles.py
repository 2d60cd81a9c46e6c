"""Instance profiles in IAM, with AWS's own managed policies attached to their roles.

moto only knows AWS's managed policies when it loads all 1,582 of them into every account; here the few
that a fleet names are taken from the same data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, IAMBackend, iam_backends

from lab.world import Lab

HOUR = "3600"
OWN_POLICY = "own"
"""The name of the policy that a fleet's statements make."""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
        {"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


@cache
def managed_policies() -> dict[str, Any]:
    """AWS's managed policies by name, as moto's data has them."""
    found: dict[str, Any] = json.loads(aws_managed_policies_data)
    return found


def create_profile(
    lab: Lab, account: str, name: str, policies: Iterable[str], statements: Sequence[Mapping[str, Any]] = ()
) -> None:
    """An instance profile and a role of one name; `policies` are names of AWS's managed ones, `statements` its own."""
    iam = iam_backends[account]["aws"]
    role = iam.create_role(name, json.dumps(TRUST), "/", None, "", [], HOUR)
    for policy in policies:
        _managed(iam, account, policy).attach_to(role)
    if statements:
        iam.put_role_policy(name, OWN_POLICY, json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
    profile = iam.create_instance_profile(name, "/", [name])
    profile.id = f"AIPA{lab.random.getrandbits(68):017X}"  # moto's are shorter than IAM's model allows


def _managed(iam: IAMBackend, account: str, name: str) -> Any:
    policy = AWSManagedPolicy.from_data(name, account, iam.region_name, managed_policies()[name])
    return iam.managed_policies.setdefault(policy.arn, policy)
