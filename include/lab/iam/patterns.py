"""Texts of IAM policies: wildcards, and variables that the context of a request fills.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html and
reference_policies_variables.html there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TypeAlias

Context: TypeAlias = Mapping[str, tuple[str, ...]]
"""The values of a request's context keys, whose names are in small letters; see `context`."""

ARN_PARTS = 6

# A wildcard that a variable's value brings along is a plain character. Until a text is compared, a character that no
# policy can contain stands for it.
_PLAIN = {"*": "\ue000", "?": "\ue001"}
_HIDE = str.maketrans(_PLAIN)
_SHOW = str.maketrans({hidden: shown for shown, hidden in _PLAIN.items()})

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_DEFAULT = re.compile(r"'((?:[^']|'')*)'")


class _NoValue(Exception):
    """A variable that the context has no value for."""


def context(values: Mapping[str, Iterable[str]]) -> Context:
    """A request's context; a key without any value is not there. Their names have no case."""
    known = {name.lower(): tuple(each) for name, each in values.items()}
    return {name: each for name, each in known.items() if each}


def filled(text: str, known: Context) -> str | None:
    """A pattern with the values of its variables; None where one has no value, or several."""

    def value(found: re.Match[str]) -> str:
        if found[1] in ("*", "?", "$"):
            return found[1].translate(_HIDE)
        name, default = _parts(found[1])
        values = known.get(name.lower(), ())
        if len(values) == 1:
            return values[0].translate(_HIDE)
        if default is None:
            raise _NoValue
        return default.translate(_HIDE)

    try:
        return _VARIABLE.sub(value, text)
    except _NoValue:
        return None


def variables(text: str) -> set[str]:
    """The context keys that a text needs values of."""
    found = (_parts(each) for each in _VARIABLE.findall(text) if each not in ("*", "?", "$"))
    return {name for name, default in found if default is None}


def _parts(variable: str) -> tuple[str, str | None]:
    """Name and default of what stands in a variable's braces."""
    name, _, rest = variable.partition(",")
    default = _DEFAULT.fullmatch(rest.strip())
    return name.strip(), default[1].replace("''", "'") if default else None


def plain(pattern: str) -> str:
    """A filled text as it is compared where wildcards mean nothing."""
    return pattern.translate(_SHOW)


def matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    """Whether a text is of a pattern with the wildcards `*` and `?`."""
    if ignore_case:
        pattern, text = pattern.lower(), text.lower()
    return _compiled(pattern).fullmatch(text) is not None


def matches_resource(pattern: str, arn: str) -> bool:
    """Whether a resource is of a pattern of `Resource`, in which a wildcard keeps to its part of the ARN.

    Only a `*` that ends its part reaches beyond the next colon.
    """
    return _compiled_arn(pattern).fullmatch(arn) is not None


def matches_arn(pattern: str, arn: str) -> bool:
    """Whether an ARN is of a condition's pattern; each of the six parts is compared on its own."""
    if pattern == "*":
        return True
    wanted, found = pattern.split(":", ARN_PARTS - 1), arn.split(":", ARN_PARTS - 1)
    if len(wanted) != ARN_PARTS or len(found) != ARN_PARTS:
        return False
    return all(matches(one, other) for one, other in zip(wanted, found, strict=True))


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(char, re.escape(plain(char))) for char in _few(pattern)), re.S)


@lru_cache(maxsize=4096)
def _compiled_arn(pattern: str) -> re.Pattern[str]:
    short = _few(pattern)
    found, colons = [], 0
    for char, following in zip(short, [*short[1:], ":"], strict=True):
        colons += char == ":"
        bound = colons < ARN_PARTS - 1
        if char == "*":
            found.append("[^:]*" if bound and following != ":" else ".*")
        elif char == "?":
            found.append("[^:]" if bound else ".")
        else:
            found.append(re.escape(plain(char)))
    return re.compile("".join(found), re.S)


def _few(pattern: str) -> str:
    # Stars in a row say no more than one, and would take a regular expression for ever.
    return re.sub(r"\*+", "*", pattern)
