"""SimulatePrincipalPolicy over the wire: whose policies count, and how the answer is made."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.testing import LabHandle

ACCOUNT = "111111111111"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ops/someone"
USER = f"arn:aws:iam::{ACCOUNT}:user/ann"
BUCKETS = ["arn:aws:s3:::a", "arn:aws:s3:::b", "arn:aws:s3:::c"]


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Resource": "*", **one} for one in statements]})


def allow(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), **more}


@pytest.fixture
def iam(lab: LabHandle) -> Any:
    found = lab.client("iam")
    found.create_role(RoleName="someone", Path="/ops/", AssumeRolePolicyDocument="{}")
    found.create_user(UserName="ann")
    return found


def decisions(iam: Any, principal: str, *actions: str, **more: Any) -> dict[str, str]:
    answer = iam.simulate_principal_policy(PolicySourceArn=principal, ActionNames=list(actions), **more)
    return {one["EvalActionName"]: one["EvalDecision"] for one in answer["EvaluationResults"]}


def refusal(iam: Any, **request: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as refused:
        iam.simulate_principal_policy(**{"PolicySourceArn": ROLE, "ActionNames": ["s3:GetObject"], **request})
    error: dict[str, Any] = refused.value.response["Error"]
    return error


def test_a_roles_inline_and_attached_policies_count_and_those_of_the_request(iam: Any) -> None:
    iam.put_role_policy(RoleName="someone", PolicyName="own", PolicyDocument=document(allow("s3:Get*")))
    policy = iam.create_policy(PolicyName="shared", PolicyDocument=document(allow("ec2:Describe*")))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="someone", PolicyArn=policy)
    asked = ("s3:GetObject", "ec2:DescribeTags", "sns:Publish", "sqs:SendMessage")
    found = decisions(iam, ROLE, *asked, PolicyInputList=[document(allow("sns:Publish"))])
    assert found == dict(zip(asked, ["allowed", "allowed", "allowed", "implicitDeny"], strict=True))


def test_a_managed_policy_counts_in_its_default_version(iam: Any) -> None:
    policy = iam.create_policy(PolicyName="shared", PolicyDocument=document(allow("s3:Get*")))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="someone", PolicyArn=policy)
    iam.create_policy_version(PolicyArn=policy, PolicyDocument=document(allow("s3:Put*")), SetAsDefault=True)
    assert decisions(iam, ROLE, "s3:GetObject", "s3:PutObject") == {
        "s3:GetObject": "implicitDeny",
        "s3:PutObject": "allowed",
    }


def test_a_users_groups_count_too(iam: Any) -> None:
    iam.create_group(GroupName="ops")
    iam.add_user_to_group(GroupName="ops", UserName="ann")
    iam.put_user_policy(UserName="ann", PolicyName="own", PolicyDocument=document(allow("s3:*")))
    deny = {"Effect": "Deny", "Action": "s3:Delete*"}
    iam.put_group_policy(GroupName="ops", PolicyName="limits", PolicyDocument=document(allow("ec2:*"), deny))
    asked = ("s3:GetObject", "s3:DeleteObject", "ec2:RunInstances")
    assert list(decisions(iam, USER, *asked).values()) == ["allowed", "explicitDeny", "allowed"]
    group = f"arn:aws:iam::{ACCOUNT}:group/ops"
    assert list(decisions(iam, group, *asked).values()) == ["implicitDeny", "explicitDeny", "allowed"]


def test_a_boundary_has_to_allow_too_and_says_so(iam: Any) -> None:
    iam.put_role_policy(RoleName="someone", PolicyName="own", PolicyDocument=document(allow("*")))
    boundary = iam.create_policy(PolicyName="limit", PolicyDocument=document(allow("s3:*")))["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName="someone", PermissionsBoundary=boundary)
    answer = iam.simulate_principal_policy(PolicySourceArn=ROLE, ActionNames=["s3:GetObject", "ec2:RunInstances"])
    within, beyond = answer["EvaluationResults"]
    assert (within["EvalDecision"], beyond["EvalDecision"]) == ("allowed", "implicitDeny")
    assert within["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": True}
    assert beyond["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
    assert beyond["MatchedStatements"] == []
    other = [document(allow("ec2:*"))]
    found = decisions(iam, ROLE, "s3:GetObject", "ec2:RunInstances", PermissionsBoundaryPolicyInputList=other)
    assert list(found.values()) == ["implicitDeny", "allowed"]


def test_awss_own_policies_are_boundaries_too(iam: Any) -> None:
    iam.put_role_policy(RoleName="someone", PolicyName="own", PolicyDocument=document(allow("*")))
    boundary = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    iam.put_role_permissions_boundary(RoleName="someone", PermissionsBoundary=boundary)
    assert list(decisions(iam, ROLE, "s3:GetObject", "s3:PutObject").values()) == ["allowed", "implicitDeny"]


def test_of_several_resources_the_most_restrictive_decides_and_each_is_told(iam: Any) -> None:
    own = document(allow("s3:*", Resource=BUCKETS[:2]), {"Effect": "Deny", "Action": "s3:*", "Resource": BUCKETS[1]})
    iam.put_role_policy(RoleName="someone", PolicyName="own", PolicyDocument=own)
    answer = iam.simulate_principal_policy(PolicySourceArn=ROLE, ActionNames=["s3:ListBucket"], ResourceArns=BUCKETS)
    (result,) = answer["EvaluationResults"]
    assert result["EvalDecision"] == "explicitDeny"
    assert result["MatchedStatements"] == [{"SourcePolicyId": "own", "SourcePolicyType": "role"}]
    assert {one["EvalResourceName"]: one["EvalResourceDecision"] for one in result["ResourceSpecificResults"]} == dict(
        zip(BUCKETS, ["allowed", "explicitDeny", "implicitDeny"], strict=True)
    )
    without = iam.simulate_principal_policy(PolicySourceArn=ROLE, ActionNames=["s3:ListBucket"])
    assert "ResourceSpecificResults" not in without["EvaluationResults"][0]


def test_conditions_see_the_context_and_what_it_lacks_is_named(iam: Any) -> None:
    condition = {"StringEquals": {"aws:ResourceTag/Team": "${aws:PrincipalTag/Team}"}}
    iam.put_role_policy(
        RoleName="someone", PolicyName="own", PolicyDocument=document(allow("s3:*", Condition=condition))
    )
    entries = [
        {"ContextKeyName": f"aws:{of}Tag/Team", "ContextKeyValues": ["blue"], "ContextKeyType": "string"}
        for of in ("Resource", "Principal")
    ]
    assert decisions(iam, ROLE, "s3:GetObject", ContextEntries=entries) == {"s3:GetObject": "allowed"}
    answer = iam.simulate_principal_policy(
        PolicySourceArn=ROLE, ActionNames=["s3:GetObject"], ContextEntries=entries[:1], ResourceArns=BUCKETS
    )
    (result,) = answer["EvaluationResults"]
    assert result["EvalDecision"] == "implicitDeny"
    assert result["MissingContextValues"] == ["aws:PrincipalTag/Team"]
    assert result["ResourceSpecificResults"][0]["MissingContextValues"] == ["aws:PrincipalTag/Team"]


def test_results_come_in_pages_that_a_paginator_joins(iam: Any) -> None:
    actions = [f"s3:Get{number}" for number in range(205)]
    pages = iam.get_paginator("simulate_principal_policy").paginate(PolicySourceArn=ROLE, ActionNames=actions)
    sizes, names = [], []
    for page in pages:
        sizes.append(len(page["EvaluationResults"]))
        names += [one["EvalActionName"] for one in page["EvaluationResults"]]
        assert page["IsTruncated"] == ("Marker" in page)
    assert sizes == [100, 100, 5]
    assert names == actions
    first = iam.simulate_principal_policy(PolicySourceArn=ROLE, ActionNames=actions, MaxItems=2)
    assert [one["EvalActionName"] for one in first["EvaluationResults"]] == actions[:2]
    assert refusal(iam, ActionNames=actions[1:], Marker=first["Marker"])["Code"] == "ValidationError"
    assert refusal(iam, Marker="made-up")["Code"] == "ValidationError"


@pytest.mark.parametrize("kind", ["role", "user", "group"])
def test_a_principal_that_is_not_there_is_not_found(iam: Any, kind: str) -> None:
    error = refusal(iam, PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:{kind}/nobody")
    assert (error["Code"], error["Message"]) == ("NoSuchEntity", f"The {kind} with name nobody cannot be found.")


@pytest.mark.parametrize("arn", [ROLE.replace("/ops/", "/"), ROLE.replace(ACCOUNT, "222222222222")])
def test_a_role_has_one_arn_with_its_account_and_path(iam: Any, arn: str) -> None:
    assert refusal(iam, PolicySourceArn=arn)["Code"] == "NoSuchEntity"


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"PolicySourceArn": "someone-or-other-somewhere"}, "does not clearly define entity type and name"),
        ({"PolicySourceArn": f"arn:aws:sts::{ACCOUNT}:assumed-role/a/b"}, "does not clearly define"),
        ({"PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:root"}, "does not clearly define"),
        ({"ResourceArns": ["bucket"]}, "Invalid Resource Arn: bucket"),
        ({"ActionNames": ["GetObject"]}, "Invalid action: GetObject"),
        ({"PolicyInputList": ["{}"]}, "policy PolicyInputList.1: expected a policy"),
        (
            {"PolicyInputList": [document(allow("s3:*", Condition={"StringSounds": {"a:b": "c"}}))]},
            "policy PolicyInputList.1: the condition operator StringSounds",
        ),
        (
            {
                "ContextEntries": [
                    {"ContextKeyName": "aws:MultiFactorAuthAge", "ContextKeyValues": ["x"], "ContextKeyType": "numeric"}
                ]
            },
            "aws:MultiFactorAuthAge: a value is not of type numeric",
        ),
        (
            {
                "ContextEntries": [
                    {"ContextKeyName": "aws:TagKeys", "ContextKeyValues": ["a", "b"], "ContextKeyType": "string"}
                ]
            },
            "aws:TagKeys: expected one value of type string, found 2",
        ),
    ],
)
def test_what_cannot_be_simulated_is_refused_with_a_reason(iam: Any, request_: dict[str, Any], said: str) -> None:
    error = refusal(iam, **request_)
    assert error["Code"] == "InvalidInput"
    assert said in error["Message"]


def test_a_policy_that_cannot_be_evaluated_is_told_by_its_name(iam: Any) -> None:
    odd = document(allow("s3:*", Condition={"BinaryEquals": {"a:b": "YQ=="}}))
    iam.put_role_policy(RoleName="someone", PolicyName="odd", PolicyDocument=odd)
    error = refusal(iam)
    assert error["Code"] == "PolicyEvaluation"
    assert "policy odd: the condition operator BinaryEquals" in error["Message"]


@pytest.mark.parametrize(
    "request_",
    [
        {"ResourcePolicy": document(allow("s3:*"))},
        {"CallerArn": USER},
        {"PolicyExclusionList": [{"PolicyType": "inline"}]},
    ],
)
def test_what_the_lab_does_not_evaluate_is_unsupported_not_passed_over(iam: Any, request_: dict[str, Any]) -> None:
    error = refusal(iam, **request_)
    assert error["Code"] == "LabUnsupportedOperation"
    assert next(iter(request_)) in error["Message"]


def test_whom_the_lab_takes_a_caller_for_may_do_everything(lab: LabHandle) -> None:
    caller = lab.client("sts").get_caller_identity()["Arn"]
    assert decisions(lab.client("iam"), caller, "s3:GetObject") == {"s3:GetObject": "allowed"}
    other = lab.client("iam", account="222222222222")
    error = refusal(other, PolicySourceArn=caller.replace(ACCOUNT, "222222222222"))
    assert error["Code"] == "NoSuchEntity"


def test_a_simulation_changes_nothing(lab: LabHandle, iam: Any) -> None:
    before = lab.server.calls.total(mutating=True)
    decisions(iam, ROLE, "s3:GetObject")
    assert lab.server.calls.total(mutating=True) == before
