"""Patch states: the counts of each node's last patch operation, and the patches behind them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from result_builder import BASELINE, IMAGE_BUILT, SNAPSHOT, STARTED, report, row
from world_builder import add_nodes

from lab.agent import NodeResult
from lab.evaluate import Row
from lab.ssm.base import SSMOperations
from lab.ssm.patch_states import PatchCounts, counts
from lab.ssm.patches import LEVELS, UPLOADED_STATES
from lab.ssm.selection import select
from lab.testing import LabHandle

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NON_COMPLIANT = {"MISSING", "FAILED", "INSTALLED_PENDING_REBOOT", "INSTALLED_REJECTED"}


def states(lab: LabHandle, *node_ids: str) -> list[dict[str, Any]]:
    return list(lab.client("ssm").describe_instance_patch_states(InstanceIds=list(node_ids))["InstancePatchStates"])


def of_group(lab: LabHandle, group: str = "web", **given: Any) -> list[str]:
    pages = lab.client("ssm").get_paginator("describe_instance_patch_states_for_patch_group")
    return [s["InstanceId"] for page in pages.paginate(PatchGroup=group, **given) for s in page["InstancePatchStates"]]


def patches(lab: LabHandle, node_id: str, **filters: list[str]) -> dict[str, dict[str, Any]]:
    wanted = [{"Key": key, "Values": values} for key, values in filters.items()]
    pages = lab.client("ssm").get_paginator("describe_instance_patches").paginate(InstanceId=node_id, Filters=wanted)
    return {patch["KBId"]: patch for page in pages for patch in page["Patches"]}


def test_a_node_that_was_never_scanned_has_no_patch_state(lab: LabHandle) -> None:
    scanned, unscanned = add_nodes(lab, 2)
    report(scanned, [])
    assert [s["InstanceId"] for s in states(lab, unscanned.node_id, scanned.node_id, "i-00000000000000000")] == [
        scanned.node_id
    ]


def test_a_patch_state_says_which_operation_counted_what(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    rows = [
        row("kernel.x86_64", "MISSING", level="CRITICAL"),
        row("curl.x86_64", "MISSING", level="HIGH", classification="Bugfix"),
        row("bash.x86_64", "INSTALLED"),
        row("vim.x86_64", "INSTALLED_OTHER"),
        row("vim.x86_64", "NOT_APPLICABLE"),
    ]
    report(node, rows)
    [state] = states(lab, node.node_id)
    assert state == {
        "InstanceId": node.node_id,
        "PatchGroup": "web",
        "BaselineId": BASELINE,
        "SnapshotId": SNAPSHOT,
        "InstalledCount": 1,
        "InstalledOtherCount": 1,
        "InstalledPendingRebootCount": 0,
        "InstalledRejectedCount": 0,
        "MissingCount": 2,
        "FailedCount": 0,
        "UnreportedNotApplicableCount": 0,
        "NotApplicableCount": 1,
        "AvailableSecurityUpdateCount": 0,
        "CriticalNonCompliantCount": 1,
        "SecurityNonCompliantCount": 1,
        "OtherNonCompliantCount": 1,
        "OperationStartTime": STARTED,
        "OperationEndTime": STARTED + timedelta(minutes=1),
        "Operation": "Scan",
    }


def test_an_install_s_state_names_its_override_list_and_reboot_option_a_scan_s_does_not(lab: LabHandle) -> None:
    installed, scanned = add_nodes(lab, 2)
    last = STARTED - timedelta(days=3)
    given = {"install_override_list": "s3://lists/one.yaml", "last_no_reboot_install": last}
    report(installed, [], operation="Install", reboot_option="NoReboot", **given)
    report(scanned, [], **given)
    install, scan = states(lab, installed.node_id, scanned.node_id)
    assert (install["InstallOverrideList"], install["RebootOption"]) == ("s3://lists/one.yaml", "NoReboot")
    assert "InstallOverrideList" not in scan
    assert "RebootOption" not in scan
    assert install["LastNoRebootInstallOperationTime"] == scan["LastNoRebootInstallOperationTime"] == last


def test_a_node_outside_any_group_reports_an_empty_group(lab: LabHandle) -> None:
    [node] = add_nodes(lab, group=None)
    report(node, [], patch_group="")
    assert states(lab, node.node_id)[0]["PatchGroup"] == ""


def test_states_come_in_pages_that_together_hold_each_node_once(lab: LabHandle) -> None:
    nodes = add_nodes(lab, 25)
    for node in nodes:
        report(node, [])
    ids = [node.node_id for node in nodes]
    pages = lab.client("ssm").get_paginator("describe_instance_patch_states")
    sizes = [
        [s["InstanceId"] for s in page["InstancePatchStates"]]
        for page in pages.paginate(InstanceIds=ids, PaginationConfig={"PageSize": 10})
    ]
    assert [len(page) for page in sizes] == [10, 10, 5]
    assert [node_id for page in sizes for node_id in page] == ids
    assert of_group(lab, PaginationConfig={"PageSize": 10}) == ids


def test_a_page_token_of_someone_else_is_refused(lab: LabHandle) -> None:
    with pytest.raises(ClientError, match="InvalidNextToken"):
        lab.client("ssm").describe_instance_patch_states_for_patch_group(PatchGroup="web", NextToken="theirs")


def test_a_group_s_states_are_those_that_reported_it(lab: LabHandle) -> None:
    moved, stayed, unscanned, other = add_nodes(lab, 4)
    for node in (moved, stayed):
        report(node, [])
    report(other, [], patch_group="db")
    lab.client("ec2").create_tags(Resources=[moved.node_id], Tags=[{"Key": "Patch Group", "Value": "db"}])
    assert of_group(lab) == [moved.node_id, stayed.node_id]
    assert unscanned.node_id not in of_group(lab)
    report(moved, [], patch_group="db")
    assert of_group(lab, "db") == [moved.node_id, other.node_id]
    assert of_group(lab, "nobody") == []


@pytest.mark.parametrize(
    ("operator", "value", "missing"),
    [("Equal", "1", [1]), ("NotEqual", "1", [0, 2]), ("LessThan", "2", [0, 1]), ("GreaterThan", "0", [1, 2])],
)
def test_a_group_s_states_can_be_filtered_by_counts(
    lab: LabHandle, operator: str, value: str, missing: list[int]
) -> None:
    nodes = add_nodes(lab, 3)
    for count, node in enumerate(nodes):
        report(node, [row(f"p{n}.noarch", "MISSING") for n in range(count)])
    wanted = [{"Key": "MissingCount", "Values": [value], "Type": operator}]
    assert of_group(lab, Filters=wanted) == [nodes[count].node_id for count in missing]


@pytest.mark.parametrize(("key", "value"), [("Missing", "1"), ("MissingCount", "-1"), ("MissingCount", "some")])
def test_a_filter_that_is_no_count_or_no_number_is_refused(lab: LabHandle, key: str, value: str) -> None:
    with pytest.raises(ClientError, match="InvalidFilter"):
        of_group(lab, Filters=[{"Key": key, "Values": [value], "Type": "Equal"}])


def test_patches_carry_titles_and_ids_verbatim_and_times_only_where_installed(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    new = datetime(2025, 6, 1, 3, tzinfo=UTC)
    rows = [
        row("kernel.x86_64", "MISSING", cves=("CVE-2025-1", "CVE-2025-2")),
        row("bash.x86_64", "INSTALLED", cves=("CVE-2025-3",)),
        row("curl.x86_64", "INSTALLED"),
    ]
    report(node, rows, installed_at={"curl.x86_64": new})
    assert patches(lab, node.node_id)["kernel.x86_64"] == {
        "Title": "kernel.x86_64:0:1.0-1",
        "KBId": "kernel.x86_64",
        "Classification": "Security",
        "Severity": "Important",
        "State": "MISSING",
        "InstalledTime": EPOCH,
        "CVEIds": "CVE-2025-1,CVE-2025-2",
    }
    found = patches(lab, node.node_id)
    assert "CVEIds" not in found["bash.x86_64"]
    assert found["bash.x86_64"]["InstalledTime"] == IMAGE_BUILT
    assert found["curl.x86_64"]["InstalledTime"] == new


def test_patches_come_fifty_to_a_page_and_at_most_a_hundred(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    report(node, [row(f"p{n:03d}.noarch", "MISSING") for n in range(120)])
    client = lab.client("ssm")
    assert len(client.describe_instance_patches(InstanceId=node.node_id)["Patches"]) == 50
    assert len(client.describe_instance_patches(InstanceId=node.node_id, MaxResults=100)["Patches"]) == 100
    assert list(patches(lab, node.node_id)) == [f"p{n:03d}.noarch" for n in range(120)]
    with pytest.raises(ClientError, match="ValidationException"):
        client.describe_instance_patches(InstanceId=node.node_id, MaxResults=101)


def test_states_can_be_asked_of_fifty_nodes_at_most(lab: LabHandle) -> None:
    ids = [f"i-{number:017x}" for number in range(51)]
    assert states(lab, *ids[:50]) == []
    with pytest.raises(ClientError, match="ValidationException"):
        states(lab, *ids)


def test_failed_and_pending_patches_are_the_node_s_own(lab: LabHandle) -> None:
    failing, sane = add_nodes(lab, 2)
    shared = (
        row("kernel.x86_64", "MISSING", level="CRITICAL", cves=("CVE-2025-1",)),
        row("curl.x86_64", "INSTALLED", classification="Bugfix"),
    )
    report(failing, shared, failed=frozenset({"kernel.x86_64"}), pending=frozenset({"curl.x86_64"}))
    report(sane, shared)
    found = patches(lab, failing.node_id)
    assert found["kernel.x86_64"]["State"] == "FAILED"
    assert found["kernel.x86_64"]["CVEIds"] == "CVE-2025-1"
    assert found["curl.x86_64"]["State"] == "INSTALLED_PENDING_REBOOT"
    one, other = states(lab, failing.node_id, sane.node_id)
    assert (one["FailedCount"], one["MissingCount"], one["InstalledPendingRebootCount"]) == (1, 0, 1)
    assert (one["CriticalNonCompliantCount"], one["OtherNonCompliantCount"]) == (1, 1)
    assert (other["FailedCount"], other["MissingCount"], other["OtherNonCompliantCount"]) == (0, 1, 0)


def test_ubuntu_never_reports_cves(lab: LabHandle) -> None:
    [node] = add_nodes(lab, product="Ubuntu22.04")
    report(node, [row("openssl.amd64", "MISSING", cves=("CVE-2025-1",))])
    assert "CVEIds" not in patches(lab, node.node_id)["openssl.amd64"]


def test_only_windows_names_what_is_not_applicable(lab: LabHandle) -> None:
    [linux] = add_nodes(lab)
    [windows] = add_nodes(lab, product="WindowsServer2022")
    report(linux, [row("httpd.x86_64", "NOT_APPLICABLE")])
    report(windows, [row("KB5000001", "NOT_APPLICABLE", classification="SecurityUpdates")])
    assert patches(lab, linux.node_id) == {}
    assert patches(lab, windows.node_id)["KB5000001"]["State"] == "NOT_APPLICABLE"
    assert [s["NotApplicableCount"] for s in states(lab, linux.node_id, windows.node_id)] == [1, 1]


def test_what_the_baseline_does_not_cover_has_no_classification_and_severity(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    report(node, [row("vim.x86_64", "INSTALLED_OTHER")])
    found = patches(lab, node.node_id)["vim.x86_64"]
    assert (found["Classification"], found["Severity"], found["Title"]) == ("", "", "vim.x86_64:0:1.0-1")


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"State": ["Missing"]}, ["a.noarch", "b.noarch"]),
        ({"State": ["MISSING"]}, ["a.noarch", "b.noarch"]),
        ({"State": ["Missing"], "Severity": ["Low"]}, ["b.noarch"]),
        ({"State": ["Failed", "InstalledRejected"]}, ["c.noarch"]),
        ({"Classification": ["Bugfix"]}, ["c.noarch"]),
        ({"KBId": ["a.noarch", "c.noarch"]}, ["a.noarch", "c.noarch"]),
    ],
)
def test_patches_can_be_filtered(lab: LabHandle, filters: dict[str, list[str]], found: list[str]) -> None:
    [node] = add_nodes(lab)
    rows = [
        row("a.noarch", "MISSING"),
        row("b.noarch", "MISSING", severity="Low"),
        row("c.noarch", "INSTALLED_REJECTED", classification="Bugfix"),
    ]
    report(node, rows)
    assert list(patches(lab, node.node_id, **filters)) == found


@pytest.mark.parametrize("filters", [{"Product": ["x"]}, {"State": ["Broken"]}])
def test_a_filter_on_patches_that_makes_no_sense_is_refused(lab: LabHandle, filters: dict[str, list[str]]) -> None:
    [node] = add_nodes(lab)
    with pytest.raises(ClientError, match="InvalidFilter"):
        patches(lab, node.node_id, **filters)


def test_patches_of_an_unknown_node_are_refused_of_a_new_one_empty(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    assert patches(lab, node.node_id) == {}
    with pytest.raises(ClientError, match="InvalidInstanceId"):
        patches(lab, "i-00000000000000000")


@pytest.mark.parametrize(("choice", "security"), [("COMPLIANT", 0), ("NON_COMPLIANT", 1)])
def test_an_available_security_update_counts_as_the_baseline_chose(lab: LabHandle, choice: str, security: int) -> None:
    [node] = add_nodes(lab, product="WindowsServer2022")
    given = [row("KB5000001", "AVAILABLE_SECURITY_UPDATE", level="CRITICAL", classification="SecurityUpdates")]
    report(node, given, available_security_updates=choice)
    [state] = states(lab, node.node_id)
    assert state["AvailableSecurityUpdateCount"] == 1
    assert state["SecurityNonCompliantCount"] == security
    assert state["CriticalNonCompliantCount"] == state["OtherNonCompliantCount"] == 0


class Listing(SSMOperations):
    """Any operation that has pages."""

    def _get_action(self) -> str:
        return "ListDocuments"


def test_reading_all_pages_looks_at_each_item_once_and_again_only_at_a_page_s_end() -> None:
    looked_at: list[int] = []

    def wanted(number: int) -> bool:
        looked_at.append(number)
        return number % 3 == 0

    operation = Listing()
    operation.params = {"MaxResults": 10}
    found: list[int] = []
    while True:
        page, more = select(operation, range(100), wanted, default=50)
        found += page
        if not more:
            break
        operation.params |= more
    assert found == list(range(0, 100, 3))
    assert len(looked_at) == 100 + 3


ROWS = st.lists(
    st.builds(
        Row,
        id=st.uuids().map(str),
        title=st.just("t"),
        state=st.sampled_from(list(UPLOADED_STATES)),
        compliance=st.sampled_from(LEVELS),
        matched=st.booleans(),
        requested=st.booleans(),
        classification=st.sampled_from(["Security", "SecurityUpdates", "Bugfix", ""]),
        severity=st.sampled_from(["Critical", "Important", ""]),
        cves=st.just(()),
        evr=st.none(),
    ),
    max_size=12,
).map(tuple)


def own_patches(rows: tuple[Row, ...]) -> st.SearchStrategy[tuple[frozenset[str], frozenset[str]]]:
    ids = st.frozensets(st.sampled_from([each.id for each in rows]) if rows else st.nothing())
    return st.tuples(ids, ids)


@given(st.data(), ROWS, st.sampled_from(["COMPLIANT", "NON_COMPLIANT"]))
def test_counts_are_those_of_the_patches_one_by_one(data: st.DataObject, rows: tuple[Row, ...], choice: str) -> None:
    failed, pending = data.draw(own_patches(rows))
    result = NodeResult(
        "c", "Scan", BASELINE, SNAPSHOT, "web", STARTED, STARTED, rows,
        failed=failed, pending=pending, available_security_updates=choice,
    )  # fmt: skip
    found = counts(result)
    by_state = Counter(result.state(each) for each in rows)
    assert [found.missing, found.failed, found.installed] == [
        by_state["MISSING"],
        by_state["FAILED"],
        by_state["INSTALLED"],
    ]
    assert sum(by_state.values()) == sum(_by_state(found))
    bad = [each for each in rows if result.state(each) in NON_COMPLIANT]
    critical = [each for each in bad if each.compliance == "CRITICAL"]
    security = [each for each in bad if each.classification.startswith("Security")]
    updates = by_state["AVAILABLE_SECURITY_UPDATE"] if choice == "NON_COMPLIANT" else 0
    assert found.critical_non_compliant == len(critical)
    assert found.security_non_compliant == len(security) + updates
    assert found.other_non_compliant == len([each for each in bad if each not in critical and each not in security])


def _by_state(found: PatchCounts) -> list[int]:
    return [
        found.installed,
        found.installed_other,
        found.installed_pending_reboot,
        found.installed_rejected,
        found.missing,
        found.failed,
        found.not_applicable,
        found.available_security_update,
    ]
