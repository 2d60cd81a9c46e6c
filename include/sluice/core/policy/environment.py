"""`${env:NAME}` in the policy: only where it cannot bring a secret into what people read.

A field that may take a value from the environment is of a type with the marker `FromEnvironment`
(`sluice.core.policy.base`): accounts, Regions, buckets and topics. Elsewhere it is refused, as a value that
is shown in plans, logs and reports must not come out of a variable that may hold a secret.

    P008 not allowed here, or not written as it must be        P009 a variable that is not set
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel

from sluice.core.policy.base import FromEnvironment
from sluice.core.yaml_text import Path

Problem: TypeAlias = tuple[str, Path, str]
"""Code, path and message."""

_REFERENCE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")
_ALLOWED = "accounts, Regions, buckets and topics"
LONGEST = 1000
"""Characters of a variable's value."""


def replace(
    data: dict[str, Any], model: type[BaseModel], environment: Mapping[str, str]
) -> tuple[dict[str, Any], dict[Path, tuple[str, str]], list[Problem]]:
    """The data with the variables' values in it; what was written and what it became, by path; problems."""
    replacer = _Replacer(environment)
    return replacer.walk(data, model, ()), replacer.replaced, replacer.problems


class _Replacer:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.replaced: dict[Path, tuple[str, str]] = {}
        self.problems: list[Problem] = []

    def walk(self, data: Any, hint: Any, path: Path) -> Any:
        """The data with its references replaced; `hint` is its type, None where that is not known."""
        if isinstance(data, dict):
            return {key: self.walk(value, _of_key(hint, key), (*path, key)) for key, value in data.items()}
        if isinstance(data, list):
            return [self.walk(value, _of_item(hint), (*path, index)) for index, value in enumerate(data)]
        if isinstance(data, str) and "${env" in data:
            return self._text(data, hint, path)
        return data

    def _text(self, text: str, hint: Any, path: Path) -> str:
        if not any(isinstance(part, FromEnvironment) for part in _parts(hint)):
            self._refuse("P008", path, f"expected ${{env:…}} only in {_ALLOWED}, found {text!r}: write the value out")
            return text
        names = _REFERENCE.findall(text)
        if "${env" in _REFERENCE.sub("", text):
            self._refuse("P008", path, f"expected ${{env:NAME}} with the name of a variable, found {text!r}")
            return text
        missing = [name for name in dict.fromkeys(names) if not self._environment.get(name)]
        if missing:
            self._refuse("P009", path, f"expected the environment variable {', '.join(missing)}, found none: set it")
            return text
        value = _REFERENCE.sub(lambda found: self._environment[found[1]][:LONGEST], text)
        self.replaced[path] = (text, value)
        return value

    def _refuse(self, code: str, path: Path, message: str) -> None:
        self.problems.append((code, path, message))


def _of_key(hint: Any, key: str) -> Any:
    for part in _parts(hint):
        if isinstance(part, type) and issubclass(part, BaseModel):
            for name, field in part.model_fields.items():
                if key == (field.alias or name):
                    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return None


def _of_item(hint: Any) -> Any:
    for part in _parts(hint):
        if get_origin(part) is tuple:
            return get_args(part)[0]
    return None


def _parts(hint: Any) -> Iterator[Any]:
    """A type, the members of a union, what `Annotated` puts on them, and so on down to lists and models."""
    yield hint
    if get_origin(hint) in (Annotated, Union, UnionType):
        for part in get_args(hint):
            yield from _parts(part)
