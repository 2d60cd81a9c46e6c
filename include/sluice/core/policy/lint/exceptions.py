"""Exceptions and waivers themselves: their days, and what they are for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sluice.core.policy.lint.codes import CODES
from sluice.core.policy.lint.subject import Found, Subject
from sluice.core.policy.rings import Waiver
from sluice.core.yaml_text import Path

SOON = timedelta(days=14)
_LONG = timedelta(days=366)


def check(subject: Subject) -> Iterator[Found]:
    """Every exception. It holds up to and including the day on which it expires."""
    for index, exception in enumerate(subject.policy.exceptions):
        at: Path = ("exceptions", index)
        yield from _expiry(subject, exception, at)
        yield from _codes(exception, at)
        for key in ("nodes", "patch_groups", "patches", "packages", "reissued", "without_backup"):
            for number, value in enumerate(getattr(exception, key)):
                if not value.strip("*? "):
                    yield Found(
                        "P217",
                        (*at, key, number),
                        f"expected names, found {value!r}, which is everything: name what is excepted",
                    )


def _expiry(subject: Subject, exception: Waiver, at: Path) -> Iterator[Found]:
    left = exception.expires - subject.today
    if left < timedelta(0):
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
