"""What a window is in AWS while it runs a wave or a step: from what it is at rest, field by field. Pure.

Slots are fixed: a wave changes their tasks and targets and adds none. A slot without nodes in the wave stays at
rest. What a scan window runs is never changed, only whom it reaches and when: the scanner may not touch tasks. Nor is
what the window of an automation or a function runs: it is what `apply` has put there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise

from sluice.core.calendar import is_gated
from sluice.core.errors import ReleaseError
from sluice.core.policy import reboot_document
from sluice.core.policy.desired import desired
from sluice.core.policy.objects import (
    CANNOT_FIRE,
    NOBODY,
    PATCH_DOCUMENT,
    RELEASE_TAG,
    WINDOW,
    Key,
    MaintenanceWindow,
    WindowTarget,
    WindowTask,
)
from sluice.core.policy.others import patches
from sluice.core.policy.policy import Policy
from sluice.core.policy.slots import Slot, groups_of, slots
from sluice.core.policy.window_steps import WindowStep, own_window, step_named, steps
from sluice.core.policy.windows import Window
from sluice.core.release.terms import Asked, Kind, Release, WavePart
from sluice.core.release.waves import target_of, target_of_all
from sluice.core.window_record import WaveRecord

OVERRIDE = "InstallOverrideList"
LONGEST_PREFIX = 500  # B:OutputS3KeyPrefix


@dataclass(frozen=True, slots=True)
class WindowObjects:
    """A window with its tasks and targets, by slot."""

    window: MaintenanceWindow
    tasks: Mapping[str, WindowTask]
    targets: Mapping[str, WindowTarget]


def at_rest(policy: Policy, name: str, account: str, region: str) -> WindowObjects:
    """A window of the policy, or of a step of it, as `apply` makes it; by its name."""
    objects = desired(policy, account, region)
    tasks = [one for one in objects.values() if isinstance(one, WindowTask) and one.window == name]
    targets = [one for one in objects.values() if isinstance(one, WindowTarget) and one.window == name]
    return WindowObjects(
        objects[Key(WINDOW, name)],  # type: ignore[arg-type]  # a key's noun is its object's class
        {one.name: one for one in tasks},
        {one.name: one for one in targets},
    )


def with_strays(wanted: WindowObjects, found: WindowObjects) -> WindowObjects:
    """What is wanted, and what else the window has so that it changes nothing and names no node.

    A slot that was taken out of the policy is on the window until somebody applies that, which may be while a release
    has it patch. What runs no command is no slot's: somebody has put it there.
    """
    tasks = {
        name: _harmless(task)
        for name, task in found.tasks.items()
        if name not in wanted.tasks and task.task_type == "RUN_COMMAND"
    }
    targets = {
        name: replace(target, key=f"tag:{RELEASE_TAG}", values=(NOBODY,)) if _names_nodes(None, target) else target
        for name, target in found.targets.items()
        if name not in wanted.targets
    }
    return WindowObjects(wanted.window, {**tasks, **wanted.tasks}, {**targets, **wanted.targets})


def resting(rest: WindowObjects, found: WindowObjects) -> WindowObjects:
    """The window at rest with the slots that it has: one that the policy has since is there when it is applied."""
    tasks = {name: task for name, task in rest.tasks.items() if name in found.tasks}
    targets = {name: target for name, target in rest.targets.items() if name in found.targets}
    return with_strays(WindowObjects(rest.window, tasks, targets), found)


def window_name(window: Window, kind: Kind) -> str:
    """Which window an execution of a release is one of: the release's, or that of a step without nodes."""
    step = step_named(window, kind)
    return own_window(window.name, step) if step and not step.on_nodes else window.name


def disarmed(window: MaintenanceWindow) -> MaintenanceWindow:
    """The window disabled, on a schedule that cannot fire: whoever enables it starts nothing."""
    return replace(window, schedule=CANNOT_FIRE, time_zone="UTC", start_date=None, enabled=False)


def armed(window: MaintenanceWindow, at: datetime, duration_hours: int) -> MaintenanceWindow:
    """The window enabled for one start, with the policy's cutoff.

    The time is sent in UTC: whether a zone would move an `at()` is not documented.
    """
    schedule = f"at({at.astimezone(UTC):%Y-%m-%dT%H:%M:%S})"
    return replace(
        window, schedule=schedule, time_zone="UTC", start_date=None, duration_hours=duration_hours, enabled=True
    )


