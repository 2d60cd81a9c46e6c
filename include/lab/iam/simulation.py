"""SimulatePrincipalPolicy: what the policies of a user, group or role allow, as `lab.iam.evaluation` decides it.

Of AWS's answer it leaves out where in a policy a statement stands, the ARN format of an action's resources (the
EvalResourceName of a result is `*`) and organizations. What it cannot evaluate it refuses: resource policies and
exclusions. https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from moto.core.responses import ActionResult
from moto.iam.models import Group, IAMBackend, ManagedPolicy, Role, User
from moto.iam.responses import IamResponse
from moto.ssm.exceptions import SSMException

from lab.accounts import principal_arn
from lab.aws_models import service_model
from lab.errors import PolicyDocumentError
from lab.iam import evaluation
from lab.iam.conditions import moment, number, truth
from lab.iam.evaluation import Decision, Source, Statement
from lab.iam.patterns import ARN_PARTS, Context, context
from lab.instance_profiles import managed_policies
from lab.ssm.base import parse_params
from lab.wire_errors import AwsError
from lab.world import current

PAGE = 100
EVERYTHING = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}

UNSUPPORTED = ("ResourcePolicy", "ResourceOwner", "CallerArn", "PolicyExclusionList", "ResourceHandlingOption")
"""Parameters that are refused, as passing over one would change the answer."""

_PRINCIPAL = re.compile(r"arn:aws(?:-[a-z-]+)?:iam::\d{12}:(?P<kind>user|group|role)/(?:[^/]+/)*(?P<name>[\w+=,.@-]+)")
_MARKER = re.compile(r"lab-page-(?P<start>\d{1,9})-(?P<request>\w+)")

_TYPES: Mapping[str, Callable[[str], Any]] = {
    "numeric": number, "date": moment, "boolean": truth, "ip": ip_network,
}  # fmt: skip
"""How the values of a context key are read, where its type is no text."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """Whose request it would be."""

    statements: tuple[Statement, ...]
    boundary: tuple[Statement, ...] | None
    known: Context

    def decide(self, action: str, resource: str) -> Decision:
        """What IAM would make of an action on a resource."""
        return evaluation.decide(self.statements, self.boundary, action, resource, self.known)


class LabIAMResponse(IamResponse):
    """moto's IAM with the policy simulator, which it lacks."""

    def simulate_principal_policy(self) -> ActionResult:
        """SimulatePrincipalPolicy: a page of results, one for each action."""
        request = _validated(self.params)
        simulated = self._simulated(request)
        resources = request.get("ResourceArns") or ["*"]
        size = request.get("MaxItems", PAGE)
        start = _start(request)
        actions = request["ActionNames"][start : start + size]
        more = start + size < len(request["ActionNames"])
        answer = {
            "EvaluationResults": [_result(simulated, action, resources) for action in actions],
            "IsTruncated": more,
        }
        return ActionResult({**answer, "Marker": _marker(request, start + size)} if more else answer)

    def _simulated(self, request: Mapping[str, Any]) -> Simulated:
        found = _PRINCIPAL.fullmatch(request["PolicySourceArn"])
        if found is None:
            raise AwsError(
                "InvalidInput",
                f"Invalid Entity Arn: {request['PolicySourceArn']} does not clearly define entity type and name.",
            )
        statements = [*self._policies(found[0], found["kind"], found["name"])]
        for index, document in enumerate(request.get("PolicyInputList", ()), 1):
            statements += _given(document, f"PolicyInputList.{index}")
        boundary = self._boundary(found[0], request.get("PermissionsBoundaryPolicyInputList", []))
        return Simulated(tuple(statements), boundary, _context(request.get("ContextEntries", [])))

    def _policies(self, arn: str, kind: str, name: str) -> Iterator[Statement]:
        entity = _entity(self.backend, arn, kind)
        if entity is None:
            if not self._is_anybody(arn):
                raise AwsError("NoSuchEntity", f"The {kind} with name {name} cannot be found.", status=404)
            yield from evaluation.parse(EVERYTHING, Source("AdministratorAccess", "aws-managed"))
            return
        yield from _held(entity, kind)
        if isinstance(entity, User):
            for group in self.backend.get_groups_for_user(entity.name):
                yield from _held(group, "group")

    def _is_anybody(self, arn: str) -> bool:
        """Whether it is the user whom credentials are of that the lab has never issued; moto has no such user."""
        account = self.current_account
        return account == current().default_account and arn == principal_arn(account, "")

    def _boundary(self, arn: str, given: Sequence[str]) -> tuple[Statement, ...] | None:
        if len(given) > 1:
            raise AwsError("InvalidInput", "Only one permissions boundary can be simulated.")
        if given:
            return _given(given[0], "PermissionsBoundaryPolicyInputList.1")
        role = next((one for one in self.backend.get_roles() if one.arn == arn), None)
        boundary = role.permissions_boundary_arn if role else None  # moto keeps none of users
        if not boundary:
            return None
        if policy := self.backend.managed_policies.get(boundary):
            return _evaluable(_document(policy), Source(policy.name, _kind(policy)))
        name = boundary.rpartition("/")[2]
        if ":iam::aws:policy/" in boundary and name in managed_policies():
            return _evaluable(managed_policies()[name]["Document"], Source(name, "aws-managed"))
        raise AwsError("NoSuchEntity", f"Policy {boundary} does not exist or is not attachable.", status=404)


