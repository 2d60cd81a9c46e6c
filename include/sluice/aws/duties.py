"""Which duty may do what: from the permissions that stand beside each call of AWS.

The reader reads whatever any adapter reads, the other duties what a plan reads; a duty changes what the functions
change that are named for it here. What changes something and is named for no duty is a mistake, which a test
finds. `sluice.aws.statements` makes IAM statements of it, `python -m sluice iam` writes them into
include/cloudformation/ and docs/infrastructure.md.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass

import sluice.aws
from sluice.aws.permissions import When, Where, declared
from sluice.aws.session import Duty

IMAGES = ("arn:{partition}:ec2:{region}::image/*", "arn:{partition}:ec2:{region}::snapshot/*")

LOOKS = ("Describe", "Get", "List", "Simulate")
"""How the names of IAM's actions begin that change nothing, in the services that Sluice calls."""

INSTALLERS = (Duty.NONPROD_INSTALLER, Duty.PROD_INSTALLER)

_OPEN = (
    "sluice.aws.windows.hold",
    "sluice.aws.windows.disarm",
    "sluice.aws.windows.arm",
    "sluice.aws.windows.settle",
    "sluice.aws.window_targets.update",
    "sluice.aws.executions.cancel",
    "sluice.aws.node_tags",
    "sluice.aws.operations.put_lease",
    "sluice.aws.operations.put_step",
)

CHANGES: Mapping[Duty, tuple[str, ...]] = {
    Duty.READER: (),
    # Not the tasks: what a scan window runs is what apply has put there. No IAM condition sees a document's
    # parameters, so this is what keeps a scanner's credentials from turning a Scan into an Install.
    Duty.SCANNER: _OPEN,
    **dict.fromkeys(
        INSTALLERS,
        (
            *_OPEN,
            "sluice.aws.window_tasks.update",
            "sluice.aws.commands.cancel",
            "sluice.aws.images.create",
            "sluice.aws.operations.put_manifest",
        ),
    ),
    Duty.IMAGE_DELETER: (),
    Duty.HALTER: (
        "sluice.aws.windows.hold",
        "sluice.aws.executions.cancel",
        "sluice.aws.commands.cancel",
        "sluice.aws.operations.put_mark",
    ),
    Duty.POLICY_APPLIER: (
        "sluice.aws.baselines",
        "sluice.aws.config_rules",
        "sluice.aws.data_syncs",
        "sluice.aws.documents",
        "sluice.aws.patch_groups",
        "sluice.aws.tags",
        "sluice.aws.window_targets",
        "sluice.aws.window_tasks",
        "sluice.aws.windows",
    ),
}
"""Functions, or whole modules, that change something, by duty."""

READS = (
    *CHANGES[Duty.POLICY_APPLIER],
    "sluice.aws.alarms",
    "sluice.aws.associations",
    "sluice.aws.calendars",
    "sluice.aws.commands",
    "sluice.aws.executions",
    "sluice.aws.images",
    "sluice.aws.node_tags",
    "sluice.aws.nodes",
    "sluice.aws.operations",
    "sluice.aws.patch_states",
    "sluice.aws.session",
)
"""Modules whose reading every duty does that works on windows; the rest, IAM among it, is the reader's alone."""

AIRFLOW = "sluice.aws.session.Connections._assumed"
"""What Airflow's own role does: it assumes the duties' roles, and nothing else of Sluice's."""

UNOWNED: Mapping[str, str] = {
    "iam:PassRole": "limited to the windows' own roles, and to Systems Manager",
    "s3:PutObject": "limited to the operations bucket and one prefix; objects carry no ownership tag",
    "ssm:AddTagsToResource": "taking a document over puts the ownership tags on what has none, or a gone deployment's",
    "ssm:CancelCommand": "Systems Manager knows no resource for it: any command of the account",
    "ssm:CreateResourceDataSync": "a data sync cannot be tagged",
    "ssm:DeleteResourceDataSync": "a data sync cannot be tagged",
    "ssm:DeregisterPatchBaselineForPatchGroup": "taking a group over deregisters a baseline of others",
    "ssm:DeregisterTargetFromMaintenanceWindow": "a window's target cannot be tagged; the window's tag is demanded too",
    "ssm:DeregisterTaskFromMaintenanceWindow": "a window's task cannot be tagged; the window's tag is demanded too",
    "ssm:RegisterDefaultPatchBaseline": "giving a default back registers AWS's own baseline, which has no tags",
    "ssm:RegisterPatchBaselineForPatchGroup": "giving a group back registers a baseline of others",
    "ssm:UpdateMaintenanceWindowTarget": "a window's target cannot be tagged; the window's tag is demanded too",
    "ssm:UpdateMaintenanceWindowTask": "a window's task cannot be tagged; the window's tag is demanded too",
}
"""Actions that change something without a condition on an ownership tag somewhere, and why."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One action on some resources, under conditions that `sluice.aws.statements` knows by name."""

    action: str
    resources: tuple[str, ...]
    when: When = "always"
    where: tuple[Where, ...] = ()


