"""What DescribeMaintenanceWindowSchedule and DescribeMaintenanceWindowsForTarget say is to come."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.testing import LabHandle

NODE = "mi-0123456789abcdef0"
OTHER_NODE = "mi-0fedcba9876543210"


@pytest.fixture
def ssm(lab: LabHandle) -> Any:
    return lab.client("ssm")


def create(ssm: Any, name: str, schedule: str, **members: Any) -> str:
    given = {"Duration": 4, "Cutoff": 1, "AllowUnassociatedTargets": True, **members}
    return str(ssm.create_maintenance_window(Name=name, Schedule=schedule, **given)["WindowId"])


def target(ssm: Any, window: str, key: str, *values: str, kind: str = "INSTANCE") -> None:
    ssm.register_target_with_maintenance_window(
        WindowId=window, ResourceType=kind, Targets=[{"Key": key, "Values": list(values)}]
    )


def upcoming(ssm: Any, **request: Any) -> list[tuple[str, str]]:
    pages = ssm.get_paginator("describe_maintenance_window_schedule").paginate(**request)
    return [(run["Name"], run["ExecutionTime"]) for page in pages for run in page["ScheduledWindowExecutions"]]


def for_target(ssm: Any, key: str, *values: str, kind: str = "INSTANCE") -> list[str]:
    answer = ssm.describe_maintenance_windows_for_target(
        ResourceType=kind, Targets=[{"Key": key, "Values": list(values)}]
    )
    return [window["Name"] for window in answer["WindowIdentities"]]


def test_the_schedule_of_a_window_lists_its_runs_in_its_zone(ssm: Any) -> None:
    window = create(
        ssm, "patching", "cron(0 4 ? * SUN *)", ScheduleTimezone="Europe/Paris", EndDate="2025-06-16T00:00:00Z"
    )
    assert upcoming(ssm, WindowId=window) == [
        ("patching", "2025-06-08T04:00+02:00"),
        ("patching", "2025-06-15T04:00+02:00"),
    ]


def test_the_schedule_can_be_limited_to_before_and_after_a_date(ssm: Any) -> None:
    window = create(ssm, "daily", "cron(0 4 * * ? *)")
    filters = [
        {"Key": "ScheduledAfter", "Values": ["2025-12-30T04:00:00Z"]},
        {"Key": "ScheduledBefore", "Values": ["2026-01-02T04:00:00Z"]},
    ]
    assert [when for _, when in upcoming(ssm, WindowId=window, Filters=filters)] == [
        "2025-12-31T04:00Z",
        "2026-01-01T04:00Z",
    ]


def test_reading_every_page_of_an_endless_schedule_ends(ssm: Any) -> None:
    window = create(ssm, "often", "rate(5 minutes)")
    runs = upcoming(ssm, WindowId=window, PaginationConfig={"PageSize": 7})
    assert len(runs) == 100
    assert runs[0] == ("often", "2025-06-02T00:05Z")
    assert runs[-1] == ("often", "2025-06-02T08:20Z")


def test_a_page_of_the_schedule_has_as_many_runs_as_asked_for(ssm: Any) -> None:
    window = create(ssm, "daily", "cron(0 4 * * ? *)")
    page = ssm.describe_maintenance_window_schedule(WindowId=window, MaxResults=4)
    assert len(page["ScheduledWindowExecutions"]) == 4
    assert page["NextToken"]


def test_a_disabled_window_has_nothing_scheduled(ssm: Any) -> None:
    window = create(ssm, "daily", "cron(0 4 * * ? *)")
    ssm.update_maintenance_window(WindowId=window, Enabled=False)
    assert upcoming(ssm, WindowId=window) == []


def test_the_schedule_of_a_target_merges_its_windows_by_time(ssm: Any) -> None:
    sundays = create(ssm, "sundays", "cron(0 4 ? * SUN *)", EndDate="2025-06-20T00:00:00Z")
    once = create(ssm, "once", "at(2025-06-10T00:00:00)")
    create(ssm, "unrelated", "at(2025-06-09T00:00:00)")
    for window in (sundays, once):
        target(ssm, window, "tag:Patch Group", "web")
    wanted = [{"Key": "tag:Patch Group", "Values": ["web"]}]
    assert upcoming(ssm, Targets=wanted, ResourceType="INSTANCE") == [
        ("sundays", "2025-06-08T04:00Z"),
        ("once", "2025-06-10T00:00Z"),
        ("sundays", "2025-06-15T04:00Z"),
    ]


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"ResourceType": "INSTANCE"},
        {"Targets": [{"Key": "InstanceIds", "Values": [NODE]}]},
        {"Targets": [], "ResourceType": "INSTANCE"},
    ],
)
def test_the_schedule_of_nothing_is_refused(ssm: Any, request_: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        ssm.describe_maintenance_window_schedule(**request_)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"Key": "ScheduledOn", "Values": ["2025-06-10T00:00:00Z"]}, "ScheduledBefore, ScheduledAfter"),
        ({"Key": "ScheduledAfter", "Values": ["tomorrow"]}, "DateTime tomorrow is malformed"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(ssm: Any, given: dict[str, Any], said: str) -> None:
    window = create(ssm, "daily", "cron(0 4 * * ? *)")
    with pytest.raises(ClientError, match=said):
        ssm.describe_maintenance_window_schedule(WindowId=window, Filters=[given])


def test_the_schedule_of_an_unknown_window_does_not_exist(ssm: Any) -> None:
    with pytest.raises(ClientError, match="DoesNotExistException"):
        upcoming(ssm, WindowId="mw-00000000000000000")


def test_a_nodes_windows_are_those_that_name_it_or_its_tags_or_run_a_task_on_it(lab: LabHandle, ssm: Any) -> None:
    lab.location().hybrid_tags[NODE] = {"Patch Group": "web", "role": "front"}
    by_id = create(ssm, "by-id", "rate(1 day)")
    target(ssm, by_id, "InstanceIds", OTHER_NODE, NODE)
    by_tag = create(ssm, "by-tag", "rate(1 day)")
    target(ssm, by_tag, "tag:Patch Group", "db", "web")
    by_key = create(ssm, "by-key", "rate(1 day)")
    target(ssm, by_key, "tag-key", "role")
    by_task = create(ssm, "by-task", "rate(1 day)")
    ssm.register_task_with_maintenance_window(
        WindowId=by_task,
        TaskType="RUN_COMMAND",
        TaskArn="AWS-RunShellScript",
        Targets=[{"Key": "InstanceIds", "Values": [NODE]}],
        MaxConcurrency="1",
        MaxErrors="1",
    )
    elsewhere = create(ssm, "elsewhere", "rate(1 day)")
    target(ssm, elsewhere, "tag:Patch Group", "db")
    assert for_target(ssm, "InstanceIds", NODE) == ["by-id", "by-tag", "by-key", "by-task"]
    assert for_target(ssm, "InstanceIds", OTHER_NODE) == ["by-id"]
    assert for_target(ssm, "tag:Patch Group", "db") == ["by-tag", "elsewhere"]
    assert for_target(ssm, "tag-key", "role") == ["by-key"]
    assert for_target(ssm, "tag:Patch Group", "nobody") == []


def test_several_keys_of_a_target_must_all_match_a_node(lab: LabHandle, ssm: Any) -> None:
    tags = lab.location().hybrid_tags
    tags[NODE], tags[OTHER_NODE] = {"role": "web", "stage": "prod"}, {"role": "web", "stage": "test"}
    window = create(ssm, "prod-web", "rate(1 day)")
    both = [{"Key": "tag:role", "Values": ["web"]}, {"Key": "tag:stage", "Values": ["prod"]}]
    ssm.register_target_with_maintenance_window(WindowId=window, ResourceType="INSTANCE", Targets=both)
    assert for_target(ssm, "InstanceIds", NODE) == ["prod-web"]
    assert for_target(ssm, "InstanceIds", OTHER_NODE) == []


def test_a_resource_groups_windows_are_found_by_its_name(ssm: Any) -> None:
    window = create(ssm, "group", "rate(1 day)")
    target(ssm, window, "resource-groups:Name", "web-servers", kind="RESOURCE_GROUP")
    assert for_target(ssm, "resource-groups:Name", "web-servers", kind="RESOURCE_GROUP") == ["group"]
    assert for_target(ssm, "resource-groups:Name", "web-servers") == []
    assert for_target(ssm, "resource-groups:Name", "others", kind="RESOURCE_GROUP") == []
