"""Targets of windows: what may be registered, how they change and when they go."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.testing import LabHandle

NODE = "i-0123456789abcdef0"
WEB = [{"Key": "tag:Patch Group", "Values": ["web"]}]
UNKNOWN = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def ssm(lab: LabHandle) -> Any:
    return lab.client("ssm")


@pytest.fixture
def window(ssm: Any) -> str:
    answer = ssm.create_maintenance_window(
        Name="patching", Schedule="rate(7 days)", Duration=4, Cutoff=1, AllowUnassociatedTargets=False
    )
    return str(answer["WindowId"])


def register(ssm: Any, window: str, targets: Any = WEB, kind: str = "INSTANCE", **members: Any) -> str:
    answer = ssm.register_target_with_maintenance_window(WindowId=window, Targets=targets, ResourceType=kind, **members)
    return str(answer["WindowTargetId"])


def listed(ssm: Any, window: str, *filters: dict[str, Any]) -> list[dict[str, Any]]:
    pages = ssm.get_paginator("describe_maintenance_window_targets").paginate(WindowId=window, Filters=list(filters))
    return [target for page in pages for target in page["Targets"]]


def test_a_target_keeps_everything_it_is_registered_with(ssm: Any, window: str) -> None:
    members = {"OwnerInformation": "wave 1", "Name": "web", "Description": "front ends"}
    target = register(ssm, window, **members)
    expected = {"WindowId": window, "WindowTargetId": target, "ResourceType": "INSTANCE", "Targets": WEB, **members}
    assert listed(ssm, window) == [expected]


def test_what_was_not_given_is_not_answered(ssm: Any, window: str) -> None:
    register(ssm, window)
    assert listed(ssm, window)[0].keys() == {"WindowId", "WindowTargetId", "ResourceType", "Targets"}


@pytest.mark.parametrize(
    ("kind", "targets"),
    [
        ("INSTANCE", [{"Key": "InstanceIds", "Values": [f"i-{index:017x}" for index in range(50)]}]),
        ("INSTANCE", [{"Key": f"tag:key-{index}", "Values": ["a", "b"]} for index in range(5)]),
        ("INSTANCE", [{"Key": "tag-key", "Values": ["Patch Group", "role"]}]),
        ("INSTANCE", [{"Key": "tag-key", "Values": ["role"]}, {"Key": "tag:stage", "Values": ["prod"]}]),
        ("RESOURCE_GROUP", [{"Key": "resource-groups:Name", "Values": ["web-servers"]}]),
        (
            "RESOURCE_GROUP",
            [
                {"Key": "resource-groups:Name", "Values": ["web-servers"]},
                {"Key": "resource-groups:ResourceTypeFilters", "Values": ["AWS::EC2::Instance"]},
            ],
        ),
    ],
)
def test_nodes_tags_and_resource_groups_may_be_targets(
    ssm: Any, window: str, kind: str, targets: list[dict[str, Any]]
) -> None:
    register(ssm, window, targets, kind)
    assert listed(ssm, window)[0]["Targets"] == targets


@pytest.mark.parametrize(
    ("kind", "targets", "said"),
    [
        ("INSTANCE", [], "Please specify at least one target"),
        ("INSTANCE", [{"Key": "tag:Patch Group", "Values": []}], "Filter values can't be null and tag:Patch Group is"),
        ("INSTANCE", [{"Values": ["web"]}], "Please specify at least one target"),
        ("INSTANCE", [{"Key": "instanceids", "Values": [NODE]}], "Target Type does not match"),
        ("INSTANCE", [{"Key": "tag:", "Values": ["web"]}], "Target Type does not match"),
        ("INSTANCE", [{"Key": "WindowTargetIds", "Values": [UNKNOWN]}], "Target Type does not match"),
        ("INSTANCE", [{"Key": "resource-groups:Name", "Values": ["g"]}], "Target Type does not match"),
        ("RESOURCE_GROUP", WEB, "Target Type does not match"),
        ("INSTANCE", [{"Key": "InstanceIds", "Values": [NODE]}, *WEB], "one of the following formats"),
        ("INSTANCE", [{"Key": "InstanceIds", "Values": [NODE]}] * 2, "one of the following formats"),
        (
            "RESOURCE_GROUP",
            [{"Key": "resource-groups:ResourceTypeFilters", "Values": ["AWS::EC2::Instance"]}],
            "one of the following formats",
        ),
        (
            "INSTANCE",
            [{"Key": "InstanceIds", "Values": [f"i-{n:017x}" for n in range(51)]}],
            "less than or equal to 50",
        ),
        ("INSTANCE", [{"Key": f"tag:key-{n}", "Values": ["a"]} for n in range(6)], "less than or equal to 5"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused_and_not_registered(
    ssm: Any, window: str, kind: str, targets: list[dict[str, Any]], said: str
) -> None:
    with pytest.raises(ClientError, match=said) as refused:
        register(ssm, window, targets, kind)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert listed(ssm, window) == []


def test_targets_are_filtered_by_type_id_and_owner_in_pages(ssm: Any, window: str) -> None:
    targets = [register(ssm, window, OwnerInformation=f"wave {index % 2}") for index in range(60)]
    group = register(ssm, window, [{"Key": "resource-groups:Name", "Values": ["g"]}], "RESOURCE_GROUP")

    def ids(*filters: dict[str, Any]) -> list[str]:
        return [target["WindowTargetId"] for target in listed(ssm, window, *filters)]

    assert ids() == [*targets, group]
    assert ids({"Key": "Type", "Values": ["RESOURCE_GROUP"]}) == [group]
    assert ids({"Key": "WindowTargetId", "Values": targets[3:5]}) == targets[3:5]
    assert ids({"Key": "OwnerInformation", "Values": ["wave 1"]}) == targets[1::2]
    assert ids({"Key": "OwnerInformation", "Values": ["wave 1"]}, {"Key": "Type", "Values": ["RESOURCE_GROUP"]}) == []
    with pytest.raises(ClientError, match="Supported keys are Type, WindowTargetId, OwnerInformation"):
        ids({"Key": "Name", "Values": ["web"]})


def test_an_update_changes_what_it_names_and_nothing_else(ssm: Any, window: str) -> None:
    target = register(ssm, window, OwnerInformation="wave 1", Name="web")
    answer = ssm.update_maintenance_window_target(WindowId=window, WindowTargetId=target, Name="front")
    assert answer["Targets"] == WEB
    assert (answer["Name"], answer["OwnerInformation"]) == ("front", "wave 1")
    assert listed(ssm, window)[0]["Name"] == "front"


def test_replace_drops_what_is_left_out_and_wants_the_targets(ssm: Any, window: str) -> None:
    target = register(ssm, window, OwnerInformation="wave 1", Name="web", Description="front ends")
    with pytest.raises(ClientError, match="Value null at 'targets'"):
        ssm.update_maintenance_window_target(WindowId=window, WindowTargetId=target, Replace=True, Name="web")
    ssm.update_maintenance_window_target(WindowId=window, WindowTargetId=target, Replace=True, Name="web", Targets=WEB)
    assert listed(ssm, window)[0].keys() == {"WindowId", "WindowTargetId", "ResourceType", "Targets", "Name"}


def test_a_targets_type_follows_its_keys_when_they_change(ssm: Any, window: str) -> None:
    target = register(ssm, window)
    ssm.update_maintenance_window_target(
        WindowId=window, WindowTargetId=target, Targets=[{"Key": "resource-groups:Name", "Values": ["g"]}]
    )
    assert listed(ssm, window)[0]["ResourceType"] == "RESOURCE_GROUP"
    with pytest.raises(ClientError, match="Target Type does not match"):
        ssm.update_maintenance_window_target(
            WindowId=window, WindowTargetId=target, Targets=[{"Key": "resource-groups:Name", "Values": ["g"]}, *WEB]
        )


def test_a_safe_deregistration_keeps_a_target_that_a_task_names(ssm: Any, window: str) -> None:
    target = register(ssm, window)
    task = ssm.register_task_with_maintenance_window(
        WindowId=window,
        TaskType="RUN_COMMAND",
        TaskArn="AWS-RunPatchBaseline",
        Targets=[{"Key": "WindowTargetIds", "Values": [target]}],
        MaxConcurrency="1",
        MaxErrors="1",
    )["WindowTaskId"]
    with pytest.raises(ClientError, match=f"it is still referenced in Task: {task}") as refused:
        ssm.deregister_target_from_maintenance_window(WindowId=window, WindowTargetId=target, Safe=True)
    assert refused.value.response["Error"]["Code"] == "TargetInUseException"
    assert len(listed(ssm, window)) == 1
    answer = ssm.deregister_target_from_maintenance_window(WindowId=window, WindowTargetId=target)
    assert (answer["WindowId"], answer["WindowTargetId"]) == (window, target)
    assert listed(ssm, window) == []
    kept = ssm.get_maintenance_window_task(WindowId=window, WindowTaskId=task)["Targets"]
    assert kept == [{"Key": "WindowTargetIds", "Values": [target]}]


def test_a_safe_deregistration_removes_a_target_that_no_task_names(ssm: Any, window: str) -> None:
    target = register(ssm, window)
    ssm.deregister_target_from_maintenance_window(WindowId=window, WindowTargetId=target, Safe=True)
    assert listed(ssm, window) == []


@pytest.mark.parametrize("operation", ["update_maintenance_window_target", "deregister_target_from_maintenance_window"])
def test_an_unknown_target_does_not_exist(ssm: Any, window: str, operation: str) -> None:
    with pytest.raises(ClientError, match=f"Window target {UNKNOWN} does not exist") as refused:
        getattr(ssm, operation)(WindowId=window, WindowTargetId=UNKNOWN)
    assert refused.value.response["Error"]["Code"] == "DoesNotExistException"


def test_a_target_of_another_window_does_not_exist_in_this_one(ssm: Any, window: str) -> None:
    other = ssm.create_maintenance_window(
        Name="other", Schedule="rate(7 days)", Duration=4, Cutoff=1, AllowUnassociatedTargets=False
    )["WindowId"]
    target = register(ssm, other)
    with pytest.raises(ClientError, match="DoesNotExistException"):
        ssm.update_maintenance_window_target(WindowId=window, WindowTargetId=target, Name="mine")
