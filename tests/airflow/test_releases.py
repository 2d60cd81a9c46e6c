"""Releases through Airflow's real task execution, against the lab: what runs, what is skipped, what is patched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from dag_runs import REQUESTER, Run
from drive import Drive
from flow_world import NONPROD, PROD, SCAN, SMALL, at, run_of
from release_world import FIRST, FLEET, SECOND, World, pacemaker, world_of

from lab.faults import FaultRule
from lab.testing import LabHandle
from sluice.aws.session import Connections
from sluice.flow.halt import halt
from sluice.flow.verify import verify
from sluice_airflow.triggers import polling

MOST = 45
"""Task instances of a release in three waves over four locations."""


@pytest.fixture
def lab_fleet(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The fleet; with a parameter, the groups whose installs fail."""
    failing = getattr(request, "param", ())
    data = yaml.safe_load(FLEET.read_text("utf-8"))
    for group in data["groups"]:
        if group["name"] in failing:
            group["node_faults"] = {"install_failure": 1.0}
    file = tmp_path / "fleet.yaml"
    file.write_text(yaml.safe_dump(data), "utf-8")
    return str(file)


@pytest.fixture
def world(
    airflow_home: Path, aws_environment: LabHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., World]:
    monkeypatch.setattr(polling, "sleep", pacemaker(aws_environment))

    def make(**changes: Any) -> World:
        return world_of(aws_environment, tmp_path, monkeypatch.setenv, **changes)

    return make


def soaked(world: World, day: int = 17) -> World:
    """Non-production was patched on a day of June, and everything was scanned this morning, the 30th."""
    for window, when in ((NONPROD, at(day, 3)), (SCAN, at(30, 0, 30))):
        world.to(when - timedelta(minutes=20))
        run = run_of(world.policy, window, when, run_id=f"before-{window}")
        Drive(world.lab, run).release()
        verify(run)
    return world


def executions(world: World, window: str) -> dict[str, list[str]]:
    """The executions of a window in each location, as the lab has them: operations of their tasks, in their order."""
    found = {}
    for place in (FIRST, SECOND):
        ssm = world.lab.client("ssm", *place.split("/"))
        windows = ssm.describe_maintenance_windows(Filters=[{"Key": "Name", "Values": [f"sluice-{window}"]}])
        (one,) = windows["WindowIdentities"]
        answer = ssm.describe_maintenance_window_executions(WindowId=one["WindowId"])
        found[place] = [run["Status"] for run in answer["WindowExecutions"]]
    return found


def at_rest(world: World) -> bool:
    """Whether no window of any location is enabled."""
    places = [world.lab.location(*place.split("/")) for place in (FIRST, SECOND)]
    return not any(window.enabled for place in places for window in place.windows.values())


def done(found: Run, task: str) -> set[str]:
    return set(found.tasks[task])


def test_a_scan_reaches_every_node_with_one_execution_in_each_location(world: Callable[..., World]) -> None:
    here = world()
    here.to(at(3, 0, 50))
    found = here.run("patch_scan", {"occurrence": "2025-06-03T01:00:00Z"})
    assert (found.state, found.report["outcome"]) == ("success", "released")
    assert {state for states in found.tasks.values() for state in states} == {"success"}
    assert executions(here, SCAN) == {FIRST: ["SUCCESS"], SECOND: ["SUCCESS"]}
    assert at_rest(here)


