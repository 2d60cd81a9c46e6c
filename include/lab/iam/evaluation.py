"""Whether IAM's policies allow an action on a resource: an explicit deny wins, and a boundary has to allow too.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html. No moto, no input or output.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from lab.errors import PolicyDocumentError
from lab.iam import conditions
from lab.iam.conditions import Condition
from lab.iam.patterns import Context, filled, matches, matches_resource, variables

WITH_VARIABLES = "2012-10-17"
VERSIONS = ("2008-10-17", WITH_VARIABLES)
"""Versions of the policy language. Only the newer knows variables; the older is meant where none is named."""

ELEMENTS = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
"""What a statement of a policy of users, groups and roles may have."""


class Outcome(Enum):
    """What IAM makes of a request, by the name that the simulator has for it; the more restrictive, the later."""

    ALLOWED = "allowed"
    IMPLICIT_DENY = "implicitDeny"
    EXPLICIT_DENY = "explicitDeny"


@dataclass(frozen=True, slots=True)
class Source:
    """Which policy a statement is of."""

    id: str
    kind: str
    """As AWS calls it (PolicySourceType): `user`, `group`, `role`, `aws-managed`, `user-managed`, `none`."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a policy."""

    source: Source
    allows: bool
    actions: tuple[str, ...]
    other_actions: bool
    """Whether it is about all actions but these (`NotAction`)."""
    resources: tuple[str, ...]
    other_resources: bool
    conditions: tuple[Condition, ...]
    fill: bool
    """Whether `${…}` is a variable."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of an action on a resource."""

    outcome: Outcome
    sources: tuple[Source, ...]
    """The policies of the statements that decided it."""
    boundary: bool | None
    """Whether the boundary allows it, None without one."""


def parse(document: Any, source: Source) -> tuple[Statement, ...]:
    """The statements of a policy, given as JSON or as what JSON is read to.

    Raises PolicyDocumentError for what IAM could not evaluate: a document that is no policy, an element or a condition
    operator that there is not. Nothing is passed over, as what is not understood may be what denies.
    """
    try:
        return _parse(json.loads(document) if isinstance(document, str) else document, source)
    except (ValueError, RecursionError) as error:
        raise PolicyDocumentError(f"policy {source.id}: not JSON: {error}") from error
    except PolicyDocumentError as error:
        raise PolicyDocumentError(f"policy {source.id}: {error}") from error


def _parse(document: Any, source: Source) -> tuple[Statement, ...]:
    if not isinstance(document, Mapping) or "Statement" not in document:
        raise PolicyDocumentError("expected a policy with Statement")
    version = str(document.get("Version", VERSIONS[0]))
    if version not in VERSIONS:
        raise PolicyDocumentError(f"expected one of {', '.join(VERSIONS)} as Version, found {version}")
    statements = document["Statement"]
    return tuple(
        _statement(one, source, fill=version == WITH_VARIABLES)
        for one in (statements if isinstance(statements, list) else [statements])
    )


def _statement(found: Any, source: Source, *, fill: bool) -> Statement:
    if not isinstance(found, Mapping):
        raise PolicyDocumentError(f"expected a statement, found {found!r}")
    if unknown := sorted(set(found) - ELEMENTS):
        raise PolicyDocumentError(f"a statement has {', '.join(unknown)}, which a principal's policy cannot have")
    if found.get("Effect") not in ("Allow", "Deny"):
        raise PolicyDocumentError(f"expected Allow or Deny as Effect, found {found.get('Effect')!r}")
    actions, other_actions = _either(found, "Action")
    resources, other_resources = _either(found, "Resource")
    return Statement(
        source=source,
        allows=found["Effect"] == "Allow",
        actions=actions,
        other_actions=other_actions,
        resources=resources,
        other_resources=other_resources,
        conditions=conditions.parse(found.get("Condition", {})),
        fill=fill,
    )


def _either(found: Mapping[str, Any], name: str) -> tuple[tuple[str, ...], bool]:
    """The values of an element or of its `Not…`, and which of the two it is."""
    given = [key for key in (name, f"Not{name}") if key in found]
    if len(given) != 1:
        raise PolicyDocumentError(f"expected {name} or Not{name} in a statement, found {' and '.join(given) or 'none'}")
    values = found[given[0]] if isinstance(found[given[0]], list) else [found[given[0]]]
    if not values or not all(isinstance(value, str) for value in values):
        raise PolicyDocumentError(f"expected texts as {given[0]}, found {found[given[0]]!r}")
    return tuple(values), given[0] != name


def decide(
    statements: Iterable[Statement],
    boundary: Iterable[Statement] | None,
    action: str,
    resource: str,
    known: Context,
) -> Decision:
    """What the policies of a principal, and its boundary if it has one, make of an action on a resource."""
    outcome, deciding = _decide(statements, action, resource, known)
    if boundary is None:
        return Decision(outcome, _sources(deciding), None)
    limit, _ = _decide(boundary, action, resource, known)
    within = limit is Outcome.ALLOWED
    strictest = most_restrictive([outcome, limit])
    # Of a boundary's statements the simulator names none.
    return Decision(strictest, _sources(deciding) if outcome is strictest else (), within)


def _decide(
    statements: Iterable[Statement], action: str, resource: str, known: Context
) -> tuple[Outcome, list[Statement]]:
    applying = [one for one in statements if applies(one, action, resource, known)]
    if denying := [one for one in applying if not one.allows]:
        return Outcome.EXPLICIT_DENY, denying
    return (Outcome.ALLOWED if applying else Outcome.IMPLICIT_DENY), applying


def applies(statement: Statement, action: str, resource: str, known: Context) -> bool:
    """Whether a statement is about an action on a resource in a request's context."""
    named = any(matches(pattern, action, ignore_case=True) for pattern in statement.actions)
    return (
        named != statement.other_actions
        and _about(statement, resource, known)
        and all(conditions.holds(one, known, fill=statement.fill) for one in statement.conditions)
    )


def _about(statement: Statement, resource: str, known: Context) -> bool:
    patterns = [filled(one, known) if statement.fill else one for one in statement.resources]
    if statement.other_resources and None in patterns:
        return False  # nobody knows which resources it leaves out: AWS calls such a statement invalid
    named = any(pattern is not None and matches_resource(pattern, resource) for pattern in patterns)
    return named != statement.other_resources


def most_restrictive(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcome of several resources, or of a policy and its boundary, together."""
    order = list(Outcome)
    return max(outcomes, key=order.index)


def missing(statements: Iterable[Statement], known: Context) -> list[str]:
    """The context keys that policies look at, whatever the action, and that the context has no value of."""
    named: dict[str, str] = {}
    for one in statements:
        wanted = {name for condition in one.conditions for name in conditions.keys(condition)}
        if one.fill:
            wanted |= {name for pattern in one.resources for name in variables(pattern)}
        named.update({name.lower(): name for name in sorted(wanted)})
    return sorted(name for key, name in named.items() if key not in known)


def _sources(statements: Iterable[Statement]) -> tuple[Source, ...]:
    return tuple(one.source for one in statements)
