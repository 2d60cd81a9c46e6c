"""Managed nodes: which there are, when they last reported, how they are found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from world_builder import ACCOUNT, REGION, add_nodes

from lab.runs import reboot
from lab.ssm.selection import compare
from lab.testing import LabHandle
from lab.world import AgentState, Node


def described(lab: LabHandle, **given: Any) -> dict[str, dict[str, Any]]:
    pages = lab.client("ssm").get_paginator("describe_instance_information").paginate(**given)
    return {node["InstanceId"]: node for page in pages for node in page["InstanceInformationList"]}


def filtered(lab: LabHandle, key: str, *values: str) -> list[str]:
    return list(described(lab, Filters=[{"Key": key, "Values": list(values)}]))


def properties(lab: LabHandle, *filters: dict[str, Any]) -> dict[str, dict[str, Any]]:
    given = {"FiltersWithOperator": list(filters)} if filters else {}
    pages = lab.client("ssm").get_paginator("describe_instance_properties").paginate(**given)
    return {node["InstanceId"]: node for page in pages for node in page["InstanceProperties"]}


def add_hybrid(lab: LabHandle, number: int = 1) -> Node:
    [template] = add_nodes(lab)
    location = lab.location(ACCOUNT, REGION)
    node = location.nodes.pop(template.node_id)
    lab.client("ec2").terminate_instances(InstanceIds=[template.node_id])
    node.node_id, node.hybrid = f"mi-{number:017x}", True
    node.name, node.profile, node.ip_address = "plant-7.example.com", "HybridRole", "192.0.2.7"
    location.nodes[node.node_id] = node
    location.hybrid_tags[node.node_id] = {"Site": "plant"}
    return node


def test_an_online_node_has_reported_within_the_last_five_minutes(lab: LabHandle) -> None:
    nodes = add_nodes(lab, 5)
    for seconds in (0, 1, 299, 301, 86_399):
        lab.advance(seconds=seconds)
        now = lab.world.clock.now()
        for node in nodes:
            found = described(lab)[node.node_id]
            assert found["PingStatus"] == "Online"
            assert now - timedelta(minutes=5) <= found["LastPingDateTime"] <= now


def test_a_node_is_described_as_its_agent_reports_it(lab: LabHandle) -> None:
    [linux] = add_nodes(lab)
    linux.ip_address = "192.0.2.1"
    [windows] = add_nodes(lab, product="WindowsServer2022")
    found = described(lab)
    assert {
        "AgentVersion": "3.3.2299.0",
        "IsLatestVersion": True,
        "PlatformType": "Linux",
        "PlatformName": "Amazon Linux",
        "PlatformVersion": "2023",
        "ResourceType": "EC2Instance",
        "IPAddress": "192.0.2.1",
        "ComputerName": "ip-192-0-2-1.eu-west-3.compute.internal",
        "SourceType": "AWS::EC2::Instance",
    }.items() <= found[linux.node_id].items()
    assert not {"IamRole", "Name", "RegistrationDate"} & found[linux.node_id].keys()
    assert found[windows.node_id]["PlatformType"] == "Windows"
    assert found[windows.node_id]["ComputerName"].startswith("EC2AMAZ-")
    assert len(found[windows.node_id]["ComputerName"]) == 15


def test_an_old_agent_is_not_the_latest(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    node.agent_version = "3.2.582.0"
    assert described(lab)[node.node_id]["IsLatestVersion"] is False


def test_stopped_nodes_are_left_out_of_the_information_and_not_of_the_properties(lab: LabHandle) -> None:
    [on] = add_nodes(lab)
    [off] = add_nodes(lab, running=False)
    assert list(described(lab)) == [on.node_id]
    assert properties(lab)[off.node_id]["InstanceState"] == "stopped"
    assert properties(lab)[off.node_id]["PingStatus"] == "ConnectionLost"
    lab.client("ec2").start_instances(InstanceIds=[off.node_id])
    lab.advance(minutes=5)
    assert set(described(lab)) == {on.node_id, off.node_id}


def test_nodes_without_an_agent_or_a_profile_are_not_managed(lab: LabHandle) -> None:
    [silent] = add_nodes(lab, agent=AgentState.NONE)
    [barred] = add_nodes(lab)
    barred.profile = None
    assert described(lab) == {}
    assert properties(lab) == {}
    for node in (silent, barred):
        assert lab.client("ssm").get_connection_status(Target=node.node_id)["Status"] == "notconnected"


def test_a_lost_agent_keeps_the_time_of_its_last_report(lab: LabHandle) -> None:
    [node] = add_nodes(lab, agent=AgentState.LOST)
    node.last_ping = datetime(2025, 5, 30, 12, tzinfo=UTC)
    lab.advance(days=1)
    found = described(lab)[node.node_id]
    assert (found["PingStatus"], found["LastPingDateTime"]) == ("ConnectionLost", node.last_ping)


def test_a_rebooting_node_has_lost_its_connection_until_it_is_back(lab: LabHandle) -> None:
    [node] = add_nodes(lab, reboot_seconds=120)
    before = lab.world.clock.now()
    reboot(lab.location(ACCOUNT, REGION), node)
    lab.advance(seconds=60)
    found = described(lab)[node.node_id]
    assert found["PingStatus"] == "ConnectionLost"
    assert before - timedelta(minutes=5) <= found["LastPingDateTime"] <= before
    assert lab.client("ssm").get_connection_status(Target=node.node_id)["Status"] == "notconnected"
    lab.advance(seconds=61)
    found = described(lab)[node.node_id]
    assert found["PingStatus"] == "Online"
    assert found["LastPingDateTime"] >= before + timedelta(seconds=120)
    assert lab.client("ssm").get_connection_status(Target=node.node_id)["Status"] == "connected"


def test_nodes_come_in_pages_of_ten_by_default(lab: LabHandle) -> None:
    nodes = add_nodes(lab, 23)
    client = lab.client("ssm")
    first = client.describe_instance_information()
    assert len(first["InstanceInformationList"]) == 10
    assert list(described(lab)) == [node.node_id for node in nodes]
    sizes = [
        len(page["InstanceInformationList"])
        for page in client.get_paginator("describe_instance_information").paginate(PaginationConfig={"PageSize": 50})
    ]
    assert sizes == [23]
    with pytest.raises(ClientError, match="InvalidNextToken"):
        client.describe_instance_information(NextToken="theirs")


def test_nodes_are_found_by_what_they_are(lab: LabHandle) -> None:
    [linux] = add_nodes(lab, tags={"Team": "blue"})
    [windows] = add_nodes(lab, product="WindowsServer2022", group="db")
    [lost] = add_nodes(lab, agent=AgentState.LOST, group=None)
    hybrid = add_hybrid(lab)
    lost.agent_version = "3.2.582.0"
    everything = [node.node_id for node in (linux, windows, lost, hybrid)]
    for key, values, nodes in (
        ("InstanceIds", [windows.node_id, linux.node_id], [windows, linux]),
        ("AgentVersion", ["3.2.582.0"], [lost]),
        ("PingStatus", ["ConnectionLost"], [lost]),
        ("PlatformTypes", ["Windows", "MacOS"], [windows]),
        ("ResourceType", ["ManagedInstance"], [hybrid]),
        ("IamRole", ["HybridRole"], [hybrid]),
        ("SourceIds", [hybrid.node_id], [hybrid]),
        ("SourceTypes", ["AWS::SSM::ManagedInstance"], [hybrid]),
        ("ActivationIds", ["11111111-2222-4333-8444-555555555555"], []),
        ("AssociationStatus", ["Success"], []),
        ("tag:Team", ["blue", "red"], [linux]),
        ("tag:Site", ["plant"], [hybrid]),
        ("tag-key", ["Patch Group"], [linux, windows, hybrid]),
    ):
        found = filtered(lab, key, *values)
        if key == "tag-key":
            assert found == [linux.node_id, windows.node_id]
        else:
            assert found == [node.node_id for node in nodes], key
    assert filtered(lab, "ResourceType", "EC2Instance", "ManagedInstance") == everything


def test_several_filters_must_all_match(lab: LabHandle) -> None:
    [linux] = add_nodes(lab)
    add_nodes(lab, product="WindowsServer2022")
    add_nodes(lab, agent=AgentState.LOST)
    wanted = [
        {"Key": "PlatformTypes", "Values": ["Linux"]},
        {"Key": "PingStatus", "Values": ["Online"]},
    ]
    assert list(described(lab, Filters=wanted)) == [linux.node_id]
    old = [{"key": each["Key"], "valueSet": each["Values"]} for each in wanted]
    assert list(described(lab, InstanceInformationFilterList=old)) == [linux.node_id]


def test_filters_that_aws_refuses_are_refused(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    by_tag = {"Key": "tag:Team", "Values": ["blue"]}
    for filters, code in (
        ([{"Key": "Colour", "Values": ["blue"]}], "InvalidFilterKey"),
        ([by_tag, {"Key": "PingStatus", "Values": ["Online"]}], "InvalidFilterKey"),
        ([{"Key": "PingStatus", "Values": ["online"]}], "InvalidInstanceInformationFilterValue"),
        ([{"Key": "InstanceIds", "Values": [node.node_id, "i-00000000000000000"]}], "InvalidInstanceId"),
        ([{"Key": "InstanceIds", "Values": ["web-1"]}], "InvalidInstanceId"),
    ):
        with pytest.raises(ClientError, match=code):
            described(lab, Filters=filters)
    old = [{"key": "PingStatus", "valueSet": ["Online"]}]
    with pytest.raises(ClientError, match="ValidationException"):
        described(lab, Filters=[by_tag], InstanceInformationFilterList=old)


def test_an_instance_that_is_not_managed_yet_is_awaited_without_an_error(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    del lab.location(ACCOUNT, REGION).nodes[node.node_id]
    assert filtered(lab, "InstanceIds", node.node_id) == []


def test_properties_add_what_ec2_knows(lab: LabHandle) -> None:
    [node] = add_nodes(lab)
    found = properties(lab)[node.node_id]
    instance = lab.client("ec2").describe_instances(InstanceIds=[node.node_id])["Reservations"][0]["Instances"][0]
    assert found["InstanceType"] == instance["InstanceType"]
    assert found["LaunchTime"] == instance["LaunchTime"]
    assert found["AvailabilityZone"] == instance["Placement"]["AvailabilityZone"]
    assert found["InstanceState"] == "running"
    assert found["InstanceRole"] == "node"
    assert found["Name"] == node.name


def test_properties_are_filtered_with_operators(lab: LabHandle) -> None:
    [old] = add_nodes(lab, tags={"Team": "blue"})
    [new] = add_nodes(lab, tags={"Team": "red"})
    old.agent_version = "3.2.9.0"
    for key, operator, value, nodes in (
        ("AgentVersion", "LessThan", "3.2.10.0", [old]),
        ("AgentVersion", "GreaterThan", "3.2.10.0", [new]),
        ("AgentVersion", "BeginWith", "3.2", [old]),
        ("PingStatus", "NotEqual", "ConnectionLost", [old, new]),
        ("InstanceState", "Equal", "running", [old, new]),
        ("tag:Team", "NotEqual", "red", [old]),
        ("tag-key", "BeginWith", "Tea", [old, new]),
        ("AssociationStatus", "Equal", "Success", []),
    ):
        found = properties(lab, {"Key": key, "Operator": operator, "Values": [value]})
        assert list(found) == [node.node_id for node in nodes], (key, operator)
    for key, value, code in (
        ("Colour", "blue", "InvalidFilterKey"),
        ("ResourceType", "Toaster", "InvalidInstancePropertyFilterValue"),
        ("InstanceIds", "i-00000000000000000", "InvalidInstanceId"),
    ):
        with pytest.raises(ClientError, match=code):
            properties(lab, {"Key": key, "Values": [value]})


def test_a_hybrid_node_has_a_role_a_name_and_a_date_of_registration(lab: LabHandle) -> None:
    node = add_hybrid(lab)
    found = described(lab)[node.node_id]
    assert (found["IamRole"], found["Name"], found["ComputerName"]) == ("HybridRole", node.name, node.name)
    assert found["RegistrationDate"] == node.registered_at
    lab.client("ssm").update_managed_instance_role(InstanceId=node.node_id, IamRole="OtherRole")
    assert described(lab)[node.node_id]["IamRole"] == "OtherRole"


def test_a_deregistered_hybrid_node_is_forgotten(lab: LabHandle) -> None:
    node = add_hybrid(lab)
    client = lab.client("ssm")
    client.deregister_managed_instance(InstanceId=node.node_id)
    assert described(lab) == {}
    for call in (
        lambda: client.deregister_managed_instance(InstanceId=node.node_id),
        lambda: client.update_managed_instance_role(InstanceId=node.node_id, IamRole="OtherRole"),
    ):
        with pytest.raises(ClientError, match="InvalidInstanceId"):
            call()


def test_associations_that_have_not_run_are_pending(lab: LabHandle) -> None:
    [web] = add_nodes(lab)
    [db] = add_nodes(lab, group="db")
    client = lab.client("ssm")
    for _ in range(2):
        targets = [{"Key": "tag:Patch Group", "Values": ["web"]}]
        client.create_association(Name="AWS-RunPatchBaseline", Targets=targets, Parameters={"Operation": ["Scan"]})
    found = described(lab)
    assert found[web.node_id]["AssociationStatus"] == "Pending"
    assert found[web.node_id]["AssociationOverview"]["InstanceAssociationStatusAggregatedCount"] == {"Pending": 2}
    assert "AssociationStatus" not in found[db.node_id]
    assert filtered(lab, "AssociationStatus", "Pending") == [web.node_id]
    assert filtered(lab, "AssociationStatus", "Success", "Failed") == []
    assert list(properties(lab, {"Key": "DocumentName", "Values": ["AWS-RunPatchBaseline"]})) == [web.node_id]


def test_a_session_to_something_unknown_is_not_connected(lab: LabHandle) -> None:
    answer = lab.client("ssm").get_connection_status(Target="i-00000000000000000")
    assert (answer["Target"], answer["Status"]) == ("i-00000000000000000", "notconnected")


@pytest.mark.parametrize(
    ("operator", "actual", "values", "found"),
    [
        ("Equal", "Terminated", ["terminated"], True),
        ("NOT_EQUAL", "Active", ["terminated", "stopped"], True),
        ("NotEqual", "Stopped", ["terminated", "stopped"], False),
        ("BEGIN_WITH", "2023.7", ["2022", "2023"], True),
        ("LessThan", "9", ["10"], True),
        ("GREATER_THAN", "2025-06-02T00:00:00Z", ["2025-06-01T00:00:00Z"], True),
        ("GreaterThan", "3.10.0", ["3.9.9"], True),
    ],
)
def test_filters_compare_numbers_versions_and_times(operator: str, actual: str, values: list[str], found: bool) -> None:
    assert compare(operator, actual, values) is found
