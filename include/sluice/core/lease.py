"""Who may drive a window of a location now: one release, for a time, under a number that only grows.

Systems Manager has no compare-and-set on windows, and DAGs, the command line and a second Airflow share them
(docs/adr/0019). A worker holds a lease while it changes a window and looks at its number, the fencing token,
before each call: one that was paused finds another number there, so at most the one call that it was in the
middle of comes late. docs/window-protocol.md has what such a call can do, and what it cannot.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sluice.core.errors import LeasedError
from sluice.core.release.terms import Plain


@dataclass(frozen=True, slots=True)
class Lease(Plain):
    """A window's lease in a location. It stays after it is released, so that the token only grows."""

    window: str
    """The window's name in the policy."""
    owner: str | None
    """The id of a release; None: released."""
    token: int
    """Grows with every acquisition, also by the same owner."""
    expires: datetime
    """From then on anybody may take it (UTC)."""

    def held(self, now: datetime) -> bool:
        """Whether it is somebody's."""
        return self.owner is not None and now < self.expires

    def held_by_another(self, owner: str | None, now: datetime) -> bool:
        """Whether it is somebody's, and not the owner's."""
        return self.held(now) and self.owner != owner


def acquired(found: Lease | None, window: str, owner: str, *, now: datetime, expires: datetime) -> Lease:
    """The lease as the owner takes it, under a new token; its own it may take again.

    It never ends sooner than the owner's own lease did. Raises LeasedError while it is another's.
    """
    if found is None:
        return Lease(window, owner, 1, expires)
    if found.held_by_another(owner, now):
        raise LeasedError(
            f"expected window {window} to be free, found it leased by {found.owner} until"
            f" {found.expires:%Y-%m-%d %H:%M} UTC: let that release end, or halt it"
        )
    own = found.held(now)
    return Lease(window, owner, found.token + 1, max(expires, found.expires) if own else expires)


def released(found: Lease, until: datetime | None = None) -> Lease:
    """The lease as nobody's, or from `until` on: a call that opens the window may be on its way until then.

    Its token stays.
    """
    return replace(found, owner=None) if until is None else replace(found, expires=min(found.expires, until))
