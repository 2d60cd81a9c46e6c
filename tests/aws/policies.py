"""Policies for the tests of plan and apply, and short ways to plan and apply them on the lab."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.testing import LabHandle
from sluice.aws.actual import read_actual
from sluice.aws.apply import apply_plan
from sluice.aws.locations import Outcome, in_each
from sluice.aws.session import Connection, Connections, Duty
from sluice.core.policy.desired import desired
from sluice.core.policy.objects import AWSObject, Key
from sluice.core.policy.plan import Plan, make_plan
from sluice.core.policy.policy import Policy

FOUR = [
    {"account": account, "region": region}
    for account in ("111111111111", "222222222222")
    for region in ("eu-west-3", "eu-central-1")
]


def small(**changes: Any) -> Policy:
    """Two groups, three baselines, a scan window on its own schedule and an install window; `changes` to its keys."""
    return Policy.model_validate({**SMALL, **changes})


SMALL: Mapping[str, Any] = {
    "version": 1,
    "mode": "release",
    "rings": [{"name": "nonprod"}, {"name": "prod", "production": True, "soak": {"days": 7}}],
    "baselines": [
        {
            "name": "amazon",
            "os": "AMAZON_LINUX_2023",
            "rules": [{"classification": ["Security"], "approve_after_days": 0}],
            "default": True,
        },
        {"name": "ubuntu", "os": "UBUNTU", "rules": [{"priority": ["Required", "Important"]}]},
        {
            "name": "windows",
            "os": "WINDOWS",
            "rules": [{"classification": "SecurityUpdates", "severity": "Critical", "approve_after_days": 7}],
            "rejected": {"patches": ["KB4519998"], "action": "block"},
        },
    ],
    "patch_groups": [
        {
            "name": "nonprod-linux",
            "ring": "nonprod",
            "baselines": ["amazon", "ubuntu"],
            "products": ["AMAZON_LINUX_2023", "UBUNTU 22.04"],
        },
        {"name": "prod windows", "ring": "prod", "baselines": "windows", "products": "WINDOWS Server 2019"},
    ],
    "windows": [
        {
            "name": "scan-daily",
            "operation": "scan",
            "schedule": "cron(0 1 ? * * *)",
            "duration_hours": 2,
            "trigger": "native",
        },
        {
            "name": "install-nonprod",
            "operation": "install",
            "schedule": "cron(0 6 ? * MON-FRI *)",
            "time_zone": "Europe/Paris",
            "duration_hours": 4,
            "patch_groups": "nonprod-linux",
        },
    ],
    "logs": {"bucket": "logs-{account}-{region}", "prefix": "patching"},
    "extras": {"data_sync_bucket": "inventory-bucket"},
}


def changed(policy: Policy, *path: str | int, value: Any) -> Policy:
    """The policy with one value changed, e.g. `changed(policy, "windows", 0, "duration_hours", value=3)`."""
    data = policy.model_dump(mode="json", by_alias=True, exclude_unset=True)
    at: Any = data
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = value
    return Policy.model_validate(data)


def connect(policy: Policy, duty: Duty = Duty.POLICY_APPLIER) -> Connection:
    """A connection to the policy's first location."""
    return Connections.of(policy).open(policy.locations[0], duty)


def plan(connection: Connection, policy: Policy, *, empty: bool = False) -> Plan:
    """The plan of a location; `empty`: to remove everything."""
    wanted: Mapping[Key, AWSObject] = {} if empty else desired(policy, connection.account, connection.region)
    return make_plan(connection.account, connection.region, wanted, read_actual(connection, policy.deployment))


def apply(connection: Connection, policy: Policy, *take_over: str) -> Plan:
    """Plan and apply; the plan that was carried out."""
    made = plan(connection, policy)
    apply_plan(connection, policy.deployment, made, take_over)
    return made


def plan_everywhere(policy: Policy) -> list[Outcome[Plan]]:
    """The plan of every location."""
    return in_each(Connections.of(policy), policy.locations, Duty.READER, lambda connection: plan(connection, policy))


def apply_everywhere(policy: Policy) -> list[Outcome[Plan]]:
    """Plan and apply in every location."""
    return in_each(
        Connections.of(policy), policy.locations, Duty.POLICY_APPLIER, lambda connection: apply(connection, policy)
    )


