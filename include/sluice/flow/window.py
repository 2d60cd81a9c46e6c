"""A window of ours in a location: what it is now, and the acts that change it, each under the lease."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from sluice.aws import leases, tags, window_targets, window_tasks, windows
from sluice.aws.operations import bucket_of
from sluice.aws.session import Connection
from sluice.core.errors import ReleaseError
from sluice.core.kept import kept
from sluice.core.lease import Lease
from sluice.core.policy.desired import object_name
from sluice.core.policy.policy import Policy
from sluice.core.window_objects import WindowObjects, at_rest, resting, with_strays
from sluice.core.window_protocol import CLOSING, PREPARING, Act


@dataclass(frozen=True, slots=True)
class Found:
    """A window as AWS has it."""

    objects: WindowObjects
    """Its tasks name their targets as the policy does."""
    coming: datetime | None
    """When AWS says that it fires next."""
    target_ids: dict[str, str]
    """By slot."""
    task_ids: dict[str, str]


class OwnWindow:
    """One window of the policy, or of a step of it, in one location; by its name in the policy."""

    def __init__(self, policy: Policy, name: str, connection: Connection) -> None:
        self.policy = policy
        self.name = name
        self.connection = connection
        self.bucket = bucket_of(policy, connection)
        self.rest = at_rest(policy, name, connection.account, connection.region)

    @property
    def id(self) -> str:
        """Its id. Raises ReleaseError unless there is one window of its name that is the deployment's."""
        if len(self._ids) != 1:
            raise ReleaseError(
                f"{self.connection.key}: expected one window {self._name} of deployment {self.policy.deployment}, found"
                f" {len(self._ids)}: run `python -m sluice plan`, and apply what it shows"
            )
        return self._ids[0]

    @property
    def exists(self) -> bool:
        """Whether it was ever applied here."""
        return bool(self._ids)

    @property
    def _name(self) -> str:
        return object_name(self.policy.deployment, self.name)

    @kept
    def _ids(self) -> list[str]:
        return [one for one in windows.called(self.connection, self._name) if self._is_own(one)]

    def _is_own(self, window_id: str) -> bool:
        found = tags.read(self.connection, "MaintenanceWindow", window_id)
        return tags.owned_name(found, self.policy.deployment) == self.name

    def found(self) -> Found:
        """The window, its tasks and targets as they are, all pages."""
        window, coming = windows.read_with_next(self.connection, self.id)
        name = self.name
        targets = window_targets.listed(self.connection, self.id)
        names = {one["WindowTargetId"]: one.get("Name", one["WindowTargetId"]) for one in targets}
        tasks = {}
        for one in window_tasks.listed(self.connection, self.id):
            task = window_tasks.read(self.connection, self.id, one["WindowTaskId"], name)
            tasks[one["WindowTaskId"]] = replace(task, target=names.get(task.target, task.target))
        as_objects = [window_targets.as_object(one, name) for one in targets]
        return Found(
            WindowObjects(window, {one.name: one for one in tasks.values()}, {one.name: one for one in as_objects}),
            coming,
            {target: target_id for target_id, target in names.items()},
            {task.name: task_id for task_id, task in tasks.items()},
        )

    def prepare(self, lease: Lease, wanted: WindowObjects) -> None:
        """From whatever it is to `wanted`, which is disarmed."""
        found = self.found()
        self._do(PREPARING, lease, found, with_strays(wanted, found.objects))

    def put_to_rest(self, lease: Lease) -> None:
        """From whatever it is to what the policy has, and what the policy has not to what changes nothing."""
        found = self.found()
        self._do(CLOSING, lease, found, resting(self.rest, found.objects))

    def arm(self, lease: Lease, wanted: WindowObjects) -> None:
        """Open it, in one call."""
        self._act(lease, lambda: windows.arm(self.connection, self.id, wanted.window))

    def _do(self, acts: tuple[Act, ...], lease: Lease, found: Found, wanted: WindowObjects) -> None:
        for act in acts:
            _ACTS[act](self, lease, found, wanted)

    def _disarm(self, lease: Lease, found: Found, wanted: WindowObjects) -> None:
        if found.objects.window != wanted.window:
            self._act(lease, lambda: windows.disarm(self.connection, self.id, wanted.window))

    def _hold(self, lease: Lease, found: Found, wanted: WindowObjects) -> None:
        if found.objects.window.enabled and found.objects.window != wanted.window:
            self._act(lease, lambda: windows.hold(self.connection, self.id))

    def _settle(self, lease: Lease, found: Found, wanted: WindowObjects) -> None:
        if found.objects.window != wanted.window:
            self._act(lease, lambda: windows.settle(self.connection, self.id, wanted.window))

    def _tasks(self, lease: Lease, found: Found, wanted: WindowObjects) -> None:
        for name, task in wanted.tasks.items():
            if found.objects.tasks.get(name) != task:
                if not self._changes_tasks:
                    raise ReleaseError(
                        f"{self.connection.key}: task {name} of window {self.name} is not as the policy has it, and"
                        " only an install changes tasks: run `python -m sluice plan`, and apply what it shows"
                    )
                self._update_task(lease, found, name, wanted)

    @property
    def _changes_tasks(self) -> bool:
        """Whether a release may: what scans, or runs on no node, is what `apply` has put there."""
        return any(one.name == self.name and one.installs for one in self.policy.windows)

    def _update_task(self, lease: Lease, found: Found, name: str, wanted: WindowObjects) -> None:
        task_id, target_id = self._known(found.task_ids, name), self._known(found.target_ids, name)
        self._act(
            lease,
            lambda: window_tasks.update(self.connection, self.id, task_id, target_id, wanted.tasks[name], self.policy),
        )

    def _targets(self, lease: Lease, found: Found, wanted: WindowObjects) -> None:
        for name, target in wanted.targets.items():
            if found.objects.targets.get(name) != target:
                self._update_target(lease, self._known(found.target_ids, name), name, wanted)

    def _update_target(self, lease: Lease, target_id: str, name: str, wanted: WindowObjects) -> None:
        self._act(lease, lambda: window_targets.update(self.connection, self.id, target_id, wanted.targets[name]))

    def _known(self, ids: dict[str, str], name: str) -> str:
        if name not in ids:
            raise ReleaseError(
                f"{self.connection.key}: expected slot {name} on window {self.name}, found"
                f" {', '.join(sorted(ids)) or 'none'}: run `python -m sluice plan`, and apply what it shows"
            )
        return ids[name]

    def _act(self, lease: Lease, call: Callable[[], None]) -> None:
        """Make one call that changes the window, if the lease is still the caller's."""
        leases.confirm(self.connection, self.bucket, lease)
        call()


_ACTS: dict[Act, Callable[[OwnWindow, Lease, Found, WindowObjects], None]] = {
    "disarm": OwnWindow._disarm,
    "hold": OwnWindow._hold,
    "tasks": OwnWindow._tasks,
    "targets": OwnWindow._targets,
    "settle": OwnWindow._settle,
}
