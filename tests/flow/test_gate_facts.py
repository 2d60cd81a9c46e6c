"""What the gate is told, as collected from AWS and the evidence of a lab: each rule closes it, and opens it again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from flow_world import FLEET, HERE, NONPROD, SCAN, SMALL, at, prepare, small
from test_gated_release import driven, prod_run, soaked

from lab.faults import FaultRule
from lab.testing import LabHandle
from lab.world import AgentState, Node, NodeFaults
from sluice.core.policy.policy import Policy
from sluice.core.release.gate import replay
from sluice.evidence.store import open_store
from sluice.flow.gate import allowed_now, gate, not_admissible, record_approval, record_unasked
from sluice.flow.manifest import manifest
from sluice.flow.run import Run

pytestmark = pytest.mark.usefixtures("in_process")

LINUX, UBUNTU = "AMAZON_LINUX_2023", "UBUNTU 22.04"


@pytest.fixture
def lab_fleet(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The small fleet; with a parameter, an Ubuntu node more in each ring."""
    data = yaml.safe_load(FLEET.read_text("utf-8"))
    if getattr(request, "param", False):
        data["groups"] += [
            {
                "name": f"api-{ring}",
                "os": "Ubuntu22.04",
                "count": 1,
                "tags": {"Name": f"api-{ring}", "Patch Group": f"{ring}-linux", "Role": "api"},
            }
            for ring in ("nonprod", "prod")
        ]
    file = tmp_path / "fleet.yaml"
    file.write_text(yaml.safe_dump(data), "utf-8")
    return str(file)


@pytest.fixture
def applied(aws_environment: LabHandle, tmp_path: Path) -> Callable[..., Policy]:
    """The small policy with changes, applied."""

    def make(**changes: Any) -> Policy:
        policy = small(tmp_path / "evidence", **changes)
        prepare(aws_environment, policy)
        return policy

    return make


def with_ubuntu(**rejected: Any) -> dict[str, Any]:
    """Changes to the small policy for a fleet with Ubuntu; `rejected` by production's baseline."""
    ubuntu = [{"name": f"{ring}-ubuntu", "os": "UBUNTU", "rules": [{"compliance": "HIGH"}]} for ring in RINGS]
    groups = [
        {**one, "baselines": [one["baselines"], f"{one['ring']}-ubuntu"], "products": [LINUX, UBUNTU]}
        for one in SMALL["patch_groups"]
    ]
    ubuntu[1] |= rejected
    return {"baselines": [*SMALL["baselines"], *ubuntu], "patch_groups": groups}


RINGS = ("nonprod", "prod")


def node(lab: LabHandle, name: str) -> Node:
    return next(one for one in lab.location().nodes.values() if one.name == name)


def decided(lab: LabHandle, policy: Policy, hour: int, **asked: Any) -> tuple[Run, dict[str, tuple[str, str]]]:
    """A release of production, and what became of the rules that do not pass."""
    run = prod_run(lab, policy, hour=hour, **asked)
    manifest(run, [HERE])
    gate(run, [HERE])
    decision = replay(run.recorded("decision"))
    return run, {rule.name: (rule.held, rule.because) for rule in decision.rules if rule.held != "pass"}


def failed_on(lab: LabHandle, policy: Policy, name: str) -> Node:
    """Non-production soaked; then an install failed on a node, and a scan looked at everything. The node."""
    driven(lab, policy, NONPROD, at(17, 3))
    ill = node(lab, name)
    ill.faults = NodeFaults(install_failure=1.0)
    driven(lab, policy, NONPROD, at(26, 3))
    ill.faults = None
    driven(lab, policy, SCAN, at(30, 1))
    return ill


def test_a_node_on_which_an_install_failed_holds_production_until_one_succeeds(lab: LabHandle, policy: Policy) -> None:
    ill = failed_on(lab, policy, "web-nonprod-01")
    _, rules = decided(lab, policy, 3)
    assert list(rules) == ["ring before"]
    held, why = rules["ring before"]
    assert held == "fail"
    assert why.startswith(f"1 of 2 nodes of the ring before are healthy (50.0 %), expected 95 %: {ill.node_id} (")
    driven(lab, policy, NONPROD, at(30, 5))
    assert decided(lab, policy, 9)[1] == {}


