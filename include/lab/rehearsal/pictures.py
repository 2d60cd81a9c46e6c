"""Takes the documents' pictures of Airflow's UI anew: `python -m lab.rehearsal.pictures [docs/images]`.

Four Mondays of production over the small fleet: nothing has soaked for the first, a freeze holds the second, the third
asks for approval and misses its deadline meanwhile, the fourth is released. Everything that is to be seen happens; only
the deadline, which is hours away, is moved to now in Airflow's database.
"""

from __future__ import annotations

import argparse
import contextlib
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from lab.errors import LabError
from lab.rehearsal import ground
from lab.rehearsal.agenda import Planned
from lab.rehearsal.conductor import Conductor
from lab.rehearsal.drills import NONPROD, PROD, SCAN, SMALL
from lab.rehearsal.play import Plan, Play, moment
from lab.rehearsal.stage import Stage, held, stage
from sluice.core.yaml_text import read

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ("--no-sandbox", "--headless=new", "--disable-gpu", "--disable-background-networking")
SIZE = {"width": 1680, "height": 900}
"""Narrower, the grid of a run is cut off, and columns of other runs stand beside it."""
FREEZE = {"from": "2025-06-16", "until": "2025-06-17", "because": "end of the quarter"}
PATIENCE_MILLISECONDS = 120_000
DRAWN_MILLISECONDS = 4_000
"""How long Airflow's UI may take to draw what it has fetched."""


class Pictures:
    """Airflow's UI in a browser, as its admin."""

    def __init__(self, page: Any, made: Stage, folder: Path) -> None:
        self._page, self._made, self._folder = page, made, folder
        self._asked = False
        page.goto(made.parts.address, timeout=PATIENCE_MILLISECONDS)
        page.fill("input[name=username]", "admin", timeout=PATIENCE_MILLISECONDS)
        page.fill("input[name=password]", made.parts.passwords["admin"])
        page.keyboard.press("Enter")
        page.get_by_text("Welcome").wait_for(timeout=PATIENCE_MILLISECONDS)

    def take(self, name: str, path: str, shows: str) -> None:
        """A picture of a page once it shows a text."""
        self._page.goto(f"{self._made.parts.address}{path}", timeout=PATIENCE_MILLISECONDS)
        self._page.get_by_text(shows).first.wait_for(timeout=PATIENCE_MILLISECONDS)
        self._page.wait_for_timeout(DRAWN_MILLISECONDS)
        self._page.screenshot(path=str(self._folder / f"{name}.png"))

    def asked(self, planned: Planned) -> str:
        """Pictures while the first release that asks waits for an answer, which is yes."""
        if self._asked:
            return "Approve"
        self._asked = True
        self.take("approval", f"{_run(planned)}/tasks/approve/required_actions", "Approve")
        _miss_deadline(self._made, planned)
        self.take("missed-deadline", _run(planned), "Missed")
        return "Approve"


def _run(planned: Planned) -> str:
    return f"/dags/{planned.dag_id}/runs/{planned.run_id}"


def _miss_deadline(made: Stage, planned: Planned) -> None:
    """Move a run's deadline to now, and wait until Airflow has seen that it is missed."""
    now = datetime.now(UTC) - timedelta(seconds=1)  # noqa: TID251  # Airflow's deadlines are of the wall's clock
    named = (planned.dag_id, planned.run_id)
    run = "select id from dag_run where dag_id = ? and run_id = ?"
    patience = time.monotonic() + PATIENCE_MILLISECONDS / 1000
    with contextlib.closing(sqlite3.connect(made.home / "airflow" / "airflow.db", timeout=30)) as connection:
        moved = f"update deadline set deadline_time = ? where dagrun_id in ({run})"  # noqa: S608  # a constant
        connection.execute(moved, (now.strftime("%Y-%m-%d %H:%M:%S.%f"), *named))
        connection.commit()
        missed = f"select count(*) from deadline where missed and dagrun_id in ({run})"  # noqa: S608  # a constant
        while not connection.execute(missed, named).fetchone()[0]:
            if time.monotonic() > patience:
                raise LabError("Airflow did not notice within two minutes that the run's deadline is past")
            time.sleep(1)


@contextlib.contextmanager
def _browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            yield browser.new_page(viewport=SIZE, device_scale_factor=1)  # type: ignore[arg-type]  # a mapping of its two keys
        finally:
            browser.close()


def _policy(home: Path) -> Path:
    """The small policy with a freeze."""
    data = read((SMALL / "policy.yaml").read_text("utf-8"), "policy.yaml").data
    file = home / "pictures.yaml"
    file.write_text(yaml.safe_dump({**data, "gate": {**data["gate"], "freezes": [FREEZE]}}, sort_keys=False), "utf-8")
    return file


def main(arguments: Sequence[str]) -> int:
    """Take every picture."""
    parser = argparse.ArgumentParser(prog="python -m lab.rehearsal.pictures", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=ground.ROOT / "docs" / "images")
    folder = parser.parse_args(list(arguments)).folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary) / "home"
        plan = Plan(
            policy_file=_policy(Path(temporary)),
            fleet=str(SMALL / "fleet.yaml"),
            first=moment("2025-06-06"),
            weeks=4,
        )
        with (
            held(home) as processes,
            stage(home, processes, plan.policy_file, fleet=plan.fleet, start=plan.lab_start) as made,
        ):
            ground.prepare(made.policy, made.policy_file, made.lab.endpoint)
            play = Play(plan, made.policy, made.lab, print)
            due = _chosen(play.due())
            airflow = made.start_airflow()
            airflow.prepare({one.dag_id for one in due}, made.alive)
            with _browser() as page:
                pictures = Pictures(page, made, folder)
                tell = lambda now, text: print(f"{now:%a %d %b %H:%M}  {text}", flush=True)  # noqa: E731  # a name of its own says no more
                Conductor(made.lab, airflow, due, answers=pictures.asked, tell=tell).play()
                _, held_one, _, released = (one for one in due if one.gated)
                pictures.take("held-gate", _run(held_one), "held")
                pictures.take("release", _run(released), "released")
    return 0


def _chosen(due: Sequence[Planned]) -> list[Planned]:
    """Four Mondays of production, before each a night of non-production, and a scan before either."""
    nights, sundays = ("06-06", "06-13", "06-20", "06-27"), ("06-08", "06-15", "06-22", "06-29")
    mondays = ("06-09", "06-16", "06-23", "06-30")
    days = {NONPROD: nights, SCAN: (*nights, *sundays), PROD: mondays}
    return [one for one in due if f"{one.start:%m-%d}" in days.get(one.window, ())]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
