"""What the gate asks AWS: calendars, alarms, and when Windows' updates were issued."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lab.faults import FaultRule
from lab.testing import LabHandle
from sluice.aws import alarms, calendars, patch_catalog
from sluice.aws.session import Connection, Connections, Duty
from sluice.core.errors import AWSError
from sluice.core.policy.places import Location, Roles

NOW = datetime(2025, 6, 2, 12, tzinfo=UTC)


@pytest.fixture
def connection(lab: LabHandle, monkeypatch: pytest.MonkeyPatch) -> Connection:
    monkeypatch.setenv("AWS_ENDPOINT_URL", lab.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", lab.world.default_region)
    return Connections(Roles()).open(Location(), Duty.READER)


def calendar(lab: LabHandle, name: str, kind: str, event: str = "") -> None:
    text = f"BEGIN:VCALENDAR\r\nPRODID:-//x//EN\r\nVERSION:2.0\r\nX-CALENDAR-TYPE:{kind}\r\n{event}END:VCALENDAR\r\n"
    lab.client("ssm").create_document(Name=name, Content=text, DocumentType="ChangeCalendar", DocumentFormat="TEXT")


def test_a_calendar_is_asked_for_the_time_that_is_meant(lab: LabHandle, connection: Connection) -> None:
    event = "BEGIN:VEVENT\r\nUID:1\r\nDTSTART:20250603T000000Z\r\nDTEND:20250604T000000Z\r\nEND:VEVENT\r\n"
    calendar(lab, "changes", "DEFAULT_OPEN", event)
    assert calendars.state(connection, "changes", NOW) == "OPEN"
    assert calendars.state(connection, "changes", NOW.replace(day=3)) == "CLOSED"
    assert calendars.state(connection, "nowhere", NOW) == "missing"


def test_what_aws_refuses_to_say_is_unknown(lab: LabHandle, connection: Connection) -> None:
    calendar(lab, "changes", "DEFAULT_OPEN")
    for service in ("ssm", "cloudwatch"):
        lab.server.faults.add(FaultRule(kind="access_denied", service=service))
    assert calendars.state(connection, "changes", NOW).startswith("unknown: ")
    assert alarms.states(connection, ["errors"])["errors"].startswith("unknown: ")
    with pytest.raises(AWSError):
        patch_catalog.issued(connection, ["KB1"])


def test_alarms_that_do_not_exist_are_missing_and_not_silent(lab: LabHandle, connection: Connection) -> None:
    cloudwatch = lab.client("cloudwatch")
    for name, state in (("errors", "ALARM"), ("latency", "OK"), ("new", "INSUFFICIENT_DATA")):
        cloudwatch.put_metric_alarm(
            AlarmName=name, MetricName="m", Namespace="n", Statistic="Sum", Period=60, EvaluationPeriods=1,
            Threshold=1, ComparisonOperator="GreaterThanThreshold",
        )  # fmt: skip
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")
    found = alarms.states(connection, ["errors", "latency", "new", "gone"])
    assert found == {"errors": "ALARM", "latency": "OK", "new": "INSUFFICIENT_DATA", "gone": "missing"}


def test_the_newest_issue_of_each_kb_is_found(lab: LabHandle, connection: Connection) -> None:
    every = (
        lab.client("ssm")
        .get_paginator("describe_available_patches")
        .paginate(Filters=[{"Key": "PATCH_SET", "Values": ["OS"]}])
    )
    dates: dict[str, list[datetime]] = {}
    for page in every:
        for patch in page["Patches"]:
            dates.setdefault(patch["KbNumber"], []).append(patch["ReleaseDate"])
    assert len(dates) > 5
    found = patch_catalog.issued(connection, [*dates, *(f"KB{number}" for number in range(patch_catalog.AT_ONCE))])
    assert found == {kb: max(known) for kb, known in dates.items()}
