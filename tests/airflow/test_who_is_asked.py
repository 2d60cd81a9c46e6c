"""Who is asked before production, by whom a run counts as asked for, and until when an answer counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from dag_runs import NOBODY, REQUESTER
from drive import Drive
from flow_world import NONPROD, PROD, SCAN, SMALL, at, run_of
from release_world import FIRST, SECOND, World
from test_releases import at_rest, done, executions, lab_fleet, prod, soaked, world

from sluice.core.release.terms import Asked
from sluice.flow.verify import verify
from sluice_airflow.approval import names_of
from sluice_airflow.runs import UNKNOWN, asked_of, planned

__all__ = ["lab_fleet", "world"]

UNTOUCHED = {FIRST: [], SECOND: []}


def dag_run(kind: str, by: str | None = None, dag_id: str = "patch_install_prod_linux") -> SimpleNamespace:
    return SimpleNamespace(
        run_type=kind,
        triggering_user_name=by,
        dag_id=dag_id,
        data_interval_start=at(16, 1),
        data_interval_end=at(16, 3),
    )


def test_a_scheduled_run_is_for_the_window_whose_start_it_carries_and_nobody_asked_for_it() -> None:
    scheduled = dag_run("scheduled", by="somebody")
    assert planned(scheduled) == at(16, 3)
    assert asked_of({}, scheduled) == Asked()


def test_a_run_by_hand_is_for_when_it_was_asked_for_and_by_whom() -> None:
    by_hand = dag_run("manual", by="ann")
    assert planned(by_hand) is None
    assert asked_of({"occurrence": "2025-06-16T05:00:00+02:00"}, by_hand) == Asked(by="ann", occurrence=at(16, 3))


@pytest.mark.parametrize("kind", ["manual", "backfill", "asset_triggered"])
def test_whatever_the_schedule_did_not_make_counts_as_asked_for_also_where_nobody_is_named(kind: str) -> None:
    assert asked_of({}, dag_run(kind)).by == UNKNOWN


@pytest.mark.parametrize("responder", [None, {}, {"id": "", "name": None}])
def test_an_answer_without_an_id_and_a_name_is_nobodys(responder: dict[str, str] | None) -> None:
    assert names_of(responder) == set()
    assert names_of({"id": 7, "name": "alice"}) == {"7", "alice"}


def test_no_answer_in_time_is_a_rejection(world: Callable[..., World]) -> None:
    here = soaked(world())
    found = prod(here, answer=NOBODY)
    assert (found.state, found.report["outcome"]) == ("success", "held"), found
    assert "nobody approved it in time" in found.report["line"]
    assert found.left is not None
    assert timedelta(hours=1) < found.left < timedelta(hours=2), "05:00, less an hour for images, at two o'clock"
    assert done(found, "approve") == {"success"}
    assert done(found, "backup") == done(found, "wave_1.patch") == {"skipped"}
    assert executions(here, PROD) == UNTOUCHED


def test_nobody_is_asked_when_no_answer_could_come_in_time(world: Callable[..., World]) -> None:
    here = soaked(world())
    here.to(at(30, 4, 15))
    found = here.run("patch_install_prod_linux", {"occurrence": "2025-06-30T03:00:00Z"})
    assert (found.state, found.report["outcome"], found.asked) == ("success", "held", None), found
    assert "nobody was asked: no answer could come in time" in found.report["line"]
    assert done(found, "gate") == {"success"}
    assert done(found, "approve") == done(found, "wave_1.patch") == {"skipped"}
    assert executions(here, PROD) == UNTOUCHED


def test_a_scheduled_release_asks_for_the_first_time_and_later_the_gate_alone_decides(
    world: Callable[..., World],
) -> None:
    here = world(gate={"approval": {"needed": "first", "first": 1, "approvers": "carol"}})

    def before(window: str, when: datetime) -> None:
        here.to(when - timedelta(minutes=20))
        run = run_of(here.policy, window, when, run_id=f"before-{when:%d}-{window}")
        Drive(here.lab, run).release()
        verify(run)

    before(NONPROD, at(9, 3))
    before(NONPROD, at(20, 3))
    before(SCAN, at(23, 0, 20))
    here.to(at(23, 1))
    first = here.run("patch_install_prod_linux", scheduled=(at(23, 1), at(23, 3)), answer="Approve", by="carol")
    assert (first.state, first.report["outcome"]) == ("success", "released"), first
    assert first.asked is not None
    assert "by the calendar" in first.asked
    assert REQUESTER not in first.asked
    assert f"{PROD}-20250623T0300-" in first.asked
    before(SCAN, at(30, 0, 20))
    here.to(at(30, 1))
    second = here.run("patch_install_prod_linux", scheduled=(at(30, 1), at(30, 3)))
    assert (second.state, second.report["outcome"], second.asked) == ("success", "released", None), second
    assert done(second, "approve") == {"success"}
    assert executions(here, PROD)[FIRST] == ["SUCCESS"] * 4
    assert at_rest(here)


@pytest.mark.parametrize(
    ("people", "why"),
    [
        ({"run": "bob"}, f"{REQUESTER} may not run prod-linux: bob may"),
        ({"hours": {"days": "SUN"}}, "expected a run by hand on SUN"),
    ],
)
def test_a_run_by_somebody_without_the_right_or_at_another_hour_is_refused_before_anything(
    world: Callable[..., World], people: dict[str, Any], why: str, capfd: pytest.CaptureFixture[str]
) -> None:
    windows = [{**one, "people": people} if one["name"] == PROD else one for one in SMALL["windows"]]
    here = world(windows=windows)
    here.to(at(30, 2))
    found = here.run("patch_install_prod_linux", {"occurrence": "2025-06-30T03:00:00Z"})
    assert (found.state, found.asked) == ("failed", None)
    assert why in capfd.readouterr().out
    assert done(found, "begin") == {"failed"}
    assert done(found, "resolve") == done(found, "gate") == {"upstream_failed"}
    assert executions(here, PROD) == UNTOUCHED
    assert datetime(2025, 6, 30, 2, tzinfo=UTC) <= here.lab.world.clock.now() < at(30, 3)
