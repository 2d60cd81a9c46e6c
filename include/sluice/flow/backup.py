"""Step 5: an image of each node before it is patched. One batch a location, which one trigger looks at.

`start` asks for as many images as are allowed now and returns; it is called again when `due` says so, until nothing
is missing. The images themselves are what is known of them: a retry finds them by their tags.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sluice.aws import images, operations
from sluice.aws.session import Connection
from sluice.core.errors import AWSError
from sluice.core.release import backup as core
from sluice.core.release.backup import Pace, Standing
from sluice.flow import gate, resolve
from sluice.flow.run import Run

STEP = "backup"


@dataclass(frozen=True, slots=True)
class _Record:
    """What the location's step knows beside the images."""

    nodes: tuple[str, ...]
    until: datetime
    pace: Pace
    refused: dict[str, str]
    """Why EC2 makes no image, by node."""
    said: str = ""
    """What AWS said when it broke the last round off."""
    broke_at: str = ""
    """The node at which it did."""

    def as_json(self) -> dict[str, Any]:
        return {
            "nodes": list(self.nodes),
            "until": self.until.isoformat(),
            "pace": self.pace.as_json(),
            "refused": self.refused,
            "said": self.said,
            "broke_at": self.broke_at,
        }

    @classmethod
    def of_json(cls, data: dict[str, Any]) -> _Record:
        until = datetime.fromisoformat(data["until"])
        pace, refused = Pace.of_json(data["pace"]), dict(data["refused"])
        return cls(tuple(data["nodes"]), until, pace, refused, data["said"], data["broke_at"])


def start(run: Run, location: str) -> dict[str, Any]:
    """Ask for the images that are missing, as many as are allowed now; where the backup stands then.

    Raises ReleaseError where a person asked to go without a required backup, or nothing was resolved yet.
    """
    if core.mode(run.window, run.asked) == "off" or run.asked.dry_run:
        return _told("off")
    with run.connect(location) as connection:
        record = _read(run, connection) or _first(run, connection)
        now = connection.now()
        found = _standing(run, connection, record, now)
        if found.missing and not found.over:
            record = _round(run, connection, record, found, now)
            found = _standing(run, connection, record, now)
        return _told("done" if found.done else "waiting", found, record.pace)


def look(run: Run, location: str) -> dict[str, Any]:
    """Where the backup of a location stands; changes nothing.

    `{"state": "waiting|done|off", "available": n, "pending": n, "failed": n, "missing": n, "due": moment or None}`.
    While images are `missing`, `start` has to be called again when `due` has come; `due_now` says whether it has.
    """
    if core.mode(run.window, run.asked) == "off" or run.asked.dry_run:
        return _told("off")
    with run.connect(location) as connection:
        record = _read(run, connection)
        if record is None:
            return {**_told("waiting"), "due_now": True}
        now = connection.now()
        found = _standing(run, connection, record, now)
        told = _told("done" if found.done else "waiting", found, record.pace)
        return {**told, "due_now": bool(found.missing) and not found.over and record.pace.allowed(now) > 0}


def outcome(run: Run, connection: Connection) -> Standing | None:
    """Where a location's backup stands, for admission and reports; None: this release makes none, or never began."""
    if core.mode(run.window, run.asked) == "off":
        return None
    record = _read(run, connection)
    return None if record is None else _standing(run, connection, record, connection.now())


def rows(location: str, found: Standing) -> list[dict[str, Any]]:
    """Rows of the table `backups`; `location` is the confirmed account and Region."""
    without = found.without()
    states: list[tuple[str, str | None, str]] = [(node, image, "available") for node, image in found.available.items()]
    states += [(node, None, "pending") for node in found.pending]
    states += [(node, None, "failed") for node in found.failed]
    states += [(node, None, "missing") for node in found.missing]
    return [
        {"location": location, "node": node, "image": image, "state": state, "detail": without.get(node)}
        for node, image, state in states
    ]


def _first(run: Run, connection: Connection) -> _Record:
    nodes = core.wanted(resolve.read_resolved(run, connection), gate.not_admissible(run))
    until = core.deadline(run.policy, run.window, run.release.occurrence)
    record = _Record(nodes, until, Pace(), {})
    _write(run, connection, record)
    return record


def _round(run: Run, connection: Connection, record: _Record, found: Standing, now: datetime) -> _Record:
    """One round of requests, each of which a retry finds again by its name; the pace is recorded before it."""
    nodes = core.turn(found.missing, record.broke_at)[: record.pace.allowed(now)]
    if not nodes:
        return record
    between = timedelta(seconds=run.policy.timing.poll_seconds)
    _write(run, connection, replace(record, pace=record.pace.after(len(nodes), now, between, throttled=False)))
    refused, said, broke_at, made = dict(record.refused), "", "", 0
    for node in nodes:
        try:
            _ask(run, connection, node)
        except AWSError as error:
            if not error.code.startswith(core.REFUSALS):
                said, broke_at = str(error), node
                break
            refused[node] = str(error)
        made += 1
    pace = record.pace.after(made, now, between, throttled=bool(said))
    after = replace(record, pace=pace, refused=refused, said=said, broke_at=broke_at)
    _write(run, connection, after)
    return after


def _ask(run: Run, connection: Connection, node: str) -> None:
    try:
        images.create(
            connection,
            run.policy.deployment,
            run.release.id,
            node,
            core.expires(run.window, run.release.occurrence),
            reboot=run.window.backup.reboot,
        )
    except AWSError as error:
        if error.code != images.TAKEN:  # another try of this release was there first
            raise


def _standing(run: Run, connection: Connection, record: _Record, now: datetime) -> Standing:
    found = images.of_release(connection, run.policy.deployment, run.release.id)
    return core.standing(record.nodes, found, record.refused, now, record.until, record.said)


def _read(run: Run, connection: Connection) -> _Record | None:
    step = operations.read_step(connection, operations.bucket_of(run.policy, connection), run.release.id, STEP)
    return None if step is None else _Record.of_json(step)


def _write(run: Run, connection: Connection, record: _Record) -> None:
    bucket = operations.bucket_of(run.policy, connection)
    operations.write_step(connection, bucket, run.release.id, STEP, record.as_json())


def _told(state: str, found: Standing | None = None, pace: Pace | None = None) -> dict[str, Any]:
    counts = {name: len(getattr(found, name)) if found else 0 for name in ("available", "pending", "failed", "missing")}
    due = pace.due.isoformat() if pace and pace.due and found and found.missing else None
    return {"state": state, **counts, "due": due}
