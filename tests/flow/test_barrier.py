"""Between waves: whether the next may open, by what is known of all locations."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flow_world import HERE, PROD, at, run_of
from nodes_flow import BOTH, THERE, many, register, wide

from lab.faults import FaultRule
from lab.fleet import Fleet
from lab.testing import LabHandle
from sluice.aws import operations
from sluice.core.errors import ReleaseError
from sluice.core.policy.policy import Policy
from sluice.core.policy.windows import Reboot
from sluice.core.window_record import Result, WaveRecord
from sluice.flow import gate
from sluice.flow.admit import admit, read_part
from sluice.flow.barrier import judge, settle
from sluice.flow.resolve import resolve
from sluice.flow.run import Run

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture
def lab_fleet() -> Fleet:
    return many(9, there=10)


@pytest.fixture
def run(aws_environment: LabHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A production release whose nodes are admitted: a canary, half of the others, the rest."""
    waves = {"canary": 1, "shares": [50], "settle_minutes": 10, "failure_budget": 10}
    policy: Policy = wide(tmp_path / "evidence", {"waves": waves, "backup": "off"})
    register(aws_environment, policy)
    aws_environment.advance(hours=1)
    monkeypatch.setattr(gate, "not_admissible", lambda run: {})
    found = run_of(policy, PROD, at(9, 3))
    for location in BOTH:
        resolve(found, location)
    admit(found, BOTH)
    return found


def nodes(run: Run, location: str, wave: int) -> tuple[str, ...]:
    with run.connect(location) as connection:
        part = read_part(run, connection, location, wave)
    return part.nodes if part else ()


def ended(run: Run, location: str, wave: int, bad: int = 0, **changes: Any) -> None:
    """What the window protocol leaves when a wave has ended in a location; `bad` nodes of it failed."""
    members = nodes(run, location, wave)
    results = tuple(Result(node, "Failed" if number < bad else "Success") for number, node in enumerate(members))
    given: dict[str, Any] = {"verdict": "failed" if bad else "done", "results": results, "kind": "install", **changes}
    record = WaveRecord(
        release=run.release.id, wave=wave, location=location, window_id="mw-1", step="closed", chosen=at(9, 3),
        slots=(("prod-linux.AMAZON_LINUX_2023", members),), **given,
    )  # fmt: skip
    with run.connect(location) as connection:
        bucket = operations.bucket_of(run.policy, connection)
        operations.write_step(connection, bucket, run.release.id, f"wave-{wave}-{record.kind}", record.as_json())


def judged(run: Run, wave: int) -> dict[str, Any]:
    settle(run, wave)
    return judge(run, wave)


def test_after_an_execution_that_was_not_its_waves_nothing_further_opens_however_few_nodes_failed(run: Run) -> None:
    for location in BOTH:
        if nodes(run, location, 1):
            ended(run, location, 1, verdict="failed", foreign=True, reason="found also i-9")
    found = judged(run, 1)
    assert found["failed"] == 0
    assert str(found["stop"]).endswith(": the release has failed: found also i-9")


def test_a_wave_settles_by_awss_clock_and_every_retry_waits_for_the_same_moment(run: Run, lab: LabHandle) -> None:
    until = settle(run, 1)["until"]
    assert datetime.fromisoformat(until) == lab.world.clock.now().replace(microsecond=0) + timedelta(minutes=10)
    lab.advance(minutes=7)
    assert settle(run, 1) == {"until": until}


def test_nothing_settles_after_the_last_wave(run: Run) -> None:
    assert settle(run, 3) == {"until": None}


def test_a_healthy_wave_lets_the_next_open(run: Run) -> None:
    ended(run, HERE, 1)
    assert judged(run, 1) == {"stop": None, "failed": 0, "of": 1}
    for location in BOTH:
        ended(run, location, 2)
    assert judged(run, 2) == {"stop": None, "failed": 0, "of": 11}


def test_a_location_that_was_taken_out_of_the_policy_meanwhile_is_judged_as_any(run: Run) -> None:
    ended(run, HERE, 1)
    judged(run, 1)
    ended(run, HERE, 2)
    ended(run, THERE, 2, bad=3)
    here = tuple(one for one in run.policy.locations if one.key == HERE)
    later = run_of(run.policy.model_copy(update={"locations": here}), PROD, at(9, 3))
    found = judged(later, 2)
    assert (found["failed"], found["of"]) == (3, 11)
    assert found["stop"]


def test_failures_are_counted_over_all_locations_and_waves(run: Run) -> None:
    ended(run, HERE, 1)
    judged(run, 1)
    ended(run, HERE, 2, bad=1)
    ended(run, THERE, 2)
    assert judged(run, 2) == {"stop": None, "failed": 1, "of": 11}, "9 % are within the budget of 10 %"
    ended(run, HERE, 3)
    ended(run, THERE, 3, bad=2)
    told = judged(run, 3)
    assert told == {"stop": "3 of 20 nodes failed (15 %), more than the failure budget of 10 %", "failed": 3, "of": 20}


