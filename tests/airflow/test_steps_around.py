"""The policy's steps around the waves, through Airflow's real task execution."""

from __future__ import annotations

from collections.abc import Callable

from flow_world import NONPROD, at
from release_world import FIRST, SECOND, World
from test_asked_by_hand import windows
from test_releases import at_rest, done, lab_fleet, world

from lab.rules import Rule
from lab.testing import LabHandle

__all__ = ["lab_fleet", "world"]

BEFORE = [{"document": "AWS-RunShellScript", "parameters": {"commands": "echo drain"}}, {"automation": "Open-Ticket"}]
AFTER = [{"function": "SSM-Tell"}]


def executions(here: World, window: str = NONPROD) -> dict[str, int]:
    """How many executions a window had, in each location."""
    found = {}
    for place in (FIRST, SECOND):
        location = here.lab.location(*place.split("/"))
        (own,) = [one.window_id for one in location.windows.values() if one.name == f"sluice-{window}"]
        found[place] = sum(one.window_id == own for one in location.executions.values())
    return found


def test_steps_run_around_the_waves_and_one_that_fails_stops_its_location_alone(
    lab: LabHandle, world: Callable[..., World]
) -> None:
    here = world(windows=windows(NONPROD, before=BEFORE, after=AFTER, reboot="never"))
    here.to(at(17, 2, 50))
    lab.world.rules.add(Rule(kind="automation", match="Open-Ticket", outcome="Failed", times=1))
    found = here.run("patch_install_nonprod", {"occurrence": "2025-06-17T03:00:00Z"})
    assert sorted(found.tasks["before"]) == sorted(found.tasks["wave_1.patch"]) == ["failed", "success"]
    assert done(found, "after") == {"success"}
    assert executions(here, f"{NONPROD}-before-2") == {FIRST: 1, SECOND: 1}
    failed, well = (FIRST, SECOND) if found.tasks["before"][0] == "failed" else (SECOND, FIRST)
    assert executions(here) == {failed: 1, well: 3}, (
        "the document; the install where all steps succeeded, and its question"
    )
    assert executions(here, f"{NONPROD}-after-1") == {failed: 0, well: 1}
    assert found.report["outcome"] == "partial"
    assert f"{failed}: step before-2 (automation Open-Ticket): failed" in found.report["line"]
    assert at_rest(here)


def test_a_window_without_steps_has_no_tasks_for_them(world: Callable[..., World]) -> None:
    from dag_runs import read_dags

    world(windows=windows(NONPROD, before=BEFORE))
    dags = read_dags().dags
    assert "before" in dags["patch_install_nonprod"].task_ids
    assert "after" not in dags["patch_install_nonprod"].task_ids
    others = [dags[name] for name in ("patch_install_prod_linux", "patch_scan", "patch_reboot")]
    assert all(not {"places", "before", "after"} & set(one.task_ids) for one in others)


def test_where_nobody_is_admitted_or_the_release_is_late_no_step_runs(world: Callable[..., World]) -> None:
    here = world(windows=windows(NONPROD, before=BEFORE, after=AFTER, reboot="never"))
    here.to(at(17, 5, 30))
    late = here.run("patch_install_nonprod", {"occurrence": "2025-06-17T03:00:00Z"})
    assert (late.state, late.report["outcome"]) == ("success", "late")
    assert done(late, "before") == done(late, "wave_1.patch") == {"skipped"}
    dry = here.run("patch_install_nonprod", {"occurrence": "2025-06-18T03:00:00Z", "dry_run": True})
    assert (dry.state, dry.report["outcome"]) == ("success", "nothing")
    for task in ("places", "before", "wave_1.patch", "after"):
        assert done(dry, task) == {"skipped"}, task
    for window in (NONPROD, f"{NONPROD}-before-2", f"{NONPROD}-after-1"):
        assert executions(here, window) == {FIRST: 0, SECOND: 0}, window
