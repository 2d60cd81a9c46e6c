"""An Airflow that lives: scheduler, triggerer, API. What only it does: deadlines, the triggerer, notes, links."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flow_world import SCAN, at
from listeners import Mail, Webhook, connection, served
from release_world import FIRST, FLEET, SECOND, World, world_of
from test_releases import executions

from lab.rehearsal.airflow_api import AirflowApi
from lab.rehearsal.airflow_parts import AirflowParts, task_environment
from lab.rehearsal.processes import Processes
from lab.testing import LabHandle

PATIENCE = 120.0
DAG, RUN = "patch_scan", "by_hand"
LATE = f"Sluice {DAG}: not finished in time"


@pytest.fixture
def lab_fleet() -> str:
    return str(FLEET)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    yield from served(Webhook())


@pytest.fixture
def mail() -> Iterator[Mail]:
    yield from served(Mail())


@pytest.fixture
def world(
    aws_environment: LabHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, webhook: Webhook, mail: Mail
) -> World:
    address = f"http://127.0.0.1:{webhook.server_port}/services/T0/B0/x"
    connection(monkeypatch, "slack_patching", conn_type="slackwebhook", password=address)
    connection(monkeypatch, "mail_patching", **mail.connection)
    notify = {
        "sns_topic": aws_environment.client("sns").create_topic(Name="patching")["TopicArn"],
        "slack_connection": "slack_patching",
        "email_connection": "mail_patching",
        "email_to": "patching@example.com",
    }
    return world_of(aws_environment, tmp_path, monkeypatch.setenv, notify=notify)


@pytest.fixture
def parts(world: World, tmp_path: Path) -> Iterator[AirflowParts]:
    aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    connections = {name: value for name, value in os.environ.items() if name.startswith("AIRFLOW_CONN_")}
    processes = Processes(tmp_path / "processes")
    found = AirflowParts(tmp_path / "airflow", task_environment(aws, world.file), processes, settings=connections)
    try:
        found.start()
        yield found
    finally:
        processes.stop()


@pytest.fixture
def api(parts: AirflowParts) -> Iterator[AirflowApi]:
    found = AirflowApi(parts.address, "requester", parts.passwords["requester"])
    until("the DAG is read", lambda: DAG in found.dag_ids())
    yield found
    found.close()


def until(what: str, holds: Callable[[], Any]) -> None:
    patience = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > patience:
            pytest.fail(f"waited {PATIENCE:.0f} s, and not yet: {what}")
        time.sleep(0.2)


def states(api: AirflowApi) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for task in api.tasks(DAG, RUN):
        found.setdefault(task.task_id, set()).add(task.state)
    return found


CLEAR = {
    "dry_run": False,
    "dag_run_id": RUN,
    "task_ids": ["wave_1.scan"],
    "include_downstream": True,
    "only_failed": False,
    "reset_dag_runs": True,
}
"""As a click on Clear: the wave, and what is behind it."""


def tries(api: AirflowApi, task: str) -> int:
    return max(one.attempt for one in api.tasks(DAG, RUN) if one.task_id == task)


def pass_the_deadline(parts: AirflowParts) -> None:
    """As if the hours until then had gone by: Airflow's scheduler looks for deadlines whose time is past."""
    with closing(sqlite3.connect(parts.home / "airflow.db", timeout=60)) as database, database:
        changed = database.execute("UPDATE deadline SET deadline_time = '2025-01-01 00:00:00'").rowcount
    assert changed == 1


def test_a_scan_waits_in_the_triggerer_survives_its_restart_and_is_told_of_when_late(
    world: World, parts: AirflowParts, api: AirflowApi, webhook: Webhook, mail: Mail
) -> None:
    assert api.import_errors() == {}
    world.to(at(3, 0, 50))
    api.unpause(DAG)
    api.trigger(DAG, RUN, {"occurrence": "2025-06-03T01:00:00Z"}, at(3, 0, 50))
    until("both locations wait without a worker", lambda: states(api).get("wave_1.scan") == {"deferred"})

    parts.stop_parts("triggerer")
    parts.start_parts("triggerer")
    parts.wait_until_healthy()
    world.to(at(3, 1, 1))
    link = api.ask("GET", f"/api/v2/dags/{DAG}/dagRuns/{RUN}/taskInstances/wave_1.scan/links?map_index=0")
    assert "systems-manager/maintenance-windows/mw-" in str(link)
    assert executions(world, SCAN) == {FIRST: ["IN_PROGRESS"], SECOND: ["IN_PROGRESS"]}

    published = world.lab.server.calls.total(service="sns", operation="Publish")
    pass_the_deadline(parts)
    until(
        "the deadline's notice went out",
        lambda: world.lab.server.calls.total(service="sns", operation="Publish") > published,
    )
    until("Slack was told", lambda: any(LATE in post["text"] for _, post in webhook.posts))
    until("a letter came", lambda: f"Subject: {LATE}" in mail.lines)

    world.to(at(3, 1, 40))
    until("the run has ended", lambda: api.run(DAG, RUN).done)
    assert api.run(DAG, RUN).state == "success", states(api)
    assert executions(world, SCAN) == {FIRST: ["SUCCESS"], SECOND: ["SUCCESS"]}
    until("its note is there", lambda: api.ask("GET", f"/api/v2/dags/{DAG}/dagRuns/{RUN}")["note"])
    note = api.ask("GET", f"/api/v2/dags/{DAG}/dagRuns/{RUN}")["note"]
    assert note.startswith("released: ")
    assert "scan-daily-20250603T0100-" in note

    api.ask("POST", f"/api/v2/dags/{DAG}/clearTaskInstances", CLEAR)
    until("what was cleared has run again", lambda: states(api)["report"] == {"success"} and tries(api, "report") == 2)
    assert states(api)["wave_1.scan"] == {"success"}
    assert executions(world, SCAN) == {FIRST: ["SUCCESS"], SECOND: ["SUCCESS"]}, (
        "a wave that is cleared runs no second time"
    )
