"""Compliance: items of nodes, summaries over them, items of one's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from result_builder import BASELINE, COMMAND, STARTED, report, row
from world_builder import add_nodes

from lab.testing import LabHandle

WHEN = datetime(2025, 6, 2, 8, tzinfo=UTC)


def items(lab: LabHandle, node_id: str, *filters: tuple[str, str, str]) -> list[dict[str, Any]]:
    wanted = [{"Key": key, "Type": operator, "Values": [value]} for key, operator, value in filters]
    pages = lab.client("ssm").get_paginator("list_compliance_items")
    return [item for page in pages.paginate(ResourceIds=[node_id], Filters=wanted) for item in page["ComplianceItems"]]


def resources(lab: LabHandle, *filters: tuple[str, str, str], size: int = 50) -> list[dict[str, Any]]:
    wanted = [{"Key": key, "Type": operator, "Values": [value]} for key, operator, value in filters]
    pages = lab.client("ssm").get_paginator("list_resource_compliance_summaries")
    found = pages.paginate(Filters=wanted, PaginationConfig={"PageSize": size})
    return [item for page in found for item in page["ResourceComplianceSummaryItems"]]


def put(lab: LabHandle, node_id: str, name: str, *ids: str, status: str = "NON_COMPLIANT", **given: Any) -> None:
    lab.client("ssm").put_compliance_items(
        **{
            "ResourceId": node_id,
            "ResourceType": "ManagedInstance",
            "ComplianceType": name,
            "ExecutionSummary": {"ExecutionTime": WHEN, "ExecutionType": "Audit", "ExecutionId": "run-1"},
            "Items": [{"Id": each, "Title": f"Check {each}", "Severity": "HIGH", "Status": status} for each in ids],
            **given,
        }
    )


def test_patch_compliance_is_what_the_patches_say(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    rows = [
        row("kernel.x86_64", "MISSING", level="CRITICAL", cves=("CVE-2025-1",)),
        row("bash.x86_64", "INSTALLED"),
        row("vim.x86_64", "INSTALLED_OTHER"),
        row("nano.x86_64", "NOT_APPLICABLE"),
        row("curl.x86_64", "INSTALLED", level="HIGH"),
        row("sudo.x86_64", "INSTALLED_REJECTED"),
    ]
    report(node, rows, pending=frozenset({"curl.x86_64"}))
    found = items(lab, node.node_id)
    patches = lab.client("ssm").describe_instance_patches(InstanceId=node.node_id)["Patches"]
    assert [(item["Id"], item["Title"]) for item in found] == [(patch["KBId"], patch["Title"]) for patch in patches]
    assert {item["Id"]: item["Status"] for item in found} == {
        "kernel.x86_64": "NON_COMPLIANT",
        "bash.x86_64": "COMPLIANT",
        "vim.x86_64": "COMPLIANT",
        "curl.x86_64": "NON_COMPLIANT",
        "sudo.x86_64": "NON_COMPLIANT",
    }
    kernel = found[0]
    assert (kernel["ComplianceType"], kernel["ResourceType"], kernel["ResourceId"]) == (
        "Patch",
        "ManagedInstance",
        node.node_id,
    )
    assert kernel["Severity"] == "CRITICAL"
    assert kernel["ExecutionSummary"] == {
        "ExecutionId": COMMAND,
        "ExecutionTime": STARTED,
        "ExecutionType": "Command",
    }
    assert kernel["Details"] == {
        "PatchBaselineId": BASELINE,
        "PatchState": "Missing",
        "PatchGroup": "web",
        "DocumentName": "",
        "DocumentVersion": "",
        "InstalledTime": "",
        "Classification": "Security",
        "PatchSeverity": "Important",
        "CVEIds": "CVE-2025-1",
    }
    assert found[1]["Details"]["InstalledTime"] == "2025-05-03T00:00:00Z"


def test_items_come_in_pages_of_fifty_at_most(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    report(node, [row(f"p{n}.noarch", "MISSING") for n in range(120)])
    pages = lab.client("ssm").get_paginator("list_compliance_items").paginate(ResourceIds=[node.node_id])
    assert [len(page["ComplianceItems"]) for page in pages] == [50, 50, 20]


def test_what_is_not_applicable_is_neither_compliant_nor_not(lab: LabHandle) -> None:
    [node] = add_nodes(lab, product="WindowsServer2022")
    report(node, [row("KB5000001", "NOT_APPLICABLE"), row("KB5000002", "INSTALLED")])
    [not_applicable, installed] = items(lab, node.node_id)
    assert "Status" not in not_applicable
    assert installed["Status"] == "COMPLIANT"
    [summary] = resources(lab)
    assert summary["CompliantSummary"]["CompliantCount"] == 1
    assert summary["NonCompliantSummary"]["NonCompliantCount"] == 0


def test_items_can_be_filtered(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    report(node, [row("a.noarch", "MISSING", level="HIGH"), row("b.noarch", "INSTALLED", classification="Bugfix")])
    put(lab, node.node_id, "Custom:Audit", "disk", status="COMPLIANT")
    for filters, found in (
        ([("ComplianceType", "EQUAL", "Patch")], ["a.noarch", "b.noarch"]),
        ([("Status", "NOT_EQUAL", "COMPLIANT")], ["a.noarch"]),
        ([("Status", "EQUAL", "COMPLIANT"), ("Severity", "EQUAL", "HIGH")], ["disk"]),
        ([("PatchState", "BEGIN_WITH", "Inst")], ["b.noarch"]),
        ([("Classification", "EQUAL", "Bugfix")], ["b.noarch"]),
        ([("ExecutionTime", "GREATER_THAN", "2025-06-02T00:00:00Z")], ["disk"]),
        ([("ExecutionId", "EQUAL", COMMAND)], ["a.noarch", "b.noarch"]),
        ([("Id", "EQUAL", "disk")], ["disk"]),
    ):
        assert [item["Id"] for item in items(lab, node.node_id, *filters)] == found or {
            item["Id"] for item in items(lab, node.node_id, *filters)
        } == set(found)
    with pytest.raises(ClientError, match="InvalidFilter"):
        items(lab, node.node_id, ("Colour", "EQUAL", "blue"))


def test_items_are_listed_of_one_known_resource_of_a_known_type(lab: LabHandle) -> None:
    one, other = add_nodes(lab, 2)
    client = lab.client("ssm")
    for given, code in (
        ({"ResourceIds": [one.node_id, other.node_id]}, "InvalidResourceId"),
        ({"ResourceIds": ["i-00000000000000000"]}, "InvalidResourceId"),
        ({}, "InvalidResourceId"),
        ({"ResourceIds": [one.node_id], "ResourceTypes": ["Bucket"]}, "InvalidResourceType"),
    ):
        with pytest.raises(ClientError, match=code):
            client.list_compliance_items(**given)


def test_a_resource_is_as_bad_as_its_worst_item_that_is_not_compliant(lab: LabHandle) -> None:
    bad, good, _unscanned = add_nodes(lab, 3)
    report(bad, [row("a.noarch", "INSTALLED", level="CRITICAL"), row("b.noarch", "MISSING", level="MEDIUM")])
    report(good, [row("a.noarch", "INSTALLED", level="CRITICAL"), row("b.noarch", "INSTALLED_OTHER")])
    found = {each["ResourceId"]: each for each in resources(lab)}
    assert set(found) == {bad.node_id, good.node_id}
    assert (found[bad.node_id]["Status"], found[bad.node_id]["OverallSeverity"]) == ("NON_COMPLIANT", "MEDIUM")
    assert (found[good.node_id]["Status"], found[good.node_id]["OverallSeverity"]) == ("COMPLIANT", "CRITICAL")
    assert found[bad.node_id]["NonCompliantSummary"] == {
        "NonCompliantCount": 1,
        "SeveritySummary": {
            "CriticalCount": 0,
            "HighCount": 0,
            "MediumCount": 1,
            "LowCount": 0,
            "InformationalCount": 0,
            "UnspecifiedCount": 0,
        },
    }


def test_summaries_count_resources_by_type_status_and_severity(lab: LabHandle) -> None:
    bad, good, custom = add_nodes(lab, 3)
    report(bad, [row("b.noarch", "MISSING", level="MEDIUM"), row("c.noarch", "MISSING", level="LOW")])
    report(good, [row("b.noarch", "INSTALLED")])
    put(lab, custom.node_id, "Custom:Audit", "disk", "clock")
    answer = lab.client("ssm").list_compliance_summaries()["ComplianceSummaryItems"]
    found = {each["ComplianceType"]: each for each in answer}
    assert list(found) == ["Custom:Audit", "Patch"]
    patch = found["Patch"]
    assert patch["CompliantSummary"]["CompliantCount"] == patch["NonCompliantSummary"]["NonCompliantCount"] == 1
    assert patch["NonCompliantSummary"]["SeveritySummary"]["MediumCount"] == 1
    assert found["Custom:Audit"]["NonCompliantSummary"]["SeveritySummary"]["HighCount"] == 1


def test_resources_can_be_filtered_and_paged(lab: LabHandle) -> None:
    [windows] = add_nodes(lab, product="WindowsServer2022")
    linux = add_nodes(lab, 7)
    for node in (windows, *linux):
        report(node, [row("a.noarch", "MISSING" if node is not linux[0] else "INSTALLED", level="HIGH")])
        put(lab, node.node_id, "Custom:Audit", "disk")
    assert [each["ResourceId"] for each in resources(lab, ("ComplianceType", "EQUAL", "Patch"), size=3)] == [
        node.node_id for node in (windows, *linux)
    ]
    assert len(resources(lab, size=3)) == 16
    wanted = [("Status", "EQUAL", "NON_COMPLIANT"), ("ComplianceType", "EQUAL", "Patch")]
    assert len(resources(lab, *wanted)) == 7
    assert [
        each["ResourceId"]
        for each in resources(lab, *wanted, ("AWS:InstanceInformation.PlatformType", "EQUAL", "Windows"))
    ] == [windows.node_id]
    assert len(resources(lab, ("InstanceId", "EQUAL", linux[0].node_id))) == 2
    assert len(resources(lab, ("OverallSeverity", "EQUAL", "HIGH"), ("ExecutionType", "EQUAL", "Command"))) == 8
    for key in ("Colour", "AWS:InstanceInformation.Colour"):
        with pytest.raises(ClientError, match="InvalidFilter"):
            resources(lab, (key, "EQUAL", "blue"))


def test_one_s_own_items_take_the_place_of_those_before(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    put(lab, node.node_id, "Custom:Audit", "disk", "clock")
    put(lab, node.node_id, "Custom:Audit", "clock", status="COMPLIANT")
    [item] = items(lab, node.node_id)
    assert item == {
        "ComplianceType": "Custom:Audit",
        "ResourceType": "ManagedInstance",
        "ResourceId": node.node_id,
        "Id": "clock",
        "Title": "Check clock",
        "Status": "COMPLIANT",
        "Severity": "HIGH",
        "ExecutionSummary": {"ExecutionTime": WHEN, "ExecutionType": "Audit", "ExecutionId": "run-1"},
    }


def test_a_partial_upload_replaces_single_associations(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    put(lab, node.node_id, "Association", "one", "two")
    put(lab, node.node_id, "Association", "two", status="COMPLIANT", UploadType="PARTIAL")
    assert {item["Id"]: item["Status"] for item in items(lab, node.node_id)} == {
        "one": "NON_COMPLIANT",
        "two": "COMPLIANT",
    }
    with pytest.raises(ClientError, match="InvalidItemContentException"):
        put(lab, node.node_id, "Custom:Audit", "disk", UploadType="PARTIAL")


def test_an_upload_with_the_same_hash_changes_nothing(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    put(lab, node.node_id, "Custom:Audit", "disk", ItemContentHash="a1")
    put(lab, node.node_id, "Custom:Audit", "clock", ItemContentHash="a1")
    assert [item["Id"] for item in items(lab, node.node_id)] == ["disk"]
    put(lab, node.node_id, "Custom:Audit", "clock", ItemContentHash="b2")
    assert [item["Id"] for item in items(lab, node.node_id)] == ["clock"]


def test_patch_compliance_that_was_put_lasts_until_the_next_patch_operation(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    report(node, [row("kernel.x86_64", "MISSING")])
    put(lab, node.node_id, "Patch", "KB1")
    assert [item["Id"] for item in items(lab, node.node_id)] == ["KB1"]
    report(node, [row("kernel.x86_64", "MISSING")], ended=lab.world.clock.now() + timedelta(seconds=1))
    assert [item["Id"] for item in items(lab, node.node_id)] == ["kernel.x86_64"]


def test_items_that_aws_refuses_are_refused(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    no_id = [{"Title": "x", "Severity": "HIGH", "Status": "COMPLIANT"}]
    huge = [{"Id": "x", "Severity": "LOW", "Status": "COMPLIANT", "Details": {f"k{n}": "v" * 4096 for n in range(60)}}]
    for given, code in (
        ({"ResourceId": "i-00000000000000000"}, "InvalidResourceId"),
        ({"ResourceType": "Bucket"}, "InvalidResourceType"),
        ({"ComplianceType": "Homemade"}, "InvalidItemContentException"),
        ({"Items": no_id}, "InvalidItemContentException"),
        ({"Items": huge}, "ItemSizeLimitExceededException"),
        ({"Items": [{**huge[0], "Id": f"x{n}", "Details": {"k": "v" * 4000}} for n in range(300)]}, "TotalSize"),
    ):
        with pytest.raises(ClientError, match=code):
            put(lab, node.node_id, "Custom:Audit", "disk", **given)
    with pytest.raises(ClientError, match="InvalidItemContentException"):
        put(lab, node.node_id, "Custom:Audit", "disk", "disk")
    assert items(lab, node.node_id) == []


def test_there_are_ten_custom_compliance_types_at_most(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    for number in range(10):
        put(lab, node.node_id, f"Custom:Audit{number}", "disk")
    put(lab, node.node_id, "Custom:Audit9", "clock")
    with pytest.raises(ClientError, match="ComplianceTypeCountLimitExceededException"):
        put(lab, node.node_id, "Custom:Audit10", "disk")
