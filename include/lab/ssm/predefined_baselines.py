"""AWS's own patch baselines: one per operating system, three for Windows.

Rules: UG:patch-manager-predefined-and-custom-patch-baselines; names and descriptions also from the
user guide's Quick Setup page. Ids are ARNs in an account of AWS's, another per Region: moto ships those
of the defaults. The ids of the two further Windows baselines are not in it; the lab derives them from
Region and name, so they are stable but not AWS's.

As read from a snapshot of AWS's Ubuntu baseline (tekumara/aws-ssm-patch-manager, 2021) it carries an
approval delay of 7 days, which apt nodes ignore; filters hold on the whole baseline as `PRODUCT *`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from moto.utilities.utils import load_resource

from lab.ssm.model import Baseline

CREATED = datetime(2018, 5, 1, 17, 13, 20, tzinfo=UTC)
"""When AWS made them; the lab gives all of them the date of the Ubuntu one."""

FALLBACK_REGION = "us-east-1"
"""A Region that moto knows no baselines of gets ids derived from its name, in this Region's AWS account."""

_Filters = dict[str, list[str]]

_SECURITY_THEN_BUGFIX: list[_Filters] = [
    {"CLASSIFICATION": ["Security"], "SEVERITY": ["Critical", "Important"]},
    {"CLASSIFICATION": ["Bugfix"]},
]
_DEB: list[_Filters] = [{"PRIORITY": ["Required", "Important", "Standard", "Optional", "Extra"]}]
_WINDOWS_OS: _Filters = {
    "PATCH_SET": ["OS"],
    "CLASSIFICATION": ["CriticalUpdates", "SecurityUpdates"],
    "MSRC_SEVERITY": ["Critical", "Important"],
}

_DEFAULTS: dict[str, tuple[str, str, list[_Filters]]] = {
    "AMAZON_LINUX": ("AWS-AmazonLinuxDefaultPatchBaseline", "Amazon Linux", _SECURITY_THEN_BUGFIX),
    "AMAZON_LINUX_2": ("AWS-AmazonLinux2DefaultPatchBaseline", "Amazon Linux 2", _SECURITY_THEN_BUGFIX),
    "AMAZON_LINUX_2022": ("AWS-AmazonLinux2022DefaultPatchBaseline", "Amazon Linux 2022", _SECURITY_THEN_BUGFIX),
    "AMAZON_LINUX_2023": ("AWS-AmazonLinux2023DefaultPatchBaseline", "Amazon Linux 2023", _SECURITY_THEN_BUGFIX),
    "ALMA_LINUX": ("AWS-AlmaLinuxDefaultPatchBaseline", "Alma Linux", _SECURITY_THEN_BUGFIX),
    "CENTOS": ("AWS-CentOSDefaultPatchBaseline", "CentOS", [{"PRODUCT": ["*"]}]),
    "DEBIAN": ("AWS-DebianDefaultPatchBaseline", "Debian", _DEB),
    "MACOS": ("AWS-MacOSDefaultPatchBaseline", "MacOS", [{"CLASSIFICATION": ["Security"]}, {"PRODUCT": ["*"]}]),
    "ORACLE_LINUX": (
        "AWS-OracleLinuxDefaultPatchBaseline",
        "Oracle Linux Server",
        [{"CLASSIFICATION": ["Security"], "SEVERITY": ["Important", "Moderate"]}, {"CLASSIFICATION": ["Bugfix"]}],
    ),
    "RASPBIAN": ("AWS-DefaultRaspbianPatchBaseline", "Raspbian", _DEB),
    "REDHAT_ENTERPRISE_LINUX": (
        "AWS-RedHatDefaultPatchBaseline",
        "Redhat Enterprise Linux",
        _SECURITY_THEN_BUGFIX,
    ),
    "ROCKY_LINUX": ("AWS-RockyLinuxDefaultPatchBaseline", "Rocky Linux", _SECURITY_THEN_BUGFIX),
    "SUSE": ("AWS-SuseDefaultPatchBaseline", "Suse", _SECURITY_THEN_BUGFIX[:1]),
    "UBUNTU": ("AWS-UbuntuDefaultPatchBaseline", "Ubuntu", _DEB),
    "WINDOWS": ("AWS-DefaultPatchBaseline", "", [_WINDOWS_OS]),
}
_FURTHER_WINDOWS: dict[str, tuple[str, list[_Filters]]] = {
    "AWS-WindowsPredefinedPatchBaseline-OS": ("Windows Server OS", [_WINDOWS_OS]),
    "AWS-WindowsPredefinedPatchBaseline-OS-Applications": (
        "Windows Server OS and Microsoft Applications",
        [_WINDOWS_OS, {"PATCH_SET": ["APPLICATION"]}],
    ),
}


