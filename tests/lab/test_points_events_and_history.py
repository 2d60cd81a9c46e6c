"""Points 24 and 25 of the check-list: notifications are best effort, history is thirty days, calls are throttled."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from world_builder import add_nodes, add_target, add_task, add_window, admin, executions, invocations

from lab.testing import LabHandle


@pytest.fixture
def queue(lab: LabHandle) -> str:
    """A queue that gets every event of Systems Manager; answers its URL."""
    sqs, events = lab.client("sqs"), lab.client("events")
    url = sqs.create_queue(QueueName="events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="all", EventPattern=json.dumps({"source": ["aws.ssm"]}))
    events.put_targets(Rule="all", Targets=[{"Id": "queue", "Arn": arn}])
    return str(url)


def received(lab: LabHandle, queue: str) -> list[dict[str, Any]]:
    """Every event in the queue."""
    sqs = lab.client("sqs")
    found: list[dict[str, Any]] = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        found += [json.loads(message["Body"]) for message in messages]
        for message in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return found


def run_a_window(lab: LabHandle) -> str:
    """A window that scans two nodes; answers its id once it has run."""
    add_nodes(lab, 2)
    window = add_window(lab)
    add_task(lab, window, [add_target(lab, window)])
    lab.advance(hours=2)
    return window


def statuses(events: list[dict[str, Any]], kind: str) -> list[str]:
    """The statuses of one kind of event, in order."""
    return [event["detail"]["status"] for event in events if event["detail-type"] == kind]


def test_point_24_each_state_of_an_execution_is_notified(lab: LabHandle, queue: str) -> None:
    window = run_a_window(lab)
    events = received(lab, queue)
    assert statuses(events, "Maintenance Window Execution State-change Notification") == ["IN_PROGRESS", "SUCCESS"]
    assert statuses(events, "Maintenance Window Task Execution State-change Notification") == ["IN_PROGRESS", "SUCCESS"]
    invocation = "Maintenance Window Task Target Invocation State-change Notification"
    assert statuses(events, invocation) == ["IN_PROGRESS", "SUCCESS"]
    assert statuses(events, "EC2 Command Invocation Status-change Notification").count("Success") == 2
    assert {event["detail"]["window-id"] for event in events if "window-id" in event["detail"]} == {window}
    assert {(event["source"], event["account"], event["region"]) for event in events} == {
        ("aws.ssm", "111111111111", "eu-west-3")
    }


def test_point_24_a_notification_names_the_window_or_the_node_that_it_is_about(lab: LabHandle, queue: str) -> None:
    window = run_a_window(lab)
    nodes = {f"arn:aws:ec2:eu-west-3:111111111111:instance/{node}" for node in lab.location().nodes}
    named: dict[str, set[str]] = {}
    for event in received(lab, queue):
        named.setdefault(event["detail-type"].partition(" ")[0], set()).update(event["resources"])
    assert named == {
        "Maintenance": {f"arn:aws:ssm:eu-west-3:111111111111:maintenancewindow/{window}"},
        "EC2": nodes,
    }


def test_point_24_notifications_may_all_be_lost(lab: LabHandle, queue: str) -> None:
    lab.world.settings.notification_drop = 1.0
    window = run_a_window(lab)
    assert received(lab, queue) == []
    assert executions(lab, window)[0]["Status"] == "SUCCESS"


def test_point_24_notifications_may_come_twice(lab: LabHandle, queue: str) -> None:
    lab.world.settings.notification_repeat = 1.0
    run_a_window(lab)
    kind = "Maintenance Window Execution State-change Notification"
    assert sorted(statuses(received(lab, queue), kind)) == ["IN_PROGRESS", "IN_PROGRESS", "SUCCESS", "SUCCESS"]


def test_point_24_notifications_may_come_late(lab: LabHandle, queue: str) -> None:
    lab.world.settings.notification_delay_seconds = 86400
    run_a_window(lab)
    early = len(received(lab, queue))
    lab.advance(days=1)
    assert received(lab, queue)
    assert early < 5


def test_point_25_history_is_forgotten_after_thirty_days(lab: LabHandle) -> None:
    window = run_a_window(lab)
    execution = executions(lab, window)[0]["WindowExecutionId"]
    command = invocations(lab, execution)[0]["ExecutionId"]
    lab.advance(days=29)
    assert len(executions(lab, window)) == 1
    assert lab.client("ssm").list_commands(CommandId=command)["Commands"]
    lab.advance(days=2)
    assert executions(lab, window) == []
    with pytest.raises(ClientError, match="DoesNotExistException"):
        lab.client("ssm").get_maintenance_window_execution(WindowExecutionId=execution)
    with pytest.raises(ClientError, match="InvalidCommandId"):
        lab.client("ssm").list_commands(CommandId=command)


def test_point_25_an_operation_beyond_its_bucket_is_throttled_until_it_refills(lab: LabHandle) -> None:
    admin(
        lab,
        "PUT",
        "/lab/faults",
        {
            "rules": [
                {
                    "kind": "throttle",
                    "service": "ssm",
                    "operation": "DescribeMaintenanceWindows",
                    "rate": {"per_second": 1, "burst": 3, "clock": "lab"},
                }
            ]
        },
    )
    ssm = lab.client("ssm")
    for _ in range(3):
        ssm.describe_maintenance_windows()
    with pytest.raises(ClientError, match="Rate exceeded"):
        ssm.describe_maintenance_windows()
    ssm.describe_patch_groups()
    lab.advance(seconds=1)
    ssm.describe_maintenance_windows()


def test_a_reset_forgets_windows_executions_and_what_was_to_come(lab: LabHandle) -> None:
    run_a_window(lab)
    window = add_window(lab, "rate(1 hour)")
    admin(lab, "POST", "/lab/reset")
    lab.advance(hours=5)
    assert executions(lab, window) == []
    assert lab.client("ssm").describe_maintenance_windows()["WindowIdentities"] == []


def test_motos_own_reset_drops_pending_events_too(lab: LabHandle) -> None:
    window = add_window(lab, "rate(1 hour)")
    admin(lab, "POST", "/moto-api/reset")
    assert lab.world.clock.pending() == []
    lab.advance(hours=5)
    assert executions(lab, window) == []
