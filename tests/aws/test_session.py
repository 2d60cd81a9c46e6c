"""Connections to target locations."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import boto3
import pytest
from policies import FOUR, small

from lab.faults import FaultRule
from lab.testing import LabHandle
from sluice.aws.session import Clients, Connections, Duty
from sluice.core.errors import AnswerError, DeniedError, EndpointError, LocationError
from sluice.core.policy.places import Location
from sluice.core.policy.regions import REGIONS

pytestmark = pytest.mark.usefixtures("aws_environment")


def test_the_callers_own_account_and_region_are_found_out(lab: LabHandle) -> None:
    connection = Connections.of(small()).open(Location(), Duty.READER)
    assert connection.key == "111111111111/eu-west-3"
    assert connection.arn == "arn:aws:iam::111111111111:user/lab"
    assert connection.endpoint() == lab.endpoint


def test_the_account_is_asked_for_before_anything_else(lab: LabHandle) -> None:
    connection = Connections.of(small()).open(Location(), Duty.READER)
    connection.call("ssm", "DescribeMaintenanceWindows")
    assert [call["operation"] for call in lab.server.calls.last(10)] == [
        "GetCallerIdentity",
        "DescribeMaintenanceWindows",
    ]


def test_a_client_that_threads_share_is_made_once_and_closed_when_the_last_has_given_it_back() -> None:
    made, closed = [], []

    class Client:
        def close(self) -> None:
            closed.append(self)

    class Session:
        def client(self, service: str, **_: object) -> Client:
            made.append(service)
            return Client()

    clients = Clients(Session())
    borrowed, together = Barrier(8), Barrier(8)

    def work(_: int) -> None:
        client = clients.borrow("ssm", "eu-west-3")
        borrowed.wait(10)
        assert not closed, "somebody else has it still"
        together.wait(10)
        clients.give_back("ssm", "eu-west-3")
        assert isinstance(client, Client)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert (made, len(closed)) == (["ssm"], 1)
    clients.borrow("ssm", "eu-west-3")
    clients.borrow("ssm", "eu-central-1")
    assert made == ["ssm", "ssm"], "one that is closed opens its connections anew; a Region has its own"


def test_credentials_of_another_account_are_refused(lab: LabHandle) -> None:
    with pytest.raises(
        LocationError, match="expected credentials of account 222222222222, found those of 111111111111"
    ):
        Connections.of(small()).open(Location(account="222222222222", region="eu-west-3"), Duty.READER)


def test_each_duty_assumes_its_own_role_with_the_external_id(lab: LabHandle) -> None:
    lab.location("222222222222", "eu-west-3")
    policy = small(roles={"assume": True, "external_id": "only-we-know"})
    location = Location(account="222222222222", region="eu-west-3")
    for duty, role in ((Duty.READER, "sluice-reader"), (Duty.POLICY_APPLIER, "sluice-policy-applier")):
        lab.server.faults.clear()
        lab.server.faults.add(
            FaultRule(kind="delay", seconds=0.001, operation="AssumeRole", contains="ExternalId=only-we-know")
        )
        connection = Connections.of(policy).open(location, duty)
        assert connection.arn == f"arn:aws:sts::222222222222:assumed-role/{role}/{role}"
        assert lab.server.faults.shown()[0]["hit"] == 1


def test_a_role_is_assumed_in_the_callers_own_account_too(lab: LabHandle) -> None:
    connection = Connections.of(small(roles={"assume": True})).open(Location(), Duty.HALTER)
    assert connection.arn == "arn:aws:sts::111111111111:assumed-role/sluice-halter/sluice-halter"


def test_a_role_that_cannot_be_assumed_is_said_with_what_to_do(lab: LabHandle) -> None:
    lab.server.faults.add(FaultRule(kind="access_denied", operation="AssumeRole"))
    with pytest.raises(DeniedError, match="role of the reader cannot be assumed"):
        Connections.of(small(roles={"assume": True})).open(Location(), Duty.READER)


def test_an_endpoint_that_is_not_awss_is_refused_before_any_call(lab: LabHandle) -> None:
    with pytest.raises(EndpointError, match="unset AWS_ENDPOINT_URL"):
        Connections.of(small(endpoint="aws")).open(Location(), Duty.READER)
    assert lab.server.calls.total() == 0


def test_every_region_that_the_sdk_knows_is_known_to_the_check() -> None:
    session = boto3.Session()
    found = {
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("ssm", partition_name=partition)
    }
    assert found <= REGIONS


@pytest.mark.parametrize(
    ("region", "partition"), [("eu-west-3", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_awss_own_endpoints_pass_in_every_partition(
    lab: LabHandle, monkeypatch: pytest.MonkeyPatch, region: str, partition: str
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    connections = Connections.of(small(endpoint="aws"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sluice.aws.session.Connection.identify", lambda self: None)
        connection = connections.open(Location(region=region), Duty.READER)
    for service in ("ssm", "s3", "sts", "ec2", "config"):
        assert "amazonaws.com" in connection._client(service).meta.endpoint_url
    assert connection.partition == partition


def test_the_time_is_awss(lab: LabHandle) -> None:
    connection = Connections.of(small()).open(Location(), Duty.READER)
    assert connection.now() == datetime(2025, 6, 2, tzinfo=UTC)
    lab.advance(days=100)
    assert connection.now() == datetime(2025, 9, 10, tzinfo=UTC)


def test_a_throttled_call_is_tried_again(lab: LabHandle) -> None:
    connection = Connections.of(small()).open(Location(), Duty.READER)
    lab.server.faults.add(FaultRule(kind="throttle", operation="DescribeMaintenanceWindows", times=2))
    assert connection.need("ssm", "DescribeMaintenanceWindows", "WindowIdentities")["WindowIdentities"] == []


def test_all_pages_are_read(lab: LabHandle) -> None:
    ssm = lab.client("ssm")
    names = [f"window-{number:02}" for number in range(23)]
    for name in names:
        ssm.create_maintenance_window(
            Name=name, Schedule="rate(1 day)", Duration=2, Cutoff=1, AllowUnassociatedTargets=False
        )
    connection = Connections.of(small()).open(Location(), Duty.READER)
    found = connection.pages("ssm", "DescribeMaintenanceWindows", "WindowIdentities", MaxResults=10)
    assert sorted(one["Name"] for one in found) == names
    assert lab.server.calls.total(operation="DescribeMaintenanceWindows") == 3


def test_a_missing_member_is_a_failure_and_never_none(lab: LabHandle) -> None:
    connection = Connections.of(small()).open(Location(), Duty.READER)
    lab.server.faults.add(FaultRule(kind="truncate", operation="DescribeMaintenanceWindows", keep=2))
    with pytest.raises(AnswerError, match="answered without WindowIdentities"):
        list(connection.pages("ssm", "DescribeMaintenanceWindows", "WindowIdentities"))


def test_no_region_is_said_with_what_to_do(lab: LabHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(LocationError, match="set AWS_REGION"):
        Connections.of(small()).open(Location(), Duty.READER)


def test_a_region_that_the_policy_names_is_used(lab: LabHandle) -> None:
    lab.location("111111111111", "eu-central-1")
    connection = Connections.of(small()).open(Location(**FOUR[1]), Duty.READER)
    assert connection.key == "111111111111/eu-central-1"
