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

import boto3
import botocore.session

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
    """Read each of AWS's models, for every session of this process and of those that it forks."""
    one_loader()
    for service in SERVICES:
        boto3.Session().client(service, region_name="eu-west-3").close()


def one_loader() -> None:
    """Let every session of this process share one loader of AWS's models: each has its own, and reads them anew."""
    sessions: Any = botocore.session
    sessions.create_loader = cache(sessions.create_loader)
