"""Evidence in an S3 bucket.

It is used with the credentials of whoever runs Sluice, Airflow's own role for example: no target location's role
reaches the evidence. What they need on the bucket is in PERMISSIONS, and nothing removes an object.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, cast
from weakref import WeakKeyDictionary

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from sluice.core.endpoint import check_endpoint
from sluice.core.errors import EvidenceError

PERMISSIONS = {
    "s3:GetObject": "arn:{partition}:s3:::{bucket}/{prefix}/*",
    "s3:PutObject": "arn:{partition}:s3:::{bucket}/{prefix}/*",
    "s3:ListBucket": "arn:{partition}:s3:::{bucket}",
}
"""IAM actions and what they are needed on. Without ListBucket a missing object cannot be told from a denied one."""

CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=10, read_timeout=60)

MISSING = ("NoSuchKey", "404")
WON = ("PreconditionFailed", "412")
BUSY = ("ConditionalRequestConflict", "409")
"""Two conditional writes at the same moment: S3 lets none win and asks for another try."""
TRIES = 5


_CLIENTS: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
_MAKING = threading.Lock()


def _client(session: Any) -> Any:
    """The client of a session, made once: making one takes longer than most calls, and is not safe in threads."""
    with _MAKING:
        if session not in _CLIENTS:
            _CLIENTS[session] = session.client("s3", config=CONFIG)
        return _CLIENTS[session]


class BucketStore:
    """Objects below a prefix of a bucket. Safe to use from several threads."""

    def __init__(self, session: Any, bucket: str, prefix: str = "", *, aws_only: bool = False) -> None:
        """`session` is a boto3 session. Raises EndpointError for an endpoint that is not AWS's, with `aws_only`."""
        self._bucket = bucket
        self._base = f"{prefix}/" if prefix else ""
        try:
            self._client = _client(session)
        except (BotoCoreError, ValueError) as error:
            raise EvidenceError(f"s3://{bucket}: no client: {error}. Set AWS_REGION or AWS_PROFILE") from error
        if aws_only:
            check_endpoint("s3", str(self._client.meta.endpoint_url))

    def put(self, key: str, content: bytes, *, once: bool = False) -> bool:
        """Write an object; with `once` only where there is none.

        False where there was one. That may be this very write, whose answer was lost and which was sent again:
        whoever must know reads it.
        """
        condition = {"IfNoneMatch": "*"} if once else {}
        for _ in range(TRIES):
            try:
                self._client.put_object(Bucket=self._bucket, Key=self._base + key, Body=content, **condition)
            except ClientError as error:
                code = _code(error)
                if once and code in WON:
                    return False
                if not once or code not in BUSY:
                    raise self._failed("written", key, error) from error
            except BotoCoreError as error:
                raise self._failed("written", key, error) from error
            else:
                return True
        raise EvidenceError(
            f"{self.describe(key)}: expected to write it, found others writing it {TRIES} times; try again"
        )

    def get(self, key: str) -> bytes | None:
        """An object's content."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._base + key)
            return cast("bytes", answer["Body"].read())  # raises when it is shorter than its length says
        except ClientError as error:
            if _code(error) in MISSING:
                return None
            raise self._failed("read", key, error) from error
        except (BotoCoreError, HTTPClientError) as error:
            raise self._failed("read", key, error) from error

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The keys below a prefix: all pages, in S3's order, which is that of their bytes."""
        more: dict[str, str] = {}
        while True:
            answer = self._page(prefix, more)
            yield from (str(one["Key"]).removeprefix(self._base) for one in answer.get("Contents", ()))
            if not answer.get("IsTruncated"):
                return
            more = {"ContinuationToken": answer["NextContinuationToken"]}

    def describe(self, key: str = "") -> str:
        """`s3://bucket/prefix/key`."""
        return f"s3://{self._bucket}/{self._base}{key}"

    def _page(self, prefix: str, more: dict[str, str]) -> dict[str, Any]:
        try:
            answer = self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._base + prefix, **more)
        except (ClientError, BotoCoreError) as error:
            raise self._failed("listed", prefix, error) from error
        if answer.get("KeyCount") is None:
            raise EvidenceError(f"{self.describe(prefix)}: S3 answered a list without KeyCount; try again")
        return cast("dict[str, Any]", answer)

    def _failed(self, what: str, key: str, error: Exception) -> EvidenceError:
        needed = ", ".join(PERMISSIONS)
        hint = (
            f". The caller needs {needed} on it" if isinstance(error, ClientError) and "Denied" in _code(error) else ""
        )
        return EvidenceError(f"{self.describe(key)}: could not be {what}: {error}{hint}")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
