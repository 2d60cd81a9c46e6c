"""The fleet file: which accounts, Regions and nodes the lab has, as people write it (docs/lab.md).

    accounts:
      - {id: "111111111111", name: workloads, regions: [eu-west-3, eu-central-1]}
    profiles:
      - {name: ManagedNode, policies: [AmazonSSMManagedInstanceCore]}
    defaults: {profile: ManagedNode, image: 2025-05-05}
    groups:
      - name: web
        os: AmazonLinux2023
        count: 3
        tags: {Name: "web-{n:02}", Patch Group: nonprod-linux}

What a group does not say, `defaults` says. `load_fleet` reads a file and reports everything that is
wrong with it at once, each problem with its line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from lab import aws_models
from lab.clock import START
from lab.errors import FleetError, PolicyDocumentError
from lab.faults import FaultRule
from lab.iam import evaluation
from lab.iam.evaluation import Source
from lab.instance_profiles import managed_policies
from lab.os_products import PRODUCTS
from lab.package_facts import profiles
from lab.rules import Rule
from lab.world import AgentState
from sluice.core.errors import Problem, TextError
from sluice.core.yaml_model import problem, read_model
from sluice.core.yaml_text import YamlText

FLEETS = Path(__file__).parent / "fleets"
SUFFIX = ".yaml"
MANY = 40
"""More names than these are not listed in a message."""
NUMBER = re.compile(r"\{n(?::0(\d))?\}")
"""`{n}` in a tag's value is the node's number in its group, `{n:03}` the same with leading zeros."""


@cache
def _regions() -> frozenset[str]:
    session = aws_models.session()
    return frozenset(session.get_available_regions("ec2")) & frozenset(session.get_available_regions("ssm"))


def _one_of(what: str, known: Callable[[], Collection[str]]) -> Any:
    def check(value: str) -> str:
        names = known()
        if value in names:
            return value
        near = get_close_matches(value, names, n=3) or ["none is spelt like it"]
        shown = sorted(names) if len(names) <= MANY else near
        raise ValueError(f"expected {what} ({', '.join(shown)}), found {value!r}: correct it")

    return AfterValidator(check)


def _number_range(pair: tuple[int, int]) -> tuple[int, int]:
    if not 1 <= pair[0] <= pair[1]:
        raise ValueError(f"expected seconds as [least, most], both 1 or more, found {list(pair)}")
    return pair


def _taggable(tags: dict[str, str]) -> dict[str, str]:
    for key, value in tags.items():
        if not 1 <= len(key) <= 128 or len(value) > 256 or key.lower().startswith("aws:"):
            raise ValueError(f"expected a tag that AWS takes (key 1 to 128, value up to 256, no aws:), found {key!r}")
    return tags


def _evaluable(statements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    try:
        evaluation.parse({"Version": evaluation.WITH_VARIABLES, "Statement": statements}, Source("of its own", "role"))
    except PolicyDocumentError as error:
        raise ValueError(f"expected statements of an IAM policy: {error}") from error
    return statements


def _digits(value: Any) -> Any:
    """An id written without quotes; one with leading zeros is no number in YAML as Sluice reads it."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


