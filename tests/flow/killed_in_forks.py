"""A gated release that is killed before and after every call of AWS, in forks of a process that does nothing else.

`test_killed.py` runs it: threads do not survive a fork, and a process that has run other tests has many. The fork has
the lab inside it and is killed there (nothing of it goes on but what is in AWS and in the evidence); then the release
is begun anew from its first step, as Airflow's retries do. What happened is read from the lab's own record.

Two calls between which nothing was changed, in AWS, in the evidence or on the clock, are one place to die at: in CI
one of them is tried, `make nightly` tries every one, and both sides of it.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from drive import Drive
from flow_world import NONPROD, PROD, SCAN, at, run_of
from forks import tables_in_forks
from in_process import answer_in_process
from kills import RETRY, at_rest, installs
from shares import NIGHTLY

from lab.testing import LabHandle
from sluice.aws.session import READING, Connection, Connections, Duty
from sluice.core.policy.places import Location
from sluice.core.policy.policy import Policy
from sluice.evidence.store import FolderStore

AT_ONCE = 2
"""Forks that run at a time."""
LONGEST = 300
"""Seconds after which a fork that hangs is killed, and has failed."""


@pytest.fixture
def in_process(lab: LabHandle, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """One process with everything in it, and one connection for each location and duty, as Airflow's tasks have.

    Gives what a fork that goes on has to undo.
    """
    answer_in_process(lab, monkeypatch)
    kept: dict[tuple[str, Duty], Connection] = {}
    real = Connections.open

    def open_once(connections: Connections, location: Location, duty: Duty) -> Connection:
        key = (location.key, duty)
        if key not in kept:
            kept[key] = real(connections, location, duty)
        return kept[key]

    monkeypatch.setattr(Connections, "open", open_once)
    monkeypatch.setattr(Connection, "close", lambda connection: None)
    with pytest.MonkeyPatch.context() as patch:
        tables_in_forks(patch)
        yield patch


class Deaths:
    """Forks at the calls of a release; each fork dies there, tries again, and is looked at."""

    def __init__(
        self, lab: LabHandle, evidence: Path, again: Callable[[Path], None], folder: Path, undone: pytest.MonkeyPatch
    ) -> None:
        self.lab = lab
        self.evidence = evidence
        self.undone = undone
        """What only the process has that is forked, and not its forks."""
        self.again = again
        """Goes on with the evidence that is in a folder."""
        self.folder = folder
        self.calls = 0
        self.points = 0
        self.failed: list[str] = []
        self._changes = 0
        self._seen: set[tuple[Any, ...]] = set()
        self._children: dict[int, str] = {}
        self._one_by_one = threading.Lock()

    @contextmanager
    def at_every_call(self) -> Iterator[None]:
        """Die before and after each call that is made meanwhile."""
        call, put = Connection.call, FolderStore.put

        def dying(connection: Connection, service: str, operation: str, **parameters: Any) -> Any:
            with self._one_by_one:  # whoever forks holds no lock of another thread
                self.calls += 1
                name = f"call {self.calls}, {service}:{operation}"
                self._die(f"before {name}")
                try:
                    return call(connection, service, operation, **parameters)
                finally:
                    self._changes += not operation.startswith(READING)
                    self._die(f"after {name}")

        def putting(store: FolderStore, *given: Any, **named: Any) -> bool:
            self._changes += 1
            return put(store, *given, **named)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Connection, "call", dying)
            patch.setattr(FolderStore, "put", putting)
            self._dying = patch
            yield
        while self._children:
            self._reap()

    def _die(self, where: str) -> None:
        state = (self._changes, self.lab.world.clock.now()) if not NIGHTLY else (where,)
        if state in self._seen:
            return
        self._seen.add(state)
        self.points += 1
        while len(self._children) >= AT_ONCE:
            self._reap()
        left = self.folder / f"evidence-{self.points}"  # as it is now: the process that is forked goes on writing
        shutil.copytree(self.evidence, left, ignore=shutil.ignore_patterns(".*.part"))
        child = os.fork()
        if child == 0:
            self._live_again(where, left)
        self._children[child] = where

    def _live_again(self, where: str, left: Path) -> NoReturn:
        """In the fork: whoever made the call is no more; the release is begun anew, and judged."""
        code = 1
        signal.alarm(LONGEST)
        try:
            self._dying.undo()
            self.undone.undo()
            self.again(left)
            shutil.rmtree(left)
            code = 0
        except BaseException:
            (self.folder / f"died-{os.getpid()}").write_text(f"killed {where}:\n{traceback.format_exc()}")
        finally:
            os._exit(code)

    def _reap(self) -> None:
        """Wait for the fork that began first; others of this process's are not these."""
        child = next(iter(self._children))
        where = self._children.pop(child)
        if os.waitpid(child, 0)[1]:
            told = self.folder / f"died-{child}"
            self.failed.append(told.read_text() if told.exists() else f"killed {where}: it said nothing")


def again(
    lab: LabHandle, policy: Policy, window: str, occurrence: Any, before: int, expected: list[Any]
) -> Callable[[Path], None]:
    """The release begun anew on what is left of its evidence, and what must hold at its end."""

    def live(left: Path) -> None:
        mine = policy.model_copy(update={"evidence": policy.evidence.model_copy(update={"folder": str(left)})})
        lab.advance(minutes=RETRY.total_seconds() / 60)
        told = Drive(lab, run_of(mine, window, occurrence)).release()
        done = installs(lab)[before:]
        assert sorted((nodes, bool(given)) for _, nodes, given in done) == expected, done
        assert told["report"]["outcome"] == "released", told["report"]
        assert at_rest(mine), "not at rest"

    return live


def prepared(lab: LabHandle, policy: Policy) -> None:
    """Non-production was patched thirteen days ago, and everything was scanned this morning."""
    for window, when in ((NONPROD, at(17, 3)), (SCAN, at(30, 1))):
        lab.advance_to(when - timedelta(minutes=10))
        Drive(lab, run_of(policy, window, when)).release()


def test_every_fork_that_goes_on_ends_released_with_one_install_a_node(
    lab: LabHandle, policy: Policy, tmp_path: Path, in_process: pytest.MonkeyPatch
) -> None:
    prepared(lab, policy)
    lab.advance_to(at(30, 1, 30))
    before, nodes = (
        len(installs(lab)),
        sorted(n for n in lab.location().nodes if "prod" in lab.location().nodes[n].name),
    )
    prod = [n for n in nodes if "nonprod" not in lab.location().nodes[n].name]
    expected = [((node,), True) for node in prod]
    goes_on = again(lab, policy, PROD, at(30, 3), before, expected)
    deaths = Deaths(lab, Path(str(policy.evidence.folder)), goes_on, tmp_path, in_process)
    with deaths.at_every_call():
        told = Drive(lab, run_of(policy, PROD, at(30, 3))).release()
    assert told["report"]["outcome"] == "released"
    assert sorted((found, bool(given)) for _, found, given in installs(lab)[before:]) == expected
    print(f"{deaths.points} places to die at in {deaths.calls} calls, {len(deaths.failed)} failed")
    assert not deaths.failed, "\n".join(deaths.failed)
