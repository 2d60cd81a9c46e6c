"""Carries out the steps of a plan in one target location."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

from sluice.aws import (
    baselines,
    config_rules,
    data_syncs,
    documents,
    leases,
    patch_groups,
    window_targets,
    window_tasks,
    windows,
)
from sluice.aws.operations import Bucket
from sluice.aws.session import Connection
from sluice.core.errors import AWSError, LeasedError, TakeOverError
from sluice.core.policy.objects import (
    BASELINE,
    CONFIG_RULE,
    DATA_SYNC,
    DEFAULT,
    DOCUMENT,
    GROUP,
    TARGET,
    TASK,
    WINDOW,
    ConfigRule,
    DataSync,
    DefaultBaseline,
    Document,
    Key,
    MaintenanceWindow,
    PatchBaseline,
    Registration,
    WindowTarget,
    WindowTask,
    part_of,
)
from sluice.core.policy.plan import Act, Found, Plan, Step
from sluice.core.policy.window_steps import served

Progress: TypeAlias = Callable[[Step], None]


def apply_plan(
    connection: Connection,
    deployment: str,
    plan: Plan,
    take_over: tuple[str, ...] = (),
    progress: Progress = lambda step: None,
    *,
    operations_bucket: Bucket | None = None,
) -> int:
    """Carry out a plan, step by step; how many there were. `progress` hears of each before it is done.

    In `operations_bucket` the windows' leases are looked for, of all windows before anything is changed, and of each
    again before it is: without one there are none. Raises LeasedError where a release has one.
    Raises TakeOverError, with nothing changed, where the plan needs what `take_over` does not name.
    AWSError stops it where it is: the next plan goes on from there.
    """
    if plan.needs(take_over):
        raise TakeOverError(refusal(plan, take_over))
    touched = [_window_of(step) for step in plan.steps]
    for name in dict.fromkeys(filter(None, touched)):
        _check_lease(connection, operations_bucket, name, "nothing was changed")
    run = _Run(connection, deployment, plan)
    before: str | None = None
    for step, window in zip(plan.steps, touched, strict=True):
        if window and window != before:
            _check_lease(connection, operations_bucket, window, "stopped before it")
        before = window
        progress(step)
        run.do(step)
    return len(plan.steps)


def _window_of(step: Step) -> str | None:
    """The window that a step touches, by its name in the policy: of a release's step the one that it serves."""
    if step.key.noun == WINDOW:
        return served(step.key.name)
    part = step.wanted or (step.found.object if step.found else None)
    return served(part.window) if isinstance(part, WindowTarget | WindowTask) else None


def _check_lease(connection: Connection, bucket: Bucket | None, window: str, so: str) -> None:
    """Raises LeasedError where a release drives the window now.

    That it takes the lease in the moment after this is harmless: a release looks whether its window is as it was
    prepared before it opens it, and what is done here closes it.
    """
    if bucket is None:
        return
    try:
        lease = leases.lease_of(connection, bucket, window)
    except AWSError as error:
        if error.code != "NoSuchBucket":  # without the bucket no release can have leased anything
            raise
        return
    if lease is not None and lease.owner and lease.held(connection.now()):
        raise LeasedError(
            f"{connection.key}: {so}: expected window {window} to be nobody's, found it leased by the release"
            f" {lease.owner} until {lease.expires:%Y-%m-%d %H:%M} UTC: let that release end, or halt it, then plan"
            " again"
        )


def refusal(plan: Plan, take_over: tuple[str, ...]) -> str:
    """Why a plan is not carried out: what it needs and has not got."""
    needs = plan.needs(take_over)
    options = " ".join(f"--take-over {name!r}" for name in needs)
    return (
        f"{plan.key}: nothing was changed: this would change things of others: {', '.join(needs)}. Look at the plan,"
        f" talk to their owners, then agree with {options}, or let the policy leave them alone."
    )


