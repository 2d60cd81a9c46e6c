"""What patches there are, and what a Windows baseline makes of them, as a client of AWS sees it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.testing import LabHandle

MAY = "KB5058385"
"""Cumulative update of Windows Server 2022, released on 2025-05-13."""


@pytest.fixture
def ssm(lab: LabHandle) -> Any:
    return lab.client("ssm")


def available(ssm: Any, **filters: list[str]) -> list[dict[str, Any]]:
    given = [{"Key": key, "Values": values} for key, values in filters.items()]
    pages = ssm.get_paginator("describe_available_patches").paginate(Filters=given)
    return [patch for page in pages for patch in page["Patches"]]


def properties(ssm: Any, system: str, name: str, **members: Any) -> list[str]:
    pages = ssm.get_paginator("describe_patch_properties").paginate(OperatingSystem=system, Property=name, **members)
    return [entry["Name"] for page in pages for entry in page["Properties"]]


def code(call: Any, **members: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**members)
    return str(caught.value.response["Error"]["Code"])


def baseline(ssm: Any, *rules: dict[str, Any], **members: Any) -> str:
    given = {"ApprovalRules": {"PatchRules": list(rules)}, **members}
    return str(ssm.create_patch_baseline(Name="baseline", **given)["BaselineId"])


def rule(days: int, level: str, **filters: list[str]) -> dict[str, Any]:
    group = {"PatchFilters": [{"Key": key, "Values": values} for key, values in filters.items()]}
    return {"PatchFilterGroup": group, "ApproveAfterDays": days, "ComplianceLevel": level}


def effective(ssm: Any, baseline_id: str) -> dict[str, dict[str, Any]]:
    pages = ssm.get_paginator("describe_effective_patches_for_patch_baseline").paginate(BaselineId=baseline_id)
    return {entry["Patch"]["KbNumber"]: entry["PatchStatus"] for page in pages for entry in page["EffectivePatches"]}


SERVER_2022 = rule(7, "HIGH", PRODUCT=["WindowsServer2022"], CLASSIFICATION=["SecurityUpdates"])


def test_properties_are_those_of_the_operating_system(ssm: Any) -> None:
    assert properties(ssm, "AMAZON_LINUX", "PRODUCT")[-1] == "AmazonLinux2018.03"
    assert properties(ssm, "SUSE", "SEVERITY") == ["Critical", "Important", "Moderate", "Low"]
    assert properties(ssm, "UBUNTU", "PRIORITY") == ["Required", "Important", "Standard", "Optional", "Extra"]
    assert code(ssm.describe_patch_properties, OperatingSystem="UBUNTU", Property="SEVERITY") == "ValidationException"


def test_windows_properties_are_those_of_one_patch_set(ssm: Any) -> None:
    assert properties(ssm, "WINDOWS", "PRODUCT_FAMILY") == ["Windows"]
    assert "Office" in properties(ssm, "WINDOWS", "PRODUCT_FAMILY", PatchSet="APPLICATION")
    assert "WindowsServer2022" not in properties(ssm, "WINDOWS", "PRODUCT", PatchSet="APPLICATION")
    assert code(ssm.describe_patch_properties, OperatingSystem="SUSE", Property="PRODUCT", PatchSet="APPLICATION") == (
        "ValidationException"
    )


def test_properties_come_in_pages_of_at_most_fifty(ssm: Any) -> None:
    first = ssm.describe_patch_properties(OperatingSystem="REDHAT_ENTERPRISE_LINUX", Property="PRODUCT", MaxResults=20)
    assert len(first["Properties"]) == 20
    assert first["NextToken"]
    whole = properties(ssm, "REDHAT_ENTERPRISE_LINUX", "PRODUCT")
    assert len(whole) == len(set(whole)) > 20


def test_an_available_windows_patch_has_all_that_a_client_needs(ssm: Any) -> None:
    patch = available(ssm, PATCH_ID=[MAY])[0]
    assert patch["KbNumber"] == MAY
    assert (patch["Product"], patch["ProductFamily"], patch["Vendor"]) == ("WindowsServer2022", "Windows", "Microsoft")
    assert (patch["Classification"], patch["MsrcSeverity"]) == ("SecurityUpdates", "Unspecified")
    assert patch["ReleaseDate"] == datetime(2025, 5, 13, 17, tzinfo=UTC)
    assert MAY in patch["Title"]
    assert patch["ContentUrl"] == "https://support.microsoft.com/en-us/kb/5058385"
    assert patch["Id"] == available(ssm, PATCH_ID=[MAY])[0]["Id"] != MAY


def test_available_windows_patches_are_found_by_their_properties(ssm: Any) -> None:
    everything = available(ssm)
    assert len({(patch["Product"], patch["KbNumber"]) for patch in everything}) == len(everything)
    assert [p["ReleaseDate"] for p in everything] == sorted((p["ReleaseDate"] for p in everything), reverse=True)
    found = available(ssm, PRODUCT=["WindowsServer2022"], CLASSIFICATION=["SecurityUpdates"])
    assert [patch["KbNumber"] for patch in found] == [MAY]
    families = {patch["ProductFamily"] for patch in available(ssm, PATCH_SET=["APPLICATION"])}
    assert families
    assert "Windows" not in families


def test_patches_become_available_when_they_are_released(lab: LabHandle, ssm: Any) -> None:
    before = {patch["KbNumber"] for patch in available(ssm, PRODUCT=["WindowsServer2022"])}
    lab.advance_to(datetime(2025, 8, 13, tzinfo=UTC))
    after = available(ssm, PRODUCT=["WindowsServer2022"])
    assert MAY in before
    assert MAY not in {patch["KbNumber"] for patch in after}
    assert all(patch["ReleaseDate"] <= lab.world.clock.now() for patch in after)
    assert "KB5063880" in {patch["KbNumber"] for patch in after}


def test_linux_patches_need_a_product(lab: LabHandle, ssm: Any) -> None:
    lab.advance_to(datetime(2025, 9, 1, tzinfo=UTC))
    assert code(ssm.describe_available_patches, Filters=[{"Key": "CVE_ID", "Values": ["CVE-2025-0001"]}]) == (
        "ValidationException"
    )
    patches = available(ssm, PRODUCT=["AmazonLinux2"])
    assert patches
    assert {patch["Product"] for patch in patches} == {"AmazonLinux2"}
    one = patches[0]
    assert one["AdvisoryIds"]
    assert one["Version"]
    assert one in available(ssm, PRODUCT=["AmazonLinux2"], NAME=[one["Name"]], ADVISORY_ID=one["AdvisoryIds"])


def test_aws_lists_no_patches_of_other_linuxes(ssm: Any) -> None:
    assert available(ssm, PRODUCT=["AmazonLinux2023"]) == []


def test_a_patch_is_approved_once_its_delay_has_passed(lab: LabHandle, ssm: Any) -> None:
    baseline_id = baseline(ssm, SERVER_2022)
    assert effective(ssm, baseline_id) == {
        MAY: {
            "DeploymentStatus": "APPROVED",
            "ComplianceLevel": "HIGH",
            "ApprovalDate": datetime(2025, 5, 20, 17, tzinfo=UTC),
        }
    }
    lab.advance_to(datetime(2025, 6, 11, tzinfo=UTC))
    (june, status), *_ = [(kb, s) for kb, s in effective(ssm, baseline_id).items() if kb != MAY]
    assert status["DeploymentStatus"] == "PENDING_APPROVAL"
    assert status["ApprovalDate"] == available(ssm, PATCH_ID=[june])[0]["ReleaseDate"] + timedelta(days=7)
    lab.advance_to(status["ApprovalDate"] + timedelta(seconds=1))
    assert effective(ssm, baseline_id)[june]["DeploymentStatus"] == "APPROVED"


def test_of_several_rules_the_first_to_approve_sets_the_date_and_the_highest_the_level(ssm: Any) -> None:
    early = rule(0, "LOW", PRODUCT=["WindowsServer2022"])
    status = effective(ssm, baseline(ssm, SERVER_2022, early))[MAY]
    assert status["ApprovalDate"] == datetime(2025, 5, 13, 17, tzinfo=UTC)
    assert status["ComplianceLevel"] == "HIGH"
    late = rule(300, "CRITICAL", PRODUCT=["WindowsServer2022"])
    assert effective(ssm, baseline(ssm, SERVER_2022, late))[MAY]["ComplianceLevel"] == "HIGH"


def test_the_lists_of_a_baseline_come_before_its_rules(ssm: Any) -> None:
    approving = baseline(ssm, ApprovedPatches=[MAY], ApprovedPatchesComplianceLevel="CRITICAL")
    assert effective(ssm, approving) == {MAY: {"DeploymentStatus": "EXPLICIT_APPROVED", "ComplianceLevel": "CRITICAL"}}
    rejecting = baseline(ssm, SERVER_2022, ApprovedPatches=[MAY], RejectedPatches=[MAY])
    assert effective(ssm, rejecting)[MAY]["DeploymentStatus"] == "EXPLICIT_REJECTED"


def test_a_cut_off_date_approves_from_the_release_on(ssm: Any) -> None:
    members = {"ApproveUntilDate": "2025-05-13", "PatchFilterGroup": SERVER_2022["PatchFilterGroup"]}
    status = effective(ssm, baseline(ssm, members))[MAY]
    assert (status["DeploymentStatus"], status["ApprovalDate"]) == ("APPROVED", datetime(2025, 5, 13, 17, tzinfo=UTC))
    earlier = {**members, "ApproveUntilDate": "2025-05-12"}
    assert effective(ssm, baseline(ssm, earlier)) == {}


def test_effective_patches_are_for_windows_only(ssm: Any) -> None:
    linux = ssm.create_patch_baseline(Name="linux", OperatingSystem="UBUNTU")["BaselineId"]
    call = ssm.describe_effective_patches_for_patch_baseline
    assert code(call, BaselineId=linux) == "UnsupportedOperatingSystem"
    assert code(call, BaselineId="pb-00000000000000000") == "DoesNotExistException"


def test_awss_windows_baseline_approves_what_microsoft_rated_critical_or_important(lab: LabHandle, ssm: Any) -> None:
    lab.advance_to(datetime(2025, 9, 1, tzinfo=UTC))
    default = ssm.get_default_patch_baseline()["BaselineId"]
    pages = ssm.get_paginator("describe_effective_patches_for_patch_baseline").paginate(BaselineId=default)
    patches = [entry["Patch"] for page in pages for entry in page["EffectivePatches"]]
    assert {patch["MsrcSeverity"] for patch in patches} == {"Critical", "Important"}
    assert {patch["Classification"] for patch in patches} <= {"CriticalUpdates", "SecurityUpdates"}
