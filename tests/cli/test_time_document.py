"""docs/time.md shows what the commands print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from sluice.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/time.md").read_text("utf-8")
EXAMPLES = re.findall(r"```console\n\$ python -m sluice (.+)\n((?:.*\n)*?)```\n", TEXT)


def test_it_has_examples_of_both_commands() -> None:
    assert {command.split()[0] for command, _ in EXAMPLES} == {"calendar", "prove"}
    assert len(EXAMPLES) == TEXT.count("```") / 2


@pytest.mark.parametrize(("command", "printed"), EXAMPLES, ids=[command for command, _ in EXAMPLES])
def test_its_output_is_what_the_policy_as_shipped_gives(
    command: str, printed: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_POLICY", str(ROOT / "include/policy/default.yaml"))
    assert main(shlex.split(command)) == 0
    assert capsys.readouterr().out == printed
