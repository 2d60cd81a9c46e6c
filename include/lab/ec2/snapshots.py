"""Snapshots: taken of a volume at a moment, pending for a while, then complete."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from moto.ec2.models.elastic_block_store import Snapshot, Volume

from lab.ec2.operations import tag_list
from lab.ec2.state import PendingSnapshot, State, naive, state
from lab.wire_errors import AwsError
from lab.world import Location

MOST_PENDING_PER_VOLUME = 5
"""For every type of volume that the lab makes (https://docs.aws.amazon.com/ebs/latest/userguide/ebs-resource-quotas.html)."""


def check_room_for_snapshots(location: Location, volumes: Sequence[Volume]) -> None:
    """Raise where a snapshot of each of `volumes` would be too many at once.

    PendingSnapshotLimitExceeded for the account's quota (the setting `pending_snapshots`),
    ConcurrentSnapshotLimitExceeded for that of a volume.
    """
    pending = state(location.ec2).pending_snapshots
    most = location.lab.settings.pending_snapshots
    if len(pending) + len(volumes) > most:
        raise AwsError(
            "PendingSnapshotLimitExceeded",
            f"You have {len(pending)} pending snapshots; {len(volumes)} more would exceed your limit of {most}.",
        )
    of_volume = Counter(each.volume_id for each in pending.values())
    for volume in volumes:
        if of_volume[volume.id] >= MOST_PENDING_PER_VOLUME:
            raise AwsError(
                "ConcurrentSnapshotLimitExceeded",
                f"Maximum allowed in-progress snapshots for a single volume exceeded: {volume.id}",
            )


def take_snapshot(
    location: Location, volume: Volume, description: str, tags: Mapping[str, str], image_id: str | None = None
) -> Snapshot:
    """Begin a snapshot. One that belongs to an image ends with it, another after the setting `image_seconds`."""
    backend, lab = location.ec2, location.lab
    # The copy keeps the volume as it is now: it may grow or go while its snapshot stays.
    snapshot = Snapshot(
        backend,
        lab.short_id("snap"),
        copy.copy(volume),
        description,
        encrypted=volume.encrypted,
        kms_key_id=volume.kms_key_id,
        from_ami=image_id,
    )
    now = lab.clock.now()
    snapshot.status, snapshot.start_time = "pending", naive(now)
    backend.snapshots[snapshot.id] = snapshot
    if tags:
        backend.tags[snapshot.id] = dict(tags)
    ends = now + timedelta(seconds=lab.settings.image_seconds)
    state(backend).pending_snapshots[snapshot.id] = PendingSnapshot(now, ends, volume.id)
    if image_id is None:
        lab.clock.at(ends, lambda: finish_snapshot(location, snapshot, "completed"), f"snapshot {snapshot.id}")
    return snapshot


def finish_snapshot(location: Location, snapshot: Snapshot, status: str) -> None:
    """End a pending snapshot as `completed` or `error`; one that has ended or was deleted stays as it is."""
    pending = state(location.ec2).pending_snapshots
    if location.alive and location.ec2.snapshots.get(snapshot.id) is snapshot and snapshot.id in pending:
        del pending[snapshot.id]
        snapshot.status = status


def delete_snapshot(location: Location, snapshot_id: str) -> None:
    """Forget a snapshot and its tags."""
    backend = location.ec2
    del backend.snapshots[snapshot_id]
    backend.tags.pop(snapshot_id, None)
    state(backend).pending_snapshots.pop(snapshot_id, None)


def snapshot_record(mine: State, snapshot: Snapshot, tags: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """A snapshot as DescribeSnapshots has it."""
    return {
        **snapshot_info(mine, snapshot, tags, now),
        "KmsKeyId": snapshot.kms_key_id,
        "StorageTier": snapshot.storage_tier,
        "StateMessage": "An internal error has occurred" if snapshot.status == "error" else None,
    }


def snapshot_info(mine: State, snapshot: Snapshot, tags: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """A snapshot as CreateSnapshots answers it: the members that both have."""
    return {
        "SnapshotId": snapshot.id,
        "VolumeId": snapshot.volume.id,
        "VolumeSize": snapshot.volume.size,
        "Description": snapshot.description or "",
        "StartTime": snapshot.start_time,
        "State": snapshot.status,
        "Progress": _progress(mine, snapshot, now),
        "OwnerId": snapshot.owner_id,
        "Encrypted": snapshot.encrypted,
        "Tags": tag_list(tags),
    }


def _progress(mine: State, snapshot: Snapshot, now: datetime) -> str:
    pending = mine.pending_snapshots.get(snapshot.id)
    if pending is None:
        return "100%" if snapshot.status == "completed" else "0%"
    return f"{min(99, int(100 * ((now - pending.begun) / (pending.completes - pending.begun))))}%"
