"""Put to rest what releases left open: windows of ours that nobody drives any more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sluice.aws import leases
from sluice.aws.session import Connection
from sluice.core.errors import AWSError, LeasedError, LostError
from sluice.core.policy.desired import steps_apart
from sluice.core.policy.window_steps import own_window, served
from sluice.core.window_objects import is_stale
from sluice.flow.run import Run
from sluice.flow.window import OwnWindow

LEASE = timedelta(minutes=15)
"""Longer than a window takes to be put to rest."""


def sweep(run: Run, connection: Connection) -> list[str]:
    """Put the deployment's stale windows in a location to rest, each under its lease; what was done, in words.

    A window that another release drives is left alone. What the run's duty may not change, or cannot, of the other
    windows is said; for the run's own window it is raised.
    """
    done = []
    for name in _names(run):
        try:
            done += _swept(run, connection, name)
        except LostError as error:
            done.append(f"window {name} is left to another worker: {error}")
        except AWSError as error:
            if served(name) == run.window.name:
                raise
            done.append(f"window {name} could not be put to rest: {error}")
    return done


def _names(run: Run) -> Iterator[str]:
    """Every window of the policy, and those of its steps."""
    for window in run.policy.windows:
        yield window.name
        yield from (own_window(window.name, step) for step in steps_apart(run.policy, window))


def _swept(run: Run, connection: Connection, name: str) -> list[str]:
    own = OwnWindow(run.policy, name, connection)
    if not own.exists or not is_stale(own.rest, own.found().objects):
        return []
    now = connection.now()
    try:
        owner = f"{run.release.id}/sweep"  # no release: not even this one's own wave is swept while it is driven
        lease = leases.acquire(connection, own.bucket, served(name), owner, now=now, expires=now + LEASE)
    except LeasedError as error:
        return [f"window {name} is not at rest, and left alone: {error}"]
    try:
        own.put_to_rest(lease)
    finally:
        leases.release(connection, own.bucket, lease)
    return [f"window {name} was left open or half way by a release, and is at rest now"]
