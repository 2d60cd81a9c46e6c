"""The operations bucket of a location: small JSON and text objects that releases are driven by.

    leases/<deployment>/<window>.json          who may drive a window now
    steps/<release>/<name>.json                what a release knows and does in this location; each step before its act
    manifests/<release>/<file>                 what a production release requests; read by the nodes
    halts/<deployment>/<release|all>.json      releases that open nothing any more
    recalls/<deployment>/<patch>.json          patches that the deployment installs no more

Deployments of one account may share it: a release's id is no other deployment's, and what is kept by other names has
the deployment before them.

Conditional writes (If-None-Match, If-Match) make one writer of several win (docs/adr/0019).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.core.errors import AnswerError, AWSError, LostError
from sluice.core.json_text import encoded
from sluice.core.policy.places import bucket_in
from sluice.core.policy.policy import Policy

BUCKET = "arn:{partition}:s3:::{operations}"

LOST = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
"""S3's codes for a conditional write that another writer has won."""
MISSING = ("NoSuchKey", "404")
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Stored:
    """An object's content, and the ETag that a conditional write names it by."""

    content: bytes
    etag: str

    @property
    def json(self) -> Any:
        """The content as JSON."""
        return json.loads(self.content)


@dataclass(frozen=True, slots=True)
class Bucket:
    """The operations bucket of a location, as a deployment uses it."""

    name: str
    deployment: str

    def key(self, kind: str, name: str) -> str:
        """Where the deployment keeps something that another one may have under the same name."""
        return f"{kind}/{self.deployment}/{name}.json"

    def __str__(self) -> str:
        return self.name


def bucket_of(policy: Policy, connection: Connection) -> Bucket:
    """The operations bucket of a location. Raises AWSError where the policy names none."""
    if not policy.operations_bucket:
        raise AWSError(
            "expected operations_bucket in the policy, found none: releases keep leases, steps and manifests there"
        )
    return Bucket(bucket_in(policy.operations_bucket, connection.account, connection.region), policy.deployment)


@calls("s3:GetObject", resources=f"{BUCKET}/*")
@calls("s3:ListBucket", resources=BUCKET)  # without it a missing object cannot be told from a denied one
def read(connection: Connection, bucket: Bucket, key: str) -> Stored | None:
    """An object; None: there is none."""
    try:
        answer = connection.need("s3", "GetObject", "Body", "ETag", Bucket=bucket.name, Key=key)
    except AWSError as error:
        if error.code in MISSING:
            return None
        raise
    content = answer["Body"].read()
    length = answer.get("ContentLength")
    if length is not None and len(content) != length:
        raise AnswerError(f"{connection.key}: {bucket}/{key}: expected {length} bytes, found {len(content)}; try again")
    return Stored(content, str(answer["ETag"]))


@calls("s3:ListBucket", resources=BUCKET)
def keys(connection: Connection, bucket: Bucket, prefix: str) -> Iterator[str]:
    """The keys below a prefix, all pages."""
    more: dict[str, Any] = {}
    while True:
        answer = connection.need("s3", "ListObjectsV2", "KeyCount", Bucket=bucket.name, Prefix=prefix, **more)
        yield from (one["Key"] for one in answer.get("Contents", ()))
        if not answer.get("IsTruncated"):
            return
        more = {"ContinuationToken": answer["NextContinuationToken"]}


def step_key(release: str, name: str) -> str:
    """Where a step of a release is kept."""
    return f"{steps_of(release)}{name}.json"


def steps_of(release: str) -> str:
    """What the keys of all steps of a release begin with."""
    return f"steps/{release}/"


def manifest_key(release: str, file: str = MANIFEST) -> str:
    """Where a release's manifest is kept, or another file beside it: the list of an OS product."""
    return f"manifests/{release}/{file}"


def write_step(connection: Connection, bucket: Bucket, release: str, name: str, data: Any) -> None:
    """Record a step of a release; what was there is overwritten."""
    put_step(connection, bucket, step_key(release, name), encoded(data))


def read_step(connection: Connection, bucket: Bucket, release: str, name: str) -> Any:
    """A recorded step, or None."""
    found = read(connection, bucket, step_key(release, name))
    return found.json if found else None


@calls("s3:PutObject", resources=f"{BUCKET}/steps/*")
def put_step(
    connection: Connection, bucket: Bucket, key: str, content: bytes, *, was: Stored | bool | None = True
) -> str:
    """Write below `steps/`; see `_put` for `was`."""
    return _put(connection, bucket, key, content, was)


@calls("s3:PutObject", resources=f"{BUCKET}/leases/*")
def put_lease(connection: Connection, bucket: Bucket, key: str, content: bytes, *, was: Stored | None) -> str:
    """Write a lease, if it is still what it `was`."""
    return _put(connection, bucket, key, content, was)


@calls("s3:PutObject", resources=f"{BUCKET}/manifests/*")
def put_manifest(connection: Connection, bucket: Bucket, key: str, content: bytes) -> str:
    """Write a manifest, once. Raises LostError where one is there already."""
    return _put(connection, bucket, key, content, None)


@calls("s3:PutObject", resources=(f"{BUCKET}/halts/*", f"{BUCKET}/recalls/*"))
def put_mark(connection: Connection, bucket: Bucket, key: str, content: bytes) -> str:
    """Write a halt mark or a recall; what was there is overwritten."""
    return _put(connection, bucket, key, content, was=True)


def _put(connection: Connection, bucket: Bucket, key: str, content: bytes, was: Stored | bool | None) -> str:
    """Write an object; its ETag. `was`: the object that it replaces, None for no object, True for whatever is there.

    Raises LostError where it is not what it `was`: another writer came first.
    """
    condition: dict[str, str] = {}
    if was is None:
        condition = {"IfNoneMatch": "*"}
    elif isinstance(was, Stored):
        condition = {"IfMatch": was.etag}
    try:
        answer = connection.need("s3", "PutObject", "ETag", Bucket=bucket.name, Key=key, Body=content, **condition)
    except AWSError as error:
        if condition and error.code in (*LOST, *MISSING):
            raise LostError(f"{connection.key}: {bucket}/{key}: another writer came first", code=error.code) from error
        raise
    return str(answer["ETag"])
