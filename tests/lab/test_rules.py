"""Rules decide what the lab does not run."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lab.rules import Rule, Rules


def test_the_first_rule_that_matches_decides() -> None:
    first, second = Rule(kind="lambda", match="post*", outcome="Failed"), Rule(kind="lambda", match="*")
    rules = Rules([first, second])
    assert rules.first("lambda", "post-check") is first
    assert rules.first("lambda", "other") is second
    assert rules.first("automation", "post-check") is None


def test_a_rule_with_times_is_used_up() -> None:
    rules = Rules([Rule(kind="script", match="*", exit_code=1, times=2)])
    assert [rules.first("script", "x") is None for _ in range(3)] == [False, False, True]


def test_cleared_rules_match_nothing() -> None:
    rules = Rules()
    rules.add(Rule(kind="script", match="*"))
    rules.clear()
    assert rules.first("script", "x") is None
    assert list(rules) == []


@pytest.mark.parametrize("bad", [{"outcome": "Maybe"}, {"match": ""}, {"seconds": -1}, {"times": 0}, {"more": 1}])
def test_a_rule_that_makes_no_sense_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Rule.model_validate({"kind": "script", "match": "*", **bad})
