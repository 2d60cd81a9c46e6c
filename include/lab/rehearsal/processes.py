"""Processes of one's own, and an end to all of them.

Airflow's `standalone` leaves its children behind when it is told to stop, and a scheduler killed outright leaves its
executor's workers. So each part begins a session of its own, and what is stopped is everything in those sessions,
whoever its parent has become by then.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

GRACE_SECONDS = 10.0
"""How long a part may take to stop by itself."""
LOOK_SECONDS = 0.1


class Processes:
    """Parts by name; `stop` ends them with everything that they started.

    `note` is a file that names their sessions, so that whoever comes after a kill -9 can end them: see `end_stale`.
    """

    def __init__(self, note: Path) -> None:
        self._note = note
        self._parts: dict[str, subprocess.Popen[bytes]] = {}

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path
    ) -> subprocess.Popen[bytes]:
        """Start a part in a session of its own; what it says goes to `log`."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            part = subprocess.Popen(  # noqa: S603  # our own command, no shell
                list(command),
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._parts[name] = part
        self._write_note()
        return part

    def ended(self) -> dict[str, int]:
        """Parts that have ended by themselves, with their exit status."""
        return {name: code for name, part in self._parts.items() if (code := part.poll()) is not None}

    def stop(self, *names: str) -> None:
        """Stop these parts, or all: asked first, then made to. Afterwards nothing of them runs."""
        chosen = {name: self._parts[name] for name in (names or tuple(self._parts)) if name in self._parts}
        end_sessions({part.pid for part in chosen.values()})
        for name, part in chosen.items():
            part.wait()
            del self._parts[name]
        self._write_note()

    def _write_note(self) -> None:
        marks = [f"{part.pid} {_began(part.pid)}" for part in self._parts.values()]
        if marks:
            self._note.write_text("\n".join(marks), "utf-8")
        else:
            self._note.unlink(missing_ok=True)


def end_stale(note: Path) -> int:
    """End what an earlier start left running, as its note says; how many processes that were.

    A session counts as ours only while its leader is the very process that was noted, or gone with children left.
    """
    try:
        lines = note.read_text("utf-8").splitlines()
    except OSError:
        return 0
    sessions = set()
    for line in lines:
        pid, _, began = line.partition(" ")
        if pid.isdecimal() and _began(int(pid)) in (began, ""):
            sessions.add(int(pid))
    found = len(members(sessions))
    end_sessions(sessions)
    note.unlink(missing_ok=True)
    return found


def end_sessions(sessions: Collection[int]) -> None:
    """Ask everything in these sessions to stop, and after a while kill what has not."""
    _tell(members(sessions), signal.SIGTERM)
    patience = time.monotonic() + GRACE_SECONDS
    while (left := members(sessions)) and time.monotonic() < patience:
        time.sleep(LOOK_SECONDS)
    while left:
        _tell(left, signal.SIGKILL)
        time.sleep(LOOK_SECONDS)
        left = members(sessions)


def members(sessions: Collection[int]) -> set[int]:
    """Ids of the processes in these sessions that still run (what only waits to be collected does not)."""
    if not sessions:
        return set()
    listed = subprocess.run(["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True, check=True)  # noqa: S607  # every system has it elsewhere
    found = set()
    for line in listed.stdout.splitlines():
        pid, _, state = line.strip().partition(" ")
        if not state.strip().startswith("Z"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getsid(int(pid)) in sessions:
                    found.add(int(pid))
    return found


def _tell(pids: Collection[int], message: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, message)


def _began(pid: int) -> str:
    """When a process began, as the system tells it; empty where there is none."""
    asked = ["ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603  # a number
