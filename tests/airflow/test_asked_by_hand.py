"""What people ask of a release by hand, and windows of their own, through Airflow's real task execution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flow_world import NONPROD, PROD, SCAN, SMALL, at
from release_world import FIRST, SECOND, World, written
from test_releases import at_rest, done, executions, lab_fleet, soaked, world

from lab.faults import FaultRule
from lab.testing import LabHandle
from sluice_airflow.runs import named_window

__all__ = ["lab_fleet", "world"]

AGENT = "amazon-ssm-agent.x86_64"


def requested(here: World) -> set[str]:
    """The ids in every list that production was asked to install."""
    found: set[str] = set()
    for place in (FIRST, SECOND):
        account, region = place.split("/")
        s3 = here.lab.client("s3", account, region)
        bucket = f"sluice-operations-{account}-{region}"
        listed = s3.list_objects_v2(Bucket=bucket, Prefix="manifests/").get("Contents", ())
        for one in listed:
            if one["Key"].endswith(".yaml"):
                text = s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read().decode()
                found |= {line.split('"')[1] for line in text.splitlines() if "- id:" in line}
    return found


def releases(here: World, window: str) -> list[str]:
    return sorted(path.name for path in Path(str(here.policy.evidence.folder)).glob(f"releases/{window}-*"))


def windows(name: str, **changes: Any) -> list[dict[str, Any]]:
    """The small policy's windows, of which one is changed."""
    return [{**one, **(changes if one["name"] == name else {})} for one in SMALL["windows"]]


def test_an_expedite_is_installed_alone_before_its_soak_and_only_when_somebody_else_approves(
    world: Callable[..., World],
) -> None:
    here = soaked(world(gate={"approval": "never"}), day=29)
    here.to(at(30, 2))
    asked = {"occurrence": "2025-06-30T03:00:00Z", "expedite": [AGENT], "because": "it is exploited"}
    found = here.run("patch_install_prod_linux", asked, answer="Approve")
    assert (found.state, found.report["outcome"]) == ("success", "released"), found
    assert found.asked is not None
    assert AGENT in found.asked
    assert "it is exploited" in found.asked
    assert AGENT in requested(here)
    assert at_rest(here)


@pytest.mark.parametrize("lab_fleet", [("web-nonprod",)], indirect=True)
def test_a_retry_goes_to_the_nodes_that_failed_and_to_no_other(lab: LabHandle, world: Callable[..., World]) -> None:
    here = world(windows=windows(NONPROD, errors="100%"))
    nodes = list(lab.location(*FIRST.split("/")).nodes.values())
    well, *_ = [node for node in nodes if "nonprod" in node.name]
    well.faults = None
    here.to(at(17, 2, 50))
    first = here.run("patch_install_nonprod", {"occurrence": "2025-06-17T03:00:00Z"})
    assert "1 of 4 nodes done" in first.report["line"]
    for place in (FIRST, SECOND):
        for node in lab.location(*place.split("/")).nodes.values():
            node.faults = None
    (before,) = releases(here, NONPROD)
    here.to(at(17, 8))
    again = here.run("patch_install_nonprod", {"retry_of": before})
    assert (again.state, again.report["outcome"]) == ("success", "released")
    assert "3 of 3 nodes" in again.report["line"]
    assert well.node_id not in str(last_targets(lab))


