"""The codes of the policy check: what each means, whether it is an error or a question, and who may waive it.

An error that says what cannot work (AWS refuses it, or nothing would ever happen) or that keeps production
safe cannot be waived: a waiver would change nothing, or too much. The others are somebody's decision, and
`exceptions[].findings` records whose, why and until when. docs/findings.md has a part on each code. Codes below
P100 are those of loading (`sluice.core.policy.load`); what is faulty by one of them is not looked at here, nor what
judges by it, for which each code names its parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from sluice.core.policy.policy import Policy
from sluice.core.policy.rest import Parts

Kind: TypeAlias = Literal["error", "question"]


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of finding."""

    code: str
    kind: Kind
    title: str
    parts: Parts
    """By which parts of the policy it judges."""
    waivable: bool = True


def _firm(code: str, title: str, parts: str) -> Code:
    return Code(code, "error", title, Parts(parts), waivable=False)


def _error(code: str, title: str, parts: str) -> Code:
    return Code(code, "error", title, Parts(f"{parts} {_WAIVERS}"))


def _question(code: str, title: str, parts: str) -> Code:
    return Code(code, "question", title, Parts(f"{parts} {_WAIVERS}"))


_SERVED = "patch_groups.*.name patch_groups.*.baselines"
_WAIVERS = "exceptions.*.findings exceptions.*.expires"
_REACH = "windows.*.name windows.*.patch_groups windows.*.replaces patch_groups.*.name"
"""Which patch groups each window reaches."""
_PRODUCTION = f"{_REACH} patch_groups.*.ring rings.*.name rings.*.production"
"""And whether that is production."""
_TIMES = "windows.*.name windows.*.schedule windows.*.time_zone windows.*.duration_hours"
_GATES = f"windows.*.operation windows.*.gate {_PRODUCTION}"
"""Which gates are read."""
_EVERYTHING = " ".join(Policy.model_fields)

