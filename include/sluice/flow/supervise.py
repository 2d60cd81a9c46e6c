"""Supervision of what never began: occurrences of the last days that have no release."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from sluice.aws.session import Connections
from sluice.core.policy.policy import Policy
from sluice.core.release.ids import parse_id
from sluice.core.release.terms import Asked
from sluice.core.release.unmade import unmade
from sluice.evidence import release_records
from sluice.evidence.store import Store, open_store
from sluice.flow.run import aws_time

BACK = timedelta(days=3)
"""How far back is looked: over a weekend on which Airflow was down."""
LATE = timedelta(hours=1)
"""What has to begin with its window may come so late."""


def never_begun(policy: Policy, connections: Connections) -> tuple[str, ...]:
    """The occurrences of the last days without a release, in words; none before the first release that there is.

    Raises EvidenceError where the evidence cannot be read, AWSError where no location tells the time.
    """
    store = open_store(policy, connections.session)
    now = aws_time(connections, policy.locations)
    known = _known(store)
    since = max(min((one for _, _, one in known), default=now), now - BACK)
    missing = unmade(policy, _begun(store, known, since), since, now - LATE)
    return tuple(
        f"{one.window.name}: no release of {one.local:%a %Y-%m-%d %H:%M} {one.window.time_zone} was begun: its DAG is"
        " paused, or Airflow did not run"
        for one in missing
    )


def _known(store: Store) -> list[tuple[str, str, datetime]]:
    """All releases: id, window and occurrence, which the id tells."""
    found = []
    for key in store.keys("releases/"):
        release, _, name = key.removeprefix("releases/").partition("/")
        parts = parse_id(release)
        if name == "begun.json" and parts is not None:
            found.append((release, parts.window, parts.occurrence))
    return found


def _begun(store: Store, known: Iterable[tuple[str, str, datetime]], since: datetime) -> dict[str, set[datetime]]:
    """The occurrences since then that a release was begun for, by window: one that does the window's own work."""
    found: dict[str, set[datetime]] = defaultdict(set)
    for release, window, occurrence in known:
        if occurrence >= since:
            begun = release_records.read(store, release, "begun") or {}
            asked = Asked.of_json(begun.get("asked", {}))
            if not (asked.only_reboots or asked.dry_run):
                found[window].add(occurrence)
    return dict(found)
