"""Supervision of what never began: occurrences of the last days that have no release."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta

from sluice.aws.session import Connections
from sluice.core.policy.policy import Policy
from sluice.core.release.unmade import unmade
from sluice.evidence.store import Store, open_store
from sluice.flow.run import first_answer

BACK = timedelta(days=3)
"""How far back is looked: over a weekend on which Airflow was down."""
LATE = timedelta(hours=1)
"""What has to begin with its window may come so late."""


def never_begun(policy: Policy, connections: Connections) -> tuple[str, ...]:
    """The occurrences of the last days without a release, in words; none before the first release that there is.

    Raises EvidenceError where the evidence cannot be read, AWSError where no location tells the time.
    """
    begun = _begun(open_store(policy, connections.session))
    now = first_answer(connections, policy.locations)
    first = min((one for found in begun.values() for one in found), default=now)
    missing = unmade(policy, begun, max(first, now - BACK), now - LATE)
    return tuple(
        f"{one.window.name}: no release of {one.local:%a %Y-%m-%d %H:%M} {one.window.time_zone} was begun: its DAG is"
        " paused, or Airflow did not run"
        for one in missing
    )


def _begun(store: Store) -> dict[str, set[datetime]]:
    """The occurrences of all releases by window, from their ids."""
    found: dict[str, set[datetime]] = defaultdict(set)
    for key in store.keys("releases/"):
        release, _, name = key.removeprefix("releases/").partition("/")
        if name == "begun.json":
            window, occurrence, _ = release.rsplit("-", 2)
            found[window].add(datetime.strptime(occurrence, "%Y%m%dT%H%M").replace(tzinfo=UTC))
    return dict(found)
