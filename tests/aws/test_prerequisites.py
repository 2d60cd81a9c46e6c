"""What is read of a location for the doctor: nodes, inventory, buckets, roles, permissions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest

from lab.evaluate import Evr
from lab.faults import FaultRule
from lab.testing import LabHandle
from sluice.aws import buckets, config_recorders, inventory, nodes, prerequisites, roles
from sluice.aws.session import Connection, Connections, Duty
from sluice.core.errors import AWSError, DeniedError
from sluice.core.policy.places import Extras, Location, Roles
from sluice.core.policy.policy import Policy
from sluice.files import DEMO, SHIPPED, read_policy

REGION = "eu-west-3"
ACCOUNT = "111111111111"


@pytest.fixture
def lab_fleet() -> str:
    return "demo"


@pytest.fixture
def connections(aws_environment: LabHandle) -> Connections:
    return Connections(Roles(), read_only=True)


@pytest.fixture
def connection(connections: Connections) -> Iterator[Connection]:
    opened = connections.open(Location(), Duty.READER)
    yield opened
    opened.close()


@pytest.fixture
def demo() -> Policy:
    return read_policy(str(SHIPPED / DEMO)).policy


def by_name(connection: Connection) -> dict[str, Any]:
    return {node.tags.get("Name", ""): node for node in nodes.listed(connection)}


def test_every_node_is_listed_once_over_all_pages(connection: Connection, aws_environment: LabHandle) -> None:
    found = nodes.listed(connection)
    location = aws_environment.location(ACCOUNT, REGION)
    assert sorted(node.id for node in found) == sorted(location.nodes)
    assert len(found) > 30


def test_a_node_has_what_ec2_and_what_systems_manager_knows(connection: Connection) -> None:
    found = by_name(connection)
    assert (found["web-nonprod-stopped"].stopped, found["web-nonprod-stopped"].agent) == (True, None)
    assert (found["unmanaged-01"].profile, found["unmanaged-01"].agent) == (None, None)
    assert found["api-nonprod-lost"].agent.online is False
    assert found["web-prod-legacy"].profile == "LegacyManagedNode"
    assert found["web-prod-legacy"].agent.latest is False
    edge = found["edge-01"]
    assert (edge.hybrid, edge.state, edge.group("Patch Group"), edge.product) == (
        True,
        "",
        "prod-linux",
        "UBUNTU 22.04",
    )
    assert found["erp-prod-01"].product == "WINDOWS Server 2022"


def test_terminated_instances_are_no_nodes(connection: Connection, aws_environment: LabHandle) -> None:
    gone = by_name(connection)["web-prod-01"].id
    aws_environment.client("ec2").terminate_instances(InstanceIds=[gone])
    aws_environment.advance(minutes=10)
    assert gone not in {node.id for node in nodes.listed(connection)}


def test_inventory_tells_other_patchers_by_node(connection: Connection, aws_environment: LabHandle) -> None:
    found = by_name(connection)
    ubuntu, windows = found["db-nonprod-01"].id, found["erp-nonprod-01"].id
    node = aws_environment.location(ACCOUNT, REGION).nodes[ubuntu]
    node.packages = node.packages.with_installed({"unattended-upgrades.all": Evr(0, "2.8", "")})
    aws_environment.client("ssm").put_inventory(
        InstanceId=windows,
        Items=[
            {
                "TypeName": "AWS:WindowsRegistry",
                "SchemaVersion": "1.0",
                "CaptureTime": "2025-06-01T00:00:00Z",
                "Content": [
                    {
                        "KeyPath": r"HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate",
                        "ValueName": "WUServer",
                        "ValueType": "REG_SZ",
                        "Value": "http://updates.example.com:8530",
                    }
                ],
            }
        ],
    )
    patchers, known = inventory.patchers(connection)
    assert patchers["unattended-upgrades"] == {ubuntu}
    assert patchers["WSUS"] == {windows}
    assert patchers["dnf-automatic"] == frozenset()
    assert {ubuntu, windows, found["web-prod-01"].id} <= known
    assert found["erp-nonprod-02"].id not in known


def test_a_bucket_is_there_missing_elsewhere_or_nobody_knows(
    connection: Connection, aws_environment: LabHandle
) -> None:
    for name, region in (("here", REGION), ("abroad", "eu-central-1"), ("locked", REGION)):
        s3 = aws_environment.client("s3", region=region)
        s3.create_bucket(Bucket=f"{name}-bucket", CreateBucketConfiguration={"LocationConstraint": region})
    rule = FaultRule(kind="access_denied", service="s3", operation="HeadBucket", contains="locked")
    aws_environment.server.faults.add(rule)
    found = {
        name: buckets.look(connection, f"{name}-bucket", "logs").state for name in ("here", "abroad", "locked", "gone")
    }
    assert found == {"here": "there", "abroad": "elsewhere", "locked": "unknown", "gone": "missing"}


def test_every_bucket_that_the_policy_names_is_looked_at_the_evidences_as_the_caller(
    connections: Connections, connection: Connection, aws_environment: LabHandle, demo: Policy
) -> None:
    s3 = aws_environment.client("s3", region="eu-central-1")
    s3.create_bucket(Bucket="evidence-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    changes = {"evidence": {"bucket": "evidence-bucket"}, "extras": {"data_sync_bucket": "inventory-{account}"}}
    policy = Policy.model_validate({**demo.model_dump(mode="json", by_alias=True, exclude_unset=True), **changes})
    found = {one.name: one.state for one in prerequisites.facts(connection, connections, policy).buckets}
    assert found == {
        f"sluice-operations-{ACCOUNT}-{REGION}": "missing",
        f"sluice-logs-{ACCOUNT}-{REGION}": "missing",
        f"inventory-{ACCOUNT}": "missing",
        "evidence-bucket": "there",
    }


def test_a_recorder_is_missing_stopped_silent_on_patches_or_records(
    connection: Connection, aws_environment: LabHandle
) -> None:
    config = aws_environment.client("config")
    assert config_recorders.look(connection) == "missing"
    recorder = {"name": "default", "roleARN": f"arn:aws:iam::{ACCOUNT}:role/config"}
    only = {"allSupported": False, "includeGlobalResourceTypes": False, "resourceTypes": ["AWS::EC2::Instance"]}
    config.put_configuration_recorder(ConfigurationRecorder={**recorder, "recordingGroup": only})
    assert config_recorders.look(connection) == "without patch compliance"
    config.put_configuration_recorder(ConfigurationRecorder=recorder)
    assert config_recorders.look(connection) == "stopped"
    config.put_delivery_channel(DeliveryChannel={"name": "default", "s3BucketName": "config-bucket"})
    config.start_configuration_recorder(ConfigurationRecorderName="default")
    assert config_recorders.look(connection) == "recording"
    aws_environment.take_problems()  # moto's answers have members that AWS's model has not


@pytest.mark.parametrize(
    ("group", "records"),
    [
        ({"recordingStrategy": {"useOnly": "ALL_SUPPORTED_RESOURCE_TYPES"}, "allSupported": True}, True),
        ({"allSupported": False, "resourceTypes": ["AWS::SSM::PatchCompliance"]}, True),
        ({"recordingStrategy": {"useOnly": "EXCLUSION_BY_RESOURCE_TYPES"}, "allSupported": False}, True),
        (
            {
                "recordingStrategy": {"useOnly": "EXCLUSION_BY_RESOURCE_TYPES"},
                "exclusionByResourceTypes": {"resourceTypes": ["AWS::SSM::PatchCompliance"]},
            },
            False,
        ),
    ],
)
def test_what_a_recorder_records_is_read_from_its_strategy(group: dict[str, Any], records: bool) -> None:
    assert config_recorders.records(group) == records


def test_the_recorder_is_looked_for_only_where_the_policy_has_the_rule(
    connections: Connections, connection: Connection, demo: Policy
) -> None:
    asked = demo.model_copy(update={"extras": Extras(config_rule=True)})
    assert prerequisites.facts(connection, connections, demo).recorder is None
    assert prerequisites.facts(connection, connections, asked).recorder == "missing"


def test_each_role_that_cannot_be_assumed_is_told_with_awss_words(aws_environment: LabHandle, demo: Policy) -> None:
    aws_environment.server.faults.add(
        FaultRule(kind="access_denied", service="sts", operation="AssumeRole", contains="sluice-scanner")
    )
    found = roles.assumed(Connections.of(demo), demo.locations[0], demo)
    assert {one.duty for one in found} == set(Duty)
    refused = {one.name: one.refused for one in found if one.refused}
    assert list(refused) == ["sluice-scanner"]
    assert "AccessDenied" in refused["sluice-scanner"]


def test_a_windows_role_has_to_exist_and_to_let_systems_manager_assume_it(
    connection: Connection, aws_environment: LabHandle, demo: Policy
) -> None:
    iam = aws_environment.client("iam")
    found = {one.name: one.refused for one in roles.of_windows(connection, demo)}
    assert set(found) == {"sluice-window-nonprod", "sluice-window-prod"}
    assert all("NoSuchEntity" in (refused or "") for refused in found.values())
    for name, service in (("nonprod", "ssm.amazonaws.com"), ("prod", "ec2.amazonaws.com")):
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        iam.create_role(RoleName=f"sluice-window-{name}", AssumeRolePolicyDocument=document)
    found = {one.name: one.refused for one in roles.of_windows(connection, demo)}
    assert found["sluice-window-nonprod"] is None
    assert "ssm.amazonaws.com" in (found["sluice-window-prod"] or "")


def test_a_policy_that_observes_needs_no_installers(demo: Policy) -> None:
    observing = demo.model_copy(update={"mode": "observe"})
    assert set(roles.duties(observing)).isdisjoint(roles.INSTALLING)
    assert Duty.SCANNER in roles.duties(observing)


class Simulator(Connection):
    """IAM's simulator where the lab's is no match for it: it answers in pages of one, and refuses what it cannot group.

    A page of the lab's has room for every action that Sluice asks for, and which actions AWS's own simulator takes
    apart from others is known to nobody.
    """

    def __init__(self, *refused: str, apart: tuple[str, ...] = ()) -> None:
        super().__init__(boto3.Session(), aws_only=False, read_only=True, account=ACCOUNT, region=REGION)
        self.refused = refused
        self.apart = set(apart)

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        assert (service, operation) == ("iam", "SimulatePrincipalPolicy")
        names = parameters["ActionNames"]
        if self.apart & set(names) and not self.apart >= set(names):
            raise AWSError("Invalid Input Actions: […] require different authorization information.", "InvalidInput")
        at = int(parameters.get("Marker", 0))
        decision = "implicitDeny" if names[at] in self.refused else "allowed"
        answer: dict[str, Any] = {"EvaluationResults": [{"EvalActionName": names[at], "EvalDecision": decision}]}
        return answer | ({"IsTruncated": True, "Marker": str(at + 1)} if at + 1 < len(names) else {})


def test_permissions_that_iam_refuses_are_missing_over_all_pages(demo: Policy) -> None:
    iam = Simulator("ssm:GetInventory", "ssm:CreatePatchBaseline")
    assert roles.may(iam, demo, Duty.READER).missing == ("ssm:GetInventory",)
    applier = roles.may(iam, demo, Duty.POLICY_APPLIER)
    assert applier.missing == ("ssm:CreatePatchBaseline",)
    assert applier.principal == f"arn:aws:iam::{ACCOUNT}:role/sluice-policy-applier"


def test_actions_that_the_simulator_does_not_take_together_are_asked_one_by_one(demo: Policy) -> None:
    iam = Simulator("ssm:GetDocument", apart=("ssm:ListDocumentVersions", "ssm:DescribeDocument"))
    found = roles.may(iam, demo, Duty.READER)
    assert (found.missing, found.unknown) == (("ssm:GetDocument",), None)


@pytest.mark.parametrize(
    ("arn", "principal"),
    [
        (f"arn:aws:iam::{ACCOUNT}:user/ops/ann", f"arn:aws:iam::{ACCOUNT}:user/ops/ann"),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/ann", f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/reader"),
        (f"arn:aws:iam::{ACCOUNT}:root", None),
    ],
)
def test_without_roles_the_caller_is_simulated(
    arn: str, principal: str | None, connection: Connection, aws_environment: LabHandle, demo: Policy
) -> None:
    iam = aws_environment.client("iam")
    iam.create_user(UserName="ann", Path="/ops/")
    iam.create_role(RoleName="reader", Path="/aws-reserved/", AssumeRolePolicyDocument="{}")
    own = demo.model_copy(update={"roles": Roles()})
    connection.arn = arn
    found = roles.may(connection, own, Duty.READER)
    assert found.principal == (principal or arn)
    assert (found.unknown is None) == bool(found.missing) == (principal is not None)


def test_a_role_that_is_not_there_leaves_its_permissions_unknown(connection: Connection, demo: Policy) -> None:
    found = roles.may(connection, demo, Duty.READER)
    assert found.missing == ()
    assert found.unknown == "IAM has no role or user of this ARN"


def test_a_simulator_that_cannot_be_asked_leaves_permissions_unknown(
    connection: Connection, aws_environment: LabHandle
) -> None:
    policy = read_policy().policy
    assert roles.may(connection, policy, Duty.READER).unknown is None
    aws_environment.server.faults.add(FaultRule(kind="access_denied", operation="SimulatePrincipalPolicy"))
    found = roles.may(connection, policy, Duty.READER)
    assert found.missing == ()
    assert "AccessDenied" in (found.unknown or "")


@pytest.mark.parametrize(
    ("operation", "topic"),
    [
        ("DescribeInstances", "nodes"),
        ("DescribeInstanceInformation", "nodes"),
        ("DescribePatchGroups", "baselines"),
        ("DescribeMaintenanceWindows", "windows"),
        ("ListAssociations", "associations"),
        ("GetInstanceProfile", "profiles"),
        ("GetInventory", "inventory"),
    ],
)
def test_one_denied_read_leaves_the_others_as_they_are(
    operation: str, topic: str, connections: Connections, connection: Connection, aws_environment: LabHandle
) -> None:
    policy = read_policy().policy
    whole = prerequisites.facts_as_found(connection, policy)
    aws_environment.server.faults.add(FaultRule(kind="access_denied", operation=operation))
    found = prerequisites.facts_as_found(connection, policy)
    assert list(found.unread) == [topic]
    if topic != "nodes":
        assert found.nodes == whole.nodes
    assert replace(whole, unread={}).unread == {}


def test_what_only_reads_refuses_every_change_before_it_is_made(
    connection: Connection, aws_environment: LabHandle
) -> None:
    with pytest.raises(DeniedError, match="only reading is allowed"):
        connection.call("ssm", "DeleteMaintenanceWindow", WindowId="mw-0123456789abcdef0")
    assert aws_environment.server.calls.total(mutating=True) == 0
