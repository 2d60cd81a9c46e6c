"""What the advisories do not say of packages: images, dependencies, reboots, dpkg's Priority and Section.

The tables are in `advisories/packages.json`. Names are matched as globs, the first match decides.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

ADVISORIES = Path(__file__).parent / "advisories"


@cache
def _tables() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ADVISORIES / "packages.json").read_text(encoding="utf-8"))
    return found


def profiles() -> tuple[str, ...]:
    """The names that a fleet file's `packages` can have, e.g. `base`, `web`."""
    return tuple(_tables()["profiles"])


def profile(name: str) -> frozenset[str]:
    """The package names of an image: the base and what the profile adds to it, for every OS at once."""
    tables = _tables()["profiles"]
    return frozenset(tables["base"]) | frozenset(tables[name])


@cache
def requires(name: str) -> tuple[str, ...]:
    """Names of the packages that `name` needs at its own version, where its source also builds them."""
    return tuple(_tables()["requires"].get(name, ()))


@cache
def needs_reboot(family: str, name: str) -> bool:
    """Whether a new version of a package only takes effect with a reboot (as `needs-restarting -r` says)."""
    return any(fnmatchcase(name, pattern) for pattern in _tables()["reboot"][family])


@cache
def priority_and_section(name: str) -> tuple[str, str]:
    """dpkg's Priority and Section of a Debian or Ubuntu package, capitalised Priority as patch filters have it."""
    for patterns, priority, section in _tables()["dpkg"]:
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            return priority, section
    return "Optional", "misc"
