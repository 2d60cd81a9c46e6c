"""Waivers of findings."""

from __future__ import annotations

from datetime import date, timedelta

from policy_corpus import TODAY, texts

from sluice.core.policy.lint import CODES, Finding, lint
from sluice.core.policy.load import load_policy

LAST = date(2026, 6, 1)
PART = """
windows:
  - name: install-nonprod
    operation: install
    schedule: cron(0 3 ? * MON-FRI *)
    duration_hours: 4
    patch_groups: web-nonprod
exceptions:
  - {owner: platform team, because: by hand on Sundays, expires: 2026-06-01, findings: CODE}
"""


def findings(code: str, day: date = TODAY) -> dict[str, Finding]:
    found = lint(load_policy(texts(PART.replace("CODE", code)), {}), day)
    return {finding.code: finding for finding in found}


def test_a_waived_finding_is_shown_with_the_last_day_of_its_waiver() -> None:
    found = findings("P184")
    assert found["P184"].waived_until == LAST
    assert set(found) == {"P184"}


def test_a_waiver_holds_on_its_last_day_and_not_on_the_next() -> None:
    assert findings("P184", LAST)["P184"].waived_until == LAST
    after = findings("P184", LAST + timedelta(days=1))
    assert after["P184"].waived_until is None
    assert after["P211"].kind == "error"


def test_the_later_of_two_waivers_counts() -> None:
    later = "[P184]}\n  - {owner: platform team, because: still, expires: 2026-09-01, findings: P184"
    assert findings(later)["P184"].waived_until == date(2026, 9, 1)


def test_a_waiver_does_not_waive_another_code() -> None:
    found = findings("P187")
    assert found["P184"].waived_until is None
    assert found["P215"].kind == "question"


def test_what_keeps_production_safe_or_could_never_work_cannot_be_waived() -> None:
    firm = {code for code, known in CODES.items() if not known.waivable}
    assert {"P157", "P159", "P171", "P211", "P213", "P214"} <= firm
    assert findings("P159")["P214"].kind == "error"


def test_every_question_but_that_of_an_expiry_can_be_waived() -> None:
    assert [code for code, known in CODES.items() if known.kind == "question" and not known.waivable] == ["P212"]


def test_an_exception_is_asked_about_from_two_weeks_before_its_last_day() -> None:
    assert "P212" not in findings("P184", LAST - timedelta(days=15))
    assert "found 14 until 2026-06-01 (platform team" in findings("P184", LAST - timedelta(days=14))["P212"].message
