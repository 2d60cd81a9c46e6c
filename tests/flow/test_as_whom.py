"""Every call is one that the role of the duty that makes it grants: in an account, what it lacks is denied."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml
from drive import Drive
from flow_world import NONPROD, PROD, SCAN, at, run_of, small

from lab.testing import LabHandle
from sluice.__main__ import main
from sluice.aws import duties
from sluice.aws.session import Connection, Connections, Duty
from sluice.core.policy.places import Location
from sluice.core.policy.policy import Policy
from sluice.flow.halt import halt, lift
from sluice.flow.recall import recall

OPERATIONS = {
    "GetObject": "s3:GetObject",
    "HeadBucket": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "PutObject": "s3:PutObject",
    "DescribeConfigRules": "config:DescribeConfigRules",
}
"""IAM's action where the API's operation is called otherwise."""

FREE = {"sts:GetCallerIdentity", "sts:AssumeRole"}

Called = dict[Duty, dict[str, set[str]]]
"""Actions by duty, with the keys of the objects that they are on."""


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Called:
    """What each duty has called since."""
    found: Called = defaultdict(lambda: defaultdict(set))
    as_whom: dict[int, Duty] = {}
    kept: list[Connection] = []
    really_open, really_call = Connections.open, Connection.call

    def open_as(self: Connections, location: Location, duty: Duty) -> Connection:
        connection = really_open(self, location, duty)
        as_whom[id(connection)] = duty
        kept.append(connection)  # so that no other gets its id
        return connection

    def call(self: Connection, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        if id(self) in as_whom:
            action = OPERATIONS.get(operation, f"{service}:{operation}")
            found[as_whom[id(self)]][action].add(str(parameters.get("Key", "")))
        return really_call(self, service, operation, **parameters)

    monkeypatch.setattr(Connections, "open", open_as)
    monkeypatch.setattr(Connection, "call", call)
    return found


def denied(called: Mapping[Duty, Mapping[str, set[str]]]) -> list[str]:
    """What was called without being granted."""
    return sorted(
        f"{duty}: {action} {key}"
        for duty, actions in called.items()
        for action, keys in actions.items()
        for key in keys
        if action not in FREE and not _granted(duty, action, key)
    )


def _granted(duty: Duty, action: str, key: str) -> bool:
    grants = [grant for grant in duties.grants(duty) if grant.action == action]
    if not key or duties.reads(action):
        return bool(grants)
    return any(fnmatchcase(key, one.partition("/")[2]) for grant in grants for one in grant.resources)


def driven(lab: LabHandle, policy: Policy, window: str, day: int, hour: int) -> None:
    when = at(day, hour)
    lab.advance_to(when - timedelta(hours=1))
    Drive(lab, run_of(policy, window, when, run_id=f"r{day}")).release()


def test_a_scan_is_within_the_scanners_and_the_readers_roles(lab: LabHandle, policy: Policy, called: Called) -> None:
    driven(lab, policy, SCAN, 3, 1)
    assert denied(called) == []
    assert "ssm:UpdateMaintenanceWindow" in called[Duty.SCANNER]
    assert set(called) == {Duty.SCANNER, Duty.READER}


def test_every_release_from_non_production_to_production_is_within_its_duties_roles(
    lab: LabHandle, policy: Policy, called: Called
) -> None:
    driven(lab, policy, NONPROD, 17, 3)
    driven(lab, policy, SCAN, 30, 1)
    driven(lab, policy, PROD, 30, 3)
    assert denied(called) == []
    for duty in (Duty.NONPROD_INSTALLER, Duty.PROD_INSTALLER):
        assert {"ssm:UpdateMaintenanceWindow", "ssm:UpdateMaintenanceWindowTask"} <= set(called[duty])
    assert "ec2:CreateImage" in called[Duty.PROD_INSTALLER]
    assert not {"ssm:UpdateMaintenanceWindowTask", "ec2:CreateImage"} & set(called[Duty.SCANNER])
    assert all(duties.reads(action) for action in called[Duty.READER] if action not in FREE)


def test_halt_and_recall_are_within_the_halters_role(lab: LabHandle, policy: Policy, called: Called) -> None:
    connections = Connections.of(policy)
    halt(policy, connections, None, by="alice", because="a test")
    lift(policy, connections, None, by="alice", because="a test")
    recall(policy, connections, "openssl", by="alice", because="a test")
    assert denied(called) == []
    assert "s3:PutObject" in called[Duty.HALTER]


def test_plan_apply_and_destroy_are_within_the_readers_and_the_appliers_roles(
    aws_environment: LabHandle, tmp_path: Path, called: Called
) -> None:
    policy = small(tmp_path / "evidence", extras={"data_sync_bucket": "inventory"})
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(policy.model_dump(mode="json", by_alias=True, exclude_unset=True)))
    options = ["--policy", str(file)]
    assert main(["plan", "--calls", *options]) == 2
    assert main(["apply", "--yes", *options]) == 0
    assert main(["destroy", "--yes", "--yes", *options]) == 0
    assert denied(called) == []
    assert set(called) == {Duty.READER, Duty.POLICY_APPLIER}
    assert all(duties.reads(action) for action in called[Duty.READER] if action not in FREE)


def test_what_no_role_grants_is_noticed(called: Called) -> None:
    called[Duty.SCANNER]["ssm:UpdateMaintenanceWindowTask"].add("")
    called[Duty.SCANNER]["s3:PutObject"].add("manifests/r1/list.yaml")
    called[Duty.SCANNER]["s3:PutObject"].add("leases/sluice/scan-daily.json")
    assert denied(called) == [
        "scanner: s3:PutObject manifests/r1/list.yaml",
        "scanner: ssm:UpdateMaintenanceWindowTask ",
    ]
