"""The lab's exceptions.

    LabError                     anything the lab refuses, with what to do about it
    ├── EvaluationError          a baseline or an operating system that no agent could evaluate (lab.evaluate)
    ├── FleetError               a fleet file that cannot be read or makes no sense (file and line)
    ├── ClockError               a clock that cannot do what was asked (advance a real clock, go back)
    ├── FaultError               a fault rule that matches nothing or contradicts itself
    ├── PolicyDocumentError      an IAM policy that IAM could not evaluate
    └── ContractViolation        an answer of the lab that AWS's own model would not allow

AWS's errors are not here: an operation raises `lab.ssm.base.error(code, message)`.
"""

from __future__ import annotations


class LabError(Exception):
    """Something the lab refuses. The message says what was expected, what was found and what to do."""


class FleetError(LabError):
    """A fleet file that cannot be used; each problem names its file and line."""


class ClockError(LabError):
    """A clock that cannot do what was asked."""


class FaultError(LabError):
    """A fault rule that cannot be used."""


class PolicyDocumentError(LabError):
    """An IAM policy that IAM could not evaluate."""


class ContractViolation(LabError):
    """An answer that botocore's model of the operation does not allow."""
