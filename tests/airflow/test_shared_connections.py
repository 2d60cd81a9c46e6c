"""One connection for each location and duty in a process, however many triggers look."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest

from lab.testing import LabHandle
from sluice.aws.session import Duty
from sluice.core.policy.policy import Policy
from sluice.evidence.bucket import BucketStore
from sluice_airflow import aws, links


class Opened:
    """Something that is expensive to open."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[aws.Pool]:
    found = aws.Pool()
    monkeypatch.setattr(aws, "POOL", found)
    yield found
    for _, opened in found._held.values():
        opened.close()


@pytest.fixture
def policy() -> Policy:
    return Policy.model_validate(
        {
            "version": 1,
            "mode": "release",
            "roles": {"assume": True},
            "rings": [{"name": "nonprod"}],
            "locations": [{"account": "111111111111", "region": "eu-west-3"}],
        }
    )


@pytest.mark.usefixtures("pool")
def test_many_triggers_assume_a_role_once(aws_environment: LabHandle, policy: Policy) -> None:
    calls = aws_environment.server.calls
    aws_environment.location("111111111111", "eu-west-3")

    def look(_: int) -> str:
        connection = aws.shared_connections(policy).open(policy.locations[0], Duty.SCANNER)
        try:
            connection.call("ssm", "DescribeMaintenanceWindows")
            return connection.key
        finally:
            connection.close()

    before = calls.total(service="sts", operation="AssumeRole")
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(look, range(24))) == {"111111111111/eu-west-3"}
    assert calls.total(service="sts", operation="AssumeRole") == before + 1

    other = aws.shared_connections(policy).open(policy.locations[0], Duty.READER)
    assert other.arn.endswith("sluice-reader")
    assert calls.total(service="sts", operation="AssumeRole") == before + 2


@pytest.mark.usefixtures("pool", "aws_environment")
def test_many_triggers_begin_with_one_session_and_one_client_of_the_evidence(policy: Policy) -> None:
    with ThreadPoolExecutor(8) as threads:
        sessions = list(threads.map(lambda _: aws.shared_connections(policy).session, range(24)))
        assert len(set(map(id, sessions))) == 1
        stores = list(threads.map(lambda one: BucketStore(one, "evidence-example"), sessions))
    assert len({id(store._client) for store in stores}) == 1
    assert BucketStore(boto3.Session(), "evidence-example")._client is not stores[0]._client


def test_a_connection_is_renewed_before_its_credentials_end() -> None:
    now = [1000.0]
    pool = aws.Pool(lasts=60, clock=lambda: now[0])
    first: Any = pool.get("here", Opened)
    now[0] += 60
    assert pool.get("here", Opened) is first
    now[0] += 1
    assert pool.get("here", Opened) is not first
    assert first.closed


def test_what_could_not_be_opened_is_tried_again() -> None:
    pool = aws.Pool()

    def refuse() -> Opened:
        raise OSError("no network")

    with pytest.raises(OSError, match="no network"):
        pool.get("here", refuse)
    assert isinstance(pool.get("here", Opened), Opened)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-3", "eu-west-3.console.aws.amazon.com"),
        ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
    ],
)
def test_links_lead_to_the_console_of_the_partition(region: str, host: str) -> None:
    assert links.window_page(region, "mw-1", "e-1") == (
        f"https://{host}/systems-manager/maintenance-windows/mw-1/history/e-1"
    )
    assert links.command_page(region, "c-1") == f"https://{host}/systems-manager/run-command/c-1"
    assert links.images_page(region, "r-1") == (
        f"https://{host}/ec2/home?region={region}#Images:visibility=owned-by-me;search=r-1"
    )
