"""From a YAML text to a pydantic model, with every problem at its line.

A message says where, what was expected, what was found and what to do:

    fleet.yaml:31: groups.3.count: expected a whole number, found 'six'
    fleet.yaml:40: groups.4: unknown key 'cuont': did you mean 'count'?
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar

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


def read_model(text: str, model: type[M], name: str = "<text>") -> tuple[M, YamlText]:
    """Read `text` as a `model`; the second value finds lines for checks of one's own.

    Raises TextError with all problems that reading or the model finds.
    """
    found = read(text, name)
    try:
        return model.model_validate(found.data), found
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise TextError(name, [_problem(found, model, detail) for detail in details]) from None


def problem(text: YamlText, path: Path, message: str) -> Problem:
    """A problem at a path of the text."""
    where = ".".join(str(part) for part in path)
    return Problem(text.line(path), f"{where}: {message}" if where else message)


def _problem(text: YamlText, model: type[BaseModel], detail: ErrorDetails) -> Problem:
    path = _real_path(text.data, detail["loc"])
    if detail["type"] == "extra_forbidden":
        key = str(path[-1])
        known = _siblings(model, detail["loc"][:-1])
        return Problem(text.line(path), f"{_where(path[:-1])}unknown key {key!r}: {_advice(key, known)}")
    if detail["type"] == "missing":
        return problem(text, path, "expected this key, found none: add it")
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] not in ("value_error", "assertion_error"):
        message = "expected " + _EXPECTED.get(detail["type"], _plain(message)) + f", found {_shown(detail['input'])}"
    return problem(text, path, message)


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


def _where(path: Path) -> str:
    return f"{'.'.join(str(part) for part in path)}: " if path else ""


def _advice(key: str, known: Sequence[str]) -> str:
    close = get_close_matches(key, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"expected one of {', '.join(sorted(known))}" if known else "remove it"


def _siblings(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """The keys that stand beside an unknown one: those of the model at its location."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    at: Any = schema
    for part in location:
        at = _step(_resolved(at, definitions), part, definitions)
    return list(_resolved(at, definitions).get("properties", ()))


def _step(at: dict[str, Any], part: str | int, definitions: dict[str, Any]) -> dict[str, Any]:
    if isinstance(part, int):
        found = at.get("items", {})
    else:
        found = at.get("properties", {}).get(part, at.get("additionalProperties", {}))
    return found if isinstance(found, dict) else {}


def _resolved(at: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    for option in at.get("anyOf", ()):
        if "$ref" in option:
            at = option
    while "$ref" in at:
        at = definitions[at["$ref"].rpartition("/")[2]]
    return at


def _plain(message: str) -> str:
    for opening in ("Input should be ", "String should ", "Value should ", "List should "):
        if message.startswith(opening):
            rest = message.removeprefix(opening)
            return rest if opening == "Input should be " else f"it to {rest}"
    return message[:1].lower() + message[1:]


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "keys with values"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
