"""What every step of a release needs, and how a run begins."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sluice.aws.session import Connection, Connections, Duty
from sluice.core.calendar import is_gated, rings_of
from sluice.core.errors import ReleaseError
from sluice.core.json_text import encoded
from sluice.core.policy.places import Location, chosen
from sluice.core.policy.policy import Policy
from sluice.core.policy.window_steps import WindowStep, steps
from sluice.core.policy.windows import Window
from sluice.core.release.ids import release_id, run_digest
from sluice.core.release.terms import Asked, Release
from sluice.evidence import release_records
from sluice.evidence.store import Store, open_store

OWNER = "deployment.json"
"""Whose evidence it is."""


@dataclass(frozen=True)
class Run:
    """A release with everything that its steps need."""

    policy: Policy
    window: Window
    release: Release
    asked: Asked
    connections: Connections
    store: Store
    locations: tuple[Location, ...]
    """Where it happens: what was asked for of the policy's when it began, whatever the policy has had since."""

    @property
    def gated(self) -> bool:
        """Whether a manifest and a gate stand before it: it installs on production."""
        return is_gated(self.policy, self.window) and not self.asked.only_reboots

    @property
    def production(self) -> bool:
        """Whether it reaches production."""
        return any(ring.production for ring in self.rings)

    @property
    def operation(self) -> str:
        """What it is for: `scan`, `install` or `reboot`."""
        return "reboot" if self.asked.only_reboots else self.window.operation

    @property
    def steps(self) -> tuple[WindowStep, ...]:
        """The policy's steps around its waves, in their order; a release of reboots alone has none."""
        return () if self.asked.only_reboots else steps(self.window)

    @property
    def duty(self) -> Duty:
        """As whom windows are driven."""
        if not self.window.installs:
            return Duty.SCANNER
        return Duty.PROD_INSTALLER if self.production else Duty.NONPROD_INSTALLER

    @property
    def rings(self) -> tuple[Any, ...]:
        """The rings whose nodes it reaches."""
        return rings_of(self.policy, self.window)

    def location(self, key: str) -> Location:
        """A location of the release by its key as the policy has it. Raises ReleaseError for one that is not there."""
        for location in self.locations:
            if location.key == key:
                return location
        keys = ", ".join(location.key for location in self.locations)
        raise ReleaseError(f"expected a location of the release ({keys}), found {key}")

    @contextmanager
    def connect(self, key: str, duty: Duty | None = None) -> Iterator[Connection]:
        """A connection to a location, as the release's own duty unless another is named; closed afterwards."""
        connection = self.connections.open(self.location(key), duty or self.duty)
        try:
            yield connection
        finally:
            connection.close()

    def record(self, name: str, data: Any) -> None:
        """Keep a record of the release that belongs to no one location; overwrites."""
        self.store.put(release_records.key(self.release.id, name), encoded(data))

    def record_once(self, name: str, data: Any) -> Any:
        """Keep a record unless there is one; what is there then."""
        self.store.put(release_records.key(self.release.id, name), encoded(data), once=True)
        found = self.recorded(name)
        if found is None:
            where = self.store.describe(release_records.key(self.release.id, name))
            raise ReleaseError(f"{where}: what was just written is not there. Try again")
        return found

    def recorded(self, name: str) -> Any:
        """A record of the release, or None."""
        return release_records.read(self.store, self.release.id, name)


def begin(
    policy: Policy,
    connections: Connections,
    window: str,
    *,
    dag_id: str,
    run_id: str,
    asked: Asked,
    planned: datetime | None,
) -> Run:
    """Begin a run, or find it begun: what it is for is written down once, and every retry reads it.

    `planned` is the occurrence of a scheduled run ; by hand it is `asked.occurrence`, else
    now, as AWS's clock has it. Raises ReleaseError for a window that the policy has not and for
    evidence that is another deployment's, SluiceError for a location that the policy has not.
    """
    found = next((one for one in policy.windows if one.name == window), None)
    if found is None:
        names = ", ".join(one.name for one in policy.windows)
        raise ReleaseError(f"expected a window of the policy ({names}), found {window}")
    store = open_store(policy, connections.session)
    key = f"begun/{window}/{run_digest(policy.deployment, dag_id, run_id)}.json"
    content = store.get(key)
    if content is None:
        _refuse_anothers(store, policy.deployment)
        now = aws_time(connections, policy.locations)
        occurrence = asked.occurrence or planned or now
        release = Release(
            id=release_id(window, occurrence, policy.deployment, dag_id, run_id),
            window=window,
            deployment=policy.deployment,
            dag_id=dag_id,
            run_id=run_id,
            occurrence=occurrence,
            begun=now,
        )
        places = [location.key for location in chosen(policy.locations, asked.locations)]
        begun = {"release": release.as_json(), "asked": asked.as_json(), "locations": places}
        store.put(key, encoded(begun), once=True)
        content = store.get(key)
    if content is None:
        raise ReleaseError(f"{store.describe(key)}: what was just written is not there; nothing was begun. Try again")
    begun = json.loads(content)
    release, asked = Release.of_json(begun["release"]), Asked.of_json(begun["asked"])
    locations = tuple(Location.of_key(one) for one in begun["locations"])
    run = Run(policy, found, release, asked, connections, store, locations)
    if run.recorded("begun") is None:
        run.record("begun", begun)
    return run


def _refuse_anothers(store: Store, deployment: str) -> None:
    """Raise ReleaseError where the evidence is another deployment's: its nodes would count for this one's soak."""
    store.put(OWNER, encoded({"deployment": deployment}), once=True)
    owner = json.loads(store.get(OWNER) or b"{}").get("deployment")
    if owner != deployment:
        raise ReleaseError(
            f"{store.describe(OWNER)}: expected the evidence of deployment {deployment} by itself, found that of"
            f" {owner}: name another bucket, prefix or folder under `evidence` in the policy; nothing was begun"
        )


def aws_time(connections: Connections, locations: Sequence[Location]) -> datetime:
    """AWS's time (UTC) from the first location that answers. Raises the last one's error where none does."""
    error: Exception | None = None
    for location in locations:
        try:
            connection = connections.open(location, Duty.READER)
        except Exception as refused:  # the next location may answer
            error = refused
            continue
        try:
            return connection.now()
        finally:
            connection.close()
    raise error or ReleaseError("expected a location in the policy, found none")
