"""The admitted set is fixed once, and what happens to nodes afterwards reaches no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flow_world import HERE, NONPROD, PROD, SCAN, at, run_of
from nodes_flow import BOTH, THERE, called, excepting, many, named, register, wide

from lab.faults import FaultRule
from lab.fleet import Fleet
from lab.testing import LabHandle
from sluice.aws import node_tags, operations
from sluice.core.errors import ReleaseError
from sluice.core.policy.policy import Policy
from sluice.core.release.terms import Reason
from sluice.core.release.waves import tagged
from sluice.evidence import tables
from sluice.flow import backup, gate
from sluice.flow.admit import admit, read_admitted, read_part
from sluice.flow.resolve import resolve
from sluice.flow.run import Run

pytestmark = pytest.mark.usefixtures("in_process")

WAVES = {"canary": 1, "shares": [25], "settle_minutes": 10}


@pytest.fixture
def lab_fleet() -> Fleet:
    return many(5)


@pytest.fixture
def policy(aws_environment: LabHandle, tmp_path: Path) -> Policy:
    found = wide(tmp_path / "evidence", {"waves": WAVES, "backup": "off"})
    register(aws_environment, found)
    aws_environment.advance(hours=1)
    return found


@pytest.fixture(autouse=True)
def open_gate(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, str]]:
    """What the gate keeps out: what the gate decides is not these tests' business."""
    kept_out: dict[str, tuple[str, str]] = {}
    monkeypatch.setattr(gate, "not_admissible", lambda run: kept_out)
    return kept_out


def begun(policy: Policy, window: str = PROD, **asked: Any) -> Run:
    run = run_of(policy, window, at(9, 3), **asked)
    for location in BOTH:
        resolve(run, location)
    return run


def parts(run: Run, location: str = HERE) -> list[tuple[str, ...]]:
    """The nodes of each wave in a location."""
    with run.connect(location) as connection:
        found = [read_part(run, connection, location, wave) for wave in (1, 2, 3)]
    return [part.nodes if part else () for part in found]


def ec2(lab: LabHandle) -> Any:
    return lab.client("ec2", "111111111111", "eu-west-3")


def test_waves_are_handed_to_the_locations_that_have_nodes_in_them(policy: Policy) -> None:
    run = begun(policy)
    told = admit(run, BOTH)
    assert told["waves"] == [
        [{"location": HERE, "nodes": 1}],
        [{"location": HERE, "nodes": 1}, {"location": THERE, "nodes": 1}],
        [{"location": HERE, "nodes": 4}, {"location": THERE, "nodes": 2}],
    ]
    assert (told["admitted"], told["failed"]) == (9, {})
    assert told["not_admitted"]["stopped"] == 1
    assert [len(nodes) for nodes in (*parts(run), *parts(run, THERE))] == [1, 1, 4, 0, 1, 2]
    with run.connect(HERE) as connection:
        admitted = {one.node for one in read_admitted(run, connection) if one.reason is None}
    assert admitted == set().union(*parts(run))


def test_the_set_is_fixed_once_and_every_retry_reads_it(policy: Policy, lab: LabHandle) -> None:
    run = begun(policy)
    first, before = admit(run, BOTH), parts(run)
    ec2(lab).stop_instances(InstanceIds=[before[2][0]])
    lab.advance(minutes=10)
    assert admit(run, (HERE,)) == first
    assert parts(run) == before


def test_nodes_that_are_launched_retagged_stopped_or_gone_since_are_not_admitted(
    policy: Policy, lab: LabHandle
) -> None:
    run = begun(policy)
    web = sorted(one.node for one in named(run).values() if one.reason is None and not one.hybrid)
    ec2(lab).terminate_instances(InstanceIds=[web[0]])
    ec2(lab).stop_instances(InstanceIds=[web[1]])
    ec2(lab).create_tags(Resources=[web[2]], Tags=[{"Key": "Patch Group", "Value": "nonprod-linux"}])
    others = [one.node for one in named(begun(policy, NONPROD, run_id="r2")).values() if one.reason is None]
    ec2(lab).create_tags(Resources=[others[0]], Tags=[{"Key": "Patch Group", "Value": "prod-linux"}])
    lab.advance(minutes=10)
    told = admit(run, BOTH)
    assert (told["admitted"], told["not_admitted"][Reason.GONE], told["not_admitted"][Reason.STOPPED]) == (6, 2, 2)
    admitted = set().union(*parts(run))
    assert admitted.isdisjoint({*web[:3], *others})
    assert set(web[3:]) <= admitted


def test_what_the_gate_keeps_out_is_not_admitted(policy: Policy, open_gate: dict[str, tuple[str, str]]) -> None:
    run = begun(policy)
    edge = named(run)["edge"].node
    open_gate[edge] = (Reason.NO_TWIN, "no node of role edge in non-production")
    told = admit(run, BOTH)
    assert told["not_admitted"][Reason.NO_TWIN] == 1
    assert edge not in set().union(*parts(run))


def test_an_exception_that_was_agreed_on_meanwhile_is_honoured(policy: Policy) -> None:
    run = begun(policy)
    node = named(run)["edge"].node
    later = run_of(excepting(policy, nodes=[node]), PROD)
    assert later.release == run.release
    assert admit(later, BOTH)["not_admitted"][Reason.EXCEPTED] == 1


