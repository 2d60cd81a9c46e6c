"""Rings: the stages that patches pass in order, and how long they soak before the next."""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from sluice.core.policy.base import Agreed, Day, GroupName, Name, OneOrMany, Part, Percent, Text, Values

SEVERITIES = ("critical", "important", "medium", "low", "unknown")
"""Severities as the policy tells them apart; each distribution's own words fall into one of them."""


class SoakDays(Agreed):
    """Days of soak, with who agreed on them where they are short."""

    short: ClassVar[str | None] = "days"

    days: int = Field(ge=0, le=365)


class Soak(Part):
    """How long a patch must have been installed and healthy in the ring before."""

    short: ClassVar[str | None] = "days"

    days: int = Field(default=7, ge=0, le=365, description="Where no severity says otherwise.")
    critical: SoakDays | None = None
    important: SoakDays | None = None
    medium: SoakDays | None = None
    low: SoakDays | None = None
    unknown: SoakDays | None = None

    def for_severity(self, severity: str) -> int:
        """Days for a severity of `SEVERITIES`."""
        own: SoakDays | None = getattr(self, severity)
        return self.days if own is None else own.days

    @property
    def shortest(self) -> int:
        """The fewest days that any severity soaks."""
        return min(self.for_severity(severity) for severity in SEVERITIES)

    @property
    def longest(self) -> int:
        """The most days that any severity soaks."""
        return max(self.for_severity(severity) for severity in SEVERITIES)


class Ring(Part):
    """A stage. What production says of soak is what its own releases demand of the ring before."""

    name: Name
    production: bool = Field(default=False, description="Its windows are gated, whatever they say.")
    soak: Soak | None = Field(default=None, description="Of production rings: the others have no gate to hold it.")
    min_nodes: int = Field(default=1, ge=1, le=10_000, description="Healthy nodes that a soak needs.")
    max_failure_percent: Percent = Field(default=5.0, description="Failed installs that void a soak.")
    max_wait_days: int = Field(default=30, ge=1, le=365, description="A patch that waits longer is alerted.")


Names = Annotated[tuple[GroupName, ...], OneOrMany, Field(max_length=1000)]


class Waiver(Part):
    """Something that is left out or let through, until a day, with an owner and a reason."""

    owner: Text
    because: Text
    expires: Day
    nodes: Values = Field(default=(), description="Instance ids that are not patched.")
    patch_groups: Names = Field(default=(), description="Patch groups that are not patched.")
    patches: Values = Field(default=(), description="Patches that production takes without soak.")
    packages: Values = Field(default=(), description="Packages that only production has.")
    reissued: Values = Field(default=(), description="Classes that are re-issued under one KB.")
    without_backup: Values = Field(default=(), description="Nodes patched without the image that is required.")
    findings: Values = Field(default=(), description="Codes of the policy check that are waived.")

    @model_validator(mode="after")
    def _names_something(self) -> Waiver:
        named = (self.nodes, self.patch_groups, self.patches, self.packages, self.reissued, self.without_backup)
        if not any((*named, self.findings)):
            raise ValueError(
                "expected nodes, patch_groups, patches, packages, reissued, without_backup or findings, found none"
            )
        return self

    def holds(self, day: date) -> bool:
        """Whether it holds on a day: up to and including the one on which it expires."""
        return day <= self.expires
