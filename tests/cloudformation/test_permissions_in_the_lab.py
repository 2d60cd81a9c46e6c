"""What the doctor finds of the permissions of roles that the templates made, asked of the local AWS's simulator."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest
from lab_stacks import create
from stacks import ACCOUNT, REGION, Stack

from lab.testing import LabHandle
from sluice.aws import roles
from sluice.aws.session import Connection, Connections, Duty
from sluice.core.doctor import PermissionFact
from sluice.core.policy.places import Location, Roles
from sluice.core.policy.policy import Policy
from sluice.files import DEMO, SHIPPED, read_policy

PATH = "/patching/"
OWN = {
    Duty.READER: "ssm:GetInventory",
    Duty.IMAGE_DELETER: "ec2:DescribeSnapshots",
    Duty.HALTER: "ssm:CancelMaintenanceWindowExecution",
    Duty.POLICY_APPLIER: "ssm:RegisterTaskWithMaintenanceWindow",
}
"""An action of each duty that has one of its own which the doctor asks for: others' are bound to names of a stack's."""


@pytest.fixture
def policy() -> Policy:
    demo = read_policy(str(SHIPPED / DEMO)).policy
    return demo.model_copy(update={"roles": Roles(assume=True, external_id="something-only-you-know", path=PATH)})


@pytest.fixture
def aws(lab: LabHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lab is what boto3 finds by its own configuration."""
    for name, value in {
        "AWS_ENDPOINT_URL": lab.endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION, "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)


@pytest.fixture
def connection(lab: LabHandle, aws: None, policy: Policy) -> Iterator[Connection]:
    """As the doctor has it, beside the stack of the policy's deployment."""
    create(lab, "member", Deployment=policy.deployment, RolePath=PATH)
    opened = Connections.of(policy).open(Location(account=ACCOUNT, region=REGION), Duty.READER)
    yield opened
    opened.close()


def missing(connection: Connection, policy: Policy, duty: Duty) -> tuple[str, ...]:
    found = roles.may(connection, policy, duty)
    assert found == PermissionFact(duty, f"arn:aws:iam::{ACCOUNT}:role{PATH}{role_of(duty)}", found.missing)
    return found.missing


def role_of(duty: Duty) -> str:
    return str(getattr(Roles(), duty))


def own_policy(policy: Policy, duty: Duty) -> dict[str, Any]:
    """What the stack gave a duty's role for itself."""
    stack = Stack("member", Deployment=policy.deployment, RolePath=PATH)
    (found,) = [one for one in stack.of("AWS::IAM::Role").values() if one["RoleName"] == role_of(duty)]
    (document,) = [one["PolicyDocument"] for one in found["Policies"]]
    return dict(document)


def without(statement: Mapping[str, Any], action: str) -> dict[str, Any]:
    actions = [one for one in _listed(statement["Action"]) if one != action]
    return {**statement, "Action": actions}


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def put(lab: LabHandle, duty: Duty, name: str, *statements: Mapping[str, Any]) -> None:
    lab.client("iam").put_role_policy(
        RoleName=role_of(duty),
        PolicyName=name,
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
    )


def test_the_roles_of_the_stack_lack_nothing_that_their_duties_need(connection: Connection, policy: Policy) -> None:
    assert {duty: missing(connection, policy, duty) for duty in Duty} == dict.fromkeys(Duty, ())


@pytest.mark.parametrize(
    ("name", "duty"),
    [("reader", Duty.READER), ("scanner", Duty.SCANNER), ("scanner", Duty.POLICY_APPLIER)],
)
def test_the_roles_of_a_pilots_stacks_lack_nothing_as_the_callers_own(
    lab: LabHandle, aws: None, policy: Policy, name: str, duty: Duty
) -> None:
    create(lab, name, Deployment=policy.deployment)
    own = policy.model_copy(update={"roles": Roles()})
    with closing(Connections.of(own).open(Location(account=ACCOUNT, region=REGION), duty)) as connection:
        connection.arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role_of(duty)}/ann"
        principal = f"arn:aws:iam::{ACCOUNT}:role/{role_of(duty)}"
        assert roles.may(connection, own, duty) == PermissionFact(duty, principal, own=True)


