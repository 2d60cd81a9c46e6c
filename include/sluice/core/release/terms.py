"""The words of a release that all floors share: what was asked, who is expected, which patches, which waves.

Everything here is frozen, plain, and survives JSON: `as_json` and `of_json` are each other's inverse.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, TypeAlias, TypeVar

from sluice.core.os_product import operating_system
from sluice.core.policy.window_steps import StepName

T = TypeVar("T", bound="Plain")

RebootWish = Literal["policy", "never", "if_needed", "always"]
BackupWish = Literal["policy", "on", "off"]
Kind: TypeAlias = Literal["scan", "install", "reboot", "rescan", "ask"] | StepName
"""What an execution of a window does.

`rescan` is the Scan that follows a reboot; `ask` the question whether one is needed, where nothing reboots; `before-1`
a step of the policy.
"""


class Plain:
    """A frozen dataclass of text, numbers, moments (UTC) and tuples of them, as JSON has it."""

    def as_json(self) -> dict[str, Any]:
        """Keys and values; moments as ISO 8601."""
        return {name: _written(value) for name, value in asdict(self).items()}  # type: ignore[call-overload]  # every subclass is a dataclass

    @classmethod
    def of_json(cls: type[T], data: dict[str, Any]) -> T:
        """The inverse of `as_json`; keys that a later version added are left out."""
        known = {field.name: field.type for field in fields(cls)}  # type: ignore[arg-type]  # every subclass is a dataclass
        return cls(**{name: _read(value, str(known[name])) for name, value in data.items() if name in known})


def _written(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def _read(value: Any, kind: str) -> Any:
    if isinstance(value, str) and kind.startswith("datetime"):
        return datetime.fromisoformat(value)
    return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Asked(Plain):
    """What a person or the calendar asks of one run."""

    occurrence: datetime | None = None
    """The planned time of the window; None: what its schedule says, now by hand."""
    reboot: RebootWish = "policy"
    backup: BackupWish = "policy"
    report: bool = True
    patch_groups: tuple[str, ...] = ()
    """Only these; none: all of the window."""
    locations: tuple[str, ...] = ()
    """Only these, as ACCOUNT/REGION; none: all of the policy."""
    nodes: tuple[str, ...] = ()
    """Only these; none: all."""
    retry_of: str | None = None
    """A release: only its failed nodes."""
    dry_run: bool = False
    """Everything up to the approval; no window is opened."""
    change_ticket: str | None = None
    expedite: tuple[str, ...] = ()
    """Patches without their soak: ids as AWS has them (KB5060531, openssl.x86_64)."""
    because: str | None = None
    """The reason of an expedite."""
    only_reboots: bool = False
    """Nothing is installed: the nodes for which a patch waits reboot, or all of them."""
    by: str | None = None
    """Who triggered it by hand, as Airflow knows them; None: the schedule."""


@dataclass(frozen=True, slots=True)
class Release(Plain):
    """One run of one window over its locations."""

    id: str
    """`<window>-<yyyymmddThhmm>-<8 hex of deployment, dag and run>`: the same for every retry."""
    window: str
    deployment: str
    dag_id: str
    run_id: str
    occurrence: datetime
    """The start that was planned or asked for (UTC)."""
    begun: datetime
    """AWS's time when it was first begun (UTC)."""

    @property
    def day(self) -> str:
        """The day that its evidence is kept under: `2025-06-09`, of the occurrence (UTC)."""
        return self.occurrence.strftime("%Y-%m-%d")


class Reason(StrEnum):
    """Why a node that is expected is not reached, or not admitted. Each is a number in every report."""

    STOPPED = "stopped"
    AGENT_LOST = "agent lost"
    NO_AGENT = "no agent"
    NO_PROFILE = "no instance profile"
    NO_GROUP = "no patch group"
    NO_BASELINE = "no baseline registered: on AWS's default"
    NOT_LISTED = "OS product that the patch group does not list"
    UNKNOWN_PRODUCT = "OS product unknown"
    EXCEPTED = "excepted"
    NO_TWIN = "no non-production twin that passed"
    NOTHING = "nothing to request for its OS product"
    NO_BACKUP = "no backup"
    GONE = "gone since it was resolved"
    LOCATION = "location failed"
    NOT_OPENED = "its wave was not opened"
    NOT_INVOKED = "its execution did not reach it"
    NOT_VERIFIED = "no result of this release's was reported"


@dataclass(frozen=True, slots=True)
class Expected(Plain):
    """A node that a release expects, and why it cannot be reached if it cannot."""

    node: str
    location: str
    """`111111111111/eu-west-3`."""
    name: str
    """Its Name tag; empty without one."""
    group: str | None
    product: str | None
    """OS product, as the agent reports it."""
    role: str | None
    slot: str | None
    """The name of the slot that reaches it; None: none does."""
    reason: str | None = None
    """A `Reason`; None: it can be reached."""
    detail: str = ""
    """More about the reason: until when it is excepted, when it was last heard of."""

    @property
    def hybrid(self) -> bool:
        """A machine outside EC2."""
        return self.node.startswith("mi-")


@dataclass(frozen=True, slots=True, order=True)
class PatchKey(Plain):
    """What a patch is known by: the same version on two OS products is two patches."""

    product: str
    """OS product."""
    id: str
    """AWS's KBId: `KB5060531`, or a package's name and architecture, `openssl.x86_64`."""
    title: str
    """The title verbatim, which has the version of a package. Empty on Windows, where the KB is the patch."""

    def __str__(self) -> str:
        return f"{self.title or self.id} ({self.product})"


@dataclass(frozen=True, slots=True)
class PatchRow(Plain):
    """One patch on one node as DescribeInstancePatches shows it, of one run."""

    node: str
    product: str
    id: str
    title: str
    classification: str
    severity: str
    """As AWS has it; `sluice.core.approval.SEVERITY_OF` has the policy's word."""
    state: str
    """INSTALLED, INSTALLED_OTHER, INSTALLED_PENDING_REBOOT, INSTALLED_REJECTED, MISSING, NOT_APPLICABLE, FAILED, …"""
    installed: datetime | None = None

    @property
    def key(self) -> PatchKey:
        """The patch."""
        return PatchKey(self.product, self.id, "" if operating_system(self.product) == "WINDOWS" else self.title)


@dataclass(frozen=True, slots=True)
class WavePart(Plain):
    """What one wave is in one location: the nodes of each slot."""

    release: str
    wave: int
    """Counted from 1."""
    location: str
    slots: tuple[tuple[str, tuple[str, ...]], ...]
    """Slot name and its nodes, sorted."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """All nodes of it, sorted."""
        return tuple(sorted(node for _, nodes in self.slots for node in nodes))

    @classmethod
    def of_json(cls, data: dict[str, Any]) -> WavePart:
        """The inverse of `as_json`."""
        return cls(**{**data, "slots": tuple((slot, tuple(nodes)) for slot, nodes in data["slots"])})


class Outcome(StrEnum):
    """What became of a release."""

    RELEASED = "released"
    PARTIAL = "partial"
    HELD = "held"
    NOTHING = "nothing"
    LATE = "late"
    HALTED = "halted"
