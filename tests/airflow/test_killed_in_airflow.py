"""A release whose process is killed at a call of AWS in the middle of an Airflow run ends as it would have.

The run goes through Airflow's real task execution in a process of its own, which the kernel kills; then the same run
begins anew from its first task, as after a lost worker. What was installed is read from the lab's own record.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from flow_world import SMALL, at, prepare
from kills import RETRY, at_rest, installs
from release_world import FLEET
from shares import NIGHTLY, share

from lab.rehearsal.in_process import InProcessAirflow
from lab.rehearsal.processes import Processes
from lab.testing import LabHandle
from sluice.core.policy.policy import Policy

DAG = "patch_install_nonprod"
HERE = Path(__file__).parent
SHARE = 4
"""About so many calls are tried for each change, half of them before the call and half after."""
PARTS = 15 if NIGHTLY else 1
"""In so many parts all calls are tried at night: each says by itself how it ended and can be run again alone.

An odd number, so that each part has both sides of calls.
"""
AT_MOST = timedelta(minutes=5)
"""How far the clock moves at once."""
PATIENCE = 120.0
"""Seconds after which a run that does nothing hangs."""


class World:
    """The lab, an Airflow, and runs in it that are killed."""

    def __init__(self, lab: LabHandle, airflow: InProcessAirflow, folder: Path) -> None:
        self.lab, self.airflow, self.folder = lab, airflow, folder
        self.kill = folder / "kill"
        self.policy = Policy.model_validate(SMALL)

    def begin(self, run_id: str) -> None:
        """A new lab with the policy applied, shortly before the window."""
        self.lab.server.reset()
        data = {**SMALL, "evidence": {"folder": str(self.folder / run_id)}}
        (self.folder / "policy.yaml").write_text(yaml.safe_dump(data), "utf-8")
        self.policy = Policy.model_validate(data)
        prepare(self.lab, self.policy)
        self.lab.advance_to(at(3, 2, 30))

    def run(self, run_id: str, where: str = "never") -> str | None:
        """Run the DAG to its end: the release's outcome; None: it was killed `where`."""
        self.kill.write_text(where)
        occurrence = {"occurrence": at(3, 3).isoformat()}
        self.airflow.trigger(DAG, run_id, occurrence, self.lab.world.clock.now())
        while self.airflow.active() and not self._killed():
            self._move()
        if self._killed():
            process = Path("/proc") / self.kill.read_text().split()[1]
            self._await(lambda: not process.exists())
            return None
        report = self.airflow.xcom(DAG, run_id, "report", "report")
        assert self.airflow.run(DAG, run_id).state == "success", report
        return str(report["outcome"])

    def calls(self) -> int:
        """How many calls the last run made."""
        return int(self.kill.with_suffix(".calls").read_text())

    def _move(self) -> None:
        """Move the clock where the run waits, and wait until it has looked."""
        (run,) = self.airflow.active() or (None,)
        if run is not None and run.tasks[0].state == "deferred":
            made, clock = self.lab.server.calls.total(), self.lab.world.clock
            until = clock.now() + AT_MOST
            clock.advance_to(max(clock.now(), min([until, *(one.when for one in clock.pending()[:1])])))
            self._await(lambda: self.lab.server.calls.total() > made or self._killed() or not self.airflow.active())
        time.sleep(0.02)

    def _killed(self) -> bool:
        return self.kill.read_text().startswith("killed")

    @staticmethod
    def _await(true: Callable[[], bool]) -> None:
        patience = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < patience, "a run hangs"
            time.sleep(0.02)  # the run writes files, which tell nobody


@pytest.fixture
def lab_fleet() -> str:
    return str(FLEET)


@pytest.fixture
def world(aws_environment: LabHandle, tmp_path: Path) -> Iterator[World]:
    (tmp_path / "kill").write_text("never")
    paths = os.pathsep.join(map(str, (HERE / "killing", HERE.parents[1] / "include")))
    environment = {
        **os.environ,
        "PYTHONPATH": paths,
        "SLUICE_KILL": str(tmp_path / "kill"),
        "SLUICE_POLICY": str(tmp_path / "policy.yaml"),
    }
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(dict(SMALL)), "utf-8")
    processes = Processes(tmp_path / "sessions")
    airflow = InProcessAirflow(tmp_path / "airflow", environment, processes)
    try:
        airflow.start()
        yield World(aws_environment, airflow, tmp_path)
    finally:
        processes.stop()


def odd(step: int) -> int:
    """The step, or the next smaller one, so that neighbours among the chosen points are of both sides of a call."""
    return step - 1 + step % 2


@pytest.mark.shared
@pytest.mark.parametrize("part", range(PARTS))
def test_killed_at_a_call_a_run_that_begins_anew_ends_the_same_with_one_install_a_node(world: World, part: int) -> None:
    world.begin("clean")
    outcome, total, expected = world.run("clean"), world.calls(), installs(world.lab)
    assert outcome == "released"
    assert [len(nodes) for _, nodes, _ in expected] == [2]
    killed = 0
    points = [f"{when} {number}" for number in range(1, total + 1) for when in ("before", "after")]
    chosen = share(points, odd(2 * total // SHARE))[part::PARTS]
    assert {where.partition(" ")[0] for where in chosen} == {"before", "after"}
    for where in chosen:
        name = where.replace(" ", "-")
        world.begin(name)
        if world.run(name, where) is None:
            killed += 1
            world.lab.advance(minutes=RETRY.total_seconds() / 60)
            assert world.run(name) == outcome, f"killed {where} of {total} calls"
        assert [nodes for _, nodes, _ in installs(world.lab)] == [nodes for _, nodes, _ in expected], where
        assert at_rest(world.policy), f"killed {where} of {total} calls"
    print(f"{len(chosen)} places to die at in {total} calls, {killed} of them reached")
    assert killed >= 3 * len(chosen) // 4, "nearly every run gets so far: some look a little less often"
