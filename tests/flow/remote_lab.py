"""A release driven by a process of its own, against a lab that another process serves: it can be killed for good.

    python remote_lab.py ENDPOINT FOLDER WINDOW OCCURRENCE NUMBER

drives the small policy's release, and is killed by the kernel before its call of that number (0: never). It prints
how many calls there were, and the outcome.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from drive import Drive
from flow_world import run_of, small

from sluice.aws.session import Connection


@dataclass
class Event:
    """When something happens in the lab."""

    when: datetime


class RemoteLab:
    """The lab's clock, by its admin API: what `Drive` needs of a lab."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.world = SimpleNamespace(clock=self)

    def now(self) -> datetime:
        """The lab's time."""
        return datetime.fromisoformat(self._ask("/lab/clock")["now"])

    def pending(self) -> list[Event]:
        """The next event, if there is one."""
        coming = self._ask("/lab/clock").get("next")
        return [Event(datetime.fromisoformat(coming))] if coming else []

    def advance_to(self, when: datetime) -> datetime:
        """Move the clock."""
        self._ask("/lab/clock/advance", {"to": when.strftime("%Y-%m-%dT%H:%M:%SZ")})
        return when

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        url = self.endpoint + path
        answer = httpx.get(url, timeout=60) if body is None else httpx.post(url, json=body, timeout=60)
        return answer.raise_for_status().json()


def die_before(number: int) -> list[int]:
    """Be killed before the call of this number; how many there were, in a list."""
    real, calls, lock = Connection.call, [0], threading.Lock()

    def call(connection: Connection, service: str, operation: str, **parameters: Any) -> Any:
        with lock:
            calls[0] += 1
            if calls[0] == number:
                os.kill(os.getpid(), signal.SIGKILL)
        return real(connection, service, operation, **parameters)

    Connection.call = call  # type: ignore[method-assign]  # this process does nothing else
    return calls


def main(endpoint: str, folder: str, window: str, occurrence: str, number: str) -> None:
    """Drive one release."""
    calls = die_before(int(number))
    run = run_of(small(Path(folder)), window, datetime.fromisoformat(occurrence))
    lab: Any = RemoteLab(endpoint)
    told = Drive(lab, run).release()
    print(json.dumps({"calls": calls[0], "outcome": told["report"]["outcome"]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
