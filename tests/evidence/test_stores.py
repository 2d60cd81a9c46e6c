"""A folder and a bucket keep the same promises."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from lab.faults import FaultRule
from lab.testing import LabHandle
from sluice.core.errors import EndpointError, EvidenceError
from sluice.evidence.bucket import PERMISSIONS, BucketStore
from sluice.evidence.store import FolderStore, Store


def test_what_was_put_is_got(store: Store) -> None:
    assert store.put("a/b.json", b"one")
    assert store.get("a/b.json") == b"one"
    assert store.put("a/b.json", b"two")
    assert store.get("a/b.json") == b"two"


def test_what_was_not_put_is_none(store: Store) -> None:
    assert store.get("a/b.json") is None


def test_once_writes_where_there_is_none_and_nowhere_else(store: Store) -> None:
    assert store.put("a", b"first", once=True)
    assert not store.put("a", b"second", once=True)
    assert store.get("a") == b"first"


def test_of_many_writers_at_once_one_wins(store: Store) -> None:
    wins: list[int] = []
    barrier = threading.Barrier(6)

    def write(number: int) -> None:
        barrier.wait()
        if store.put("contested", str(number).encode(), once=True):
            wins.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wins) == 1
    assert store.get("contested") == str(wins[0]).encode()


def test_keys_are_those_below_the_prefix_sorted(store: Store) -> None:
    for key in ("t/date=2025-06-02/b", "t/date=2025-06-02/a", "t/date=2025-06-03/a", "tt/x", "t/date=2025-06-0"):
        store.put(key, b"x")
    assert list(store.keys("t/date=2025-06-02/")) == ["t/date=2025-06-02/a", "t/date=2025-06-02/b"]
    assert list(store.keys("none/")) == []
    assert len(list(store.keys())) == 5


def test_it_says_where_things_are(bucket: BucketStore) -> None:
    assert bucket.describe("a/b") == "s3://sluice-evidence/evidence/a/b"


def test_every_page_of_a_bucket_is_read(bucket: BucketStore, lab: LabHandle) -> None:
    s3 = lab.client("s3")
    for number in range(1003):
        s3.put_object(Bucket="sluice-evidence", Key=f"evidence/many/{number:04}", Body=b"")
    assert sum(1 for _ in bucket.keys("many/")) == 1003


def test_nothing_beside_the_prefix_is_seen(bucket: BucketStore, lab: LabHandle) -> None:
    lab.client("s3").put_object(Bucket="sluice-evidence", Key="evidence-of-others/a", Body=b"")
    bucket.put("a", b"x")
    assert list(bucket.keys()) == ["a"]


def test_a_bucket_that_is_not_there_is_named(lab: LabHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", lab.endpoint)
    store = BucketStore(lab.session(), "nowhere", "x")
    with pytest.raises(EvidenceError, match=r"s3://nowhere/x/k: could not be written.*NoSuchBucket"):
        store.put("k", b"")
    with pytest.raises(EvidenceError, match=r"s3://nowhere/x/k: could not be listed.*NoSuchBucket"):
        list(store.keys("k"))
    with pytest.raises(EvidenceError, match=r"s3://nowhere/x/k: could not be read.*NoSuchBucket"):
        store.get("k")


def test_a_denied_caller_learns_what_is_needed(bucket: BucketStore, lab: LabHandle) -> None:
    lab.server.faults.add(FaultRule(kind="access_denied", service="s3", operation="PutObject"))
    with pytest.raises(EvidenceError, match=r"could not be written.*needs s3:GetObject, s3:PutObject, s3:ListBucket"):
        bucket.put("a", b"x")


def test_another_endpoint_than_awss_is_refused_where_the_policy_says_so(
    lab: LabHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", lab.endpoint)
    with pytest.raises(EndpointError, match="unset AWS_ENDPOINT_URL"):
        BucketStore(lab.session(), "b", aws_only=True)


def test_what_it_calls_is_what_it_says_it_needs(bucket: BucketStore) -> None:
    called: set[str] = set()

    def note(model: Any, **_: Any) -> None:
        called.add(model.name)

    bucket._client.meta.events.register("before-call.s3", note)
    bucket.put("a", b"x", once=True)
    bucket.get("a")
    list(bucket.keys())
    # ListObjectsV2 is granted by the action s3:ListBucket.
    assert {"s3:" + name.replace("ListObjectsV2", "ListBucket") for name in called} == set(PERMISSIONS)


def test_a_folder_that_cannot_be_used_is_named_with_what_the_disk_says(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = FolderStore(tmp_path / "file")
    for act in (lambda: store.put("a", b"x"), lambda: store.get("a")):
        with pytest.raises(EvidenceError, match=r"file.*: expected a file that can be .*, found "):
            act()