@dataclass(frozen=True, slots=True)
class Wave:
    """One execution that a window is prepared for."""

    policy: Policy
    window: Window
    release: Release
    asked: Asked
    record: WaveRecord
    manifest: Mapping[str, str]
    """Where the manifest of each OS product is; empty without a gate."""

    def objects(self, rest: WindowObjects) -> WindowObjects:
        """The window as the wave or the step needs it, disarmed."""
        if self._step and not self._step.on_nodes:
            return replace(rest, window=disarmed(rest.window))
        part = WavePart(self.release.id, self.record.wave, self.record.location, self.record.slots)
        nodes = dict(self.record.slots)
        tasks, targets = dict(rest.tasks), dict(rest.targets)
        for slot in slots(self.policy, self.window):
            if self._scans_group(slot):
                continue  # which is what it does at rest
            key, values = self._target(part, slot)
            targets[slot.name] = replace(rest.targets[slot.name], key=key, values=values)
            if self.window.installs and nodes.get(slot.name):
                tasks[slot.name] = self._task(rest.tasks[slot.name], slot)
        return WindowObjects(disarmed(rest.window), tasks, targets)

    def _target(self, part: WavePart, slot: Slot) -> tuple[str, tuple[str, ...]]:
        if self._step is None:
            return target_of(part, slot)
        return target_of_all(self.window, self.release.id, slot, dict(part.slots).get(slot.name, ()))

    @property
    def _step(self) -> WindowStep | None:
        return step_named(self.window, self.record.kind)

    def log_prefixes(self, objects: WindowObjects) -> tuple[str, ...] | None:
        """The log prefixes of the wave's own commands; None: the policy names no bucket for logs, so none is told."""
        nodes = dict(self.record.slots)
        tasks = [task for name, task in objects.tasks.items() if nodes.get(name)]
        if any(task.log_bucket is None for task in tasks):
            return None
        return tuple(sorted(task.log_prefix or "" for task in tasks))

    def _scans_group(self, slot: Slot) -> bool:
        asked = self.asked
        some = asked.nodes or asked.patch_groups or asked.retry_of
        return slot.group is not None and not self.window.installs and not some

    def _task(self, rest: WindowTask, slot: Slot) -> WindowTask:
        kind = self.record.kind
        task = replace(rest, log_prefix=_log_prefix(rest, self.release, self.record.wave, kind))
        if kind in ("reboot", "ask"):
            when = "Always" if reboots(self.window, self.asked) == "always" else "IfPending"
            parameters = (("When", ("Never" if kind == "ask" else when,)),)
            return replace(
                task, document=reboot_document.NAME, operation="", reboot_option="", other_parameters=parameters
            )
        if step := self._step:
            return replace(
                task,
                document=step.what,
                operation="",
                reboot_option="",
                timeout_seconds=60 * step.step.timeout_minutes,
                other_parameters=step.parameters,
            )
        if kind != "install":
            return task
        given = self.manifest.get(slot.product or "")
        return replace(
            task,
            operation="Install",
            reboot_option="RebootIfNeeded" if reboots_inline(self.window, self.asked) else "NoReboot",
            other_parameters=((OVERRIDE, (given,)),) if given else (),
        )


def _log_prefix(rest: WindowTask, release: Release, wave: int, kind: Kind) -> str | None:
    """Where the commands' output goes, dated and of this wave alone: commands are told to be the wave's by it."""
    if rest.log_prefix is None:
        return None
    before = rest.log_prefix.removesuffix(rest.name)  # of apply's: <prefix>/<window>/<slot>
    within = f"{before}{release.occurrence:%Y/%m/%d}/{release.id}/{wave}-{kind}/"
    short = hashlib.sha256(rest.name.encode()).hexdigest()[:8]
    for name in (rest.name, short):
        if len(within) + len(name) <= LONGEST_PREFIX:
            return within + name
    raise ReleaseError(
        f"expected a log prefix of at most {LONGEST_PREFIX} characters, found {len(within) + len(short)}: shorten"
        f" logs.prefix or the window's name: {within}"
    )


