"""Weeks of patching through Airflow's real task execution, judged from the lab's own record."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from lab.rehearsal import ground
from lab.rehearsal.conductor import Release, outcome_of
from lab.rehearsal.drills import PROD, SCAN, SMALL, drill
from lab.rehearsal.play import Plan, Play, moment
from lab.rehearsal.record import Record, waived
from lab.rehearsal.stage import POLL_IN_PROCESS, held, stage
from lab.rehearsal.table import nodes_of

WEEKS = 4


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Release], Record, list[str]]:
    """Four weeks of one location; what became of each release, what the lab saw, and what was said."""
    home = tmp_path_factory.mktemp("rehearsal")
    plan = Plan(
        policy_file=SMALL / "policy.yaml", fleet=str(SMALL / "fleet.yaml"), first=moment("2025-06-03"), weeks=WEEKS
    )
    said: list[str] = []
    with (
        held(home) as processes,
        stage(
            home, processes, plan.policy_file, fleet=plan.fleet, start=plan.lab_start, poll_at_most=POLL_IN_PROCESS
        ) as made,
    ):
        ground.prepare(made.policy, made.policy_file, made.lab.endpoint)
        play = Play(plan, made.policy, made.lab, said.append)
        done = play.run(made.start_in_process())
        assert play.verdict(done) == []
        return done, play.record(), said


def test_every_occurrence_of_the_calendar_was_released_or_held(weeks: tuple[list[Release], Record, list[str]]) -> None:
    done, _, _ = weeks
    assert Counter(one.planned.window for one in done) == {SCAN: 28, "install-nonprod": 20, PROD: 4}
    assert {outcome_of(one) for one in done if one.planned.window == SCAN} == {"released"}
    assert all(outcome_of(one) in ("released", "partial", "held", "nothing") for one in done)


def test_production_was_asked_for_nothing_before_its_soak(weeks: tuple[list[Release], Record, list[str]]) -> None:
    _, record, _ = weeks
    assert record.broken(waived(record.policy)) == []
    assert record.ungated() == []


def test_and_it_was_asked_for_what_had_soaked(weeks: tuple[list[Release], Record, list[str]]) -> None:
    done, record, _ = weeks
    first = min(one.planned.start for one in done)
    released = [one for one in done if one.planned.window == PROD and nodes_of(one, record)[0]]
    assert len(released) >= 2
    assert all(one.planned.start - first >= timedelta(days=6) for one in released)
    assert all(one.answer == "Approve" for one in released)
    both = [patch for patch, days in record.days().items() if {"nonprod", "prod"} <= days.keys()]
    assert len(both) >= 10


def test_no_release_ran_twice(weeks: tuple[list[Release], Record, list[str]]) -> None:
    done, record, _ = weeks
    assert all(entry["execution_id"] for entry in record.installs())
    once = Counter((entry["execution_id"], entry["node_id"]) for entry in record.installs() if not entry["failed"])
    assert set(once.values()) == {1}
    assert len({one.planned.run_id for one in done}) == len({(one.planned.start) for one in done})


def test_what_was_said_ends_with_the_releases_the_patches_and_the_invariant(
    weeks: tuple[list[Release], Record, list[str]],
) -> None:
    _, _, said = weeks
    text = "\n".join(said)
    assert "Mon 16 Jun 03:00  install-prod-linux" in text
    assert "OS product" in text
    assert "0 of them before their soak" in text


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["halt", "bad-patch", "crash-after-open", "airflow-down", "retag"])
def test_each_drill_ends_as_it_must(tmp_path: Path, name: str) -> None:
    said: list[str] = []
    assert drill(name, tmp_path, said.append) == 0, "\n".join(said)


@pytest.mark.nightly
def test_four_locations_are_rehearsed_over_four_weeks_through_airflows_own_parts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lab", "rehearse", "--weeks", "4", "--home", str(tmp_path)]
    done = subprocess.run(command, cwd=ground.ROOT / "include", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All as it is to be" in done.stdout
