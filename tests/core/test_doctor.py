"""The doctor: what it makes of the facts of a location."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from source import ROOT

from sluice.core.doctor import (
    BucketFact,
    Facts,
    Finding,
    Kind,
    PermissionFact,
    RoleFact,
    as_found,
    examine,
    kinds,
)
from sluice.core.node import Agent, Node
from sluice.core.policy.others import Other
from sluice.core.policy.policy import Policy

AGENT = Agent("3.3.2299.0", latest=True, online=True, last_ping=None, platform_name="Ubuntu", platform_version="22.04")
WEB = {"Patch Group": "web"}
POLICY = Policy.model_validate(
    {
        "version": 1,
        "mode": "release",
        "rings": [{"name": "nonprod"}],
        "baselines": [{"name": "ubuntu", "os": "UBUNTU", "rules": [{"product": "Ubuntu22.04"}]}],
        "patch_groups": [{"name": "web", "ring": "nonprod", "baselines": "ubuntu", "products": "UBUNTU 22.04"}],
    }
)
SERVED = {("web", "UBUNTU"): "pb-0123456789abcdef0"}


def node(node_id: str = "i-1", **changes: Any) -> Node:
    return replace(Node(node_id, WEB, "running", "ManagedNode", AGENT), **changes)


def facts(*nodes: Node, **changes: Any) -> Facts:
    known = Facts(nodes=nodes, registrations=SERVED, inventoried=frozenset(one.id for one in nodes))
    return replace(known, **changes)


def named(findings: Iterable[Finding], name: str) -> Finding:
    found = [one for one in findings if one.name == name]
    assert len(found) == 1, found
    return found[0]


def names(known: Facts, policy: Policy = POLICY) -> list[str]:
    return [one.name for one in examine(known, policy)]


def test_a_node_that_is_as_it_should_be_is_no_finding() -> None:
    assert examine(facts(node()), POLICY) == []


def test_an_empty_location_is_no_finding() -> None:
    assert examine(Facts(), POLICY) == []


@pytest.mark.parametrize(
    ("changes", "name", "severity"),
    [
        ({"agent": None}, "no-agent", "error"),
        ({"agent": None, "profile": None}, "no-profile", "error"),
        ({"agent": None, "tags": {"Patch Group": "others"}}, "no-agent", "warning"),
        ({"agent": replace(AGENT, online=False)}, "agent-offline", "warning"),
        ({"agent": replace(AGENT, version="2.0.833.9")}, "agent-too-old", "error"),
        ({"agent": replace(AGENT, latest=False)}, "agent-not-latest", "note"),
        ({"agent": replace(AGENT, platform_name="Plan 9")}, "platform-unknown", "unknown"),
        ({"agent": replace(AGENT, platform_version="24.04")}, "product-not-in-group", "error"),
        ({"agent": None, "state": "stopped"}, "stopped", "warning"),
        ({"tags": {}}, "untagged", "warning"),
        ({"tags": {"PatchGroup": "web"}}, "other-tag-key", "warning"),
        ({"id": "mi-1", "state": ""}, "hybrid", "note"),
    ],
)
def test_what_is_wrong_with_a_node_is_one_finding_with_its_id(
    changes: dict[str, Any], name: str, severity: str
) -> None:
    one = node(**changes)
    found = examine(facts(one, replace(node(), id="i-2")), POLICY)
    finding = next(each for each in found if each.name == name)
    assert (finding.severity, finding.ids, finding.count) == (severity, (one.id,), 1)
    assert finding.what
    assert finding.advice


def test_a_managed_node_without_profile_is_no_finding() -> None:
    assert examine(facts(node(profile=None)), POLICY) == []


def test_of_a_stopped_node_nothing_is_said_about_its_agent() -> None:
    for agent in (None, replace(AGENT, online=False)):
        assert names(facts(node(state="stopped", agent=agent))) == ["stopped"]


@pytest.mark.parametrize("version", ["2.0.834.0", "3.0.0.0", "10.0.0.0", "", "unstable"])
def test_an_agent_is_too_old_by_numbers_and_not_by_letters(version: str) -> None:
    assert "agent-too-old" not in names(facts(node(agent=replace(AGENT, version=version))))


def test_a_group_without_a_baseline_falls_on_awss_default() -> None:
    stray = node(tags={"Patch Group": "others"})
    finding = named(examine(facts(stray), POLICY), "aws-default")
    assert (finding.severity, finding.ids) == ("warning", ("i-1",))
    assert "others" in finding.what


def test_a_default_of_the_accounts_own_is_not_awss() -> None:
    stray = node(tags={"Patch Group": "others"})
    assert "aws-default" not in names(facts(stray, own_defaults=frozenset({"UBUNTU"})))


def test_a_group_that_the_policy_will_serve_only_waits_for_apply() -> None:
    known = facts(node(), registrations={})
    assert names(known) == ["baseline-not-applied"]


def test_a_group_whose_baselines_lack_an_operating_system_is_an_error() -> None:
    debian = node(agent=replace(AGENT, platform_name="Debian GNU/Linux", platform_version="12"))
    assert named(examine(facts(debian), POLICY), "aws-default").severity == "error"


def test_what_is_only_looked_at_is_held_against_no_policy() -> None:
    stray = node(tags={"Patch Group": "others"}, agent=replace(AGENT, platform_version="24.04"))
    found = examine(facts(stray), as_found(POLICY))
    assert [(one.name, one.severity) for one in found] == [("aws-default", "warning")]


def test_the_deprecated_policy_is_found_by_its_profile() -> None:
    policies = {"Old": ("AmazonEC2RoleforSSM",), "ManagedNode": ("AmazonSSMManagedInstanceCore",)}
    found = examine(facts(node(), node("i-2", profile="Old"), profile_policies=policies), POLICY)
    assert named(found, "deprecated-policy").ids == ("i-2",)


def test_profiles_that_could_not_be_read_are_unknown_and_not_fine() -> None:
    found = examine(facts(node(), unread={"profiles": "denied"}), POLICY)
    assert [(one.name, one.severity) for one in found] == [("profiles-unknown", "unknown")]


def test_nothing_is_concluded_from_what_could_not_be_read() -> None:
    found = examine(facts(node(agent=None), unread={"nodes": "denied", "baselines": "denied"}), POLICY)
    assert [(one.name, one.severity, one.ids) for one in found] == [
        ("unread", "error", ("baselines",)),
        ("unread", "error", ("nodes",)),
    ]
    unread = facts(node(), registrations={}, unread={"baselines": "denied"})
    assert names(unread) == ["unread"]


def test_other_patchers_are_named_and_where_inventory_is_silent_unknown() -> None:
    known = facts(
        node("i-1"), node("i-2"), patchers={"dnf-automatic": frozenset({"i-1"})}, inventoried=frozenset({"i-1"})
    )
    found = examine(known, POLICY)
    assert named(found, "other-patcher").ids == ("i-1",)
    assert named(found, "patchers-unknown").ids == ("i-2",)
    assert named(found, "patchers-unknown").severity == "unknown"


@pytest.mark.parametrize(
    ("other", "name", "severity"),
    [
        (Other("window", "mw-1", "nightly", ("AWS-RunPatchBaseline",), ()), "foreign-window", "warning"),
        (Other("association", "as-1", "nightly", ("AWS-RunPatchBaseline",), ()), "foreign-association", "warning"),
        (Other("association", "as-1", "AWS-QuickSetup-PatchPolicy-x", ("x",), ()), "patch-policy", "warning"),
        (Other("association", "as-1", "inventory", ("AWS-GatherSoftwareInventory",), ()), "other-association", "note"),
    ],
)
def test_what_others_run_is_told_and_patching_is_a_warning(other: Other, name: str, severity: str) -> None:
    found = examine(Facts(others=(other,)), POLICY)
    assert [(one.name, one.severity, one.ids) for one in found] == [(name, severity, (other.id,))]
    assert other.name in found[0].what


def test_roles_permissions_and_buckets_that_are_missing_are_errors() -> None:
    known = Facts(
        roles=(RoleFact("reader", "sluice-reader", None), RoleFact("scanner", "sluice-scanner", "denied")),
        permissions=(PermissionFact("reader", "arn", ("ssm:GetInventory",)), PermissionFact("halter", "arn")),
        buckets=(BucketFact("there", "logs", "there"), BucketFact("gone", "logs", "missing")),
    )
    assert {(one.name, one.severity, one.ids) for one in examine(known, POLICY)} == {
        ("role-not-assumed", "error", ("sluice-scanner",)),
        ("permission-missing", "error", ("ssm:GetInventory",)),
        ("bucket-missing", "error", ("gone",)),
    }


def test_what_a_caller_lacks_who_assumes_no_role_may_be_others_to_do_but_for_reading() -> None:
    lacking = tuple(PermissionFact(duty, "arn", (f"ssm:{duty}",), own=True) for duty in ("reader", "halter"))
    assert {(one.severity, one.ids) for one in examine(Facts(permissions=lacking), POLICY)} == {
        ("error", ("ssm:reader",)),
        ("warning", ("ssm:halter",)),
    }


@pytest.mark.parametrize(
    ("recorder", "name"),
    [
        ("missing", "recorder-missing"),
        ("stopped", "recorder-silent"),
        ("without patch compliance", "recorder-silent"),
        ("recording", None),
        (None, None),
    ],
)
def test_a_rule_of_aws_config_without_a_recorder_for_it_is_an_error(recorder: Any, name: str | None) -> None:
    found = [(one.name, one.severity) for one in examine(Facts(recorder=recorder), POLICY)]
    assert found == ([(name, "error")] if name else [])


def test_what_nobody_can_tell_is_unknown_and_said_once() -> None:
    known = Facts(
        permissions=(PermissionFact("reader", "a", unknown="denied"), PermissionFact("halter", "b", unknown="denied")),
        buckets=(BucketFact("locked", "logs", "unknown", "denied"),),
    )
    assert [(one.name, one.severity, one.ids) for one in examine(known, POLICY)] == [
        ("bucket-unknown", "unknown", ("locked",)),
        ("permissions-unknown", "unknown", ("a", "b")),
    ]


def test_the_worst_comes_first() -> None:
    known = facts(
        node("i-1", agent=replace(AGENT, latest=False)), node("i-2", agent=None), node("i-3", state="stopped")
    )
    assert [one.severity for one in examine(known, POLICY)] == ["error", "warning", "note"]


def test_the_overview_counts_every_node_once() -> None:
    known = facts(node("i-1"), node("i-2"), node("i-3", agent=None), node("i-4", tags={"PatchGroup": "others"}))
    assert kinds(known, POLICY) == {
        Kind("", "web", "unknown"): 1,
        Kind("UBUNTU 22.04", "others", "AWS's default"): 1,
        Kind("UBUNTU 22.04", "web", "registered"): 2,
    }


def test_the_document_explains_every_finding_and_no_other() -> None:
    code = "".join(file.read_text() for file in (ROOT / "include/sluice/core/doctor").glob("*.py"))
    named = set(re.findall(r'(?:_finding|Finding)\(\s*f?"([a-z{}.-]+)"', code))
    named = {name for name in named if "{" not in name}
    named |= {f"{beginning}-{kind}" for beginning in ("foreign", "other") for kind in ("association", "window")}
    explained = re.findall(r"^\| `([a-z][a-z-]+)` \|", (ROOT / "docs/doctor.md").read_text(), re.MULTILINE)
    assert explained == sorted(named)
