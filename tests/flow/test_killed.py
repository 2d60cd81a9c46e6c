"""A release that is killed anywhere goes on when its steps are asked for again, and never opens a window twice."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from flow_world import NONPROD, at, prepare
from kills import RETRY, at_rest, installs
from shares import NIGHTLY, share

from lab.testing import LabHandle
from sluice.core.policy.policy import Policy

HERE = Path(__file__).parent


@pytest.mark.shared
def test_killed_at_any_call_a_gated_release_ends_released_with_one_install_a_node(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:xdist", "-p", "no:cacheprovider", "--timeout=0"]
    done = subprocess.run(
        [*command, f"--basetemp={tmp_path / 'forks'}", str(HERE / "killed_in_forks.py")],
        cwd=HERE.parents[1],
        env={name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"},
        capture_output=True,
        text=True,
        check=False,
        timeout=7000 if NIGHTLY else 800,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"[1-9]\d* places to die at in [1-9]\d* calls, 0 failed", done.stdout), done.stdout


SHARE = 3
"""About so many calls are tried for each change."""


def run_apart(lab: LabHandle, folder: Path, number: int) -> subprocess.CompletedProcess[str]:
    """The non-production release in a process of its own, killed before its call of this number (0: never)."""
    return subprocess.run(
        [
            sys.executable,
            str(HERE / "remote_lab.py"),
            lab.endpoint,
            str(folder),
            NONPROD,
            at(3, 3).isoformat(),
            str(number),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (HERE, HERE.parents[1] / "include")))},
    )


@pytest.mark.shared
def test_killed_for_good_by_the_kernel_a_release_goes_on_where_it_was(
    lab: LabHandle, policy: Policy, tmp_path: Path
) -> None:
    def begin(number: int) -> tuple[Path, subprocess.CompletedProcess[str]]:
        lab.server.reset()
        prepare(lab, policy)
        lab.advance_to(at(3, 2, 30))
        folder = tmp_path / str(number)
        return folder, run_apart(lab, folder, number)

    _, clean = begin(0)
    assert clean.returncode == 0, clean.stderr
    expected, total = installs(lab), json.loads(clean.stdout)["calls"]
    for number in share(range(1, total + 1), total // SHARE):
        folder, killed = begin(number)
        assert killed.returncode == -signal.SIGKILL, f"call {number} of {total}: {killed.stderr}"
        lab.advance(minutes=RETRY.total_seconds() / 60)
        again = run_apart(lab, folder, 0)
        assert again.returncode == 0, f"call {number} of {total}: {again.stderr}"
        assert json.loads(again.stdout)["outcome"] == json.loads(clean.stdout)["outcome"]
        assert [nodes for _, nodes, _ in installs(lab)] == [nodes for _, nodes, _ in expected]
        assert at_rest(policy), f"call {number} of {total}"
