"""Roles and permissions: which of the policy's roles can be assumed, and what their holders may not do."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sluice.aws.duties import Grant, grants, reads
from sluice.aws.permissions import When, calls
from sluice.aws.session import Connection, Connections, Duty
from sluice.core.doctor import PermissionFact, RoleFact
from sluice.core.errors import AWSError
from sluice.core.policy.objects import DEPLOYMENT_TAG, OBJECT_TAG
from sluice.core.policy.places import Location
from sluice.core.policy.policy import Policy

INSTALLING = (Duty.NONPROD_INSTALLER, Duty.PROD_INSTALLER, Duty.IMAGE_DELETER)
"""Duties that a policy in mode observe has no role for."""

BY_WINDOW = (Duty.SCANNER, *INSTALLING)
"""Duties that may change certain windows, nodes or images alone, which a stack names and nobody else knows."""

SYSTEMS_MANAGER = "ssm.amazonaws.com"

OWN_ROLES = "arn:{partition}:iam::{account}:role{role_path}*"
PRINCIPALS = ("arn:{partition}:iam::{account}:role/*", "arn:{partition}:iam::{account}:user/*")

_CONDITION: Mapping[When, str] = {"owned": "aws:ResourceTag", "created": "aws:RequestTag"}
_HOLES = re.compile(r"\{(\w+)\}")
_KNOWN = ("partition", "account", "region")
"""What can be filled into the ARNs of declared resources from a connection."""
_ASSUMED = re.compile(r"arn:(?P<partition>[^:]+):sts::(?P<account>\d{12}):assumed-role/(?P<role>[^/]+)/")


def duties(policy: Policy) -> tuple[Duty, ...]:
    """The duties that a policy has somebody for."""
    return tuple(duty for duty in Duty if policy.mode == "release" or duty not in INSTALLING)


def assumed(connections: Connections, location: Location, policy: Policy) -> tuple[RoleFact, ...]:
    """Try every role that the policy assumes in a location; none where it assumes none."""
    if not policy.roles.assume:
        return ()
    return tuple(_assumed(connections, location, policy, duty) for duty in duties(policy))


def _assumed(connections: Connections, location: Location, policy: Policy, duty: Duty) -> RoleFact:
    name = str(getattr(policy.roles, duty))
    try:
        connections.open(location, duty).close()
    except AWSError as error:
        return RoleFact(duty, name, str(error))
    return RoleFact(duty, name, None)


@calls("iam:GetRole", resources=OWN_ROLES)
def of_windows(connection: Connection, policy: Policy) -> tuple[RoleFact, ...]:
    """The roles that windows' tasks run as, one per ring: whether they exist and Systems Manager may assume them."""
    if not policy.roles.assume:
        return ()
    names = sorted({policy.roles.window_service.replace("{ring}", ring.name) for ring in policy.rings})
    return tuple(RoleFact("windows", name, _refuses_windows(connection, name)) for name in names)


def _refuses_windows(connection: Connection, name: str) -> str | None:
    try:
        role = connection.need("iam", "GetRole", "Role", RoleName=name)["Role"]
    except AWSError as error:
        return str(error)
    services = [_services(one) for one in role["AssumeRolePolicyDocument"].get("Statement", ())]
    if not any(SYSTEMS_MANAGER in names for names in services):
        return f"its trust policy does not name {SYSTEMS_MANAGER}"
    return None


def _services(statement: Mapping[str, Any]) -> list[str]:
    """The services that a statement of a trust policy lets assume the role."""
    principal = statement.get("Principal", {})
    if statement.get("Effect") != "Allow" or not isinstance(principal, dict):
        return []
    named = principal.get("Service", [])
    return [named] if isinstance(named, str) else list(named)


def may(connection: Connection, policy: Policy, duty: Duty) -> PermissionFact:
    """What a duty's role, or the caller where no role is assumed, lacks of the duty's permissions."""
    principal = _principal(connection, policy, duty)
    if principal is None:
        return PermissionFact(duty, connection.arn, unknown="IAM's simulator knows users and roles alone")
    try:
        missing = refused(connection, policy.deployment, principal, _wanted(duty))
    except AWSError as error:
        why = "IAM has no role or user of this ARN" if error.code == "NoSuchEntity" else str(error)
        return PermissionFact(duty, principal, unknown=why)
    return PermissionFact(duty, principal, missing, own=not policy.roles.assume)


