"""AWS credentials of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluice.aws.session import Connections
    from sluice.core.policy.policy import Policy

CONNECTION = "aws_default"
"""The Airflow connection whose credentials are used where it exists; else boto3's own chain (environment, profile,
instance role). Roles of other accounts are the policy's to name, and endpoints boto3's own configuration's."""


def connections(policy: Policy) -> Connections:
    """Connections to the policy's target locations."""
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

    from sluice.aws.session import Connections

    return Connections.of(policy, AwsGenericHook(aws_conn_id=CONNECTION, client_type="sts").get_session())
