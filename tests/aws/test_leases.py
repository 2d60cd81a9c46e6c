"""Leases in the operations bucket: of several writers one wins, and the others hear of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lab.testing import LabHandle
from sluice.aws import leases
from sluice.aws.operations import Bucket
from sluice.aws.session import Connection, Connections, Duty
from sluice.core.errors import LeasedError, LostError
from sluice.core.policy.places import Location, Roles

BUCKET = Bucket("operations", "sluice")


@pytest.fixture
def connection(aws_environment: LabHandle) -> Connection:
    account, region = aws_environment.world.default_account, aws_environment.world.default_region
    aws_environment.client("s3").create_bucket(
        Bucket=BUCKET.name, CreateBucketConfiguration={"LocationConstraint": region}
    )
    return Connections(Roles()).open(Location(account=account, region=region), Duty.SCANNER)


def test_a_lease_is_taken_confirmed_given_back_and_taken_by_another(connection: Connection) -> None:
    now = connection.now()
    later = now + timedelta(hours=1)
    assert leases.lease_of(connection, BUCKET, "w") is None
    first = leases.acquire(connection, BUCKET, "w", "r1", now=now, expires=later)
    leases.confirm(connection, BUCKET, first)
    with pytest.raises(LeasedError, match="r1"):
        leases.acquire(connection, BUCKET, "w", "r2", now=now, expires=later)
    leases.release(connection, BUCKET, first)
    second = leases.acquire(connection, BUCKET, "w", "r2", now=now, expires=later)
    assert (second.owner, second.token) == ("r2", 2)
    assert leases.lease_of(connection, BUCKET, "w") == second


def test_a_worker_that_was_overtaken_finds_it_out_before_it_acts(connection: Connection) -> None:
    now = connection.now()
    old = leases.acquire(connection, BUCKET, "w", "r1", now=now, expires=now + timedelta(hours=1))
    leases.acquire(connection, BUCKET, "w", "r1", now=now, expires=now + timedelta(hours=1))
    for act in (
        lambda: leases.confirm(connection, BUCKET, old),
        lambda: leases.release(connection, BUCKET, old),
    ):
        with pytest.raises(LostError, match="token 1, found it with r1 under token 2"):
            act()


def test_of_two_that_take_it_at_once_one_loses(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    now = connection.now()
    read = leases.read

    def overtaken(*given: object) -> object:
        found = read(*given)  # type: ignore[arg-type]  # passed on as they came
        monkeypatch.setattr(leases, "read", read)
        leases.acquire(connection, BUCKET, "w", "r2", now=now, expires=now + timedelta(hours=1))
        return found

    monkeypatch.setattr(leases, "read", overtaken)
    with pytest.raises(LostError, match="another writer came first"):
        leases.acquire(connection, BUCKET, "w", "r1", now=now, expires=now + timedelta(hours=1))
    found = leases.lease_of(connection, BUCKET, "w")
    assert found is not None
    assert found.owner == "r2"
