"""Lab, Airflow and the ground under them, in one folder, for as long as a rehearsal lasts."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from lab.clock import stamp
from lab.errors import LabError
from lab.fleet import Fleet, load_fleet
from lab.rehearsal import ground
from lab.rehearsal.agenda import read_policy
from lab.rehearsal.airflow_api import AirflowApi
from lab.rehearsal.airflow_parts import AirflowParts, task_environment
from lab.rehearsal.in_process import InProcessAirflow
from lab.rehearsal.lab_api import LabApi
from lab.rehearsal.processes import Processes, end_stale
from lab.rehearsal.rest import RestAirflow
from sluice.core.policy.places import CALLER
from sluice.core.policy.policy import Policy
from sluice.core.yaml_text import read

POLL_AT_MOST = 0.6
"""Real seconds between two looks of a release in a rehearsal: the lab's clock stands still meanwhile."""
POLL_IN_PROCESS = 0.06
"""The same where no server stands between."""
WAKING = 1.3
"""Real seconds that Airflow's triggerer needs to hand on what a trigger found, at most (it looks every second)."""
LAB_SECONDS = 60.0
FOLDER = ".demo"
_ENDPOINT = re.compile(r"^Endpoint: (http://\S+)$", re.MULTILINE)


@dataclass
class Stage:
    """What a rehearsal plays on."""

    home: Path
    policy: Policy
    policy_file: Path
    lab: LabApi
    processes: Processes
    parts: AirflowParts
    airflow: RestAirflow | None = field(default=None)

    def start_airflow(self) -> RestAirflow:
        """Start Airflow, also once more, and sign in as who asks and who answers."""
        if self.airflow is not None:
            self.airflow.close()
        self.parts.start()
        self.airflow = RestAirflow(
            self._as("requester"),
            self._as("approver"),
            settle_seconds=self.policy.timing.poll_at_most_seconds + WAKING,
        )
        return self.airflow

    def start_in_process(self) -> InProcessAirflow:
        """Start Airflow's task execution without its servers: for one location, and quick."""
        airflow = InProcessAirflow(self.home / "airflow", self.parts.environment, self.processes)
        airflow.start()
        return airflow

    def _as(self, user: str) -> AirflowApi:
        return AirflowApi(self.parts.address, user, self.parts.passwords[user])

    def alive(self) -> None:
        """Raise LabError when a process that everything needs has ended."""
        if ended := self.processes.ended():
            shown = ", ".join(f"{name} with {code}" for name, code in ended.items())
            raise LabError(f"ended by itself: {shown}; logs are in {self.home}")

    def sluice(self, *arguments: str) -> str:
        """Run `python -m sluice …` on the policy; what it said."""
        region = ground.default_region(self.policy)
        return ground.sluice(self.policy_file, self.lab.endpoint, region, *arguments)


@contextmanager
def held(home: Path) -> Iterator[Processes]:
    """Hold the folder for this process, with nothing left in it of an earlier one; end every process afterwards.

    Raises LabError while another one holds it.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip() or "another process"
            raise LabError(
                f"a rehearsal runs in {home} already ({holder}): stop it with Ctrl-C there, or choose another --home"
            ) from None
        note = home / "processes"
        end_stale(note)
        _clear(home, keep=("lock",))
        lock.truncate(0)
        lock.write(f"process {os.getpid()}")
        lock.flush()
        processes = Processes(note)
        try:
            with interruptible():
                yield processes
        finally:
            with undisturbed():
                processes.stop()
            lock.truncate(0)


@contextmanager
def interruptible() -> Iterator[None]:
    """Take SIGTERM and a closed terminal for a Ctrl-C; what was started to outlive its terminal (nohup) does."""
    alike = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is not signal.SIG_IGN]
    before = {name: signal.signal(name, signal.default_int_handler) for name in alike}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let nobody interrupt the end: what it stops would be left running."""
    ignored = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {name: signal.signal(name, signal.SIG_IGN) for name in ignored}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