class _Run:
    """Ids of what is there, growing as things are created; and what each kind of step does."""

    def __init__(self, connection: Connection, deployment: str, plan: Plan) -> None:
        self.connection = connection
        self.deployment = deployment
        self.ids = plan.ids

    def do(self, step: Step) -> None:
        """Do one step."""
        _ACTS[step.act, step.key.noun](self, step)

    def window_id(self, window: str) -> str:
        return self.ids[Key(WINDOW, window)]

    def target_id(self, wanted: WindowTask) -> str | None:
        return None if not wanted.target else self.ids[Key(TARGET, part_of(wanted.window, wanted.target))]

    def baseline_id(self, name: str) -> str:
        return self.ids[Key(BASELINE, name)]

    def put_document(self, step: Step) -> None:
        wanted = cast("Document", step.wanted)
        if step.found is None:
            documents.create(self.connection, self.deployment, wanted)
            return
        documents.own(self.connection, self.deployment, wanted.name)
        documents.update(self.connection, wanted)

    def delete_document(self, step: Step) -> None:
        name = _found(step).id
        documents.own(self.connection, self.deployment, name)
        documents.delete(self.connection, name)

    def create_baseline(self, step: Step) -> None:
        wanted = cast("PatchBaseline", step.wanted)
        self.ids[step.key] = baselines.create(self.connection, self.deployment, step.key.name, wanted)

    def update_baseline(self, step: Step) -> None:
        baselines.update(self.connection, _found(step).id, cast("PatchBaseline", step.wanted))

    def delete_baseline(self, step: Step) -> None:
        baselines.delete(self.connection, _found(step).id)

    def register_group(self, step: Step) -> None:
        """A group has one baseline of an operating system: the one before goes first."""
        wanted = cast("Registration", step.wanted)
        if step.found is not None:
            patch_groups.deregister(self.connection, wanted.group, step.found.id)
        patch_groups.register(self.connection, wanted.group, self.baseline_id(wanted.baseline))

    def deregister_group(self, step: Step) -> None:
        before = cast("Registration", _found(step).object)
        patch_groups.deregister(self.connection, before.group, _found(step).id)

    def make_default(self, step: Step) -> None:
        wanted = cast("DefaultBaseline", step.wanted)
        baselines.make_default(self.connection, self.baseline_id(wanted.baseline))

    def restore_default(self, step: Step) -> None:
        before = cast("DefaultBaseline", _found(step).object)
        baselines.restore_default(self.connection, before.operating_system)

    def create_window(self, step: Step) -> None:
        wanted = cast("MaintenanceWindow", step.wanted)
        self.ids[step.key] = windows.create(self.connection, self.deployment, step.key.name, wanted)

    def hold_window(self, step: Step) -> None:
        windows.hold(self.connection, step.found.id if step.found else self.ids[step.key])

    def settle_window(self, step: Step) -> None:
        windows.settle(self.connection, self.ids[step.key], cast("MaintenanceWindow", step.wanted))

    def delete_window(self, step: Step) -> None:
        windows.delete(self.connection, _found(step).id)

    def create_target(self, step: Step) -> None:
        wanted = cast("WindowTarget", step.wanted)
        self.ids[step.key] = window_targets.register(self.connection, self.window_id(wanted.window), wanted)

    def update_target(self, step: Step) -> None:
        wanted = cast("WindowTarget", step.wanted)
        window_targets.update(self.connection, self.window_id(wanted.window), _found(step).id, wanted)

    def delete_target(self, step: Step) -> None:
        before = cast("WindowTarget", _found(step).object)
        window_targets.deregister(self.connection, self.window_id(before.window), _found(step).id)

    def create_task(self, step: Step) -> None:
        wanted = cast("WindowTask", step.wanted)
        window_tasks.register(self.connection, self.window_id(wanted.window), self.target_id(wanted), wanted)

    def update_task(self, step: Step) -> None:
        wanted = cast("WindowTask", step.wanted)
        window_tasks.update(
            self.connection, self.window_id(wanted.window), _found(step).id, self.target_id(wanted), wanted
        )

    def delete_task(self, step: Step) -> None:
        before = cast("WindowTask", _found(step).object)
        window_tasks.deregister(self.connection, self.window_id(before.window), _found(step).id)

    def put_config_rule(self, step: Step) -> None:
        config_rules.put(self.connection, self.deployment, cast("ConfigRule", step.wanted))

    def delete_config_rule(self, step: Step) -> None:
        config_rules.delete(self.connection, _found(step).id)

    def create_data_sync(self, step: Step) -> None:
        data_syncs.create(self.connection, cast("DataSync", step.wanted))

    def delete_data_sync(self, step: Step) -> None:
        data_syncs.delete(self.connection, _found(step).id)


def _found(step: Step) -> Found:
    if step.found is None:
        raise AssertionError(f"a step without an object: {step}")
    return step.found


_ACTS: dict[tuple[Act, str], Callable[[_Run, Step], Any]] = {
    ("create", DOCUMENT): _Run.put_document,
    ("update", DOCUMENT): _Run.put_document,
    ("delete", DOCUMENT): _Run.delete_document,
    ("create", BASELINE): _Run.create_baseline,
    ("update", BASELINE): _Run.update_baseline,
    ("delete", BASELINE): _Run.delete_baseline,
    ("create", GROUP): _Run.register_group,
    ("update", GROUP): _Run.register_group,
    ("delete", GROUP): _Run.deregister_group,
    ("create", DEFAULT): _Run.make_default,
    ("update", DEFAULT): _Run.make_default,
    ("delete", DEFAULT): _Run.restore_default,
    ("create", WINDOW): _Run.create_window,
    ("hold", WINDOW): _Run.hold_window,
    ("settle", WINDOW): _Run.settle_window,
    ("delete", WINDOW): _Run.delete_window,
    ("create", TARGET): _Run.create_target,
    ("update", TARGET): _Run.update_target,
    ("delete", TARGET): _Run.delete_target,
    ("create", TASK): _Run.create_task,
    ("update", TASK): _Run.update_task,
    ("delete", TASK): _Run.delete_task,
    ("create", CONFIG_RULE): _Run.put_config_rule,
    ("update", CONFIG_RULE): _Run.put_config_rule,
    ("delete", CONFIG_RULE): _Run.delete_config_rule,
    ("create", DATA_SYNC): _Run.create_data_sync,
    ("delete", DATA_SYNC): _Run.delete_data_sync,
}