@dataclass(frozen=True, slots=True)
class Coming:
    """What a duty needs for a function that the release flow brings; it goes when the adapter declares it."""

    duties: tuple[Duty, ...]
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    because: str
    when: When = "always"
    where: tuple[Where, ...] = ()


_ALL = tuple(duty for duty in Duty if duty is not Duty.IMAGE_DELETER)

COMING = (
    Coming((Duty.IMAGE_DELETER,), ("ec2:DescribeImages", "ec2:DescribeSnapshots"), ("*",),
           "backups are found by their names and tags"),
    Coming((Duty.IMAGE_DELETER,), ("ec2:DeregisterImage",), IMAGES[:1], "backups expire", when="owned"),
    Coming((Duty.IMAGE_DELETER,), ("ec2:DeleteSnapshot",), IMAGES[1:], "backups expire", when="owned"),
)  # fmt: skip
"""What is still to be declared beside its call."""


def grants(duty: Duty) -> tuple[Grant, ...]:
    """Everything that a duty may do."""
    found = [grant for grant in every_call() if _may(duty, *grant)]
    found += [
        (coming.because, Grant(action, coming.resources, coming.when, coming.where))
        for coming in COMING
        if duty in coming.duties
        for action in coming.actions
    ]
    return tuple(grant for _, grant in found)


def shared() -> tuple[Grant, ...]:
    """What all duties read that work on windows: one policy that their roles share, so that a template fits."""
    every = [set(grants(duty)) for duty in _ALL]
    return tuple(grant for grant in dict.fromkeys(grants(Duty.READER)) if all(grant in one for one in every))


def airflow_grants() -> tuple[Grant, ...]:
    """What Airflow's own role may do in the locations' accounts."""
    return tuple(grant for function, grant in every_call() if function == AIRFLOW)


def reads(action: str) -> bool:
    """Whether an action changes nothing."""
    return action.split(":")[1].startswith(LOOKS)


def without_duty() -> list[str]:
    """Declared changes that no duty may make, as `function: action`: they would be denied everywhere."""
    return sorted(
        f"{function}: {grant.action}"
        for function, grant in every_call()
        if not reads(grant.action) and function != AIRFLOW and not any(_may(duty, function, grant) for duty in Duty)
    )


def unexplained() -> list[str]:
    """Changes without a condition on ownership, nodes or tag keys that `UNOWNED` does not explain."""
    every = {grant for duty in Duty for grant in grants(duty)}
    return sorted(
        {
            grant.action
            for grant in every
            if not reads(grant.action) and grant.when == "always" and not grant.where and grant.action not in UNOWNED
        }
    )


def _may(duty: Duty, function: str, grant: Grant) -> bool:
    if reads(grant.action):
        if duty is Duty.READER:
            return True
        return _within(function, READS if duty is not Duty.IMAGE_DELETER else ("sluice.aws.session",))
    return _within(function, CHANGES[duty])


def _within(function: str, names: tuple[str, ...]) -> bool:
    return any(function == name or function.startswith(f"{name}.") for name in names)


def every_call() -> list[tuple[str, Grant]]:
    """What every adapter declares, by the function that needs it."""
    for module in pkgutil.iter_modules(sluice.aws.__path__):
        importlib.import_module(f"sluice.aws.{module.name}")
    return [
        (permission.function, Grant(action, permission.resources, permission.when, permission.where))
        for permission in declared()
        if permission.function.startswith("sluice.aws.")
        for action in permission.actions
    ]
