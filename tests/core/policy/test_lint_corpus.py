"""Malformed and dangerous policies: each of bad/ raises what its first lines say, at that line, and nothing else.

`# P131 6` says the code and the line of the file; `elsewhere` is a line of sound.yaml, which it is a part of.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from policy_corpus import HERE, Raised, raised

from sluice.core.policy.lint import CODES

BAD = sorted((HERE / "bad").glob("*.yaml"))


def expected(text: str) -> list[Raised]:
    head = re.match(r"(# P\d{3} (\d+|elsewhere)\n)+", text)
    assert head, "the first lines name the codes and their lines"
    found = [line.split()[1:] for line in head[0].splitlines()]
    return sorted(Raised(0 if line == "elsewhere" else int(line), code) for code, line in found)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_policy_raises_its_codes_at_their_lines_and_nothing_else(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert raised(text) == expected(text)


def test_the_sound_policy_raises_nothing() -> None:
    assert raised("version: 1\n") == []


def test_there_are_at_least_120_bad_policies() -> None:
    assert len(BAD) >= 120


def test_every_code_of_the_check_is_raised_by_a_bad_policy() -> None:
    assert set(CODES) <= {one.code for path in BAD for one in expected(path.read_text(encoding="utf-8"))}
