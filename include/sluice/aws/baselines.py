"""Patch baselines, and which of them are their operating systems' defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sluice.aws import tags
from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.core.errors import AnswerError
from sluice.core.policy.objects import (
    BASELINE,
    DEFAULT,
    ApprovalRule,
    DefaultBaseline,
    Filter,
    Key,
    PatchBaseline,
    PatchSource,
)
from sluice.core.policy.plan import Found

BASELINES = tags.RESOURCES["PatchBaseline"]
PREDEFINED = "arn:{partition}:ssm:{region}:*:patchbaseline/*"
"""AWS's own baselines are in accounts of AWS's."""


@calls("ssm:DescribePatchBaselines")
def listed(connection: Connection) -> list[dict[str, Any]]:
    """The account's own baselines, as PatchBaselineIdentity."""
    own = [{"Key": "OWNER", "Values": ["Self"]}]
    return list(connection.pages("ssm", "DescribePatchBaselines", "BaselineIdentities", Filters=own, MaxResults=100))


@calls("ssm:GetPatchBaseline", resources=BASELINES)
def body(connection: Connection, baseline_id: str) -> PatchBaseline:
    """A baseline by id."""
    answer = connection.need("ssm", "GetPatchBaseline", "BaselineId", "Name", "OperatingSystem", BaselineId=baseline_id)
    return _baseline(answer)


def found(connection: Connection, deployment: str) -> Iterator[Found]:
    """The deployment's baselines, and every default that is one of the account's own."""
    for identity in listed(connection):
        baseline_id, system = identity["BaselineId"], identity["OperatingSystem"]
        name = tags.owned_name(tags.read(connection, "PatchBaseline", baseline_id), deployment)
        if name is not None:
            yield Found(Key(BASELINE, name), baseline_id, body(connection, baseline_id))
        if identity.get("DefaultBaseline"):
            default = DefaultBaseline(system, baseline_id)
            yield Found(Key(DEFAULT, system), baseline_id, default, owned=name is not None)


@calls("ssm:CreatePatchBaseline", when="created")  # IAM knows no resource for it
@calls("ssm:AddTagsToResource", resources=BASELINES, when="created")
def create(connection: Connection, deployment: str, name: str, wanted: PatchBaseline) -> str:
    """Create a baseline with its ownership tags; its id."""
    answer = connection.need(
        "ssm",
        "CreatePatchBaseline",
        "BaselineId",
        OperatingSystem=wanted.operating_system,
        Tags=tags.ownership(deployment, name),
        **_members(wanted),
    )
    return str(answer["BaselineId"])


@calls("ssm:UpdatePatchBaseline", resources=BASELINES, when="owned")
def update(connection: Connection, baseline_id: str, wanted: PatchBaseline) -> None:
    """Give a baseline everything that is wanted, and nothing else."""
    connection.call("ssm", "UpdatePatchBaseline", BaselineId=baseline_id, Replace=True, **_members(wanted))


@calls("ssm:DeletePatchBaseline", resources=BASELINES, when="owned")
def delete(connection: Connection, baseline_id: str) -> None:
    """Delete a baseline that serves no group and is no default."""
    connection.call("ssm", "DeletePatchBaseline", BaselineId=baseline_id)


@calls("ssm:RegisterDefaultPatchBaseline", resources=(BASELINES, PREDEFINED))
def make_default(connection: Connection, baseline_id: str) -> None:
    """Make a baseline its operating system's default."""
    connection.call("ssm", "RegisterDefaultPatchBaseline", BaselineId=baseline_id)


@calls("ssm:DescribePatchBaselines")
def restore_default(connection: Connection, operating_system: str) -> None:
    """Make AWS's own default baseline of an operating system the default again.

    AWS marks only what is the default now; which of its own was, its name says (`AWS-…Default…PatchBaseline`).
    """
    filters = [
        {"Key": "OWNER", "Values": ["AWS"]},
        {"Key": "OPERATING_SYSTEM", "Values": [operating_system]},
    ]
    everything = connection.pages("ssm", "DescribePatchBaselines", "BaselineIdentities", Filters=filters)
    ids = [one["BaselineId"] for one in everything if "Default" in one["BaselineName"]]
    if len(ids) != 1:
        raise AnswerError(
            f"{connection.key}: expected one default baseline of AWS's for {operating_system}, found {len(ids)}:"
            " register the one you want in the console, then run this again"
        )
    make_default(connection, ids[0])


