"""The same work in many target locations at once: a slow or denied one stops no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from sluice.aws.session import Connection, Connections, Duty
from sluice.core.errors import SluiceError
from sluice.core.policy.places import Location

T = TypeVar("T")

AT_ONCE = 16
"""Locations that are worked on at once."""

PATIENCE = 10.0
"""Seconds after which it is said for the first time who is waited for; each further time comes after twice as long."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What came of the work in a location: a value or an error."""

    location: Location
    connection: Connection | None
    """None: it could not be opened."""
    value: T | None
    error: SluiceError | None

    @property
    def key(self) -> str:
        """Account and Region, as AWS confirmed them if it did."""
        return self.connection.key if self.connection else self.location.key


def in_each(
    connections: Connections,
    locations: Sequence[Location],
    duty: Duty,
    work: Callable[[Connection], T],
    opened: Callable[[Connection], None] = lambda connection: None,
    waiting: Callable[[Sequence[Location]], None] = lambda locations: None,
) -> list[Outcome[T]]:
    """Do the work in every location, each as the duty; outcomes in the order of the locations.

    `opened` hears of each connection before the work begins; it is called from several threads. `waiting` hears, where
    there are several locations, which are still worked on after a while, and again later. Errors that are not the
    product's (a bug) are raised when all are done.
    """

    def one(location: Location) -> Outcome[T]:
        connection = None
        try:
            connection = connections.open(location, duty)
            opened(connection)
            return Outcome(location, connection, work(connection), None)
        except SluiceError as error:
            return Outcome(location, connection, None, error)
        finally:
            if connection is not None:
                connection.close()

    with ThreadPoolExecutor(max(1, min(AT_ONCE, len(locations))), "location") as pool:
        futures = [pool.submit(one, location) for location in locations]
        if len(futures) > 1:
            _wait(futures, locations, waiting)
        return [future.result() for future in futures]


def _wait(
    futures: Sequence[Future[Outcome[T]]],
    locations: Sequence[Location],
    waiting: Callable[[Sequence[Location]], None],
) -> None:
    """Wait until all are done, and say now and then for whom."""
    patience = PATIENCE
    while wait(futures, patience).not_done:
        still = [location for location, future in zip(locations, futures, strict=True) if not future.done()]
        if still:
            waiting(still)
        patience *= 2
