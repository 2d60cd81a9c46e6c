"""`python -m sluice check`: everything that is wrong at once, in a form that people and programs read."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest

from sluice.__main__ import main
from sluice.cli.colours import Colours
from sluice.files import DEFAULT, DEMO, SHIPPED

SOUND = (SHIPPED / DEFAULT).read_text("utf-8")
MODE = SOUND[: SOUND.index("mode: release")].count("\n") + 1
"""The line of `mode`."""


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "policy.yaml"
    file.write_text(SOUND, "utf-8")
    return file


def edit(file: Path, *changes: tuple[str, str]) -> None:
    text = file.read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    file.write_text(text, "utf-8")


@pytest.mark.parametrize("name", [DEFAULT, DEMO])
def test_shipped_policies_have_no_errors(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(SHIPPED / name)]) == 0
    assert "no errors, " in capsys.readouterr().out


def test_questions_alone_end_with_0(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "policy.yaml"]) == 0
    shown = capsys.readouterr().out
    assert "P184 question: windows.install-nonprod.reboot: expected " in shown
    assert shown.endswith("questions in policy.yaml\ndocs/findings.md explains every code.\n")


def test_errors_of_every_kind_come_all_at_once_and_end_with_1(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    misspelt = ("mode: release", "mode: releese"), ("ring: prod", "rung: prod"), ("soak:", "soka:")
    edit(policy, *misspelt, ("duration_hours: 2\n    cutoff_hours: 1", "duration_hours: 2\n    cutoff_hours: 2"))
    assert main(["check", "policy.yaml"]) == 1
    found = capsys.readouterr()
    assert found.err == ""
    lines = [line for line in found.out.splitlines() if " error: " in line]
    assert lines[0].startswith(
        f"policy.yaml:{MODE}: P006 error: mode: expected 'observe' or 'release', found 'releese'"
    )
    assert [line.split(" ")[1] for line in lines] == ["P006", "P004", "P005", "P004", "P171"]
    assert "5 errors, " in found.out
    assert "is told once that is mended: check again then" in found.out


def test_errors_of_the_lint_end_with_1(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(policy, ("duration_hours: 2\n    cutoff_hours: 1", "duration_hours: 2\n    cutoff_hours: 2"))
    assert main(["check", "policy.yaml"]) == 1
    assert " P171 error: windows.scan-daily" in capsys.readouterr().out


def test_a_waived_question_is_shown_as_such(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    waiver = "exceptions:\n  - {owner: a, because: b, expires: 2999-01-01, findings: P184}\n"
    policy.write_text(SOUND + waiver, "utf-8")
    assert main(["check", "policy.yaml"]) == 0
    shown = capsys.readouterr().out
    assert "P184 question, waived until 2999-01-01: " in shown
    assert ", 1 waived in policy.yaml" in shown


def test_json_says_the_same_to_programs(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(policy, ("mode: release", "mode: releese"))
    assert main(["check", "--json", "policy.yaml"]) == 1
    found = json.loads(capsys.readouterr().out)
    errors = [one for one in found["findings"] if one["kind"] == "error"]
    assert "found 'releese'" in errors[0].pop("message")
    assert errors == [{"code": "P006", "kind": "error", "file": "policy.yaml", "line": MODE, "waived_until": None}]
    questions = len(found["findings"]) - 1
    assert {**found, "findings": []} == {
        "files": ["policy.yaml"],
        "errors": 1,
        "questions": questions,
        "waived": 0,
        "findings": [],
    }
    assert questions > 1


def test_a_policy_that_is_not_there_is_a_finding_too(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "other.yaml"]) == 1
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.startswith("other.yaml: P010 error: expected a file that can be read, found no such file")


def test_sluice_policy_names_the_policy_where_no_path_does(
    policy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLUICE_POLICY", "policy.yaml")
    assert main(["check"]) == 0
    assert "in policy.yaml\n" in capsys.readouterr().out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_are_for_terminals_and_can_be_refused() -> None:
    assert Colours(Terminal(), {})("error", "red") == "\033[31merror\033[0m"
    assert Colours(io.StringIO(), {})("error", "red") == "error"
    assert Colours(Terminal(), {"NO_COLOR": "1"})("error", "red") == "error"
    assert Colours(Terminal(), {"TERM": "dumb"})("error", "red") == "error"


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00", b"\xff\xfe", b"- 1", b"version", b"{", b"version: 1\nmode: [", b"&a [*a]", b"rings: &r [*r]", b"\t"],
)
def test_whatever_stands_in_the_file_there_is_no_traceback(
    content: bytes, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy.write_bytes(content)
    assert main(["check", "policy.yaml"]) == 1
    shown = capsys.readouterr().out
    assert re.match(r"policy\.yaml:[12]: P0\d\d error: (expected|not) ", shown)
