"""Rules for what the lab cannot run: scripts' exit codes and the outcomes of Automation, Lambda and Step Functions.

The fleet file lists them under `rules:`, the admin API changes them under `/lab/rules`. The first
rule that matches decides; without one a script ends as `lab.scripts` reads it and everything else succeeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["script", "automation", "lambda", "step_functions"]


class Rule(BaseModel):
    """One outcome: `match` is a glob on the script's text, or on the document's, function's or machine's name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    match: str = Field(min_length=1)
    outcome: Literal["Success", "Failed", "TimedOut", "Cancelled"] = "Success"
    exit_code: int | None = Field(default=None, ge=0, le=65535)
    """Scripts only: the code the script exits with."""
    seconds: float = Field(default=10.0, ge=0)
    """How long it runs, in lab seconds."""
    times: int | None = Field(default=None, ge=1)
    """Matches only so many times; None: always."""


class Rules:
    """The rules in force, in order, and how often each has matched."""

    def __init__(self, rules: list[Rule] | None = None) -> None:
        self._rules = list(rules or [])
        self._matched = [0] * len(self._rules)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    def add(self, rule: Rule) -> None:
        """Add a rule behind those that stand."""
        self._rules.append(rule)
        self._matched.append(0)

    def clear(self) -> None:
        """Forget all rules."""
        self._rules, self._matched = [], []

    def first(self, kind: Kind, text: str) -> Rule | None:
        """The first rule of this kind that matches and is not used up; counts the match."""
        for index, rule in enumerate(self._rules):
            used_up = rule.times is not None and self._matched[index] >= rule.times
            if rule.kind == kind and not used_up and fnmatchcase(text, rule.match):
                self._matched[index] += 1
                return rule
        return None