@contextmanager
def stage(
    home: Path,
    processes: Processes,
    policy_file: Path,
    *,
    fleet: str,
    start: datetime,
    seed: int = 0,
    settings: Mapping[str, str] | None = None,
    poll_at_most: float = POLL_AT_MOST,
) -> Iterator[Stage]:
    """A lab with the policy applied in it, and an Airflow that is ready to be started.

    Airflow takes longest to start, so the caller decides when. Raises LabError with what went wrong.
    """
    copy = copied(policy_file, home, load_fleet(fleet), poll_at_most)
    policy = read_policy(copy, dict(os.environ))
    lab = LabApi(_start_lab(processes, home, fleet, start, seed))
    aws = ground.aws_environment(lab.endpoint, ground.default_region(policy))
    parts = AirflowParts(
        home / "airflow", task_environment(aws, copy), processes, settings=settings if settings is not None else {}
    )
    made = Stage(home, policy, copy, lab, processes, parts)
    try:
        yield made
    finally:
        lab.close()
        if made.airflow is not None:
            made.airflow.close()


def copied(policy_file: Path, home: Path, fleet: Fleet, poll_at_most: float) -> Path:
    """The policy as the lab can have it, `policy.yaml` in `home`; what is not said here is as it was written.

    It looks as often as a rehearsal can bear (`poll_at_most`: seconds). `caller` is the fleet's first location, since
    the lab's own credentials are of there. `endpoint: aws` is left out, which would refuse the lab. Evidence that is
    not in a bucket, which is the lab's, is kept below `home`: elsewhere a later rehearsal would find it, and a
    deployment whose folder that is would take the lab's nodes for soaked ones.

    Raises LabError: with all that is wrong with the policy, or where it has accounts that the fleet has not.
    """
    policy = read_policy(policy_file, dict(os.environ))
    data = read(policy_file.read_text("utf-8"), str(policy_file)).data
    own = fleet.accounts[0]
    places = [
        {
            "account": own.id if one.account == CALLER else one.account,
            "region": own.regions[0] if one.region == CALLER else one.region,
        }
        for one in policy.locations
    ]
    known = [account.id for account in fleet.accounts]
    if strangers := sorted({one["account"] for one in places} - set(known)):
        raise LabError(
            f"expected the policy's locations in accounts of the fleet ({', '.join(known)}), found"
            f" {', '.join(strangers)} in {policy_file}: rehearse it over a fleet that has them (--fleet FILE)"
        )
    changed: dict[str, Any] = {
        "locations": places,
        "timing": {
            **(data.get("timing") or {}),
            "poll_seconds": poll_at_most / 2,
            "poll_at_most_seconds": poll_at_most,
        },
    }
    if not policy.evidence.bucket:
        changed["evidence"] = {**(data.get("evidence") or {}), "folder": str(home / "evidence")}
    kept = {key: value for key, value in data.items() if key != "endpoint"}
    copy = home / "policy.yaml"
    copy.write_text(yaml.safe_dump({**kept, **changed}, sort_keys=False), "utf-8")
    return copy


def _start_lab(processes: Processes, home: Path, fleet: str, start: datetime, seed: int) -> str:
    """Start a lab on a free port; its endpoint."""
    log = home / "lab.log"
    command = [sys.executable, "-m", "lab", "serve", "--port", "0", "--fleet", fleet]
    command += ["--seed", str(seed), "--start", stamp(start)]
    environment = {**os.environ, "PYTHONPATH": str(ground.ROOT / "include")}
    served = processes.start("lab", command, environment, log, Path.cwd())  # a fleet's path may be relative to it
    patience = time.monotonic() + LAB_SECONDS
    while served.poll() is None and time.monotonic() < patience:
        if found := _ENDPOINT.search(log.read_text("utf-8")):
            return found[1]
        time.sleep(0.1)
    raise LabError(f"the lab did not start:\n{log.read_text('utf-8')[-2000:]}")


def _clear(home: Path, keep: tuple[str, ...]) -> None:
    for one in home.iterdir():
        if one.name in keep:
            continue
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        else:
            one.unlink()
