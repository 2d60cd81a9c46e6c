"""Tags of windows, baselines, documents, parameters and nodes, as a client of AWS sees them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from world_builder import add_nodes, add_window

from lab.ssm.predefined_baselines import default_ids
from lab.testing import LabHandle

HYBRID = "mi-0123456789abcdef0"


@pytest.fixture
def ssm(lab: LabHandle) -> Any:
    return lab.client("ssm")


def make(lab: LabHandle, kind: str) -> str:
    ssm = lab.client("ssm")
    if kind == "MaintenanceWindow":
        return add_window(lab)
    if kind == "PatchBaseline":
        return str(ssm.create_patch_baseline(Name="baseline")["BaselineId"])
    if kind == "Document":
        content = ssm.get_document(Name="AWS-Noop")["Content"]
        return str(ssm.create_document(Name="noop", Content=content)["DocumentDescription"]["Name"])
    if kind == "Parameter":
        ssm.put_parameter(Name="/app/colour", Value="red", Type="String")
        return "/app/colour"
    if kind == "Association":
        given = {"Name": "AWS-Noop", "Targets": [{"Key": "tag:Team", "Values": ["web"]}]}
        return str(ssm.create_association(**given)["AssociationDescription"]["AssociationId"])
    location = lab.location()
    location.nodes[HYBRID] = replace(add_nodes(lab)[0], node_id=HYBRID, hybrid=True)
    return HYBRID


KINDS = ["MaintenanceWindow", "PatchBaseline", "Document", "Parameter", "Association", "ManagedInstance"]


def tags(ssm: Any, kind: str, resource: str) -> dict[str, str]:
    found = ssm.list_tags_for_resource(ResourceType=kind, ResourceId=resource)["TagList"]
    return {tag["Key"]: tag["Value"] for tag in found}


def add(ssm: Any, kind: str, resource: str, **given: str) -> None:
    ssm.add_tags_to_resource(
        ResourceType=kind, ResourceId=resource, Tags=[{"Key": key, "Value": value} for key, value in given.items()]
    )


@contextmanager
def refused(code: str, *words: str) -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code
    for word in words:
        assert word in caught.value.response["Error"]["Message"]


@pytest.mark.parametrize("kind", KINDS)
def test_tags_can_be_added_overwritten_listed_and_removed(lab: LabHandle, ssm: Any, kind: str) -> None:
    resource = make(lab, kind)
    add(ssm, kind, resource, Team="web", Stage="test")
    add(ssm, kind, resource, Stage="production")
    assert tags(ssm, kind, resource) == {"Team": "web", "Stage": "production"}
    ssm.remove_tags_from_resource(ResourceType=kind, ResourceId=resource, TagKeys=["Team", "Nothing"])
    assert tags(ssm, kind, resource) == {"Stage": "production"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_resource_has_at_most_fifty_tags(lab: LabHandle, ssm: Any, kind: str) -> None:
    resource = make(lab, kind)
    add(ssm, kind, resource, **{f"tag-{number}": "x" for number in range(50)})
    with refused("TooManyTagsError", "50"):
        add(ssm, kind, resource, one_more="x")
    add(ssm, kind, resource, **{"tag-7": "changed"})
    assert len(tags(ssm, kind, resource)) == 50


@pytest.mark.parametrize(
    ("kind", "resource"),
    [
        ("MaintenanceWindow", "mw-00000000000000000"),
        ("PatchBaseline", "pb-00000000000000000"),
        ("PatchBaseline", default_ids("eu-west-3")["UBUNTU"]),
        ("Document", "AWS-RunPatchBaseline"),
        ("Parameter", "/nobody"),
        ("ManagedInstance", "mi-00000000000000000"),
        ("Automation", "11111111-2222-4333-8444-555555555555"),
        ("OpsItem", "oi-000000000000"),
    ],
)
def test_what_is_not_the_accounts_own_has_no_tags(ssm: Any, kind: str, resource: str) -> None:
    with refused("InvalidResourceId", resource):
        add(ssm, kind, resource, Team="web")
    with refused("InvalidResourceId"):
        tags(ssm, kind, resource)


def test_an_ec2_node_is_not_tagged_through_systems_manager(lab: LabHandle, ssm: Any) -> None:
    node = add_nodes(lab)[0]
    with refused("InvalidResourceId", node.node_id):
        add(ssm, "ManagedInstance", node.node_id, Team="web")


def test_a_hybrid_nodes_tags_are_those_that_targets_see(lab: LabHandle, ssm: Any) -> None:
    node = make(lab, "ManagedInstance")
    add(ssm, "ManagedInstance", node, **{"Patch Group": "web"})
    assert lab.location().tags(node) == {"Patch Group": "web"}
    assert lab.location().patch_group(node) == "web"


def test_keys_that_aws_reserves_are_refused(lab: LabHandle, ssm: Any) -> None:
    baseline = make(lab, "PatchBaseline")
    with refused("ValidationException", "aws:owner"):
        add(ssm, "PatchBaseline", baseline, **{"aws:owner": "me"})
    with refused("ValidationException", "aws:owner"):
        ssm.create_patch_baseline(Name="tagged", Tags=[{"Key": "aws:owner", "Value": "me"}])


def test_a_baseline_keeps_the_tags_it_is_created_with_until_it_is_deleted(lab: LabHandle, ssm: Any) -> None:
    baseline = ssm.create_patch_baseline(Name="tagged", Tags=[{"Key": "Team", "Value": "web"}])["BaselineId"]
    assert tags(ssm, "PatchBaseline", baseline) == {"Team": "web"}
    ssm.delete_patch_baseline(BaselineId=baseline)
    with refused("InvalidResourceId"):
        tags(ssm, "PatchBaseline", baseline)


def test_a_window_keeps_the_tags_it_is_created_with(lab: LabHandle, ssm: Any) -> None:
    window = add_window(lab, Tags=[{"Key": "Team", "Value": "web"}])
    assert tags(ssm, "MaintenanceWindow", window) == {"Team": "web"}


def test_too_many_tags_on_a_new_baseline_leave_no_baseline(ssm: Any) -> None:
    with refused("ValidationException", "50"):
        ssm.create_patch_baseline(Name="tagged", Tags=[{"Key": f"tag-{n}", "Value": "x"} for n in range(51)])
    own = ssm.describe_patch_baselines(Filters=[{"Key": "OWNER", "Values": ["Self"]}])
    assert own["BaselineIdentities"] == []