def test_a_node_that_failed_and_is_gone_holds_nothing(lab: LabHandle, policy: Policy) -> None:
    ill = failed_on(lab, policy, "web-nonprod-01")
    lab.client("ec2").terminate_instances(InstanceIds=[ill.node_id])
    assert list(decided(lab, policy, 3)[1]) == ["ring before"], "nobody has looked since"
    driven(lab, policy, SCAN, at(30, 5))
    run, rules = decided(lab, policy, 7)
    assert rules == {}
    assert run.recorded("decision")["facts"]["behind"] == 1


def test_nodes_that_are_gone_do_not_thin_out_a_failure(lab: LabHandle, policy: Policy) -> None:
    failed_on(lab, policy, "web-nonprod-01")
    lab.client("ec2").terminate_instances(InstanceIds=[node(lab, "web-nonprod-02").node_id])
    driven(lab, policy, SCAN, at(30, 5))
    assert decided(lab, policy, 7)[1]["ring before"][1].startswith("0 of 1 nodes")


def test_a_node_that_went_silent_does_not_pass_as_healthy_and_one_that_was_stopped_is_left_out(
    lab: LabHandle, policy: Policy
) -> None:
    driven(lab, policy, NONPROD, at(17, 3))
    driven(lab, policy, SCAN, at(28, 1))
    silent = node(lab, "web-nonprod-01")
    silent.agent = AgentState.LOST
    driven(lab, policy, SCAN, at(30, 1))
    held, why = decided(lab, policy, 3)[1]["ring before"]
    assert held == "fail"
    assert f"expected 95 %: {silent.node_id} (not looked at since 2025-06-28 0" in why
    lab.client("ec2").stop_instances(InstanceIds=[silent.node_id])
    lab.advance(minutes=10)
    driven(lab, policy, SCAN, at(30, 5))
    run, rules = decided(lab, policy, 7)
    assert rules == {}
    assert run.recorded("decision")["facts"]["behind_left_out"] == [f"{silent.node_id} (stopped)"]


@pytest.mark.parametrize("lab_fleet", [True], indirect=True)
def test_each_product_needs_evidence_of_its_own(lab: LabHandle, applied: Callable[..., Policy]) -> None:
    policy = applied(**with_ubuntu())
    driven(lab, policy, NONPROD, at(17, 3))
    driven(lab, policy, SCAN, at(28, 1))
    lab.client("ec2").stop_instances(InstanceIds=[node(lab, "api-nonprod").node_id])
    driven(lab, policy, SCAN, at(30, 1))
    run, rules = decided(lab, policy, 3)
    assert {item["product"] for item in run.recorded("manifest")["items"]} == {LINUX, UBUNTU}
    assert rules == {
        "evidence": ("unknown", f"expected results of a scan, found none of ring nonprod, {UBUNTU}: scan first")
    }


@pytest.mark.parametrize("lab_fleet", [True], indirect=True)
def test_a_node_without_a_twin_and_one_that_nothing_is_requested_for_are_not_admitted(
    lab: LabHandle, applied: Callable[..., Policy]
) -> None:
    policy = applied(**with_ubuntu(rejected={"patches": ["*"]}))
    other = node(lab, "web-prod-01").node_id
    lab.client("ec2").create_tags(Resources=[other], Tags=[{"Key": "Role", "Value": "database"}])
    soaked(lab, policy)
    run, rules = decided(lab, policy, 3)
    assert rules == {}
    assert not_admissible(run) == {
        other: (
            "no non-production twin that passed",
            f"no node of nonprod like it ({LINUX}, role database)",
        ),
        node(lab, "api-prod").node_id: ("nothing to request for its OS product", UBUNTU),
    }
    assert run.recorded("decision")["facts"]["admissible"] == 1


def test_other_patchers_close_it_where_the_policy_refuses_them_and_so_does_not_knowing(
    lab: LabHandle, applied: Callable[..., Policy]
) -> None:
    policy = applied(gate={"approval": "never", "refuse_other_patchers": True})
    soaked(lab, policy)
    assert decided(lab, policy, 3)[1] == {}
    theirs = lab.client("ssm").create_association(
        Name="AWS-RunPatchBaseline",
        AssociationName="Patch-All",
        Parameters={"Operation": ["Install"]},
        Targets=[{"Key": "tag:Patch Group", "Values": ["prod-linux"]}],
    )["AssociationDescription"]["AssociationId"]
    found = f"found association {theirs} (Patch-All) in {HERE}"
    assert decided(lab, policy, 4)[1] == {"other patchers": ("fail", found)}
    lab.server.faults.add(FaultRule(kind="access_denied", service="ssm", operation="ListAssociations"))
    assert decided(lab, policy, 5)[1]["other patchers"][0] == "unknown"


