"""Manifest, gate and recall on the lab: what production requests has soaked, and nothing opens without a decision."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from drive import Drive
from flow_world import HERE, NONPROD, PROD, SCAN, SMALL, at, prepare, run_of, small

from lab.evaluate import Evr
from lab.evaluate.versions import rpm_text
from lab.testing import LabHandle
from sluice.aws.session import Connections
from sluice.core.errors import ReleaseError
from sluice.core.policy.policy import Policy
from sluice.core.release.gate import replay
from sluice.flow.gate import allowed_now, gate, not_admissible, record_approval
from sluice.flow.manifest import manifest, override_list, read_manifest
from sluice.flow.recall import lift, recall
from sluice.flow.resolve import resolve
from sluice.flow.run import Run
from sluice.flow.verify import verify

pytestmark = pytest.mark.usefixtures("in_process")

LINUX = "AMAZON_LINUX_2023"
BUCKET = "sluice-operations-111111111111-eu-west-3"


def driven(lab: LabHandle, policy: Policy, window: str, when: datetime, **asked: Any) -> Run:
    """A release from its beginning to its evidence."""
    lab.advance_to(when - timedelta(hours=1))
    run = run_of(policy, window, when, run_id=f"r-{when:%m%d%H}", **asked)
    Drive(lab, run).release()
    verify(run)
    return run


def soaked(lab: LabHandle, policy: Policy) -> set[str]:
    """Non-production was patched thirteen days ago, and everything was looked at this morning; what it has."""
    driven(lab, policy, NONPROD, at(17, 3))
    driven(lab, policy, SCAN, at(30, 1))
    return set.union(*installed(lab, "nonprod-linux").values())


def prod_run(lab: LabHandle, policy: Policy, hour: int = 3, **asked: Any) -> Run:
    run = run_of(policy, PROD, at(30, hour), run_id=f"p{hour}", **asked)
    resolve(run, HERE)
    return run


def installed(lab: LabHandle, group: str) -> dict[str, set[str]]:
    """What the nodes of a group truly have, as titles: AWS's rows do not always tell."""
    ec2, nodes = lab.client("ec2"), lab.location().nodes
    found = ec2.describe_instances(Filters=[{"Name": "tag:Patch Group", "Values": [group]}])["Reservations"]
    ids = [one["InstanceId"] for reservation in found for one in reservation["Instances"]]
    return {
        node: {f"{key}:{rpm_text(evr)}" for key, evr in nodes[node].packages.items() if isinstance(evr, Evr)}
        for node in ids
    }


def test_production_requests_what_soaked_exactly_and_opens(lab: LabHandle, policy: Policy) -> None:
    there = soaked(lab, policy)
    run = prod_run(lab, policy)
    told = manifest(run, [HERE])
    made = read_manifest(run)
    assert made is not None
    assert told["items"] == len(made.items) > 5
    assert {item.title for item in made.items} <= there
    body = lab.client("s3").get_object(Bucket=BUCKET, Key=f"manifests/{run.release.id}/amazon-linux-2023.yaml")
    patches = yaml.safe_load(body["Body"].read())["patches"]
    assert [(one["id"], one["title"]) for one in patches] == [(item.id, item.title) for item in made.items]
    decision = gate(run, [HERE])
    assert decision == {"verdict": "open", "needs_approval": False, "why": [], "admissible": 2}
    with run.connect(HERE) as connection:
        assert allowed_now(run, connection) is None
        assert (
            override_list(run, connection, LINUX) == f"s3://{BUCKET}/manifests/{run.release.id}/amazon-linux-2023.yaml"
        )
        assert override_list(run, connection, "UBUNTU 22.04") is None


def test_a_whole_release_brings_production_to_what_soaked_and_to_nothing_else(lab: LabHandle, policy: Policy) -> None:
    there = soaked(lab, policy)
    before = installed(lab, "prod-linux")
    run = driven(lab, policy, PROD, at(30, 3))
    made = read_manifest(run)
    assert made is not None
    listed = {item.title for item in made.items}
    for node, now in installed(lab, "prod-linux").items():
        came = now - before[node]
        assert len(came) > 5
        assert came <= listed & there
    assert run.recorded("verified")["arrivals"] == 0


