"""Which nodes have a patch, as far as the evidence tells."""

from __future__ import annotations

from datetime import datetime, timedelta

from sluice.aws.session import Connections
from sluice.core.policy.policy import Policy
from sluice.core.release.recall import names
from sluice.core.sighted import Sighted
from sluice.evidence import queries
from sluice.evidence.store import open_store
from sluice.flow.run import aws_time

LOOKED_BACK = timedelta(days=14)
"""A node that nobody has looked at for longer is not told of."""

HAVE = ("INSTALLED", "INSTALLED_OTHER", "INSTALLED_PENDING_REBOOT", "INSTALLED_REJECTED")


def holders(policy: Policy, connections: Connections, patch: str) -> tuple[Sighted, ...]:
    """What each node showed of the patch when it was last looked at, if it has it; by location and node.

    Raises AWSError where no location says what time it is, EvidenceError where the evidence cannot be read.
    """
    now = aws_time(connections, policy.locations)
    store = open_store(policy, connections.session)
    looked: dict[str, datetime] = {}
    found: list[Sighted] = []
    for row in queries.sightings(store, (now - LOOKED_BACK).date(), (now + timedelta(days=1)).date()):
        looked[row.node] = max(row.until, looked.get(row.node, row.until))
        if row.state in HAVE and names(patch, row.id, row.title):
            found.append(row)
    current = (row for row in found if row.until >= looked[row.node])
    return tuple(sorted(current, key=lambda row: (row.location, row.node, row.id, row.title)))
