"""IAM statements, as CloudFormation has them, of what `sluice.aws.duties` says.

Values that a stack's owner chooses stay parameters of the template: `Deployment`, `RolePath`, `RolePrefix`,
`OperationsBucketPrefix`, `LogsBucketPrefix`, `InventoryBucketPrefix`, the names of windows and patch groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from sluice.aws.duties import Grant, airflow_grants, grants, reads, shared
from sluice.aws.nodes import NODES
from sluice.aws.session import Duty
from sluice.core.policy.objects import DEPLOYMENT_TAG, OBJECT_TAG, PATCH_DOCUMENT, RELEASE_TAG
from sluice.core.policy.places import Roles
from sluice.core.policy.reboot_document import NAME as REBOOT_DOCUMENT

Statement: TypeAlias = dict[str, Any]
Tests: TypeAlias = dict[str, dict[str, Any]]

PREFIX = "sluice-"
"""How the names of the roles begin in `Roles`; in a stack it is a parameter."""

SPACED, UNSPACED = "Patch Group", "PatchGroup"

NAMES = {
    "partition": "${AWS::Partition}",
    "account": "${AWS::AccountId}",
    "region": "*",  # IAM knows no Regions: one role serves all that an account has
    "role_path": "${RolePath}",
    "operations": "${OperationsBucketPrefix}-${AWS::AccountId}-*",
    "logs": "${LogsBucketPrefix}-${AWS::AccountId}-*",
    "inventory": "${InventoryBucketPrefix}-${AWS::AccountId}-*",
}
WINDOW_ROLES = {
    Duty.NONPROD_INSTALLER: "${RolePrefix}-window-nonprod",
    Duty.PROD_INSTALLER: "${RolePrefix}-window-prod",
    Duty.POLICY_APPLIER: "${RolePrefix}-window-*",
}
"""Which windows' roles a duty may pass to Systems Manager."""
WINDOWS_OF = {
    Duty.SCANNER: "ScanWindows",
    Duty.NONPROD_INSTALLER: "NonprodWindows",
    Duty.PROD_INSTALLER: "ProdWindows",
}
"""The parameter that names the windows that a duty may touch; the others are not limited to some."""
GROUPS_OF = {Duty.NONPROD_INSTALLER: "NonprodGroups", Duty.PROD_INSTALLER: "ProdGroups"}


def of_reads() -> list[Statement]:
    """What every role reads that works on windows."""
    return _of(Duty.READER, shared())


def of_duty(duty: Duty) -> list[Statement]:
    """What a duty's role may do besides; the image deleter, which works on no window, may do nothing besides."""
    own = grants(duty)
    if duty is not Duty.IMAGE_DELETER:
        own = tuple(grant for grant in own if grant not in set(shared()))
    return _of(duty, own)


def _of(duty: Duty, own: Iterable[Grant]) -> list[Statement]:
    together: dict[tuple[Any, ...], set[str]] = {}
    for grant in sorted(own, key=lambda grant: (not reads(grant.action), grant.resources, grant.action)):
        names = {**NAMES, "window_service": WINDOW_ROLES.get(duty, "")}
        resources = tuple(sorted({resource.format_map(names) for resource in grant.resources}))
        key = (not reads(grant.action), resources, _tests(duty, grant))
        together.setdefault(key, set()).add(grant.action)
    return [
        _statement(actions, resources, _condition(tests, GROUPS_OF.get(duty, "")))
        for (_, resources, tests), actions in together.items()
    ]


def of_airflow() -> list[Statement]:
    """What Airflow's own role needs: to assume the duties' roles in the accounts that the stack names."""
    roles = Roles()
    names = [getattr(roles, duty).replace(PREFIX, "${RolePrefix}-", 1) for duty in Duty]
    found = []
    for grant in airflow_grants():
        filled = [
            resource.format_map({**NAMES, "account": "*", "role": name})
            for resource in grant.resources
            for name in names
        ]
        condition = {"StringEquals": {"aws:ResourceAccount": {"Ref": "MemberAccounts"}}}
        found.append(_statement({grant.action}, filled, condition))
    return found


