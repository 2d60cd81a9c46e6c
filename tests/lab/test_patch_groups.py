"""Patch groups: registrations and the state of their nodes, as a client of AWS sees them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError
from result_builder import report, row
from world_builder import add_nodes

from lab.ssm.predefined_baselines import default_ids
from lab.testing import LabHandle


@pytest.fixture
def ssm(lab: LabHandle) -> Any:
    return lab.client("ssm")


def create(ssm: Any, system: str = "UBUNTU", name: str = "baseline") -> str:
    return str(ssm.create_patch_baseline(Name=name, OperatingSystem=system)["BaselineId"])


def register(ssm: Any, baseline: str, group: str) -> Any:
    return ssm.register_patch_baseline_for_patch_group(BaselineId=baseline, PatchGroup=group)


def registered(ssm: Any, group: str, system: str) -> str:
    return str(ssm.get_patch_baseline_for_patch_group(PatchGroup=group, OperatingSystem=system)["BaselineId"])


def groups(ssm: Any, **filters: list[str]) -> list[tuple[str, str]]:
    given = [{"Key": key, "Values": values} for key, values in filters.items()]
    pages = ssm.get_paginator("describe_patch_groups").paginate(Filters=given)
    return [(m["PatchGroup"], m["BaselineIdentity"]["OperatingSystem"]) for page in pages for m in page["Mappings"]]


@contextmanager
def refused(code: str, *words: str) -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code
    for word in words:
        assert word in caught.value.response["Error"]["Message"]


def test_a_group_has_one_baseline_for_each_operating_system(ssm: Any) -> None:
    ubuntu, windows = create(ssm, "UBUNTU"), create(ssm, "WINDOWS")
    register(ssm, ubuntu, "web")
    register(ssm, windows, "web")
    assert registered(ssm, "web", "UBUNTU") == ubuntu
    assert registered(ssm, "web", "WINDOWS") == windows
    assert ssm.get_patch_baseline_for_patch_group(PatchGroup="web")["BaselineId"] == windows


def test_a_second_baseline_of_the_same_operating_system_is_refused(ssm: Any) -> None:
    first, second = create(ssm), create(ssm)
    register(ssm, first, "web")
    register(ssm, first, "web")
    with refused(
        "AlreadyExistsException",
        "Patch Group baseline already has a baseline registered for OperatingSystem UBUNTU.",
    ):
        register(ssm, second, "web")
    assert registered(ssm, "web", "UBUNTU") == first


def test_point_10_a_baseline_that_does_not_exist_cannot_be_registered(ssm: Any) -> None:
    with refused("DoesNotExistException", "Patch Baseline to be retrieved does not exist."):
        register(ssm, "pb-00000000000000000", "web")
    assert groups(ssm) == []


def test_a_group_that_nothing_is_registered_for_has_the_default_baseline(ssm: Any) -> None:
    assert registered(ssm, "nobody", "UBUNTU") == default_ids("eu-west-3")["UBUNTU"]
    own = create(ssm)
    ssm.register_default_patch_baseline(BaselineId=own)
    assert registered(ssm, "nobody", "UBUNTU") == own


def test_awss_own_baseline_can_be_registered_by_its_arn(ssm: Any) -> None:
    awss = default_ids("eu-west-3")["UBUNTU"]
    register(ssm, awss, "web")
    own = create(ssm)
    ssm.register_default_patch_baseline(BaselineId=own)
    assert registered(ssm, "web", "UBUNTU") == awss


def test_a_deregistered_group_is_back_to_the_default(ssm: Any) -> None:
    baseline = create(ssm)
    register(ssm, baseline, "web")
    register(ssm, baseline, "db")
    for _ in range(2):
        answer = ssm.deregister_patch_baseline_for_patch_group(BaselineId=baseline, PatchGroup="web")
        assert (answer["BaselineId"], answer["PatchGroup"]) == (baseline, "web")
    assert registered(ssm, "web", "UBUNTU") == default_ids("eu-west-3")["UBUNTU"]
    assert groups(ssm) == [("db", "UBUNTU")]


def test_a_baseline_lists_its_groups(ssm: Any) -> None:
    baseline = create(ssm)
    for group in ("web", "db"):
        register(ssm, baseline, group)
    assert ssm.get_patch_baseline(BaselineId=baseline)["PatchGroups"] == ["db", "web"]


def test_point_9_a_baseline_has_at_most_twenty_five_groups(ssm: Any) -> None:
    baseline = create(ssm)
    for number in range(25):
        register(ssm, baseline, f"group-{number:02d}")
    with refused("ResourceLimitExceededException", "25"):
        register(ssm, baseline, "one-too-many")
    register(ssm, baseline, "group-24")


def test_groups_are_found_by_prefix_and_operating_system_in_pages(ssm: Any) -> None:
    ubuntu, windows = create(ssm, "UBUNTU", "linux-baseline"), create(ssm, "WINDOWS")
    for group in ("web-1", "web-2", "db-1"):
        register(ssm, ubuntu, group)
    register(ssm, windows, "web-1")
    assert groups(ssm, NAME_PREFIX=["web-"]) == [("web-1", "UBUNTU"), ("web-1", "WINDOWS"), ("web-2", "UBUNTU")]
    assert groups(ssm, NAME_PREFIX=["web-"], OPERATING_SYSTEM=["WINDOWS"]) == [("web-1", "WINDOWS")]
    first = ssm.describe_patch_groups(MaxResults=3)
    assert len(first["Mappings"]) == 3
    assert len(ssm.describe_patch_groups(MaxResults=3, NextToken=first["NextToken"])["Mappings"]) == 1
    identity = first["Mappings"][0]["BaselineIdentity"]
    assert identity == {
        "BaselineId": ubuntu,
        "BaselineName": "linux-baseline",
        "OperatingSystem": "UBUNTU",
        "DefaultBaseline": False,
    }
    with refused("ValidationException", "OWNER"):
        groups(ssm, OWNER=["Self"])


def test_the_state_of_a_group_counts_nodes_by_what_they_last_reported(lab: LabHandle, ssm: Any) -> None:
    nodes = add_nodes(lab, 4, group="web")
    report(add_nodes(lab, 1, group="db")[0], [row("a.x86_64", "MISSING")])
    shared = (
        row("installed.x86_64", "INSTALLED"),
        row("other.x86_64", "INSTALLED_OTHER"),
        row("critical.x86_64", "MISSING", level="CRITICAL", classification="Security"),
        row("plain.x86_64", "MISSING", classification="Bugfix"),
    )
    report(nodes[0], shared)
    report(nodes[1], shared)
    report(nodes[2], shared, failed=frozenset({"plain.x86_64"}), pending=frozenset({"installed.x86_64"}))
    state = ssm.describe_patch_group_state(PatchGroup="web")
    counts = {name: number for name, number in state.items() if name != "ResponseMetadata"}
    assert counts == {
        "Instances": 4,
        "InstancesWithInstalledPatches": 2,
        "InstancesWithInstalledOtherPatches": 3,
        "InstancesWithInstalledPendingRebootPatches": 1,
        "InstancesWithInstalledRejectedPatches": 0,
        "InstancesWithMissingPatches": 3,
        "InstancesWithFailedPatches": 1,
        "InstancesWithNotApplicablePatches": 0,
        "InstancesWithUnreportedNotApplicablePatches": 0,
        "InstancesWithCriticalNonCompliantPatches": 3,
        "InstancesWithSecurityNonCompliantPatches": 3,
        "InstancesWithOtherNonCompliantPatches": 3,
        "InstancesWithAvailableSecurityUpdates": 0,
    }


def test_a_group_without_nodes_counts_nothing(ssm: Any) -> None:
    state = ssm.describe_patch_group_state(PatchGroup="nobody")
    assert {number for name, number in state.items() if name != "ResponseMetadata"} == {0}
