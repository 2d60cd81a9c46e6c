"""The lab over its admin API, wherever it runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from lab.clock import stamp
from lab.errors import LabError

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Now:
    """The lab's time, when its next event is (None: there is none), and how much is under way."""

    now: datetime
    next: datetime | None
    under_way: int
    """Executions and images that have not ended."""
    opens: datetime | None
    """When the next window begins, of those that are enabled."""


class LabApi:
    """One lab. Raises LabError where it refuses or does not answer."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._http = httpx.Client(base_url=endpoint, trust_env=False, timeout=120)

    def close(self) -> None:
        """End its connections."""
        self._http.close()

    def clock(self) -> Now:
        """What time it is, and how much is under way."""
        return _now(self.ask("GET", "/lab/clock"))

    def advance(self, to: datetime, *, stop_when_something_ends: bool = False) -> Now:
        """Move the clock to `to`, or no further than to the first end of what is under way."""
        stop = {"stop": "ended"} if stop_when_something_ends else {}
        return _now(self.ask("POST", "/lab/clock/advance", {"to": stamp(to), **stop}))

    def journal(self, **wanted: str) -> list[dict[str, Any]]:
        """Installs and boots, in order."""
        return list(self._pages("/lab/journal", "entries", wanted))

    def packages(self) -> list[dict[str, Any]]:
        """What each node has installed now."""
        return list(self._pages("/lab/packages", "nodes", {}))

    def nodes(self) -> list[dict[str, Any]]:
        """The fleet as the lab has it."""
        return list(self._pages("/lab/fleet", "nodes", {}))

    def calls(self) -> int:
        """How many requests of AWS's API it has had."""
        return int(self.ask("GET", "/lab/calls")["total"])

    def add_faults(self, *rules: dict[str, Any]) -> None:
        """Add fault rules."""
        self.ask("POST", "/lab/faults", {"rules": list(rules)})

    def change_nodes(self, match: dict[str, Any], **change: Any) -> list[str]:
        """Change agents or faults of nodes; their ids."""
        found: list[str] = self.ask("PATCH", "/lab/fleet", {"match": match, "set": change})["node_ids"]
        return found

    def ask(self, method: str, path: str, body: Any = None, query: dict[str, str] | None = None) -> Any:
        """One request; its JSON. Raises LabError for every answer but a good one."""
        try:
            answer = self._http.request(method, path, json=body, params=query)
        except httpx.HTTPError as error:
            raise LabError(f"expected the lab at {self.endpoint} to answer {method} {path}: {error!r}") from error
        if answer.status_code != 200:
            raise LabError(f"the lab refused {method} {path}: {answer.text.strip()}")
        return answer.json()

    def _pages(self, path: str, key: str, wanted: dict[str, str]) -> Iterator[dict[str, Any]]:
        offset: int | None = 0
        while offset is not None:
            answer = self.ask("GET", path, query={**wanted, "limit": str(PAGE), "offset": str(offset)})
            yield from answer[key]
            offset = answer["next_offset"]


def _now(answer: dict[str, Any]) -> Now:
    following, opens = answer["next"], answer["opens"]
    return Now(
        datetime.fromisoformat(answer["now"]),
        datetime.fromisoformat(following) if following else None,
        answer["under_way"],
        datetime.fromisoformat(opens) if opens else None,
    )
