"""The gate before a production install: what must hold, and what was found.

Every rule is `pass`, `fail` or `unknown`; what is not known closes the gate as what fails. A decision is kept with
the facts that it was made of: `replay` comes to the same verdict from them, without AWS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sluice.core import soak
from sluice.core.errors import ReleaseError
from sluice.core.release.rights import ticket_objection
from sluice.core.release.shown import some
from sluice.core.release.terms import Plain

Verdict = Literal["open", "closed", "nothing"]
"""Of the gate: `nothing` is that there is nothing to install."""
Held = Literal["pass", "fail", "unknown"]
"""Of a rule."""

MISSING = "missing"
"""State of a calendar or an alarm in a location that has none of that name."""
UNKNOWN = "unknown: "
"""Beginning of a state that could not be read; the reason follows."""


@dataclass(frozen=True, slots=True)
class Limits(Plain):
    """What the policy demands."""

    success_percent: float
    evidence_hours: float
    agents_percent: float
    change_ticket: str | None
    refuse_other_patchers: bool
    approval: Literal["always", "never", "first"]
    approval_first: int


@dataclass(frozen=True, slots=True)
class Asking(Plain):
    """Something of a location that a rule names: a calendar or an alarm."""

    name: str
    location: str
    state: str
    """As AWS has it, `missing`, or `unknown: …`."""


@dataclass(frozen=True, slots=True)
class Seen(Plain):
    """How new the evidence of something is."""

    what: str
    """A ring or a location, in words."""
    at: datetime | None
    """None: there is none."""


@dataclass(frozen=True, slots=True)
class Covered(Plain):
    """An item of the manifest, as far as the gate looks at it."""

    patch: str
    """Title or KB, with its OS product."""
    covered: str
    """`soak`, `expedite` or `waiver`."""
    started: datetime | None
    days: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a decision is made of."""

    release: str
    window: str
    at: datetime
    """AWS's time at which it was found out (UTC)."""
    mode: str
    limits: Limits
    items: tuple[Covered, ...] = ()
    recalled: tuple[str, ...] = ()
    """Recalls that hold for something in the manifest, in words."""
    not_found: tuple[str, ...] = ()
    """What an expedite names and no node shows."""
    behind: int | None = None
    """Nodes of the rings before with the release's OS products that count; None: not known."""
    behind_failed: tuple[str, ...] = ()
    """Those on which something failed, and what."""
    behind_silent: tuple[str, ...] = ()
    """The others that were not looked at lately, and since when."""
    behind_left_out: tuple[str, ...] = ()
    """Nodes that do not count, and why: they are stopped, or meant not to be reached."""
    evidence: tuple[Seen, ...] = ()
    calendars: tuple[Asking, ...] = ()
    alarms: tuple[Asking, ...] = ()
    freeze: str | None = None
    """The freeze on the day of the release, in words."""
    online: int | None = None
    running: int | None = None
    """Nodes of the release that run, of which `online` have an agent that answers; None: not known."""
    ticket: str | None = None
    others: tuple[str, ...] | None = None
    """Other patchers on the release's patch groups; None: not known."""
    objections: tuple[str, ...] = ()
    """Why the person who asks may not."""
    ad_hoc: bool = False
    expedite: tuple[str, ...] = ()
    because: str | None = None
    released: int = 0
    """Releases of the window so far."""
    admissible: int = 0
    """Nodes that may be admitted."""
    needing: int | None = None
    """Those of them that may lack something of the manifest; None: not known."""
    not_admissible: tuple[tuple[str, str, str], ...] = ()
    """Nodes that may not: node, reason and detail."""

    def as_json(self) -> dict[str, Any]:
        """Everything."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: _written(value) for name, value in plain.items()}

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Facts:
        """The inverse of `as_json`. Raises ReleaseError for what is none of it."""
        try:
            given = {name: _READ.get(name, _as_it_is)(value) for name, value in data.items()}
            return cls(**given)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ReleaseError(f"expected the facts of a decision, found something else: {error}") from error


@dataclass(frozen=True, slots=True)
class Rule(Plain):
    """What became of one rule."""

    name: str
    held: Held
    because: str
    """What was expected and found."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether production may be installed on, and why."""

    verdict: Verdict
    rules: tuple[Rule, ...]
    needs_approval: bool
    """Whether a person has to agree before anything opens."""
    facts: Facts

    @property
    def why(self) -> tuple[str, ...]:
        """What keeps it closed, rule by rule."""
        return reasons(self.verdict, self.rules)

    def as_json(self) -> dict[str, Any]:
        """The decision with its facts."""
        return {
            "verdict": self.verdict,
            "needs_approval": self.needs_approval,
            "rules": [rule.as_json() for rule in self.rules],
            "facts": self.facts.as_json(),
        }


