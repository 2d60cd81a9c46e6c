"""The tables of the evidence: what a row is, its columns, their types and units.

Every file has the rows of one release, and lies under its day and its id:

    <table>/date=2025-06-09/release=install-prod-linux-20250609T0300-1f2e3d4c/<part>.parquet

`date` is the day of the release's occurrence (UTC); it and `release` are columns for whoever reads the folders as
Hive partitions (Athena, DuckDB, polars), and stand in no file. Moments are UTC with milliseconds. A column that
later versions add is empty in the files of earlier ones; none is ever renamed or given another meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Type(Enum):
    """What a column holds."""

    TEXT = "text"
    WORD = "text of which there are few, such as a state"
    WHOLE = "whole number"
    NUMBER = "number"
    MOMENT = "moment, UTC"
    TRUTH = "true or false"


TEXT, WORD, WHOLE, NUMBER, MOMENT, TRUTH = Type


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    type: Type
    what: str
    """What it says, for people; with its unit where it has one."""
    optional: bool = False
    """Whether it may be empty."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table."""

    name: str
    row: str
    """What one row is."""
    columns: tuple[Column, ...]
    order: tuple[str, ...]
    """The columns that its files are sorted by: so they are small, and the same for the same rows."""

    @property
    def own(self) -> tuple[Column, ...]:
        """The columns that a writer gives; the others are the release's."""
        return tuple(column for column in self.columns if column not in OF_RELEASE)


OF_RELEASE = (
    Column("window", WORD, "Name of the window in the policy."),
    Column("occurrence", MOMENT, "The start that was planned or asked for."),
)

_LOCATION = Column("location", WORD, "Account and Region, `111111111111/eu-west-3`.")
_NODE = Column("node", WORD, "Instance id, `mi-…` for a hybrid machine.")
_NAME = Column("name", TEXT, "The Name tag; empty without one.", optional=True)
_GROUP = Column("group", WORD, "Patch group.", optional=True)
_PRODUCT = Column("product", WORD, "OS product, as the agent reports it.", optional=True)
_ROLE = Column("role", WORD, "Value of the tag that the policy names for roles.", optional=True)
_RING = Column("ring", WORD, "The ring of the patch group, as the policy had it then.", optional=True)
_SLOT = Column("slot", WORD, "Name of the slot that reaches it.", optional=True)
_WAVE = Column("wave", WHOLE, "The wave, counted from 1.", optional=True)
_OPENED = Column("wave", WHOLE, "The wave, counted from 1; 0: a step of the policy, around them.")
_KIND = Column("kind", WORD, "scan, install, reboot, rescan or ask; before-1, after-2 and so on: a step of the policy.")
_REASON = Column("reason", WORD, "Why it is not reached; empty where it is.", optional=True)
_DETAIL = Column("detail", TEXT, "More about the reason.", optional=True)
_READ = Column("read", MOMENT, "When AWS was asked, by AWS's clock.")
_COMMAND = Column("command", WORD, "Id of the Run Command command.", optional=True)
_OURS = Column("ours", TRUTH, "Whether the state is the result of this release, not of an earlier or later patch run.")


def _counts() -> tuple[Column, ...]:
    states = {
        "installed": "INSTALLED",
        "installed_other": "INSTALLED_OTHER",
        "installed_pending_reboot": "INSTALLED_PENDING_REBOOT",
        "installed_rejected": "INSTALLED_REJECTED",
        "missing": "MISSING",
        "failed": "FAILED",
        "not_applicable": "NOT_APPLICABLE",
        "available_security_update": "AVAILABLE_SECURITY_UPDATE",
    }
    kinds = {
        "critical_non_compliant": "non-compliant of level CRITICAL",
        "security_non_compliant": "non-compliant security updates",
        "other_non_compliant": "non-compliant others",
    }
    return tuple(Column(name, WHOLE, f"Patches: {what}.", optional=True) for name, what in {**states, **kinds}.items())


NODES = Table(
    "nodes",
    "A node that the release expected, when it was resolved.",
    (*OF_RELEASE, _LOCATION, _NODE, _NAME, _GROUP, _PRODUCT, _ROLE, _RING, _SLOT, _REASON, _DETAIL),
    ("location", "node"),
)

