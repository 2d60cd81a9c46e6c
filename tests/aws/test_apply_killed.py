"""An apply that is killed anywhere is run again, and ends as if it had not been."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from policies import FOUR, SMALL, apply, changed, connect, plan, small, state
from shares import share

from lab.testing import LabHandle
from sluice.aws.session import Connection
from sluice.core.policy.policy import Policy

pytestmark = pytest.mark.usefixtures("aws_environment")


class Killed(BaseException):
    """What no handler of the product catches."""


@contextmanager
def killed_at(number: int, *, after: bool) -> Iterator[list[int]]:
    """Die before or after the call with this number, from 1; yields how many calls there were, in a list."""
    calls = [0]
    real = Connection.call

    def call(connection: Connection, service: str, operation: str, **parameters: Any) -> Any:
        calls[0] += 1
        if calls[0] == number and not after:
            raise Killed
        try:
            return real(connection, service, operation, **parameters)
        finally:
            if calls[0] == number:
                raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "call", call)
        yield calls


def otherwise() -> Policy:
    """The small policy with something created, changed and removed of every noun."""
    policy = small(
        patch_groups=[
            {**SMALL["patch_groups"][0], "products": ["UBUNTU 22.04", "UBUNTU 24.04"], "baselines": ["ubuntu"]},
            {"name": "new", "ring": "prod", "baselines": "windows", "products": "WINDOWS Server 2022"},
        ],
        extras={"data_sync_bucket": "another-bucket"},
    )
    policy = changed(policy, "baselines", 1, "rules", 0, "priority", value=["Required"])
    policy = changed(policy, "baselines", 2, "default", value=True)
    policy = changed(policy, "windows", 0, "duration_hours", value=3)
    return changed(policy, "windows", 1, "concurrency", value="3")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_every_call_of_the_first_apply_it_ends_the_same(lab: LabHandle, *, after: bool) -> None:
    connection = connect(small())
    every_call(lab, connection, [small()], after=after)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_every_call_of_a_later_apply_it_ends_the_same(lab: LabHandle, *, after: bool) -> None:
    connection = connect(small())
    every_call(lab, connection, [small(), otherwise()], after=after)


def every_call(lab: LabHandle, connection: Connection, policies: list[Policy], *, after: bool) -> None:
    """Apply the policies; kill the last one's apply at each of its calls in turn, and apply it again."""

    def begin() -> None:
        lab.server.reset()
        for policy in policies[:-1]:
            apply(connection, policy)

    begin()
    with killed_at(0, after=after) as calls:
        apply(connection, policies[-1])
    expected = state(lab)
    for number in range(1, calls[0] + 1):
        begin()
        with killed_at(number, after=after), pytest.raises(Killed):
            apply(connection, policies[-1])
        assert not any(
            one["enabled"] and "install" in one["name"] and not harmless(one) for one in state(lab)["windows"]
        )
        apply(connection, policies[-1])
        assert state(lab) == expected, f"killed {'after' if after else 'before'} call {number}"
    assert plan(connection, policies[-1]).pending == ()


def harmless(window: dict[str, Any]) -> bool:
    """Whether an enabled window is one that has just been created: it cannot fire before 2100."""
    return bool(window["schedule"][0] == "at(2099-12-31T23:59:59)" and not window["tasks"])


PROGRAM = """
import os, signal, sys, threading
from sluice.aws.session import Connection
from sluice.__main__ import main

real, calls, number, lock = Connection.call, [0], int(sys.argv[1]), threading.Lock()

def call(connection, service, operation, **parameters):
    with lock:
        calls[0] += 1
        if calls[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
    return real(connection, service, operation, **parameters)

Connection.call = call
code = main(["apply", "--yes", "--policy", sys.argv[2]])
print("calls", calls[0])
sys.exit(code)
"""
SHARE = 12
"""In CI one point in so many is tried, another share for each commit; `make nightly` tries all."""


def run(file: Path, number: int) -> subprocess.CompletedProcess[str]:
    """Run `apply` on its own, killed by the kernel before its call of this number (0: never)."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(number), str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "include")},
    )


def killed_for_good(lab: LabHandle, file: Path) -> None:
    """Kill `apply` at one call after the other, each time on an empty lab, and run it again."""
    done = run(file, 0)
    assert done.returncode == 0, done.stderr
    expected, total = everywhere(lab), int(done.stdout.split()[-1])
    for number in share(range(1, total + 1), SHARE):
        lab.server.reset()
        begin(lab)
        assert run(file, number).returncode == -signal.SIGKILL, f"call {number} of {total}"
        again = run(file, 0)
        assert again.returncode == 0, again.stderr
        assert everywhere(lab) == expected, f"killed at call {number} of {total}"


def everywhere(lab: LabHandle) -> list[Any]:
    """What is there in each of the four locations."""
    return [state(lab, one["account"], one["region"]) for one in FOUR]


def begin(lab: LabHandle) -> None:
    """Let the four locations be part of the lab's world, so that roles can be assumed there."""
    for one in FOUR:
        lab.location(one["account"], one["region"])


@pytest.mark.shared
def test_killed_for_good_by_the_kernel_the_command_goes_on_where_it_was(lab: LabHandle, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(dict(SMALL)))
    killed_for_good(lab, file)


@pytest.mark.nightly
def test_killed_for_good_over_four_locations_it_ends_the_same(lab: LabHandle, tmp_path: Path) -> None:
    begin(lab)
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump({**SMALL, "locations": FOUR, "roles": {"assume": True}}))
    killed_for_good(lab, file)
