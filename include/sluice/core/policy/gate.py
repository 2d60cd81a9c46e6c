"""The gate before a production install."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from sluice.core.policy.base import Day, Part, Percent, Text, Values


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"expected a regular expression, found {text!r}: {error}") from None
    return text


class Freeze(Part):
    """Days on which nothing is released to production, both included."""

    first: Day = Field(alias="from")
    last: Day = Field(alias="until")
    because: Text

    @model_validator(mode="after")
    def _in_order(self) -> Freeze:
        if self.last < self.first:
            raise ValueError(f"expected until on or after {self.first}, found {self.last}")
        return self


class Approval(Part):
    """A person's word before a production release. No answer is a rejection."""

    short: ClassVar[str | None] = "needed"

    needed: Literal["always", "never", "first"] = Field(
        default="first", description="always, never, or for the first so many releases of a window."
    )
    first: int = Field(default=4, ge=1, le=1000, description="For so many releases of a window, then the gate alone.")
    approvers: Values = Field(default=(), description="Users of Airflow; none: whoever may edit the DAG.")
    hours: float = Field(default=12, gt=0, le=168, description="How long an answer is waited for, at most.")

    @model_validator(mode="after")
    def _one_way(self) -> Approval:
        if self.needed != "first" and "first" in self.model_fields_set:
            raise ValueError(f"expected first without needed: {self.needed}, found both: remove one")
        return self


class Gate(Part):
    """What must hold before anything of production opens; what cannot be known counts as not holding."""

    success_percent: Percent = Field(default=95.0, description="Of the non-production nodes behind the release.")
    evidence_hours: float = Field(default=36, gt=0, le=720, description="How old the evidence may be.")
    agents_percent: Percent = Field(default=90.0, description="Of the release's nodes whose agent is online.")
    calendars: Values = Field(default=(), description="SSM Change Calendars that must be open.")
    alarms: Values = Field(default=(), description="CloudWatch alarms that must not be in ALARM.")
    freezes: tuple[Freeze, ...] = Field(default=(), max_length=500)
    change_ticket: Annotated[str, AfterValidator(_pattern)] | None = Field(
        default=None, description="Pattern of a change ticket; with it a release needs one."
    )
    refuse_other_patchers: bool = Field(default=False, description="Close when something else patches the nodes.")
    approval: Approval = Approval()
