"""State Manager associations, which the lab keeps and never runs."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from world_builder import add_nodes

from lab.testing import LabHandle

WEB = [{"Key": "tag:Patch Group", "Values": ["web"]}]


@pytest.fixture
def ssm(lab: LabHandle) -> Any:
    return lab.client("ssm")


def create(ssm: Any, name: str = "AWS-GatherSoftwareInventory", **members: Any) -> Any:
    given = {"Targets": WEB, **members}
    return ssm.create_association(Name=name, **given)["AssociationDescription"]


def code(call: Any, **members: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**members)
    return str(caught.value.response["Error"]["Code"])


def test_an_account_has_no_associations_at_first(ssm: Any) -> None:
    assert ssm.list_associations()["Associations"] == []


def test_an_association_keeps_what_it_is_created_with(lab: LabHandle, ssm: Any) -> None:
    members: dict[str, Any] = {
        "AssociationName": "Inventory",
        "ScheduleExpression": "rate(12 hours)",
        "Parameters": {"applications": ["Enabled"]},
        "ComplianceSeverity": "HIGH",
        "MaxConcurrency": "10%",
    }
    created = create(ssm, **members)
    described = ssm.describe_association(AssociationId=created["AssociationId"])["AssociationDescription"]
    assert described == created
    assert {name: described[name] for name in members} == members
    assert described["Targets"] == WEB
    assert described["AssociationVersion"] == "1"
    assert described["Date"] == lab.world.clock.now()
    assert described["Overview"]["Status"] == "Pending"
    assert "LastExecutionDate" not in described


def test_an_update_is_a_new_version(lab: LabHandle, ssm: Any) -> None:
    association = create(ssm, ScheduleExpression="rate(12 hours)", AssociationName="one")["AssociationId"]
    lab.advance(hours=1)
    ssm.update_association(AssociationId=association, ScheduleExpression="cron(0 2 ? * SUN *)")
    now = ssm.describe_association(AssociationId=association)["AssociationDescription"]
    before = ssm.describe_association(AssociationId=association, AssociationVersion="1")["AssociationDescription"]
    assert (now["AssociationVersion"], now["ScheduleExpression"]) == ("2", "cron(0 2 ? * SUN *)")
    assert now["Targets"] == WEB
    assert "AssociationName" not in now
    assert (before["AssociationVersion"], before["ScheduleExpression"]) == ("1", "rate(12 hours)")
    versions = ssm.list_association_versions(AssociationId=association)["AssociationVersions"]
    assert [version["AssociationVersion"] for version in versions] == ["2", "1"]
    assert code(ssm.describe_association, AssociationId=association, AssociationVersion="3") == (
        "InvalidAssociationVersion"
    )


def test_associations_are_listed_and_filtered(ssm: Any) -> None:
    create(ssm, AssociationName="one")
    create(ssm, "AWS-Noop")
    listed = ssm.list_associations()["Associations"]
    assert [item["Name"] for item in listed] == ["AWS-GatherSoftwareInventory", "AWS-Noop"]
    found = ssm.list_associations(AssociationFilterList=[{"key": "AssociationName", "value": "one"}])["Associations"]
    assert [item["AssociationName"] for item in found] == ["one"]
    first = ssm.list_associations(MaxResults=1)
    assert len(first["Associations"]) == 1
    assert ssm.list_associations(MaxResults=1, NextToken=first["NextToken"])["Associations"][0]["Name"] == "AWS-Noop"


def test_a_node_has_the_associations_that_target_it(lab: LabHandle, ssm: Any) -> None:
    web, db = add_nodes(lab, 1, group="web")[0], add_nodes(lab, 1, group="db")[0]
    of_web = create(ssm)["AssociationId"]
    of_all = create(ssm, "AWS-Noop", Targets=[{"Key": "InstanceIds", "Values": ["*"]}])["AssociationId"]

    def ids(node_id: str) -> list[str]:
        found = ssm.describe_effective_instance_associations(InstanceId=node_id)["Associations"]
        status = ssm.describe_instance_associations_status(InstanceId=node_id)["InstanceAssociationStatusInfos"]
        assert [item["AssociationId"] for item in status] == [item["AssociationId"] for item in found]
        assert all(item["Status"] == "Pending" for item in status)
        return [item["AssociationId"] for item in found]

    assert ids(web.node_id) == [of_web, of_all]
    assert ids(db.node_id) == [of_all]
    assert code(ssm.describe_effective_instance_associations, InstanceId="i-00000000000000000") == "InvalidInstanceId"
    found = ssm.list_associations(AssociationFilterList=[{"key": "InstanceId", "value": db.node_id}])["Associations"]
    assert [item["AssociationId"] for item in found] == [of_all]


def test_an_association_of_one_node_is_found_by_document_and_node(lab: LabHandle, ssm: Any) -> None:
    node = add_nodes(lab)[0].node_id
    made = ssm.create_association(Name="AWS-Noop", InstanceId=node)["AssociationDescription"]
    assert made["Targets"] == [{"Key": "InstanceIds", "Values": [node]}]
    assert made["Status"]["Name"] == "Pending"
    assert code(ssm.create_association, Name="AWS-Noop", InstanceId=node) == "AssociationAlreadyExists"
    found = ssm.describe_association(Name="AWS-Noop", InstanceId=node)["AssociationDescription"]
    assert found["AssociationId"] == made["AssociationId"]
    ssm.delete_association(Name="AWS-Noop", InstanceId=node)
    assert code(ssm.describe_association, Name="AWS-Noop", InstanceId=node) == "AssociationDoesNotExist"


def test_an_association_that_makes_no_sense_is_refused(ssm: Any) -> None:
    assert code(ssm.create_association, Name="Nobody", Targets=WEB) == "InvalidDocument"
    assert code(ssm.create_association, Name="AWS-Noop") == "InvalidTarget"
    assert code(ssm.create_association, Name="AWS-Noop", InstanceId="i-00000000000000000") == "InvalidInstanceId"
    assert code(ssm.create_association, Name="AWS-Noop", Targets=WEB, Parameters={"x": ["1"]}) == "InvalidParameters"
    assert code(ssm.create_association, Name="AWS-Noop", Targets=WEB, ScheduleExpression="daily") == "InvalidSchedule"
    assert code(ssm.create_association, Name="AWS-Noop", Targets=WEB, DocumentVersion="9") == "InvalidDocumentVersion"
    for targets in ([{"Values": ["web"]}], [{"Key": "tag:Role"}], [{"Key": "Role", "Values": ["web"]}]):
        assert code(ssm.create_association, Name="AWS-Noop", Targets=targets) == "InvalidTarget"


def test_a_document_with_an_association_cannot_be_deleted(ssm: Any) -> None:
    ssm.create_document(Name="own", Content=ssm.get_document(Name="AWS-Noop")["Content"])
    association = create(ssm, "own")["AssociationId"]
    assert code(ssm.delete_document, Name="own") == "AssociatedInstances"
    ssm.delete_association(AssociationId=association)
    ssm.delete_document(Name="own")


def test_no_association_ever_runs(lab: LabHandle, ssm: Any) -> None:
    association = create(ssm, ScheduleExpression="rate(1 hour)")["AssociationId"]
    lab.advance(days=2)
    assert ssm.describe_association_executions(AssociationId=association)["AssociationExecutions"] == []