def reboots(window: Window, asked: Asked) -> str:
    """Whether nodes reboot: `never`, `if_needed` or `always`, as asked or else as the policy says."""
    return window.reboot.when if asked.reboot == "policy" else asked.reboot


def reboots_inline(window: Window, asked: Asked) -> bool:
    """Whether the install itself reboots, which AWS does after any install, needed or not."""
    return reboots(window, asked) == "if_needed" and window.reboot.how == "inline"


def reboots_in_waves(window: Window, asked: Asked) -> bool:
    """Whether reboots are an execution of their own."""
    return window.installs and reboots(window, asked) != "never" and not reboots_inline(window, asked)


def asks(policy: Policy, window: Window, asked: Asked) -> bool:
    """Whether nodes are asked if they need a reboot, though none has one: where what they have is to soak.

    AWS counts all that is installed without a reboot as waiting for one; the operating system knows better.
    """
    if not window.installs or reboots(window, asked) != "never":
        return False
    reached = {group.ring for group in groups_of(policy, window)}
    return any(ring.soak and before.name in reached for before, ring in pairwise(policy.rings))


def refusal(policy: Policy, task: WindowTask) -> str | None:
    """Why a task that changes nodes may not be put on a window; None: it may, or it changes nothing."""
    if task.document == PATCH_DOCUMENT and task.operation == "Scan":
        return None
    window = next((one for one in policy.windows if one.name == task.window), None)
    if window is None or not window.installs:
        return f"expected an install window of the policy for {_shown(task)}, found {task.window}"
    if policy.mode == "observe":
        return f"{_shown(task)} on window {task.window}: the policy's mode is observe, so nothing may install or reboot"
    if task.document == reboot_document.NAME or _is_a_step(window, task):
        return None
    return _install_refusal(policy, window, task)


def _is_a_step(window: Window, task: WindowTask) -> bool:
    """Whether it is what a step of the window runs on nodes, to the letter; what patches is none."""
    if patches(task.document) or task.operation or task.reboot_option:
        return False
    wanted = (task.task_type, task.document, task.other_parameters)
    return any((one.task_type, one.what, one.parameters) == wanted for one in steps(window) if one.on_nodes)


def _install_refusal(policy: Policy, window: Window, task: WindowTask) -> str | None:
    if (task.document, task.operation) != (PATCH_DOCUMENT, "Install"):
        return f"expected Scan or Install of {PATCH_DOCUMENT} on window {task.window}, found {_shown(task)}"
    listed = any(name == OVERRIDE and values and all(values) for name, values in task.other_parameters)
    if is_gated(policy, window) and not listed:
        return f"expected a manifest ({OVERRIDE}) for an Install on window {task.window} of production, found none"
    return None


def _shown(task: WindowTask) -> str:
    return f"{task.operation or 'a run'} of {task.document}"


def is_stale(rest: WindowObjects, found: WindowObjects) -> bool:
    """Whether a window was left open or half way by a release: what `sweep` puts to rest.

    A window that differs from the policy in anything else was changed by others, which a plan shows.
    """
    window = found.window
    opened = window.enabled and not rest.window.enabled
    once = window.schedule.startswith("at(") and window.schedule != rest.window.schedule
    return (
        opened
        or once
        or any(_changes_nodes(task) and task != rest.tasks.get(name) for name, task in found.tasks.items())
        or any(_names_nodes(rest.targets.get(name), target) for name, target in found.targets.items())
    )


def _harmless(task: WindowTask) -> WindowTask:
    """The task as it changes nothing."""
    if not _changes_nodes(task):
        return task
    return replace(task, document=PATCH_DOCUMENT, operation="Scan", reboot_option="NoReboot", other_parameters=())


def _changes_nodes(task: WindowTask) -> bool:
    return (task.document, task.operation) != (PATCH_DOCUMENT, "Scan") or bool(task.other_parameters)


def _names_nodes(rest: WindowTarget | None, found: WindowTarget) -> bool:
    if rest is not None and (rest.key, rest.values) == (found.key, found.values):
        return False
    return found.key in ("InstanceIds", f"tag:{RELEASE_TAG}") and found.values != (NOBODY,)
