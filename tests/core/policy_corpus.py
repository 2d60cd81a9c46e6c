"""Policies out of a part: tests/core/policy/sound.yaml with something of it replaced.

A part's lists are joined with the sound policy's, where an item of the same name takes that one's place; rings and
everything that is not a list take the place of what the sound policy has.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from sluice.core.errors import TextError
from sluice.core.policy.lint import lint
from sluice.core.policy.load import JOINED, examine
from sluice.core.yaml_text import read

HERE = Path(__file__).parent / "policy"
TODAY = date(2026, 3, 2)
"""The day on which the examples are looked at."""
PART = "part.yaml"
REST = "rest.yaml"


@dataclass(frozen=True, order=True)
class Raised:
    """A code, and the line of the part at which it is raised; 0: elsewhere, in the rest."""

    line: int
    code: str


@cache
def sound() -> dict[str, Any]:
    """The sound policy's data."""
    data: dict[str, Any] = read((HERE / "sound.yaml").read_text(encoding="utf-8")).data
    return data


def rest(part: str) -> dict[str, Any]:
    """What the sound policy has beside the part; all of it where the part is not readable."""
    try:
        data = read(part).data
    except TextError:
        data = {}
    return {key: value for key, value in _rest(data if isinstance(data, dict) else {}).items() if value != []}


def _rest(part: dict[str, Any]) -> dict[str, Any]:
    left: dict[str, Any] = {}
    for key, value in sound().items():
        own = part.get(key)
        if key in JOINED and isinstance(own, list):
            names = {item.get("name") for item in own if isinstance(item, dict)}
            left[key] = [item for item in value if item.get("name") not in names]
        elif key not in part:
            left[key] = value
    return left


def texts(part: str) -> list[tuple[str, str]]:
    """The rest and the part, as files of one policy."""
    return [(REST, yaml.safe_dump(rest(part), sort_keys=False)), (PART, part)]


def raised(part: str, today: date = TODAY) -> list[Raised]:
    """Everything that loading or the check finds in the sound policy with this part in it, by line."""
    problems, loaded = examine(texts(part), {})
    found = [one for one in lint(loaded, today) if one.waived_until is None] if loaded else []
    return sorted({Raised(_line(one.place.file, one.place.line), one.code) for one in (*problems, *found)})


def _line(file: str, line: int) -> int:
    return line if file == PART else 0