def test_where_backups_are_required_only_what_has_one_is_admitted_and_a_waiver_lets_a_hybrid_node_through(
    policy: Policy, lab: LabHandle, tmp_path: Path
) -> None:
    required = wide(tmp_path / "evidence", {"waves": WAVES, "backup": "required"})
    run = begun(required)
    backup.start(run, HERE)
    lab.advance(minutes=10)
    told = admit(run, BOTH)
    assert (told["admitted"], told["not_admitted"][Reason.NO_BACKUP]) == (5, 4)
    rows = tables.of_release(run.store, "backups", run.release)
    assert [row["state"] for row in rows] == ["available"] * 5
    waived = begun(excepting(required, without_backup=[named(run)["edge"].node]), run_id="r2")
    backup.start(waived, HERE)
    lab.advance(minutes=10)
    assert admit(waived, (HERE,))["admitted"] == 6


def test_a_location_that_cannot_be_asked_stops_no_other(policy: Policy, lab: LabHandle) -> None:
    run = begun(policy)
    lab.server.faults.add(
        FaultRule(kind="access_denied", service="sts", operation="AssumeRole", contains="222222222222")
    )
    told = admit(run, BOTH)
    assert told["admitted"] == 6
    assert list(told["failed"]) == [THERE]
    assert "cannot be assumed" in told["failed"][THERE]


def test_nothing_is_fixed_where_no_location_answers(policy: Policy, lab: LabHandle) -> None:
    run = begun(policy)
    lab.server.faults.add(FaultRule(kind="access_denied", service="sts", operation="AssumeRole"))
    with pytest.raises(ReleaseError, match="no location could be admitted"):
        admit(run, BOTH)
    lab.server.faults.clear()
    assert admit(run, BOTH)["admitted"] == 9


def test_a_death_between_the_record_and_the_locations_is_made_good_by_the_retry(policy: Policy, lab: LabHandle) -> None:
    run = begun(policy)
    lab.server.faults.add(FaultRule(kind="access_denied", service="s3", operation="PutObject", contains="admitted"))
    with pytest.raises(ReleaseError, match="no location could be admitted"):
        admit(run, BOTH)
    with run.connect(HERE) as connection, pytest.raises(ReleaseError, match="run the step admit again"):
        read_part(run, connection, HERE, 1)
    lab.server.faults.clear()
    assert admit(run, BOTH)["failed"] == {}
    assert len(parts(run)[0]) == 1


def test_a_part_that_is_not_what_was_fixed_opens_nothing(policy: Policy) -> None:
    run = begun(policy)
    admit(run, BOTH)
    with run.connect(HERE) as connection:
        bucket = operations.bucket_of(policy, connection)
        operations.write_step(connection, bucket, run.release.id, "admitted", {"expected": [], "parts": []})
    assert "found others in sluice-operations-111111111111-eu-west-3" in admit(run, BOTH)["failed"][HERE]


def test_a_scan_admits_whatever_can_be_reached_in_one_wave(policy: Policy) -> None:
    run = begun(policy, SCAN)
    told = admit(run, BOTH)
    assert told["waves"] == [[{"location": HERE, "nodes": 11}, {"location": THERE, "nodes": 5}]]


class TestManyNodes:
    """A slot of more nodes than AWS takes ids of."""

    @pytest.fixture
    def lab_fleet(self) -> Fleet:
        return many(130)

    def test_a_large_wave_is_tagged_in_one_call_and_a_small_one_is_not_tagged_at_all(
        self, policy: Policy, lab: LabHandle
    ) -> None:
        run = begun(policy)
        admit(run, BOTH)
        assert [len(nodes) for nodes in parts(run)] == [1, 33, 97]
        assert called(lab)["CreateTags"] == 1
        with run.connect(HERE) as connection:
            part = read_part(run, connection, HERE, 3)
            assert part is not None
            ((value, nodes),) = tagged(part)
            carried = node_tags.carriers(connection, value)
            assert set(carried) == set(nodes)
            edge = named(run)["edge"].node
            assert edge in nodes, "the hybrid one is tagged through Systems Manager"
            assert set(node_tags.carriers(connection, f"{run.release.id}/*")) == set(nodes) - {edge}
            assert admit(run, BOTH)["failed"] == {}
            assert node_tags.clear(connection, run.release.id, [edge]) == 97
            assert node_tags.carriers(connection, value) == {}

    def test_a_copy_of_a_node_carries_its_tag_and_is_seen(self, policy: Policy, lab: LabHandle) -> None:
        run = begun(policy)
        admit(run, BOTH)
        with run.connect(HERE) as connection:
            part = read_part(run, connection, HERE, 3)
            assert part is not None
            ((value, nodes),) = tagged(part)
            stranger = next(one.node for one in named(run).values() if one.reason == Reason.STOPPED)
            ec2(lab).create_tags(Resources=[stranger], Tags=[{"Key": "sluice:release", "Value": value}])
            assert set(node_tags.carriers(connection, value)) - set(nodes) == {stranger}
        assert f"found it also on {stranger}: take it off there" in admit(run, BOTH)["failed"][HERE]

    def test_a_tag_that_has_become_another_releases_is_left_on(self, policy: Policy, lab: LabHandle) -> None:
        run = begun(policy)
        admit(run, BOTH)
        later = begun(policy, run_id="r2")
        admit(later, BOTH)
        with run.connect(HERE) as connection:
            assert node_tags.clear(connection, run.release.id) == 0
            assert node_tags.clear(connection, later.release.id) == 96
