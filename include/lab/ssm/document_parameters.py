"""Parameters of documents: what a document declares, what a caller gives, and `{{ name }}` in its steps.

UG:documents-syntax-data-elements-parameters. A bound parameter is a list of strings whatever its type, as
the API has it; booleans, numbers and maps are written as JSON writes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.ssm.base import error

_TOKEN = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_LISTS = ("StringList", "MapList")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that a document declares; `default` None: it must be given."""

    name: str
    type: str
    description: str | None = None
    default: tuple[str, ...] | None = None
    allowed_values: tuple[str, ...] = ()
    allowed_pattern: str | None = None
    at_least: int | None = None
    """Items of a list, characters of a string."""
    at_most: int | None = None

    @property
    def is_list(self) -> bool:
        """Whether it takes several values."""
        return self.type in _LISTS or self.type.startswith("List<")

    def problem(self, values: Sequence[str]) -> str | None:
        """Why these values cannot be its own, None when they can."""
        if not self.is_list and len(values) != 1:
            return f"Parameter {self.name} takes one value, found {len(values)}"
        size = len(values) if self.is_list else len(values[0])
        unit = "items" if self.is_list else "characters"
        if self.at_least is not None and size < self.at_least:
            return f"Parameter {self.name} takes at least {self.at_least} {unit}, found {size}"
        if self.at_most is not None and size > self.at_most:
            return f"Parameter {self.name} takes at most {self.at_most} {unit}, found {size}"
        return next((problem for value in values if (problem := self._value_problem(value))), None)

    def _value_problem(self, value: str) -> str | None:
        if self.allowed_values and value not in self.allowed_values:
            return f"Parameter {self.name} takes one of [{', '.join(self.allowed_values)}], found {value}"
        if self.allowed_pattern is not None and re.fullmatch(self.allowed_pattern, value) is None:
            return f"Parameter {self.name} must match {self.allowed_pattern}, found {value}"
        if self.type == "Boolean" and value not in ("true", "false"):
            return f"Parameter {self.name} is true or false, found {value}"
        if self.type == "Integer" and re.fullmatch(r"-?\d+", value) is None:
            return f"Parameter {self.name} is a whole number, found {value}"
        return None


def bind(
    document: str, parameters: Mapping[str, Parameter], given: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """The parameters a run of `document` has: what is given, and defaults for the rest.

    Raises InvalidParameters for a name that the document does not declare, a value that it does not
    allow, and a parameter without default that is not given.
    """
    unknown = sorted(set(given).difference(parameters))
    if unknown:
        raise error(
            "InvalidParameters",
            f"Document {document} has no parameters [{', '.join(unknown)}]; it has [{', '.join(parameters)}].",
        )
    bound: dict[str, list[str]] = {}
    for name, parameter in parameters.items():
        if name in given:
            problem = parameter.problem(given[name])
            if problem is not None:
                raise error("InvalidParameters", f"{problem}.")
            bound[name] = list(given[name])
        elif parameter.default is not None:
            bound[name] = list(parameter.default)
        else:
            raise error("InvalidParameters", f"Document {document} requires the parameter {name}.")
    return bound


def substitute(value: Any, parameters: Mapping[str, Sequence[str]]) -> Any:
    """A value of a step with every `{{ name }}` of a bound parameter replaced.

    A text that is one reference becomes the parameter's value, a list where it has several, and as an
    item of a list it becomes its items; inside a longer text several values are written as JSON. A
    name that is not bound stays as it is.
    """
    if isinstance(value, Mapping):
        return {key: substitute(item, parameters) for key, item in value.items()}
    if isinstance(value, list):
        items: list[Any] = []
        for item in value:
            whole = _TOKEN.fullmatch(item.strip()) if isinstance(item, str) else None
            if whole is not None and whole[1] in parameters:
                items.extend(parameters[whole[1]])
            else:
                items.append(substitute(item, parameters))
        return items
    if not isinstance(value, str):
        return value
    whole = _TOKEN.fullmatch(value.strip())
    if whole is not None and len(parameters.get(whole[1], "")) > 1:
        return list(parameters[whole[1]])
    return _TOKEN.sub(lambda found: _written(found, parameters), value)


def _written(found: re.Match[str], parameters: Mapping[str, Sequence[str]]) -> str:
    values = parameters.get(found[1])
    if values is None:
        return found[0]
    return values[0] if len(values) == 1 else json.dumps(list(values))


def references(value: Any) -> set[str]:
    """The names that `{{ name }}` refers to in a value. `{{ global:… }}` and `{{ Step.Output }}` are none."""
    return set(_TOKEN.findall(json.dumps(value, default=str)))


def as_values(value: Any) -> tuple[str, ...]:
    """A value from a document as the API writes a parameter: a list of strings."""
    return tuple(_as_text(item) for item in (value if isinstance(value, list) else [value]))


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
