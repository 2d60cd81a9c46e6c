"""Patch baselines: an account's own and AWS's, and which one holds for a node.

Defaults and limits: B:CreatePatchBaseline, and the quotas of Systems Manager (50 baselines an account and
Region, adjustable). A baseline's `body` is replaced and never changed, so that who holds it (a snapshot,
a cached evaluation) holds the baseline as it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from lab.repositories import Repositories
from lab.ssm.base import SSMOperations, error
from lab.ssm.model import Baseline
from lab.ssm.patch_filters import select
from lab.ssm.patch_properties import DEBIAN_FAMILY, check_filters
from lab.ssm.predefined_baselines import default_ids, predefined
from lab.ssm.tags import forget_tags, new_tags, resource_tags
from lab.world import Location

MAX_BASELINES = 50
NOT_FOUND = "Patch Baseline to be retrieved does not exist."
"""AWS's words (hashicorp/terraform#18099)."""

_ID = re.compile(r"pb-[0-9a-f]{17}|arn:aws[a-z-]*:ssm:[a-z0-9-]+:\d{12}:patchbaseline/pb-[0-9a-f]{17}")
_OPTIONAL: Mapping[str, Any] = {
    "GlobalFilters": {"PatchFilters": []},
    "ApprovalRules": {"PatchRules": []},
    "ApprovedPatches": [],
    "ApprovedPatchesComplianceLevel": "UNSPECIFIED",
    "ApprovedPatchesEnableNonSecurity": False,
    "RejectedPatches": [],
    "RejectedPatchesAction": "ALLOW_AS_DEPENDENCY",
    "Description": None,
    "Sources": [],
    "AvailableSecurityUpdatesComplianceStatus": None,
}
"""What a request may leave out, and what the baseline then says; None: nothing."""


def find(location: Location, baseline_id: str) -> Baseline | None:
    """A baseline by id: an account's own (`pb-…`) or one of AWS's (its ARN)."""
    return location.baselines.get(baseline_id) or predefined(location.region).get(baseline_id)


def default_id(location: Location, operating_system: str) -> str:
    """The id of the operating system's default baseline: as registered, else AWS's."""
    return location.default_baselines.get(operating_system) or default_ids(location.region)[operating_system]


def baseline_for(location: Location, group: str | None, operating_system: str) -> Baseline:
    """The baseline that holds for a node of this operating system in patch group `group`.

    It is the one registered for the group, else the default one, silently (UG:patch-manager-patch-groups).
    """
    of_group = location.patch_groups.get((group, operating_system)) if group else None
    return registered(location, of_group or default_id(location, operating_system))


def registered(location: Location, baseline_id: str) -> Baseline:
    """A baseline that is registered for a group or as a default, and so cannot have been deleted."""
    return location.baselines.get(baseline_id) or predefined(location.region)[baseline_id]


def existing(location: Location, baseline_id: str, malformed: str = "InvalidResourceId") -> Baseline:
    """A baseline by id. Raises `malformed` for what is no baseline id, else DoesNotExistException."""
    if _ID.fullmatch(baseline_id) is None:
        raise error(malformed, f"The baseline ID {baseline_id} is not valid.")
    found = find(location, baseline_id)
    if found is None:
        raise error("DoesNotExistException", NOT_FOUND)
    return found


def identity(location: Location, baseline: Baseline) -> dict[str, Any]:
    """A baseline in a list (PatchBaselineIdentity)."""
    body = baseline.body
    shown = {
        "BaselineId": baseline.baseline_id,
        "BaselineName": body["Name"],
        "OperatingSystem": body["OperatingSystem"],
        "DefaultBaseline": default_id(location, body["OperatingSystem"]) == baseline.baseline_id,
    }
    if "Description" in body:
        shown["BaselineDescription"] = body["Description"]
    return shown


