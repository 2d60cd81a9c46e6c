"""Recall a patch: nobody installs it any more, until the recall is lifted.

In each location, as the halter: the recall is written down, and from then on gate, manifest, plan and the opening of
windows go by it; then the windows that are open to install it are disabled, and what runs and installs it is cancelled.
Killed and repeated it goes on. Baselines reject it from the next apply on; a release whose manifest has it is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from sluice.aws import commands, executions, leases, operations, patch_states, recalls, tags, windows
from sluice.aws.locations import in_each
from sluice.aws.session import Connection, Connections, Duty
from sluice.core.errors import AWSError
from sluice.core.policy.places import Location
from sluice.core.policy.policy import Policy
from sluice.core.release.manifest import Manifest
from sluice.core.release.recall import Recall, checked, names
from sluice.core.release.terms import WavePart
from sluice.flow import admit
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
    stop = Halt(connection, policy, recalls.key_of(bucket, patch), None, by, because, tell)
    try:
        for window_id, window, enabled in _installing(connection, policy):
            by_admission = partial(_admitted, connection, bucket)
            opens = partial(_installs, connection, bucket, window, found, by_admission)
            if enabled and _known(opens, f"window {window}, which is open,", left):
                stop.disable(window_id, window, enabled)
            for execution in _running(connection, window_id):
                runs = partial(_installs, connection, bucket, window, found, partial(_reached, connection, execution))
                if _known(runs, f"execution {execution} of {window}", left):
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


def _installs(
    connection: Connection,
    bucket: operations.Bucket,
    window: str,
    recalled: Recall,
    nodes_of: Callable[[str | None], Iterable[str] | None],
) -> bool:
    """Whether a window installs it: by its release's manifest, else by what the nodes lack that it works on.

    `nodes_of` is asked with the release that drives the window; None: nobody can tell, and it does.
    """
    lease = leases.lease_of(connection, bucket, window)
    owner = lease.owner if lease else None
    found = operations.read(connection, bucket, operations.manifest_key(owner)) if owner else None
    if found is not None:
        return bool(Manifest.of_json(found.json).recalled([recalled]))
    nodes = nodes_of(owner)
    return nodes is None or lacking(connection, nodes, [recalled]) is not None


def _known(asked: Callable[[], bool], what: str, left: list[str]) -> bool:
    """Whether something installs it; if nobody can tell it does, and that is said."""
    try:
        return asked()
    except AWSError as error:
        left.append(f"whether {what} installs it is not known, so it was stopped: {error}")
        return True


def _admitted(connection: Connection, bucket: operations.Bucket, release: str | None) -> tuple[str, ...] | None:
    """The nodes that a release has admitted in a location; None: nothing is recorded of that."""
    step = operations.read_step(connection, bucket, release, admit.STEP) if release else None
    return None if step is None else tuple(node for one in step["parts"] for node in WavePart.of_json(one).nodes)


def _reached(connection: Connection, execution: str, release: str | None) -> Iterator[str]:
    """The nodes that an execution's commands were sent to, whoever's it is."""
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
