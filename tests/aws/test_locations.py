"""Work in many locations at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from policies import FOUR, small, state

from lab.testing import LabHandle
from sluice.aws import locations
from sluice.aws.locations import in_each
from sluice.aws.session import Connection, Connections, Duty
from sluice.core.errors import SluiceError
from sluice.core.policy.places import Location

pytestmark = pytest.mark.usefixtures("aws_environment")


def four(lab: LabHandle) -> None:
    for one in FOUR:
        lab.location(one["account"], one["region"])


def test_a_slow_location_holds_up_no_other(lab: LabHandle) -> None:
    four(lab)
    policy = small(locations=FOUR, roles={"assume": True})
    others = threading.Barrier(4)

    def work(connection: Connection) -> str:
        # The first is as slow as all the others together: it waits until they have answered.
        if connection.key == "111111111111/eu-west-3":
            others.wait(timeout=60)
            return "last"
        connection.call("ssm", "DescribeMaintenanceWindows")
        others.wait(timeout=60)
        return "done"

    outcomes = in_each(Connections.of(policy), policy.locations, Duty.READER, work)
    assert [outcome.value for outcome in outcomes] == ["last", "done", "done", "done"]


def test_who_holds_up_the_others_is_told_while_they_wait(lab: LabHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    four(lab)
    monkeypatch.setattr(locations, "PATIENCE", 0.01)
    policy = small(locations=FOUR, roles={"assume": True})
    told = threading.Event()

    def work(connection: Connection) -> None:
        # It answers only when the others have, and it has been told that it is waited for.
        if connection.key == "222222222222/eu-central-1" and not told.wait(timeout=60):
            raise SluiceError("nobody was told")

    def waiting(still: Sequence[Location]) -> None:
        if [location.key for location in still] == ["222222222222/eu-central-1"]:
            told.set()

    outcomes = in_each(Connections.of(policy), policy.locations, Duty.READER, work, waiting=waiting)
    assert [outcome.error for outcome in outcomes] == [None] * 4


def test_a_failure_stays_in_its_location_and_the_order_is_the_policys(lab: LabHandle) -> None:
    four(lab)
    policy = small(locations=FOUR, roles={"assume": True})

    def work(connection: Connection) -> str:
        if connection.key == "222222222222/eu-west-3":
            raise SluiceError("not here")
        return connection.key

    outcomes = in_each(Connections.of(policy), policy.locations, Duty.READER, work)
    assert [str(outcome.error or outcome.value) for outcome in outcomes] == [
        "111111111111/eu-west-3",
        "111111111111/eu-central-1",
        "not here",
        "222222222222/eu-central-1",
    ]
    assert state(lab)["windows"] == []
