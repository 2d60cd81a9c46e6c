"""The lab's world: one `Lab` a process, its locations (account and Region) and their nodes.

moto keeps its state in module-wide dictionaries, so there is one lab a process; `current()` is it. A
`Location` hangs on moto's own Systems Manager backend of that account and Region, so moto's reset
forgets it together with everything else.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from moto.ec2.models import EC2Backend, ec2_backends
from moto.ssm.models import SimpleSystemManagerBackend, ssm_backends

from lab.clock import Clock, Event
from lab.errors import LabError
from lab.rules import Rules

if TYPE_CHECKING:
    from lab.agent import NodeResult
    from lab.automations import Automation
    from lab.commands import Command, CommandInvocation
    from lab.evaluations import Snapshot
    from lab.journal import Entry
    from lab.repositories import PackageState, Repositories
    from lab.ssm.associations import Association
    from lab.ssm.documents import DocumentHistory
    from lab.ssm.model import Baseline, Window, WindowExecution
    from lab.ssm.settings import ServiceSetting
    from lab.window_engine import ExecutionRun


FIRST_PLACE = ("111111111111", "eu-west-3")
"""Account and Region of clients without a role, until a fleet says otherwise."""


@dataclass(slots=True)
class Settings:
    """Behaviour that AWS does not document; each default is the one docs/lab.md explains."""

    past_at: Literal["never_fires", "reject"] = "never_fires"
    account_executions: int = 5
    over_account_executions: Literal["queue", "skip"] = "queue"
    start_jitter_seconds: int = 0
    pseudo_parameters_everywhere: bool = False
    """Fill pseudo-parameters into OutputS3KeyPrefix and Comment too, not only into the document's parameters."""
    image_seconds: int = 240
    pending_snapshots: int = 100
    """How many snapshots of an account and Region may be pending at once before CreateImage is refused."""
    notification_drop: float = 0.0
    notification_repeat: float = 0.0
    notification_delay_seconds: float = 0.0


class AgentState(StrEnum):
    """What the fleet says of a node's agent; a stopped node's agent is silent whatever it says."""

    ONLINE = "online"
    LOST = "lost"
    NONE = "none"


@dataclass(slots=True)
class NodeFaults:
    """What goes wrong on a node: probabilities are drawn from the lab's seed, per command."""

    install_failure: float = 0.0
    reboot_never_returns: bool = False
    hang: bool = False
    exit_codes: dict[str, int] = field(default_factory=dict)
    """Exit code by a substring of the script or of the document's name."""


@dataclass(slots=True)
class Node:
    """A managed (or to be managed) node: an EC2 instance (`i-`) or a hybrid machine (`mi-`)."""

    node_id: str
    account: str
    region: str
    product: str
    """OS product key of `lab.repositories`, e.g. `AmazonLinux2023`, `Ubuntu22.04`, `WindowsServer2019`."""
    name: str
    packages: PackageState
    agent: AgentState
    agent_version: str
    profile: str | None
    duration_seconds: int
    """How long a scan takes on it; an install takes three times as long."""
    reboot_seconds: int
    booted_at: datetime
    registered_at: datetime
    faults: NodeFaults | None = None
    pending: frozenset[str] = frozenset()
    """Ids of what was installed since the last boot without one."""
    rebooting_until: datetime | None = None
    lost_for_good: bool = False
    last_ping: datetime | None = None
    result: NodeResult | None = None
    """What the last scan or install reported (None: never scanned)."""
    hybrid: bool = False
    ip_address: str = ""
    installed_at: dict[str, datetime] = field(default_factory=dict)
    """When what is not from its image was installed, by id."""
    image_built: datetime | None = None
    patching: bool = False
    """A patch operation runs on it now."""

    @property
    def registered(self) -> bool:
        """Whether Systems Manager knows the node: it has an agent and a role that lets it register."""
        return self.agent is not AgentState.NONE and (self.hybrid or self.profile is not None)


