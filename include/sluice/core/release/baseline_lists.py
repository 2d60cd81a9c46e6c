"""Whether a baseline's list of approved or rejected patches names a patch, as nodes read such a list.

Nodes hold every way of naming a version (UG:patch-manager-approved-rejected-package-name-formats) against every word
of the list, whatever the case, with `*`, `?` and `[…]` as in a shell (`package_matcher.py` of the 2021 payload). An
InstallOverrideList takes the baseline's place on Linux: what is rejected by `kernel*` or by `openssl-3.0.8` there has
to be known here. Notices (CVE, advisory, Bugzilla) name no patch that a row of AWS's tells: they are not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from functools import lru_cache

from sluice.core.release.recall import ARCHITECTURES

_VERSION = re.compile(r"(?:(?P<epoch>\d+):)?(?P<version>[^-]+)(?:-(?P<release>[^-]+))?")


def lists(words: Iterable[str], patch: str, title: str) -> bool:
    """Whether one of a list's words fits the patch with this id (`openssl.x86_64`, `KB5060531`) and title."""
    spellings = _spellings(patch, title)
    return any(_pattern(word.casefold()).fullmatch(one) for word in words for one in spellings)


@lru_cache(maxsize=1 << 12)
def _pattern(word: str) -> re.Pattern[str]:
    return re.compile(translate(word))


@lru_cache(maxsize=1 << 14)
def _spellings(patch: str, title: str) -> frozenset[str]:
    """All ways of naming a version, in lower case: those of yum, dnf, zypper and apt, and the KB of Windows."""
    name, _, arch = patch.rpartition(".")
    if not name or arch not in ARCHITECTURES:
        return frozenset({patch.casefold(), title.casefold()} - {""})
    found = {name, patch, title}
    full = title.removeprefix(f"{patch}:")
    read = _VERSION.fullmatch(full)
    if full != title:
        found |= {full, f"{name}-{full}", f"{arch}:{full}"}
    if full != title and read:
        epoch, version = read["epoch"] or "0", read["version"]
        plain = f"{version}-{read['release']}" if read["release"] else version
        for text in {version, plain, f"{epoch}:{plain}"}:
            found |= {text, f"{name}-{text}"}
        found |= {f"{name}-{plain}.{arch}", f"{name}-{epoch}:{plain}.{arch}", f"{epoch}:{name}-{plain}.{arch}"}
        found |= {f"{name}.{arch}:{epoch}:{plain}", f"{name}-{plain}.{arch}.rpm"}
    return frozenset(text.casefold() for text in found if text)
