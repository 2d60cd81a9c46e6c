"""From a policy to the objects of one target location, at rest (see docs/adr/0003): pure.

At rest a window is disabled, its own schedule begins in 2099, its tasks scan, and the targets of its install slots
name a tag value that no node has: a hand that enables it starts nothing. Only a scan window with `trigger: native` is
enabled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sluice.core.policy import reboot_document
from sluice.core.policy.baselines import Baseline, Filters, OperatingSystem, PatchGroup, Rule
from sluice.core.policy.objects import (
    BASELINE,
    CONFIG_RULE,
    DATA_SYNC,
    DEFAULT,
    DOCUMENT,
    GROUP,
    NOBODY,
    NOT_BEFORE,
    PATCH_DOCUMENT,
    RELEASE_TAG,
    TARGET,
    TASK,
    WINDOW,
    ApprovalRule,
    AWSObject,
    ConfigRule,
    DataSync,
    DefaultBaseline,
    Document,
    Filter,
    Key,
    MaintenanceWindow,
    PatchBaseline,
    PatchSource,
    Registration,
    WindowTarget,
    WindowTask,
    part_of,
)
from sluice.core.policy.places import bucket_in
from sluice.core.policy.policy import Policy
from sluice.core.policy.slots import Slot, groups_of, slots
from sluice.core.policy.window_steps import WindowStep, own_window, steps
from sluice.core.policy.windows import Window

LONGEST_NAME = 128


def desired(policy: Policy, account: str, region: str) -> dict[Key, AWSObject]:
    """Every object that the policy makes in an account and Region."""
    found: dict[Key, AWSObject] = {
        Key(DOCUMENT, reboot_document.NAME): Document(reboot_document.NAME, reboot_document.content())
    }
    for baseline in policy.baselines:
        found[Key(BASELINE, baseline.name)] = patch_baseline(policy.deployment, baseline)
        if baseline.default:
            found[Key(DEFAULT, baseline.os)] = DefaultBaseline(baseline.os, baseline.name)
    by_name = {baseline.name: baseline for baseline in policy.baselines}
    for group in policy.patch_groups:
        for name in group.baselines:
            registration = Registration(group.name, by_name[name].os, name)
            found[registration_key(registration.group, registration.operating_system)] = registration
    for window in policy.windows:
        found |= _window_objects(policy, window, account, region)
        for step in steps_apart(policy, window):
            found |= _step_objects(policy, window, step, account, region)
    found.update(_extras(policy, account, region))
    return found


def registration_key(group: str, operating_system: str) -> Key:
    """The key of a group's registration."""
    return Key(GROUP, f"{group} ({operating_system})")


def object_name(deployment: str, name: str) -> str:
    """What a window or baseline of the policy is called in AWS."""
    return f"{deployment}-{name}"[:LONGEST_NAME]


def patch_baseline(deployment: str, baseline: Baseline) -> PatchBaseline:
    """A baseline as AWS has it."""
    windows = baseline.os == OperatingSystem.WINDOWS
    security_updates = baseline.available_security_updates
    if windows and security_updates is None:
        security_updates = "non_compliant"
    return PatchBaseline(
        name=object_name(deployment, baseline.name),
        operating_system=baseline.os,
        description=baseline.description or f"Sluice, deployment {deployment}.",
        filters=_filters(baseline.filters, windows=windows),
        rules=tuple(_rule(rule, baseline.system) for rule in baseline.rules),
        approved=tuple(sorted(baseline.approved.patches)),
        approved_compliance=baseline.approved.compliance,
        approved_non_security=baseline.approved.non_security,
        rejected=tuple(sorted(baseline.rejected.patches)),
        rejected_action=baseline.rejected.action.upper(),
        sources=tuple(
            PatchSource(source.name, tuple(sorted(source.products)), source.configuration)
            for source in sorted(baseline.sources, key=lambda source: source.name)
        ),
        available_security_updates=security_updates.upper() if windows and security_updates else None,
    )


def _rule(rule: Rule, system: OperatingSystem) -> ApprovalRule:
    days = rule.approve_after_days
    if days is None and rule.approve_until is None and system.has_delay:
        days = 0  # AWS wants one of the two wherever it knows dates
    return ApprovalRule(
        # A rule that says nothing of patches is about all of them; AWS has no empty rule.
        filters=_filters(rule, windows=system == OperatingSystem.WINDOWS) or (Filter("PRODUCT", ("*",)),),
        approve_after_days=days,
        approve_until=rule.approve_until.isoformat() if rule.approve_until else None,
        compliance=rule.compliance,
        non_security=rule.non_security,
    )


def _filters(given: Filters, *, windows: bool) -> tuple[Filter, ...]:
    values: Mapping[str, tuple[str, ...]] = {
        "PRODUCT": given.product,
        "PRODUCT_FAMILY": given.product_family,
        "CLASSIFICATION": given.classification,
        "MSRC_SEVERITY" if windows else "SEVERITY": given.severity,
        "PRIORITY": given.priority,
        "SECTION": given.section,
        "PATCH_SET": (given.patch_set,) if given.patch_set else (),
    }
    return tuple(Filter(key, tuple(sorted(values[key]))) for key in sorted(values) if values[key])


