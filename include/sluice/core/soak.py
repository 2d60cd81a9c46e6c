"""Soak: how long a patch version has been installed and healthy in the ring before.

The rules, without the ledger that keeps the events:

- a node counts since it first showed the version installed, and rebooted where it needs that, and has shown
  it ever since: a version that is offered anew or fails later starts anew;
- the clock starts when enough nodes count;
- what was installed before the patch's newest issue is another patch under the same name (Windows re-issues
  updates under one KB) and does not count;
- it is void while it fails on more nodes than the ring allows; only being installed undoes a failure, neither a later
  scan, which shows it as missing, nor a reboot that is waited for, which may be an older version's;
- soaked is what the clock has run for the whole of the days, to the second: a day is 24 hours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

State = Literal["installed", "pending_reboot", "missing", "failed"]
"""What a node shows of a version; `installed` is rebooted where that is needed."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one node showed of one version at one moment (UTC)."""

    node: str
    at: datetime
    state: State
    installed: datetime | None = None
    """When it was installed at the earliest, where that is known."""
    sure: bool = True
    """Whether it is this version that was seen; of what waits for a reboot that is not always known."""


def clock_start(
    sightings: Iterable[Sighting], *, min_nodes: int = 1, issued: datetime | None = None
) -> datetime | None:
    """When the soak began: `min_nodes` nodes had the version, and have it still. None while they do not.

    `sightings` are of one version in any order; what was installed before `issued`, the date of its newest
    issue, is an older one.
    """
    counted = (each for each in sightings if _is_of(each, issued))
    since = sorted(healthy for healthy in _healthy_since(counted).values() if healthy is not None)
    return since[min_nodes - 1] if len(since) >= min_nodes else None


def _healthy_since(sightings: Iterable[Sighting]) -> dict[str, datetime | None]:
    nodes: dict[str, datetime | None] = {}
    for each in sorted(sightings, key=lambda sighting: sighting.at):
        if each.state != "installed":
            nodes[each.node] = None
        elif nodes.get(each.node) is None:
            nodes[each.node] = each.at
    return nodes


def is_void(sightings: Iterable[Sighting], *, max_failure_percent: float, issued: datetime | None = None) -> bool:
    """Whether the version now fails on more than that share of the nodes that have tried it.

    Nodes that have an issue from before `issued` have not tried the newest; a failure counts whatever failed.
    """
    counted = (each for each in sightings if each.state == "failed" or _is_of(each, issued))
    tried = [state for state in latest_states(counted).values() if state != "missing"]
    return tried.count("failed") * 100 > max_failure_percent * len(tried)


def _is_of(each: Sighting, issued: datetime | None) -> bool:
    """Whether what was seen can be the issue of that date, and no older one."""
    return issued is None or (each.installed or each.at) >= issued


def latest_states(sightings: Iterable[Sighting]) -> dict[str, State]:
    """What each node says of the version now; one on which it failed has failed until it shows it installed."""
    latest: dict[str, State] = {}
    for each in sorted(sightings, key=lambda sighting: sighting.at):
        if each.state == "installed" or latest.get(each.node) != "failed":
            latest[each.node] = each.state
    return latest


def eligible_at(started: datetime, days: int) -> datetime:
    """From when on a version whose clock started then may be requested by the next ring."""
    return started + timedelta(days=days)


def is_soaked(started: datetime | None, days: int, at: datetime) -> bool:
    """Whether a version whose clock started then, or has not, may be requested at that moment."""
    return started is not None and eligible_at(started, days) <= at