def _members(wanted: PatchBaseline) -> dict[str, Any]:
    members: dict[str, Any] = {
        "Name": wanted.name,
        "Description": wanted.description,
        "GlobalFilters": {"PatchFilters": _patch_filters(wanted.filters)},
        "ApprovalRules": {"PatchRules": [_patch_rule(rule) for rule in wanted.rules]},
        "ApprovedPatches": list(wanted.approved),
        "ApprovedPatchesComplianceLevel": wanted.approved_compliance,
        "ApprovedPatchesEnableNonSecurity": wanted.approved_non_security,
        "RejectedPatches": list(wanted.rejected),
        "RejectedPatchesAction": wanted.rejected_action,
        "Sources": [
            {"Name": one.name, "Products": list(one.products), "Configuration": one.configuration}
            for one in wanted.sources
        ],
    }
    if wanted.available_security_updates:
        members["AvailableSecurityUpdatesComplianceStatus"] = wanted.available_security_updates
    return members


def _patch_filters(filters: tuple[Filter, ...]) -> list[dict[str, Any]]:
    return [{"Key": one.key, "Values": list(one.values)} for one in filters]


def _patch_rule(rule: ApprovalRule) -> dict[str, Any]:
    members: dict[str, Any] = {
        "PatchFilterGroup": {"PatchFilters": _patch_filters(rule.filters)},
        "ComplianceLevel": rule.compliance,
        "EnableNonSecurity": rule.non_security,
    }
    if rule.approve_after_days is not None:
        members["ApproveAfterDays"] = rule.approve_after_days
    if rule.approve_until is not None:
        members["ApproveUntilDate"] = rule.approve_until
    return members


def _baseline(answer: Mapping[str, Any]) -> PatchBaseline:
    return PatchBaseline(
        name=answer["Name"],
        operating_system=answer["OperatingSystem"],
        description=answer.get("Description", ""),
        filters=_filters(answer.get("GlobalFilters", {})),
        rules=tuple(map(_rule, answer.get("ApprovalRules", {}).get("PatchRules", ()))),
        approved=tuple(sorted(answer.get("ApprovedPatches", ()))),
        approved_compliance=answer.get("ApprovedPatchesComplianceLevel", "UNSPECIFIED"),
        approved_non_security=answer.get("ApprovedPatchesEnableNonSecurity", False),
        rejected=tuple(sorted(answer.get("RejectedPatches", ()))),
        rejected_action=answer.get("RejectedPatchesAction", "ALLOW_AS_DEPENDENCY"),
        sources=tuple(
            PatchSource(one["Name"], tuple(sorted(one["Products"])), one["Configuration"])
            for one in sorted(answer.get("Sources", ()), key=lambda one: str(one["Name"]))
        ),
        available_security_updates=answer.get("AvailableSecurityUpdatesComplianceStatus"),
    )


def _rule(answer: Mapping[str, Any]) -> ApprovalRule:
    return ApprovalRule(
        filters=_filters(answer["PatchFilterGroup"]),
        approve_after_days=answer.get("ApproveAfterDays"),
        approve_until=answer.get("ApproveUntilDate"),
        compliance=answer.get("ComplianceLevel", "UNSPECIFIED"),
        non_security=answer.get("EnableNonSecurity", False),
    )


def _filters(group: Mapping[str, Any]) -> tuple[Filter, ...]:
    given = sorted(group.get("PatchFilters", ()), key=lambda one: str(one["Key"]))
    return tuple(Filter(one["Key"], tuple(sorted(one["Values"]))) for one in given)
