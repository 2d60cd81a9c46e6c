"""Maintenance windows as the policy has them."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from sluice.core import schedule as schedules
from sluice.core.errors import ScheduleError
from sluice.core.policy.base import (
    Concurrency,
    Errors,
    GroupName,
    LocationBucket,
    Matching,
    Name,
    OneOrMany,
    Part,
    Percent,
    Rights,
    Values,
)
from sluice.core.policy.gate import Gate

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue


def _schedule(text: str) -> str:
    try:
        schedules.parse(text)
    except ScheduleError as error:
        raise ValueError(str(error)) from None
    return text


def _zone(text: str) -> str:
    try:
        schedules.parse_zone(text)
    except ScheduleError as error:
        raise ValueError(str(error)) from None
    return text


ScheduleText = Annotated[
    str,
    AfterValidator(_schedule),
    Field(max_length=256, description="cron(…) as Systems Manager writes it: cron(0 3 ? * MON *) is Monday at 03:00."),
]
ZoneName = Annotated[
    str, AfterValidator(_zone), Field(max_length=64, description="IANA time zone of the schedule, e.g. Europe/Paris.")
]
ClockTime = Annotated[str, Matching(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00", "a time of day such as 08:30")]

Weekday = Literal["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]


class Hours(Part):
    """When people may run a window by hand, in the window's time zone."""

    days: Annotated[tuple[Weekday, ...], OneOrMany, Field(min_length=1)] = get_args(Weekday)
    start: ClockTime = Field(default="00:00", alias="from")
    end: ClockTime = Field(default="24:00", alias="until", description="24:00 is the end of the day.")


class Step(Part):
    """A task before or after the patching: exactly one of a document, an automation or a function."""

    document: str | None = Field(default=None, description="A Run Command document, run on the window's nodes.")
    automation: str | None = Field(default=None, description="An Automation document.")
    function: str | None = Field(default=None, description="A Lambda function, by name or ARN.")
    parameters: dict[str, Values] = Field(default_factory=dict)
    timeout_minutes: int = Field(default=60, ge=1, le=1440)

    @model_validator(mode="after")
    def _exactly_one(self) -> Step:
        given = [kind for kind in ("document", "automation", "function") if getattr(self, kind)]
        if len(given) != 1:
            raise ValueError(f"expected one of document, automation, function, found {', '.join(given) or 'none'}")
        return self


class Reboot(Part):
    """Whether and how nodes reboot."""

    short: ClassVar[str | None] = "when"

    when: Literal["never", "if_needed", "always"] = "never"
    how: Literal["inline", "waves"] = Field(
        default="waves",
        description="inline is AWS's RebootIfNeeded, which reboots after any install, needed or not.",
    )

    @model_validator(mode="after")
    def _inline_only_if_needed(self) -> Reboot:
        if self.when == "always" and self.how == "inline":
            raise ValueError(
                "expected how: waves with when: always, found inline, which is AWS's RebootIfNeeded and leaves alone"
                " what nothing was installed on: remove how, or write when: if_needed"
            )
        return self


ALL_AT_ONCE = "all_at_once"


def exact(percent: float) -> Fraction:
    """A percentage as it is written: of 33.3, 33.3 and 33.4 nothing is left."""
    return Fraction(repr(percent))


class Waves(Part):
    """In which parts the admitted nodes are patched."""

    short: ClassVar[str | None] = "canary"

    canary: int = Field(default=1, ge=0, le=50, description="Nodes per slot, in the first location that has it.")
    shares: tuple[Percent, ...] = Field(
        default=(), max_length=20, description="Shares of the nodes after the canary, in percent; the rest comes last."
    )
    settle_minutes: int = Field(default=30, ge=0, le=1440, description="Between a wave and the next.")
    failure_budget: Percent = Field(default=5.0, description="Percent of failed nodes beyond which nothing opens.")

    @classmethod
    def of_short(cls, value: Any) -> dict[str, Any]:
        """`all_at_once`: no canary, no shares."""
        if value != ALL_AT_ONCE:
            raise ValueError(f"expected {ALL_AT_ONCE}, or canary and shares, found {value!r}")
        return {"canary": 0, "shares": []}

    @classmethod
    def short_schema(cls, properties: dict[str, JsonSchemaValue]) -> JsonSchemaValue:
        """The one word."""
        return {"const": ALL_AT_ONCE}

    @model_validator(mode="after")
    def _leave_a_rest(self) -> Waves:
        if any(share <= 0 for share in self.shares) or self._shared > 100:
            found = ", ".join(f"{share:g}" for share in self.shares)
            raise ValueError(f"expected shares above 0 that make at most 100 percent, found {found}")
        return self

    @property
    def number(self) -> int:
        """How many there are: the canary, the shares, and the rest unless the shares are all."""
        return (self.canary > 0) + len(self.shares) + (self._shared < 100)

    @property
    def _shared(self) -> Fraction:
        return sum((exact(share) for share in self.shares), Fraction(0))


