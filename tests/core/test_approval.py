"""When a baseline's own rules approve a patch."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sluice.core.approval import Patch, approved_after, severities
from sluice.core.policy.baselines import Baseline, OperatingSystem
from sluice.core.policy.rings import SEVERITIES

ISSUED = datetime(2025, 6, 10, 17, tzinfo=UTC)
AL2023, WINDOWS, UBUNTU = OperatingSystem.AMAZON_LINUX_2023, OperatingSystem.WINDOWS, OperatingSystem.UBUNTU


def baseline(os: str, *rules: dict[str, Any], **more: Any) -> Baseline:
    return Baseline.model_validate({"name": "some-baseline", "os": os, "rules": rules, **more})


def delay(found: Baseline, patch: Patch) -> float | None:
    moment = approved_after(found, patch, ISSUED)
    return None if moment is None else (moment - ISSUED) / timedelta(days=1)


def test_the_delay_counts_from_the_patchs_date() -> None:
    week = baseline(AL2023, {"classification": "Security", "approve_after_days": 7})
    assert delay(week, Patch.security(AL2023, "important")) == 7


def test_the_shortest_delay_of_the_rules_that_fit_counts() -> None:
    faster = baseline(
        AL2023,
        {"classification": "Security", "approve_after_days": 7},
        {"classification": "Security", "severity": "Critical", "approve_after_days": 2},
    )
    assert delay(faster, Patch.security(AL2023, "critical")) == 2
    assert delay(faster, Patch.security(AL2023, "important")) == 7


@pytest.mark.parametrize(
    ("os", "word", "severity"),
    [(WINDOWS, "Moderate", "medium"), (WINDOWS, "Unspecified", "unknown"), (AL2023, "Medium", "medium")],
)
def test_each_distributions_word_for_a_severity_is_understood(os: str, word: str, severity: str) -> None:
    system = OperatingSystem(os)
    found = baseline(system, {"severity": word, "approve_after_days": 1})
    assert delay(found, Patch.security(system, severity)) == 1
    assert delay(found, Patch.security(system, "low")) is None


def test_a_rule_fits_the_severities_that_it_names_and_all_with_a_star_or_without_a_word() -> None:
    def fitting(*words: str) -> tuple[str, ...]:
        return severities(baseline(AL2023, {"severity": list(words), "approve_after_days": 1}).rules[0])

    assert fitting("Moderate", "Critical") == ("critical", "medium")
    assert fitting() == fitting("*") == fitting("*", "Critical") == SEVERITIES
    assert fitting("Severe") == ()


def test_a_star_fits_everything() -> None:
    found = baseline(AL2023, {"severity": "*", "classification": "*", "approve_after_days": 3})
    assert delay(found, Patch.security(AL2023, "unknown")) == 3


def test_global_filters_bind_the_rules() -> None:
    found = baseline(AL2023, {"approve_after_days": 0}, filters={"severity": ["Critical"]})
    assert delay(found, Patch.security(AL2023, "critical")) == 0
    assert delay(found, Patch.security(AL2023, "low")) is None


def test_a_fixed_date_approves_what_is_dated_up_to_its_end() -> None:
    assert delay(baseline(AL2023, {"approve_until": "2025-06-10"}), Patch.security(AL2023, "low")) == 0
    assert delay(baseline(AL2023, {"approve_until": "2025-06-09"}), Patch.security(AL2023, "low")) is None


def test_ubuntu_has_no_delay_whatever_the_rule_says() -> None:
    assert delay(baseline(UBUNTU, {"approve_after_days": 7}), Patch.security(UBUNTU, "critical")) == 0


def test_centos_approves_only_by_a_rule_with_non_security() -> None:
    centos = OperatingSystem.CENTOS
    assert delay(baseline(centos, {"approve_after_days": 7}), Patch.security(centos, "low")) is None
    both = baseline(centos, {"approve_after_days": 7, "non_security": True, "severity": "Critical"})
    assert delay(both, Patch.security(centos, "low")) == 7


def test_a_baseline_of_another_system_approves_nothing() -> None:
    assert delay(baseline(WINDOWS, {"approve_after_days": 0}), Patch.security(AL2023, "low")) is None