def test_a_release_of_what_every_node_has_already_is_nothing(aws_environment: LabHandle, tmp_path: Path) -> None:
    lab = aws_environment
    nonprod, prod = SMALL["baselines"]
    # Of the kernel a newer version is out by then, and rows do not tell what else the nodes have.
    baselines = [nonprod, prod | {"rejected": {"patches": ["kernel*"]}}]
    policy = small(tmp_path / "evidence", baselines=baselines)
    prepare(lab, policy)
    driven(lab, policy, NONPROD, at(17, 3))
    driven(lab, policy, SCAN, at(24, 3))
    driven(lab, policy, PROD, at(24, 5))
    lab.client("ec2").reboot_instances(InstanceIds=list(installed(lab, "prod-linux")))
    driven(lab, policy, SCAN, at(24, 10))
    run = run_of(policy, PROD, at(24, 13), run_id="again")
    resolve(run, HERE)
    assert manifest(run, [HERE])["items"] > 5
    decision = gate(run, [HERE])
    assert (decision["verdict"], decision["admissible"]) == ("nothing", 2)
    assert "all 2 nodes that may be admitted have what it lists" in decision["why"][0]
    with run.connect(HERE) as connection:
        assert str(allowed_now(run, connection)).startswith("the gate is nothing")


def test_a_retry_finds_the_manifest_that_the_first_try_wrote(lab: LabHandle, policy: Policy) -> None:
    soaked(lab, policy)
    run = prod_run(lab, policy)
    first = manifest(run, [HERE])
    lab.advance(hours=20)
    assert manifest(run, [HERE]) == first


def test_a_list_that_somebody_altered_is_found(lab: LabHandle, policy: Policy) -> None:
    soaked(lab, policy)
    run = prod_run(lab, policy)
    manifest(run, [HERE])
    key = f"manifests/{run.release.id}/amazon-linux-2023.yaml"
    lab.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"patches: [{id: '*'}]")
    with pytest.raises(ReleaseError, match="is not what this release wrote"):
        manifest(run, [HERE])


def test_without_evidence_there_is_nothing(lab: LabHandle, policy: Policy) -> None:
    lab.advance_to(at(30))
    run = prod_run(lab, policy)
    assert manifest(run, [HERE])["items"] == 0
    assert gate(run, [HERE])["verdict"] == "nothing"
    with run.connect(HERE) as connection:
        assert str(allowed_now(run, connection)).startswith("the gate is nothing")


def test_nothing_opens_before_the_gate_has_decided(lab: LabHandle, policy: Policy) -> None:
    lab.advance_to(at(30))
    run = prod_run(lab, policy)
    with run.connect(HERE) as connection:
        assert allowed_now(run, connection) == "the gate has not decided"
    with pytest.raises(ReleaseError, match="run the step gate first"):
        not_admissible(run)


def test_the_decision_replays_offline_and_an_altered_one_opens_nothing(lab: LabHandle, policy: Policy) -> None:
    soaked(lab, policy)
    run = prod_run(lab, policy)
    manifest(run, [HERE])
    gate(run, [HERE])
    kept = run.recorded("decision")
    assert replay(json.loads(json.dumps(kept))).verdict == "open"
    kept["facts"]["freeze"] = "x"
    run.record("decision", kept)
    with run.connect(HERE) as connection, pytest.raises(ReleaseError, match="the record was altered"):
        allowed_now(run, connection)


def test_a_recall_strikes_holds_and_is_lifted(lab: LabHandle, policy: Policy) -> None:
    soaked(lab, policy)
    before = prod_run(lab, policy)
    manifest(before, [HERE])
    gate(before, [HERE])
    made = read_manifest(before)
    assert made is not None
    patch = made.items[0]
    (done,) = recall(policy, Connections.of(policy), patch.title, by="ops", because="it loses data")
    assert (done.left, done.cancelled) == ((), ())
    assert done.recall is not None
    assert done.recall.patch == patch.title
    with before.connect(HERE) as connection:
        assert "is recalled by ops" in str(allowed_now(before, connection))
    after = prod_run(lab, policy, hour=4)
    manifest(after, [HERE])
    struck = read_manifest(after)
    assert struck is not None
    assert patch.title not in {item.title for item in struck.items}
    assert patch.title in {one.title for one in struck.struck}
    assert gate(after, [HERE])["verdict"] == "open"
    assert lift(policy, Connections.of(policy), patch.title, by="ops")[0].recall is not None
    assert lift(policy, Connections.of(policy), patch.title, by="ops")[0].recall is None
    with before.connect(HERE) as connection:
        assert allowed_now(before, connection) is None


def calendar(lab: LabHandle, kind: str, *event: str) -> None:
    lines = ("BEGIN:VCALENDAR", "PRODID:-//AWS//Change Calendar 1.0//EN", "VERSION:2.0", f"X-CALENDAR-TYPE:{kind}",
             *event, "END:VCALENDAR", "")  # fmt: skip
    ssm = lab.client("ssm")
    with suppress(ssm.exceptions.InvalidDocument):
        ssm.delete_document(Name="changes")
    ssm.create_document(
        Name="changes", Content="\r\n".join(lines), DocumentType="ChangeCalendar", DocumentFormat="TEXT"
    )


def alarm(lab: LabHandle, state: str) -> None:
    cloudwatch = lab.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="errors", MetricName="m", Namespace="n", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=1, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue=state, StateReason="test")