class Location:
    """One account and Region: what Systems Manager keeps there."""

    def __init__(self, lab: Lab, account: str, region: str) -> None:
        self.lab = lab
        self.account = account
        self.region = region
        self.nodes: dict[str, Node] = {}
        self.windows: dict[str, Window] = {}
        self.executions: dict[str, WindowExecution] = {}
        self.baselines: dict[str, Baseline] = {}
        self.patch_groups: dict[tuple[str, str], str] = {}
        """(group, operating system) to baseline id."""
        self.default_baselines: dict[str, str] = {}
        """Operating system to the id of the baseline registered as its default."""
        self.commands: dict[str, Command] = {}
        self.automations: dict[str, Automation] = {}
        self.client_tokens: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = {}
        self.compliance: dict[str, dict[str, Any]] = {}
        """Custom compliance items by resource id, then type."""
        self.inventory: dict[str, dict[str, Any]] = {}
        """Inventory put by callers, by node id, then type name."""
        self.snapshots: dict[tuple[str, str, str], Snapshot] = {}
        """(patch group, operating system, SnapshotId) to the baseline as it was when first asked for."""
        self.running_executions: list[str] = []
        self.queued_executions: list[str] = []
        self.waiting_executions: dict[str, Window] = {}
        """The windows of queued executions, as they were when these were due."""
        self.runs: dict[str, ExecutionRun] = {}
        """What drives each running execution."""
        self.hybrid_tags: dict[str, dict[str, str]] = {}
        self.documents: dict[str, DocumentHistory] = {}
        """The account's own documents by name."""
        self.associations: dict[str, Association] = {}
        self.data_syncs: dict[str, dict[str, Any]] = {}
        """Resource data syncs by name, as ListResourceDataSync shows them."""
        self.service_settings: dict[str, ServiceSetting] = {}
        """The service settings that the account changed, by id."""

    @property
    def ec2(self) -> EC2Backend:
        """moto's EC2 of this account and Region."""
        return ec2_backends[self.account][self.region]

    @property
    def ssm(self) -> SimpleSystemManagerBackend:
        """moto's Systems Manager of this account and Region (documents, parameters, tags)."""
        return ssm_backends[self.account][self.region]

    @property
    def alive(self) -> bool:
        """False once a reset has forgotten this location; its events then do nothing."""
        account = dict.get(ssm_backends, self.account)
        backend = None if account is None else dict.get(account, self.region)
        return backend is not None and backend.__dict__.get("lab") is self

    def schedule(self, seconds: float, action: Callable[[], Any], label: str = "") -> Event:
        """Let `action` happen `seconds` of lab time from now, unless a reset has forgotten this location."""
        return self.lab.clock.after(seconds, lambda: action() if self.alive else None, label)

    def at(self, when: datetime, action: Callable[[], Any], label: str = "") -> Event:
        """Let `action` happen at `when`, unless a reset has forgotten this location by then."""
        return self.lab.clock.at(when, lambda: action() if self.alive else None, label)

    def arn(self, resource: str, service: str = "ssm") -> str:
        """An ARN in this location, e.g. `arn("maintenancewindow/mw-…")`."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def tags(self, node_id: str) -> dict[str, str]:
        """A node's tags as Systems Manager's targets see them: EC2's, or SSM's own for a hybrid node."""
        if node_id.startswith("mi-"):
            return self.hybrid_tags.get(node_id, {})
        return dict(self.ec2.tags.get(node_id) or {})

    def patch_group(self, node_id: str) -> str | None:
        """The node's patch group: the value of the tag `Patch Group` or `PatchGroup`, None without one."""
        tags = self.tags(node_id)
        return tags.get("Patch Group") or tags.get("PatchGroup") or None

    def running(self, node: Node) -> bool:
        """Whether the machine is on (a hybrid one always is)."""
        if node.hybrid:
            return True
        instance = self.ec2_instance(node.node_id)
        return instance is not None and instance._state.name == "running"

    def ec2_instance(self, node_id: str) -> Any:
        """moto's instance, or None: terminated and forgotten, or hybrid."""
        return self.lab.ec2_instance(self, node_id)

    def reachable(self, node: Node) -> bool:
        """Whether a command would reach the node's agent now."""
        return (
            node.agent is AgentState.ONLINE
            and node.registered
            and not node.lost_for_good
            and node.rebooting_until is None
            and self.running(node)
        )


class Lab:
    """The whole lab: its clock, its seed, its settings and its locations."""

    def __init__(
        self,
        clock: Clock | None = None,
        seed: int = 0,
        settings: Settings | None = None,
        repositories: Repositories | None = None,
    ) -> None:
        from lab.evaluations import Evaluations
        from lab.repositories import Repositories

        self.clock = clock or Clock()
        self.seed = seed
        self.random = random.Random(seed)
        self.settings = settings or Settings()
        self.repositories = repositories or Repositories.shipped()
        self.rules = Rules()
        self.unwritten: defaultdict[str, list[tuple[Command, CommandInvocation]]] = defaultdict(list)
        """Command output that nobody has read yet, by bucket; see `lab.outputs`."""
        self.journal: list[Entry] = []
        """What happened to the nodes since the last reset, in order."""
        self.evaluations = Evaluations(self.repositories)
        self.default_account, self.default_region = FIRST_PLACE

    def reset(self) -> None:
        """Begin anew: the same draws again, no rules, no journal or output to write, the repositories as shipped."""
        from lab.evaluations import Evaluations
        from lab.repositories import Repositories

        self.random.seed(self.seed)
        self.default_account, self.default_region = FIRST_PLACE
        self.rules.clear()
        self.unwritten.clear()
        self.journal.clear()
        if self.repositories.serial:
            self.repositories = Repositories.shipped()
            self.evaluations = Evaluations(self.repositories)

    def location(self, account: str, region: str) -> Location:
        """The location, made when first asked for."""
        backend = ssm_backends[account][region]
        found = backend.__dict__.get("lab")
        if found is None:
            found = Location(self, account, region)
            backend.__dict__["lab"] = found
        return found

    def locations(self) -> Iterator[Location]:
        """Every location that has been asked for so far, in order of account and Region."""
        for account in sorted(dict(ssm_backends)):
            for region in sorted(dict.keys(ssm_backends[account])):
                found = ssm_backends[account][region].__dict__.get("lab")
                if found is not None:
                    yield found

    def guid(self) -> str:
        """A 36-character GUID, drawn from the seed."""
        bits = f"{self.random.getrandbits(128):032x}"
        return f"{bits[:8]}-{bits[8:12]}-{bits[12:16]}-{bits[16:20]}-{bits[20:]}"

    def short_id(self, prefix: str) -> str:
        """An id such as `mw-0123456789abcdef0` (prefix and 17 hex digits), drawn from the seed."""
        return f"{prefix}-{self.random.getrandbits(68):017x}"

    def ec2_instance(self, location: Location, node_id: str) -> Any:
        """moto's instance by id, or None."""
        from lab.ec2.instances import instance_by_id

        return instance_by_id(location.ec2, node_id)


_current: Lab | None = None


def current() -> Lab:
    """The process's lab. Raises LabError when none is running."""
    if _current is None:
        raise LabError(
            "no lab is running in this process: start one with lab.server.LabServer or `python -m lab serve`"
        )
    return _current


def is_running() -> bool:
    """Whether there is a lab in this process."""
    return _current is not None


def install(lab: Lab | None) -> None:
    """Make `lab` the process's lab (None: there is none any more)."""
    global _current  # noqa: PLW0603  # moto's own state is module-wide, so is the lab's
    _current = lab
