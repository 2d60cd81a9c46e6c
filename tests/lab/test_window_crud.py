"""Windows: creating, reading, changing and deleting them, as a client of AWS sees it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.testing import LabHandle

UNKNOWN = "mw-00000000000000000"


@pytest.fixture
def ssm(lab: LabHandle) -> Any:
    return lab.client("ssm")


def create(ssm: Any, name: str = "patching", **members: Any) -> str:
    given = {"Schedule": "cron(0 2 ? * TUE#2 *)", "Duration": 4, "Cutoff": 1, "AllowUnassociatedTargets": False}
    return str(ssm.create_maintenance_window(Name=name, **{**given, **members})["WindowId"])


def get(ssm: Any, window: str) -> dict[str, Any]:
    answer = ssm.get_maintenance_window(WindowId=window)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def names(ssm: Any, *filters: dict[str, Any]) -> list[str]:
    pages = ssm.get_paginator("describe_maintenance_windows").paginate(Filters=list(filters))
    return [window["Name"] for page in pages for window in page["WindowIdentities"]]


def test_a_window_keeps_everything_it_is_created_with(ssm: Any) -> None:
    members = {
        "Description": "second Tuesday",
        "StartDate": "2025-06-01T00:00:00+02:00",
        "EndDate": "2026-06-01T00:00:00+02:00",
        "ScheduleTimezone": "Europe/Paris",
        "ScheduleOffset": 2,
    }
    window = get(ssm, create(ssm, **members))
    assert {name: window[name] for name in members} == members
    assert window["Name"] == "patching"
    assert window["Schedule"] == "cron(0 2 ? * TUE#2 *)"
    assert (window["Duration"], window["Cutoff"], window["AllowUnassociatedTargets"]) == (4, 1, False)
    assert window["Enabled"] is True
    assert window["CreatedDate"] == window["ModifiedDate"] == datetime(2025, 6, 2, tzinfo=UTC)


def test_what_was_not_given_is_not_answered(ssm: Any) -> None:
    window = get(ssm, create(ssm))
    assert not {"Description", "StartDate", "EndDate", "ScheduleTimezone", "ScheduleOffset"} & window.keys()


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"Schedule": "cron(0 2 ? * TUE#2 *)"}, "2025-06-10T02:00Z"),
        ({"Schedule": "cron(0 2 ? * TUE#2 *)", "ScheduleTimezone": "Europe/Paris"}, "2025-06-10T02:00+02:00"),
        ({"Schedule": "cron(0 2 1 12 ? *)", "ScheduleTimezone": "America/Los_Angeles"}, "2025-12-01T02:00-08:00"),
        ({"Schedule": "cron(24 30 2 ? * * *)"}, "2025-06-02T02:30:24Z"),
        ({"Schedule": "at(2025-07-07T15:55:00)", "ScheduleTimezone": "Asia/Kolkata"}, "2025-07-07T21:25+05:30"),
        ({"Schedule": "at(9999-12-31T23:00:00)", "ScheduleTimezone": "Asia/Tokyo"}, "9999-12-31T23:00Z"),
    ],
)
def test_the_next_execution_time_is_written_in_the_windows_zone_without_needless_seconds(
    ssm: Any, members: dict[str, Any], expected: str
) -> None:
    assert get(ssm, create(ssm, **members))["NextExecutionTime"] == expected


def test_a_rate_runs_one_interval_after_the_window_was_created_to_the_millisecond(lab: LabHandle, ssm: Any) -> None:
    lab.advance(seconds=4, milliseconds=99)
    assert get(ssm, create(ssm, Schedule="rate(3 days)"))["NextExecutionTime"] == "2025-06-05T00:00:04.099Z"


@pytest.mark.parametrize(
    "members",
    [
        {"Schedule": "at(2025-06-01T00:00:00)"},
        {"Schedule": "cron(0 2 31 2 ? *)"},
        {"EndDate": "2025-06-01T00:00:00Z"},
        {"Schedule": "rate(1 day)", "EndDate": "2025-06-02T12:00:00Z"},
    ],
)
def test_a_window_that_never_runs_again_has_no_next_execution_time(ssm: Any, members: dict[str, Any]) -> None:
    assert "NextExecutionTime" not in get(ssm, create(ssm, **members))


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"Cutoff": 4}, r"Cutoff was 4 but must be smaller than 3 \(Duration - 1\)"),
        ({"Schedule": "every second Tuesday"}, "Schedule expressions must have the following syntax"),
        ({"Schedule": "cron(0 2 * * TUE *)"}, "both a day-of-week AND a day-of-month parameter is not supported"),
        ({"Schedule": "cron(0 2 * *)"}, "Invalid CRON expression"),
        ({"Schedule": "rate(1 days)"}, r"rate\(1 day\)"),
        ({"ScheduleTimezone": "Europe/Atlantis"}, "Europe/Atlantis is a malformed timezone"),
        ({"StartDate": "next week"}, "DateTime next week is malformed"),
        ({"EndDate": "2025-13-01T00:00:00Z"}, "DateTime 2025-13-01T00:00:00Z is malformed"),
        (
            {"StartDate": "2025-08-01T00:00:00Z", "EndDate": "2025-07-01T00:00:00Z"},
            "Window start date must be before window end date",
        ),
        ({"Schedule": "rate(7 days)", "ScheduleOffset": 1}, "An offset can't be added to the specified schedule"),
        ({"Tags": [{"Key": "aws:owner", "Value": "x"}]}, "aws:"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused_and_not_created(ssm: Any, members: dict[str, Any], said: str) -> None:
    with pytest.raises(ClientError, match=said) as refused:
        create(ssm, **members)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert names(ssm) == []


def test_a_cutoff_one_hour_below_the_duration_is_taken(ssm: Any) -> None:
    assert get(ssm, create(ssm, Duration=2, Cutoff=1))["Cutoff"] == 1


def test_tags_given_at_creation_are_the_windows_tags_until_it_is_deleted(ssm: Any) -> None:
    window = create(ssm, Tags=[{"Key": "owner", "Value": "sluice"}])
    listed = ssm.list_tags_for_resource(ResourceType="MaintenanceWindow", ResourceId=window)["TagList"]
    assert listed == [{"Key": "owner", "Value": "sluice"}]
    ssm.delete_maintenance_window(WindowId=window)
    with pytest.raises(ClientError, match="InvalidResourceId"):
        ssm.list_tags_for_resource(ResourceType="MaintenanceWindow", ResourceId=window)


def test_the_list_has_every_window_in_pages(ssm: Any) -> None:
    created = [create(ssm, f"window-{index:02d}") for index in range(25)]
    first = ssm.describe_maintenance_windows(MaxResults=10)
    second = ssm.describe_maintenance_windows(MaxResults=10, NextToken=first["NextToken"])
    third = ssm.describe_maintenance_windows(MaxResults=10, NextToken=second["NextToken"])
    found = [window["WindowId"] for page in (first, second, third) for window in page["WindowIdentities"]]
    assert found == created
    assert "NextToken" not in third
    assert first["WindowIdentities"][0]["NextExecutionTime"] == "2025-06-10T02:00Z"


def test_the_list_is_filtered_by_the_names_beginning_and_by_enabled(ssm: Any) -> None:
    create(ssm, "prod-linux")
    off = create(ssm, "prod-windows")
    create(ssm, "test-linux")
    ssm.update_maintenance_window(WindowId=off, Enabled=False)
    assert names(ssm, {"Key": "Name", "Values": ["prod"]}) == ["prod-linux", "prod-windows"]
    assert names(ssm, {"Key": "Name", "Values": ["test-linux", "prod-w"]}) == ["prod-windows", "test-linux"]
    assert names(ssm, {"Key": "Enabled", "Values": ["True"]}) == ["prod-linux", "test-linux"]
    assert names(ssm, {"Key": "Enabled", "Values": ["false"]}) == ["prod-windows"]
    both = [{"Key": "Name", "Values": ["prod"]}, {"Key": "Enabled", "Values": ["true"]}]
    assert names(ssm, *both) == ["prod-linux"]


def test_an_unknown_filter_is_refused_rather_than_ignored(ssm: Any) -> None:
    with pytest.raises(ClientError, match="Supported keys are Name, Enabled"):
        names(ssm, {"Key": "Nmae", "Values": ["prod"]})


def test_an_update_changes_what_it_names_and_nothing_else(lab: LabHandle, ssm: Any) -> None:
    window = create(ssm, Description="old", ScheduleTimezone="Europe/Paris")
    before = get(ssm, window)
    lab.advance(hours=1)
    answer = ssm.update_maintenance_window(WindowId=window, Duration=6, Description="new")
    after = get(ssm, window)
    assert answer["Duration"] == after["Duration"] == 6
    assert after == {
        **before,
        "Duration": 6,
        "Description": "new",
        "ModifiedDate": datetime(2025, 6, 2, 1, tzinfo=UTC),
    }


def test_an_update_that_is_refused_changes_nothing(lab: LabHandle, ssm: Any) -> None:
    window = create(ssm)
    before = get(ssm, window)
    lab.advance(hours=1)
    for wrong in ({"Duration": 1}, {"Name": "new", "Schedule": "never"}, {"Schedule": "rate(1 day)", "Replace": True}):
        with pytest.raises(ClientError, match="ValidationException"):
            ssm.update_maintenance_window(WindowId=window, **wrong)
    assert get(ssm, window) == before


def test_replace_drops_the_optional_members_that_are_left_out(ssm: Any) -> None:
    window = create(ssm, Description="old", ScheduleTimezone="Europe/Paris", ScheduleOffset=1)
    ssm.update_maintenance_window(
        WindowId=window,
        Replace=True,
        Name="patching",
        Schedule="cron(0 2 ? * TUE#2 *)",
        Duration=4,
        Cutoff=1,
        AllowUnassociatedTargets=True,
    )
    after = get(ssm, window)
    assert not {"Description", "ScheduleTimezone", "ScheduleOffset"} & after.keys()
    assert after["AllowUnassociatedTargets"] is True
    assert after["Enabled"] is True


def test_replace_names_every_required_member_that_is_left_out(ssm: Any) -> None:
    window = create(ssm)
    with pytest.raises(ClientError, match="4 validation errors detected: Value null at 'schedule'") as refused:
        ssm.update_maintenance_window(WindowId=window, Replace=True, Name="patching")
    assert "allowUnassociatedTargets" in str(refused.value)


def test_a_change_of_anything_but_the_schedule_does_not_move_a_rates_runs(lab: LabHandle, ssm: Any) -> None:
    window = create(ssm, Schedule="rate(1 day)")
    lab.advance(hours=5)
    ssm.update_maintenance_window(WindowId=window, Description="renamed", Duration=2)
    assert get(ssm, window)["NextExecutionTime"] == "2025-06-03T00:00Z"
    ssm.update_maintenance_window(WindowId=window, Schedule="rate(2 days)")
    assert get(ssm, window)["NextExecutionTime"] == "2025-06-04T05:00Z"


def test_a_rate_counts_anew_when_the_window_is_enabled_again(lab: LabHandle, ssm: Any) -> None:
    window = create(ssm, Schedule="rate(1 day)")
    ssm.update_maintenance_window(WindowId=window, Enabled=False)
    lab.advance(hours=5)
    ssm.update_maintenance_window(WindowId=window, Enabled=True)
    assert get(ssm, window)["NextExecutionTime"] == "2025-06-03T05:00Z"


def test_an_offset_set_after_its_base_day_loses_this_periods_run(lab: LabHandle, ssm: Any) -> None:
    window = create(ssm)
    lab.advance(days=9)  # Wednesday after the second Tuesday
    ssm.update_maintenance_window(WindowId=window, ScheduleOffset=3)
    assert get(ssm, window)["NextExecutionTime"] == "2025-07-11T02:00Z"


def test_a_deleted_window_is_gone_with_its_targets_and_tasks(ssm: Any) -> None:
    window = create(ssm)
    ssm.register_target_with_maintenance_window(
        WindowId=window, ResourceType="INSTANCE", Targets=[{"Key": "tag:role", "Values": ["web"]}]
    )
    assert ssm.delete_maintenance_window(WindowId=window)["WindowId"] == window
    assert names(ssm) == []
    with pytest.raises(ClientError, match="DoesNotExistException"):
        ssm.describe_maintenance_window_targets(WindowId=window)


def test_a_deleted_window_fires_no_more_and_its_history_stays(lab: LabHandle, ssm: Any) -> None:
    window = create(ssm, Schedule="rate(1 hour)")
    lab.advance(minutes=61)
    ssm.delete_maintenance_window(WindowId=window)
    lab.advance(hours=5)
    assert [run.window_id for run in lab.location().executions.values()] == [window]


def test_enabling_and_disabling_a_window_is_told_to_eventbridge(lab: LabHandle, ssm: Any) -> None:
    window, sqs, events = create(ssm), lab.client("sqs"), lab.client("events")
    queue = sqs.create_queue(QueueName="events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="windows", EventPattern=json.dumps({"source": ["aws.ssm"]}))
    events.put_targets(Rule="windows", Targets=[{"Id": "queue", "Arn": arn}])
    for enabled in (False, False, True):
        ssm.update_maintenance_window(WindowId=window, Enabled=enabled)
    lab.advance(minutes=1)
    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    told = [json.loads(message["Body"]) for message in messages]
    assert {event["detail-type"] for event in told} == {"Maintenance Window State-change Notification"}
    assert [event["detail"]["status"] for event in told] == ["DISABLED", "ENABLED"]
    assert {event["detail"]["window-id"] for event in told} == {window}


def test_a_page_token_is_good_for_the_request_that_got_it_only(ssm: Any) -> None:
    for number in range(12):
        create(ssm, f"window-{number}")
    token = ssm.describe_maintenance_windows(MaxResults=10)["NextToken"]
    assert len(ssm.describe_maintenance_windows(MaxResults=50, NextToken=token)["WindowIdentities"]) == 2
    for refused in ({"NextToken": "mine"}, {"NextToken": f"lab-page-{'9' * 30}"}, {"NextToken": f"{token}0"}):
        with pytest.raises(ClientError, match="ValidationException"):
            ssm.describe_maintenance_windows(**refused)
    with pytest.raises(ClientError, match="ValidationException"):
        ssm.describe_maintenance_windows(NextToken=token, Filters=[{"Key": "Enabled", "Values": ["true"]}])
    with pytest.raises(ClientError, match="InvalidNextToken"):
        ssm.list_documents(NextToken=token)


def test_deleting_a_window_that_is_not_there_is_no_error(ssm: Any) -> None:
    assert ssm.delete_maintenance_window(WindowId=UNKNOWN)["WindowId"] == UNKNOWN


@pytest.mark.parametrize("operation", ["get_maintenance_window", "update_maintenance_window"])
def test_an_unknown_window_does_not_exist(ssm: Any, operation: str) -> None:
    with pytest.raises(ClientError, match=f"Maintenance window {UNKNOWN} does not exist") as refused:
        getattr(ssm, operation)(WindowId=UNKNOWN)
    assert refused.value.response["Error"]["Code"] == "DoesNotExistException"


def test_windows_of_another_region_are_not_seen(lab: LabHandle, ssm: Any) -> None:
    window = create(ssm)
    elsewhere = lab.client("ssm", region="us-east-1")
    assert elsewhere.describe_maintenance_windows()["WindowIdentities"] == []
    with pytest.raises(ClientError, match="DoesNotExistException"):
        elsewhere.get_maintenance_window(WindowId=window)