def reasons(verdict: str | None, rules: Iterable[Rule]) -> tuple[str, ...]:
    """The rules that a verdict rests on; of `nothing` that there is nothing, whatever else there may be."""
    kept = [rule for rule in rules if rule.held != "pass" and (verdict != "nothing" or rule.name == "manifest")]
    return tuple(f"{rule.name}: {rule.because}" for rule in kept)


def decide(facts: Facts) -> Decision:
    """The decision: pure, the same for the same facts."""
    rules = tuple(Rule(name, *judge(facts)) for name, judge in RULES.items())
    if not facts.items or _all_have_it(facts):
        verdict: Verdict = "nothing"
    else:
        verdict = "open" if all(rule.held == "pass" for rule in rules) else "closed"
    return Decision(verdict, rules, needs_approval(facts), facts)


def replay(data: Any) -> Decision:
    """Decide again from a stored decision's facts.

    Raises ReleaseError where the text is no stored decision, or where the verdict, a rule or the need of an approval
    comes out differently: then one of the two was altered, or another version decided.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("facts"), Mapping):
        raise ReleaseError("expected a stored decision with its facts (decision.json of a release), found none")
    again = decide(Facts.of_json(data["facts"]))
    now, then = again.as_json(), dict(data)
    differs = [name for name in ("verdict", "needs_approval", "rules") if now[name] != then.get(name)]
    if differs:
        raise ReleaseError(
            f"expected the same {', '.join(differs)} from the same facts: the record says {then.get('verdict')},"
            f" deciding again says {again.verdict}; the record was altered, or another version of Sluice decided"
        )
    return again


def needs_approval(facts: Facts) -> bool:
    """Whether a person has to agree: to an expedite and to what a person asks for always, else as the policy says."""
    if facts.expedite or facts.ad_hoc:
        return True
    if facts.limits.approval == "first":
        return facts.released < facts.limits.approval_first
    return facts.limits.approval == "always"


def volatile(facts: Facts) -> tuple[str, ...]:
    """What keeps a window closed at the moment of opening: of the rules that may change since the gate."""
    found = ((name, *RULES[name](facts)) for name in VOLATILE)
    return tuple(f"{name}: {because}" for name, held, because in found if held != "pass")


Found = tuple[Held, str]


def _mode(facts: Facts) -> Found:
    if facts.mode == "release":
        return "pass", "the policy releases"
    return "fail", f"expected mode: release in the policy, found {facts.mode}: nothing may install"


def _manifest(facts: Facts) -> Found:
    if _all_have_it(facts):
        return "fail", f"all {facts.admissible} nodes that may be admitted have what it lists"
    if facts.items:
        return "pass", f"{len(facts.items)} patches"
    return "fail", "no patch has soaked, and none is let through: there is nothing to install"


def _all_have_it(facts: Facts) -> bool:
    return facts.needing == 0 and facts.admissible > 0


def _nodes(facts: Facts) -> Found:
    left = f"{len(facts.not_admissible)} are not admitted"
    if facts.admissible:
        return "pass", f"{facts.admissible} nodes may be admitted, {left}"
    return "fail", f"expected at least one node to admit, found none: {left}"


def _soak(facts: Facts) -> Found:
    early = [item.patch for item in facts.items if not _is_covered(item, facts)]
    if early:
        return "fail", f"expected every patch soaked or covered, found {some(early)} before its time"
    kinds = [item.covered for item in facts.items]
    return "pass", ", ".join(
        f"{kinds.count(kind)} by {kind}" for kind in ("soak", "expedite", "waiver") if kind in kinds
    )


def _is_covered(item: Covered, facts: Facts) -> bool:
    if item.covered == "soak":
        return soak.is_soaked(item.started, item.days, facts.at)
    return item.covered in ("expedite", "waiver")


def _expedite(facts: Facts) -> Found:
    if not facts.expedite:
        return "pass", "nothing is expedited"
    if not facts.because:
        return "fail", "expected a reason for what is expedited, found none: give one"
    if facts.not_found:
        return "fail", f"expected patches that a node shows, found {some(facts.not_found)}: scan first, or correct it"
    return "pass", f"{some(facts.expedite)}: {facts.because}"


def _recalls(facts: Facts) -> Found:
    if facts.recalled:
        return "fail", f"{some(facts.recalled)}; begin a new release, whose manifest goes without"
    return "pass", "nothing in the manifest is recalled"


def _behind(facts: Facts) -> Found:
    left_out = f"; left out: {some(facts.behind_left_out)}" if facts.behind_left_out else ""
    if not facts.behind:
        none = "expected nodes of the ring before with these OS products, found none that was ever looked at"
        return "unknown", f"{none}{left_out}"
    ill = (*facts.behind_failed, *facts.behind_silent)
    good = facts.behind - len(ill)
    share = 100 * good / facts.behind
    text = f"{good} of {facts.behind} nodes of the ring before are healthy ({share:.1f} %)"
    if share < facts.limits.success_percent:
        return "fail", f"{text}, expected {facts.limits.success_percent:g} %: {some(ill)}{left_out}"
    return "pass", f"{text}{left_out}"


def _evidence(facts: Facts) -> Found:
    oldest = facts.at - timedelta(hours=facts.limits.evidence_hours)
    none = [seen.what for seen in facts.evidence if seen.at is None]
    if none or not facts.evidence:
        return "unknown", f"expected results of a scan, found none of {some(none) or 'anything'}: scan first"
    old = [f"{seen.what} of {seen.at:%Y-%m-%d %H:%M}" for seen in facts.evidence if seen.at and seen.at < oldest]
    if old:
        return "fail", f"expected results of the last {facts.limits.evidence_hours:g} h, found {some(old)}: scan first"
    return "pass", f"everything was looked at within {facts.limits.evidence_hours:g} h"


def _calendars(facts: Facts) -> Found:
    return _asked_for(facts.calendars, "Change Calendar", bad="CLOSED")


def _alarms(facts: Facts) -> Found:
    return _asked_for(facts.alarms, "alarm", bad="ALARM")


def _asked_for(found: Sequence[Asking], noun: str, *, bad: str) -> Found:
    """One of its locations must have each; none may be bad, or unknown."""
    if not found:
        return "pass", f"the policy names no {noun}"
    wrong = [f"{one.name} in {one.location}" for one in found if one.state == bad]
    if wrong:
        return "fail", f"{bad}: {some(wrong)}"
    lost = [f"{one.name} in {one.location}: {one.state}" for one in found if one.state.startswith(UNKNOWN)]
    there = {one.name for one in found if one.state != MISSING}
    lost += [f"{name} is nowhere" for name in dict.fromkeys(one.name for one in found) if name not in there]
    if lost:
        return "unknown", some(lost)
    return "pass", ", ".join(sorted({f"{one.name} {one.state}" for one in found if one.state != MISSING}))


def _freeze(facts: Facts) -> Found:
    return ("fail", facts.freeze) if facts.freeze else ("pass", "no freeze on this day")


def _agents(facts: Facts) -> Found:
    if facts.online is None or not facts.running:
        return "unknown", "expected running nodes, found none, or none that could be read"
    share = 100 * facts.online / facts.running
    text = f"{facts.online} of {facts.running} agents are online ({share:.1f} %)"
    if share < facts.limits.agents_percent:
        return "fail", f"{text}, expected {facts.limits.agents_percent:g} %"
    return "pass", text


def _ticket(facts: Facts) -> Found:
    pattern = facts.limits.change_ticket
    if pattern is None:
        return "pass", "the policy asks for no ticket"
    wrong = ticket_objection(pattern, facts.ticket)
    return ("fail", wrong) if wrong else ("pass", facts.ticket or "")


def _others(facts: Facts) -> Found:
    if not facts.limits.refuse_other_patchers:
        return "pass", "the policy does not ask"
    if facts.others is None:
        return "unknown", "what else patches the nodes could not be read"
    return ("fail", f"found {some(facts.others)}") if facts.others else ("pass", "none is known")


def _rights(facts: Facts) -> Found:
    if facts.objections:
        return "fail", some(facts.objections)
    return "pass", "who asks may" if facts.ad_hoc else "by schedule"


RULES: Mapping[str, Callable[[Facts], Found]] = {
    "manifest": _manifest,
    "mode": _mode,
    "soak": _soak,
    "expedite": _expedite,
    "recalls": _recalls,
    "nodes": _nodes,
    "ring before": _behind,
    "evidence": _evidence,
    "calendars": _calendars,
    "alarms": _alarms,
    "freezes": _freeze,
    "agents": _agents,
    "ticket": _ticket,
    "other patchers": _others,
    "rights": _rights,
}
"""In the order in which people read them; docs/soak-and-gate.md has a part on each."""

VOLATILE = ("mode", "recalls", "calendars", "alarms", "freezes", "agents")
"""Rules that are judged once more when a window opens."""


def _written(value: Any) -> Any:
    if isinstance(value, Plain):
        return value.as_json()
    if isinstance(value, datetime):
        return value.isoformat()
    return [_written(one) for one in value] if isinstance(value, tuple) else value


def _as_it_is(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _many(kind: type[Plain]) -> Callable[[Any], Any]:
    return lambda value: tuple(kind.of_json(one) for one in value)


_READ: Mapping[str, Callable[[Any], Any]] = {
    "at": datetime.fromisoformat,
    "limits": Limits.of_json,
    "items": _many(Covered),
    "evidence": _many(Seen),
    "calendars": _many(Asking),
    "alarms": _many(Asking),
    "not_admissible": lambda value: tuple(tuple(one) for one in value),
}
