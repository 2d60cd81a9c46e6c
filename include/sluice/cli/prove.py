"""`python -m sluice prove`: whether a policy's soak holds for every release date, and AWS's delays alone would."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sluice.cli import DONE, FAILED
from sluice.cli.words import clock, cut, day, fold, moment, now, patch_words, span
from sluice.core.journey import Arrival
from sluice.core.proof import KINDS, PUBLISHED, Days, Proof, Request, Row, prove
from sluice.files import read_policy

if TYPE_CHECKING:
    from sluice.cli import Subparsers

MOST_YEARS = 10


def add(subparsers: Subparsers) -> None:
    """Its command line."""
    parser = subparsers.add_parser(
        "prove",
        help="that nothing reaches production before its soak, for every release date and operating system",
        description="Try every release date of the coming years on the policy's windows: by AWS's approval delays"
        " alone, and with ledger and gate; with late runs, re-issued patches and missing reboots. Exit code 1 when"
        " anything would be requested before its soak. Reads the policy, not AWS.",
        allow_abbrev=False,
    )
    parser.add_argument("--policy", metavar="PATH", help="a file or folder; else $SLUICE_POLICY or include/policy/")
    parser.add_argument("--years", type=_years, default=2, help=f"how many, 1 to {MOST_YEARS} (default 2)")
    parser.add_argument("--at", type=moment, metavar="DATE", help="the first release date instead of today (UTC)")
    parser.add_argument("--json", action="store_true", help="the same as JSON")


def run(options: argparse.Namespace) -> int:
    """Try it, and show what was found."""
    policy = read_policy(options.policy).policy
    first = (options.at or now()).date()
    proof = prove(policy, first, first + timedelta(days=365 * options.years - 1))
    if options.json:
        print(json.dumps(_proof(proof), indent=2))
    else:
        print(*(part for line in _report(proof, cut(policy.rings[0].name, 13)) for part in fold(line)), sep="\n")
    return DONE if proof.holds else FAILED


def _years(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_YEARS:
        raise argparse.ArgumentTypeError(f"expected 1 to {MOST_YEARS} years, found {text!r}")
    return int(text)


def _report(proof: Proof, first_ring: str) -> Iterator[str]:
    hours = " and ".join(f"{each:%H:%M}" for each in PUBLISHED)
    yield f"Patches released every day from {day(proof.first)} to {day(proof.last)}, at {hours} UTC"
    if not proof.rows:
        yield ""
        yield "No window of the policy installs anything: there is nothing to prove."
        return
    yield ""
    yield from _alone(proof)
    yield ""
    yield from _ledger(proof)
    yield ""
    yield "3. Days from the vendor's date to the first ring and to production, median / worst"
    yield ""
    yield from _table(proof, first_ring)


def _alone(proof: Proof) -> Iterator[str]:
    broken = [kind for kind in KINDS if proof.alone[kind].broken]
    yield "1. By AWS's approval delays alone the soak " + ("BREAKS" if broken else "holds")
    for kind in broken:
        tally = proof.alone[kind]
        yield ""
        yield f"   {KINDS[kind]}: {tally.broken:,} of {tally.tried:,}; the first:"
        if tally.first is not None:
            yield from _request(tally.first)


def _ledger(proof: Proof) -> Iterator[str]:
    tally = proof.ledger
    yield "2. With the ledger and this policy's schedules the soak " + ("HOLDS" if proof.holds else "BREAKS")
    yield f"   {tally.tried:,} requests, with late runs, re-issues and reboots; {tally.broken:,} before their soak"
    if proof.least_soak is not None:
        yield f"   the shortest time in the ring before: {span(proof.least_soak)}"
    if tally.first is not None:
        yield "   the first that breaks it:"
        yield from _request(tally.first)


def _request(request: Request) -> Iterator[str]:
    arrival, course = request.arrival, request.course
    names = [stage.ring.name for stage in request.lane.stages]
    place = request.stage
    yield f"     {patch_words(request.patch)}" + (
        "" if request.stops_before else f" ({', '.join(request.lane.products)})"
    )
    yield _line("vendor", clock(request.issued))
    if course.reissued_after is not None:
        again = "offers it again to nodes that have it" if course.offered_again else "takes it for installed"
        yield _line("re-issued", f"{clock(request.issued + course.reissued_after)}; Windows Update {again}")
    if course.missed_runs:
        runs = "1 run that would install it is" if course.missed_runs == 1 else f"{course.missed_runs} runs are"
        yield _line(names[place - 1], f"{runs} late or failed")
    for each in request.before[:2]:
        yield _line(names[place - 1], f"{_comes(each, request)}; {_shown(each)}")
    if place and not request.before:
        yield _line(names[place - 1], "never installs it")
    yield _line(names[place], _comes(arrival, request))
    yield _line("soak", f"{_soak(arrival)}; {names[place]} demands {request.days} d")


def _line(label: str, text: str) -> str:
    return f"       {cut(label, 12):13}{text}"


def _comes(arrival: Arrival, request: Request) -> str:
    issue = ""
    if request.course.reissued_after is not None:
        issue = " (the first issue)" if arrival.issued == request.issued else " (the re-issue)"
    return f"{clock(arrival.start)} {arrival.stop.window.name}{issue}"


def _shown(arrival: Arrival) -> str:
    return "not rebooted" if arrival.shown is None else f"done by {arrival.shown:%a %H:%M}"


def _soak(arrival: Arrival) -> str:
    if arrival.soaked is None:
        return "none, this never ran there"
    if arrival.soaked < timedelta(0):
        return f"none, it comes {span(-arrival.soaked)} before it is done there"
    return span(arrival.soaked)


def _table(proof: Proof, first_ring: str) -> Iterator[str]:
    yield _row("", "", first_ring, "AWS alone", "with ledger", "and reboot")
    systems: dict[str, list[Row]] = {}
    for row in proof.rows.values():
        systems.setdefault(row.os, []).append(row)
    for os, rows in systems.items():
        if len({_figures(row) for row in rows}) == 1:
            yield _row(os, "every severity", *_figures(rows[0]))
        else:
            for row in rows:
                yield _row(os, row.severity, *_figures(row))
    if any(" +" in figure for row in proof.rows.values() for figure in _figures(row)):
        yield ""
        yield "   +n: so many releases do not come within a year after their delays and soaks."
    if any(row.reboot.never > row.ledger.never for row in proof.rows.values()):
        yield ""
        yield (
            "   and reboot: of a patch that needs a reboot. It does not soak before its ring had one; where no window"
            " reboots, it waits for one by hand."
        )


def _row(os: str, severity: str, *figures: str) -> str:
    return (f"   {os:24}{severity:16}" + "".join(f"{figure:14}" for figure in figures)).rstrip()


def _figures(row: Row) -> tuple[str, ...]:
    waits = "waits" if row.ledger.values else "never"
    return (*(_figure(days, "never") for days in (row.nonprod, row.alone, row.ledger)), _figure(row.reboot, waits))


def _figure(days: Days, none: str) -> str:
    if days.median is None or days.worst is None:
        return none
    late = f" +{days.never}" if days.never else ""
    return f"{days.median:.1f} / {days.worst:.1f}{late}"


def _proof(proof: Proof) -> dict[str, Any]:
    return {
        "first": proof.first.isoformat(),
        "last": proof.last.isoformat(),
        "releases": proof.releases,
        "holds": proof.holds,
        "alone": {
            kind: {
                "tried": tally.tried,
                "broken": tally.broken,
                "first": _counterexample(tally.first) if tally.first else None,
            }
            for kind, tally in proof.alone.items()
        },
        "ledger": {
            "tried": proof.ledger.tried,
            "broken": proof.ledger.broken,
            "first": _counterexample(proof.ledger.first) if proof.ledger.first else None,
            "least_soak_hours": None if proof.least_soak is None else proof.least_soak / timedelta(hours=1),
        },
        "days": [
            {
                "os": row.os,
                "severity": row.severity,
                "first_ring": _spread(row.nonprod),
                "alone": _spread(row.alone),
                "ledger": _spread(row.ledger),
                "ledger_after_reboot": _spread(row.reboot),
            }
            for row in proof.rows.values()
        ],
    }


def _spread(days: Days) -> dict[str, Any]:
    return {"median": days.median, "worst": days.worst, "never": days.never}


def _counterexample(request: Request) -> dict[str, Any]:
    again = request.course.reissued_after
    return {
        "os": request.lane.os,
        "products": request.lane.products,
        "severity": request.patch.severity,
        "issued": request.issued.isoformat(),
        "reissued": (request.issued + again).isoformat() if again else None,
        "offered_again": request.course.offered_again if again else None,
        "missed_runs": request.course.missed_runs,
        "needs_reboot": request.course.needs_reboot,
        "soak_days": request.days,
        "before": [_step(each) for each in request.before],
        "request": _step(request.arrival),
        "soaked_hours": None if request.arrival.soaked is None else request.arrival.soaked / timedelta(hours=1),
    }


def _step(arrival: Arrival) -> dict[str, Any]:
    shown: datetime | None = arrival.shown
    return {
        "window": arrival.stop.window.name,
        "issue": arrival.issued.isoformat(),
        "start": arrival.start.isoformat(),
        "shown": shown.isoformat() if shown else None,
    }
