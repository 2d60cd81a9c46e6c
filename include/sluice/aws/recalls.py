"""Recalls in the operations bucket of a location."""

from __future__ import annotations

from urllib.parse import quote

from sluice.aws import operations
from sluice.aws.session import Connection
from sluice.core.errors import AWSError
from sluice.core.json_text import encoded
from sluice.core.policy.policy import Policy
from sluice.core.release.recall import Recall, with_recalls

RECALLS = "recalls"
NO_BUCKET = "NoSuchBucket"


def listed(connection: Connection, bucket: operations.Bucket) -> tuple[Recall, ...]:
    """All that were ever recalled there, lifted ones too; none where there is no bucket yet."""
    try:
        keys = sorted(operations.keys(connection, bucket, f"{RECALLS}/{bucket.deployment}/"))
    except AWSError as error:
        if error.code == NO_BUCKET:
            return ()
        raise
    found = (operations.read(connection, bucket, key) for key in keys)
    return tuple(Recall.of_json(one.json) for one in found if one is not None)


def read(connection: Connection, bucket: operations.Bucket, patch: str) -> Recall | None:
    """The recall of a patch there, lifted or not; None: it never was recalled."""
    found = operations.read(connection, bucket, key_of(bucket, patch))
    return None if found is None else Recall.of_json(found.json)


def put(connection: Connection, bucket: operations.Bucket, recall: Recall) -> None:
    """Write a recall down; an earlier one of the same patch is overwritten."""
    operations.put_mark(connection, bucket, key_of(bucket, recall.patch), encoded(recall.as_json()))


def merged(policy: Policy, connection: Connection) -> Policy:
    """The policy with what is recalled in a location rejected in its baselines; as it is where it has no bucket.

    Raises ReleaseError where a baseline would reject more than AWS takes.
    """
    if not policy.operations_bucket:
        return policy
    return with_recalls(policy, listed(connection, operations.bucket_of(policy, connection)))


def key_of(bucket: operations.Bucket, patch: str) -> str:
    """Where the recall of a patch is kept."""
    return bucket.key(RECALLS, quote(patch, safe="+._~-"))
