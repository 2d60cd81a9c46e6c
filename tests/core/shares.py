"""Shares of what takes too long for each change: others for each commit, all of it at night (`make nightly`)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from functools import cache
from typing import TypeVar

Item = TypeVar("Item")

NIGHTLY = bool(os.environ.get("SLUICE_NIGHTLY"))


@cache
def commit_number() -> int:
    """A number that the commit chooses; 0 where there is none."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout
    return int(commit.strip() or "0", 16)


def share(items: Sequence[Item], one_of: int) -> list[Item]:
    """Every item at night; else one of so many, beginning where the commit says."""
    return list(items) if NIGHTLY else list(items[commit_number() % one_of :: one_of])
