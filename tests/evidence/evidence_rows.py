"""Releases and rows for the tests of the evidence."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sluice.core.release.ids import release_id
from sluice.core.release.terms import Release


def at(day: int, hour: int = 0, minute: int = 0, month: int = 6) -> datetime:
    """A moment of June 2025 (UTC), or of another month."""
    return datetime(2025, month, day, hour, minute, tzinfo=UTC)


def release(day: int, window: str = "scan-daily", run: str = "r1", hour: int = 1) -> Release:
    """A release of a window on a day of June 2025."""
    when = at(day, hour)
    return Release(release_id(window, when, "sluice", "patch", run), window, "sluice", "patch", run, when, when)


HERE = "111111111111/eu-west-3"


def patch(
    node: str, state: str = "INSTALLED", title: str = "openssl-3.0.8-1.amzn2023.0.2", **more: Any
) -> dict[str, Any]:
    """A row of patch_states."""
    return {
        "location": HERE, "node": node, "group": "nonprod-linux", "product": "AMAZON_LINUX_2023", "role": "web",
        "ring": "nonprod", "id": title.partition("-")[0] + ".x86_64", "title": title, "classification": "Security",
        "severity": "Important", "state": state, "installed": at(1), "kind": "scan", "other": None, "operation": "Scan",
        "needless": False,
        "at": at(2, 1, 5), "ours": True, **more,
    }  # fmt: skip
