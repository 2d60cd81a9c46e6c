"""include/cloudformation/: what every template keeps to."""

from __future__ import annotations

import json
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from stacks import ACCOUNT, FOLDER, NAMES, REGION, Stack, body, parsed

from sluice.aws.session import Duty
from sluice.core.policy.desired import desired
from sluice.core.policy.load import load_policy
from sluice.core.policy.objects import DATA_SYNC, DataSync, Key
from sluice.core.policy.places import Extras, Roles
from sluice.core.policy.policy import Policy
from sluice.files import SHIPPED


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy([("default.yaml", (SHIPPED / "default.yaml").read_text("utf-8"))], {}).policy


def test_cfn_lint_finds_nothing() -> None:
    said = subprocess.run(
        [str(Path(sys.executable).parent / "cfn-lint"), *sorted(map(str, FOLDER.glob("*.yaml")))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (said.stdout, said.returncode) == ("", 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_template_fits_in_one_call_without_a_bucket(name: str) -> None:
    assert len(body(name).encode()) <= 51_200  # CreateStack's TemplateBody


@pytest.mark.parametrize("name", NAMES)
def test_policies_fit_into_iams_limits(name: str) -> None:
    stack = Stack(name)
    for role in stack.of("AWS::IAM::Role"):
        inline = [one["PolicyDocument"] for one in stack.resources[role]["Policies"]]
        inline += [one["PolicyDocument"] for one in stack.of("AWS::IAM::Policy").values() if role in one["Roles"]]
        assert sum(map(_size, inline)) <= 10_240, role
    for key, one in stack.of("AWS::IAM::ManagedPolicy").items():
        assert _size(one["PolicyDocument"]) <= 6_144, key


def _size(document: Any) -> int:
    return len(json.dumps(document, separators=(",", ":")))


@pytest.mark.parametrize("name", NAMES)
def test_no_role_or_policy_allows_an_action_by_wildcard(name: str) -> None:
    for logical, one in parsed(name)["Resources"].items():
        for statement in _statements(one["Properties"]):
            if statement["Effect"] == "Allow":
                assert "*" not in json.dumps(statement["Action"]), logical
                assert "NotAction" not in statement, logical


def _statements(part: Any) -> list[dict[str, Any]]:
    if isinstance(part, dict):
        own = [part] if "Effect" in part else []
        return own + [found for one in part.values() for found in _statements(one)]
    return [found for one in part for found in _statements(one)] if isinstance(part, list) else []


def test_the_roles_are_called_what_the_policy_calls_them() -> None:
    roles = Roles()
    expected = {getattr(roles, duty) for duty in Duty}
    expected |= {roles.window_service.replace("{ring}", ring) for ring in ("nonprod", "prod")}
    assert {name for name, _ in Stack("member").roles()} == expected


def test_a_ring_of_its_own_gets_the_role_that_the_policy_expects() -> None:
    assert [name for name, _ in Stack("ring").roles()] == [Roles().window_service.replace("{ring}", "canary")]


def test_reader_and_scanner_stacks_stand_alone_and_beside_each_other() -> None:
    assert {name for name, _ in Stack("reader").roles()} == {"sluice-reader"}
    assert {name for name, _ in Stack("scanner").roles()} == {
        "sluice-scanner",
        "sluice-policy-applier",
        "sluice-window-pilot",
    }


def test_a_role_says_the_same_in_every_template() -> None:
    member = Stack("member")
    for stack in (Stack("reader"), Stack("scanner", Deployment="sluice")):
        for name, role in stack.roles():
            if "window" not in name:
                assert sorted(role.statements, key=str) == sorted(member.role(name).statements, key=str), name


def test_in_observe_mode_no_role_that_installs_or_deletes_exists() -> None:
    names = {name for name, _ in Stack("member", Mode="observe").roles()}
    assert not names & {"sluice-nonprod-installer", "sluice-prod-installer", "sluice-image-deleter"}
    assert {"sluice-reader", "sluice-scanner", "sluice-halter", "sluice-policy-applier"} <= names


def test_a_member_account_is_in_observe_mode_unless_told_otherwise() -> None:
    assert parsed("member")["Parameters"]["Mode"]["Default"] == "observe"


def test_defaults_of_the_parameters_are_the_default_policys(policy: Policy) -> None:
    given = Stack("member").parameters
    for ring, parameter in (("nonprod", "NonprodGroups"), ("prod", "ProdGroups")):
        assert given[parameter] == [group.name for group in policy.patch_groups if group.ring == ring]
    assert given["PatchGroupTag"] == policy.tags.patch_group
    assert given["Deployment"] == policy.deployment
    assert given["RolePath"] == policy.roles.path


def test_each_window_of_the_default_policy_is_one_dutys(policy: Policy) -> None:
    given = Stack("member").parameters
    rings = {group.name: group.ring for group in policy.patch_groups}
    for window in policy.windows:
        of = [
            name
            for name in ("ScanWindows", "NonprodWindows", "ProdWindows")
            if any(fnmatchcase(window.name, pattern) for pattern in given[name])
        ]
        if not window.installs:
            assert of == ["ScanWindows"]
        else:
            (ring,) = {rings[group] for group in window.patch_groups}
            assert of == ["ProdWindows" if ring == "prod" else "NonprodWindows"]


def test_a_locations_buckets_are_called_what_the_policy_calls_them(policy: Policy) -> None:
    wanted = {
        str(name).replace("{account}", ACCOUNT).replace("{region}", REGION)
        for name in (policy.operations_bucket, policy.logs.bucket)
    }
    assert {one["BucketName"] for one in Stack("location").of("AWS::S3::Bucket").values()} == wanted


BUCKETS = [("location", "Operations"), ("location", "Logs"), ("control", "Evidence")]
WITH_INVENTORY = [*BUCKETS, ("location", "Inventory")]


def stack_with(name: str) -> Stack:
    """The stack with everything that it can have."""
    return Stack(name, **({"DataSync": "true"} if name == "location" else {}))


@pytest.mark.parametrize(("name", "bucket"), WITH_INVENTORY)
def test_a_bucket_is_encrypted_versioned_private_and_kept(name: str, bucket: str) -> None:
    stack = stack_with(name)
    found = stack.resources[bucket]
    (rule,) = found["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert found["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(found["PublicAccessBlockConfiguration"].values()) == {True}
    assert found["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert {one["Id"] for one in found["LifecycleConfiguration"]["Rules"]} >= {"earlier", "uploads"}
    assert "ObjectLockConfiguration" not in found
    assert stack.template["Resources"][bucket]["DeletionPolicy"] == "Retain"
    assert stack.template["Resources"][bucket]["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize(("name", "bucket"), WITH_INVENTORY)
def test_a_bucket_refuses_whoever_does_not_speak_tls(name: str, bucket: str) -> None:
    policy = stack_with(name).resources[f"{bucket}Policy"]
    assert policy["Bucket"] == bucket
    statements = [one for one in policy["PolicyDocument"]["Statement"] if one["Effect"] == "Deny"]
    assert {json.dumps(one["Condition"]) for one in statements} == {
        '{"Bool": {"aws:SecureTransport": "false"}}',
        '{"NumericLessThan": {"s3:TlsVersion": "1.2"}}',
    }
    for one in statements:
        assert (one["Principal"], one["Action"]) == ("*", "s3:*")
        assert one["Resource"] == [f"arn-of-{bucket}", f"arn-of-{bucket}/*"]


@pytest.mark.parametrize(("name", "bucket"), BUCKETS)
def test_a_bucket_can_have_a_key_of_ones_own(name: str, bucket: str) -> None:
    key = "arn:aws:kms:eu-west-3:111111111111:key/11111111-1111-1111-1111-111111111111"
    (rule,) = Stack(name, KeyArn=key).resources[bucket]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}


@pytest.mark.parametrize(("name", "bucket"), BUCKETS)
def test_a_buckets_policy_lets_nobody_in(name: str, bucket: str) -> None:
    statements = stack_with(name).resources[f"{bucket}Policy"]["PolicyDocument"]["Statement"]
    assert {one["Effect"] for one in statements} == {"Deny"}


def test_inventory_has_a_bucket_only_where_it_is_asked_for(policy: Policy) -> None:
    assert "Inventory" not in Stack("location").resources
    found = Stack("location", DataSync="true").resources["Inventory"]
    assert found["BucketName"] == f"sluice-inventory-{ACCOUNT}-{REGION}"
    synced = policy.model_copy(update={"extras": Extras(data_sync_bucket="sluice-inventory-{account}-{region}")})
    wanted = desired(synced, ACCOUNT, REGION)[Key(DATA_SYNC, "sluice-inventory")]
    assert wanted == DataSync("sluice-inventory", found["BucketName"], REGION)


def test_only_this_accounts_data_syncs_deliver_to_the_inventorys_bucket_and_only_under_its_number() -> None:
    statements = Stack("location", DataSync="true").resources["InventoryPolicy"]["PolicyDocument"]["Statement"]
    looks, delivers = [one for one in statements if one["Effect"] == "Allow"]
    assert (looks["Action"], looks["Resource"]) == ("s3:GetBucketAcl", "arn-of-Inventory")
    assert delivers["Action"] == "s3:PutObject"
    assert delivers["Resource"] == f"arn-of-Inventory/*/accountid={ACCOUNT}/*"
    assert delivers["Condition"]["StringEquals"]["s3:x-amz-acl"] == "bucket-owner-full-control"
    for one in (looks, delivers):
        assert one["Principal"] == {"Service": "ssm.amazonaws.com"}
        assert one["Condition"]["StringEquals"]["aws:SourceAccount"] == ACCOUNT
        assert one["Condition"]["ArnLike"] == {"aws:SourceArn": f"arn:aws:ssm:*:{ACCOUNT}:resource-data-sync/*"}


def test_evidence_and_logs_can_be_locked_and_leases_cannot() -> None:
    evidence = Stack("control", ObjectLockDays="365", ObjectLockMode="COMPLIANCE").resources["Evidence"]
    assert evidence["ObjectLockEnabled"] is True
    assert evidence["ObjectLockConfiguration"]["Rule"] == {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": "365"}}
    location = Stack("location", ObjectLockDays="30")
    assert location.resources["Logs"]["ObjectLockEnabled"] is True
    assert "ObjectLockEnabled" not in location.resources["Operations"]


def test_the_topic_is_encrypted_and_only_airflow_publishes_over_tls() -> None:
    stack = Stack("control")
    assert stack.resources["Topic"]["KmsMasterKeyId"] == "alias/aws/sns"
    allow, deny = stack.resources["TopicPolicy"]["PolicyDocument"]["Statement"]
    assert (allow["Effect"], allow["Principal"], allow["Action"]) == ("Allow", {"AWS": "arn-of-Airflow"}, "sns:Publish")
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_a_members_roles_are_assumed_by_airflow_alone_and_with_the_external_id() -> None:
    stack = Stack("member")
    assert "Default" not in stack.template["Parameters"]["ExternalId"]
    for name, role in stack.roles():
        (trust,) = role.properties["AssumeRolePolicyDocument"]["Statement"]
        if "window" in name:
            assert trust["Principal"] == {"Service": "ssm.amazonaws.com"}
        else:
            assert trust["Principal"] == {"AWS": "arn:aws:iam::222222222222:role/sluice-airflow"}
            assert trust["Condition"] == {"StringEquals": {"sts:ExternalId": "something-only-you-know"}}


def test_an_external_id_is_asked_for_in_a_pilot_where_there_is_one() -> None:
    for name in ("reader", "scanner"):
        for given, condition in (("", None), ("0123456789", {"StringEquals": {"sts:ExternalId": "0123456789"}})):
            for role, one in Stack(name, ExternalId=given).roles():
                (trust,) = one.properties["AssumeRolePolicyDocument"]["Statement"]
                assert "window" in role or trust.get("Condition") == condition


def test_nodes_get_a_policy_for_the_roles_that_they_have_and_nothing_in_their_place() -> None:
    stack = Stack("node-policy")
    assert {one["Type"] for one in stack.template["Resources"].values()} == {"AWS::IAM::ManagedPolicy"}
    assert stack.resources["NodePolicy"]["Roles"] == ["web"]
    assert "Roles" not in Stack("node-policy", InstanceRoles="").resources["NodePolicy"]
