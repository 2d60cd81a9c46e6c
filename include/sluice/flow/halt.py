"""Halt: nothing of a release, or nothing at all, starts any more, in all locations at once.

It needs the policy and AWS's credentials, and nothing else: not Airflow, not the evidence store. In each location, as
the halter: the mark is written, so that nothing opens again; the deployment's windows are disabled; what runs of them
is cancelled, executions and the commands behind them. Then it looks again, since a worker that had read the marks
before may have opened a window meanwhile, until a look finds nothing to do. Whatever fails stops nothing else, and is
said. Killed and repeated it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sluice.aws import halts, operations
from sluice.aws.locations import Outcome, in_each
from sluice.aws.session import Connection, Connections, Duty
from sluice.core.policy.places import Location
from sluice.core.policy.policy import Policy
from sluice.core.release.ids import ALL, window_of
from sluice.flow.halting import Halt, Halted, Tell, named


def halt(
    policy: Policy,
    connections: Connections,
    release: str | None,
    *,
    by: str,
    because: str,
    locations: Sequence[Location] = (),
    tell: Tell = lambda connection, text: None,
    opened: Callable[[Connection], None] = lambda connection: None,
) -> tuple[Halted, ...]:
    """Halt a release, or with None everything of the deployment; in some locations, or in all of the policy.

    Raises ReleaseError for what is no release's id. What fails in a location stands in its `left`.
    """
    window = window_of(release) if release else None

    def work(connection: Connection) -> Halted:
        return Halt(connection, policy, release or ALL, window, by, because, tell).carry_out()

    places = locations or policy.locations
    return tuple(_halted(one) for one in in_each(connections, places, Duty.HALTER, work, opened))


def lift(
    policy: Policy,
    connections: Connections,
    release: str | None,
    *,
    by: str,
    because: str,
    locations: Sequence[Location] = (),
    opened: Callable[[Connection], None] = lambda connection: None,
) -> tuple[Halted, ...]:
    """Lift the mark of a release, or with None that of everything. Windows stay as they are: disabled.

    Raises ReleaseError for what is no release's id. What fails in a location stands in its `left`.
    """
    if release:
        window_of(release)

    def work(connection: Connection) -> Halted:
        bucket = operations.bucket_of(policy, connection)
        mark = halts.read(connection, bucket, release or ALL)
        if mark is not None and mark.holds:
            who = named(by, connection)
            now = connection.now()
            halts.write(connection, bucket, replace(mark, lifted_by=who, lifted_because=because, lifted_at=now))
        return Halted(connection.key, marked=mark is not None and mark.holds)

    places = locations or policy.locations
    return tuple(_halted(one) for one in in_each(connections, places, Duty.HALTER, work, opened))


def _halted(outcome: Outcome[Halted]) -> Halted:
    if outcome.value is not None:
        return outcome.value
    return Halted(outcome.key, left=(f"the whole location: {outcome.error}",))