def theirs_window(lab: LabHandle, group: str) -> str:
    """A window of others that installs on a patch group by the baseline registered there, called as one of ours."""
    ssm = lab.client("ssm")
    window: str = ssm.create_maintenance_window(
        Name="sluice-install-nonprod",
        Schedule="cron(0 5 ? * SUN *)",
        Duration=3,
        Cutoff=1,
        AllowUnassociatedTargets=False,
    )["WindowId"]
    target = ssm.register_target_with_maintenance_window(
        WindowId=window, ResourceType="INSTANCE", Targets=[{"Key": "tag:Patch Group", "Values": [group]}]
    )["WindowTargetId"]
    ssm.register_task_with_maintenance_window(
        WindowId=window,
        TaskArn="AWS-RunPatchBaseline",
        TaskType="RUN_COMMAND",
        MaxConcurrency="1",
        MaxErrors="1",
        Targets=[{"Key": "WindowTargetIds", "Values": [target]}],
        TaskInvocationParameters={"RunCommand": {"Parameters": {"Operation": ["Install"]}}},
    )
    return window


def state(lab: LabHandle, account: str = "111111111111", region: str = "eu-west-3") -> dict[str, Any]:
    """What a location's Systems Manager has, in names instead of ids: two that are alike are equal."""
    location = lab.location(account, region)
    baselines = {id: body.body["Name"] for id, body in location.baselines.items()}
    tags = location.ssm._resource_tags
    return {
        "baselines": sorted(
            (
                {k: v for k, v in one.body.items() if k not in ("BaselineId", "CreatedDate", "ModifiedDate")}
                | {"tags": dict(tags["PatchBaseline"][one.baseline_id])}
                for one in location.baselines.values()
            ),
            key=lambda body: (str(body["Name"]), str(body["OperatingSystem"])),
        ),
        "groups": {key: baselines.get(id, id) for key, id in sorted(location.patch_groups.items())},
        "defaults": {key: baselines.get(id, id) for key, id in sorted(location.default_baselines.items())},
        "documents": {
            name: (history.versions[history.default].text, dict(tags["Document"][name]))
            for name, history in location.documents.items()
        },
        "syncs": {name: sync["S3Destination"] for name, sync in location.data_syncs.items()},
        "windows": sorted((_window(one, tags) for one in location.windows.values()), key=str),
    }


def _window(window: Any, tags: Any) -> dict[str, Any]:
    names = {target.target_id: target.name for target in window.targets.values()}
    tasks = [
        (
            task.name,
            task.task_arn,
            task.invocation_parameters,
            [names[value] for group in task.targets for value in group["Values"]],
            task.max_concurrency,
            task.max_errors,
            task.priority,
            task.cutoff_behavior,
        )
        for task in window.tasks.values()
    ]
    return {
        "name": window.name,
        "schedule": (window.schedule, window.schedule_timezone, window.duration, window.cutoff),
        "enabled": window.enabled,
        "tags": dict(tags["MaintenanceWindow"][window.window_id]),
        "targets": sorted((one.name, one.targets, one.owner_information) for one in window.targets.values()),
        "tasks": sorted(tasks, key=str),
    }


INSTALL = "sluice-install-nonprod"


def window_named(lab: LabHandle, name: str) -> Any:
    return next(window for window in lab.location().windows.values() if window.name == name)


def foreign_things(lab: LabHandle) -> dict[str, str]:
    """A baseline, a registration, a window and an association of others, away from the policy's groups."""
    ssm = lab.client("ssm")
    baseline = ssm.create_patch_baseline(Name="sluice-amazon", OperatingSystem="AMAZON_LINUX_2023")["BaselineId"]
    ssm.register_patch_baseline_for_patch_group(BaselineId=baseline, PatchGroup="theirs")
    window = theirs_window(lab, "theirs")
    association = ssm.create_association(
        Name="AWS-RunPatchBaseline",
        Parameters={"Operation": ["Scan"]},
        Targets=[{"Key": "tag:Patch Group", "Values": ["theirs"]}],
    )["AssociationDescription"]["AssociationId"]
    return {"baseline": baseline, "window": window, "association": association}
