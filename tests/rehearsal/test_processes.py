"""What a rehearsal starts it ends: children of children, those that ignore a polite word, those of a killed start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.rehearsal import processes as module
from lab.rehearsal.processes import Processes, end_stale, members
from lab.rehearsal.stage import held

CHILD = (
    "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {inner!r}]); print('up', flush=True); {then}"
)
SLEEP = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 1.0)


@pytest.fixture
def start(tmp_path: Path) -> Callable[[Processes, str], int]:
    def go(processes: Processes, code: str, name: str = "part") -> int:
        log = tmp_path / f"{name}.log"
        made = processes.start(name, [sys.executable, "-c", code], os.environ, log, tmp_path)
        while "up" not in log.read_text():
            assert made.poll() is None, log.read_text()
        return made.pid

    return go


def test_children_that_lost_their_parent_are_ended_too(tmp_path: Path, start: Callable[..., int]) -> None:
    processes = Processes(tmp_path / "note")
    session = start(processes, CHILD.format(inner=SLEEP, then="pass"))
    while processes.ended() == {}:
        pass
    assert len(members({session})) == 1
    processes.stop()
    assert members({session}) == set()
    assert not (tmp_path / "note").exists()


def test_what_ignores_a_polite_word_is_made_to(tmp_path: Path, start: Callable[..., int]) -> None:
    processes = Processes(tmp_path / "note")
    session = start(processes, STUBBORN)
    processes.stop()
    assert members({session}) == set()


def test_one_part_can_be_stopped_alone(tmp_path: Path, start: Callable[..., int]) -> None:
    processes = Processes(tmp_path / "note")
    first = start(processes, f"print('up', flush=True); {SLEEP}", "first")
    second = start(processes, f"print('up', flush=True); {SLEEP}", "second")
    processes.stop("first")
    assert (members({first}), len(members({second}))) == (set(), 1)
    processes.stop()
    assert members({second}) == set()


def test_the_next_start_ends_what_a_killed_one_left(tmp_path: Path, start: Callable[..., int]) -> None:
    note = tmp_path / "note"
    processes = Processes(note)
    session = start(processes, f"print('up', flush=True); {SLEEP}")
    assert end_stale(note) == 1
    assert members({session}) == set()
    assert end_stale(note) == 0
    processes.stop()


def test_a_note_about_a_number_that_another_process_has_by_now_ends_nobody(tmp_path: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
    try:
        note = tmp_path / "note"
        note.write_text(f"{bystander.pid} Mon Jan  1 00:00:00 2001")
        assert end_stale(note) == 0
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_second_start_in_the_same_folder_is_refused_with_who_holds_it(tmp_path: Path) -> None:
    refused = pytest.raises(LabError, match=f"already .process {os.getpid()}.: stop it with Ctrl-C")
    with held(tmp_path), refused, held(tmp_path):
        pass
    with held(tmp_path):
        pass


def test_what_an_earlier_rehearsal_kept_is_cleared(tmp_path: Path) -> None:
    (tmp_path / "airflow").mkdir()
    (tmp_path / "airflow" / "airflow.db").write_text("old")
    (tmp_path / "patches.csv").write_text("old")
    with held(tmp_path):
        assert [one.name for one in tmp_path.iterdir()] == ["lock"]


HOLDER = """
import os, signal, sys
from pathlib import Path
from lab.rehearsal.stage import held
# A job in the background of a script inherits that it ignores them.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
home = Path(sys.argv[1])
try:
    with held(home) as processes:
        sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
        part = processes.start("part", sleep, os.environ, home / "log", home)
        print(part.pid, flush=True)
        while True:
            part.wait()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("message", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_rehearsal_leaves_no_process_behind(tmp_path: Path, message: signal.Signals) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": "include"},
    )
    assert holder.stdout is not None
    session = int(holder.stdout.readline())
    assert members({session}) == {session}
    holder.send_signal(message)
    out, _ = holder.communicate(timeout=120)
    assert "interrupted" in out
    assert members({session}) == set()
