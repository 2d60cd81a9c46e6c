"""`python -m lab rehearse` and `python -m lab demo`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.rehearsal import table
from lab.rehearsal.airflow_parts import AirflowParts
from lab.rehearsal.conductor import Airflow
from lab.rehearsal.ground import ROOT, prepare
from lab.rehearsal.play import Plan, Play, moment
from lab.rehearsal.stage import FOLDER, POLL_AT_MOST, POLL_IN_PROCESS, Stage, held, stage

NOT_OF_DRILLS = {
    "--from": "first",
    "--weeks": "weeks",
    "--policy": "policy",
    "--fleet": "fleet",
    "--seed": "seed",
    "--window": "window",
    "--in-process": "in_process",
}
"""What a drill chooses by itself: the options, and where they are parsed to."""
DRILLS = ("halt", "bad-patch", "crash-after-open", "airflow-down", "retag")

REHEARSE = """\
rehearse a policy's weeks in the lab, through the real DAGs

Starts a lab and an Airflow of its own on 127.0.0.1, applies the policy, and goes through its calendar: each DAG is
triggered when it is due, questions are answered by somebody else than who asked, and the lab's clock moves only while
everybody waits. Ends with what became of each release and each patch, and with 1 where the soak was broken or
something that was to be seen was not.
"""


def main(arguments: Sequence[str], command: str) -> int:
    """Run `rehearse` or `demo`; 0 all is as it is to be, 1 it is not, 130 interrupted."""
    options = options_of(command, arguments)
    try:
        if options.drill:
            from lab.rehearsal.drills import drill

            return drill(options.drill, options.home, say)
        return _play(options, stays=command == "demo" and not options.exit)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("\nInterrupted: everything that was started has been stopped.")
        return 130


def options_of(command: str, arguments: Sequence[str]) -> argparse.Namespace:
    """What was asked for. Ends the process with 2 where it is not understood."""
    parser = _parser(command)
    options = parser.parse_args(list(arguments))
    given = [flag for flag, name in NOT_OF_DRILLS.items() if getattr(options, name) is not None]
    if options.drill and given:
        parser.error(
            f"argument --drill: expected at most --home beside it, found {', '.join(given)}: a drill has a policy, a"
            " fleet and days of its own; leave them out"
        )
    return options


def say(text: str) -> None:
    """A line for whoever looks on, at once."""
    print(text, flush=True)


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m lab {command}", description=REHEARSE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    plan = Plan()
    first = f"the first day, {plan.first:%Y-%m-%d} without it"
    parser.add_argument("--from", dest="first", type=_day, metavar="DAY", help=first)
    parser.add_argument("--weeks", type=_weeks, help=f"how many weeks, 1 to 52, {plan.weeks} without it")
    parser.add_argument("--policy", type=Path, help="a policy file; the demo's without it")
    parser.add_argument("--fleet", help="demo (without it), large, huge or a file")
    parser.add_argument("--seed", type=int, help="whole number that every id and draw comes from, 0 without it")
    parser.add_argument("--window", action="append", help="only this window; may be repeated")
    parser.add_argument("--home", type=Path, default=ROOT / FOLDER, help="where it keeps everything while it runs")
    parser.set_defaults(drill=None, exit=False, in_process=None)
    if command == "demo":
        parser.add_argument("--exit", action="store_true", help="end when the last release has, instead of staying")
    else:
        parser.add_argument(
            "--in-process", action="store_true", default=None, help="without Airflow's servers: one location, quick"
        )
        parser.add_argument("--drill", choices=DRILLS, help="let this go wrong on purpose, and look what becomes of it")
    return parser


def _day(text: str) -> datetime:
    try:
        return moment(text)
    except LabError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _weeks(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 52:
        raise argparse.ArgumentTypeError(f"expected a whole number of weeks from 1 to 52, found {text!r}")
    return int(text)


def plan_of(options: argparse.Namespace) -> Plan:
    """What was asked for, and for the rest the demo's fortnight."""
    given: dict[str, Any] = {
        "policy_file": options.policy and options.policy.resolve(),
        "fleet": options.fleet,
        "first": options.first,
        "weeks": options.weeks,
        "seed": options.seed,
        "windows": options.window and tuple(options.window),
    }
    return Plan(**{name: value for name, value in given.items() if value is not None})


def _play(options: argparse.Namespace, *, stays: bool) -> int:
    began = time.monotonic()
    plan = plan_of(options)
    with (
        held(options.home.resolve()) as processes,
        stage(
            options.home.resolve(),
            processes,
            plan.policy_file,
            fleet=plan.fleet,
            start=plan.lab_start,
            seed=plan.seed,
            poll_at_most=POLL_IN_PROCESS if options.in_process else POLL_AT_MOST,
        ) as made,
    ):
        play = Play(plan, made.policy, made.lab, say)
        due = play.due()
        say(f"Lab: {made.lab.endpoint}. Applying the policy, then starting Airflow …")
        prepare(made.policy, made.policy_file, made.lab.endpoint)
        airflow: Airflow
        if options.in_process:
            airflow = made.start_in_process()
        else:
            airflow = served = made.start_airflow()
            served.prepare({one.dag_id for one in due}, made.alive)
            say(welcome(made.parts, time.monotonic() - began))
        done = play.run(airflow)
        wrong = play.verdict(done)
        table.write_patches(play.record(), [ring.name for ring in made.policy.rings], options.home / "patches.csv")
        say(f"Every patch with its days: {options.home / 'patches.csv'}")
        for one in wrong:
            print(f"lab: {one}", file=sys.stderr)
        said = "Not as it is to be" if wrong else "All as it is to be"
        say(f"\n{said}, {time.monotonic() - began:.0f} s after the start.")
        if stays:
            _stay(made)
        return 1 if wrong else 0


def welcome(parts: AirflowParts, seconds: float) -> str:
    """Where Airflow is, who may sign in, and how long it took until then."""
    users = "".join(f"  user {name}, password {password}\n" for name, password in parts.passwords.items())
    return f"Airflow: {parts.address}  ({seconds:.0f} s after the start)\n{users}"


def _stay(made: Stage) -> None:
    say(f"\nAirflow stays open on {made.parts.address} until Ctrl-C.")
    while True:
        made.alive()
        time.sleep(1)
