"""The day on which a patch reaches a ring."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from time_policy import time_policy

from sluice.core.approval import Patch
from sluice.core.journey import Arrival, Course, journeys
from sluice.core.lanes import lanes
from sluice.core.policy.baselines import OperatingSystem
from sluice.core.policy.policy import Policy
from sluice.core.proof import prove

FRIDAY = datetime(2025, 6, 13, 17, tzinfo=UTC)


def reach(policy: Policy, issued: datetime, *, ledger: bool = True, **course: Any) -> tuple[list[str], list[str]]:
    """When it comes to non-production and to production."""
    rings = [
        [f"{each.start:%m-%d %H:%M}" for each in ring] for ring in arrivals(policy, issued, ledger=ledger, **course)
    ]
    return rings[0], rings[1]


def arrivals(
    policy: Policy, issued: datetime, *, ledger: bool = True, **course: Any
) -> tuple[tuple[Arrival, ...], ...]:
    patch = Patch.security(OperatingSystem(policy.baselines[0].os), "important")
    (journey,) = journeys(policy, patch, issued, Course(**course))
    return journey.ledger if ledger else journey.alone


def test_by_aws_delay_alone_a_friday_patch_comes_to_production_ten_days_later() -> None:
    assert reach(time_policy(), FRIDAY, ledger=False) == (["06-16 03:00"], ["06-23 03:00"])


def test_with_the_ledger_it_waits_for_the_window_after_its_soak() -> None:
    assert reach(time_policy(), FRIDAY) == (["06-16 03:00"], ["06-30 03:00"])


def test_approval_is_strictly_after_the_delay() -> None:
    exactly = datetime(2025, 6, 16, 3, tzinfo=UTC)
    assert reach(time_policy(delay=7), exactly, ledger=False)[1] == ["06-30 03:00"]
    assert reach(time_policy(delay=7), exactly - timedelta(seconds=1), ledger=False)[1] == ["06-23 03:00"]


def test_ubuntu_comes_to_both_rings_at_once_unless_the_ledger_holds_it() -> None:
    ubuntu = time_policy("UBUNTU")
    assert reach(ubuntu, FRIDAY, ledger=False) == (["06-16 03:00"], ["06-16 03:00"])
    assert reach(ubuntu, FRIDAY) == (["06-16 03:00"], ["06-30 03:00"])


def test_on_linux_the_manifest_bypasses_the_delay_and_on_windows_it_does_not() -> None:
    assert reach(time_policy(delay=40), FRIDAY)[1] == ["06-30 03:00"]
    assert reach(time_policy("WINDOWS", delay=40), FRIDAY)[1] == ["07-28 03:00"]


def test_the_manifest_is_made_when_the_dag_starts_so_a_lead_counts() -> None:
    nightly = {"schedule": "cron(0 8 ? * * *)"}
    assert reach(time_policy(prod=nightly), FRIDAY)[1] == ["06-23 08:00"]
    assert reach(time_policy(prod={**nightly, "lead_minutes": 120}), FRIDAY)[1] == ["06-24 08:00"]


def test_a_late_run_moves_the_soak_and_with_it_production() -> None:
    assert reach(time_policy(), FRIDAY, missed_runs=1) == (["06-17 03:00"], ["06-30 03:00"])
    assert reach(time_policy(), FRIDAY, missed_runs=5) == (["06-23 03:00"], ["07-07 03:00"])
    assert reach(time_policy(), FRIDAY, missed_runs=5, ledger=False) == (["06-23 03:00"], ["06-23 03:00"])


def test_a_freeze_holds_the_release_and_aws_alone_knows_none() -> None:
    frozen = time_policy(gate={"freezes": [{"from": "2025-06-20", "until": "2025-07-01", "because": "audit"}]})
    assert reach(frozen, FRIDAY)[1] == ["07-07 03:00"]
    assert reach(frozen, FRIDAY, ledger=False)[1] == ["06-23 03:00"]


def test_what_needs_a_reboot_waits_for_it() -> None:
    assert reach(time_policy(), FRIDAY, needs_reboot=True) == (["06-16 03:00"], [])
    by_hand = datetime(2025, 6, 20, 12, tzinfo=UTC)
    assert reach(time_policy(), FRIDAY, needs_reboot=True, rebooted=by_hand)[1] == ["06-30 03:00"]
    assert reach(time_policy(), FRIDAY, needs_reboot=True, rebooted=FRIDAY)[1] == []
    rebooting = time_policy(nonprod={"reboot": {"when": "if_needed"}})
    assert reach(rebooting, FRIDAY, needs_reboot=True)[1] == ["06-30 03:00"]


class TestReissued:
    """A Windows patch that is issued again under the same KB, nine days after."""

    windows = time_policy("WINDOWS")
    again = timedelta(days=9)

    def test_offered_again_it_soaks_again(self) -> None:
        assert reach(self.windows, FRIDAY, reissued_after=self.again) == (
            ["06-16 03:00", "06-23 03:00"],
            ["07-07 03:00"],
        )

    def test_taken_for_installed_it_never_soaks_and_never_comes(self) -> None:
        assert reach(self.windows, FRIDAY, reissued_after=self.again, offered_again=False) == (["06-16 03:00"], [])

    def test_by_aws_delay_alone_production_gets_what_nothing_ran_before(self) -> None:
        (_, prod) = arrivals(self.windows, FRIDAY, ledger=False, reissued_after=self.again, offered_again=False)
        assert [(each.start.day, each.issued, each.soaked) for each in prod] == [(30, FRIDAY + self.again, None)]

    def test_a_manifest_that_is_made_before_the_second_soak_is_over_does_not_have_it(self) -> None:
        late = time_policy("WINDOWS", prod={"schedule": "cron(0 8 ? * MON *)", "lead_minutes": 120})
        # Shown on Monday 23 at 07:00: soaked on Monday 30 at 07:00, an hour after that day's manifest.
        assert reach(late, FRIDAY, reissued_after=self.again)[1] == ["07-07 08:00"]

    def test_on_windows_approval_is_strictly_after_the_delay_with_the_ledger_too(self) -> None:
        exactly = datetime(2025, 6, 16, 3, tzinfo=UTC)
        assert reach(time_policy("WINDOWS", delay=14), exactly)[1] == ["07-07 03:00"]
        assert reach(time_policy("WINDOWS", delay=14), exactly - timedelta(seconds=1))[1] == ["06-30 03:00"]


class TestThreeRings:
    """Non-production, a second ring without gate, production."""

    every_day = "cron(0 3 ? * * *)"

    def policy(self, between: str = every_day) -> Policy:
        rings = ["nonprod", "stage", "prod"]
        soaks = [{}, {}, {"soak": {"days": 7}, "production": True}]
        return time_policy(
            rings=[{"name": name, **soak} for name, soak in zip(rings, soaks, strict=True)],
            baselines=[
                {"name": f"{name}-baseline", "os": "UBUNTU", "rules": [{"compliance": "HIGH"}]} for name in rings
            ],
            patch_groups=[
                {"name": name, "ring": name, "baselines": [f"{name}-baseline"], "products": ["UBUNTU 22.04"]}
                for name in rings
            ],
            windows=[
                {
                    "name": f"install-{name}",
                    "operation": "install",
                    "schedule": between if name == "stage" else self.every_day,
                    "duration_hours": 4,
                    "patch_groups": [name],
                }
                for name in rings
            ],
        )

    def test_only_production_waits_for_the_one_before(self) -> None:
        found = [[f"{each.start:%m-%d}" for each in ring] for ring in arrivals(self.policy(), FRIDAY)]
        assert found == [["06-14"], ["06-14"], ["06-22"]]

    def test_production_counts_from_the_ring_before_it_and_from_no_other(self) -> None:
        (_, (stage,), (prod,)) = arrivals(self.policy("cron(0 3 ? * WED *)"), FRIDAY)
        assert f"{stage.start:%m-%d}" == "06-18"
        assert prod.soaked == prod.start - (stage.start + timedelta(hours=4))

    def test_only_what_production_requests_is_proven(self) -> None:
        found = prove(self.policy(), FRIDAY.date(), FRIDAY.date())
        assert found.holds
        assert found.least_soak == timedelta(days=7, hours=20)


def test_production_without_a_twin_in_the_ring_before_gets_nothing_by_ledger() -> None:
    groups = [
        {"name": "nonprod", "ring": "nonprod", "baselines": ["nonprod-baseline"], "products": ["UBUNTU 22.04"]},
        {"name": "prod", "ring": "prod", "baselines": ["prod-baseline"], "products": ["UBUNTU 24.04"]},
    ]
    policy = time_policy("UBUNTU", patch_groups=groups)
    found = journeys(policy, Patch.security(OperatingSystem.UBUNTU, "low"), FRIDAY)
    assert [(journey.lane.products, [len(ring) for ring in journey.ledger]) for journey in found] == [
        (("UBUNTU 22.04",), [1, 0]),
        (("UBUNTU 24.04",), [0, 0]),
    ]


def test_a_version_in_general_is_the_twin_of_its_minor_ones() -> None:
    baselines = [
        {"name": f"{ring}-baseline", "os": "REDHAT_ENTERPRISE_LINUX", "rules": [{"approve_after_days": 0}]}
        for ring in ("nonprod", "prod")
    ]
    groups = [
        {
            "name": ring,
            "ring": ring,
            "baselines": [f"{ring}-baseline"],
            "products": [f"REDHAT_ENTERPRISE_LINUX {number}"],
        }
        for ring, number in (("nonprod", "9"), ("prod", "9.4"))
    ]
    found = lanes(time_policy(baselines=baselines, patch_groups=groups))
    assert all(all(stage.stops for stage in lane.stages) for lane in found)


@pytest.mark.parametrize("severity", ["critical", "low"])
def test_a_soak_may_depend_on_the_severity(severity: str) -> None:
    policy = time_policy(soak={"days": 7, "critical": {"days": 2}}, prod={"schedule": "cron(0 3 ? * * *)"})
    (journey,) = journeys(policy, Patch.security(OperatingSystem.AMAZON_LINUX_2023, severity), FRIDAY)
    assert f"{journey.ledger[1][0].start:%m-%d}" == {"critical": "06-19", "low": "06-24"}[severity]
