"""The product's exceptions.

    SluiceError          anything the product refuses, with what to do about it
    ├── ScheduleError    a schedule that is malformed or contradicts itself
    └── TextError        a text (YAML, so far) that cannot be read or is not what it should be; knows the lines

The tree grows here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class SluiceError(Exception):
    """Something the product refuses. The message says what was expected, what was found and what to do."""


class ScheduleError(SluiceError):
    """A schedule expression, time zone or date that cannot be used."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a text: what was expected, what was found, what to do."""

    line: int
    """Counted from 1."""
    message: str


class TextError(SluiceError):
    """A text that cannot be used. `problems` are all that were found, in the order of their lines."""

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        self.name = name
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("\n".join(f"{name}:{problem.line}: {problem.message}" for problem in self.problems))
