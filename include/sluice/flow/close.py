"""Step 10: every location at rest, whatever happened. A teardown: it asks nothing of the steps before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sluice.aws import halts, leases, node_tags, operations
from sluice.aws.locations import in_each
from sluice.aws.session import Connection
from sluice.core.errors import LeasedError, LostError, ReleaseError, SluiceError
from sluice.core.lease import Lease
from sluice.core.window_objects import is_stale, window_name
from sluice.core.window_protocol import quiet_from
from sluice.core.window_record import Verdict, WaveRecord
from sluice.flow.admit import read_admitted
from sluice.flow.driver import Driver
from sluice.flow.records import read_records
from sluice.flow.run import Run
from sluice.flow.window import OwnWindow

CLOSED_EARLY = "the release was closed before this had ended"


def close(run: Run) -> dict[str, Any]:
    """Put every location to rest: executions' records closed, the window as the policy has it, leases and tags gone.

    `{"locations": {location: "closed" or why not}, "at_rest": n}`, also as the record `closed`. Raises ReleaseError
    where a location is not at rest, when all have been tried.
    """
    outcomes = in_each(run.connections, run.locations, run.duty, lambda connection: _Closing(run, connection).all())
    found = {one.location.key: "; ".join(one.value or ()) or str(one.error or "") or "closed" for one in outcomes}
    result = {"locations": found, "at_rest": sum(why == "closed" for why in found.values())}
    run.record("closed", result)
    wrong = {key: why for key, why in found.items() if why != "closed"}
    if wrong:
        raise ReleaseError(
            f"{run.release.id}: {len(wrong)} of {len(found)} locations were not put to rest; run the step close again,"
            f" or let the next release's preflight sweep them: {'; '.join(f'{k}: {v}' for k, v in wrong.items())}"
        )
    return result


class _Closing:
    """The closing of one location."""

    def __init__(self, run: Run, connection: Connection) -> None:
        self.run = run
        self.connection = connection
        self.bucket = operations.bucket_of(run.policy, connection)
        self.records = read_records(run, connection)

    def all(self) -> list[str]:
        """Do everything; what could not be done, in words. One failure keeps nothing else from being tried."""
        acts: list[tuple[str, Callable[[], None]]] = [
            (name, partial(self._record, record)) for name, record in sorted(self.records.items())
        ]
        acts += [(f"window {name}", partial(self._window, name)) for name in self._windows]
        acts += [("release tags", self._tags), ("lease", self._lease)]
        return [failed for name, act in acts if (failed := _tried(name, act))]

    def _record(self, record: WaveRecord) -> None:
        """Close what is not closed, as halted where the release is."""
        if record.step == "closed":
            return
        mark = halts.mark_of(self.connection, self.bucket, self.run.release.id)
        verdict: Verdict = "halted" if mark else "failed"
        driver = Driver(self.run, self.connection, record.location, record.wave, record.kind)
        driver.close(verdict, mark or CLOSED_EARLY)

    @property
    def _windows(self) -> list[str]:
        """The windows that something of the release was begun on: none where nothing ever was."""
        return sorted({window_name(self.run.window, record.kind) for record in self.records.values()})

    def _window(self, name: str) -> None:
        """What a late call may have left of a window."""
        own = OwnWindow(self.run.policy, name, self.connection)
        lease = self._acquired()
        if is_stale(own.rest, own.found().objects):
            own.put_to_rest(lease)

    def _tags(self) -> None:
        """Only tags of this release, wherever they are: admission may have died half way."""
        try:
            expected = read_admitted(self.run, self.connection)
        except ReleaseError:  # nothing was admitted here
            expected = ()
        machines = [one.node for one in expected if one.hybrid and one.reason is None]
        node_tags.clear(self.connection, self.run.release.id, machines)

    def _lease(self) -> None:
        """Give the lease back; while a call that opens the window could still be on its way, from its time on."""
        if self.records:
            leases.release(self.connection, self.bucket, self._acquired(), until=self._quiet_from())

    def _acquired(self) -> Lease:
        """The lease under a new token: whoever still drives a wave of the release finds it out."""
        now, release = self.connection.now(), self.run.release.id
        return leases.acquire(
            self.connection, self.bucket, self.run.window.name, release, now=now, expires=now + self._grace
        )

    def _quiet_from(self) -> datetime | None:
        """When the last time that the window may have been opened for is past; None: it is."""
        last = quiet_from(self.records.values(), self._grace)
        return last if last and last > self.connection.now() else None

    @property
    def _grace(self) -> timedelta:
        return timedelta(minutes=self.run.policy.timing.start_grace_minutes)


def _tried(name: str, act: Callable[[], None]) -> str | None:
    """Do something; why it failed, None: it did not."""
    try:
        act()
    except LeasedError:
        return None  # whoever drives the window now has prepared it anew: nothing of ours is left
    except LostError as error:
        return f"{name}: another worker is at it: {error}"
    except SluiceError as error:
        return f"{name}: {error}"
    return None