PATCH_SUMMARIES = Table(
    "patch_summaries",
    "A node that the release expected, and what became of it: its patch state as read back, joined to the release.",
    (
        *OF_RELEASE,
        _LOCATION,
        _NODE,
        _NAME,
        _GROUP,
        _PRODUCT,
        _ROLE,
        _RING,
        _SLOT,
        _WAVE,
        _READ,
        Column("result", WORD, "succeeded, failed, missed or pending_reboot."),
        Column(
            "reason",
            WORD,
            "Why it was not reached, or that no result of this release's was reported; empty otherwise.",
            optional=True,
        ),
        Column("line", TEXT, "The line of output that explains a failure, or the detail of the reason.", optional=True),
        _OURS,
        Column(
            "joined_by",
            WORD,
            "How that is known: override list, command, times; empty: not this release's.",
            optional=True,
        ),
        _COMMAND,
        Column("status", WORD, "StatusDetails of the command on the node.", optional=True),
        Column("operation", WORD, "Scan or Install: of the node's last patch run.", optional=True),
        Column("operation_start", MOMENT, "Of that run, by the node's clock.", optional=True),
        Column("operation_end", MOMENT, "Of that run, by the node's clock.", optional=True),
        Column("baseline", WORD, "Id or ARN of the baseline that was evaluated.", optional=True),
        Column("snapshot", WORD, "Id of the baseline's snapshot.", optional=True),
        Column("override_list", WORD, "URL of the InstallOverrideList, of an install that had one.", optional=True),
        Column("reboot_option", WORD, "RebootIfNeeded or NoReboot.", optional=True),
        Column("last_install_without_reboot", MOMENT, "LastNoRebootInstallOperationTime.", optional=True),
        *_counts(),
    ),
    ("location", "node"),
)

PATCH_STATES = Table(
    "patch_states",
    "A patch on a node, as the node's last patch run reported it.",
    (
        *OF_RELEASE,
        _LOCATION,
        _NODE,
        _GROUP,
        Column("product", WORD, "OS product, as the agent reports it."),
        _ROLE,
        _RING,
        Column("id", WORD, "AWS's KBId: `KB5060531`, or name and architecture, `openssl.x86_64`."),
        Column("title", WORD, "Title verbatim; it has the version of a package."),
        Column("classification", WORD, "As AWS has it; empty where AWS leaves it out."),
        Column("severity", WORD, "As AWS has it; empty where AWS leaves it out."),
        Column(
            "state",
            WORD,
            "INSTALLED, INSTALLED_OTHER, MISSING, FAILED, …; FAILED also where the release's install failed and the"
            " scan behind its reboot, of which the rest is, says MISSING.",
        ),
        Column("installed", MOMENT, "InstalledTime, where it is installed and that is known.", optional=True),
        Column(
            "needless",
            TRUTH,
            "Whether it counts as waiting for a reboot, and the operating system, asked since, needs none.",
            optional=True,
        ),
        Column("kind", WORD, "What the release's execution did that read it back: scan, install, reboot or rescan."),
        Column("operation", WORD, "Scan or Install: the patch run that reported it."),
        Column(
            "other",
            TEXT,
            "Other patchers known to work on the node, as Inventory or their operation shows.",
            optional=True,
        ),
        Column("at", MOMENT, "When that run ended, by the node's clock: the moment at which the state held."),
        _OURS,
    ),
    ("product", "id", "title", "state", "location", "node"),
)

WINDOW_EXECUTIONS = Table(
    "window_executions",
    "What one wave did in one location: an execution of its window, or the reason that there was none.",
    (
        *OF_RELEASE,
        _LOCATION,
        _OPENED,
        _KIND,
        Column("window_id", WORD, "`mw-…`.", optional=True),
        Column("execution", WORD, "WindowExecutionId.", optional=True),
        Column("planned", MOMENT, "The time of its at().", optional=True),
        Column("start", MOMENT, "When AWS started it.", optional=True),
        Column("end", MOMENT, "When it was final.", optional=True),
        Column("state", WORD, "done, failed, late, halted, held or skipped; waiting: it was never seen to its end."),
        Column("reason", WORD, "Why it ended otherwise than as done; empty where it did not.", optional=True),
        Column(
            "foreign",
            TRUTH,
            "Whether it reached nodes, or ran commands, that were not the wave's; empty: written before this was kept.",
            optional=True,
        ),
        Column("nodes", WHOLE, "Nodes of the wave in this location."),
        Column("invoked", WHOLE, "Nodes that a command reached."),
        Column("succeeded", WHOLE, "Nodes on which the command succeeded."),
    ),
    ("location", "wave", "kind"),
)

COMMAND_INVOCATIONS = Table(
    "command_invocations",
    "A command on a node, within an execution of a window.",
    (
        *OF_RELEASE,
        _LOCATION,
        _OPENED,
        _KIND,
        Column("execution", WORD, "WindowExecutionId."),
        _SLOT,
        _NODE,
        Column("command", WORD, "Id of the Run Command command."),
        Column("document", WORD, "Name of the document.", optional=True),
        Column("status", WORD, "StatusDetails: Success, Failed, DeliveryTimedOut, …"),
        Column("code", WHOLE, "Exit code of the step, where it is known.", optional=True),
        Column("start", MOMENT, "When it began on the node.", optional=True),
        Column("end", MOMENT, "When it ended on the node.", optional=True),
        Column("seconds", NUMBER, "Seconds between the two.", optional=True),
        Column("output", TEXT, "Where its output lies, `s3://bucket/key`.", optional=True),
    ),
    ("location", "wave", "kind", "node", "command"),
)

