"""Recall a patch: nobody installs it any more, until the recall is lifted.

In each location, as the halter: the recall is written down, and from then on gate, manifest, plan and the opening of
windows go by it; then the windows that are open to install it are disabled, and what runs and installs it is cancelled.
Killed and repeated it goes on. A baseline rejects it
from the next apply on; a release whose manifest has it is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from sluice.aws import commands, executions, leases, operations, patch_states, recalls, tags, windows
from sluice.aws.locations import in_each
from sluice.aws.session import Connection, Connections, Duty
from sluice.core.errors import AWSError
from sluice.core.policy.places import Location
from sluice.core.policy.policy import Policy
from sluice.core.release.manifest import Manifest
from sluice.core.release.recall import Recall, checked, names
from sluice.core.release.terms import WavePart
from sluice.flow.halting import Halt, Tell, named


@dataclass(frozen=True, slots=True)
class Recalled:
    """What became of a recall in a location."""

    location: str
    recall: Recall | None
    """As it stands there now; None: it could not be written, or there was none to lift."""
    disabled: tuple[str, ...] = ()
    """Windows that were open to install it."""
    cancelled: tuple[str, ...] = ()
    """Executions and commands that were installing it."""
    nodes: tuple[str, ...] = ()
    """Nodes on which those ran."""
    left: tuple[str, ...] = ()
    """What could not be done, and why."""


def recall(
    policy: Policy,
    connections: Connections,
    patch: str,
    *,
    by: str,
    because: str,
    locations: Sequence[Location] = (),
    tell: Tell = lambda connection, text: None,
    opened: Callable[[Connection], None] = lambda connection: None,
) -> tuple[Recalled, ...]:
    """Recall a patch in some locations, or in all of the policy. Raises ReleaseError for what is no patch.

    What fails in a location stands in its `left`.
    """
    known = checked(patch)

    def work(connection: Connection) -> Recalled:
        return _carry_out(connection, policy, known, by, because, tell)

    return _in_all(policy, connections, locations, work, opened)


def lift(
    policy: Policy,
    connections: Connections,
    patch: str,
    *,
    by: str,
    locations: Sequence[Location] = (),
    opened: Callable[[Connection], None] = lambda connection: None,
) -> tuple[Recalled, ...]:
    """Lift a recall; a location without one has nothing to lift. Raises ReleaseError for what is no patch."""
    known = checked(patch)

    def work(connection: Connection) -> Recalled:
        bucket = operations.bucket_of(policy, connection)
        found = recalls.read(connection, bucket, known)
        if found is None or found.lifted is not None:
            return Recalled(connection.key, None)
        lifted = found.lift(named(by, connection), connection.now())
        recalls.put(connection, bucket, lifted)
        return Recalled(connection.key, lifted)

    return _in_all(policy, connections, locations, work, opened)


def _in_all(
    policy: Policy,
    connections: Connections,
    locations: Sequence[Location],
    work: Callable[[Connection], Recalled],
    opened: Callable[[Connection], None],
) -> tuple[Recalled, ...]:
    outcomes = in_each(connections, locations or policy.locations, Duty.HALTER, work, opened)
    return tuple(one.value or Recalled(one.key, None, left=(str(one.error),)) for one in outcomes)


def _carry_out(connection: Connection, policy: Policy, patch: str, by: str, because: str, tell: Tell) -> Recalled:
    bucket = operations.bucket_of(policy, connection)
    found = recalls.read(connection, bucket, patch)
    if found is None or found.lifted is not None:  # a repeated recall keeps who was first, and when
        found = Recall(patch, because, named(by, connection), connection.now())
        recalls.put(connection, bucket, found)
    tell(connection, str(found))
    left: list[str] = []
    stop = Halt(connection, policy, recalls.key_of(patch), None, by, because, tell)
    try:
        for window_id, window, enabled in _installing(connection, policy):
            if enabled and _opens_for(connection, bucket, window, found, left):
                stop.disable(window_id, window, enabled)
            for execution in _running(connection, window_id):
                if _installs(connection, bucket, execution, window, found, left):
                    stop.cancel(execution, window)
    except AWSError as error:
        left.append(f"what runs could not be listed: {error}")
    left += [f"{what}: {why}" for what, why in stop.left.items()]
    cancelled = (*stop.executions, *stop.commands)
    return Recalled(connection.key, found, tuple(stop.disabled), cancelled, tuple(sorted(stop.nodes)), tuple(left))


def _installing(connection: Connection, policy: Policy) -> Iterator[tuple[str, str, bool]]:
    """The deployment's install windows: id, name, and whether they are enabled."""
    installing = {window.name for window in policy.windows if window.installs}
    for identity in windows.listed(connection):
        window_id = identity["WindowId"]
        name = tags.owned_name(tags.read(connection, "MaintenanceWindow", window_id), policy.deployment)
        if name in installing:
            yield window_id, name, identity.get("Enabled", True)


def _running(connection: Connection, window_id: str) -> Iterator[str]:
    """What runs of a window."""
    for one in executions.listed(connection, window_id):
        if one["Status"] not in executions.FINAL:
            yield one["WindowExecutionId"]


def _opens_for(connection: Connection, bucket: str, window: str, recalled: Recall, left: list[str]) -> bool:
    """Whether an open window is to install it: by its release's manifest, else by what the release's nodes lack.

    If nobody can tell it does.
    """
    try:
        lease = leases.lease_of(connection, bucket, window)
        if lease is None or lease.owner is None:
            return True
        found = operations.read(connection, bucket, f"manifests/{lease.owner}/manifest.json")
        if found is not None:
            return bool(Manifest.of_json(found.json).recalled([recalled]))
        admitted = operations.read_step(connection, bucket, lease.owner, "admitted")
        if admitted is None:
            return True
        parts = [WavePart.of_json(one) for one in admitted["parts"]]
        return lacking(connection, (node for part in parts for node in part.nodes), [recalled]) is not None
    except AWSError as error:
        left.append(f"whether window {window} is open to install it is not known, so it was disabled: {error}")
        return True


def _installs(
    connection: Connection, bucket: str, execution: str, window: str, recalled: Recall, left: list[str]
) -> bool:
    """Whether an execution installs it: by its release's manifest, else by what its nodes lack; if unknown it does."""
    try:
        lease = leases.lease_of(connection, bucket, window)
        found = operations.read(connection, bucket, f"manifests/{lease.owner}/manifest.json") if lease else None
        if found is not None:
            return bool(Manifest.of_json(found.json).recalled([recalled]))
        return lacking(connection, _nodes(connection, execution), [recalled]) is not None
    except AWSError as error:
        left.append(f"whether execution {execution} of {window} installs it is not known, so it was cancelled: {error}")
        return True


def _nodes(connection: Connection, execution: str) -> Iterator[str]:
    for task in executions.tasks(connection, execution):
        for one in executions.invocations(connection, execution, task["TaskExecutionId"]):
            if one.get("ExecutionId") and one["TaskType"] == "RUN_COMMAND":
                for invocation in commands.invocations(connection, one["ExecutionId"]):
                    yield invocation["InstanceId"]


def lacking(connection: Connection, nodes: Iterable[str], recalls: Sequence[Recall]) -> Recall | None:
    """The recalled patch that one of the nodes lacks, so that an install without a manifest would bring it; or None."""
    for node in nodes if recalls else ():
        for row in patch_states.of_node(connection, node, ""):
            if row.state in ("MISSING", "FAILED"):
                for one in recalls:
                    if names(one.patch, row.id, row.title):
                        return one
    return None
