"""What the doctor needs to know of a target location. Nothing here changes anything.

A part that cannot be read leaves the others as they are: it becomes `unread`, with AWS's words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from sluice.aws import (
    actual,
    associations,
    baselines,
    buckets,
    config_recorders,
    instance_profiles,
    inventory,
    nodes,
    patch_groups,
    roles,
    tags,
    windows,
)
from sluice.aws.session import Connection, Connections, Duty
from sluice.core.doctor import BucketFact, Facts, PermissionFact, RoleFact, Topic
from sluice.core.errors import AWSError
from sluice.core.node import Node
from sluice.core.policy.others import Other
from sluice.core.policy.places import Location, bucket_in
from sluice.core.policy.policy import Policy

T = TypeVar("T")


class _Reading:
    """Reads part by part and keeps what failed."""

    def __init__(self) -> None:
        self.unread: dict[Topic, str] = {}

    def __call__(self, topic: Topic, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except AWSError as error:
            self.unread[topic] = str(error)
            return otherwise


def facts(connection: Connection, connections: Connections, policy: Policy) -> Facts:
    """Everything about a location, what the policy names there (roles, permissions, buckets) included."""
    location = Location(account=connection.account, region=connection.region)
    return _facts(
        connection,
        policy,
        roles=(*roles.assumed(connections, location, policy), *roles.of_windows(connection, policy)),
        permissions=tuple(roles.may(connection, policy, duty) for duty in roles.duties(policy)),
        buckets=(*_buckets(connection, policy), *_evidence(connections, policy)),
        recorder=policy.extras.config_rule,
    )


def facts_as_found(connection: Connection, policy: Policy) -> Facts:
    """What is there whatever the policy: nodes, baselines, what others run, what the caller may read."""
    return _facts(connection, policy, permissions=(roles.may(connection, policy, Duty.READER),))


def _facts(
    connection: Connection,
    policy: Policy,
    permissions: tuple[PermissionFact, ...],
    roles: tuple[RoleFact, ...] = (),
    buckets: tuple[BucketFact, ...] = (),
    *,
    recorder: bool = False,
) -> Facts:
    reading = _Reading()
    no_nodes: list[Node] = []
    nothing: list[Other] = []
    no_patchers: tuple[dict[str, frozenset[str]], frozenset[str]] = ({}, frozenset())
    found = tuple(reading("nodes", lambda: nodes.listed(connection), no_nodes))
    profiles = sorted({node.profile for node in found if node.profile and not node.hybrid})
    patchers, inventoried = reading("inventory", lambda: inventory.patchers(connection), no_patchers)
    return Facts(
        nodes=found,
        registrations=reading("baselines", lambda: _registrations(connection), {}),
        own_defaults=reading("baselines", lambda: _own_defaults(connection), frozenset()),
        others=(
            *reading("windows", lambda: list(_other_windows(connection, policy.deployment)), nothing),
            *reading("associations", lambda: list(associations.others(connection)), nothing),
        ),
        profile_policies=reading(
            "profiles", lambda: {name: instance_profiles.policies(connection, name) for name in profiles}, {}
        ),
        patchers=patchers,
        inventoried=inventoried,
        roles=roles,
        permissions=permissions,
        buckets=buckets,
        recorder=reading("recorder", lambda: config_recorders.look(connection), None) if recorder else None,
        unread=reading.unread,
    )


def _registrations(connection: Connection) -> dict[tuple[str, str], str]:
    return {
        (one["PatchGroup"], one["BaselineIdentity"]["OperatingSystem"]): one["BaselineIdentity"]["BaselineId"]
        for one in patch_groups.listed(connection)
    }


def _own_defaults(connection: Connection) -> frozenset[str]:
    return frozenset(one["OperatingSystem"] for one in baselines.listed(connection) if one.get("DefaultBaseline"))


def _other_windows(connection: Connection, deployment: str) -> Iterator[Other]:
    for identity in windows.listed(connection):
        if tags.owned_name(tags.read(connection, "MaintenanceWindow", identity["WindowId"]), deployment) is None:
            yield actual.other_window(connection, identity)


def _buckets(connection: Connection, policy: Policy) -> Iterator[BucketFact]:
    """The location's own buckets."""
    named = {
        "manifests, leases and recorded steps": policy.operations_bucket,
        "the output of commands": policy.logs.bucket,
        "the resource data sync": policy.extras.data_sync_bucket,
    }
    for window in policy.windows:
        if window.logs and window.logs.bucket:
            named[f"the output of {window.name}"] = window.logs.bucket
    for use, name in named.items():
        if name:
            full = bucket_in(name, connection.account, connection.region)
            yield buckets.look(connection, full, use)


def _evidence(connections: Connections, policy: Policy) -> Iterator[BucketFact]:
    """The bucket of the evidence: the control account's, so the caller looks at it, whatever its Region."""
    if policy.evidence.bucket:
        own = connections.own()
        try:
            found = buckets.look(own, policy.evidence.bucket, "evidence")
        finally:
            own.close()
        yield replace(found, state="there") if found.state == "elsewhere" else found
