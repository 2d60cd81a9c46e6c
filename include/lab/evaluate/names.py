"""Names of packages as approved, rejected and override lists spell them.

The formats are those of UG:patch-manager-approved-rejected-package-name-formats; how they are compared
(every spelling of a version against every pattern, whatever the case, `*`, `?` and `[…]` as in a shell)
was read in `patch_common/package_matcher.py` of the 2021 payload.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from lab.evaluate.managers import Manager
from lab.evaluate.model import Evr, Override
from lab.evaluate.versions import deb_text

_GLOB = re.compile(r"[*?]|\[.+\]")


class NameList:
    """Patterns, of which one must fit."""

    def __init__(self, patterns: Iterable[str]) -> None:
        lowered = [pattern.lower() for pattern in patterns]
        globs = [fnmatch.translate(pattern) for pattern in lowered if _GLOB.search(pattern)]
        self._exact = frozenset(lowered)
        self._globs = re.compile("|".join(globs)) if globs else None

    def __bool__(self) -> bool:
        return bool(self._exact)

    def fits(self, spellings: frozenset[str]) -> bool:
        """Whether a pattern fits one of `spellings`, which are in lower case."""
        if not self._exact.isdisjoint(spellings):
            return True
        return self._globs is not None and any(self._globs.match(spelling) for spelling in spellings)


class OverrideNames:
    """An install override list: one of its entries must fit with all that it says."""

    def __init__(self, entries: Sequence[Override]) -> None:
        self._ids = NameList(entry.id for entry in entries)
        self._entries = [
            (NameList([entry.id]), None if entry.title is None else NameList([entry.title])) for entry in entries
        ]

    def fits(self, spellings: frozenset[str]) -> bool:
        """Whether an entry's id, and its title if it has one, each fit one of `spellings`."""
        # Most packages are on no list at all: that is known at once.
        return self._ids.fits(spellings) and any(
            id_.fits(spellings) and (title is None or title.fits(spellings)) for id_, title in self._entries
        )


def spellings(manager: Manager, name: str, arch: str, evr: Evr) -> frozenset[str]:
    """Every way in which a list can name this version of a package, in lower case."""
    if manager.debian:
        return _debian(name, arch, evr)
    # The user guide's examples for SUSE name the file.
    return _rpm(name, arch, evr) | _file(name, arch, evr) if manager is Manager.ZYPPER else _rpm(name, arch, evr)


@lru_cache(maxsize=1 << 16)
def _rpm(name: str, arch: str, evr: Evr) -> frozenset[str]:
    version, full = evr.version, f"{evr.version}-{evr.release}"
    with_epoch = f"{evr.epoch}:{full}"
    return _lower(
        name,
        f"{name}.{arch}",
        version,
        full,
        with_epoch,
        f"{name}-{version}",
        f"{name}-{full}",
        f"{name}-{full}.{arch}",
        f"{name}-{with_epoch}",
        f"{name}-{with_epoch}.{arch}",
        f"{evr.epoch}:{name}-{full}.{arch}",
        f"{name}.{arch}:{with_epoch}",
    )


@lru_cache(maxsize=1 << 16)
def _debian(name: str, arch: str, evr: Evr) -> frozenset[str]:
    version = deb_text(evr)
    return _lower(name, f"{name}.{arch}", version, f"{name}-{version}", f"{arch}:{version}", f"{name}.{arch}:{version}")


def _file(name: str, arch: str, evr: Evr) -> frozenset[str]:
    return _lower(f"{name}-{evr.version}-{evr.release}.{arch}.rpm")


def _lower(*texts: str) -> frozenset[str]:
    return frozenset(text.lower() for text in texts)
