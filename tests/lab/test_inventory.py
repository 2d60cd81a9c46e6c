"""Inventory: what nodes report, queries over it, items of one's own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from result_builder import BASELINE, COMMAND, SNAPSHOT, report, row
from world_builder import ACCOUNT, REGION, add_nodes

from lab.evaluate import Evr
from lab.testing import LabHandle
from lab.world import AgentState

RACK = {"TypeName": "Custom:Rack", "SchemaVersion": "1.0", "CaptureTime": "2025-06-01T10:00:00Z"}


def entities(lab: LabHandle, type_name: str = "AWS:InstanceInformation", **given: Any) -> dict[str, dict[str, Any]]:
    pages = lab.client("ssm").get_paginator("get_inventory")
    found = pages.paginate(ResultAttributes=[{"TypeName": type_name}], **given)
    return {each["Id"]: each["Data"] for page in found for each in page["Entities"]}


def matching(lab: LabHandle, *filters: tuple[str, str, str]) -> list[str]:
    return list(entities(lab, Filters=[{"Key": k, "Type": t, "Values": [v]} for k, t, v in filters]))


def entries(lab: LabHandle, node_id: str, type_name: str, **given: Any) -> list[dict[str, str]]:
    pages: list[dict[str, str]] = []
    token: dict[str, str] = {}
    while True:
        answer = lab.client("ssm").list_inventory_entries(InstanceId=node_id, TypeName=type_name, **given, **token)
        pages += answer["Entries"]
        if "NextToken" not in answer:
            return pages
        token = {"NextToken": answer["NextToken"]}


def aggregated(lab: LabHandle, *aggregators: dict[str, Any], **given: Any) -> dict[str, list[dict[str, str]]]:
    [entity] = lab.client("ssm").get_inventory(Aggregators=list(aggregators), **given)["Entities"]
    return {name: data["Content"] for name, data in entity["Data"].items()}


def put(lab: LabHandle, node_id: str, *items: dict[str, Any]) -> None:
    lab.client("ssm").put_inventory(InstanceId=node_id, Items=list(items))


def test_the_patch_summary_has_what_the_patch_state_has_as_strings(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    rows = [row("kernel.x86_64", "MISSING", level="HIGH"), row("bash.x86_64", "INSTALLED")]
    report(node, rows, operation="Install", reboot_option="NoReboot", install_override_list="s3://lists/one.yaml")
    [summary] = entries(lab, node.node_id, "AWS:PatchSummary")
    [state] = lab.client("ssm").describe_instance_patch_states(InstanceIds=[node.node_id])["InstancePatchStates"]
    assert {name: int(value) for name, value in summary.items() if name.endswith("Count")} == {
        name: value for name, value in state.items() if name.endswith("Count")
    }
    assert {name: value for name, value in summary.items() if not name.endswith("Count")} == {
        "BaselineId": BASELINE,
        "PatchGroup": "web",
        "SnapshotId": SNAPSHOT,
        "ExecutionId": COMMAND,
        "OperationType": "Install",
        "OperationStartTime": "2025-06-01T02:00:00Z",
        "OperationEndTime": "2025-06-01T02:01:00Z",
        "RebootOption": "NoReboot",
        "InstallOverrideList": "s3://lists/one.yaml",
        "NonCompliantSeverity": "HIGH",
    }


def test_a_compliant_node_s_summary_names_no_severity(lab: LabHandle) -> None:
    compliant, lacking = add_nodes(lab, 2)
    report(compliant, [row("bash.x86_64", "INSTALLED")])
    report(lacking, [row("bash.x86_64", "MISSING")])
    assert "NonCompliantSeverity" not in entries(lab, compliant.node_id, "AWS:PatchSummary")[0]
    assert entries(lab, lacking.node_id, "AWS:PatchSummary")[0]["NonCompliantSeverity"] == "INFORMATIONAL"


def test_both_kinds_of_patch_compliance_agree_with_the_patches(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    report(node, [row("kernel.x86_64", "MISSING", cves=("CVE-2025-1",)), row("bash.x86_64", "INSTALLED")])
    patches = lab.client("ssm").describe_instance_patches(InstanceId=node.node_id)["Patches"]
    identities = [(patch["KBId"], patch["Title"]) for patch in patches]
    older = entries(lab, node.node_id, "AWS:PatchCompliance")
    assert [(entry["KBId"], entry["Title"]) for entry in older] == identities
    assert [(entry["State"], entry["InstalledTime"]) for entry in older] == [
        ("Missing", ""),
        ("Installed", "2025-05-03T00:00:00Z"),
    ]
    newer = entries(lab, node.node_id, "AWS:ComplianceItem")
    assert [(entry["Id"], entry["Title"]) for entry in newer] == identities
    assert [(entry["Status"], entry["PatchState"]) for entry in newer] == [
        ("NON_COMPLIANT", "Missing"),
        ("COMPLIANT", "Installed"),
    ]
    assert newer[0]["CVEIds"] == "CVE-2025-1"


def test_patch_inventory_expires_after_thirty_days_without_a_scan(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    report(node, [row("bash.x86_64", "MISSING")])
    lab.advance(days=29)
    assert entities(lab, "AWS:PatchSummary")[node.node_id]["AWS:PatchSummary"]["CaptureTime"] == "2025-06-01T02:01:00Z"
    lab.advance(days=1)
    assert entities(lab, "AWS:PatchSummary") == {node.node_id: {}}
    assert entries(lab, node.node_id, "AWS:PatchSummary") == []
    assert entities(lab)[node.node_id]["AWS:InstanceInformation"]["Content"]


def test_inventory_shows_every_managed_node_whatever_its_status(lab: LabHandle) -> None:
    [on] = add_nodes(lab)
    [off] = add_nodes(lab, running=False)
    [lost] = add_nodes(lab, agent=AgentState.LOST)
    add_nodes(lab, agent=AgentState.NONE)
    found = {
        node_id: data["AWS:InstanceInformation"]["Content"][0]["InstanceStatus"]
        for node_id, data in entities(lab).items()
    }
    assert found == {
        on.node_id: "Active",
        off.node_id: "Stopped",
        lost.node_id: "ConnectionLost",
    }
    status = "AWS:InstanceInformation.InstanceStatus"
    assert matching(lab, (status, "NotEqual", "stopped")) == [on.node_id, lost.node_id]


def test_inventory_can_be_filtered_by_any_attribute(lab: LabHandle) -> None:
    [blue] = add_nodes(lab, tags={"Team": "blue"})
    [red] = add_nodes(lab, product="WindowsServer2022", tags={"Team": "red", "Colour": "blue"})
    report(blue, [row(f"p{n}.noarch", "MISSING") for n in range(10)])
    report(red, [row("KB5000001", "MISSING")])
    for filters, nodes in (
        ([("AWS:InstanceInformation.PlatformType", "Equal", "Windows")], [red]),
        ([("AWS:InstanceInformation.PlatformVersion", "BeginWith", "2023")], [blue]),
        ([("AWS:PatchSummary.MissingCount", "GreaterThan", "9")], [blue]),
        ([("AWS:PatchSummary.MissingCount", "LessThan", "9")], [red]),
        ([("AWS:PatchSummary.MissingCount", "GreaterThan", "0"), ("AWS:Tag.Value", "Equal", "red")], [red]),
        ([("AWS:Tag.Key", "Equal", "Team"), ("AWS:Tag.Value", "Equal", "blue")], [blue]),
        ([("AWS:PatchCompliance.KBId", "Equal", "KB5000001")], [red]),
    ):
        assert matching(lab, *filters) == [node.node_id for node in nodes], filters
    for bad in (("AWS:InstanceInformation.Colour", "Equal", "x"), ("MissingCount", "Equal", "1")):
        with pytest.raises(ClientError, match="InvalidFilter"):
            matching(lab, bad)
    with pytest.raises(ClientError, match="InvalidFilter"):
        matching(lab, ("AWS:Tag.Key", "Exists", "x"))


def test_inventory_comes_in_pages(lab: LabHandle) -> None:
    nodes = add_nodes(lab, 12)
    assert list(entities(lab, PaginationConfig={"PageSize": 5})) == [node.node_id for node in nodes]
    with pytest.raises(ClientError, match="InvalidNextToken"):
        lab.client("ssm").get_inventory(NextToken="theirs")


def test_nodes_are_counted_by_attribute(lab: LabHandle) -> None:
    add_nodes(lab, 2)
    add_nodes(lab, product="Ubuntu22.04")
    add_nodes(lab, product="WindowsServer2022")
    by_type = {"Expression": "AWS:InstanceInformation.PlatformType"}
    assert aggregated(lab, by_type)["AWS:InstanceInformation"] == [
        {"Count": "3", "PlatformType": "linux"},
        {"Count": "1", "PlatformType": "windows"},
    ]
    nested = {**by_type, "Aggregators": [{"Expression": "AWS:InstanceInformation.PlatformName"}]}
    linux = [{"Key": "AWS:InstanceInformation.PlatformType", "Values": ["Linux"]}]
    assert aggregated(lab, nested, Filters=linux)["AWS:InstanceInformation"] == [
        {"Count": "2", "PlatformType": "linux", "PlatformName": "amazon linux"},
        {"Count": "1", "PlatformType": "linux", "PlatformName": "ubuntu"},
    ]


def test_nodes_are_counted_across_types(lab: LabHandle) -> None:
    linux, windows = add_nodes(lab), add_nodes(lab, product="WindowsServer2022")
    for node in (*linux, *windows):
        put(lab, node.node_id, {**RACK, "Content": [{"Bay": "B"}]})
    nested = {
        "Expression": "Custom:Rack.Bay",
        "Aggregators": [{"Expression": "AWS:InstanceInformation.PlatformType"}],
    }
    assert aggregated(lab, nested)["Custom:Rack"] == [
        {"Count": "1", "Bay": "b", "PlatformType": "linux"},
        {"Count": "1", "Bay": "b", "PlatformType": "windows"},
    ]


def test_groups_count_who_has_a_type_and_who_has_not(lab: LabHandle) -> None:
    racked, scanned, _plain = add_nodes(lab, 3)
    put(lab, racked.node_id, {**RACK, "Content": [{"Bay": "B"}]})
    report(scanned, [])

    def group(name: str, *filters: list[str]) -> dict[str, Any]:
        wanted = [{"Key": "TypeName", "Values": values, "Type": "Exists"} for values in filters]
        return {"Groups": [{"Name": name, "Filters": wanted}]}

    found = aggregated(
        lab,
        group("Either", ["Custom:Rack", "AWS:PatchSummary"]),
        group("Both", ["Custom:Rack"], ["AWS:PatchSummary"]),
    )
    assert found["Either"] == [{"notMatchingCount": "1"}, {"matchingCount": "2"}]
    assert found["Both"] == [{"notMatchingCount": "3"}, {"matchingCount": "0"}]
    with pytest.raises(ClientError, match="InvalidInventoryGroupException"):
        aggregated(lab, group("Unknown", ["Custom:Nothing"]))


@pytest.mark.parametrize(
    "aggregator", [{}, {"Expression": "AWS:InstanceInformation"}, {"Expression": "AWS:InstanceInformation.Colour"}]
)
def test_an_aggregator_must_name_an_attribute(lab: LabHandle, aggregator: dict[str, Any]) -> None:
    add_nodes(lab)
    with pytest.raises(ClientError, match="InvalidAggregatorException"):
        aggregated(lab, aggregator)


def test_applications_are_the_packages_that_the_node_has_now(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    found = entries(lab, node.node_id, "AWS:Application")
    assert {f"{entry['Name']}.{entry['Architecture']}" for entry in found} == set(node.packages.keys())
    key = sorted(node.packages.keys())[0]
    name = key.rpartition(".")[0]
    node.packages = node.packages.with_installed({key: Evr(1, "99.0", "1")})
    node.installed_at = {key: datetime(2025, 6, 1, 3, tzinfo=UTC)}
    filters = [{"Key": "AWS:Application.Name", "Values": [name]}, {"Key": "Version", "Values": ["99.0"]}]
    [changed] = entries(lab, node.node_id, "AWS:Application", Filters=filters)
    assert (changed["Epoch"], changed["Release"], changed["InstalledTime"]) == ("1", "1", "2025-06-01T03:00:00Z")


def test_windows_lists_its_updates_and_linux_has_none(lab: LabHandle) -> None:
    [windows] = add_nodes(lab, product="WindowsServer2022")
    [linux] = add_nodes(lab)
    found = entries(lab, windows.node_id, "AWS:WindowsUpdate")
    assert {entry["HotFixId"] for entry in found} <= set(windows.packages.keys())
    assert found
    assert entries(lab, linux.node_id, "AWS:WindowsUpdate") == []
    [agent] = entries(lab, windows.node_id, "AWS:Application")
    assert (agent["Name"], agent["Version"]) == ("Amazon SSM Agent", windows.agent_version)


def test_entries_of_what_is_unknown_are_refused(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    client = lab.client("ssm")
    for given, code in (
        ({"InstanceId": "i-00000000000000000", "TypeName": "AWS:Tag"}, "InvalidInstanceId"),
        ({"InstanceId": node.node_id, "TypeName": "AWS:Toaster"}, "InvalidTypeNameException"),
        (
            {"InstanceId": node.node_id, "TypeName": "AWS:Tag", "Filters": [{"Key": "Colour", "Values": ["x"]}]},
            "InvalidFilter",
        ),
    ):
        with pytest.raises(ClientError, match=code):
            client.list_inventory_entries(**given)
    with pytest.raises(ClientError, match="InvalidResultAttributeException"):
        entities(lab, "Custom:Nothing")


def test_one_s_own_inventory_is_kept_and_shown(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    put(lab, node.node_id, {**RACK, "Content": [{"Bay": "B", "Row": "7"}], "ContentHash": "a1"})
    assert entities(lab, "Custom:Rack")[node.node_id]["Custom:Rack"] == {
        "TypeName": "Custom:Rack",
        "SchemaVersion": "1.0",
        "CaptureTime": "2025-06-01T10:00:00Z",
        "ContentHash": "a1",
        "Content": [{"Bay": "B", "Row": "7"}],
    }
    assert matching(lab, ("Custom:Rack.Bay", "Equal", "B")) == [node.node_id]
    [schema] = lab.client("ssm").get_inventory_schema(TypeName="Custom:Rack")["Schemas"]
    assert schema == {
        "TypeName": "Custom:Rack",
        "Version": "1.0",
        "Attributes": [{"Name": "Bay", "DataType": "string"}, {"Name": "Row", "DataType": "string"}],
    }


def test_a_hash_alone_renews_what_has_not_changed(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    put(lab, node.node_id, {**RACK, "Content": [{"Bay": "B"}], "ContentHash": "a1"})
    lab.advance(days=20)
    put(lab, node.node_id, {**RACK, "CaptureTime": "2025-06-21T10:00:00Z", "ContentHash": "a1"})
    lab.advance(days=20)
    assert entries(lab, node.node_id, "Custom:Rack") == [{"Bay": "B"}]
    with pytest.raises(ClientError, match="ItemContentMismatchException"):
        put(lab, node.node_id, {**RACK, "ContentHash": "b2"})


def test_inventory_that_aws_refuses_is_refused_and_nothing_of_it_is_kept(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    fine = {**RACK, "Content": [{"Bay": "B"}]}
    network = {**fine, "TypeName": "AWS:Network", "Content": [{"Name": "eth0", "IPV4": "192.0.2.1"}]}
    huge = {**fine, "TypeName": "Custom:Huge", "Content": [{"k": "v" * 4000}] * 60}
    for bad, code in (
        ({**fine, "TypeName": "AWS:Toaster"}, "InvalidTypeNameException"),
        ({**fine, "TypeName": "AWS:PatchSummary"}, "InvalidTypeNameException"),
        ({**network, "SchemaVersion": "9.0"}, "UnsupportedInventorySchemaVersionException"),
        ({**network, "Content": [{"Colour": "blue"}]}, "InvalidItemContentException"),
        ({**network, "Context": {"a": "b"}}, "UnsupportedInventoryItemContextException"),
        (fine, "InvalidItemContentException"),
        (huge, "ItemSizeLimitExceededException"),
    ):
        with pytest.raises(ClientError, match=code):
            put(lab, node.node_id, fine, bad)
        assert "Custom:Rack" not in lab.location(ACCOUNT, REGION).inventory.get(node.node_id, {})
    with pytest.raises(ClientError, match="TotalSizeLimitExceededException"):
        put(lab, node.node_id, *({**huge, "TypeName": f"Custom:Huge{n}"} for n in range(5)))
    with pytest.raises(ClientError, match="InvalidInstanceId"):
        put(lab, "i-00000000000000000", fine)
    with pytest.raises(ClientError, match="InvalidItemContentException"):
        put(lab, node.node_id, {**network, "CaptureTime": "2025-02-30T00:00:00Z"})
    put(lab, node.node_id, network)
    assert entries(lab, node.node_id, "AWS:Network") == network["Content"]


def test_there_are_twenty_custom_inventory_types_at_most(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    put(lab, node.node_id, *({**RACK, "TypeName": f"Custom:Rack{n}", "Content": [{"Bay": "B"}]} for n in range(20)))
    with pytest.raises(ClientError, match="CustomSchemaCountLimitExceededException"):
        put(lab, node.node_id, {**RACK, "Content": [{"Bay": "B"}]})


def test_a_custom_type_can_be_deleted(lab: LabHandle) -> None:
    nodes = add_nodes(lab, 2)
    for node in nodes:
        put(lab, node.node_id, {**RACK, "Content": [{"Bay": "B"}]})
    client = lab.client("ssm")
    tried = client.delete_inventory(TypeName="Custom:Rack", DryRun=True)["DeletionSummary"]
    assert (tried["TotalCount"], tried["RemainingCount"]) == (2, 2)
    assert len(entries(lab, nodes[0].node_id, "Custom:Rack")) == 1
    done = client.delete_inventory(TypeName="Custom:Rack", SchemaDeleteOption="DeleteSchema")["DeletionSummary"]
    assert done == {
        "TotalCount": 2,
        "RemainingCount": 0,
        "SummaryItems": [{"Version": "1.0", "Count": 2, "RemainingCount": 0}],
    }
    with pytest.raises(ClientError, match="InvalidTypeNameException"):
        entries(lab, nodes[0].node_id, "Custom:Rack")
    for given, code in (
        ({"TypeName": "AWS:Network"}, "InvalidTypeNameException"),
        ({"TypeName": "Custom:Rack"}, "InvalidTypeNameException"),
    ):
        with pytest.raises(ClientError, match=code):
            client.delete_inventory(**given)


def test_a_deletion_is_done_once_and_another_under_its_token_is_refused(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    put(lab, node.node_id, {**RACK, "Content": [{"Bay": "B"}]})
    client, token = lab.client("ssm"), "11111111-2222-3333-4444-555555555555"
    done = client.delete_inventory(TypeName="Custom:Rack", ClientToken=token)
    assert client.delete_inventory(TypeName="Custom:Rack", ClientToken=token)["DeletionId"] == done["DeletionId"]
    with pytest.raises(ClientError, match="InvalidDeleteInventoryParametersException"):
        client.delete_inventory(TypeName="Custom:Shelf", ClientToken=token)


def test_a_schema_that_cannot_be_disabled_says_so(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    put(lab, node.node_id, {**RACK, "Content": [{"Bay": "B"}]})
    with pytest.raises(ClientError, match="InvalidOptionException"):
        lab.client("ssm").delete_inventory(TypeName="Custom:Rack", SchemaDeleteOption="DisableSchema")


def test_schemas_name_every_attribute_that_is_reported(lab: LabHandle) -> None:
    [linux] = add_nodes(lab)
    [windows] = add_nodes(lab, product="WindowsServer2022")
    for node in (linux, windows):
        report(node, [row("a.noarch", "MISSING", cves=("CVE-2025-1",))], operation="Install", reboot_option="NoReboot")
    schemas = {each["TypeName"]: each for each in lab.client("ssm").get_inventory_schema()["Schemas"]}
    for name, schema in schemas.items():
        known = {each["Name"] for each in schema["Attributes"]}
        for node in (linux, windows):
            assert {key for entry in entries(lab, node.node_id, name) for key in entry} <= known, name
    numbers = {each["Name"] for each in schemas["AWS:PatchSummary"]["Attributes"] if each["DataType"] == "number"}
    assert {"MissingCount", "FailedCount", "CriticalNonCompliantCount"} <= numbers


def test_schemas_can_be_asked_for_by_use(lab: LabHandle) -> None:
    client = lab.client("ssm")
    found = client.get_inventory_schema(Aggregator=True)["Schemas"]
    platform = next(each for each in found if each["TypeName"] == "AWS:InstanceInformation")
    assert {each["Name"] for each in platform["Attributes"]} == {"PlatformName", "PlatformType", "PlatformVersion"}
    with pytest.raises(ClientError, match="InvalidTypeNameException"):
        client.get_inventory_schema(TypeName="AWS:Toaster")