def of_window(ring: str, groups: str) -> list[Statement]:
    """What the windows of a ring may run, and on which nodes; `groups` is the parameter that names them."""
    own = "arn:${AWS::Partition}:iam::${AWS::AccountId}:role${RolePath}${RolePrefix}-window-" + ring
    documents = [
        f"arn:${{AWS::Partition}}:ssm:*::document/{PATCH_DOCUMENT}",
        f"arn:${{AWS::Partition}}:ssm:*:${{AWS::AccountId}}:document/{REBOOT_DOCUMENT}",
        "arn:${AWS::Partition}:s3:::${LogsBucketPrefix}-${AWS::AccountId}-*",  # where the output goes
    ]
    return [
        _statement({"ssm:GetCommandInvocation", "ssm:ListCommandInvocations", "ssm:ListCommands"}, ["*"]),
        _statement({"ssm:SendCommand"}, documents),
        _statement({"ssm:SendCommand"}, _nodes(), _by_group("StringEquals", "ssm:resourceTag", {"Ref": groups})),
        # At the cutoff. Systems Manager knows no resource for it.
        _statement({"ssm:CancelCommand"}, ["*"]),
        _statement({"iam:PassRole"}, [own], {"StringEquals": {"iam:PassedToService": "ssm.amazonaws.com"}}),
    ]


def of_ungrouped() -> list[Statement]:
    """What lets a window scan nodes that are in no patch group."""
    return [_statement({"ssm:SendCommand"}, _nodes(), _by_group("Null", "ssm:resourceTag", "true"))]


def _nodes() -> list[str]:
    return [node.format_map(NAMES) for node in NODES]


def _tests(duty: Duty, grant: Grant) -> tuple[tuple[str, str], ...]:
    """The names of a grant's conditions, with the parameter that they compare with."""
    found: list[tuple[str, str]] = [(grant.when, "Deployment")] if grant.when != "always" else []
    found += [(name, GROUPS_OF.get(duty, "")) for name in grant.where]
    if grant.when == "owned" and duty in WINDOWS_OF and any(":maintenancewindow/" in one for one in grant.resources):
        found.append(("windows", WINDOWS_OF[duty]))
    if grant.action == "iam:PassRole":
        found.append(("to ssm", ""))
    if grant.action == "ssm:AddTagsToResource" and "release tag" not in grant.where:
        found.append(("ownership tags", ""))
    return tuple(found)


def _condition(tests: Iterable[tuple[str, str]], groups: str) -> Mapping[str, Any]:
    merged: Tests = {}
    by_group = False
    for name, parameter in tests:
        by_group = by_group or name == "groups"
        for operator, keys in _test(name, parameter).items():
            merged.setdefault(operator, {}).update(keys)
    if not by_group:
        return merged
    if not groups:  # a scanner's nodes are reached by their groups' tags, but for those that have none
        return _by_group("Null", "aws:ResourceTag", "true", merged)
    return _by_group("StringEquals", "aws:ResourceTag", {"Ref": groups}, merged)


def _test(name: str, parameter: str) -> Tests:
    known: dict[str, Tests] = {
        "owned": {"StringEquals": {f"aws:ResourceTag/{DEPLOYMENT_TAG}": {"Ref": parameter}}},
        "created": {"StringEquals": {f"aws:RequestTag/{DEPLOYMENT_TAG}": {"Ref": parameter}}},
        "windows": {"StringLike": {f"aws:ResourceTag/{OBJECT_TAG}": {"Ref": parameter}}},
        "to ssm": {"StringEquals": {"iam:PassedToService": "ssm.amazonaws.com"}},
        "creates image": {"StringEquals": {"ec2:CreateAction": "CreateImage"}},
        "release tag": _only_tags(RELEASE_TAG),
        "ownership tags": _only_tags(DEPLOYMENT_TAG, OBJECT_TAG),
        "groups": {},
    }
    return known[name]


def _only_tags(*keys: str) -> Tests:
    # ForAllValues holds where there is no value at all, so that there is one is asked for too.
    return {"ForAllValues:StringEquals": {"aws:TagKeys": list(keys)}, "Null": {"aws:TagKeys": "false"}}


def _by_group(operator: str, key: str, value: object, others: Tests | None = None) -> Mapping[str, Any]:
    """A condition on the nodes' patch group, whichever of the two keys its tag has."""
    each = []
    for tag in (SPACED, UNSPACED):
        tests = {name: dict(keys) for name, keys in (others or {}).items()}
        tests.setdefault(operator, {})[f"{key}/{tag}"] = value
        each.append(tests)
    return {"Fn::If": ["SpacedTag", *each]}


def _statement(
    actions: Iterable[str], resources: Iterable[str], condition: Mapping[str, Any] | None = None
) -> Statement:
    filled = [{"Fn::Sub": resource} if "${" in resource else resource for resource in resources]
    found: Statement = {"Effect": "Allow", "Action": _single(sorted(actions)), "Resource": _single(filled)}
    return {**found, "Condition": condition} if condition else found


def _single(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values