def test_every_step_may_run_twice_without_a_second_execution(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.dagrun import DagRun

    monkeypatch.setattr(DagRun, "generate_run_id", lambda **settings: "manual__the_same_run")
    here = world()
    here.to(at(17, 2, 50))
    asked = {"occurrence": "2025-06-17T03:00:00Z"}
    first = here.run("patch_install_nonprod", asked)
    assert (first.state, first.report["outcome"]) == ("success", "released")
    before = executions(here, NONPROD)
    assert {len(found) for found in before.values()} <= {1, 3}  # the install; a reboot and a scan where it needs one
    again = here.run("patch_install_nonprod", asked)
    assert (again.state, again.report["outcome"], again.tasks) == ("success", "released", first.tasks)
    assert executions(here, NONPROD) == before
    assert at_rest(here)


def test_a_release_that_comes_too_late_opens_nothing_and_is_no_failure(world: Callable[..., World]) -> None:
    here = world()
    here.to(at(17, 5, 30))
    found = here.run("patch_install_nonprod", {"occurrence": "2025-06-17T03:00:00Z"})
    assert (found.state, found.report["outcome"]) == ("success", "late")
    for task in ("wave_1.patch", "wave_1.reboot", "wave_1.settle", "verify"):
        assert done(found, task) == {"skipped"}, task
    assert done(found, "close") == {"success"}
    assert executions(here, NONPROD) == {FIRST: [], SECOND: []}


def test_a_halted_release_opens_nothing(world: Callable[..., World]) -> None:
    here = world()
    here.to(at(17, 2, 50))
    halt(here.policy, Connections.of(here.policy), None, by="carol", because="a bad patch")
    found = here.run("patch_install_nonprod", {"occurrence": "2025-06-17T03:00:00Z"})
    assert found.report["outcome"] == "halted"
    assert executions(here, NONPROD) == {FIRST: [], SECOND: []}


def test_a_denied_location_fails_alone(lab: LabHandle, world: Callable[..., World]) -> None:
    here = world()
    here.to(at(17, 2, 50))
    lab.server.faults.add(FaultRule(kind="access_denied", service="ssm", region="eu-central-1"))
    found = here.run("patch_install_nonprod", {"occurrence": "2025-06-17T03:00:00Z"})
    assert found.report["outcome"] == "partial"
    assert found.tasks["resolve"] == ["success", "failed"]
    assert done(found, "wave_1.patch") == {"success"}
    lab.server.faults.clear()
    assert {place: len(found) > 0 for place, found in executions(here, NONPROD).items()} == {FIRST: True, SECOND: False}


@pytest.mark.parametrize("lab_fleet", [("web-nonprod",)], indirect=True)
def test_failures_beyond_the_allowed_ratio_fail_the_run_although_its_teardown_succeeded(
    world: Callable[..., World],
) -> None:
    windows = [{**one, **({"waves": {"canary": 1}} if one["name"] == NONPROD else {})} for one in SMALL["windows"]]
    here = world(windows=windows)
    here.to(at(17, 2, 50))
    found = here.run("patch_install_nonprod", {"occurrence": "2025-06-17T03:00:00Z"})
    assert (found.state, found.report["outcome"]) == ("failed", "partial")
    assert done(found, "close") == {"success"}
    assert done(found, "wave_2.patch") == {"skipped"}
    assert sum(map(len, executions(here, NONPROD).values())) == 1  # the canary, in the first location
    assert at_rest(here)


def test_that_no_report_can_be_written_is_told_once_however_often_it_is_tried(
    lab: LabHandle, world: Callable[..., World]
) -> None:
    topic = lab.client("sns", region="eu-west-3").create_topic(Name="patching")["TopicArn"]
    here = world(evidence={"bucket": "sluice-evidence-gone"}, notify={"sns_topic": topic})
    found = here.run("patch_scan", {"occurrence": "2025-06-03T01:00:00Z"})
    assert (found.state, done(found, "report"), found.report) == ("failed", {"failed"}, {})
    assert str(found.note).startswith("the report failed: ")
    assert "sluice-evidence-gone" in str(found.note)
    assert lab.server.calls.total(service="sns", operation="Publish") == 1


def test_a_dry_run_ends_before_anything_is_made(world: Callable[..., World]) -> None:
    here = world()
    here.to(at(17, 2, 50))
    changed = here.lab.server.calls.total(mutating=True, service="ec2")
    found = here.run("patch_install_nonprod", {"occurrence": "2025-06-17T03:00:00Z", "dry_run": True})
    assert found.state == "success"
    assert done(found, "preflight") == {"success"}
    for task in ("backup", "admit", "hold", "wave_1.patch", "verify", "close"):
        assert done(found, task) == {"skipped"}, task
    assert here.lab.server.calls.total(mutating=True, service="ec2") == changed
    assert executions(here, NONPROD) == {FIRST: [], SECOND: []}


def test_without_anything_soaked_there_is_nothing_to_release_and_nobody_is_asked(world: Callable[..., World]) -> None:
    here = world()
    here.to(at(30, 2))
    found = here.run("patch_install_prod_linux", {"occurrence": "2025-06-30T03:00:00Z"})
    assert (found.state, found.report["outcome"], found.asked) == ("success", "nothing", None)
    assert done(found, "gate") == {"success"}
    for task in ("approve", "backup", "admit", "hold", "wave_1.patch", "wave_2.settle", "verify", "close"):
        assert done(found, task) == {"skipped"}, task


def prod(here: World, **settings: Any) -> Run:
    here.to(at(30, 2))
    return here.run("patch_install_prod_linux", {"occurrence": "2025-06-30T03:00:00Z"}, **settings)


def test_a_closed_gate_holds_the_release_and_asks_nobody(world: Callable[..., World]) -> None:
    freeze = {"from": "2025-06-28", "until": "2025-07-01", "because": "peak season"}
    here = soaked(world(gate={"approval": "never", "freezes": [freeze]}))
    found = prod(here)
    assert (found.state, found.report["outcome"], found.asked) == ("success", "held", None)
    assert done(found, "approve") == done(found, "wave_1.patch") == {"skipped"}


def pages(here: World, place: str) -> list[tuple[str, str]]:
    """AWS's pages of each production execution that the lab has there, by time: of it, and of its one command."""
    location = here.lab.location(*place.split("/"))
    (window,) = [one.window_id for one in location.windows.values() if one.name == f"sluice-{PROD}"]
    manager = f"https://{place.split('/')[1]}.console.aws.amazon.com/systems-manager"
    found = []
    for one in sorted(location.executions.values(), key=lambda one: one.start):
        if one.window_id == window:
            (command,) = [invocation.execution_id for task in one.tasks for invocation in task.invocations]
            history = f"{manager}/maintenance-windows/{window}/history/{one.execution_id}"
            found.append((history, f"{manager}/run-command/{command}"))
    return found


def links(here: World, release: str) -> dict[tuple[str, str], list[str]]:
    """Where the links of a production release are to lead: a canary in the first location, then the rest in both."""
    (canary, rest), (other,) = pages(here, FIRST), pages(here, SECOND)
    images = [
        f"https://{region}.console.aws.amazon.com/ec2/home?region={region}#Images:visibility=owned-by-me;search={release}"
        for region in (place.split("/")[1] for place in (FIRST, SECOND))
    ]
    return {
        ("backup", "ImagesLink"): images,
        ("wave_1.patch", "WindowLink"): [canary[0]],
        ("wave_1.patch", "CommandLink"): [canary[1]],
        ("wave_2.patch", "WindowLink"): [rest[0], other[0]],
        ("wave_2.patch", "CommandLink"): [rest[1], other[1]],
        # Production reboots nothing by this policy, and asks nobody.
        ("wave_1.reboot", "WindowLink"): [""],
        ("wave_1.reboot", "CommandLink"): [""],
        ("wave_2.reboot", "WindowLink"): ["", ""],
        ("wave_2.reboot", "CommandLink"): ["", ""],
    }


def test_an_approved_release_goes_through_its_waves_backs_up_first_and_links_to_all_of_it(
    world: Callable[..., World],
) -> None:
    here = soaked(world())
    found = prod(here, answer="Approve")
    assert (found.state, found.report["outcome"]) == ("success", "released")
    assert found.asked is not None
    assert REQUESTER in found.asked
    assert "AMAZON_LINUX_2023" in found.asked
    images = here.lab.client("ec2", *FIRST.split("/")).describe_images(Owners=["self"])["Images"]
    assert len(images) == 3
    assert done(found, "backup") == done(found, "wave_1.patch") == done(found, "wave_2.settle") == {"success"}
    assert Counter(executions(here, PROD)[FIRST]) == {"SUCCESS": 2}
    assert Counter(executions(here, PROD)[SECOND]) == {"SUCCESS": 1}  # no canary there
    assert found.links == links(here, str(found.note).splitlines()[-1])
    assert at_rest(here)


def test_a_rejected_release_is_held_and_reported(world: Callable[..., World]) -> None:
    here = soaked(world())
    found = prod(here, answer="Reject")
    assert (found.state, found.report["outcome"]) == ("success", "held")
    assert done(found, "approve") == done(found, "report") == {"success"}
    for task in ("backup", "admit", "wave_1.patch", "verify", "close"):
        assert done(found, task) == {"skipped"}, task


def test_the_requester_cannot_approve_and_nothing_opens(world: Callable[..., World]) -> None:
    here = soaked(world())
    found = prod(here, answer="Approve", by=REQUESTER)
    assert found.state == "failed"
    assert done(found, "approve") == {"failed"}
    assert done(found, "report") == {"failed"}
    assert executions(here, PROD) == {FIRST: [], SECOND: []}


def test_a_release_in_three_waves_over_four_locations_is_few_task_instances(dag_bag: Any) -> None:
    dag = dag_bag.dags["patch_install_prod_linux"]
    assert [name for name in dag.task_ids if name.endswith(".settle")] == [f"wave_{n}.settle" for n in (1, 2, 3)]
    of_locations = [task for task in dag.tasks if task.is_mapped or task.get_closest_mapped_task_group() is not None]
    assert len(of_locations) * 4 + len(dag.tasks) - len(of_locations) <= MOST


def test_the_clock_that_counts_is_awss(world: Callable[..., World]) -> None:
    here = world()
    here.to(at(3, 0, 50))
    found = here.run("patch_scan")
    assert found.report["outcome"] == "released"
    assert datetime.fromisoformat("2025-06-03T00:50:00+00:00") < here.lab.world.clock.now() < at(4)


def test_a_reboot_by_hand_reboots_the_nodes_of_a_window_and_looks_at_them_again(world: Callable[..., World]) -> None:
    here = world()
    here.to(at(17, 2, 50))
    asked = {"window": NONPROD, "reboot": "always", "occurrence": "2025-06-17T03:00:00Z"}
    found = here.run("patch_reboot", asked)
    assert (found.state, found.asked) == ("success", None)
    assert done(found, "wave_1.reboot") == done(found, "close") == {"success"}
    assert executions(here, NONPROD) == {FIRST: ["SUCCESS"] * 2, SECOND: ["SUCCESS"] * 2}
    assert at_rest(here)
