"""A window that no release was begun for is told: such a run has no deadline to miss."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from flow_world import NONPROD, PROD, SCAN, at, prepare, run_of, small

from lab.faults import FaultRule
from lab.testing import LabHandle
from sluice.aws.session import Connections
from sluice.core.policy.policy import Policy
from sluice.core.release.unmade import unmade
from sluice.flow.supervise import never_begun


def told(policy: Policy) -> list[str]:
    return [one.partition(" was begun")[0] for one in never_begun(policy, Connections.of(policy))]


def wanted(policy: Policy, begun: dict[str, set[datetime]], since: datetime, until: datetime) -> list[str]:
    return [f"{one.window.name} {one.start:%d %H}" for one in unmade(policy, begun, since, until)]


def test_every_window_that_the_calendar_wanted_is_told_unless_a_release_was_begun(policy: Policy) -> None:
    begun = {SCAN: {at(9, 1)}, NONPROD: {at(10, 3)}}
    assert wanted(policy, begun, at(9), at(11)) == [f"{NONPROD} 09 03", f"{PROD} 09 03", f"{SCAN} 10 01"]
    assert wanted(policy, begun, at(9), at(9, 3)) == []


def test_where_nothing_may_install_only_scans_are_wanted(tmp_path: Path) -> None:
    observing = small(tmp_path, mode="observe")
    assert wanted(observing, {}, at(9), at(10)) == [f"{SCAN} 09 01"]


def test_it_tells_from_the_first_release_on_and_no_more_than_three_days(policy: Policy, lab: LabHandle) -> None:
    lab.advance_to(at(9, 2))
    assert told(policy) == [], "nobody has ever begun anything"
    run_of(policy, SCAN, at(9, 1), run_id="a")
    run_of(policy, PROD, at(9, 3), run_id="b")
    lab.advance_to(at(10, 0, 30))
    assert told(policy) == [f"{NONPROD}: no release of Mon 2025-06-09 03:00 UTC"]
    lab.advance_to(at(20, 2, 30))
    assert [one for one in told(policy) if SCAN in one] == [
        f"{SCAN}: no release of {day} 01:00 UTC" for day in ("Wed 2025-06-18", "Thu 2025-06-19", "Fri 2025-06-20")
    ]


def test_what_lies_beside_the_releases_and_is_none_of_them_stops_no_supervision(policy: Policy, lab: LabHandle) -> None:
    lab.advance_to(at(9, 2))
    run = run_of(policy, SCAN, at(9, 1))
    run.store.put("releases/copy/begun.json", b"{}")
    lab.advance_to(at(10, 0, 30))
    assert len(told(policy)) == 2


def test_a_dry_run_or_reboots_alone_for_that_time_are_no_release_of_it(policy: Policy, lab: LabHandle) -> None:
    lab.advance_to(at(9, 2))
    for number, asked in enumerate(({"dry_run": True}, {"only_reboots": True})):
        run_of(policy, NONPROD, at(9, 3), run_id=f"other{number}", **asked)
    lab.advance_to(at(9, 20))
    missing = f"{NONPROD}: no release of Mon 2025-06-09 03:00 UTC"
    assert missing in told(policy)
    run_of(policy, NONPROD, at(9, 3), run_id="its own")
    assert missing not in told(policy)


def test_a_location_that_does_not_answer_hides_nothing(aws_environment: LabHandle, tmp_path: Path) -> None:
    places = [{"account": "111111111111", "region": one} for one in ("eu-west-1", "eu-west-3")]
    policy = small(tmp_path, locations=places)
    prepare(aws_environment, policy)
    aws_environment.advance_to(at(9, 2))
    run_of(policy, SCAN, at(9, 1))
    aws_environment.advance_to(at(10, 0, 30))
    aws_environment.server.faults.add(FaultRule(kind="access_denied", service="sts", region="eu-west-1"))
    assert len(told(policy)) == 2
