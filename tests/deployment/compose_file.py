"""docker-compose.yaml as Compose reads it: variables filled in from an environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yaml"
EXAMPLE = ROOT / ".env.example"

VARIABLE = re.compile(r"\$(?:(\$)|\{([A-Z_]+)(?::([-?])([^}]*))?\})")
"""`$$`, `${NAME}`, `${NAME:-default}` and `${NAME:?message}`: the forms that the file uses."""

HANDED_THROUGH = "AWS_"
"""What stands without a value is set where it is set outside, and only there."""


class MissingVariable(Exception):
    """A variable that the file demands is not set, or empty."""


def raw() -> dict[str, Any]:
    """The file, with its anchors merged and no variable filled in."""
    found: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
    return found


def services() -> dict[str, dict[str, Any]]:
    """The services, with no variable filled in."""
    found: dict[str, dict[str, Any]] = raw()["services"]
    return found


def read(variables: Mapping[str, str]) -> dict[str, Any]:
    """The file as Compose would run it. Raises MissingVariable."""
    found: dict[str, Any] = _filled(raw(), variables)
    return found


def environment(service: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a service's container."""
    return {
        name: variables[name] if value is None else str(value)
        for name, value in (service.get("environment") or {}).items()
        if value is not None or name in variables
    }


def mentioned() -> dict[str, list[tuple[str, str]]]:
    """Every variable of the file, with the kinds (`-`, `?`, or none) and texts of what stands behind it."""
    found: dict[str, list[tuple[str, str]]] = {}
    for dollar, name, kind, text in VARIABLE.findall(FILE.read_text("utf-8")):
        if not dollar:
            found.setdefault(name, []).append((kind, text))
    for service in services().values():
        for name, value in (service.get("environment") or {}).items():
            if value is None:
                found.setdefault(name, []).append(("", ""))
    return found


def example() -> dict[str, tuple[str, bool]]:
    """Every variable of .env.example: its value, and whether it is set (True) or shown behind a `#`."""
    lines = EXAMPLE.read_text("utf-8").splitlines()
    pairs = (re.fullmatch(r"(#?)([A-Z_]+)=(.*)", line) for line in lines)
    return {one[2]: (one[3], not one[1]) for one in pairs if one}


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(one, variables) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, variables) for one in value]
    return VARIABLE.sub(lambda found: _value(found, variables), value) if isinstance(value, str) else value


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    dollar, name, kind, text = found.groups()
    if dollar:
        return "$"
    value = variables.get(name, "")
    if not value and kind == "?":
        raise MissingVariable(f"{name}: {text}")
    return value or (text if kind == "-" else "")
