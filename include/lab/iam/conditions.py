"""The conditions of IAM's policy statements: operators, `…IfExists`, `ForAnyValue:` and `ForAllValues:`.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html and
reference_policies_condition-single-vs-multi-valued-context-keys.html there. BinaryEquals is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any

from lab.errors import PolicyDocumentError
from lab.iam.patterns import Context, filled, matches, matches_arn, plain, variables

Comparison = Callable[[str, str], bool]
"""Compares a policy's value with a request's. Raises ValueError where one of them is not of the operator's type."""


def number(text: str) -> float:
    """A number. Raises ValueError."""
    return float(text)


def moment(text: str) -> datetime:
    """A time as ISO 8601 or as seconds since 1970; UTC where it names no zone. Raises ValueError."""
    if re.fullmatch(r"-?\d{5,}(\.\d+)?", text):
        try:
            return datetime.fromtimestamp(float(text), UTC)
        except (OverflowError, OSError) as error:
            raise ValueError(str(error)) from error
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def truth(text: str) -> bool:
    """`true` or `false`, in any case. Raises ValueError."""
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


@dataclass(frozen=True, slots=True)
class Operator:
    """How one operator compares."""

    holds: Comparison
    read: Callable[[str], Any] = str
    """Reads a value of its type."""
    negated: bool = False
    text: bool = False
    """Whether its values may have variables; those of the other types have none."""


def _same_ignoring_case(pattern: str, text: str) -> bool:
    return plain(pattern).lower() == text.lower()


def _both(
    name: str, negation: str, holds: Comparison, read: Callable[[str], Any] = str, *, text: bool = False
) -> dict[str, Operator]:
    """An operator and its negation."""
    return {name: Operator(holds, read, text=text), negation: Operator(holds, read, negated=True, text=text)}


def _ordered(kind: str, read: Callable[[str], Any]) -> dict[str, Operator]:
    return {
        **_both(f"{kind}Equals", f"{kind}NotEquals", lambda wanted, found: read(found) == read(wanted), read),
        f"{kind}LessThan": Operator(lambda wanted, found: read(found) < read(wanted), read),
        f"{kind}LessThanEquals": Operator(lambda wanted, found: read(found) <= read(wanted), read),
        f"{kind}GreaterThan": Operator(lambda wanted, found: read(found) > read(wanted), read),
        f"{kind}GreaterThanEquals": Operator(lambda wanted, found: read(found) >= read(wanted), read),
    }


def _network(text: str) -> Any:
    return ip_network(text, strict=False)


OPERATORS: Mapping[str, Operator] = {
    **_both("StringEquals", "StringNotEquals", lambda wanted, found: plain(wanted) == found, text=True),
    **_both("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", _same_ignoring_case, text=True),
    **_both("StringLike", "StringNotLike", matches, text=True),
    **_both("ArnEquals", "ArnNotEquals", matches_arn, text=True),
    **_both("ArnLike", "ArnNotLike", matches_arn, text=True),
    **_ordered("Numeric", number),
    **_ordered("Date", moment),
    **_both("IpAddress", "NotIpAddress", lambda wanted, found: ip_address(found) in _network(wanted), _network),
    "Bool": Operator(lambda wanted, found: truth(found) == truth(wanted), truth),
    "Null": Operator(lambda wanted, found: truth(found) == truth(wanted), truth),
}

_NAME = re.compile(r"(?:(?P<each>ForAnyValue|ForAllValues):)?(?P<name>\w+?)(?P<if_exists>IfExists)?")


@dataclass(frozen=True, slots=True)
class Condition:
    """One key of one operator: all of a statement's have to hold."""

    operator: str
    """Without what stands before and behind it."""
    each: str | None
    """`ForAnyValue`, `ForAllValues` or neither."""
    if_exists: bool
    key: str
    wanted: tuple[str, ...]


def parse(block: Any) -> tuple[Condition, ...]:
    """The conditions of a statement. Raises PolicyDocumentError for an operator or a value that IAM does not know."""
    if not isinstance(block, Mapping):
        raise PolicyDocumentError(f"expected operators with their keys as Condition, found {block!r}")
    found = []
    for written, keys in block.items():
        name = _NAME.fullmatch(str(written))
        if name is None or name["name"] not in OPERATORS or (name["name"] == "Null" and name[0] != "Null"):
            raise PolicyDocumentError(f"the condition operator {written} is none that can be evaluated")
        if not isinstance(keys, Mapping):
            raise PolicyDocumentError(f"expected keys with their values for {written}, found {keys!r}")
        for key, values in keys.items():
            wanted = tuple(_text(value) for value in (values if isinstance(values, list) else [values]))
            _check(str(written), OPERATORS[name["name"]], wanted)
            found.append(Condition(name["name"], name["each"], bool(name["if_exists"]), str(key), wanted))
    return tuple(found)


def _text(value: Any) -> str:
    """A value as IAM compares it; JSON's own booleans and numbers are allowed."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise PolicyDocumentError(f"expected a text as a condition's value, found {value!r}")


def _check(written: str, operator: Operator, wanted: Iterable[str]) -> None:
    for value in wanted:
        try:
            operator.read(value)
        except ValueError as error:
            raise PolicyDocumentError(f"{written} cannot compare with {value!r}: {error}") from error


def holds(condition: Condition, known: Context, *, fill: bool) -> bool:
    """Whether a condition holds in a request's context; `fill` its variables, or take them for plain text."""
    operator = OPERATORS[condition.operator]
    found = known.get(condition.key.lower(), ())
    if condition.operator == "Null":
        found = ("false" if found else "true",)
    if not found:
        return condition.if_exists or condition.each == "ForAllValues" or (operator.negated and not condition.each)
    # A value whose variable has no value equals nothing and is unlike everything.
    wanted = [
        pattern
        for value in condition.wanted
        if (pattern := filled(value, known) if fill and operator.text else value) is not None
    ]
    each = [any(_compares(operator, one, value) for one in wanted) != operator.negated for value in found]
    if condition.each:
        return all(each) if condition.each == "ForAllValues" else any(each)
    return all(each) if operator.negated else any(each)


def _compares(operator: Operator, wanted: str, found: str) -> bool:
    try:
        return operator.holds(wanted, found)
    except ValueError:
        return False  # a value in the request that is not of the operator's type equals nothing


def keys(condition: Condition) -> set[str]:
    """The context keys that a condition looks at."""
    found = {condition.key}
    if OPERATORS[condition.operator].text:
        found |= {name for value in condition.wanted for name in variables(value)}
    return found
