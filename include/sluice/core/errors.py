"""The product's exceptions.

    SluiceError          anything the product refuses, with what to do about it
    ├── ScheduleError    a schedule that is malformed or contradicts itself
    ├── TextError        a text (YAML, so far) that cannot be read or is not what it should be; knows the lines
    ├── PolicyError      a policy of one or several texts that cannot be used; knows files, lines and codes
    ├── TakeOverError    applying would change something of others, which nobody has agreed to
    ├── ReleaseError     a step of a release that cannot be taken: what was asked, or what was found, does not allow it
    │   └── LeasedError      a window that another release drives now
    ├── EvidenceError    evidence that cannot be written or read
    └── AWSError         a call of AWS that was refused or failed; knows AWS's code
        ├── DeniedError      the caller may not do this, or not assume the role
        ├── AnswerError      an answer without what every answer has: nothing is concluded from it
        ├── LostError        a conditional write that another writer has won
        ├── EndpointError    an endpoint that the policy refuses
        └── LocationError    no account or Region, or another account than the policy names

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


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands."""

    file: str
    line: int
    """Counted from 1; 0 for the file, or the folder, as a whole."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class PolicyProblem:
    """One thing for which a policy cannot be used. docs/findings.md has a part on each code."""

    code: str
    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.code} error: {self.message}"


class PolicyError(SluiceError):
    """A policy that cannot be used. `problems` are all that were found, by file and line."""

    def __init__(self, problems: Iterable[PolicyProblem]) -> None:
        self.problems = tuple(
            sorted(set(problems), key=lambda found: (found.place.file, found.place.line, found.code, found.message))
        )
        super().__init__("\n".join(str(found) for found in self.problems))


class TakeOverError(SluiceError):
    """Applying would change something of others."""


class ReleaseError(SluiceError):
    """A step of a release that cannot be taken; another try changes nothing until somebody does."""


class LeasedError(ReleaseError):
    """A window that another release drives now."""


class EvidenceError(SluiceError):
    """Evidence that cannot be written or read."""


class AWSError(SluiceError):
    """A call of AWS that was refused or failed."""

    def __init__(self, message: str, code: str = "") -> None:
        self.code = code
        """AWS's error code, or the name of the SDK's exception; empty where it is the product's own word."""
        super().__init__(message)


class DeniedError(AWSError):
    """The caller may not do this."""


class AnswerError(AWSError):
    """An answer that lacks what every answer has."""


class LostError(AWSError):
    """A conditional write that another writer has won."""


class EndpointError(AWSError):
    """An endpoint that the policy refuses."""

    def __init__(self, message: str, url: str) -> None:
        self.url = url
        super().__init__(message)


class LocationError(AWSError):
    """A target location that the caller's credentials do not fit."""