def test_what_the_form_does_not_have_is_refused_and_chooses_neither_policy_nor_window(
    world: Callable[..., World], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Airflow takes any parameter; these would say who may, or which window, or what has soaked."""
    (tmp_path / "theirs").mkdir()
    _, theirs = written(tmp_path / "theirs")
    here = world(windows=windows(NONPROD, people={"run": ["carol"]}))
    here.to(at(17, 2, 50))
    more = {"policy": str(theirs), "window": PROD, "expedite": [AGENT]}
    found = here.run("patch_install_nonprod", {"occurrence": "2025-06-17T03:00:00Z", **more})
    assert "found expedite, policy, window: trigger it again without" in capfd.readouterr().out
    assert (found.state, done(found, "begin")) == ("failed", {"failed"})
    assert found.tasks["wave_1.patch"] == ["upstream_failed"]
    assert releases(here, PROD) == []
    assert len(releases(here, NONPROD)) == 1, "what was refused is reported, under the deployment's policy"
    assert not (tmp_path / "theirs" / "evidence").exists()
    for window in (NONPROD, PROD):
        assert executions(here, window) == {FIRST: [], SECOND: []}


def test_the_window_that_a_run_is_for_is_its_dags_whatever_it_is_given() -> None:
    given = {"params": {"window": PROD}, "dag_run": SimpleNamespace(dag_id="patch_install_nonprod")}
    assert named_window(given) == NONPROD
    given["dag_run"] = SimpleNamespace(dag_id="patch_reboot")
    assert named_window(given) == PROD


def last_targets(lab: LabHandle) -> list[set[str]]:
    """The nodes of the last install command in each location."""
    found = []
    for place in (FIRST, SECOND):
        installs = [
            command
            for command in lab.location(*place.split("/")).commands.values()
            if command.parameters.get("Operation") == ["Install"]
        ]
        found.append(set(installs[-1].invocations))
    return found


def test_a_wave_that_fails_in_one_location_fails_that_location_alone(
    lab: LabHandle, world: Callable[..., World]
) -> None:
    here = world()
    here.to(at(17, 2, 50))
    rule = FaultRule(kind="access_denied", service="ssm", operation="UpdateMaintenanceWindow", region="eu-central-1")
    lab.server.faults.add(rule)
    found = here.run("patch_install_nonprod", {"occurrence": "2025-06-17T03:00:00Z"})
    assert found.report["outcome"] == "partial"
    assert found.tasks["wave_1.patch"] == ["success", "failed"]
    assert SECOND in found.report["line"]
    lab.server.faults.clear()
    assert executions(here, NONPROD)[SECOND] == []
    assert executions(here, NONPROD)[FIRST] != []


def test_a_gated_window_of_ones_own_has_its_dag_and_its_gate_and_reboots_by_itself(
    world: Callable[..., World],
) -> None:
    own = {
        "name": "payroll-prod",
        "operation": "install",
        "schedule": "cron(0 3 ? * MON *)",
        "duration_hours": 4,
        "lead_minutes": 120,
        "patch_groups": "prod-linux",
        "waves": "all_at_once",
        "reboot": {"when": "if_needed", "how": "waves"},
    }
    kept = [one for one in SMALL["windows"] if one["name"] != PROD]
    here = soaked(world(windows=[*kept, own], gate={"approval": "never"}))
    here.to(at(30, 2))
    asked = {"occurrence": "2025-06-30T03:00:00Z"}
    found = here.run("patch_payroll_prod", asked, answer="Approve")
    assert (found.state, found.report["outcome"]) == ("success", "released"), found
    assert done(found, "gate") == done(found, "approve") == done(found, "wave_1.reboot") == {"success"}
    assert len(executions(here, "payroll-prod")[FIRST]) == 3  # the install, the reboots, the scan after them
    assert at_rest(here)


def test_a_scan_that_aws_starts_by_itself_is_waited_for_and_read_back(world: Callable[..., World]) -> None:
    here = world(windows=windows(SCAN, trigger="native"))
    here.to(at(3, 0, 50))
    before = executions(here, SCAN)
    found = here.run("patch_scan", {"occurrence": "2025-06-03T01:00:00Z"})
    assert (found.state, found.report["outcome"]) == ("success", "released")
    assert "10 of 10 nodes scanned" in found.report["line"]
    assert executions(here, SCAN) == {place: ["SUCCESS", *found] for place, found in before.items()}


def test_production_is_rebooted_by_hand_when_somebody_else_approves(world: Callable[..., World]) -> None:
    here = world(gate={"approval": {"needed": "first", "first": 1}})
    here.to(at(17, 2, 50))
    asked = {"window": PROD, "reboot": "always", "occurrence": "2025-06-17T03:00:00Z"}
    found = here.run("patch_reboot", asked, answer="Approve")
    assert (found.state, found.report["outcome"]) == ("success", "released"), found
    assert found.asked is not None
    assert "installs nothing" in found.asked
    assert done(found, "admit") == done(found, "wave_1.reboot") == done(found, "close") == {"success"}
    assert Counter(executions(here, PROD)[FIRST]) == {"SUCCESS": 4}, "two waves, each rebooted and looked at"
    assert at_rest(here)


def test_a_location_that_loses_its_backup_is_named_and_a_wave_without_nodes_stops_nothing(
    world: Callable[..., World],
) -> None:
    here = world(windows=windows(NONPROD, backup="on", lead_minutes=60, waves={"canary": 1, "shares": [25]}))
    nodes = [
        node.node_id
        for place in (FIRST, SECOND)
        for node in list(here.lab.location(*place.split("/")).nodes.values())
        if "nonprod" in node.name
    ]
    here.to(at(17, 2))
    rule = FaultRule(kind="access_denied", service="ec2", operation="DescribeImages", region="eu-central-1")
    here.lab.server.faults.add(rule)
    asked = {"occurrence": "2025-06-17T03:00:00Z", "nodes": [nodes[0], nodes[-1]]}
    found = here.run("patch_install_nonprod", asked)
    assert found.tasks["backup"] == ["success", "failed"]
    assert done(found, "wave_2.settle") == done(found, "wave_3.settle") == {"success"}
    assert (found.state, found.report["outcome"]) == ("failed", "partial"), "half of its nodes were lost"
    assert f"refused: {SECOND}: a step before the admission failed there" in found.report["line"]
