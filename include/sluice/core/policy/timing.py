"""How patiently releases look at AWS."""

from __future__ import annotations

from pydantic import Field, model_validator

from sluice.core.policy.base import Part


class Timing(Part):
    """How often a release looks, and how long it waits."""

    poll_seconds: float = Field(default=20, ge=0.02, le=600, description="Between two looks at a running execution.")
    poll_at_most_seconds: float = Field(
        default=120, ge=0.02, le=3600, description="Looks become rarer while nothing happens, up to this."
    )
    open_lead_minutes: int = Field(
        default=5, ge=1, le=60, description="A window opens at the earliest so long from now."
    )
    start_grace_minutes: int = Field(
        default=10, ge=1, le=60, description="What has not begun so long after its time is closed and failed."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Timing:
        if self.poll_at_most_seconds < self.poll_seconds:
            raise ValueError(
                f"expected poll_at_most_seconds of at least poll_seconds ({self.poll_seconds:g}),"
                f" found {self.poll_at_most_seconds:g}"
            )
        return self
