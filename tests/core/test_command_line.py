"""`python -m sluice`."""

from __future__ import annotations

import pytest

from sluice import __version__
from sluice.__main__ import main


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"sluice {__version__}\n"


def test_without_a_command_it_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "--version" in capsys.readouterr().out


@pytest.mark.parametrize("unknown", ["releas", "--dry-run"])
def test_what_it_does_not_know_is_named_and_ends_with_2(unknown: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([unknown])
    assert end.value.code == 2
    assert unknown in capsys.readouterr().err
