"""`python -m sluice calendar`: the coming windows as weeks, or a patch's way through the rings as a time line."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sluice.cli import DONE
from sluice.cli.time_line import LEGEND, time_line
from sluice.cli.week_grid import WindowTimes, legend, week_grids
from sluice.cli.words import clock, fold, moment, now
from sluice.core.approval import Patch
from sluice.core.calendar import Occurrence
from sluice.core.errors import SluiceError
from sluice.core.journey import Arrival, Course, Journey, journeys, soak_days
from sluice.core.lanes import lanes
from sluice.core.policy.baselines import OperatingSystem
from sluice.core.policy.policy import Policy
from sluice.core.policy.rings import SEVERITIES
from sluice.files import read_policy

if TYPE_CHECKING:
    from sluice.cli import Subparsers

MOST_WEEKS = 60

EPILOG = """\
examples:
  python -m sluice calendar --weeks 2
  python -m sluice calendar --patch 2025-06-10T17:00 --os WINDOWS --severity critical
  python -m sluice calendar --patch 2025-06-10 --os WINDOWS --needs-reboot --rebooted 2025-06-14"""


def add(subparsers: Subparsers) -> None:
    """Its command line."""
    parser = subparsers.add_parser(
        "calendar",
        help="the coming windows of all rings, and the days on which a patch reaches them",
        description="The coming windows, each in its own time zone; or, with --patch, when a patch reaches each ring"
        " by AWS's approval delay alone and with ledger and gate. Reads the policy, not AWS.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--policy", metavar="PATH", help="a file or folder; else $SLUICE_POLICY or include/policy/")
    parser.add_argument("--weeks", type=_weeks, default=4, help=f"how many from then on, 1 to {MOST_WEEKS} (default 4)")
    parser.add_argument("--at", type=moment, metavar="DATE", help="look from then on (UTC) instead of from now on")
    parser.add_argument("--json", action="store_true", help="the same as JSON")
    patch = parser.add_argument_group("the way of a patch")
    patch.add_argument("--patch", type=moment, metavar="DATE", help="the day (00:00 UTC) or time its vendor issues it")
    patch.add_argument("--os", type=_os, metavar="OS", help="as Systems Manager writes it (default: all of the policy)")
    patch.add_argument("--severity", choices=SEVERITIES, default="important")
    patch.add_argument("--classification", help="in the operating system's word (default: a security update)")
    patch.add_argument("--needs-reboot", action="store_true", help="it soaks only where nodes reboot after it")
    patch.add_argument("--rebooted", type=moment, metavar="DATE", help="when non-production is rebooted by hand")


def run(options: argparse.Namespace) -> int:
    """Show it."""
    policy = read_policy(options.policy).policy
    if options.patch is None:
        _show_weeks(policy, options)
    else:
        _show_patch(policy, options)
    return DONE


def _weeks(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_WEEKS:
        raise argparse.ArgumentTypeError(f"expected 1 to {MOST_WEEKS} weeks, found {text!r}")
    return int(text)


def _os(text: str) -> OperatingSystem:
    try:
        return OperatingSystem(text.upper())
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(OperatingSystem)}; found {text!r}") from None


def _show_weeks(policy: Policy, options: argparse.Namespace) -> None:
    since: datetime = options.at or now()
    until = since + timedelta(weeks=options.weeks)
    times = [WindowTimes.of(policy, window, since, until) for window in policy.windows]
    times.sort(key=lambda each: _order(policy, each))
    if options.json:
        print(
            json.dumps(
                {"from": since.isoformat(), "until": until.isoformat(), "windows": [*map(_window, times)]}, indent=2
            )
        )
        return
    print(f"Windows from {clock(since)} UTC until {clock(until)} UTC, each in its own time zone")
    for week in week_grids(times, since, until):
        print("", *week, sep="\n")
    marks = [part for line in legend(times) for part in fold(line)]
    print("", *marks, *([""] if marks else []), *_next(times), sep="\n")
    _say_mode(policy)


def _order(policy: Policy, each: WindowTimes) -> tuple[int, str]:
    """Windows of all rings first, then those of each ring in the policy's order."""
    names = [ring.name for ring in policy.rings]
    first = each.heading.split(" ")[0]
    return (names.index(first) + 1 if first in names else 0, each.heading)