def test_a_failed_canary_stops_everything(run: Run) -> None:
    ended(run, HERE, 1, bad=1)
    assert judged(run, 1)["stop"] == "1 of 1 nodes failed (100 %), more than the failure budget of 10 %"
    assert judged(run, 2)["stop"] == judge(run, 1)["stop"], "what has stopped does not begin again"


def test_what_is_not_known_counts_as_failed(run: Run, lab: LabHandle) -> None:
    ended(run, HERE, 1)
    judged(run, 1)
    ended(run, HERE, 2)
    lab.server.faults.add(
        FaultRule(kind="access_denied", service="sts", operation="AssumeRole", contains="222222222222")
    )
    told = judged(run, 2)
    assert (told["failed"], told["of"]) == (5, 11)
    assert "more than the failure budget" in told["stop"]
    unknown = run.recorded("barrier-2")["judged"]["nodes"]
    assert all("cannot be assumed" in why for why in unknown.values())


def test_a_wave_that_left_no_record_counts_as_failed(run: Run) -> None:
    assert judged(run, 1)["failed"] == 1
    assert list(run.recorded("barrier-1")["judged"]["nodes"].values()) == ["unknown: nothing was recorded"]


def test_a_node_whose_agent_is_not_online_after_the_settle_time_has_failed(run: Run, lab: LabHandle) -> None:
    ended(run, HERE, 1)
    (canary,) = nodes(run, HERE, 1)
    lab.client("ec2", "111111111111", "eu-west-3").stop_instances(InstanceIds=[canary])
    lab.advance(minutes=10)
    assert judged(run, 1)["failed"] == 1
    assert run.recorded("barrier-1")["judged"]["nodes"] == {canary: "its agent is not online"}


@pytest.mark.parametrize(
    ("verdict", "words"),
    [("late", "too late to open"), ("halted", "the release is halted"), ("held", "do not hold any more")],
)
def test_what_was_not_opened_is_no_failure_of_a_node_and_stops_all_the_same(run: Run, verdict: str, words: str) -> None:
    ended(run, HERE, 1, verdict=verdict, results=(), reason="because")
    told = judged(run, 1)
    assert (told["failed"], told["of"]) == (0, 1)
    assert words in told["stop"]
    assert told["stop"].endswith("because")


def test_a_wave_that_only_reboots_is_judged_by_its_reboot(run: Run) -> None:
    ended(run, HERE, 1, kind="reboot")
    assert judged(run, 1)["stop"] is None


def test_a_node_that_was_to_reboot_counts_by_what_it_is_after_it(run: Run) -> None:
    ended(run, HERE, 1)
    ended(run, HERE, 1, bad=1, kind="reboot", verdict="done")
    ended(run, HERE, 1, kind="rescan")
    assert judged(run, 1)["stop"] is None, "its agent was wrong: nothing waits any more"


@pytest.mark.parametrize("kinds", [("reboot",), ("reboot", "rescan")])
def test_a_canary_that_did_not_reboot_stops_everything(run: Run, kinds: tuple[str, ...]) -> None:
    ended(run, HERE, 1)
    for kind in kinds:
        ended(run, HERE, 1, bad=1, kind=kind, verdict="done")
    assert judged(run, 1)["stop"] == "1 of 1 nodes failed (100 %), more than the failure budget of 10 %"
    (why,) = run.recorded("barrier-1")["judged"]["nodes"].values()
    assert why == f"{kinds[-1]}: Failed"


def test_a_wave_that_nobody_saw_reboot_counts_as_failed_where_it_was_to(run: Run) -> None:
    own = run.window.model_copy(update={"reboot": Reboot.model_validate("if_needed")})
    run = replace(run, window=own)
    ended(run, HERE, 1)
    assert judged(run, 1)["failed"] == 1
    assert list(run.recorded("barrier-1")["judged"]["nodes"].values()) == [
        "unknown: nothing was recorded of its reboot"
    ]


def test_a_wave_whose_nodes_need_no_reboot_is_judged_by_its_install(run: Run) -> None:
    ended(run, HERE, 1)
    ended(run, HERE, 1, kind="reboot", verdict="skipped", results=(), reason="no node of the wave needs it here")
    assert judged(run, 1) == {"stop": None, "failed": 0, "of": 1}


def test_behind_a_wave_without_nodes_the_next_may_open(run: Run) -> None:
    record = run.recorded("admitted")
    for place in record["locations"].values():
        place["parts"] = [part for part in place["parts"] if part["wave"] == 1]
    run.record("admitted", record)
    ended(run, HERE, 1)
    judged(run, 1)
    assert settle(run, 2) == {"until": None}
    assert judge(run, 2) == {"stop": None, "failed": 0, "of": 1}


def test_a_verdict_stays_what_it_was(run: Run) -> None:
    ended(run, HERE, 1, bad=1)
    first = judged(run, 1)
    ended(run, HERE, 1)
    assert judged(run, 1) == first


def test_waves_are_judged_in_their_order_and_settle_first(run: Run) -> None:
    with pytest.raises(ReleaseError, match="expected wave 1 to settle before it is judged"):
        judge(run, 1)
    settle(run, 2)
    with pytest.raises(ReleaseError, match="expected wave 1 to be judged before wave 2"):
        judge(run, 2)
