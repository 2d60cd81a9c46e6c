"""Every node that a release should reach is expected, and has a reason when it cannot."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from nodes_world import AMAZON, CENTOS, DAY, HERE, REGISTERED, UNKNOWN, WINDOWS, node, nodes_policy, window_of

from sluice.core.errors import ReleaseError
from sluice.core.node import Node
from sluice.core.policy.policy import Policy
from sluice.core.release.resolve import changed, check_groups, narrowed, resolve, without
from sluice.core.release.terms import Asked, Expected, Reason

PROD, SCAN = "install-prod", "scan"


def resolved(*nodes: Node, window: str = PROD, policy: Policy | None = None, day: date = DAY) -> dict[str, Expected]:
    policy = policy or nodes_policy()
    found = resolve(policy, window_of(policy, window), nodes, REGISTERED, HERE, day)
    return {one.node: one for one in found}


def test_a_node_that_is_tagged_and_online_is_reached_by_the_slot_of_its_group_and_product() -> None:
    found = resolved(node("i-1", Name="web-1", Role="web"), node("i-2", "prod-windows", WINDOWS))
    assert found["i-1"] == Expected(
        "i-1", HERE, "web-1", "prod-linux", "AMAZON_LINUX_2023", "web", "prod-linux.AMAZON_LINUX_2023"
    )
    assert found["i-2"].slot == "prod-windows.WINDOWS_Server_2019"


@pytest.mark.parametrize(
    ("found", "reason", "detail"),
    [
        (node("i-1", state="stopped"), Reason.STOPPED, "stopped"),
        (node("i-1", state="stopping"), Reason.STOPPED, "stopping"),
        (node("i-1", online=False), Reason.AGENT_LOST, "last heard of at 2025-06-09 03:00 UTC"),
        (node("i-1", platform=None), Reason.NO_AGENT, "running, with the profile Managed"),
        (node("i-1", platform=None, profile=None), Reason.NO_PROFILE, "and so unknown to Systems Manager"),
        (node("i-1", None), Reason.NO_GROUP, "no tag Patch Group"),
        (node("i-1", None, PatchGroup="prod-linux"), Reason.NO_GROUP, "tagged by another key than Patch Group: prod-"),
        (node("i-1", "strangers"), Reason.NO_BASELINE, "strangers is not in the policy, and no baseline serves it"),
        (node("i-1", "prod-centos", CENTOS), Reason.NOT_LISTED, "prod-centos does not list"),
        (node("i-1", "prod-windows"), Reason.NOT_LISTED, "prod-windows does not list AMAZON_LINUX_2023"),
        (node("i-1", platform=UNKNOWN), Reason.UNKNOWN_PRODUCT, "the agent says 'Plan 9 4'"),
    ],
)
def test_a_node_that_is_not_reached_is_expected_all_the_same_with_its_reason(
    found: Node, reason: Reason, detail: str
) -> None:
    policy = nodes_policy(patch_groups=["prod-linux", "prod-windows", "prod-centos"])
    if found.group("Patch Group") == "prod-centos":  # a policy that takes the product away
        group = policy.patch_groups[3].model_copy(update={"products": ("AMAZON_LINUX_2023",)})
        policy = policy.model_copy(update={"patch_groups": (*policy.patch_groups[:3], group)})
    one = resolved(found, policy=policy)["i-1"]
    assert (one.reason, one.detail[: len(detail)]) == (reason, detail)


def test_a_group_whose_baseline_is_not_registered_falls_silently_on_awss_default_and_is_not_patched_by_it() -> None:
    policy = nodes_policy(patch_groups="prod-centos")
    one = resolved(node("i-1", "prod-centos", CENTOS), policy=policy)["i-1"]
    assert (one.slot, one.reason, one.detail) == (
        "prod-centos.CENTOS_7",
        Reason.NO_BASELINE,
        "no baseline serves prod-centos on CENTOS",
    )


def test_nodes_of_another_windows_groups_are_that_windows_business() -> None:
    assert resolved(node("i-1", "nonprod-linux")) == {}


def test_a_group_that_others_serve_is_named_and_left_to_them() -> None:
    policy = nodes_policy()
    window = window_of(policy, PROD)
    (one,) = resolve(policy, window, [node("i-1", "theirs")], {("theirs", "AMAZON_LINUX_2023")}, HERE, DAY)
    assert (one.slot, one.reason, one.detail) == (None, Reason.NO_GROUP, "theirs is not in the policy")


@pytest.mark.parametrize("what", [{"nodes": "i-1"}, {"patch_groups": "prod-linux"}])
def test_an_exception_holds_up_to_and_including_its_day(what: dict[str, str]) -> None:
    policy = nodes_policy(exceptions=[{**what, "owner": "dba", "because": "migration", "expires": "2025-06-09"}])
    held = resolved(node("i-1"), policy=policy)["i-1"]
    assert (held.reason, held.detail) == (Reason.EXCEPTED, "until 2025-06-09, dba: migration")
    assert resolved(node("i-1"), policy=policy, day=date(2025, 6, 10))["i-1"].reason is None


def test_of_several_exceptions_the_longest_is_told() -> None:
    both: list[dict[str, Any]] = [
        {"nodes": "i-1", "owner": "dba", "because": "migration", "expires": day} for day in ("2025-07-01", "2025-06-20")
    ]
    assert resolved(node("i-1"), policy=nodes_policy(exceptions=both))["i-1"].detail.startswith("until 2025-07-01")


def test_a_scan_expects_every_node_tagged_or_not_and_looks_at_excepted_ones_too() -> None:
    policy = nodes_policy(exceptions=[{"nodes": "i-1", "owner": "o", "because": "b", "expires": "2025-07-01"}])
    found = resolved(
        node("i-1"),
        node("i-2", None),
        node("i-3", "strangers"),
        node("i-4", "prod-centos", CENTOS),
        node("i-5", None, state="stopped"),
        node("mi-6", None),
        window=SCAN,
        policy=policy,
    )
    assert {id: one.slot for id, one in found.items()} == {
        "i-1": "prod-linux.scan",
        "i-2": "ungrouped",
        "i-3": "ungrouped",
        "i-4": "prod-centos.scan",
        "i-5": "ungrouped",
        "mi-6": "ungrouped",
    }
    assert {id: one.reason for id, one in found.items() if one.reason} == {"i-5": Reason.STOPPED}
    assert found["i-3"].detail == "no baseline serves strangers on AMAZON_LINUX_2023"


def test_a_scan_of_some_groups_leaves_strangers_out() -> None:
    policy = nodes_policy()
    scan = window_of(policy, SCAN).model_copy(update={"patch_groups": ("prod-linux",)})
    policy = policy.model_copy(update={"windows": (scan, *policy.windows[1:])})
    assert list(resolved(node("i-1"), node("i-2", None), window=SCAN, policy=policy)) == ["i-1"]


def test_of_two_products_that_cover_a_nodes_own_the_more_exact_one_reaches_it() -> None:
    policy = nodes_policy(patch_groups="prod-centos")
    group = policy.patch_groups[3].model_copy(update={"products": ("CENTOS 7", "CENTOS 7.9")})
    policy = policy.model_copy(update={"patch_groups": (*policy.patch_groups[:3], group)})
    assert resolved(node("i-1", "prod-centos", CENTOS), policy=policy)["i-1"].slot == "prod-centos.CENTOS_7.9"


def test_what_was_asked_for_narrows_what_is_expected() -> None:
    found = tuple(resolved(node("i-1"), node("i-2"), node("i-3", "prod-windows", WINDOWS)).values())
    assert [one.node for one in narrowed(found, Asked(nodes=("i-2", "i-9")))] == ["i-2"]
    assert [one.node for one in narrowed(found, Asked(patch_groups=("prod-windows",)))] == ["i-3"]
    assert [one.node for one in narrowed(found, Asked(retry_of="x"), failed={"i-1"})] == ["i-1"]
    assert [one.node for one in narrowed(found, Asked())] == ["i-1", "i-2", "i-3"]


def test_patch_groups_that_the_window_does_not_reach_are_refused_by_name() -> None:
    policy = nodes_policy()
    with pytest.raises(ReleaseError, match=r"of install-prod \(prod-linux, prod-windows\), found nonprod-linux"):
        check_groups(policy, window_of(policy, PROD), Asked(patch_groups=("prod-linux", "nonprod-linux")))


def test_what_changed_since_is_told_with_what_it_is_now() -> None:
    before = resolved(*(node(f"i-{number}") for number in range(1, 7)), node("i-7", state="stopped"))
    now = resolved(
        node("i-1"),
        node("i-2", state="stopped"),
        node("i-3", "nonprod-linux"),
        node("i-4", "prod-windows", WINDOWS),
        node("i-5", None),
        node("i-7"),
    )
    found = changed(before.values(), now.values())
    assert {id: reason for id, (reason, _) in found.items()} == {
        "i-2": Reason.STOPPED,
        "i-3": Reason.GONE,
        "i-4": Reason.GONE,
        "i-5": Reason.NO_GROUP,
        "i-6": Reason.GONE,
    }
    assert found["i-4"][1] == "was in the slot prod-linux.AMAZON_LINUX_2023, is in prod-windows.WINDOWS_Server_2019"


def test_a_first_reason_stays() -> None:
    (one,) = without(resolved(node("i-1", state="stopped")).values(), {"i-1": (Reason.NO_TWIN, "no twin")})
    assert one.reason == Reason.STOPPED


def test_a_node_whose_agent_is_of_another_platform_than_its_group_is_not_reached_by_any_other_slot() -> None:
    assert resolved(node("i-1", "prod-windows", AMAZON))["i-1"].slot is None