def refused(connection: Connection, deployment: str, principal: str, wanted: Iterable[Grant]) -> tuple[str, ...]:
    """The actions that IAM's simulator refuses a role or user on what they are needed for."""
    missing: set[str] = set()
    for (resources, when), actions in sorted(_together(wanted).items()):
        arns = [_filled(resource, connection) for resource in resources]
        missing |= _refused(connection, principal, sorted(actions), arns, _context(when, deployment))
    return tuple(sorted(missing))


def _refused(
    connection: Connection, principal: str, actions: list[str], arns: list[str], context: list[Mapping[str, Any]]
) -> set[str]:
    try:
        return _simulated(connection, principal, actions, arns, context)
    except AWSError as error:
        # Actions whose resources the simulator knows it refuses together with others ("require different
        # authorization information"). Which are which AWS says nowhere.
        if error.code != "InvalidInput" or len(actions) == 1:
            raise
    return set().union(*(_simulated(connection, principal, [action], arns, context) for action in actions))


@calls("iam:SimulatePrincipalPolicy", resources=PRINCIPALS)
def _simulated(
    connection: Connection, principal: str, actions: list[str], arns: list[str], context: list[Mapping[str, Any]]
) -> set[str]:
    """Those of the actions that the simulator does not allow on all of the resources."""
    missing: set[str] = set()
    marker: dict[str, str] = {}
    while True:
        answer = connection.need(
            "iam",
            "SimulatePrincipalPolicy",
            "EvaluationResults",
            PolicySourceArn=principal,
            ActionNames=actions,
            ResourceArns=arns,
            ContextEntries=context,
            **marker,
        )
        missing |= {one["EvalActionName"] for one in answer["EvaluationResults"] if one["EvalDecision"] != "allowed"}
        if not answer.get("IsTruncated"):
            return missing
        marker = {"Marker": answer["Marker"]}


def _wanted(duty: Duty) -> list[Grant]:
    return [grant for grant in grants(duty) if reads(grant.action) or duty not in BY_WINDOW]


def _together(wanted: Iterable[Grant]) -> dict[tuple[tuple[str, ...], When], set[str]]:
    """Actions by resources and condition: one simulation each.

    Left out is what names a bucket, a window's role or a node's tag: the simulator takes no patterns, and the
    stack's owner has chosen their names.
    """
    found: dict[tuple[tuple[str, ...], When], set[str]] = defaultdict(set)
    for one in wanted:
        if not one.where and set(_HOLES.findall("".join(one.resources))) <= set(_KNOWN):
            found[one.resources, one.when].add(one.action)
    return found


def _context(when: When, deployment: str) -> list[Mapping[str, Any]]:
    """What the conditions of Sluice's own policies look at."""
    known: dict[str, list[str]] = {"aws:TagKeys": [DEPLOYMENT_TAG, OBJECT_TAG]}
    if when in _CONDITION:
        known[f"{_CONDITION[when]}/{DEPLOYMENT_TAG}"] = [deployment]
    return [
        {
            "ContextKeyName": key,
            "ContextKeyValues": values,
            "ContextKeyType": "stringList" if key == "aws:TagKeys" else "string",
        }
        for key, values in known.items()
    ]


def _filled(resource: str, connection: Connection) -> str:
    return resource.format(**{name: getattr(connection, name) for name in _KNOWN})


@calls("iam:GetRole", resources=OWN_ROLES)
def _principal(connection: Connection, policy: Policy, duty: Duty) -> str | None:
    """The ARN that the simulator takes. A session's has its role without the path, which the policy knows, or IAM."""
    roles = policy.roles
    if roles.assume:
        role = getattr(roles, duty)
        return f"arn:{connection.partition}:iam::{connection.account}:role{roles.path}{role}"
    if session := _ASSUMED.match(connection.arn):
        try:
            role = connection.need("iam", "GetRole", "Role", RoleName=session["role"])["Role"]
        except AWSError:  # it may not look: most roles have no path
            return f"arn:{session['partition']}:iam::{session['account']}:role/{session['role']}"
        return str(role["Arn"])
    return connection.arn if ":user/" in connection.arn else None
