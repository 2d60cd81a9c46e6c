"""The codes of the policy check: what each means, whether it is an error or a question, and who may waive it.

An error that says what cannot work (AWS refuses it, or nothing would ever happen) or that keeps production
safe cannot be waived: a waiver would change nothing, or too much. The others are somebody's decision, and
`exceptions[].findings` records whose, why and until when. docs/findings.md has a part on each code. Codes below
P100 are those of loading (`sluice.core.policy.load`): a policy that has one of them is not looked at here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["error", "question"]


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of finding."""

    code: str
    kind: Kind
    title: str
    waivable: bool = True


def _firm(code: str, title: str) -> Code:
    return Code(code, "error", title, waivable=False)


def _error(code: str, title: str) -> Code:
    return Code(code, "error", title)


def _question(code: str, title: str) -> Code:
    return Code(code, "question", title)


_ALL = (
    # names and references
    _firm("P103", "a name that AWS refuses"),
    _firm("P104", "a window called as a step's own would be"),
    _question("P105", "a baseline that no patch group uses"),
    _question("P106", "a ring without patch groups"),
    _question("P108", "a window replaces one with which it shares no patch group"),
    # quotas
    _error("P111", "more than 50 baselines"),
    _firm("P112", "more than 10 rules in a baseline"),
    _firm("P113", "more than 4 filters"),
    _firm("P114", "more than 20 values in a filter"),
    _error("P115", "more than 25 patch groups of a baseline"),
    _error("P116", "more than 50 windows"),
    _error("P117", "more than 20 slots in a window"),
    _error("P118", "more than 5 windows open at once"),
    _firm("P119", "more than 20 repositories of a baseline"),
    # filters
    _firm("P121", "a filter that the operating system does not have"),
    _firm("P122", "a filter value that AWS refuses"),
    _question("P123", "a product that is not known here"),
    _question("P124", "a rule that approves everything"),
    _question("P125", "no rule is for an OS product of the baseline's patch groups"),
    # baselines
    _error("P131", "an approval delay where apt ignores it"),
    _firm("P132", "a rule without an approval delay"),
    _error("P133", "CentOS filters that approve nothing"),
    _question("P134", "CentOS filters that change nothing"),
    _firm("P135", "a setting that the operating system does not have"),
    _question("P136", "a baseline that approves nothing"),
    _error("P137", "a production delay shorter than the soak"),
    _question("P138", "a production delay longer than the soak"),
    _question("P139", "approval up to a fixed date"),
    _question("P140", "a patch is approved and rejected"),
    _firm("P141", "a patch name that the operating system does not have"),
    _firm("P142", "two default baselines of an operating system"),
    # patch groups and rings
    _firm("P151", "two baselines of one operating system in a patch group"),
    _firm("P152", "an OS product without a baseline"),
    _question("P153", "a baseline without an OS product in the patch group"),
    _question("P154", "a patch group that no window reaches"),
    _question("P155", "a patch group that is never patched"),
    _question("P156", "a patch group that is never scanned"),
    _firm("P157", "a patch group in two install windows"),
    _error("P158", "a patch group that mixes platforms in a window of one"),
    _firm("P159", "an install window over several rings"),
    _firm("P160", "several rings of which none is production"),
    _question("P161", "a single ring that is not production"),
    _question("P164", "a short soak that nobody agreed on"),
    _question("P165", "an OS product in production that soaks nowhere"),
    _question("P166", "an alert before the soak is over"),
    _firm("P167", "OS products that overlap in a patch group"),
    # windows
    _firm("P171", "a cutoff that leaves no time"),
    _question("P172", "a latest start after which nothing fits"),
    _question("P174", "a window that opens once"),
    _firm("P175", "a schedule that never comes"),
    _firm("P176", "a window that overlaps itself"),
    _error("P177", "windows that overlap on the same nodes"),
    _question("P178", "a time that daylight saving skips or doubles"),
    _question("P179", "Patch Tuesday against the production window"),
    _firm("P180", "a step that patches"),
    _question("P181", "production in one wave"),
    _question("P182", "a canary that is a flock"),
    _error("P183", "waves that do not fit into the window"),
    _question("P184", "no window reboots"),
    _question("P185", "a reboot after every install"),
    _question("P186", "production reboots, the ring before does not"),
    _question("P187", "production without backup"),
    _question("P188", "no time for approval or backups"),
    _firm("P189", "allowed hours that never come"),
    _question("P190", "a gate that nothing reads"),
    _question("P191", "install windows in mode observe"),
    _question("P192", "no install window in mode release"),
    _question("P193", "every production node at once, or every failure allowed"),
    # gate
    _question("P201", "a gate that asks nobody"),
    _question("P202", "a threshold that hardly holds anything back"),
    _question("P203", "evidence that is too old at some releases"),
    _error("P204", "evidence that is always too old"),
    _question("P205", "a freeze that is over"),
    _question("P206", "approvers that nobody asks"),
    _question("P207", "approval by whoever may edit the DAG"),
    _error("P208", "a change ticket that may be empty"),
    _question("P209", "a freeze of more than two months"),
    # exceptions
    _firm("P211", "an exception that has expired"),
    Code("P212", "question", "an exception that is about to expire", waivable=False),
    _firm("P213", "a waiver of an unknown code"),
    _firm("P214", "a waiver of what cannot be waived"),
    _question("P215", "a waiver that waives nothing"),
    _question("P216", "an exception for longer than a year"),
    _firm("P217", "an exception for everything"),
    _firm("P218", "an exception of what cannot be"),
    _question("P219", "a re-issued class that is not known here"),
    # places
    _firm("P221", "several accounts without roles to assume"),
    _question("P222", "roles without an external id"),
    _firm("P223", "AWS's Config rule where there is none"),
    _question("P224", "AWS's Config rule, which needs a recorder"),
    _question("P225", "an SLA shorter than the soak"),
    _question("P226", "nobody is notified"),
    _question("P227", "no bucket for logs"),
    _question("P228", "no operations bucket"),
    _question("P229", "no place for evidence"),
    _question("P230", "one bucket for several locations"),
    _question("P231", "one role for the windows of every ring"),
    _firm("P232", "a pilot that is more than one"),
    _question("P233", "a Region that is not known here"),
)

CODES: Mapping[str, Code] = {code.code: code for code in _ALL}
"""Every code of the check."""
