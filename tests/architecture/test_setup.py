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


def new_checkout(root: Path) -> Path:
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


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that was set up after an earlier attempt had been interrupted."""
    root = new_checkout(tmp_path_factory.mktemp("project") / "checkout")
    (root / ".venv").mkdir()
    (root / ".venv/half").touch()
    done = set_up(root)
    assert done.returncode == 0, done.stderr
    return root


@offline
def test_set_up_makes_the_packages_importable(checkout: Path) -> None:
    assert where_sluice_is(checkout).is_relative_to(checkout)


@offline
def test_what_an_interrupted_set_up_left_is_made_again(checkout: Path) -> None:
    assert not (checkout / ".venv/half").exists()


@offline
def test_a_second_set_up_does_nothing(checkout: Path) -> None:
    made = (checkout / ".venv/pyvenv.cfg").stat().st_mtime_ns
    second = set_up(checkout)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert (checkout / ".venv/pyvenv.cfg").stat().st_mtime_ns == made


@offline
def test_a_checkout_in_another_place_gets_an_environment_of_its_own(checkout: Path) -> None:
    moved = shutil.copytree(checkout, checkout.with_name("moved"), symlinks=True)
    assert "making" in set_up(moved).stdout
    assert str(moved) in (moved / ".venv/bin/pip").read_text("utf-8").splitlines()[0]
    assert where_sluice_is(moved).is_relative_to(moved)


def test_an_interpreter_that_is_too_old_is_refused_with_what_to_do(tmp_path: Path) -> None:
    checkout = new_checkout(tmp_path / "checkout")
    old = checkout / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.18 || exit 1\n', "utf-8")
    old.chmod(0o755)
    refused = set_up(checkout, PYTHON=str(old))
    assert refused.returncode == 1
    assert "Python 3.11 or newer is needed; found Python 3.9.18" in refused.stderr
    assert "PYTHON=/path/to/python3.12 make setup" in refused.stderr
    assert not (checkout / ".venv").exists()