def _window_objects(policy: Policy, window: Window, account: str, region: str) -> dict[Key, AWSObject]:
    native = window.trigger == "native" and not window.installs
    found: dict[Key, AWSObject] = {
        Key(WINDOW, window.name): MaintenanceWindow(
            name=object_name(policy.deployment, window.name),
            description=f"Sluice, deployment {policy.deployment}: {window.operation}"
            f" {'on its own schedule' if native else 'opened by a release'}.",
            schedule=window.schedule,
            time_zone=window.time_zone,
            duration_hours=window.duration_hours,
            cutoff_hours=window.cutoff_hours,
            enabled=native,
            start_date=None if native else NOT_BEFORE,
        )
    }
    for slot in slots(policy, window):
        name = part_of(window.name, slot.name)
        found[Key(TARGET, name)] = _target(policy, window, slot)
        found[Key(TASK, name)] = _task(policy, window, slot, account, region)
    return found


def steps_apart(policy: Policy, window: Window) -> tuple[WindowStep, ...]:
    """The steps of a window that have a window of their own; none where the policy only observes."""
    return tuple(step for step in steps(window) if not step.on_nodes and policy.mode == "release")


def _step_objects(policy: Policy, window: Window, step: WindowStep, account: str, region: str) -> dict[Key, AWSObject]:
    """The window of a step without nodes: opened by releases, and at rest as its window is."""
    name = own_window(window.name, step)
    return {
        Key(WINDOW, name): MaintenanceWindow(
            name=object_name(policy.deployment, name),
            description=f"Sluice, deployment {policy.deployment}: {step.name} of {window.name}, opened by a release.",
            schedule=window.schedule,
            time_zone=window.time_zone,
            duration_hours=window.duration_hours,
            cutoff_hours=window.cutoff_hours,
            enabled=False,
            start_date=NOT_BEFORE,
        ),
        Key(TASK, part_of(name, step.name)): WindowTask(
            window=name,
            name=step.name,
            target="",
            document=step.what,
            operation="",
            reboot_option="",
            concurrency="",
            errors="",
            cutoff_behavior=_cutoff_behavior(window),
            service_role=service_role(policy, next(iter(groups_of(policy, window)), None), account, region),
            log_bucket=None,
            log_prefix=None,
            task_type=step.task_type,
            timeout_seconds=0,
            other_parameters=step.parameters,
        ),
    }


def _cutoff_behavior(window: Window) -> str:
    return "CANCEL_TASK" if window.cutoff_behavior == "cancel" else "CONTINUE_TASK"


def _target(policy: Policy, window: Window, slot: Slot) -> WindowTarget:
    scans_group = slot.group is not None and not window.installs
    return WindowTarget(
        window=window.name,
        name=slot.name,
        key=f"tag:{policy.tags.patch_group}" if scans_group else f"tag:{RELEASE_TAG}",
        values=(slot.group.name,) if slot.group and scans_group else (NOBODY,),
        owner_information=_owner_information(policy.deployment, window.name, slot.name),
    )


def _owner_information(deployment: str, window: str, slot: str) -> str:
    longest = 128  # B:OwnerInformation
    return f"sluice/{deployment}/{window}/{slot}"[:longest]


def _task(policy: Policy, window: Window, slot: Slot, account: str, region: str) -> WindowTask:
    logs = window.logs or policy.logs
    bucket = bucket_in(logs.bucket, account, region) if logs.bucket else None
    return WindowTask(
        window=window.name,
        name=slot.name,
        target=slot.name,
        document=PATCH_DOCUMENT,
        operation="Scan",
        reboot_option="NoReboot",
        concurrency=window.concurrency,
        errors=window.errors,
        cutoff_behavior=_cutoff_behavior(window),
        service_role=service_role(policy, slot.group, account, region),
        log_bucket=bucket,
        log_prefix="/".join(part for part in (logs.prefix.strip("/"), window.name, slot.name) if part)
        if bucket
        else None,
    )


def service_role(policy: Policy, group: PatchGroup | None, account: str, region: str) -> str | None:
    """The ARN of the role that a window's task runs as: its ring's. None: AWS's service-linked one.

    Nodes without a group have no ring; they are scanned as the first, which is never production.
    """
    if not policy.roles.assume:
        return None
    ring = group.ring if group else policy.rings[0].name
    name = policy.roles.window_service.replace("{ring}", ring)
    return f"arn:{partition_of(region)}:iam::{account}:role{policy.roles.path}{name}"


def partition_of(region: str) -> str:
    """The partition that a Region is in: `aws`, `aws-cn` or `aws-us-gov`."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def _extras(policy: Policy, account: str, region: str) -> Iterator[tuple[Key, AWSObject]]:
    if policy.extras.config_rule:
        rule = ConfigRule(config_rule_name(policy.deployment))
        yield Key(CONFIG_RULE, rule.name), rule
    if policy.extras.data_sync_bucket:
        bucket = bucket_in(policy.extras.data_sync_bucket, account, region)
        sync = DataSync(data_sync_name(policy.deployment), bucket, region)
        yield Key(DATA_SYNC, sync.name), sync


def config_rule_name(deployment: str) -> str:
    """The Config rule of a deployment."""
    return f"{deployment}-patch-compliance"


def data_sync_name(deployment: str) -> str:
    """The resource data sync of a deployment."""
    return f"{deployment}-inventory"[:64]
