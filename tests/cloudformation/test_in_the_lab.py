"""The templates as stacks of the local AWS."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest
from lab_stacks import create
from stacks import ACCOUNT, NAMES, REGION, Stack, parsed

from lab.testing import LabHandle
from sluice.aws.session import Connections, Duty
from sluice.core.policy.places import Location, Roles


def prepare(lab: LabHandle, name: str) -> None:
    """What a template expects to be there."""
    for role in {"node-policy": ["web"], "ring": ["sluice-nonprod-installer"]}.get(name, []):
        lab.client("iam").create_role(RoleName=role, AssumeRolePolicyDocument="{}")


@pytest.mark.parametrize("name", NAMES)
def test_a_stack_of_each_template_is_created(lab: LabHandle, name: str) -> None:
    prepare(lab, name)
    create(lab, name)
    (stack,) = lab.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    outputs = {key for key, one in parsed(name).get("Outputs", {}).items() if "Condition" not in one}
    assert {one["OutputKey"] for one in stack.get("Outputs", ())} == outputs


@pytest.mark.parametrize("name", ["member", "reader", "scanner", "control"])
def test_the_roles_in_aws_say_what_the_template_says(lab: LabHandle, name: str) -> None:
    create(lab, name)
    iam = lab.client("iam")
    stack = Stack(name)
    found = {one["RoleName"]: one for one in iam.list_roles()["Roles"]}
    assert set(found) == {role for role, _ in stack.roles()}
    for role, properties in ((one["RoleName"], one) for one in stack.of("AWS::IAM::Role").values()):
        assert found[role]["AssumeRolePolicyDocument"] == properties["AssumeRolePolicyDocument"]
        for policy in properties["Policies"]:
            if "arn-of-" in str(policy) or "Ref" in str(policy) or name == "control":
                continue  # ARNs that only AWS makes
            answer = iam.get_role_policy(RoleName=role, PolicyName=policy["PolicyName"])
            assert _document(answer["PolicyDocument"]) == policy["PolicyDocument"]


def _document(answer: Any) -> Any:
    # moto hands a stack's policy back as Python writes it
    return ast.literal_eval(answer) if isinstance(answer, str) else answer


def test_in_observe_mode_the_account_has_no_installer(lab: LabHandle) -> None:
    create(lab, "member", Mode="observe")
    names = {one["RoleName"] for one in lab.client("iam").list_roles()["Roles"]}
    assert "sluice-reader" in names
    assert not [name for name in names if "installer" in name]


def test_sluice_opens_every_duty_by_the_roles_that_the_stack_made(
    lab: LabHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": lab.endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION, "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    create(lab, "member")
    made = {one["Arn"] for one in lab.client("iam").list_roles()["Roles"]}
    roles = Roles(assume=True, external_id="something-only-you-know")
    for duty in Duty:
        assert f"arn:aws:iam::{ACCOUNT}:role{roles.path}{getattr(roles, duty)}" in made
    connections = Connections(roles)
    for duty in Duty:
        connection = connections.open(Location(account=ACCOUNT, region=REGION), duty)
        assert f":assumed-role/{getattr(roles, duty)}/" in connection.arn
        connection.close()


def test_a_locations_buckets_are_encrypted_and_called_by_account_and_region(lab: LabHandle) -> None:
    create(lab, "location")
    s3 = lab.client("s3")
    for bucket in (f"sluice-operations-{ACCOUNT}-{REGION}", f"sluice-logs-{ACCOUNT}-{REGION}"):
        (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def test_the_inventorys_bucket_is_made_where_asked_for_and_takes_its_policy(lab: LabHandle) -> None:
    create(lab, "location", DataSync="true")
    (stack,) = lab.client("cloudformation").describe_stacks(StackName="location")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    bucket = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}["InventoryBucket"]
    assert bucket == f"sluice-inventory-{ACCOUNT}-{REGION}"
    text = json.dumps(Stack("location", DataSync="true").resources["InventoryPolicy"]["PolicyDocument"])
    policy = text.replace("arn-of-Inventory", f"arn:aws:s3:::{bucket}")
    s3 = lab.client("s3")
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == json.loads(policy)


def test_the_node_policy_is_attached_to_roles_that_are_there(lab: LabHandle) -> None:
    prepare(lab, "node-policy")
    create(lab, "node-policy")
    attached = lab.client("iam").list_attached_role_policies(RoleName="web")["AttachedPolicies"]
    assert [one["PolicyName"] for one in attached] == ["sluice-node"]
