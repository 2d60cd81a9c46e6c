"""The order of versions: rpm's and dpkg's, as keys that Python's own comparison sorts.

A key is made once per version and kept: a lab compares the same few thousand versions over and over.
The rules are those of rpm's rpmvercmp (https://rpm.org/docs/latest/man/rpm-version.7) and of Debian
Policy 5.6.12.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from lab.evaluate.managers import Manager
from lab.evaluate.model import Evr

Key = tuple[Any, ...]
Number = tuple[int, str]
"""A run of digits of any length, without leading zeros: longer is greater."""

_TILDE, _END, _CARET, _LETTERS, _NUMBER = range(5)
_RPM_SEGMENT = re.compile(r"[0-9]+|[A-Za-z]+|~|\^")
_DEB_SEGMENT = re.compile(r"([^0-9]*)([0-9]*)")
_DEB_EPOCH = re.compile(r"([0-9]+):")
_NOTHING: Number = (0, "")


@lru_cache(maxsize=1 << 17)
def rpm_key(evr: Evr) -> Key:
    """Sorts as rpm does: epoch, version, release; `~` before the end of a version, `^` right after it."""
    return evr.epoch, _rpm_segments(evr.version), _rpm_segments(evr.release)


def _rpm_segments(text: str) -> tuple[tuple[int, str | Number], ...]:
    return *(_rpm_segment(part) for part in _RPM_SEGMENT.findall(text)), (_END, "")


def _rpm_segment(part: str) -> tuple[int, str | Number]:
    if part == "~":
        return _TILDE, ""
    if part == "^":
        return _CARET, ""
    return (_LETTERS, part) if part.isalpha() else (_NUMBER, _number(part))


@lru_cache(maxsize=1 << 17)
def deb_key(evr: Evr) -> Key:
    """Sorts as dpkg does: epoch, upstream version, revision; `~` before everything, even the end."""
    text = deb_text(evr)
    found = _DEB_EPOCH.match(text)
    epoch, rest = (found[1], text[found.end() :]) if found else ("", text)
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return _number(epoch), _deb_segments(upstream), _deb_segments(revision)


def _deb_segments(text: str) -> tuple[tuple[int, ...] | Number, ...]:
    pairs = [(word, _number(digits)) for word, digits in _DEB_SEGMENT.findall(text)]
    # A missing number counts as 0 and a missing word as empty, so what is empty at the end says nothing.
    while len(pairs) > 1 and pairs[-1] == ("", _NOTHING):
        pairs.pop()
    return *(part for word, number in pairs for part in (_deb_word(word), number)), (0,)


def _deb_word(word: str) -> tuple[int, ...]:
    return *(_deb_order(char) for char in word), 0


def _deb_order(char: str) -> int:
    if char == "~":
        return -1
    return ord(char) if char.isalpha() else ord(char) + 256


def _number(digits: str) -> Number:
    digits = digits.lstrip("0")
    return len(digits), digits


def rpm_text(evr: Evr) -> str:
    """A version as the agent prints it in titles: `epoch:version-release`, the epoch always there."""
    return f"{evr.epoch}:{evr.version}-{evr.release}"


def deb_text(evr: Evr) -> str:
    """A version as dpkg prints it: an epoch of 0 is left out, and so is a revision that isn't there."""
    epoch = f"{evr.epoch}:" if evr.epoch and not evr.version.startswith(f"{evr.epoch}:") else ""
    revision = f"-{evr.release}" if evr.release else ""
    return f"{epoch}{evr.version}{revision}"


def compare(os: str, a: Evr, b: Evr) -> int:
    """-1, 0 or 1: whether `a` is older than, the same as or newer than `b` on an operating system.

    `os` is a value of the API's OperatingSystem; any other raises EvaluationError.
    """
    key = deb_key if Manager.of(os, "").debian else rpm_key
    left, right = key(a), key(b)
    return (left > right) - (left < right)
