"""`.ci/setup` on a checkout of its own, with a lock that asks for nothing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from source import ROOT

offline = pytest.mark.skipif(
    importlib.util.find_spec("ensurepip") is None,
    reason="without ensurepip, set-up needs Debian's archive or root, which a test must not",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    for package in ("lab", "sluice"):
        (root / "include" / package).mkdir(parents=True)
        (root / "include" / package / "__init__.py").touch()
    (root / "plugins").mkdir()
    (root / ".ci").mkdir()
    (root / "requirements.txt").touch()
    shutil.copy(ROOT / ".ci/setup", root / ".ci/setup")
    return root


def set_up(root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **environment}
    return subprocess.run([root / ".ci/setup"], capture_output=True, text=True, check=False, env=environment)


def where_sluice_is(root: Path) -> Path:
    code = "import lab, sluice; print(sluice.__file__)"
    shown = subprocess.run(
        [root / ".venv/bin/python", "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    return Path(shown.stdout.strip())


@offline
def test_set_up_makes_the_packages_importable_and_a_second_run_does_nothing(checkout: Path) -> None:
    first = set_up(checkout)
    assert first.returncode == 0, first.stderr
    assert where_sluice_is(checkout).is_relative_to(checkout)
    made = (checkout / ".venv/pyvenv.cfg").stat().st_mtime_ns
    second = set_up(checkout)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert (checkout / ".venv/pyvenv.cfg").stat().st_mtime_ns == made


@offline
def test_a_moved_checkout_and_an_interrupted_set_up_are_made_again(checkout: Path) -> None:
    half = checkout / ".venv/half"
    half.parent.mkdir()
    half.touch()
    assert set_up(checkout).returncode == 0
    assert not half.exists()
    moved = checkout.rename(checkout.with_name("moved"))
    assert "making" in set_up(moved).stdout
    assert str(moved) in (moved / ".venv/bin/pip").read_text("utf-8").splitlines()[0]
    assert where_sluice_is(moved).is_relative_to(moved)


def test_an_interpreter_that_is_too_old_is_refused_with_what_to_do(checkout: Path) -> None:
    old = checkout / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.18 || exit 1\n', "utf-8")
    old.chmod(0o755)
    refused = set_up(checkout, PYTHON=str(old))
    assert refused.returncode == 1
    assert "Python 3.11 or newer is needed; found Python 3.9.18" in refused.stderr
    assert "PYTHON=/path/to/python3.12 make setup" in refused.stderr
    assert not (checkout / ".venv").exists()
