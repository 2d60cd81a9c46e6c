"""The journal says what happened to the nodes: what was asked of them, what came, what failed, when they booted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from world_builder import add_nodes, add_target, add_task, add_window, admin, executions

from lab.evaluate import Evr
from lab.testing import LabHandle
from lab.world import NodeFaults


@pytest.fixture
def publish(lab: LabHandle) -> Any:
    def version(number: str, *, broken: bool = False) -> None:
        package = {"name": "thing", "arch": "x86_64", "version": number, "release": "1"}
        notice = {"id": f"LAB-{number}", "classification": "Security", "severity": "Critical"}
        body = {"product": "AmazonLinux2023", "package": {**package, "notice": notice}, "broken": broken}
        admin(lab, "POST", "/lab/repositories", body)

    return version


def install(lab: LabHandle, schedule: str = "at(2025-06-02T01:00:00)", **options: Any) -> str:
    ssm = lab.client("ssm")
    baseline = ssm.create_patch_baseline(
        Name="all",
        OperatingSystem="AMAZON_LINUX_2023",
        ApprovalRules={
            "PatchRules": [
                {
                    "ApproveAfterDays": 0,
                    "PatchFilterGroup": {"PatchFilters": [{"Key": "CLASSIFICATION", "Values": ["Security"]}]},
                }
            ]
        },
    )["BaselineId"]
    if ssm.describe_patch_groups()["Mappings"] == []:
        ssm.register_patch_baseline_for_patch_group(BaselineId=baseline, PatchGroup="web")
    window = add_window(lab, schedule)
    add_task(lab, window, [add_target(lab, window)], operation="Install", **options)
    lab.advance(hours=5)
    return window


def with_thing(lab: LabHandle, count: int = 1, **options: Any) -> list[Any]:
    nodes = add_nodes(lab, count, **options)
    for node in nodes:
        node.packages = node.packages.with_installed({"thing.x86_64": Evr(0, "1", "1")})
    return nodes


def entries(lab: LabHandle, **wanted: str) -> list[dict[str, Any]]:
    query = "&".join(f"{name}={value}" for name, value in wanted.items())
    found: list[dict[str, Any]] = admin(lab, "GET", f"/lab/journal?{query}")["entries"]
    return found


def test_an_install_is_noted_with_what_was_asked_and_what_came(lab: LabHandle, publish: Any) -> None:
    [node] = with_thing(lab)
    publish("2")
    window = install(lab, reboot="NoReboot")
    [entry] = entries(lab)
    assert (entry["kind"], entry["node_id"], entry["group"]) == ("install", node.node_id, "web")
    assert ["thing.x86_64", "0:2-1"] in entry["requested"]
    assert ["thing.x86_64", "0:2-1"] in entry["installed"]
    assert entry["failed"] == []
    [execution] = executions(lab, window)
    assert entry["execution_id"] == execution["WindowExecutionId"]
    assert entry["window"] == "window-0"
    assert execution["StartTime"] < datetime.fromisoformat(entry["at"]) <= execution["EndTime"]


def test_what_failed_is_noted_as_asked_for_and_not_as_installed(lab: LabHandle, publish: Any) -> None:
    with_thing(lab, faults=NodeFaults(install_failure=1.0))
    publish("2")
    install(lab)
    [entry] = entries(lab, kind="install")
    assert "thing.x86_64" in entry["failed"]
    assert entry["installed"] == []
    assert ["thing.x86_64", "0:2-1"] in entry["requested"]


def test_a_broken_version_fails_wherever_it_is_installed_and_its_successor_does_not(
    lab: LabHandle, publish: Any
) -> None:
    with_thing(lab, 2)
    publish("2", broken=True)
    install(lab, reboot="NoReboot")
    assert [(one["installed"], "thing.x86_64" in one["failed"]) for one in entries(lab)] == [([], True), ([], True)]
    publish("3")
    install(lab, "at(2025-06-02T06:00:00)", reboot="NoReboot")
    assert all(["thing.x86_64", "0:3-1"] in one["installed"] for one in entries(lab)[2:])
    assert len(entries(lab)) == 4


def test_a_boot_is_noted_after_the_install_that_asked_for_it(lab: LabHandle, publish: Any) -> None:
    [node] = with_thing(lab)
    publish("2")
    install(lab, reboot="RebootIfNeeded")
    first, second = entries(lab)
    assert (first["kind"], second["kind"], second["node_id"]) == ("install", "boot", node.node_id)
    assert second["at"] > first["at"]


def test_a_scan_is_not_in_it(lab: LabHandle) -> None:
    add_nodes(lab)
    window = add_window(lab)
    add_task(lab, window, [add_target(lab, window)])
    lab.advance(hours=5)
    assert executions(lab, window)
    assert entries(lab) == []


def test_a_reset_begins_a_new_journal(lab: LabHandle, publish: Any) -> None:
    with_thing(lab)
    publish("2")
    install(lab)
    assert entries(lab)
    admin(lab, "POST", "/lab/reset")
    assert entries(lab) == []


def test_pages_of_it_follow_one_another(lab: LabHandle, publish: Any) -> None:
    with_thing(lab, 3)
    publish("2")
    install(lab, reboot="NoReboot")
    first = admin(lab, "GET", "/lab/journal?limit=2")
    second = admin(lab, "GET", f"/lab/journal?limit=2&offset={first['next_offset']}")
    assert (first["total"], len(first["entries"]), len(second["entries"]), second["next_offset"]) == (3, 2, 1, None)
    assert len({one["node_id"] for one in first["entries"] + second["entries"]}) == 3


def test_what_nodes_have_is_listed_with_its_version(lab: LabHandle, publish: Any) -> None:
    [node] = with_thing(lab)
    publish("2")
    [before] = admin(lab, "GET", "/lab/packages")["nodes"]
    assert ["thing.x86_64", "0:1-1"] in before["packages"]
    assert before["installed_at"] == {}
    install(lab, reboot="NoReboot")
    [after] = admin(lab, "GET", "/lab/packages")["nodes"]
    assert after["node_id"] == node.node_id
    assert ["thing.x86_64", "0:2-1"] in after["packages"]
    assert after["installed_at"]["thing.x86_64"] == entries(lab)[0]["at"]
    assert "thing.x86_64" in after["pending_reboot"]


def test_the_clock_stops_where_an_execution_ends_if_asked_to(lab: LabHandle, publish: Any) -> None:
    with_thing(lab)
    publish("2")
    window = add_window(lab)
    add_task(lab, window, [add_target(lab, window)])
    body = {"to": "2025-06-02T08:00:00Z", "stop": "ended"}
    moved = admin(lab, "POST", "/lab/clock/advance", body)
    [execution] = executions(lab, window)
    assert datetime.fromisoformat(moved["now"]) == execution["EndTime"]
    assert moved["under_way"] == 0
    assert admin(lab, "POST", "/lab/clock/advance", body)["now"] == "2025-06-02T08:00:00Z"
