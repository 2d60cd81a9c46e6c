"""The DAG patch_halt against the lab: what the command line's halt does, by hand from Airflow."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dag_runs import REQUESTER
from flow_world import SCAN, at
from release_world import FIRST, FLEET, SECOND, World, world_of

from lab.faults import FaultRule
from lab.testing import LabHandle
from sluice.aws import halts, operations
from sluice.aws.session import Connections, Duty
from sluice_airflow import notices

RELEASE = "scan-daily-20250603T0100-0a1b2c3d"


@pytest.fixture
def lab_fleet() -> str:
    return str(FLEET)


@pytest.fixture
def world(airflow_home: Path, aws_environment: LabHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return world_of(aws_environment, tmp_path, monkeypatch.setenv)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What went out to whom the policy notifies."""
    sent: list[str] = []

    def send(policy: Any, subject: str, text: str) -> list[str]:
        sent.append(f"{subject}\n{text}")
        return ["test"]

    monkeypatch.setattr(notices, "send", send)
    return sent


def scanning(world: World) -> None:
    """A scan runs in both locations."""
    for place in (FIRST, SECOND):
        ssm = world.lab.client("ssm", *place.split("/"))
        windows = world.lab.location(*place.split("/")).windows
        id = next(id for id, one in windows.items() if one.name == f"sluice-{SCAN}")
        ssm.update_maintenance_window(
            WindowId=id, Enabled=True, Schedule="at(2025-06-03T01:00:00)", StartDate="2025-06-01T00:00:00Z"
        )
    world.to(at(3, 1) + timedelta(seconds=5))


def enabled(world: World) -> list[str]:
    return [
        one.name
        for place in (FIRST, SECOND)
        for one in world.lab.location(*place.split("/")).windows.values()
        if one.enabled
    ]


def marks(world: World, release: str) -> list[str | None]:
    found = []
    for place in world.policy.locations:
        connection = Connections.of(world.policy).open(place, Duty.READER)
        found.append(halts.mark_of(connection, operations.bucket_of(world.policy, connection), release))
        connection.close()
    return found


def test_everything_is_halted_in_every_location_and_the_nodes_in_the_middle_are_told_of(
    world: World, told: list[str]
) -> None:
    scanning(world)
    found = world.run("patch_halt", {"release": "all", "reason": "it goes wrong"})
    assert found.state == "success"
    assert enabled(world) == []
    assert all(f"everything was halted by {REQUESTER} (arn:aws:" in str(mark) for mark in marks(world, RELEASE))
    assert {node.split(":")[0] for node in found.report["nodes"]} == {FIRST, SECOND}
    assert all(node.split(": ")[1] in told[0] for node in found.report["nodes"])
    world.lab.advance(hours=3)
    for place in (FIRST, SECOND):
        commands = world.lab.location(*place.split("/")).commands.values()
        assert {command.details for command in commands} == {"Cancelled"}


def test_one_release_is_halted_and_the_halt_is_lifted(world: World) -> None:
    assert world.run("patch_halt", {"release": RELEASE, "reason": "it goes wrong"}).state == "success"
    assert all(RELEASE in str(mark) for mark in marks(world, RELEASE))
    assert marks(world, RELEASE.replace("0a1b", "ffff")) == [None, None]
    assert world.run("patch_halt", {"release": RELEASE, "reason": "a slip", "lift": True}).state == "success"
    assert marks(world, RELEASE) == [None, None]


def test_a_location_that_is_denied_fails_the_run_and_is_named_while_the_other_is_halted(
    world: World, told: list[str]
) -> None:
    scanning(world)
    denied = FaultRule(kind="access_denied", operation="UpdateMaintenanceWindow", region=SECOND.partition("/")[2])
    world.lab.server.faults.add(denied)
    found = world.run("patch_halt", {"release": "all", "reason": "it goes wrong"})
    assert found.state == "failed"
    assert [text.split(": ")[0] for text in found.report["left"]] == [SECOND] * 3
    assert "not done" in told[0]
    assert enabled(world) == [f"sluice-{SCAN}"]


@pytest.mark.parametrize(
    ("conf", "words"),
    [
        ({"reason": "it goes wrong"}, "release"),
        ({"release": "all"}, "reason"),
        ({"release": "../all", "reason": "it goes wrong"}, "release"),
        ({"release": "everything", "reason": "it goes wrong"}, "release"),
    ],
)
def test_a_run_without_a_release_or_a_reason_is_refused_before_it_begins(
    world: World, conf: dict[str, str], words: str
) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises((ParamValidationError, ValueError), match=words):
        world.run("patch_halt", conf)


def test_a_location_that_the_policy_has_not_is_refused_by_name(world: World) -> None:
    conf = {"release": "all", "reason": "it goes wrong", "locations": ["999999999999/eu-west-3"]}
    assert world.run("patch_halt", conf).state == "failed"
    assert marks(world, RELEASE) == [None, None]


def test_what_the_form_does_not_have_is_refused(world: World, told: list[str]) -> None:
    conf = {"release": "all", "reason": "it goes wrong", "policy": str(world.file)}
    assert world.run("patch_halt", conf).state == "failed"
    assert marks(world, RELEASE) == [None, None]
    assert "nothing was done" in told[0]


def test_it_is_never_paused_and_waits_for_nothing_else(dag_bag: Any) -> None:
    dag = dag_bag.dags["patch_halt"]
    assert dag.is_paused_upon_creation is False
    assert dag.max_active_runs > 1
    assert dag.task_dict["halt"].priority_weight > max(
        task.priority_weight for name, other in dag_bag.dags.items() if name != "patch_halt" for task in other.tasks
    )


def test_marking_a_run_failed_leaves_only_its_close_to_run(airflow_home: Path, dag_bag: Any) -> None:
    """What the DAG's page says of it, by the function behind the click."""
    from airflow.api.common.mark_tasks import set_dag_run_state_to_failed
    from airflow.dag_processing.dagbag import sync_bag_to_db
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState, TaskInstanceState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    with create_session() as session:
        if session.get(DagBundleModel, "dags-folder") is None:
            session.add(DagBundleModel(name="dags-folder"))
    sync_bag_to_db(dag_bag, "dags-folder", None)
    with create_session() as session:
        dag = SerializedDagModel.get_dag("patch_scan", session=session)
        run = dag.create_dagrun(
            run_id="marked-failed",
            run_after=at(3),
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.TEST,
            state=DagRunState.RUNNING,
            session=session,
        )
        for one in run.get_task_instances(session=session):
            if one.task_id in ("begin", "resolve", "preflight", "admit", "hold"):
                one.state = TaskInstanceState.SUCCESS
            elif one.task_id == "wave_1.scan":
                one.state = TaskInstanceState.DEFERRED
        session.commit()

        set_dag_run_state_to_failed(dag=dag, run_id="marked-failed", commit=True, session=session)

        states = {one.task_id: one.state for one in run.get_task_instances(session=session)}
        assert {name: states[name] for name in ("wave_1.scan", "verify", "close", "report")} == {
            "wave_1.scan": "failed",
            "verify": "skipped",
            "close": None,
            "report": "skipped",
        }
        run.dag = dag
        due, _ = run.update_state(session=session, execute_callbacks=False)
        assert [one.task_id for one in due] == ["close"]