class BaselineOperations(SSMOperations):
    """Create, Get, Update, Delete, Describe, and the defaults."""

    def create_patch_baseline(self) -> dict[str, Any]:
        """Create a baseline, once per ClientToken. Raises ValidationException and ResourceLimitExceededException."""
        return self.once(self._create)

    def _create(self) -> dict[str, Any]:
        tags = new_tags(self.params.get("Tags"))
        operating_system = self.params.get("OperatingSystem", "WINDOWS")
        filled = _filled(self.params)
        check(self.lab.repositories, operating_system, filled)
        if len(self.location.baselines) >= MAX_BASELINES:
            raise error(
                "ResourceLimitExceededException",
                f"The account has reached the limit of {MAX_BASELINES} patch baselines in this Region.",
            )
        baseline_id = self.lab.short_id("pb")
        body = {
            "BaselineId": baseline_id,
            "Name": self.params["Name"],
            "OperatingSystem": operating_system,
            **filled,
            "CreatedDate": self.now(),
            "ModifiedDate": self.now(),
        }
        self.location.baselines[baseline_id] = Baseline(baseline_id, body)
        resource_tags(self.location, "PatchBaseline", baseline_id).update(tags)
        return {"BaselineId": baseline_id}

    def get_patch_baseline(self) -> dict[str, Any]:
        """A baseline with the patch groups that it is registered for."""
        baseline = existing(self.location, self.params["BaselineId"])
        return {**baseline.body, "PatchGroups": _groups(self.location, baseline.baseline_id)}

    def update_patch_baseline(self) -> dict[str, Any]:
        """Change a baseline; with Replace what is left out becomes what a new baseline would say.

        Raises DoesNotExistException also for AWS's own, ValidationException when Replace comes without Name.
        """
        baseline = existing(self.location, self.params["BaselineId"], malformed="DoesNotExistException")
        if baseline.aws_owned:
            raise error("DoesNotExistException", f"{baseline.baseline_id} is provided by AWS and cannot be changed.")
        given = {name: self.params[name] for name in ("Name", *_OPTIONAL) if name in self.params}
        if self.params.get("Replace"):
            if "Name" not in given:
                raise error("ValidationException", "Name is required when Replace is true.")
            kept = {name: baseline.body[name] for name in ("BaselineId", "OperatingSystem", "CreatedDate")}
            given = {"Name": given["Name"], **_filled(given)}
        else:
            kept = baseline.body
            if "ApprovalRules" in given:
                given["ApprovalRules"] = _rules(given["ApprovalRules"])
        body = {**kept, **given, "ModifiedDate": self.now()}
        check(self.lab.repositories, body["OperatingSystem"], body)
        baseline.body = body
        return body

    def delete_patch_baseline(self) -> dict[str, Any]:
        """Delete a baseline; one that does not exist is no error (the model declares none for it).

        Raises ResourceInUseException while it is registered for a patch group or is a default.
        """
        baseline_id = self.params["BaselineId"]
        if baseline_id in predefined(self.location.region):
            raise error("ValidationException", f"{baseline_id} is provided by AWS and cannot be deleted.")
        groups = _groups(self.location, baseline_id)
        if groups:
            # AWS's words (rebuy-de/aws-nuke#321).
            raise error(
                "ResourceInUseException", f"PatchBaseline to be deleted is used for Patch Group: {', '.join(groups)}"
            )
        if baseline_id in self.location.default_baselines.values():
            raise error("ResourceInUseException", f"PatchBaseline to be deleted is a default baseline: {baseline_id}")
        if self.location.baselines.pop(baseline_id, None) is not None:
            forget_tags(self.location, "PatchBaseline", baseline_id)
        return {"BaselineId": baseline_id}

    def describe_patch_baselines(self) -> dict[str, Any]:
        """Baselines, AWS's first. Filters: NAME_PREFIX, OWNER (AWS, Self, All), OPERATING_SYSTEM."""
        everything = [*predefined(self.location.region).values(), *self.location.baselines.values()]
        shown, more = self.page(select(everything, self.params.get("Filters", ()), _FILTERS), 50, at_most=100)
        return {"BaselineIdentities": [identity(self.location, baseline) for baseline in shown], **more}

    def register_default_patch_baseline(self) -> dict[str, Any]:
        """Make a baseline the default of its operating system; AWS's own by its ARN."""
        baseline = existing(self.location, self.params["BaselineId"])
        self.location.default_baselines[baseline.body["OperatingSystem"]] = baseline.baseline_id
        return {"BaselineId": baseline.baseline_id}

    def get_default_patch_baseline(self) -> dict[str, Any]:
        """The default baseline of an operating system, Windows without one."""
        operating_system = self.params.get("OperatingSystem", "WINDOWS")
        return {"BaselineId": default_id(self.location, operating_system), "OperatingSystem": operating_system}


