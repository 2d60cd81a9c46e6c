"""What the patch payload downloads on a node: install override lists and baseline overrides.

Both are objects in S3, named by an `s3://bucket/key` or an https URL of S3. A node reads with its
instance profile: the lab lets it read a bucket of its own account, and one of another account only if
that bucket's policy names the node's account or everybody. A denied or missing download fails the
node (observed in the 2021 payload).
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from moto.s3.models import FakeBucket, s3_backends

from lab.evaluate import Override
from lab.evaluations import OverrideList, Snapshot
from lab.world import Location


class DownloadError(Exception):
    """Something that the payload needs cannot be had; the text is what the node prints."""


def install_override_list(location: Location, url: str) -> OverrideList:
    """The list at `url`: YAML or JSON, `patches:` with `id` and optional `title`.

    Raises DownloadError when it cannot be read or is not such a list.
    """
    try:
        patches = yaml.safe_load(fetch(location, url))["patches"]
        entries = tuple(Override(str(entry["id"]), _title(entry)) for entry in patches)
    except (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError) as problem:
        raise DownloadError(f"Unable to parse the install override list {url}: {problem}") from problem
    return OverrideList(url, entries)


def baseline_override(location: Location, url: str, operating_system: str, now: datetime) -> Snapshot:
    """The baseline for an operating system from a JSON list of baselines, as GetPatchBaseline answers them.

    Raises DownloadError when it cannot be read or has none for this system.
    """
    try:
        for body in json.loads(fetch(location, url)):
            if body["OperatingSystem"] == operating_system:
                return Snapshot(str(body.get("BaselineId", "baseline-override")), body, now)
    except (ValueError, KeyError, TypeError) as problem:
        raise DownloadError(f"Unable to parse the baseline override {url}: {problem}") from problem
    raise DownloadError(f"The baseline override {url} has no baseline for {operating_system}.")


def fetch(location: Location, url: str) -> bytes:
    """The object at an S3 URL, as a node of this location reads it. Raises DownloadError."""
    bucket_name, key = parse_url(url)
    for owner, partitions in list(s3_backends.items()):
        bucket = partitions["aws"].buckets.get(bucket_name) if "aws" in dict.keys(partitions) else None
        if bucket is not None:
            if owner != location.account and not _shared(bucket, location.account):
                raise DownloadError(f"Access denied to {url} for a node of account {location.account}.")
            found = bucket.keys.get(key)
            if found is None:
                raise DownloadError(f"{url} does not exist.")
            return bytes(found.value)
    raise DownloadError(f"The bucket of {url} does not exist.")


def parse_url(url: str) -> tuple[str, str]:
    """Bucket and key of an `s3://` or https URL of S3 (path style or virtual host). Raises DownloadError."""
    parts = urlsplit(url)
    host, path = parts.hostname or "", unquote(parts.path.lstrip("/"))
    if parts.scheme == "s3":
        return host, path
    virtual = re.fullmatch(r"(.+)\.s3[.-][^/]*amazonaws\.com(?:\.cn)?", host)
    if virtual:
        return virtual[1], path
    if parts.scheme in ("http", "https") and "/" in path:
        bucket, _, key = path.partition("/")
        return bucket, key
    raise DownloadError(f"{url} is not an s3:// or https:// URL of an object in S3.")


def _title(entry: Any) -> str | None:
    title = entry.get("title")
    return None if title is None else str(title)


def _shared(bucket: FakeBucket, account: str) -> bool:
    policy = (bucket.policy or b"").decode()
    return account in policy or '"Principal":"*"' in policy.replace(" ", "")
