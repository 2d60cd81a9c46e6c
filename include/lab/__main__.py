"""`python -m lab`: serve the lab, evaluate a baseline, measure the lab, rehearse a policy in it."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lab.errors import LabError

if TYPE_CHECKING:
    from lab.fleet import Fleet
    from lab.server import LabServer
    from lab.world import Lab

DEFAULT_PORT = 5999

SERVE = f"""\
serve the lab on 127.0.0.1 until Ctrl-C or SIGTERM

The clock:
  manual   (default) time stands still until POST /lab/clock/advance moves it
  real     one lab second a second, from the machine's own time on unless --start says otherwise
  RATE     so many lab seconds a second, e.g. 3600: an hour a second
Manual and RATE clocks start at --start, else at the fleet's start, else at 2025-06-02T00:00:00Z.

Fleets: demo (default, about 60 nodes), large (10,000), huge (50,000), or a YAML file (docs/lab.md).
The port is {DEFAULT_PORT} unless --port says otherwise; 0 takes any free one.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; answers its exit status: 0 done, 1 could not, 2 not understood."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["bench"]:
        from lab.bench import main as bench

        return bench(arguments[1:])
    if arguments[:1] in (["rehearse"], ["demo"]):
        from lab.rehearsal.command import main as rehearse

        return rehearse(arguments[1:], arguments[0])
    options = _parser().parse_args(arguments)
    try:
        if options.command == "evaluate":
            from lab.evaluate import main as evaluate

            return evaluate(sys.stdin, sys.stdout, sys.stderr)
        return _serve(options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description="AWS patching on one machine.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{serve,evaluate,bench,rehearse,demo}")
    serve = commands.add_parser(
        "serve",
        help="serve the lab on 127.0.0.1",
        description=SERVE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.add_argument("--port", type=_port, default=DEFAULT_PORT, help="where to listen, 0 to 65535")
    serve.add_argument("--host", default="127.0.0.1", help="where to listen; another is for containers only")
    serve.add_argument("--fleet", default="demo", help="demo, large, huge or a file")
    serve.add_argument("--clock", type=_clock, default="manual", help="manual, real or lab seconds per second")
    serve.add_argument("--seed", type=int, default=0, help="whole number that every id and draw comes from")
    serve.add_argument("--start", type=_moment, help="when the lab's time begins, e.g. 2025-06-02T00:00:00Z")
    commands.add_parser(
        "evaluate", help="what a baseline makes of packages: JSON from standard input to standard output"
    )
    commands.add_parser("bench", help="how large a fleet the lab holds (its own options: bench --help)")
    commands.add_parser("rehearse", help="a policy's weeks through the real DAGs (its own options: rehearse --help)")
    commands.add_parser("demo", help="the demo's fortnight, and Airflow's UI open on it (its own options: demo --help)")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 (any free one) to 65535, found {text!r}")
    return int(text)


def _clock(text: str) -> str | float:
    if text in ("manual", "real"):
        return text
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise argparse.ArgumentTypeError(
            f"expected manual, real, or how many lab seconds pass in a second (above 0), found {text!r}"
        )
    return rate


def _moment(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise argparse.ArgumentTypeError(f"expected a time with its zone such as 2025-06-02T00:00:00Z, found {text!r}")
    return when


def _serve(options: argparse.Namespace) -> int:
    from lab.fleet import load_fleet
    from lab.server import LabServer

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        fleet = load_fleet(options.fleet)
        with LabServer(_lab(options, fleet), options.port, fleet=fleet, host=options.host) as server:
            print(_welcome(server), flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        print("The lab has stopped.", flush=True)
    return 0


def _lab(options: argparse.Namespace, fleet: Fleet) -> Lab:
    from lab.clock import START, Clock
    from lab.world import Lab

    if options.clock == "real":
        now = datetime.now(UTC)  # noqa: TID251  # that is what a real clock starts from
        return Lab(clock=Clock(options.start or now, rate=1.0), seed=options.seed)
    rate = None if options.clock == "manual" else options.clock
    return Lab(clock=Clock(options.start or fleet.start or START, rate=rate), seed=options.seed)


def _welcome(server: LabServer) -> str:
    from lab.clock import stamp

    lab = server.lab
    locations = list(lab.locations())
    nodes = sum(len(location.nodes) for location in locations)
    places = "location (account and Region)" if len(locations) == 1 else "locations (account and Region)"
    manual = f"curl -X POST -d '{{\"hours\": 1}}' {server.endpoint}/lab/clock/advance"
    return f"""\
The lab has {nodes} nodes in {len(locations)} {places}. Its time is {stamp(lab.clock.now())}.
Endpoint: {server.endpoint}

export AWS_ENDPOINT_URL={server.endpoint}
export AWS_ACCESS_KEY_ID=lab
export AWS_SECRET_ACCESS_KEY=lab
export AWS_DEFAULT_REGION={lab.default_region}

{_about_clock(lab.clock.rate, manual)}
Its own API: curl {server.endpoint}/lab/
Stop it with Ctrl-C."""


def _about_clock(rate: float | None, advance: str) -> str:
    if rate == 1.0:
        return "The clock is real: one lab second a second."
    if rate is None:
        return f"The clock is manual: time stands still until you move it, e.g. an hour on:\n{advance}"
    return f"The clock runs: {rate:g} lab seconds a second. Move it further, e.g. an hour on:\n{advance}"


if __name__ == "__main__":
    sys.exit(main())