_FILTERS: Mapping[str, Callable[[Baseline, tuple[str, ...]], bool]] = {
    "NAME_PREFIX": lambda baseline, values: str(baseline.body["Name"]).startswith(values),
    "OWNER": lambda baseline, values: "All" in values or ("AWS" if baseline.aws_owned else "Self") in values,
    "OPERATING_SYSTEM": lambda baseline, values: baseline.body["OperatingSystem"] in values,
}


def check(repositories: Repositories, operating_system: str, body: Mapping[str, Any]) -> None:
    """Refuse what AWS refuses in a baseline of this operating system, with a ValidationException."""
    check_filters(repositories, operating_system, body["GlobalFilters"]["PatchFilters"])
    for rule in body["ApprovalRules"]["PatchRules"]:
        check_filters(repositories, operating_system, rule["PatchFilterGroup"]["PatchFilters"])
        _check_approval(operating_system, rule)
    linux_only = {
        "EnableNonSecurity": any(rule["EnableNonSecurity"] for rule in body["ApprovalRules"]["PatchRules"]),
        "ApprovedPatchesEnableNonSecurity": body["ApprovedPatchesEnableNonSecurity"],
        "Sources": bool(body["Sources"]),
    }
    for name, given in linux_only.items():
        if given and operating_system == "WINDOWS":
            raise error("ValidationException", f"{name} applies to Linux nodes only, not to {operating_system}.")
    if "AvailableSecurityUpdatesComplianceStatus" in body and operating_system != "WINDOWS":
        raise error(
            "ValidationException",
            f"AvailableSecurityUpdatesComplianceStatus applies to WINDOWS only, not to {operating_system}.",
        )


def _check_approval(operating_system: str, rule: Mapping[str, Any]) -> None:
    """A rule says after how many days or until which date, never both.

    For Debian, Ubuntu and Raspbian it may say neither: the model calls both "not supported" there. AWS
    takes a delay all the same, its own Ubuntu baseline carries one, and the nodes ignore it.
    """
    days, until = rule.get("ApproveAfterDays"), rule.get("ApproveUntilDate")
    if days is not None and until is not None:
        raise error("ValidationException", "A rule takes either ApproveAfterDays or ApproveUntilDate, found both.")
    if days is None and until is None and operating_system not in DEBIAN_FAMILY:
        raise error("ValidationException", "A rule needs either ApproveAfterDays or ApproveUntilDate, found neither.")
    if until is not None and not _is_date(until):
        raise error("ValidationException", f"ApproveUntilDate must be a date as YYYY-MM-DD, found {until}.")


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _filled(given: Mapping[str, Any]) -> dict[str, Any]:
    body = {name: given.get(name, default) for name, default in _OPTIONAL.items()}
    body["ApprovalRules"] = _rules(body["ApprovalRules"])
    return {name: value for name, value in body.items() if value is not None}


def _rules(given: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {"ComplianceLevel": "UNSPECIFIED", "EnableNonSecurity": False}
    return {"PatchRules": [{**defaults, **rule} for rule in given["PatchRules"]]}


def _groups(location: Location, baseline_id: str) -> list[str]:
    return sorted(group for (group, _), found in location.patch_groups.items() if found == baseline_id)