@pytest.mark.parametrize("duty", OWN)
def test_an_action_that_is_taken_out_of_a_roles_policy_is_named_and_nothing_else(
    lab: LabHandle, connection: Connection, policy: Policy, duty: Duty
) -> None:
    changed = [without(one, OWN[duty]) for one in own_policy(policy, duty)["Statement"]]
    put(lab, duty, "duty", *(one for one in changed if one["Action"]))
    assert missing(connection, policy, duty) == (OWN[duty],)


def test_an_action_that_is_allowed_on_other_resources_alone_is_named(
    lab: LabHandle, connection: Connection, policy: Policy
) -> None:
    """`ssm:AddTagsToResource` is needed on three kinds of objects, each in a statement of its own."""
    kept = [
        one
        for one in own_policy(policy, Duty.POLICY_APPLIER)["Statement"]
        if "ssm:AddTagsToResource" not in _listed(one["Action"]) or "patchbaseline" not in one["Resource"]
    ]
    put(lab, Duty.POLICY_APPLIER, "duty", *kept)
    assert missing(connection, policy, Duty.POLICY_APPLIER) == ("ssm:AddTagsToResource",)


def test_a_policy_of_all_roles_that_is_taken_off_is_missed_by_the_roles_that_share_it(
    lab: LabHandle, connection: Connection, policy: Policy
) -> None:
    iam = lab.client("iam")
    (shared,) = iam.list_attached_role_policies(RoleName=role_of(Duty.SCANNER))["AttachedPolicies"]
    iam.detach_role_policy(RoleName=role_of(Duty.SCANNER), PolicyArn=shared["PolicyArn"])
    assert {"ec2:DescribeInstances", "ssm:GetMaintenanceWindow"} <= set(missing(connection, policy, Duty.SCANNER))
    assert missing(connection, policy, Duty.HALTER) == ()


def test_an_explicit_deny_takes_what_the_stack_gave(lab: LabHandle, connection: Connection, policy: Policy) -> None:
    deny = {"Effect": "Deny", "Action": "ssm:Delete*Window", "Resource": "*"}
    put(lab, Duty.POLICY_APPLIER, "somebody-elses", deny)
    assert missing(connection, policy, Duty.POLICY_APPLIER) == ("ssm:DeleteMaintenanceWindow",)


def test_a_boundary_takes_what_it_does_not_allow(lab: LabHandle, connection: Connection, policy: Policy) -> None:
    iam = lab.client("iam")
    limit = {"Effect": "Allow", "NotAction": "ssm:Cancel*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": limit})
    boundary = iam.create_policy(PolicyName="limit", PolicyDocument=document)["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName=role_of(Duty.HALTER), PermissionsBoundary=boundary)
    assert missing(connection, policy, Duty.HALTER) == (
        "ssm:CancelCommand",
        "ssm:CancelMaintenanceWindowExecution",
    )


def test_the_stack_of_another_deployment_lacks_every_change_of_what_carries_the_deployments_tag(
    connection: Connection, policy: Policy
) -> None:
    other = policy.model_copy(update={"deployment": "another"})
    assert missing(connection, other, Duty.READER) == ()
    assert missing(connection, other, Duty.HALTER) == (
        "ssm:CancelMaintenanceWindowExecution",
        "ssm:UpdateMaintenanceWindow",
    )
    found = missing(connection, other, Duty.POLICY_APPLIER)
    assert {"ssm:CreatePatchBaseline", "ssm:DeleteMaintenanceWindow", "config:PutConfigRule"} <= set(found)
    assert "ssm:RegisterPatchBaselineForPatchGroup" not in found, "no tag limits it"