_ALL = (
    # names and references
    _firm("P103", "a name that AWS refuses", "."),
    _firm("P104", "a window called as a step's own would be", "."),
    _question("P105", "a baseline that no patch group uses", "item.name item.default patch_groups.*.baselines"),
    _question("P106", "a ring without patch groups", "item.name patch_groups.*.ring"),
    _question("P108", "a window replaces one with which it shares no patch group", f". {_REACH}"),
    # quotas
    _error("P111", "more than 50 baselines", "baselines.*.name"),
    _firm("P112", "more than 10 rules in a baseline", "item.rules"),
    _firm("P113", "more than 4 filters", "."),
    _firm("P114", "more than 20 values in a filter", "."),
    _error("P115", "more than 25 patch groups of a baseline", "item.name patch_groups.*.baselines"),
    _error("P116", "more than 50 windows", "windows.*.name windows.*.before windows.*.after mode"),
    _error("P117", "more than 20 slots in a window", f"item.operation patch_groups.*.products {_REACH}"),
    _error("P118", "more than 5 windows open at once", f"{_TIMES}"),
    _firm("P119", "more than 20 repositories of a baseline", "item.sources"),
    # filters
    _firm("P121", "a filter that the operating system does not have", ". item.os"),
    _firm("P122", "a filter value that AWS refuses", ".. item.os"),
    _question("P123", "a product that is not known here", ".. item.os"),
    _question("P124", "a rule that approves everything", ". item.os item.filters"),
    _question(
        "P125",
        "no rule is for an OS product of the baseline's patch groups",
        f"item.name item.os item.rules item.filters patch_groups.*.products {_SERVED}",
    ),
    # baselines
    _error("P131", "an approval delay where apt ignores it", ".. item.os"),
    _firm("P132", "a rule without an approval delay", ". item.os"),
    _error("P133", "CentOS filters that approve nothing", ". item.os"),
    _question("P134", "CentOS filters that change nothing", ".. item.os"),
    _firm("P135", "a setting that the operating system does not have", ". item.os"),
    _question("P136", "a baseline that approves nothing", "item.rules item.approved"),
    _error(
        "P137",
        "a production delay shorter than the soak",
        ".. item.os item.name patch_groups.*.baselines patch_groups.*.ring rings",
    ),
    _question(
        "P138",
        "a production delay longer than the soak",
        ".. item.os item.name patch_groups.*.baselines patch_groups.*.ring rings",
    ),
    _question("P139", "approval up to a fixed date", ".. item.os"),
    _question("P140", "a patch is approved and rejected", "item.approved item.rejected"),
    _firm("P141", "a patch name that the operating system does not have", ". item.os"),
    _firm(
        "P142", "two default baselines of an operating system", "baselines.*.name baselines.*.os baselines.*.default"
    ),
    # patch groups and rings
    _firm(
        "P151",
        "two baselines of one operating system in a patch group",
        "item.baselines baselines.*.name baselines.*.os",
    ),
    _firm("P152", "an OS product without a baseline", "item.baselines item.products baselines.*.name baselines.*.os"),
    _question(
        "P153",
        "a baseline without an OS product in the patch group",
        "item.baselines item.products baselines.*.name baselines.*.os",
    ),
    _question("P154", "a patch group that no window reaches", f"item.name {_REACH}"),
    _question("P155", "a patch group that is never patched", f"item.name mode windows.*.operation {_REACH}"),
    _question("P156", "a patch group that is never scanned", f"item.name windows.*.operation {_REACH}"),
    _firm("P157", "a patch group in two install windows", f"windows.*.operation {_REACH}"),
    _error(
        "P158",
        "a patch group that mixes platforms in a window of one",
        f"windows.*.operation patch_groups.*.products {_REACH}",
    ),
    _firm("P159", "an install window over several rings", f"item.operation {_PRODUCTION}"),
    _firm("P160", "several rings of which none is production", "mode rings.*.name rings.*.production"),
    _question("P161", "a single ring that is not production", "mode rings.*.name rings.*.production"),
    _question("P164", "a short soak that nobody agreed on", "item.name item.soak item.production"),
    _question(
        "P165",
        "an OS product in production that soaks nowhere",
        "item.products item.ring patch_groups.*.ring patch_groups.*.products rings.*.name rings.*.production",
    ),
    _question("P166", "an alert before the soak is over", "item.soak item.max_wait_days"),
    _firm("P167", "OS products that overlap in a patch group", "item.products"),
    # windows
    _firm("P171", "a cutoff that leaves no time", "item.duration_hours item.cutoff_hours"),
    _question(
        "P172",
        "a latest start after which nothing fits",
        "item.operation item.duration_hours item.cutoff_hours item.latest_start_minutes",
    ),
    _question("P174", "a window that opens once", "item.schedule item.time_zone"),
    _firm("P175", "a schedule that never comes", "item.schedule item.time_zone"),
    _firm("P176", "a window that overlaps itself", "item.schedule item.time_zone item.duration_hours"),
    _error("P177", "windows that overlap on the same nodes", f"{_TIMES} {_REACH}"),
    _question("P178", "a time that daylight saving skips or doubles", "item.schedule item.time_zone"),
    _question("P179", "Patch Tuesday against the production window", "rings baselines patch_groups windows"),
    _firm("P180", "a step that patches", "."),
    _question("P181", "production in one wave", f"item.waves item.operation {_PRODUCTION}"),
    _question("P182", "a canary that is a flock", ". item.operation"),
    _error(
        "P183",
        "waves that do not fit into the window",
        "item.operation item.waves item.duration_hours item.cutoff_hours item.before item.reboot"
        f" timing.open_lead_minutes rings.*.soak {_PRODUCTION}",
    ),
    _question("P184", "no window reboots", "windows.*.operation windows.*.reboot"),
    _question("P185", "a reboot after every install", "item.operation item.reboot"),
    _question(
        "P186", "production reboots, the ring before does not", f"windows.*.operation windows.*.reboot {_PRODUCTION}"
    ),
    _question("P187", "production without backup", f"item.operation item.backup {_PRODUCTION}"),
    _question(
        "P188",
        "no time for approval or backups",
        f"item.operation item.backup item.gate item.lead_minutes gate.approval {_PRODUCTION}",
    ),
    _firm("P189", "allowed hours that never come", "item.people"),
    _question("P190", "a gate that nothing reads", f"item.operation item.gate {_PRODUCTION}"),
    _question("P191", "install windows in mode observe", "mode windows.*.name windows.*.operation"),
    _question("P192", "no install window in mode release", "mode windows.*.name windows.*.operation"),
    _question("P193", "every production node at once, or every failure allowed", f". item.operation {_PRODUCTION}"),
    # gate
    _question("P201", "a gate that asks nobody", f". {_GATES}"),
    _question("P202", "a threshold that hardly holds anything back", f". {_GATES}"),
    _question("P203", "evidence that is too old at some releases", f". {_GATES} {_TIMES} windows.*.lead_minutes"),
    _error("P204", "evidence that is always too old", f". {_GATES} {_TIMES} windows.*.lead_minutes"),
    _question("P205", "a freeze that is over", f". {_GATES}"),
    _question("P206", "approvers that nobody asks", f".. {_GATES}"),
    _question("P207", "approval by whoever may edit the DAG", f". {_GATES}"),
    _error("P208", "a change ticket that may be empty", f". {_GATES}"),
    _question("P209", "a freeze of more than two months", f". {_GATES}"),
    # exceptions
    _firm("P211", "an exception that has expired", "item.owner item.because item.expires"),
    Code(
        "P212",
        "question",
        "an exception that is about to expire",
        Parts("item.owner item.because item.expires"),
        waivable=False,
    ),
    _firm("P213", "a waiver of an unknown code", "."),
    _firm("P214", "a waiver of what cannot be waived", "."),
    _question("P215", "a waiver that waives nothing", f"{_EVERYTHING}"),
    _question("P216", "an exception for longer than a year", "item.expires"),
    _firm("P217", "an exception for everything", "."),
    _firm("P218", "an exception of what cannot be", "."),
    _question("P219", "a re-issued class that is not known here", "."),
    # places
    _firm("P221", "several accounts without roles to assume", "roles.assume locations.*.account"),
    _question("P222", "roles without an external id", "roles"),
    _firm("P223", "AWS's Config rule where there is none", ". locations.*.region"),
    _question("P224", "AWS's Config rule, which needs a recorder", "."),
    _question("P225", "an SLA shorter than the soak", ". rings.*.soak"),
    _question("P226", "nobody is notified", "."),
    _question("P227", "no bucket for logs", "logs windows.*.name windows.*.logs"),
    _question("P228", "no operations bucket", "operations_bucket windows"),
    _question("P229", "no place for evidence", "."),
    _question("P230", "one bucket for several locations", ". locations"),
    _question("P231", "one role for the windows of every ring", ". rings.*.name"),
    _firm("P232", "a pilot that is more than one", ". item.name pilot"),
    _question("P233", "a Region that is not known here", "."),
)

CODES: Mapping[str, Code] = {code.code: code for code in _ALL}
"""Every code of the check."""
