"""What the demo's fortnight is to show, and whether it did: asked of the lab's record wherever it knows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lab.rehearsal.conductor import Release, outcome_of
from lab.rehearsal.record import Record
from lab.rehearsal.table import installs_of, nodes_of
from sluice.core.release.terms import Reason

FIRST_DAY, WEEKS = "2025-06-03", 2
REFUSED_IN = ("222222222222", "eu-central-1")
"""The account and Region in which an image is refused."""
FAULTS: tuple[dict[str, Any], ...] = (
    # One image is refused, once: where backups are required its node is not admitted, and waits for the next release.
    {
        "kind": "access_denied",
        "service": "ec2",
        "operation": "CreateImage",
        "account": REFUSED_IN[0],
        "region": REFUSED_IN[1],
        "times": 1,
    },
)
"""What goes wrong beside what goes wrong on the demo's nodes anyway."""
SUCCESSOR: dict[str, Any] = {
    # Four days after its predecessor, which non-production then has had for too short a time.
    "product": "AmazonLinux2023",
    "available": "2025-06-09T12:00:00Z",
    "package": {
        "name": "amazon-ssm-agent",
        "arch": "x86_64",
        "version": "3.3.2299.0",
        "release": "2.amzn2023",
        "notice": {"id": "LAB-2025-0609", "classification": "Security", "severity": "Important"},
    },
}
"""No real advisory of these two weeks follows another one so soon: this one is made up, as its id says."""
FLAKY = {"tags": {"Name": "web-nonprod-flaky"}}
"""The node of the demo's fleet on which installs fail."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens on a day, whatever is released."""

    at: datetime
    alarm: str = ""
    """The state that the policy's alarms are in from then on; empty: they stay as they are."""
    faults: Mapping[str, float] | None = None
    """What goes wrong on the flaky node from then on; None: no change, `{}`: nothing."""


EVENTS = (
    # Whether one install in two fails is chance: here the first of June's fail, and the next repair it.
    Event(datetime(2025, 6, 3, tzinfo=UTC), faults={"install_failure": 1.0}),
    Event(datetime(2025, 6, 6, tzinfo=UTC), faults={}),
    # The day of Windows' production release: while an alarm is in ALARM no gate opens.
    Event(datetime(2025, 6, 10, tzinfo=UTC), alarm="ALARM"),
    Event(datetime(2025, 6, 12, tzinfo=UTC), alarm="OK"),
)


@dataclass(frozen=True, slots=True)
class Shown:
    """One thing that was to be seen, and where it was; `where` is empty where it was not."""

    what: str
    where: str


def shown(
    done: Sequence[Release], record: Record, nodes: Sequence[Mapping[str, Any]], imaged: Collection[str]
) -> list[Shown]:
    """Everything that the fortnight is to show. `imaged` are the names of the images in `REFUSED_IN`."""
    gated = [one for one in done if one.planned.gated]
    soak = timedelta(days=7)
    return [
        Shown("a closed gate", _first(gated, lambda one: _verdict(one) == "closed")),
        Shown("an open gate, approved", _first(gated, lambda one: _verdict(one) == "open" and one.answer == "Approve")),
        Shown(
            "production released",
            _first(gated, lambda one: outcome_of(one) in ("released", "partial") and bool(nodes_of(one, record)[0])),
        ),
        Shown("a failed node", _first(done, lambda one: bool(nodes_of(one, record)[1]))),
        Shown("an offline node", ", ".join(sorted(one["name"] for one in nodes if one["agent"] == "lost")[:2])),
        Shown("a failed backup, and its node left as it was", _unprotected(gated, record, nodes, imaged)),
        Shown("a reboot wave", _booted(record)),
        Shown("a patch whose successor came before it had soaked", _overtaken(record, soak)),
    ]


def _verdict(release: Release) -> str:
    gate = release.results.get("gate")
    return str(gate.get("verdict")) if isinstance(gate, Mapping) else ""


def _first(done: Sequence[Release], fits: Any) -> str:
    return next((f"{one.planned.start:%a %d %b} {one.planned.window}" for one in done if fits(one)), "")


def _unprotected(
    gated: Sequence[Release], record: Record, nodes: Sequence[Mapping[str, Any]], imaged: Collection[str]
) -> str:
    """The node that a release kept out for want of its image and that nothing was asked of, beside one that it was.

    That it was kept out is the release's word; that there is no image of it, and no install, is the lab's.
    """
    for release in gated:
        admit = release.results.get("admit")
        if not isinstance(admit, Mapping) or not admit["not_admitted"].get(Reason.NO_BACKUP):
            continue
        prefix = f"{release.planned.window}-{release.planned.start:%Y%m%dT%H%M}-"
        protected = {name.rpartition("/")[2] for name in imaged if name.startswith(prefix)}
        installed = {entry["node_id"] for entry in installs_of(release, record)}
        group = {entry["group"] for entry in installs_of(release, record)}
        there = [
            one
            for one in nodes
            if (one["account"], one["region"]) == REFUSED_IN and one["group"] in group and one["reachable"]
        ]
        without = [one["name"] for one in there if one["node_id"] not in protected | installed]
        if without and any(one["node_id"] in protected & installed for one in there):
            return f"{', '.join(without)} on {release.planned.start:%a %d %b}"
    return ""


def _booted(record: Record) -> str:
    boots = [entry for entry in record.entries if entry["kind"] == "boot"]
    return f"{len(boots)} boots, the first of {boots[0]['name']}" if boots else ""


def _overtaken(record: Record, soak: timedelta) -> str:
    found = record.overtaken(record.policy.rings[0].name, soak)
    return f"{found[0][0]} by {found[0][1].version}" if found else ""