def _validated(params: Mapping[str, Any]) -> dict[str, Any]:
    """The request's parameters. Raises AwsError for what AWS refuses, NotImplementedError for what the lab lacks."""
    try:
        request = parse_params(service_model("iam").operation_model("SimulatePrincipalPolicy"), dict(params))
    except SSMException as problem:
        raise AwsError("ValidationError", problem.message) from problem
    if lacking := [name for name in UNSUPPORTED if request.get(name)]:
        raise NotImplementedError(f"with {', '.join(lacking)}")
    if not request["ActionNames"]:
        raise AwsError("InvalidInput", "Expected the name of an action in ActionNames.")
    for action in request["ActionNames"]:
        if not re.fullmatch(r"[\w-]+:[\w*?]+", action):
            raise AwsError("InvalidInput", f"Invalid action: {action}. Expected a service and an action, as in s3:Get.")
    for resource in request.get("ResourceArns", ()):
        if resource != "*" and not (resource.startswith("arn:") and resource.count(":") >= ARN_PARTS - 1):
            raise AwsError("InvalidInput", f"Invalid Resource Arn: {resource}. Expected an ARN or *.")
    return request


def _entity(iam: IAMBackend, arn: str, kind: str) -> Any:
    entities: Mapping[str, Any] = {"user": iam.users, "group": iam.groups, "role": iam.roles}
    return next((one for one in entities[kind].values() if one.arn == arn), None)


def _held(entity: User | Group | Role, kind: str) -> Iterator[Statement]:
    """The statements of an entity's inline policies and of those attached to it."""
    for name, document in entity.policies.items():
        yield from _evaluable(document, Source(name, kind))
    for policy in entity.managed_policies.values():
        yield from _evaluable(_document(policy), Source(policy.name, _kind(policy)))


def _document(policy: ManagedPolicy) -> str:
    return next(one.document for one in policy.versions if one.version_id == policy.default_version_id)


def _kind(policy: ManagedPolicy) -> str:
    return "aws-managed" if ":iam::aws:" in policy.arn else "user-managed"


def _evaluable(document: Any, source: Source) -> tuple[Statement, ...]:
    """A policy that IAM has. Raises AwsError where the lab cannot evaluate it."""
    try:
        return evaluation.parse(document, source)
    except PolicyDocumentError as error:
        raise AwsError("PolicyEvaluation", str(error), status=500) from error


def _given(document: str, name: str) -> tuple[Statement, ...]:
    """A policy of the request. Raises AwsError where it is none."""
    try:
        return evaluation.parse(document, Source(name, "none"))
    except PolicyDocumentError as error:
        raise AwsError("InvalidInput", str(error)) from error


def _context(entries: Sequence[Mapping[str, Any]]) -> Context:
    """The request's context. Raises AwsError for an entry that lacks something or whose values are not of its type."""
    for entry in entries:
        if set(entry) != {"ContextKeyName", "ContextKeyValues", "ContextKeyType"}:
            raise AwsError("InvalidInput", "Expected name, values and type of every entry of ContextEntries.")
        name, values, kind = entry["ContextKeyName"], entry["ContextKeyValues"], entry["ContextKeyType"]
        if len(values) > 1 and not kind.endswith("List"):
            raise AwsError("InvalidInput", f"{name}: expected one value of type {kind}, found {len(values)}.")
        read = _TYPES.get(kind.removesuffix("List"), str)
        try:
            for value in values:
                read(value)
        except ValueError as error:
            raise AwsError("InvalidInput", f"{name}: a value is not of type {kind}: {error}") from error
    return context({entry["ContextKeyName"]: entry["ContextKeyValues"] for entry in entries})


def _result(simulated: Simulated, action: str, resources: Sequence[str]) -> dict[str, Any]:
    """An EvaluationResult: the decision on all resources together, and on each where they are named."""
    each = [simulated.decide(action, resource) for resource in resources]
    outcome = evaluation.most_restrictive([one.outcome for one in each])
    deciding = dict.fromkeys(source for one in each if one.outcome is outcome for source in one.sources)
    missing = evaluation.missing((*simulated.statements, *(simulated.boundary or ())), simulated.known)
    found: dict[str, Any] = {
        "EvalActionName": action,
        "EvalResourceName": "*",
        "EvalDecision": outcome.value,
        **_details(list(deciding), missing, _within([one.boundary for one in each])),
    }
    if list(resources) == ["*"]:
        return found
    specific = [
        {
            "EvalResourceName": resource,
            "EvalResourceDecision": one.outcome.value,
            **_details(one.sources, missing, one.boundary),
        }
        for resource, one in zip(resources, each, strict=True)
    ]
    return {**found, "ResourceSpecificResults": specific}


def _within(each: Sequence[bool | None]) -> bool | None:
    return None if None in each else all(each)


def _details(sources: Sequence[Source], missing: Sequence[str], boundary: bool | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "MatchedStatements": [{"SourcePolicyId": one.id, "SourcePolicyType": one.kind} for one in sources],
        "MissingContextValues": list(missing),
    }
    if boundary is not None:
        found["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": boundary}
    return found


def _start(request: Mapping[str, Any]) -> int:
    """The number of the first action of the page. Raises AwsError for a marker that another request got."""
    if "Marker" not in request:
        return 0
    found = _MARKER.fullmatch(request["Marker"])
    if found is None or found["request"] != _paged(request):
        raise AwsError("ValidationError", f"Invalid Marker: {request['Marker']}")
    return int(found["start"])


def _marker(request: Mapping[str, Any], start: int) -> str:
    return f"lab-page-{start}-{_paged(request)}"


def _paged(request: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in request.items() if name not in ("Marker", "MaxItems")}
    return f"{zlib.crc32(json.dumps(rest, sort_keys=True).encode()):08x}"