GATE_DECISIONS = Table(
    "gate_decisions",
    "A rule of the gate, when the gate was asked.",
    (
        *OF_RELEASE,
        Column("at", MOMENT, "When it was decided, by AWS's clock."),
        Column("verdict", WORD, "Of the gate as a whole: open, closed or nothing."),
        Column("rule", WORD, "Name of the rule."),
        Column("result", WORD, "pass, fail or unknown; unknown closes."),
        Column("why", TEXT, "What was found, and what would open it.", optional=True),
    ),
    ("at", "rule"),
)

MANIFESTS = Table(
    "manifests",
    "A patch that the release requests.",
    (
        *OF_RELEASE,
        Column("product", WORD, "OS product."),
        Column("id", WORD, "AWS's KBId: `KB5060531`, or name and architecture, `openssl.x86_64`."),
        Column("title", WORD, "Title verbatim; empty on Windows, where the KB is the patch."),
        Column("classification", WORD, "As AWS has it.", optional=True),
        Column("severity", WORD, "critical, important, medium, low or unknown, as the policy has it.", optional=True),
        Column("soaked_since", MOMENT, "When its soak began; empty for one that was let through.", optional=True),
        Column("soak_days", WHOLE, "Days of soak that its severity demands.", optional=True),
        Column("nodes", WHOLE, "Healthy nodes of the ring before that have it.", optional=True),
        Column("let_through", TEXT, "The expedite or waiver that lists it, without a soak.", optional=True),
        Column("sha256", WORD, "SHA-256 of the product's manifest."),
    ),
    ("product", "id", "title"),
)

BACKUPS = Table(
    "backups",
    "The image of a node that was to be backed up.",
    (
        *OF_RELEASE,
        _LOCATION,
        _NODE,
        Column("image", WORD, "Id of the AMI.", optional=True),
        Column("state", WORD, "available, pending, failed or missing (none was asked for), at the admission."),
        Column("detail", TEXT, "Why it is not available; empty where it is.", optional=True),
    ),
    ("location", "node"),
)

ARRIVALS = Table(
    "arrivals",
    "A version found on a production node that had not soaked.",
    (
        *OF_RELEASE,
        _LOCATION,
        _NODE,
        Column("product", WORD, "OS product."),
        Column("id", WORD, "AWS's KBId, or name and architecture."),
        Column("title", WORD, "Title verbatim."),
        Column("installed", MOMENT, "InstalledTime, where it is known.", optional=True),
        Column("cause", WORD, "dependency, re-issued KB or other patcher."),
        Column("detail", TEXT, "More about the cause.", optional=True),
    ),
    ("location", "node", "product", "id", "title"),
)

RELEASES = Table(
    "releases",
    "A release, when it was reported.",
    (
        *OF_RELEASE,
        Column("dag_id", WORD, "Airflow's DAG."),
        Column("run_id", TEXT, "Airflow's run."),
        Column("operation", WORD, "scan, install, or reboot where that was all."),
        Column("gated", TRUTH, "Whether it was of production, behind a gate."),
        Column("begun", MOMENT, "AWS's time when it was begun."),
        Column("reported", MOMENT, "AWS's time when it was reported."),
        Column("outcome", WORD, "released, partial, held, nothing, late or halted."),
        Column("ok", TRUTH, "False: the run is a failed one."),
        Column("line", TEXT, "The outcome in one line."),
        Column("expected", WHOLE, "Nodes that were expected."),
        Column("admitted", WHOLE, "Nodes that were admitted to waves."),
        Column("succeeded", WHOLE, "Nodes that are as the release wants them."),
        Column("failed", WHOLE, "Nodes on which it failed."),
        Column("pending_reboot", WHOLE, "Nodes that have it, once they reboot."),
        Column("missed", WHOLE, "Nodes that it did not reach."),
        Column("by", TEXT, "Who triggered it by hand; empty: the schedule.", optional=True),
        Column("retry_of", WORD, "The release whose failed nodes it retried.", optional=True),
    ),
    ("window",),
)

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        NODES,
        PATCH_SUMMARIES,
        PATCH_STATES,
        WINDOW_EXECUTIONS,
        COMMAND_INVOCATIONS,
        GATE_DECISIONS,
        MANIFESTS,
        BACKUPS,
        ARRIVALS,
        RELEASES,
    )
}
"""All tables, by name."""
