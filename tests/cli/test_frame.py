"""What every command of `python -m sluice` can rely on, and everybody who runs one."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from source import ROOT

from sluice import cli
from sluice.__main__ import main
from sluice.core.errors import SluiceError


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], int]], None]:
    """Makes `act` the only command, and what it does the function that is given."""

    def only(does: Callable[[], int]) -> None:
        def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
            subparsers.add_parser("act")

        module = SimpleNamespace(add=add, run=lambda options: does())

        monkeypatch.setattr(cli, "_commands", lambda: [module])

    return only


def raising(error: BaseException) -> Callable[[], int]:
    def does() -> int:
        raise error

    return does


@pytest.mark.parametrize("code", [cli.DONE, cli.FAILED, cli.CHANGES])
def test_a_commands_exit_code_is_the_programs(code: int, command: Callable[[Callable[[], int]], None]) -> None:
    command(lambda: code)
    assert main(["act"]) == code


def test_what_the_product_refuses_is_said_without_a_traceback(
    command: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(SluiceError("expected a window, found none: add one")))
    assert main(["act"]) == 1
    assert capsys.readouterr().err == "sluice: expected a window, found none: add one\n"


def test_ctrl_c_ends_with_130_and_without_a_traceback(
    command: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    command(raising(KeyboardInterrupt()))
    assert main(["act"]) == 130
    assert capsys.readouterr().err == "sluice: stopped\n"


def test_a_fault_of_the_product_is_not_hidden(command: Callable[[Callable[[], int]], None]) -> None:
    command(raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        main(["act"])


@pytest.mark.parametrize("arguments", [["act", "--unknown"], ["act", "unknown"], ["unknown"]])
def test_what_it_does_not_understand_ends_with_2(
    arguments: list[str], command: Callable[[Callable[[], int]], None]
) -> None:
    command(lambda: 0)
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2


def test_no_command_is_forgotten() -> None:
    folder = ROOT / "include/sluice/cli"
    assert set(cli.COMMANDS) == {file.stem for file in folder.glob("*.py") if "\ndef add(" in file.read_text("utf-8")}


def test_help_names_the_commands_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert "check the policy" in shown
    assert "130 stopped by Ctrl-C" in shown


def test_a_reader_that_has_seen_enough_is_no_traceback() -> None:
    command = f"{sys.executable} -m sluice schema | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env={"PYTHONPATH": "include"}, capture_output=True, text=True, check=False
    )
    assert done.stdout == "{\n"
    assert done.stderr == ""


def test_no_command_imports_awss_sdks_before_it_runs() -> None:
    code = "import sys; from sluice.__main__ import parser; parser(); print({'boto3', 'botocore'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "include", capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_a_terminal_that_cannot_show_a_character_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("version: 1\nmode: Bürozeit\n", "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "sluice", "check", tmp_path / "policy.yaml"],
        env={"PYTHONPATH": str(ROOT / "include"), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "found 'B\\xfcrozeit'" in done.stdout
    assert (done.returncode, done.stderr) == (1, "")
