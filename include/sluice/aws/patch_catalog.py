"""What Systems Manager knows of Windows updates beside what nodes show: when they were issued last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from sluice.aws.permissions import calls
from sluice.aws.session import Connection

AT_ONCE = 20
"""Values that a filter takes (B:PatchOrchestratorFilterValues)."""


@calls("ssm:DescribeAvailablePatches")
def issued(connection: Connection, kbs: Sequence[str]) -> dict[str, datetime]:
    """The date of the newest issue of each KB that AWS knows: a KB may be issued again under its name (UTC)."""
    found: dict[str, datetime] = {}
    for some in _chunks(sorted(set(kbs))):
        asked = [{"Key": "PATCH_ID", "Values": list(some)}]
        for patch in connection.pages("ssm", "DescribeAvailablePatches", "Patches", Filters=asked, MaxResults=100):
            kb, date = patch.get("KbNumber"), patch.get("ReleaseDate")
            if kb and date:
                found[kb] = max(date, found.get(kb, date))
    return found


def _chunks(kbs: Sequence[str]) -> Iterator[Sequence[str]]:
    return (kbs[start : start + AT_ONCE] for start in range(0, len(kbs), AT_ONCE))
