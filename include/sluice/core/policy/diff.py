"""The difference of two objects, field by field, as people read it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass

from sluice.core.policy.objects import AWSObject, Filter

LONG = 200
"""Characters beyond which a value is shown by its digest."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that is not as the policy has it. None: not set."""

    field: str
    """`rules[0].approve_after_days`, `filters.PRODUCT`."""
    before: str | None
    after: str | None


def differences(before: AWSObject | None, after: AWSObject | None) -> tuple[Difference, ...]:
    """What is different, in the order of the fields; None on one side: the object is not there."""
    old = dict(_flat("", before)) if before is not None else {}
    new = dict(_flat("", after)) if after is not None else {}
    names = [*new, *(name for name in old if name not in new)]
    return tuple(Difference(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name))


def _flat(path: str, value: object) -> Iterator[tuple[str, str]]:
    if value is None or value == ():
        return
    if isinstance(value, Filter):
        yield f"{path}.{value.key}", ", ".join(value.values)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _flat(f"{path}.{field.name}" if path else field.name, getattr(value, field.name))
    elif isinstance(value, tuple) and not all(isinstance(item, str) for item in value):
        for index, item in enumerate(value):
            yield from _flat(path if isinstance(item, Filter) else f"{path}[{index}]", item)
    else:
        yield path, _shown(value)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    if len(text) <= LONG:
        return text
    return f"{len(text)} characters, sha256 {hashlib.sha256(text.encode()).hexdigest()[:12]}"
