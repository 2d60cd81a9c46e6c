"""Releases that the calendar wanted and nobody began: a run that was never made has no deadline to miss."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sluice.core.calendar import Occurrence, occurrences
from sluice.core.policy.policy import Policy


def unmade(
    policy: Policy, begun: Mapping[str, Collection[datetime]], since: datetime, until: datetime
) -> tuple[Occurrence, ...]:
    """The occurrences from `since` on and before `until` that have no release, soonest first.

    `begun` has the occurrences (UTC, whole minutes) of the releases that there are, by window. In `mode: observe` only
    scans are wanted. A `rate` is left out: from when on AWS counts it is not known.
    """
    found = [
        one
        for window in policy.windows
        if (policy.mode == "release" or not window.installs) and not window.schedule.startswith("rate")
        for one in occurrences(policy, window, since, until)
        if one.start.replace(second=0, microsecond=0) not in begun.get(window.name, ())
    ]
    return tuple(sorted(found, key=lambda one: (one.start, one.window.name)))
