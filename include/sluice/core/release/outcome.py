"""What became of a release as a whole, from its records: one word, whether that is a failure, and one line.

Nodes that could not be reached from the start are named and counted, and are no failure of the release, unless it
reached none at all. What fails a release is what it was to bring through and did not: nodes that failed, that have no
backup where one is required, that it admitted and never reached, and locations that failed. Beyond the ratio that the
policy allows (`waves.failure_budget`) the run is failed; what cannot be known counts as failed. A release of which an
execution reached nodes or ran commands that were not its wave's has failed, however few.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sluice.core.release.answer import UNASKED
from sluice.core.release.shown import some
from sluice.core.release.terms import Outcome, Plain, Reason

OPENED = ("done", "failed", "waiting")
"""Where an execution stands that was opened, or that nobody knows of."""

MEANT = {Reason.STOPPED, Reason.EXCEPTED, Reason.NO_TWIN, Reason.NOTHING, Reason.GONE}
"""Reasons for which somebody meant that a node is not reached, or the gate decided it: nobody has to look."""


@dataclass(frozen=True, slots=True)
class Opening:
    """One wave in one location, as it was recorded."""

    state: str
    """done, failed, late, halted, held or skipped; waiting: it was never seen to its end."""
    reason: str = ""
    execution: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a release when it is reported."""

    budget: float
    """Percent of failed nodes that the policy allows."""
    operation: str = "install"
    gated: bool = False
    dry_run: bool = False
    halted: str | None = None
    """The halt mark that holds for it."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why, by location, for those that preflight refused, or that a step before the admission failed in."""
    verdict: str | None = None
    """Of the gate; None: it did not decide."""
    why: tuple[str, ...] = ()
    """What keeps the gate closed."""
    needs_approval: bool = False
    """Whether a person had to agree: by the gate, or, where none stands before it, because one was asked."""
    answer: str | None = None
    """What a person chose; None: nobody did."""
    by: str | None = None
    """Who."""
    unasked: bool = False
    """Nobody was asked, as no answer could have come in time."""
    expected: int = 0
    admitted: int | None = None
    """None: the release did not come so far."""
    succeeded: int = 0
    failed: int = 0
    pending_reboot: int = 0
    lost: int = 0
    """Nodes that were admitted and missed all the same."""
    lost_in: tuple[str, ...] = ()
    """The locations that have them."""
    refused_nodes: int = 0
    """Nodes of locations that were refused, as far as they are known."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Why, by location, for those that could not be read back."""
    missed: Mapping[str, int] = field(default_factory=dict)
    """Nodes that were not reached, by reason."""
    openings: tuple[Opening, ...] = ()
    """Of what the release is for: installs or scans, or reboots where there are no others."""
    steps: tuple[Opening, ...] = ()
    """Of the steps around the waves."""
    foreign: tuple[str, ...] = ()
    """Why, of each execution that reached nodes or ran commands that were not its wave's."""
    arrivals: int = 0
    """Versions on production that had not soaked."""
    extra: tuple[str, ...] = ()
    """Nodes that its executions reached and that it did not expect."""
    overdue: tuple[str, ...] = ()
    """Patches that wait for longer than the ring allows, or for a reboot that no release may bring."""


@dataclass(frozen=True, slots=True)
class Verdict(Plain):
    """What became of a release."""

    outcome: str
    """One of `Outcome`."""
    ok: bool
    """False: the run is a failed one."""
    line: str


def approves(answer: str | None) -> bool:
    """Whether a person's answer lets a release go on: the standard provider's word, whatever its case."""
    return (answer or "").casefold() == "approve"


def judge(facts: Facts) -> Verdict:
    """The outcome; its line says too what waits for too long, so that nothing starves in silence."""
    asked = (_halted, _held, _nothing, _unfinished, _never_opened, _released)
    found = next(verdict for ask in asked if (verdict := ask(facts)))
    return replace(found, line=f"{found.line}{_waiting(facts)}")


def bad(facts: Facts) -> tuple[int, int]:
    """How many nodes the release did not bring through, of how many that count."""
    kept = facts.refused_nodes + facts.missed.get(Reason.NO_BACKUP, 0)
    return facts.failed + facts.lost + kept, (facts.admitted or 0) + kept


def _halted(facts: Facts) -> Verdict | None:
    if facts.halted is None and not any(one.state == "halted" for one in facts.openings):
        return None
    why = facts.halted or next(one.reason for one in facts.openings if one.state == "halted")
    return Verdict(Outcome.HALTED.value, not (_is_beyond(facts) or facts.foreign), f"halted: {why}{_numbers(facts)}")


def _held(facts: Facts) -> Verdict | None:
    if facts.verdict == "closed":
        return Verdict(Outcome.HELD.value, ok=True, line=f"the gate is closed: {'; '.join(facts.why)}")
    asked = facts.needs_approval and (facts.verdict == "open" or not facts.gated)
    if asked and not approves(facts.answer) and facts.admitted is None:
        return Verdict(Outcome.HELD.value, ok=True, line=_unapproved(facts))
    return None


