"""Buckets: whether they are there."""

from __future__ import annotations

from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.core.doctor import BucketFact
from sluice.core.errors import AWSError


@calls(
    "s3:ListBucket",
    resources=("arn:{partition}:s3:::{operations}", "arn:{partition}:s3:::{logs}", "arn:{partition}:s3:::{inventory}"),
)
def look(connection: Connection, name: str, use: str) -> BucketFact:
    """Whether a bucket is there and ours to use; HeadBucket answers without words (S3 API: no body)."""
    try:
        answer = connection.call("s3", "HeadBucket", Bucket=name)
    except AWSError as error:
        if error.code == "404":
            return BucketFact(name, use, "missing")
        if error.code == "301":
            return BucketFact(name, use, "elsewhere")
        why = "the caller may not look at it" if error.code == "403" else str(error)
        return BucketFact(name, use, "unknown", why)
    region = answer.get("BucketRegion") or connection.region
    return BucketFact(name, use, "there" if region == connection.region else "elsewhere")