def test_agents_are_counted_at_the_gate_and_again_at_the_opening(lab: LabHandle, policy: Policy) -> None:
    soaked(lab, policy)
    run, rules = decided(lab, policy, 3)
    assert rules == {}
    node(lab, "web-prod-01").agent = AgentState.LOST
    with run.connect(HERE) as connection:
        assert str(allowed_now(run, connection)).startswith("agents: 1 of 2 agents are online (50.0 %)")
    assert decided(lab, policy, 4)[1] == {"agents": ("fail", "1 of 2 agents are online (50.0 %), expected 90 %")}
    lab.client("ec2").stop_instances(InstanceIds=[node(lab, "web-prod-01").node_id])
    assert decided(lab, policy, 5)[1] == {}, "what is stopped has no agent that could answer"


def test_who_may_not_ask_and_who_names_no_ticket_closes_it(lab: LabHandle, applied: Callable[..., Policy]) -> None:
    windows = [{**one, "people": {"run": "bob"}} for one in SMALL["windows"]]
    policy = applied(gate={"approval": "never", "change_ticket": r"CHG\d+"}, windows=windows)
    soaked(lab, policy)
    assert decided(lab, policy, 3, by="ann", change_ticket="CHG12")[1] == {
        "rights": ("fail", "ann may not run prod-linux: bob may")
    }
    assert list(decided(lab, policy, 4, by="bob")[1]) == ["ticket"]
    assert decided(lab, policy, 5, by="bob", change_ticket="CHG12")[1] == {}


def test_reboots_of_production_open_only_with_the_change_ticket(lab: LabHandle, applied: Callable[..., Policy]) -> None:
    policy = applied(gate={"approval": "never", "change_ticket": r"CHG\d+"})
    lab.advance_to(at(30))
    without = prod_run(lab, policy, by="ann", only_reboots=True)
    ticketed = prod_run(lab, policy, hour=4, by="ann", only_reboots=True, change_ticket="CHG12")
    for run in (without, ticketed):
        record_approval(run, "Approve", "bob")
    with without.connect(HERE) as connection:
        assert allowed_now(without, connection) == r"expected a change ticket that matches CHG\d+, found none"
        assert allowed_now(ticketed, connection) is None


def test_that_nobody_answers_later_takes_no_approval_back_and_a_rejection_does(
    lab: LabHandle, applied: Callable[..., Policy]
) -> None:
    policy = applied()
    lab.advance_to(at(30))
    run = prod_run(lab, policy, by="ann", only_reboots=True)
    assert "nobody was asked" in record_unasked(run)
    assert run.recorded("approval")["unasked"] is True
    record_approval(run, "Approve", "bob")
    kept = run.recorded("approval")
    record_approval(run, None, None)
    record_unasked(run)
    assert run.recorded("approval") == kept
    with run.connect(HERE) as connection:
        assert allowed_now(run, connection) is None
        record_approval(run, "Reject", "bob")
        assert allowed_now(run, connection) == "not approved by bob"


def test_a_person_approves_the_first_releases_that_patched_something_and_then_the_gate_alone(
    lab: LabHandle, applied: Callable[..., Policy]
) -> None:
    policy = applied(gate={"approval": {"needed": "first", "first": 2}})
    soaked(lab, policy)

    def before(release: str, **outcome: Any) -> None:
        kept = {"operation": "install", "outcome": "released", "retry_of": None, **outcome}
        key = f"releases/install-prod-linux-{release}/outcome.json"
        open_store(policy, None).put(key, json.dumps(kept).encode())

    def counted(hour: int) -> tuple[int, bool]:
        run, rules = decided(lab, policy, hour)
        assert rules == {}
        run.record("outcome", {"operation": "install", "outcome": "held", "retry_of": None})
        decision = run.recorded("decision")
        return decision["facts"]["released"], decision["needs_approval"]

    before("eu-20250601T0300-00000000")
    before("20250602T0300-00000000", outcome="held")
    before("20250602T0300-00000001", outcome="nothing")
    before("20250602T0300-00000002", operation="reboot")
    before("20250602T0300-00000003", retry_of="install-prod-linux-20250602T0300-00000004")
    assert counted(3) == (0, True)
    before("20250609T0300-00000000", outcome="partial")
    assert counted(4) == (1, True)
    before("20250616T0300-00000000")
    assert counted(5) == (2, False)
