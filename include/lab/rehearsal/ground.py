"""What must be there before anything is released: the policy's buckets, and its objects in AWS."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3

from lab.errors import LabError
from sluice.core.policy.policy import Policy

ROOT = Path(__file__).resolve().parents[3]
PRODUCT = ROOT / "include" / "sluice"
ALARM: Mapping[str, Any] = {
    "Namespace": "Rehearsal",
    "MetricName": "Errors",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanThreshold",
}
CREDENTIALS = "lab"
"""Access key and secret of clients of the lab: it has no others."""


def aws_environment(endpoint: str, region: str) -> dict[str, str]:
    """What makes boto3 find the lab where it would find AWS: the product has no other way to it."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **own,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": CREDENTIALS,
        "AWS_SECRET_ACCESS_KEY": CREDENTIALS,
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "PYTHONPATH": f"{ROOT / 'include'}{os.pathsep}{ROOT / 'plugins'}",
    }


def default_region(policy: Policy) -> str:
    """The Region of clients that name none: the policy's first."""
    return policy.locations[0].region


def make_buckets(policy: Policy, endpoint: str) -> list[str]:
    """Make every bucket that the policy names; their names. One that is there stays as it is."""
    made = []
    for account, region, bucket in sorted(set(_buckets(policy))):
        s3 = client("s3", endpoint, account, region)
        try:
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
            made.append(bucket)
        except (s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
            continue
        finally:
            s3.close()
    return made


def set_alarms(policy: Policy, endpoint: str, state: str) -> list[str]:
    """Put every alarm that the policy's gates name into a state (OK, ALARM), in each location; their names.

    Those that are not there are made: the lab has no metrics of its own, so that somebody has to say how they are.
    """
    gates = [policy.gate, *(window.gate for window in policy.windows if window.gate)]
    names = sorted({name for gate in gates for name in gate.alarms})
    for location in policy.locations if names else ():
        cloudwatch = client("cloudwatch", endpoint, location.account, location.region)
        try:
            for name in names:
                cloudwatch.put_metric_alarm(AlarmName=name, **ALARM)
                cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="the rehearsal says so")
        finally:
            cloudwatch.close()
    return names


def _buckets(policy: Policy) -> Iterator[tuple[str, str, str]]:
    """Account, Region and name of each."""
    logs = [policy.logs.bucket, *(window.logs.bucket for window in policy.windows if window.logs)]
    for location in policy.locations:
        for pattern in (policy.operations_bucket, *logs):
            if pattern:
                name = str(pattern).replace("{account}", location.account).replace("{region}", location.region)
                yield location.account, location.region, name
    if policy.evidence.bucket:
        first = policy.locations[0]
        yield first.account, first.region, policy.evidence.bucket


def images_of(endpoint: str, account: str, region: str) -> list[str]:
    """The names of the images that a location has of its own."""
    ec2 = client("ec2", endpoint, account, region)
    try:
        pages = ec2.get_paginator("describe_images").paginate(Owners=["self"])
        return [str(image["Name"]) for page in pages for image in page["Images"]]
    finally:
        ec2.close()


def client(service: str, endpoint: str, account: str, region: str) -> Any:
    """A client in an account, as a role there: state is separate for each account."""
    own = {"endpoint_url": endpoint, "region_name": region}
    user = {"aws_access_key_id": CREDENTIALS, "aws_secret_access_key": CREDENTIALS}
    sts = boto3.client("sts", **own, **user)
    try:
        arn = f"arn:aws:iam::{account}:role/rehearsal"
        found: Mapping[str, str] = sts.assume_role(RoleArn=arn, RoleSessionName="rehearsal")["Credentials"]
    finally:
        sts.close()
    return boto3.client(
        service,
        **own,
        aws_access_key_id=found["AccessKeyId"],
        aws_secret_access_key=found["SecretAccessKey"],
        aws_session_token=found["SessionToken"],
    )


def sluice(policy_file: Path, endpoint: str, region: str, *arguments: str) -> str:
    """Run `python -m sluice …` on the policy as a person would; what it said. Raises LabError where it fails."""
    command = [sys.executable, "-m", "sluice", *arguments, "--policy", str(policy_file)]
    done = subprocess.run(  # noqa: S603  # our own command, no shell
        command, env=aws_environment(endpoint, region), cwd=ROOT, capture_output=True, text=True, check=False
    )
    said = f"{done.stdout}{done.stderr}"
    if done.returncode:
        raise LabError(f"`python -m sluice {' '.join(arguments)}` ended with {done.returncode}:\n{said.strip()}")
    return said


def prepare(policy: Policy, policy_file: Path, endpoint: str) -> None:
    """Make the buckets and alarms, and apply the policy."""
    make_buckets(policy, endpoint)
    set_alarms(policy, endpoint, "OK")
    sluice(policy_file, endpoint, default_region(policy), "apply", "--yes")