@cache
def default_ids(region: str) -> Mapping[str, str]:
    """The id (an ARN) of AWS's default baseline for each operating system in a Region."""
    known: dict[str, dict[str, str]] = load_resource("ssm/resources/default_baselines.json")
    if region in known:
        return known[region]
    return {name: _derived(region, _DEFAULTS[name][0]) for name in known[FALLBACK_REGION]}


@cache
def predefined(region: str) -> Mapping[str, Baseline]:
    """AWS's own baselines in a Region, by id (an ARN)."""
    found: dict[str, Baseline] = {}
    for operating_system, baseline_id in default_ids(region).items():
        name, shown, rules = _DEFAULTS[operating_system]
        found[baseline_id] = _baseline(baseline_id, operating_system, name, shown, rules)
    for name, (shown, rules) in _FURTHER_WINDOWS.items():
        baseline_id = _derived(region, name)
        found[baseline_id] = _baseline(baseline_id, "WINDOWS", name, shown, rules)
    return found


def _derived(region: str, name: str) -> str:
    known = load_resource("ssm/resources/default_baselines.json")
    account = known.get(region, known[FALLBACK_REGION])["WINDOWS"].split(":")[4]
    digest = hashlib.sha256(f"{region}/{name}".encode()).hexdigest()
    return f"arn:aws:ssm:{region}:{account}:patchbaseline/pb-0{digest[:16]}"


def _baseline(baseline_id: str, operating_system: str, name: str, shown: str, rules: list[_Filters]) -> Baseline:
    body: dict[str, Any] = {
        "BaselineId": baseline_id,
        "Name": name,
        "OperatingSystem": operating_system,
        "GlobalFilters": {"PatchFilters": [{"Key": "PRODUCT", "Values": ["*"]}]},
        "ApprovalRules": {"PatchRules": [_rule(operating_system, filters) for filters in rules]},
        "ApprovedPatches": [],
        "ApprovedPatchesComplianceLevel": "UNSPECIFIED",
        "ApprovedPatchesEnableNonSecurity": False,
        "RejectedPatches": [],
        "RejectedPatchesAction": "ALLOW_AS_DEPENDENCY",
        "CreatedDate": CREATED,
        "ModifiedDate": CREATED,
        "Description": f"Default Patch Baseline {f'for {shown} ' if shown else ''}Provided by AWS.",
        "Sources": [],
    }
    if operating_system == "WINDOWS":
        body["AvailableSecurityUpdatesComplianceStatus"] = "NON_COMPLIANT"
    return Baseline(baseline_id, body, aws_owned=True)


def _rule(operating_system: str, filters: _Filters) -> dict[str, Any]:
    return {
        "PatchFilterGroup": {"PatchFilters": [{"Key": key, "Values": list(v)} for key, v in filters.items()]},
        "ComplianceLevel": "UNSPECIFIED",
        "ApproveAfterDays": 7,
        # CentOS's repositories carry no notices: its baseline approves what has none as well.
        "EnableNonSecurity": operating_system == "CENTOS",
    }
