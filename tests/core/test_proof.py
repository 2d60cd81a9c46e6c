"""The proof of a policy's soak."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from time_policy import time_policy

from lab.evaluate import WindowsPatch, evaluate
from sluice.core.policy.policy import Policy
from sluice.core.proof import PUBLISHED, Proof, Request, prove
from sluice.files import read_policy

DEFAULT = Path(__file__).resolve().parents[2] / "include/policy/default.yaml"
FIRST = date(2025, 6, 2)
WEEK = timedelta(days=7)


def utc(month: int, day: int, hour: int) -> datetime:
    return datetime(2025, month, day, hour, tzinfo=UTC)


def proof_of(policy: Policy, days: int = 60) -> Proof:
    return prove(policy, FIRST, FIRST + timedelta(days=days - 1))


@pytest.fixture(scope="module")
def default() -> Proof:
    return proof_of(read_policy(str(DEFAULT)).policy, 730)


def first(proof: Proof, kind: str) -> Request:
    found = proof.alone[kind].first
    assert found is not None
    return found


def test_the_default_policys_soak_holds_for_every_date_of_two_years(default: Proof) -> None:
    assert default.releases == 730 * len(PUBLISHED)
    assert default.holds
    assert default.ledger.tried > default.releases * len({os for os, _ in default.rows})
    assert default.least_soak is not None
    assert default.least_soak >= WEEK


@pytest.mark.parametrize("kind", ["no_delay", "reissued", "late", "friday", "reboot", "short"])
def test_by_aws_delays_alone_the_default_policy_has_a_counterexample_of_each_kind(default: Proof, kind: str) -> None:
    found = first(default, kind)
    assert found.kind == kind
    assert found.arrival.soaked is None or found.arrival.soaked < WEEK


def test_a_friday_patch_and_a_monday_window_by_hand(default: Proof) -> None:
    found = first(default, "friday")
    # Issued on Friday at 17:00, when that day's window is over. Non-production has it on Monday, by 07:00.
    assert (found.issued, found.issued.weekday()) == (utc(6, 6, 17), 4)
    assert [(each.start, each.shown) for each in found.before] == [(utc(6, 9, 3), utc(6, 9, 7))]
    # Approved on Friday 13 at 17:00; production's next window is Monday 16, a week less four hours later.
    assert found.arrival.start == utc(6, 16, 3)
    assert found.arrival.start.weekday() == 0
    assert found.arrival.start - utc(6, 9, 7) == WEEK - timedelta(hours=4) == found.arrival.soaked


def test_a_re_issued_patch_by_hand_and_by_an_agents_own_evaluation(default: Proof) -> None:
    found = first(default, "reissued")
    # Non-production has the first issue on Monday 2. It is issued again on Tuesday 3, and non-production keeps the
    # first. Production waits a week from the second: Wednesday 4 is too early, Wednesday 11 is not.
    assert [(each.start, each.issued) for each in found.before] == [(utc(6, 2, 3), utc(6, 2, 0))]
    assert (found.arrival.issued, found.arrival.start) == (utc(6, 3, 0), utc(6, 11, 3))
    assert found.arrival.soaked is None

    def approved(now: datetime) -> bool:
        patch = WindowsPatch(
            "KB5060526", False, "2025-06 Cumulative Update", "WindowsServer2022", "Windows", "SecurityUpdates",
            "Critical", "OS", released=found.arrival.issued,
        )  # fmt: skip
        wanted = {"PatchFilters": [{"Key": "CLASSIFICATION", "Values": ["SecurityUpdates"]}]}
        rules = {"PatchRules": [{"PatchFilterGroup": wanted, "ApproveAfterDays": 7}]}
        (row,) = evaluate("WINDOWS", "WindowsServer2022", now, {"ApprovalRules": rules}, None, [patch])
        return row.requested

    assert not approved(found.arrival.start - WEEK)
    assert approved(found.arrival.start)


def test_ubuntu_comes_to_production_with_non_production(default: Proof) -> None:
    found = first(default, "no_delay")
    assert found.arrival.start == found.before[0].start
    assert default.alone["no_delay"].broken == default.alone["no_delay"].tried


def test_a_late_run_lets_production_come_within_two_days(default: Proof) -> None:
    found = first(default, "late")
    assert found.course.missed_runs > 0
    assert found.arrival.soaked is not None
    assert found.arrival.soaked < timedelta(days=2)


def test_without_any_reboot_in_non_production_what_needs_one_waits(default: Proof) -> None:
    for row in default.rows.values():
        assert row.reboot.never == default.releases
        assert row.ledger.never == 0
    rebooting = proof_of(time_policy(nonprod={"reboot": {"when": "if_needed"}}))
    assert all(row.reboot.values == row.ledger.values for row in rebooting.rows.values())
    assert not rebooting.alone["reboot"].broken


def test_days_are_counted_from_the_vendor_to_the_windows_start() -> None:
    every_day = {"schedule": "cron(0 0 ? * * *)"}
    (row, *_) = proof_of(time_policy(nonprod=every_day, prod=every_day, delay=10)).rows.values()
    # Issued at 00:00 it has to wait for the next midnight, at 17:00 for seven hours.
    middle = (1 + 7 / 24) / 2
    assert (row.nonprod.median, row.nonprod.worst) == pytest.approx((middle, 1))
    assert (row.alone.median, row.alone.worst) == pytest.approx((10 + middle, 11))
    # Shown at 04:00, it is soaked at 04:00 seven days later: one more midnight.
    assert (row.ledger.median, row.ledger.worst) == pytest.approx((8 + middle, 9))


@pytest.mark.parametrize("soak", [0, {"days": 7, "critical": {"days": 0}}])
def test_a_soak_of_no_days_is_no_soak_and_breaks_it(soak: int | dict[str, object]) -> None:
    found = proof_of(time_policy(soak=soak))
    assert not found.holds
    assert found.ledger.first is not None
    assert (found.ledger.first.days, found.ledger.first.issued) == (0, utc(6, 2, 0))


def test_a_re_issue_between_manifest_and_window_is_found_where_no_delay_on_windows_stops_it() -> None:
    lead = {"schedule": "cron(0 3 ? * WED *)", "lead_minutes": 720}
    assert proof_of(time_policy("WINDOWS", delay=7, prod=lead)).holds
    found = proof_of(time_policy("WINDOWS", delay=0, prod=lead))
    assert not found.holds
    request = found.ledger.first
    assert request is not None
    assert request.kind == "reissued"
    assert request.arrival.occurrence.dag_start < request.arrival.issued < request.arrival.start


def test_production_that_no_ring_comes_before_is_never_requested_by_ledger() -> None:
    found = proof_of(time_policy(rings=[{"name": "prod", "production": True}, {"name": "nonprod"}]))
    assert found.ledger.tried == 0
    assert all(row.ledger.never and not row.ledger.values for row in found.rows.values())


def test_a_product_that_only_production_has_is_a_kind_of_its_own() -> None:
    groups = [
        {"name": "nonprod", "ring": "nonprod", "baselines": ["nonprod-baseline"], "products": ["WINDOWS Server 2019"]},
        {"name": "prod", "ring": "prod", "baselines": ["prod-baseline"], "products": ["WINDOWS Server 2022"]},
    ]
    found = proof_of(time_policy("WINDOWS", patch_groups=groups))
    assert {kind for kind, tally in found.alone.items() if tally.broken} == {"no_twin"}
    assert first(found, "no_twin").before == ()
    assert found.holds
    assert found.ledger.tried == 0


def test_a_policy_without_install_windows_has_nothing_to_prove() -> None:
    scan = {"name": "scan-daily", "operation": "scan", "schedule": "cron(0 1 * * ? *)", "duration_hours": 2}
    found = proof_of(time_policy(windows=[scan]))
    assert found.holds
    assert not found.rows


def test_severities_with_their_own_rules_have_their_own_days() -> None:
    policy = time_policy(soak={"days": 14, "critical": {"days": 3}}, prod={"schedule": "cron(0 3 ? * * *)"})
    days = {severity: row.ledger.worst for (_, severity), row in proof_of(policy).rows.items()}
    assert days["low"] == days["medium"] == days["critical"] + 11  # type: ignore[operator]  # both come