AccountId = Annotated[str, BeforeValidator(_digits), Field(pattern=r"^[0-9]{12}$")]
Region = Annotated[str, _one_of("a Region", _regions)]
Seconds = Annotated[tuple[int, int], AfterValidator(_number_range)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9+=,.@_-]{1,64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Account(_Strict):
    """An account of the organization and the Regions it uses; the first of the first is the caller's own."""

    id: AccountId
    name: str = ""
    regions: list[Region] = Field(min_length=1)


class InstanceProfile(_Strict):
    """An instance profile with a role of the same name; `policies` are AWS's managed ones, by name."""

    name: Name
    policies: list[Annotated[str, _one_of("a managed policy of AWS", managed_policies)]] = Field(default_factory=list)
    statements: Annotated[list[dict[str, Any]], AfterValidator(_evaluable)] = Field(default_factory=list)
    """What the role's own policy says besides, as IAM writes it."""


class NodeFailures(_Strict):
    """What goes wrong on each node of a group, as `lab.world.NodeFaults` has it."""

    install_failure: float = Field(default=0.0, ge=0, le=1)
    reboot_never_returns: bool = False
    hang: bool = False
    exit_codes: dict[str, Annotated[int, Field(ge=0, le=65535)]] = Field(default_factory=dict)


class NodeShape(_Strict):
    """What nodes are like; every part has a default but the OS."""

    os: Annotated[str, _one_of("an OS product", lambda: PRODUCTS)] = ""
    image: date = START.date() - timedelta(weeks=4)
    """The day their image was built: they have what had been released by its midnight UTC."""
    locations: list[str] | None = None
    """`account/Region` each; None: in every location."""
    packages: Annotated[str, _one_of("a packages profile", profiles)] = "base"
    tags: Annotated[dict[str, str], AfterValidator(_taggable)] = Field(default_factory=dict, max_length=50)
    profile: str | None = None
    """The instance profile's name (a hybrid node's role); None: Systems Manager never hears of the node."""
    agent: AgentState = AgentState.ONLINE
    agent_version: str = Field(default="3.3.2299.0", pattern=r"^\d+\.\d+\.\d+\.\d+$")
    state: Literal["running", "stopped"] = "running"
    hybrid: bool = False
    """A machine outside EC2, registered by activation."""
    instance_type: str = Field(default="t3.medium", pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$")
    volumes: list[Annotated[int, Field(ge=1, le=65536)]] = Field(default=[8], min_length=1, max_length=20)
    """GiB each, the root volume first."""
    scan_seconds: Seconds = (20, 90)
    reboot_seconds: Seconds = (60, 180)
    node_faults: NodeFailures | None = None


class Group(NodeShape):
    """Nodes that are alike: `count` of them in each location."""

    name: Name
    count: int = Field(ge=1, le=100_000)

    def tags_of(self, number: int) -> dict[str, str]:
        """The tags of the group's node of that number, counted from 1."""
        return {key: NUMBER.sub(lambda found: f"{number:0{found[1] or 1}d}", value) for key, value in self.tags.items()}


class Fleet(_Strict):
    """A whole fleet file."""

    start: AwareDatetime | None = None
    """When the lab's time begins, unless the command says otherwise."""
    accounts: list[Account] = Field(min_length=1)
    profiles: list[InstanceProfile] = Field(default_factory=list)
    defaults: NodeShape = NodeShape()
    groups: list[Group] = Field(min_length=1)
    rules: list[Rule] = Field(default_factory=list)
    """Outcomes of what the lab cannot run; see `lab.rules`."""
    faults: list[FaultRule] = Field(default_factory=list)
    """Faults of the API that are in force from the start; see `lab.faults`."""

    def locations(self) -> list[str]:
        """Every location, `account/Region`, in the file's order."""
        return [f"{account.id}/{region}" for account in self.accounts for region in account.regions]

    def complete(self, group: Group) -> Group:
        """The group with the defaults for everything it does not say."""
        missing = self.defaults.model_fields_set - group.model_fields_set
        return group.model_copy(update={name: getattr(self.defaults, name) for name in missing})

    def places(self, group: Group) -> list[str]:
        """The locations of a complete group."""
        return self.locations() if group.locations is None else group.locations


def load_fleet(name_or_path: str | Path) -> Fleet:
    """A shipped fleet (`demo`, `large`, `huge`) by name, or the fleet of a file.

    Raises FleetError that names each problem, its file and its line.
    """
    shipped = FLEETS / f"{name_or_path}{SUFFIX}"
    path = shipped if shipped.parent == FLEETS and shipped.is_file() else Path(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        names = ", ".join(sorted(file.stem for file in FLEETS.glob(f"*{SUFFIX}")))
        raise FleetError(f"cannot read a fleet from {path}: {error}; expected a YAML file or one of {names}") from error
    return parse_fleet(text, path.name if path == shipped else str(path))


def parse_fleet(text: str, name: str = "<fleet>") -> Fleet:
    """The fleet of a text; `name` stands before the lines in messages. Raises FleetError."""
    try:
        fleet, found = read_model(text, Fleet, name)
        problems = list(dict.fromkeys(_problems(fleet, found)))
        if problems:
            raise TextError(name, problems)
    except TextError as error:
        raise FleetError(str(error)) from error
    return fleet


def _problems(fleet: Fleet, text: YamlText) -> Iterator[Problem]:
    yield from _repeated(text, "accounts", "id", [account.id for account in fleet.accounts])
    yield from _repeated(text, "profiles", "name", [profile.name for profile in fleet.profiles])
    yield from _repeated(text, "groups", "name", [group.name for group in fleet.groups])
    for index, group in enumerate(fleet.groups):
        for key, message in _group_problems(fleet, fleet.complete(group)):
            own = key in group.model_fields_set
            at = ("groups", index, key) if own or key not in fleet.defaults.model_fields_set else ("defaults", key)
            yield problem(text, at, message)


def _repeated(text: YamlText, part: str, key: str, values: list[str]) -> Iterator[Problem]:
    for index, value in enumerate(values):
        if value in values[:index]:
            yield problem(text, (part, index, key), f"expected each {key} once, found {value!r} again: rename one")


def _group_problems(fleet: Fleet, group: Group) -> Iterator[tuple[str, str]]:
    known = fleet.locations()
    for place in fleet.places(group):
        if place not in known:
            yield "locations", f"expected locations of `accounts`, such as {known[0]}; found {place!r}: add it there"
    names = [profile.name for profile in fleet.profiles]
    if group.profile is not None and group.profile not in names:
        yield "profile", f"expected one of `profiles` ({', '.join(names)}), found {group.profile!r}: add it there"
    if not group.os:
        yield "os", "expected an OS product here or in `defaults`, found none: add one, such as AmazonLinux2023"
    start = (fleet.start or START).astimezone(UTC)
    if image_time(group.image) > start:
        yield "image", f"expected a day up to the fleet's start, {start:%Y-%m-%d}, found {group.image}: put it before"
    if group.hybrid and group.state == "stopped":
        yield "state", "expected a hybrid machine to run (AWS cannot stop it), found stopped: use `agent: lost`"


def image_time(day: date) -> datetime:
    """When an image of that day was built."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
