"""What the check says of the policies that come with the product: no errors, and exactly these questions."""

from __future__ import annotations

from datetime import date

import pytest

from sluice import files
from sluice.core.policy.lint import lint
from sluice.core.policy.load import load_policy

DAY = date(2026, 3, 2)


def found(name: str, day: date = DAY) -> list[tuple[str, str, str]]:
    loaded = load_policy([(name, (files.SHIPPED / name).read_text("utf-8"))], {})
    return [(one.code, one.kind, one.message.partition(": ")[0]) for one in lint(loaded, day)]


def test_the_default_policy_raises_exactly_these_questions() -> None:
    assert found(files.DEFAULT) == [
        ("P226", "question", "notify"),  # nobody is notified
        ("P229", "question", "evidence"),  # no bucket for evidence yet
        ("P184", "question", "windows.install-nonprod.reboot"),  # never, until you decide
        ("P179", "question", "windows.install-prod-windows.schedule"),  # Patch Tuesday misses the first Wednesday
        ("P207", "question", "gate.approval"),  # no approvers are named
    ]


def test_the_demo_policy_raises_exactly_these_questions() -> None:
    assert found(files.DEMO) == [
        ("P226", "question", "notify"),
        ("P165", "question", "patch_groups.prod-linux.products.5"),
        ("P165", "question", "patch_groups.prod-linux.products.6"),
        ("P179", "question", "windows.install-prod-windows.schedule"),
        ("P207", "question", "gate.approval"),
    ]


@pytest.mark.parametrize("name", [files.DEFAULT, files.DEMO])
@pytest.mark.parametrize("month", range(1, 13))
def test_the_shipped_policies_raise_the_same_on_every_day(name: str, month: int) -> None:
    assert found(name, date(2027, month, 17)) == found(name)
