"""Transcripts in documents: run one against a lab, hold it against what stands there, or write it anew.

A line that begins with `$ ` in a ```console block is a command (`> ` continues it), what follows is its
output. All blocks are one bash session. The lab's ids come from its seed, so the output is always the same:

    .venv/bin/python tests/lab/transcript.py docs/lab.md      # writes the output in the document anew
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "lab.md"
"""The lab's own."""
ENDPOINT = "http://127.0.0.1:5999"
"""The endpoint as the document has it."""
END = "-- end of output --"
POST = (
    "import sys, urllib.request as web; words = sys.argv; data = words[words.index('-d') + 1].encode();"
    " print(web.urlopen(web.Request(words[-1], data=data, method='POST')).read().decode(), end='')"
)
CURL = f'curl() {{ python -c "{POST}" "$@"; }}\n'
"""A fresh machine has no curl: what the document does with it, Python does for the test."""


@dataclass
class Step:
    """A command of the transcript, as it stands there, and its output."""

    lines: list[str]
    output: list[str] = field(default_factory=list)

    @property
    def command(self) -> str:
        """The command for bash."""
        return "\n".join(line[2:] for line in self.lines)


def blocks(text: str) -> list[tuple[int, int]]:
    """Where the console blocks begin and end: the lines between their fences."""
    lines = text.splitlines()
    starts = [i + 1 for i, line in enumerate(lines) if line == "```console"]
    return [(start, lines.index("```", start)) for start in starts]


def steps(lines: list[str]) -> list[Step]:
    """The commands of one block with their outputs."""
    found: list[Step] = []
    for line in lines:
        if line.startswith("$ "):
            found.append(Step([line]))
        elif line.startswith("> ") and not found[-1].output:
            found[-1].lines.append(line)
        else:
            found[-1].output.append(line)
    return found


def run(commands: list[str], endpoint: str, folder: Path = ROOT, seconds: float = 300) -> list[list[str]]:
    """Run commands in one bash session in `folder`, against the lab at `endpoint`; answers each one's output.

    A command that fails ends the session, and the test with it; so does one that leaves a process behind.
    """
    script = CURL + "".join(f"{command.replace(ENDPOINT, endpoint)}\necho '{END}'\n" for command in commands)
    path = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    settings = {
        "PATH": path,
        "PYTHONPATH": str(ROOT / "include"),
        "PYTHONUNBUFFERED": "1",  # what goes to the two outputs in the order in which a terminal shows it
        "AWS_PAGER": "",
        "AWS_CONFIG_FILE": os.devnull,
        "TZ": "UTC",
    }
    with subprocess.Popen(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=folder,
        env={**clean, **settings},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as shell:
        try:
            printed, _ = shell.communicate(timeout=seconds)
            left = _left(shell.pid, patience=60)
        finally:
            for process in _session(shell.pid):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
    outputs = printed.replace(endpoint, ENDPOINT).split(END + "\n")
    assert len(outputs) == len(commands) + 1, f"{commands[len(outputs) - 1]} failed:\n{outputs[-1]}"
    assert not left, f"the processes {left} still run"
    return [[re.sub(r"\s+$", "", line) for line in output.splitlines()] for output in outputs[:-1]]


def _left(session: int, patience: float) -> list[int]:
    """Processes of the session that have not ended when the patience (seconds) has."""
    until = time.monotonic() + patience
    while (found := _session(session)) and time.monotonic() < until:
        time.sleep(0.2)
    return found


def _session(session: int) -> list[int]:
    """Processes of a session, by /proc/PID/stat: after the name in brackets come state, parent, group and session."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, _, of = file.read_text().rpartition(")")[2].split()[:4]
            if int(of) == session and state != "Z":
                found.append(int(file.parent.name))
    return found


def transcript(text: str) -> list[Step]:
    """Every step of the document."""
    lines = text.splitlines()
    return [step for start, end in blocks(text) for step in steps(lines[start:end])]


def rewritten(text: str, outputs: list[list[str]]) -> str:
    """The document with these outputs."""
    lines, fresh, written, done = text.splitlines(), iter(outputs), [], 0
    for start, end in blocks(text):
        written += lines[done:start]
        for step in steps(lines[start:end]):
            written += [*step.lines, *next(fresh)]
        done = end
    return "\n".join([*written, *lines[done:]]) + "\n"


def main(document: Path) -> None:
    """Write the outputs in the document anew, from a fresh lab and in an empty folder."""
    from lab.fleet import load_fleet
    from lab.server import LabServer
    from lab.world import Lab

    text = document.read_text()
    with LabServer(Lab(), fleet=load_fleet("demo")) as server, TemporaryDirectory() as folder:
        outputs = run([step.command for step in transcript(text)], server.endpoint, Path(folder))
    document.write_text(rewritten(text, outputs))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