def test_calendars_and_alarms_are_asked_at_the_gate_and_again_at_the_opening(
    lab: LabHandle, aws_environment: LabHandle, tmp_path: Path
) -> None:
    policy = small(tmp_path / "evidence", gate={"approval": "never", "calendars": "changes", "alarms": "errors"})
    prepare(lab, policy)
    soaked(lab, policy)
    run = prod_run(lab, policy)
    manifest(run, [HERE])

    def closed_by() -> list[str]:
        return [why.partition(":")[0] for why in gate(run, [HERE])["why"]]

    assert closed_by() == ["calendars", "alarms"], "what is missing closes"
    calendar(lab, "DEFAULT_CLOSED")
    alarm(lab, "ALARM")
    assert closed_by() == ["calendars", "alarms"]
    calendar(lab, "DEFAULT_OPEN")
    assert closed_by() == ["alarms"]
    alarm(lab, "OK")
    assert gate(run, [HERE])["verdict"] == "open"
    with run.connect(HERE) as connection:
        assert allowed_now(run, connection) is None
        calendar(lab, "DEFAULT_CLOSED")
        assert str(allowed_now(run, connection)).startswith("calendars: ")
        calendar(lab, "DEFAULT_OPEN")
        alarm(lab, "ALARM")
        assert str(allowed_now(run, connection)).startswith("alarms: ")


def test_calendars_and_freezes_count_at_the_releases_time_also_where_the_opening_is_asked_before_it(
    lab: LabHandle, aws_environment: LabHandle, tmp_path: Path
) -> None:
    freeze = {"from": "2025-06-29", "until": "2025-06-29", "because": "the fair"}
    policy = small(tmp_path / "evidence", gate={"approval": "never", "calendars": "changes", "freezes": [freeze]})
    prepare(lab, policy)
    driven(lab, policy, NONPROD, at(17, 3))
    driven(lab, policy, SCAN, at(29, 1))
    calendar(
        lab, "DEFAULT_CLOSED", "BEGIN:VEVENT", "UID:one", "DTSTAMP:20250601T000000Z", "SUMMARY:open",
        "DTSTART:20250630T030000Z", "DTEND:20250630T070000Z", "END:VEVENT",
    )  # fmt: skip
    run = prod_run(lab, policy)
    manifest(run, [HERE])
    assert gate(run, [HERE])["why"] == []
    with run.connect(HERE) as connection:
        assert connection.now() < at(30), "the day of the freeze, and the calendar is closed"
        assert allowed_now(run, connection) is None
        lab.advance_to(at(30, 7))
        assert str(allowed_now(run, connection)).startswith("calendars: CLOSED")


def test_an_approval_that_is_needed_is_waited_for_and_the_requesters_own_is_none(
    lab: LabHandle, policy: Policy
) -> None:
    soaked(lab, policy)
    run = prod_run(lab, policy, by="ann")
    manifest(run, [HERE])
    assert gate(run, [HERE])["needs_approval"] is True
    with run.connect(HERE) as connection:
        assert allowed_now(run, connection) == "nobody has approved it"
        with pytest.raises(ReleaseError, match="ann asked for this run and approved it"):
            record_approval(run, "approve", "ann")
        record_approval(run, None, None)
        assert allowed_now(run, connection) == "nobody has approved it"
        record_approval(run, "reject", "bob")
        assert allowed_now(run, connection) == "not approved by bob"
        record_approval(run, "approve", "bob")
        assert allowed_now(run, connection) is None


def test_reboots_of_production_need_no_gate_but_an_approval_and_what_the_gate_looks_at_last(
    aws_environment: LabHandle, tmp_path: Path
) -> None:
    lab = aws_environment
    policy = small(tmp_path / "evidence", gate={"approval": "never", "calendars": "changes"})
    prepare(lab, policy)
    lab.advance_to(at(30))
    run = prod_run(lab, policy, by="ann", only_reboots=True)
    assert not_admissible(run) == {}
    with run.connect(HERE) as connection:
        assert allowed_now(run, connection) == "nobody has approved it"
        record_approval(run, "approve", "bob")
        assert str(allowed_now(run, connection)).startswith("calendars: changes is nowhere")
        calendar(lab, "DEFAULT_CLOSED")
        assert str(allowed_now(run, connection)).startswith("calendars: CLOSED")
        calendar(lab, "DEFAULT_OPEN")
        assert allowed_now(run, connection) is None


def test_what_is_stale_closes(lab: LabHandle, policy: Policy) -> None:
    driven(lab, policy, NONPROD, at(17, 3))
    driven(lab, policy, SCAN, at(27, 1))
    lab.advance_to(at(30))
    run = prod_run(lab, policy)
    manifest(run, [HERE])
    decision = gate(run, [HERE])
    assert decision["verdict"] in ("closed", "nothing")
    assert any(why.startswith("evidence: ") for why in decision["why"])
