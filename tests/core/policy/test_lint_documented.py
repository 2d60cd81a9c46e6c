"""docs/findings.md and the codes say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from policy_corpus import HERE, raised

from sluice.core.errors import PolicyError
from sluice.core.policy import load
from sluice.core.policy.lint import CODES
from sluice.core.policy.load import load_policy

ROOT = HERE.parents[2]
PAGE = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
PARTS = {part[:4]: part for part in re.split(r"^### (?=P\d{3})", PAGE, flags=re.MULTILINE)[1:]}
LOADING = {
    code
    for name in ("load", "environment", "structure")
    for code in re.findall(r'"(P0\d\d)"', (Path(load.__file__).parent / f"{name}.py").read_text(encoding="utf-8"))
}
UNREADABLE = "P010"
"""Of files, not of what stands in them: tests/cli/test_policy_files.py has the examples."""


def example(part: str) -> str:
    inline = re.search(r"^```yaml\n(.*?)^```$", part, flags=re.MULTILINE | re.DOTALL)
    if inline:
        return inline[1]
    file = re.search(r"^Example: \[.*\]\((.*)\)$", part, flags=re.MULTILINE)
    assert file, "an example, or the name of a file with one"
    return (ROOT / "docs" / file[1]).read_text(encoding="utf-8")


def test_every_code_is_documented_and_every_documented_code_exists() -> None:
    assert set(PARTS) == {*CODES, *LOADING, UNREADABLE}


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_part_says_what_the_code_is(code: str) -> None:
    known = CODES[code]
    title, _, kind = PARTS[code].partition("\n\n")
    waivable = "can be waived" if known.waivable else "cannot be waived"
    assert title == f"{code}: {known.title}"
    assert kind.startswith(f"{known.kind.capitalize()}, {waivable}.")


@pytest.mark.parametrize("code", sorted({*CODES, *LOADING} - {"P003"}))
def test_a_part_has_an_example_that_raises_the_code(code: str) -> None:
    assert code in {one.code for one in raised(example(PARTS[code]))}


def test_the_example_of_a_key_in_two_files_is_one_beside_another_file() -> None:
    sound = (HERE / "sound.yaml").read_text(encoding="utf-8")
    with pytest.raises(PolicyError, match="P003"):
        load_policy([("a.yaml", sound), ("b.yaml", example(PARTS["P003"]))], {})
