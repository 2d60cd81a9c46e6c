"""The policy as a whole."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sluice.core.policy.base import LocationBucket, Name, Part
from sluice.core.policy.baselines import Baseline, PatchGroup
from sluice.core.policy.gate import Gate
from sluice.core.policy.places import Evidence, Extras, Location, Notify, Roles, Sla, Tags
from sluice.core.policy.rings import Ring, Waiver
from sluice.core.policy.timing import Timing
from sluice.core.policy.windows import Logs, Window


class Policy(Part):
    """What is approved, when it installs, where and under which gate."""

    version: Literal[1] = Field(description="The format of this file.")
    deployment: Annotated[Name, Field(max_length=40)] = Field(
        default="sluice", description="Tells the objects of several deployments apart."
    )
    mode: Literal["observe", "release"] = Field(description="observe: nothing may install, in code and by role.")
    pilot: bool = Field(
        default=False, description="It scans at most five nodes of its own, or it is refused; `init --pilot` writes it."
    )
    endpoint: Literal["aws"] | None = Field(
        default=None, description="aws: any endpoint other than AWS's own is refused."
    )
    tags: Tags = Tags()
    locations: tuple[Location, ...] = Field(default=(Location(),), min_length=1, max_length=2000)
    roles: Roles = Roles()
    rings: tuple[Ring, ...] = Field(min_length=1, max_length=20, description="In the order in which patches pass them.")
    baselines: tuple[Baseline, ...] = Field(default=(), max_length=500)
    patch_groups: tuple[PatchGroup, ...] = Field(default=(), max_length=2000)
    windows: tuple[Window, ...] = Field(default=(), max_length=500)
    gate: Gate = Gate()
    exceptions: tuple[Waiver, ...] = Field(default=(), max_length=2000)
    logs: Logs = Logs()
    operations_bucket: LocationBucket | None = Field(
        default=None,
        description="Manifests, leases, recorded steps, recalls and halt marks; `{account}` and `{region}`.",
    )
    evidence: Evidence = Evidence()
    sla: Sla = Sla()
    timing: Timing = Timing()
    notify: Notify = Notify()
    extras: Extras = Extras()