def _unapproved(facts: Facts) -> str:
    if facts.by:
        return f"rejected by {facts.by}"
    return UNASKED if facts.unasked else "nobody approved it in time"


def _nothing(facts: Facts) -> Verdict | None:
    if facts.verdict == "nothing":
        return Verdict(Outcome.NOTHING.value, ok=True, line=f"nothing to install{_because(facts)}")
    if facts.dry_run:
        return Verdict(
            Outcome.NOTHING.value, ok=True, line=f"a dry run: no window was opened; {facts.expected} nodes expected"
        )
    if facts.admitted == 0 and not facts.refused:
        meant = facts.missed.keys() <= MEANT
        return Verdict(
            Outcome.NOTHING.value, meant, f"no node was admitted of {facts.expected} expected{_missed(facts)}"
        )
    if facts.openings and all(one.state == "skipped" for one in facts.openings):
        return Verdict(Outcome.NOTHING.value, ok=True, line=facts.openings[0].reason or "no node needed it")
    return None


def _unfinished(facts: Facts) -> Verdict | None:
    """It ended before anything was admitted, and nothing says that this was meant."""
    if facts.admitted is not None:
        return None
    if facts.refused:
        return Verdict(Outcome.HELD.value, ok=False, line=f"nothing was opened: {_named(facts.refused)}")
    return Verdict(
        Outcome.HELD.value, ok=False, line="a step before the admission failed, nothing was opened; see its log"
    )


def _never_opened(facts: Facts) -> Verdict | None:
    """No window was opened anywhere."""
    if any(one.state in OPENED for one in facts.openings):
        return None
    for state, outcome in (("late", Outcome.LATE), ("held", Outcome.HELD)):
        reasons = [one.reason for one in facts.openings if one.state == state]
        if reasons:
            opened = "no wave" if any(one.execution for one in facts.steps) else "nothing"
            return Verdict(outcome.value, ok=True, line=f"{reasons[0] or state}; {opened} was opened")
    return None


def _released(facts: Facts) -> Verdict:
    failed, _ = bad(facts)
    others = [one for one in (*facts.openings, *facts.steps) if one.state not in ("done", "skipped")]
    partial = failed or facts.refused or facts.unread or others or facts.foreign
    unknown = bool(facts.unread) or bool(facts.refused and not facts.refused_nodes)
    beyond = _is_beyond(facts)
    ok = not (beyond or unknown or facts.foreign)
    line = _told(facts)
    if facts.refused:
        line += f"; refused: {_named(facts.refused)}"
    if facts.unread:
        line += f"; not read back: {_named(facts.unread)}"
    stops = dict.fromkeys((*(one.reason for one in others if one.reason), *facts.foreign))
    if stops:
        line += f"; {'; '.join(stops)}"
    if beyond and not unknown:
        line += f"; more than the {facts.budget:g} % that the policy allows"
    return Verdict((Outcome.PARTIAL if partial else Outcome.RELEASED).value, ok, line)


def _is_beyond(facts: Facts) -> bool:
    failed, of = bad(facts)
    return failed * 100 > facts.budget * of


def _told(facts: Facts) -> str:
    verb = "scanned" if facts.operation == "scan" else "done"
    parts = [f"{facts.succeeded + facts.pending_reboot} of {facts.admitted} nodes {verb}"]
    if facts.pending_reboot:
        parts.append(f"{facts.pending_reboot} of them wait for a reboot")
    if facts.failed:
        parts.append(f"{facts.failed} failed")
    if facts.lost:
        where = f" in {', '.join(facts.lost_in)}" if facts.lost_in else ""
        parts.append(f"{facts.lost} not reached{where}")
    missed = _missed(facts)
    extra = f"; reached and not expected: {some(facts.extra)}" if facts.extra else ""
    arrivals = f"; {facts.arrivals} unsoaked arrivals" if facts.arrivals else ""
    return f"{', '.join(parts)}{missed}{extra}{arrivals}"


def _numbers(facts: Facts) -> str:
    return f"; {_told(facts)}" if facts.admitted else ""


def _missed(facts: Facts) -> str:
    """The nodes that were never admitted, by reason."""
    found = Counter({reason: number for reason, number in facts.missed.items() if number})
    if not found:
        return ""
    return f"; missed {found.total()}: {', '.join(f'{number} {reason}' for reason, number in found.most_common())}"


def _waiting(facts: Facts) -> str:
    if not facts.overdue:
        return ""
    return f"; {len(facts.overdue)} waiting too long: {some(facts.overdue)}"


def _because(facts: Facts) -> str:
    return f": {'; '.join(facts.why)}" if facts.why else ""


def _named(places: Mapping[str, str]) -> str:
    return "; ".join(f"{location}: {why}" for location, why in sorted(places.items()))
