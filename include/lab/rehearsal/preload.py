"""What a process reads once for all that it forks: a short task is done before it has imported what it needs.

On two cores, reading AWS's models (megabytes of JSON) and importing what is below a task takes longer than most tasks
do. Nothing else is different in a process that has read it before.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

SERVICES = ("cloudwatch", "ec2", "iam", "s3", "ssm", "sts")
PROVIDER = "airflow.providers.amazon.aws.hooks.base_aws"


def preload(packages: Sequence[Path]) -> None:
    """Import every module of these packages, and read AWS's models."""
    import_module(PROVIDER)
    for package in packages:
        for file in sorted(package.rglob("*.py")):
            parts = file.relative_to(package.parent).with_suffix("").parts
            if parts[-1] != "__main__":
                import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    aws_models_once()


def aws_models_once() -> None:
    """Let every session of this process, and of those that it forks, read each of AWS's models once.

    A session has a loader of its own, and reads them anew.
    """
    import boto3
    import botocore.session

    sessions: Any = botocore.session
    sessions.create_loader = cache(sessions.create_loader)
    for service in SERVICES:
        boto3.Session().client(service, region_name="eu-west-3").close()
