"""The objects of one target location that a policy makes, as AWS has them.

Each is what can be read back and compared, field by field, and nothing else: ids are AWS's to give and
stand in `sluice.core.policy.plan.Found`. References between objects are by their keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

DEPLOYMENT_TAG = "sluice:deployment"
OBJECT_TAG = "sluice:object"
"""Ownership tags of windows, baselines, documents and Config rules. What cannot be tagged (a window's targets
and tasks, registrations) is owned through what it hangs on."""

RELEASE_TAG = "sluice:release"
"""The tag of nodes that a release admits; its value `none` is on no node."""
NOBODY = "none"

CANNOT_FIRE = "at(2099-12-31T23:59:59)"
"""A window is born enabled (UG:sysman-maintenance-create-mw), with a schedule that leaves time to disable it."""

NOT_BEFORE = "2099-12-31T23:59:59Z"
"""The start date of a window at rest: its own schedule is there for people to see, and fires nothing before, whoever
enables the window. A call that puts it back late, on a window that a release has prepared by then, is harmless."""

PATCH_DOCUMENT = "AWS-RunPatchBaseline"


class Key(NamedTuple):
    """What an object is known by in plans: a noun and a name that is unique among them."""

    noun: str
    name: str

    def __str__(self) -> str:
        return f"{self.noun} {self.name}"


@dataclass(frozen=True, slots=True)
class Filter:
    """One key of a patch filter, e.g. CLASSIFICATION, with its values in order."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """A rule of a baseline."""

    filters: tuple[Filter, ...]
    """By key."""
    approve_after_days: int | None
    approve_until: str | None
    compliance: str
    non_security: bool


@dataclass(frozen=True, slots=True)
class PatchSource:
    """A repository of a baseline."""

    name: str
    products: tuple[str, ...]
    configuration: str


@dataclass(frozen=True, slots=True)
class PatchBaseline:
    """A patch baseline of one operating system."""

    name: str
    operating_system: str
    description: str
    filters: tuple[Filter, ...]
    rules: tuple[ApprovalRule, ...]
    approved: tuple[str, ...]
    approved_compliance: str
    approved_non_security: bool
    rejected: tuple[str, ...]
    rejected_action: str
    sources: tuple[PatchSource, ...]
    available_security_updates: str | None


@dataclass(frozen=True, slots=True)
class Registration:
    """Which baseline serves a patch group on an operating system."""

    group: str
    operating_system: str
    baseline: str
    """The policy's name of it, or the id of one that is not ours."""


@dataclass(frozen=True, slots=True)
class DefaultBaseline:
    """Which baseline is an operating system's default."""

    operating_system: str
    baseline: str


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """A window at rest."""

    name: str
    description: str
    schedule: str
    time_zone: str
    duration_hours: int
    cutoff_hours: int
    enabled: bool
    allow_unassociated_targets: bool = False
    schedule_offset: int | None = None
    start_date: str | None = None
    end_date: str | None = None


@dataclass(frozen=True, slots=True)
class WindowTarget:
    """The target of a slot at rest."""

    window: str
    name: str
    key: str
    values: tuple[str, ...]
    owner_information: str
    resource_type: str = "INSTANCE"


@dataclass(frozen=True, slots=True)
class WindowTask:
    """The task of a slot at rest, or of a step that has a window of its own."""

    window: str
    name: str
    target: str
    """The name of its slot's target; empty: it has none, and runs on no node."""
    document: str
    operation: str
    reboot_option: str
    concurrency: str
    errors: str
    cutoff_behavior: str
    service_role: str | None
    log_bucket: str | None
    log_prefix: str | None
    task_type: str = "RUN_COMMAND"
    priority: int = 1
    timeout_seconds: int = 600
    """How long a command may wait for its node."""
    other_parameters: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Parameters of the document that no task of ours has at rest."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document of the account's own."""

    name: str
    content: str
    """Canonical JSON."""


@dataclass(frozen=True, slots=True)
class ConfigRule:
    """The managed rule of AWS Config on patch compliance."""

    name: str
    identifier: str = "EC2_MANAGEDINSTANCE_PATCH_COMPLIANCE_STATUS_CHECK"
    resource_types: tuple[str, ...] = ("AWS::SSM::PatchCompliance",)


@dataclass(frozen=True, slots=True)
class DataSync:
    """A resource data sync of inventory to a bucket."""

    name: str
    bucket: str
    region: str
    prefix: str | None = None


AWSObject: TypeAlias = (
    PatchBaseline
    | Registration
    | DefaultBaseline
    | MaintenanceWindow
    | WindowTarget
    | WindowTask
    | Document
    | ConfigRule
    | DataSync
)

DOCUMENT, BASELINE, GROUP, DEFAULT = "document", "baseline", "patch group", "default baseline"
WINDOW, TARGET, TASK, CONFIG_RULE, DATA_SYNC = "window", "target", "task", "config rule", "data sync"


def part_of(window: str, name: str) -> str:
    """The name of a window's target or task in keys."""
    return f"{window}/{name}"
