"""Where evidence is kept: objects by key, in a local folder or an S3 bucket.

Keys are relative to the policy's prefix, with `/` between their parts. A write is whole or not at all.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from sluice.core.errors import EvidenceError
from sluice.core.policy.policy import Policy


class Store(Protocol):
    """Objects by key. Raises EvidenceError where the place cannot be written or read."""

    def put(self, key: str, content: bytes, *, once: bool = False) -> bool:
        """Write an object. With `once` only where there is none; whether it was written."""

    def get(self, key: str) -> bytes | None:
        """An object; None: there is none."""

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The keys below a prefix, sorted."""

    def describe(self, key: str = "") -> str:
        """Where that is, for people: a path or `s3://bucket/key`."""


class FolderStore:
    """A local folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, content: bytes, *, once: bool = False) -> bool:
        """Write a file by way of another one, so that nobody reads half of it."""
        path = self._path(key)
        with _said_of(path, "written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
                if once:
                    return _linked(name, path)
                Path(name).replace(path)
            finally:
                Path(name).unlink(missing_ok=True)
        return True

    def get(self, key: str) -> bytes | None:
        """A file's content."""
        path = self._path(key)
        with _said_of(path, "read"):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Files whose key begins with the prefix."""
        base = self._path(prefix.rpartition("/")[0]) if "/" in prefix else self._folder
        found = (path.relative_to(self._folder).as_posix() for path in base.rglob("*") if path.is_file())
        yield from sorted(key for key in found if key.startswith(prefix) and not Path(key).name.startswith("."))

    def describe(self, key: str = "") -> str:
        """The path."""
        return str(self._path(key))

    def _path(self, key: str) -> Path:
        path = (self._folder / key).resolve()
        if not path.is_relative_to(self._folder.resolve()):
            raise EvidenceError(f"expected a key within {self._folder}, found {key!r}")
        return path


def _linked(name: str, path: Path) -> bool:
    """Whether a file got its place: the first of several writers wins."""
    try:
        os.link(name, path)
    except FileExistsError:
        return False
    return True


@contextmanager
def _said_of(path: Path, what: str) -> Iterator[None]:
    """Raise EvidenceError with the file's path where the disk refuses."""
    try:
        yield
    except OSError as error:
        raise EvidenceError(f"{path}: expected a file that can be {what}, found {error.strerror or error}") from error


def default_folder(deployment: str) -> Path:
    """Where evidence goes when the policy names no place: below the user's data, one folder a deployment."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "sluice" / deployment / "evidence"


def open_store(policy: Policy, session: Any) -> Store:
    """The store that the policy names; `session` is the boto3 session whose credentials a bucket is used with."""
    place = policy.evidence
    if place.bucket:
        from sluice.evidence.bucket import BucketStore

        return BucketStore(session, place.bucket, place.prefix.strip("/"), aws_only=policy.endpoint == "aws")
    return FolderStore(Path(place.folder) if place.folder else default_folder(policy.deployment))