def _next(times: list[WindowTimes]) -> Iterator[str]:
    yield "The next of each:"
    for each in times:
        yield ""
        yield from fold(f"  {each.window.name}: {each.window.schedule} {each.window.time_zone}")
        if each.occurrences:
            yield from fold(f"    {_steps(each.occurrences[0])}")
        else:
            yield "    none in this time"


def _steps(occurrence: Occurrence) -> str:
    window = occurrence.window
    zone = window.zone
    utc = "" if window.time_zone == "UTC" else f" ({occurrence.start:%H:%M} UTC)"
    dag = "" if not window.lead_minutes else f"DAG {occurrence.dag_start.astimezone(zone):%a %m-%d %H:%M} > "
    return (
        f"{dag}start {clock(occurrence.start, zone)}{utc}"
        f" > latest start {occurrence.latest_start.astimezone(zone):%H:%M}"
        f" > cutoff {occurrence.last_task.astimezone(zone):%H:%M} > end {occurrence.end.astimezone(zone):%H:%M}"
    )


def _show_patch(policy: Policy, options: argparse.Namespace) -> None:
    issued: datetime = options.patch
    course = Course(needs_reboot=options.needs_reboot or options.rebooted is not None, rebooted=options.rebooted)
    found: list[Journey] = []
    for os in _systems(policy, options.os):
        patch = Patch.security(os, options.severity)
        if options.classification:
            patch = Patch(os, options.severity, options.classification)
        found += journeys(policy, patch, issued, course)
    if options.json:
        print(json.dumps({"issued": issued.isoformat(), "journeys": [*map(_journey, found)]}, indent=2))
        return
    reboot = ", needs a reboot" if course.needs_reboot else ""
    print(f"A patch issued {clock(issued)} UTC{reboot}")
    print(LEGEND)
    for journey in found:
        print("", *time_line(journey, issued), sep="\n")
    _say_mode(policy)


def _systems(policy: Policy, wanted: OperatingSystem | None) -> list[OperatingSystem]:
    known = list(dict.fromkeys(lane.os for lane in lanes(policy)))
    if wanted is None:
        return known
    if wanted not in known:
        raise SluiceError(
            f"expected an operating system on which the policy's windows install"
            f" ({', '.join(known) or 'it has none'}), found {wanted}"
        )
    return [wanted]


def _say_mode(policy: Policy) -> None:
    if policy.mode == "observe":
        print("\nThe policy is in mode observe: nothing installs. This is what would come in mode release.")


def _window(each: WindowTimes) -> dict[str, Any]:
    window = each.window
    return {
        "name": window.name,
        "rings": each.heading,
        "operation": window.operation,
        "schedule": window.schedule,
        "time_zone": window.time_zone,
        "occurrences": [_occurrence(occurrence) for occurrence in each.occurrences],
        "skipped": [local.isoformat() for local in each.skipped],
    }


def _occurrence(occurrence: Occurrence) -> dict[str, Any]:
    return {
        "start": occurrence.start.isoformat(),
        "local": occurrence.local.isoformat(),
        "dag_start": occurrence.dag_start.isoformat(),
        "latest_start": occurrence.latest_start.isoformat(),
        "last_task": occurrence.last_task.isoformat(),
        "end": occurrence.end.isoformat(),
        "frozen": occurrence.freeze.because if occurrence.freeze else None,
    }


def _journey(journey: Journey) -> dict[str, Any]:
    rings = [
        {
            "ring": stage.ring.name,
            "soak_days": soak_days(stage, journey.patch),
            "alone": [_arrival(each) for each in journey.alone[number]],
            "ledger": [_arrival(each) for each in journey.ledger[number]],
        }
        for number, stage in enumerate(journey.lane.stages)
    ]
    return {
        "os": journey.lane.os,
        "products": journey.lane.products,
        "severity": journey.patch.severity,
        "classification": journey.patch.classification,
        "rings": rings,
    }


def _arrival(arrival: Arrival) -> dict[str, Any]:
    soaked = arrival.soaked
    return {
        "window": arrival.stop.window.name,
        "baseline": arrival.stop.baseline.name,
        "start": arrival.start.isoformat(),
        "shown": arrival.shown.isoformat() if arrival.shown else None,
        "soaked_hours": None if soaked is None else soaked / timedelta(hours=1),
    }