class Backup(Part):
    """An image of each node before it is patched."""

    short: ClassVar[str | None] = "mode"

    mode: Literal["off", "on", "required"] = "off"
    keep_days: int = Field(
        default=14,
        ge=1,
        le=3650,
        description="Until the day in the image's tag sluice:expires; nothing deletes images yet.",
    )
    keep_at_least: int = Field(
        default=1, ge=0, le=100, description="Images of a node that age alone never removes; nothing reads this yet."
    )
    reboot: bool = Field(default=False, description="Reboot the node for a consistent image.")


class Logs(Part):
    """Where the output of commands goes."""

    bucket: LocationBucket | None = None
    prefix: str = Field(default="", max_length=300)


class People(Rights):
    """Who may run the window by hand, reboot its nodes, and when."""

    hours: Hours = Hours.model_validate({})


INSTALL_ONLY = ("before", "after", "reboot", "waves", "backup", "gate")
"""What only an install window can have: a scan changes nothing."""


class Window(Part):
    """A maintenance window of the policy, present in every target location that it covers."""

    name: Name
    operation: Literal["scan", "install"]
    schedule: ScheduleText
    time_zone: ZoneName = "UTC"
    duration_hours: int = Field(ge=1, le=24)
    cutoff_hours: int = Field(default=1, ge=0, le=23)
    latest_start_minutes: int | None = Field(
        default=None, ge=0, le=1440, description="After the planned start; none: while it fits."
    )
    lead_minutes: int = Field(default=0, ge=0, le=10080, description="The DAG starts so long before its window.")
    patch_groups: Literal["all"] | Annotated[tuple[GroupName, ...], OneOrMany, Field(min_length=1)] = Field(
        default="all", union_mode="left_to_right", description="Names of patch groups, or all."
    )
    replaces: Annotated[tuple[Name, ...], OneOrMany] = Field(
        default=(), description="Windows whose place it takes for its own groups."
    )
    concurrency: Concurrency = "10%"
    errors: Errors = "5%"
    cutoff_behavior: Literal["continue", "cancel"] = "continue"
    trigger: Literal["airflow", "native"] = Field(
        default="airflow", description="native: enabled on its own cron, scans only."
    )
    before: tuple[Step, ...] = Field(default=(), max_length=20)
    after: tuple[Step, ...] = Field(default=(), max_length=20)
    reboot: Reboot = Reboot()
    waves: Waves = Waves()
    backup: Backup = Backup()
    gate: Gate | None = Field(default=None, description="In place of the policy's gate; a prod window always has one.")
    logs: Logs | None = Field(default=None, description="In place of the policy's logs.")
    people: People = People()

    @model_validator(mode="after")
    def _fits_its_operation(self) -> Window:
        if self.operation == "install" and self.trigger == "native":
            raise ValueError("expected trigger: airflow, found native: only scans may start without Airflow")
        extra = [key for key in INSTALL_ONLY if key in self.model_fields_set]
        if self.reboot.when == "never" and "reboot" in extra:  # may be said, as it is true of every scan
            extra.remove("reboot")
        if self.operation == "scan" and extra:
            raise ValueError(f"expected none of them in a scan, found {', '.join(extra)}: remove them")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """Its time zone."""
        return schedules.parse_zone(self.time_zone)

    @property
    def duration(self) -> timedelta:
        """How long it is open."""
        return timedelta(hours=self.duration_hours)

    @property
    def installs(self) -> bool:
        """Whether it changes nodes."""
        return self.operation == "install"
