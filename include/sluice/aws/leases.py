"""The leases of a location's windows, objects in its operations bucket; every write is conditional."""

from __future__ import annotations

from datetime import datetime

from sluice.aws.operations import Bucket, Stored, put_lease, read
from sluice.aws.session import Connection
from sluice.core import lease as leases
from sluice.core.errors import LostError
from sluice.core.json_text import encoded
from sluice.core.lease import Lease

LEASES = "leases"


def lease_of(connection: Connection, bucket: Bucket, window: str) -> Lease | None:
    """A window's lease as it is; None: it was never leased."""
    found = read(connection, bucket, bucket.key(LEASES, window))
    return _lease(found)


def acquire(
    connection: Connection, bucket: Bucket, window: str, owner: str, *, now: datetime, expires: datetime
) -> Lease:
    """Take a window's lease, or the owner's own again under a new token.

    Raises LeasedError while it is another's, LostError where another writer came first.
    """
    found = read(connection, bucket, bucket.key(LEASES, window))
    wanted = leases.acquired(_lease(found), window, owner, now=now, expires=expires)
    put_lease(connection, bucket, bucket.key(LEASES, window), encoded(wanted.as_json()), was=found)
    return wanted


def release(connection: Connection, bucket: Bucket, lease: Lease, *, until: datetime | None = None) -> None:
    """Give a lease back, now or from `until` on. Raises LostError where it is not the caller's any more."""
    found = _own(connection, bucket, lease)
    put_lease(
        connection,
        bucket,
        bucket.key(LEASES, lease.window),
        encoded(leases.released(lease, until).as_json()),
        was=found,
    )


def confirm(connection: Connection, bucket: Bucket, lease: Lease) -> None:
    """Look whether a lease is still the caller's, as is done before each call that changes a window.

    Raises LostError where it is not.
    """
    _own(connection, bucket, lease)


def _own(connection: Connection, bucket: Bucket, lease: Lease) -> Stored:
    found = read(connection, bucket, bucket.key(LEASES, lease.window))
    now = _lease(found)
    if found is None or now is None or (now.owner, now.token) != (lease.owner, lease.token):
        holder = f"{now.owner or 'nobody'} under token {now.token}" if now else "nobody"
        raise LostError(
            f"{connection.key}: expected the lease of window {lease.window} under token {lease.token}, found it with"
            f" {holder}: another worker drives the window now"
        )
    return found


def _lease(found: Stored | None) -> Lease | None:
    return Lease.of_json(found.json) if found else None
