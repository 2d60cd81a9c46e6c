"""From a YAML text to a pydantic model, with every problem at its line.

A message says where, what was expected, what was found and what to do:

    fleet.yaml:31: groups.3.count: expected a whole number, found 'six'
    fleet.yaml:40: groups.4: unknown key 'cuont': did you mean 'count'?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from sluice.core.errors import Problem, TextError
from sluice.core.yaml_text import Path, YamlText, read

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)

_EXPECTED = {
    "string_type": "text: put quotes around it",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "model_attributes_type": "keys with values",
}
"""pydantic's error types in words of YAML; the others keep pydantic's own words."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that a model refuses in plain data."""

    kind: Literal["unknown", "missing", "value", "contradiction"]
    """A key that is not known, one that is missing, a wrong value, values that do not go together."""
    path: Path
    """What it is about; for an unknown key that key, else what stands there or should."""
    message: str
    """Without the path."""
    meant: str | None = None
    """The key that an unknown one is most like, if it is like any."""

    @property
    def where(self) -> Path:
        """What messages open with: an unknown key is named in the message itself."""
        return self.path[:-1] if self.kind == "unknown" else self.path


def read_model(text: str, model: type[M], name: str = "<text>") -> tuple[M, YamlText]:
    """Read `text` as a `model`; the second value finds lines for checks of one's own.

    Raises TextError with all problems that reading or the model finds.
    """
    found = read(text, name)
    try:
        return model.model_validate(found.data), found
    except ValidationError as error:
        said = [(fault.path, opened(fault.where, fault.message)) for fault in faults(model, found.data, error)]
        raise TextError(name, [Problem(found.line(path), message) for path, message in said]) from None


def problem(text: YamlText, path: Path, message: str) -> Problem:
    """A problem at a path of the text."""
    return Problem(text.line(path), opened(path, message))


def opened(path: Path, message: str) -> str:
    """The message with the path before it."""
    where = ".".join(str(part) for part in path)
    return f"{where}: {message}" if where else message


def faults(model: type[BaseModel], data: Any, error: ValidationError) -> list[Fault]:
    """All that the model refused in the data, each once: of the members of a union only what says more."""
    details = [detail for detail in error.errors(include_url=False) if not _echo(detail)]
    found = [(detail["type"], _fault(model, data, detail)) for detail in details]
    better = [fault.path for kind, fault in found if kind != "literal_error"]
    return [
        fault
        for kind, fault in found
        if kind != "literal_error" or not any(path[: len(fault.path)] == fault.path for path in better)
    ]


def _echo(detail: ErrorDetails) -> bool:
    """Whether it only says that a list is short of the items that were refused for other reasons."""
    return detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]


def _fault(model: type[BaseModel], data: Any, detail: ErrorDetails) -> Fault:
    path = _real_path(data, detail["loc"])
    if detail["type"] == "extra_forbidden":
        key = str(path[-1])
        known = _siblings(model, detail["loc"][:-1])
        meant = next(iter(get_close_matches(key, known, n=1)), None)
        return Fault("unknown", path, f"unknown key {key!r}: {_advice(meant, known)}", meant)
    if detail["type"] == "missing":
        return Fault("missing", path, "expected this key, found none: add it")
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] in ("value_error", "assertion_error"):
        return Fault("contradiction" if isinstance(detail["input"], dict) else "value", path, message)
    return Fault("value", path, f"expected {_expected(detail, message)}, found {shown(detail['input'])}")


def _expected(detail: ErrorDetails, message: str) -> str:
    limits = detail.get("ctx", {})
    if detail["type"] == "too_short":
        return f"a list of at least {limits['min_length']}"
    if detail["type"] == "too_long":
        most = limits["max_length"]
        return f"at most {most} characters" if isinstance(detail["input"], str) else f"a list of at most {most}"
    return _EXPECTED.get(detail["type"], _plain(message))


def _real_path(data: Any, location: Sequence[str | int]) -> Path:
    """The location less what pydantic puts into it that no key of the text is: unions' members, `[key]`."""
    path: list[str | int] = []
    for position, part in enumerate(location):
        there = isinstance(data, (dict, list)) and (part in data if isinstance(data, dict) else isinstance(part, int))
        last = position == len(location) - 1
        if there:
            data = data[part]
            path.append(part)
        elif last and isinstance(data, dict) and part != "[key]":
            path.append(part)
    return tuple(path)


def _advice(meant: str | None, known: Sequence[str]) -> str:
    if meant:
        return f"did you mean {meant!r}?"
    return f"expected one of {', '.join(sorted(known))}" if known else "remove it"


def _siblings(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """The keys that stand beside an unknown one: those of the model at its location."""
    schema = _schema(model)
    definitions = schema.get("$defs", {})
    at: Any = schema
    for part in location:
        at = _step(_resolved(at, definitions), part, definitions)
    return list(_resolved(at, definitions).get("properties", ()))


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _step(at: dict[str, Any], part: str | int, definitions: dict[str, Any]) -> dict[str, Any]:
    if isinstance(part, int):
        found = at.get("items", {})
    else:
        found = at.get("properties", {}).get(part, at.get("additionalProperties", {}))
    return found if isinstance(found, dict) else {}


def _resolved(at: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """What a reference stands for; of several that are allowed, the one with keys."""
    while "$ref" in at or "anyOf" in at:
        if "$ref" in at:
            at = definitions[at["$ref"].rpartition("/")[2]]
            continue
        options = [_resolved(option, definitions) for option in at["anyOf"]]
        at = next((option for option in options if "properties" in option or "items" in option), {})
    return at


def _plain(message: str) -> str:
    for opening in ("Input should be ", "String should ", "Value should ", "List should "):
        if message.startswith(opening):
            rest = message.removeprefix(opening)
            return rest if opening == "Input should be " else f"it to {rest}"
    return message[:1].lower() + message[1:]


def shown(value: Any) -> str:
    """A value as messages show it: short, whatever it is."""
    if isinstance(value, dict):
        return "keys with values"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
