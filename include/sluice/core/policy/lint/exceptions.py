"""Exceptions and waivers themselves: their days, and what they are for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from difflib import get_close_matches

from sluice.core.policy.lint.approvals import NOTICE_ID, WINDOWS_ID
from sluice.core.policy.lint.codes import CODES
from sluice.core.policy.lint.subject import WINDOWS_OS, Found, Subject
from sluice.core.policy.patch_filters import VOCABULARIES
from sluice.core.policy.rings import Waiver
from sluice.core.yaml_text import Path

SOON = timedelta(days=14)
_LONG = timedelta(days=366)
_NODE = re.compile(r"i-([0-9a-f]{8}|[0-9a-f]{17})|mi-[0-9a-f]{17}")
_MEANS_KB = re.compile(r"KB.*|kb\d.*|Kb\d.*")
_PACKAGE = re.compile(r"\w[\w+.:~^@-]*")


def check(subject: Subject) -> Iterator[Found]:
    """Every exception. It holds up to and including the day on which it expires."""
    for index, exception in enumerate(subject.policy.exceptions):
        at: Path = ("exceptions", index)
        yield from _expiry(subject, exception, at)
        yield from _codes(exception, at)
        yield from _names(exception, at)
        yield from _classes(exception, at)
        for key in ("nodes", "patch_groups", "patches", "packages", "reissued", "without_backup"):
            for number, value in enumerate(getattr(exception, key)):
                if not value.strip("*? "):
                    yield Found(
                        "P217",
                        (*at, key, number),
                        f"expected names, found {value!r}, which is everything: name what is excepted",
                    )


def _names(exception: Waiver, at: Path) -> Iterator[Found]:
    """Names that no node or patch can have, so that nothing would be excepted. Those of everything are P217's."""
    for key, wanted in _WANTED.items():
        for number, value in enumerate(getattr(exception, key)):
            expected = wanted(value) if value.strip("*? ") else None
            if expected:
                yield Found(
                    "P218",
                    (*at, key, number),
                    f"expected {expected}, found {value!r}: write it as AWS has it, or it excepts nothing",
                )


def _node(value: str) -> str | None:
    return None if _NODE.fullmatch(value) else "the id of a node such as i-0123456789abcdef0 or mi-0123456789abcdef0"


def _patch(value: str) -> str | None:
    """Patches are known by their id, a package's also without architecture, or by their whole title."""
    if _MEANS_KB.fullmatch(value):
        return None if WINDOWS_ID.fullmatch(value.upper()) else "a KB of Windows such as KB5034441"
    named = _PACKAGE.fullmatch(value) or (" " in value and not re.search(r"[*?]", value))
    if NOTICE_ID.fullmatch(value) or not named:
        return "the name of one package such as openssl or openssl.x86_64, without wildcards, or a KB of Windows"
    return None


def _reissued(value: str) -> str | None:
    return _patch(value) if _MEANS_KB.fullmatch(value) else None


_WANTED: Mapping[str, Callable[[str], str | None]] = {
    "nodes": _node,
    "without_backup": _node,
    "patches": _patch,
    "packages": _patch,
    "reissued": _reissued,
}
"""By the exception's key: what a name should be, None where it is."""


def _classes(exception: Waiver, at: Path) -> Iterator[Found]:
    known = {name.casefold(): name for name in VOCABULARIES[WINDOWS_OS].classification}
    for number, value in enumerate(exception.reissued):
        if value.casefold() in known or _MEANS_KB.fullmatch(value) or not value.strip("*? "):
            continue
        close = get_close_matches(value.casefold(), known, n=1)
        advice = f"did you mean {known[close[0]]}?" if close else f"there are {', '.join(known.values())}"
        yield Found(
            "P219",
            (*at, "reissued", number),
            f"expected a class of Windows updates or a KB, found {value!r}, which is not known here: {advice}",
        )


def _expiry(subject: Subject, exception: Waiver, at: Path) -> Iterator[Found]:
    left = exception.expires - subject.today
    if not exception.holds(subject.today):
        yield Found(
            "P211",
            (*at, "expires"),
            f"expected a day that is not over, found {exception.expires} ({exception.owner}: {exception.because}): "
            "remove it, or have its owner agree on a new one",
        )
    elif left <= SOON:
        yield Found(
            "P212",
            (*at, "expires"),
            f"expected more than {SOON.days} days, found {left.days} until {exception.expires} ({exception.owner}: "
            f"{exception.because}): settle what it is for, or agree on a new day",
        )
    elif left > _LONG:
        yield Found(
            "P216",
            (*at, "expires"),
            f"expected a day within a year, found {exception.expires}: choose one on which somebody looks at it again",
        )


def _codes(exception: Waiver, at: Path) -> Iterator[Found]:
    for number, code in enumerate(exception.findings):
        path = (*at, "findings", number)
        known = CODES.get(code)
        if known is None:
            yield Found(
                "P213", path, f"expected a code of this check such as P184, found {code!r}: see docs/findings.md"
            )
        elif not known.waivable:
            yield Found(
                "P214",
                path,
                f"expected a finding that can be waived, found {code} ({known.title}): settle it as "
                "docs/findings.md says",
            )
