"""AWS credentials of tasks and triggers, and connections that many of them share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from sluice.aws.session import Connections
    from sluice.core.policy.policy import Policy

CONNECTION = "aws_default"
"""The Airflow connection whose credentials are used where it exists; else boto3's own chain (environment, profile,
instance role). Roles of other accounts are the policy's to name, and endpoints boto3's own configuration's."""

LASTS = 40 * 60
"""Seconds that a shared connection is used: an assumed role's credentials last an hour."""


def session() -> Any:
    """boto3's session."""
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

    return AwsGenericHook(aws_conn_id=CONNECTION, client_type="sts").get_session()


def connections(policy: Policy) -> Connections:
    """Connections to the policy's target locations."""
    from sluice.aws.session import Connections

    return Connections.of(policy, session())


def shared_connections(policy: Policy) -> Connections:
    """Connections of this process, one for each location and duty however many acts or triggers use it.

    Safe in threads. They, and the session that they begin with, are renewed before the assumed role's credentials end.
    """
    return cast(
        "Connections", POOL.get((policy.roles.model_dump_json(), policy.endpoint), lambda: _shared_kind()(policy))
    )


class Pool:
    """What is expensive to open, by key; opened once, and again when it is old."""

    def __init__(self, lasts: float = LASTS, clock: Callable[[], float] = time.monotonic) -> None:
        self._lasts, self._clock = lasts, clock
        self._lock = threading.Lock()
        self._locks: dict[Any, threading.Lock] = {}
        self._held: dict[Any, tuple[float, Any]] = {}

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        """The one of the key; who asks while it is made waits for it."""
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            made, value = self._held.get(key, (0.0, None))
            if value is None or self._clock() - made > self._lasts:
                if value is not None:
                    value.close()
                value = make()
                self._held[key] = (self._clock(), value)
            return value


POOL = Pool()


@cache
def _shared_kind() -> Callable[[Policy], Connections]:
    """Made when it is first needed: its base brings AWS's SDK in."""
    from sluice.aws.session import Connection, Connections, Duty
    from sluice.core.policy.places import Location

    class Lent(Connection):
        """A shared connection for one act: closed by it, it stays open for the next."""

        def __init__(self, shared: Connection) -> None:
            self.__dict__ = shared.__dict__

        def close(self) -> None:
            """Leave it open."""

    class SharedConnections(Connections):
        def __init__(self, policy: Policy) -> None:
            self._of = (policy.roles.model_dump_json(), policy.endpoint)
            super().__init__(policy.roles, aws_only=policy.endpoint == "aws", session=session())

        def close(self) -> None:
            """What is open are the connections, which the pool has too."""

        def open(self, location: Location, duty: Duty) -> Connection:
            key = (*self._of, self.session.region_name, location.key, duty)
            return Lent(POOL.get(key, lambda: super(SharedConnections, self).open(location, duty)))

    return SharedConnections
