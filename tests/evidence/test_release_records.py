"""A release's records: JSON beside its report."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.core.errors import EvidenceError
from sluice.evidence import release_records
from sluice.evidence.store import FolderStore

RELEASE = "install-nonprod-20250603T0300-0123abcd"


def test_a_record_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert release_records.read(FolderStore(tmp_path), RELEASE, "begun") is None


def test_a_damaged_record_is_named_with_its_place(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put(release_records.key(RELEASE, "begun"), b'{"asked":')
    with pytest.raises(EvidenceError, match=rf"{RELEASE}/begun\.json: expected JSON, found "):
        release_records.read(store, RELEASE, "begun")
