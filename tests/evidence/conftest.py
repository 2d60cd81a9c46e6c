"""The lab for the tests of the evidence: S3 is what they need of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.testing import LabHandle, lab, lab_fleet, lab_server
from sluice.evidence.bucket import BucketStore
from sluice.evidence.store import FolderStore, Store

__all__ = ["lab", "lab_fleet", "lab_server"]

BUCKET = "sluice-evidence"


@pytest.fixture
def bucket(lab: LabHandle, monkeypatch: pytest.MonkeyPatch) -> BucketStore:
    """A store in a bucket of the lab."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", lab.endpoint)
    lab.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": lab.world.default_region}
    )
    return BucketStore(lab.session(), BUCKET, "evidence")


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Each kind of store."""
    if request.param == "folder":
        return FolderStore(tmp_path / "evidence")
    found: BucketStore = request.getfixturevalue("bucket")
    return found
