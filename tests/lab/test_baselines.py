"""Patch baselines and patch groups as a client of AWS sees them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.ssm.baselines import baseline_for
from lab.ssm.predefined_baselines import default_ids, predefined
from lab.testing import LabHandle

UNKNOWN = "pb-00000000000000000"
SYSTEMS = sorted(default_ids("eu-west-3"))


def rule(*filters: tuple[str, list[str]], **members: Any) -> dict[str, Any]:
    group = {"PatchFilters": [{"Key": key, "Values": values} for key, values in filters]}
    return {"PatchFilterGroup": group, **(members or {"ApproveAfterDays": 7})}


def create(lab: LabHandle, system: str = "AMAZON_LINUX_2023", *rules: dict[str, Any], **members: Any) -> str:
    given = {"Name": "baseline", "OperatingSystem": system, **members}
    if rules:
        given["ApprovalRules"] = {"PatchRules": list(rules)}
    return str(lab.client("ssm").create_patch_baseline(**given)["BaselineId"])


def get(lab: LabHandle, baseline_id: str) -> dict[str, Any]:
    answer = lab.client("ssm").get_patch_baseline(BaselineId=baseline_id)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def listed(lab: LabHandle, **filters: list[str]) -> list[dict[str, Any]]:
    given = [{"Key": key, "Values": values} for key, values in filters.items()]
    pages = lab.client("ssm").get_paginator("describe_patch_baselines").paginate(Filters=given)
    return [baseline for page in pages for baseline in page["BaselineIdentities"]]


@contextmanager
def refused(code: str, *words: str) -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code
    for word in words:
        assert word in caught.value.response["Error"]["Message"]


def test_a_baseline_keeps_everything_it_is_created_with(lab: LabHandle) -> None:
    members: dict[str, Any] = {
        "Description": "for the web nodes",
        "GlobalFilters": {"PatchFilters": [{"Key": "PRODUCT", "Values": ["AmazonLinux2023"]}]},
        "ApprovedPatches": ["kernel*"],
        "ApprovedPatchesComplianceLevel": "HIGH",
        "ApprovedPatchesEnableNonSecurity": True,
        "RejectedPatches": ["docker"],
        "RejectedPatchesAction": "BLOCK",
        "Sources": [{"Name": "own-repo", "Products": ["AmazonLinux2023"], "Configuration": "[main]\nenabled=1"}],
    }
    rules = [
        rule(("CLASSIFICATION", ["Security"]), ApproveAfterDays=3, ComplianceLevel="CRITICAL", EnableNonSecurity=True),
        rule(("SEVERITY", ["Critical", "Important"]), ApproveUntilDate="2025-06-10"),
    ]
    baseline = get(lab, create(lab, "AMAZON_LINUX_2023", *rules, **members))
    assert {name: baseline[name] for name in members} == members
    first, second = baseline["ApprovalRules"]["PatchRules"]
    assert first == rules[0]
    assert second == {**rules[1], "ComplianceLevel": "UNSPECIFIED", "EnableNonSecurity": False}
    assert baseline["CreatedDate"] == baseline["ModifiedDate"] == lab.world.clock.now()


def test_a_baseline_of_nothing_but_a_name_is_for_windows_and_approves_nothing(lab: LabHandle) -> None:
    baseline_id = lab.client("ssm").create_patch_baseline(Name="bare")["BaselineId"]
    baseline = get(lab, baseline_id)
    assert baseline["OperatingSystem"] == "WINDOWS"
    assert baseline["ApprovalRules"] == {"PatchRules": []}
    assert baseline["ApprovedPatchesComplianceLevel"] == "UNSPECIFIED"
    assert baseline["RejectedPatchesAction"] == "ALLOW_AS_DEPENDENCY"
    assert baseline["PatchGroups"] == baseline["Sources"] == baseline["ApprovedPatches"] == []
    assert "Description" not in baseline


def test_point_10_the_same_client_token_makes_one_baseline(lab: LabHandle) -> None:
    ssm = lab.client("ssm")
    first = ssm.create_patch_baseline(Name="once", ClientToken="token-1")
    again = ssm.create_patch_baseline(Name="once", ClientToken="token-1")
    assert first["BaselineId"] == again["BaselineId"]
    assert len(listed(lab, OWNER=["Self"])) == 1


def test_point_10_a_client_token_with_another_request_is_a_mismatch(lab: LabHandle) -> None:
    ssm = lab.client("ssm")
    ssm.create_patch_baseline(Name="once", ClientToken="token-1")
    with refused("IdempotentParameterMismatch", "token-1"):
        ssm.create_patch_baseline(Name="twice", ClientToken="token-1")


@pytest.mark.parametrize("operation", ["get_patch_baseline", "register_default_patch_baseline"])
def test_point_10_an_unknown_baseline_does_not_exist(lab: LabHandle, operation: str) -> None:
    with refused("DoesNotExistException", "Patch Baseline to be retrieved does not exist."):
        getattr(lab.client("ssm"), operation)(BaselineId=UNKNOWN)
    with refused("InvalidResourceId"):
        getattr(lab.client("ssm"), operation)(BaselineId="no-baseline-id-at-all")


def test_point_9_the_fifty_first_baseline_is_one_too_many(lab: LabHandle) -> None:
    for _ in range(50):
        create(lab)
    with refused("ResourceLimitExceededException", "50"):
        create(lab)


def test_point_9_a_baseline_takes_ten_rules_of_four_filters_of_twenty_values(lab: LabHandle) -> None:
    full = rule(*[("PRODUCT", ["*"] * 20), ("CLASSIFICATION", ["*"]), ("SEVERITY", ["*"])])
    create(lab, "AMAZON_LINUX_2023", *[full] * 10)
    with refused("ValidationException", "patchRules", "10"):
        create(lab, "AMAZON_LINUX_2023", *[full] * 11)
    with refused("ValidationException", "values", "20"):
        create(lab, "AMAZON_LINUX_2023", rule(("PRODUCT", ["*"] * 21)))
    with refused("ValidationException", "patchFilters", "4"):
        create(lab, "WINDOWS", rule(*[("PRODUCT", ["*"])] * 5))


def test_point_9_the_lists_of_a_baseline_take_fifty_patches_of_a_hundred_characters(lab: LabHandle) -> None:
    create(lab, ApprovedPatches=["p" * 100] * 50, RejectedPatches=["q" * 100] * 50)
    for name in ("ApprovedPatches", "RejectedPatches"):
        with refused("ValidationException", "length less than or equal to 50"):
            create(lab, **{name: ["p"] * 51})
        with refused("ValidationException", "length less than or equal to 100"):
            create(lab, **{name: ["p" * 101]})


def test_a_filter_value_that_is_not_valid_is_refused_with_the_valid_ones(lab: LabHandle) -> None:
    with refused(
        "ValidationException", "Invalid Filter Value: All for Key: PRODUCT, valid values are: AmazonLinux2012.03, "
    ):
        create(lab, "AMAZON_LINUX", rule(("PRODUCT", ["All"])))
    with refused("ValidationException", "Invalid Filter Value: Medium for Key: SEVERITY", "Moderate"):
        create(lab, "SUSE", rule(("SEVERITY", ["Medium"])))


def test_a_filter_key_of_another_operating_system_is_refused(lab: LabHandle) -> None:
    with refused("ValidationException", "MSRC_SEVERITY", "PRODUCT, CLASSIFICATION, SEVERITY"):
        create(lab, "AMAZON_LINUX_2023", rule(("MSRC_SEVERITY", ["Critical"])))
    with refused("ValidationException", "CLASSIFICATION", "PRODUCT, PRIORITY, SECTION"):
        create(lab, "UBUNTU", GlobalFilters={"PatchFilters": [{"Key": "CLASSIFICATION", "Values": ["Security"]}]})


def test_every_product_of_the_labs_own_nodes_can_be_filtered_by(lab: LabHandle) -> None:
    for product in lab.world.repositories.products():
        baseline_id = create(lab, product.operating_system, rule(("PRODUCT", [product.product])))
        lab.client("ssm").delete_patch_baseline(BaselineId=baseline_id)


def test_application_products_need_the_patch_set_application(lab: LabHandle) -> None:
    office = ("PRODUCT", ["Office 2016"])
    with refused("ValidationException", "Office 2016", "WindowsServer2019"):
        create(lab, "WINDOWS", rule(office))
    with refused("ValidationException", "WindowsServer2019"):
        create(lab, "WINDOWS", rule(("PATCH_SET", ["APPLICATION"]), ("PRODUCT", ["WindowsServer2019"])))
    create(lab, "WINDOWS", rule(("PATCH_SET", ["APPLICATION"]), office))
    create(lab, "WINDOWS", rule(("PATCH_SET", ["*"]), ("PRODUCT", ["Office 2016", "WindowsServer2019"])))


@pytest.mark.parametrize(
    ("members", "word"),
    [
        ({}, "neither"),
        ({"ApproveAfterDays": 7, "ApproveUntilDate": "2025-06-10"}, "both"),
        ({"ApproveUntilDate": "2025-13-10"}, "2025-13-10"),
        ({"ApproveUntilDate": "20250610"}, "20250610"),
        ({"ApproveAfterDays": 361}, "360"),
    ],
)
def test_a_rule_says_either_after_how_many_days_or_until_when(lab: LabHandle, members: Any, word: str) -> None:
    bad = {"PatchFilterGroup": {"PatchFilters": []}, **members}
    with refused("ValidationException", word):
        create(lab, "AMAZON_LINUX_2023", bad)


@pytest.mark.parametrize("system", ["DEBIAN", "UBUNTU", "RASPBIAN"])
def test_a_rule_for_the_debian_family_needs_no_approval_delay(lab: LabHandle, system: str) -> None:
    bare = {"PatchFilterGroup": {"PatchFilters": [{"Key": "PRIORITY", "Values": ["Required"]}]}}
    kept = get(lab, create(lab, system, bare))["ApprovalRules"]["PatchRules"][0]
    assert "ApproveAfterDays" not in kept
    create(lab, system, {**bare, "ApproveAfterDays": 7})


@pytest.mark.parametrize(
    "members",
    [
        {"ApprovedPatchesEnableNonSecurity": True},
        {"Sources": [{"Name": "own", "Products": ["WindowsServer2019"], "Configuration": "x"}]},
        {"ApprovalRules": {"PatchRules": [rule(ApproveAfterDays=1, EnableNonSecurity=True)]}},
    ],
)
def test_what_is_for_linux_only_is_refused_for_windows(lab: LabHandle, members: dict[str, Any]) -> None:
    with refused("ValidationException", "Linux"):
        create(lab, "WINDOWS", **members)
    with refused("ValidationException", "WINDOWS"):
        create(lab, "UBUNTU", AvailableSecurityUpdatesComplianceStatus="COMPLIANT")
    create(lab, "WINDOWS", AvailableSecurityUpdatesComplianceStatus="NON_COMPLIANT")


def test_updating_a_baseline_changes_what_is_given_and_keeps_the_rest(lab: LabHandle) -> None:
    baseline_id = create(lab, "UBUNTU", Description="before", RejectedPatches=["vim"])
    lab.advance(hours=1)
    answer = lab.client("ssm").update_patch_baseline(BaselineId=baseline_id, Description="after")
    baseline = get(lab, baseline_id)
    assert (baseline["Description"], baseline["RejectedPatches"]) == ("after", ["vim"])
    assert baseline["CreatedDate"] < baseline["ModifiedDate"] == answer["ModifiedDate"] == lab.world.clock.now()


def test_replacing_a_baseline_forgets_what_is_not_given(lab: LabHandle) -> None:
    baseline_id = create(lab, "UBUNTU", Description="before", RejectedPatches=["vim"])
    with refused("ValidationException", "Name"):
        lab.client("ssm").update_patch_baseline(BaselineId=baseline_id, Replace=True, ApprovedPatches=["zsh"])
    lab.client("ssm").update_patch_baseline(
        BaselineId=baseline_id, Replace=True, Name="replaced", ApprovedPatches=["zsh"]
    )
    baseline = get(lab, baseline_id)
    assert (baseline["Name"], baseline["ApprovedPatches"], baseline["RejectedPatches"]) == ("replaced", ["zsh"], [])
    assert "Description" not in baseline
    assert baseline["OperatingSystem"] == "UBUNTU"


def test_an_update_is_checked_like_a_new_baseline(lab: LabHandle) -> None:
    baseline_id = create(lab, "UBUNTU")
    with refused("ValidationException", "CLASSIFICATION"):
        lab.client("ssm").update_patch_baseline(
            BaselineId=baseline_id, ApprovalRules={"PatchRules": [rule(("CLASSIFICATION", ["Security"]))]}
        )
    assert get(lab, baseline_id)["ApprovalRules"] == {"PatchRules": []}


def test_who_holds_a_baseline_holds_it_as_it_was_before_an_update(lab: LabHandle) -> None:
    baseline_id = create(lab, "UBUNTU", Description="before")
    held = lab.location().baselines[baseline_id].body
    lab.client("ssm").update_patch_baseline(BaselineId=baseline_id, Description="after")
    assert held["Description"] == "before"


def test_a_baseline_in_use_cannot_be_deleted(lab: LabHandle) -> None:
    ssm = lab.client("ssm")
    in_group, default = create(lab), create(lab)
    ssm.register_patch_baseline_for_patch_group(BaselineId=in_group, PatchGroup="web")
    ssm.register_default_patch_baseline(BaselineId=default)
    with refused("ResourceInUseException", "PatchBaseline to be deleted is used for Patch Group: web"):
        ssm.delete_patch_baseline(BaselineId=in_group)
    with refused("ResourceInUseException", default):
        ssm.delete_patch_baseline(BaselineId=default)
    ssm.deregister_patch_baseline_for_patch_group(BaselineId=in_group, PatchGroup="web")
    ssm.delete_patch_baseline(BaselineId=in_group)
    assert [baseline["BaselineId"] for baseline in listed(lab, OWNER=["Self"])] == [default]


def test_deleting_a_baseline_twice_is_no_error(lab: LabHandle) -> None:
    baseline_id = create(lab)
    for _ in range(2):
        assert lab.client("ssm").delete_patch_baseline(BaselineId=baseline_id)["BaselineId"] == baseline_id


def test_every_operating_system_has_a_baseline_of_awss_that_is_the_default_at_first(lab: LabHandle) -> None:
    known = lab.client("ssm").meta.service_model.shape_for("OperatingSystem").enum
    assert sorted(known) == SYSTEMS
    found = {b["BaselineId"]: b for b in listed(lab, OWNER=["AWS"])}
    assert len(found) == len(SYSTEMS) + 2
    for system in SYSTEMS:
        default = lab.client("ssm").get_default_patch_baseline(OperatingSystem=system)["BaselineId"]
        assert found[default]["OperatingSystem"] == system
        assert found[default]["DefaultBaseline"] is True
        assert found[default]["BaselineName"].startswith("AWS-")
    assert sum(b["DefaultBaseline"] for b in found.values()) == len(SYSTEMS)
    assert lab.client("ssm").get_default_patch_baseline()["OperatingSystem"] == "WINDOWS"


def test_awss_amazon_linux_baseline_approves_security_and_bugfixes_after_a_week(lab: LabHandle) -> None:
    default = lab.client("ssm").get_default_patch_baseline(OperatingSystem="AMAZON_LINUX_2023")["BaselineId"]
    assert default == "arn:aws:ssm:eu-west-3:622594171460:patchbaseline/pb-0ea6fcbdfc2b6efc7"
    security, bugfix = get(lab, default)["ApprovalRules"]["PatchRules"]
    assert {f["Key"]: f["Values"] for f in security["PatchFilterGroup"]["PatchFilters"]} == {
        "CLASSIFICATION": ["Security"],
        "SEVERITY": ["Critical", "Important"],
    }
    assert {f["Key"]: f["Values"] for f in bugfix["PatchFilterGroup"]["PatchFilters"]} == {"CLASSIFICATION": ["Bugfix"]}
    assert security["ApproveAfterDays"] == bugfix["ApproveAfterDays"] == 7


def test_awss_baselines_are_read_only(lab: LabHandle) -> None:
    ssm = lab.client("ssm")
    default = ssm.get_default_patch_baseline()["BaselineId"]
    with refused("DoesNotExistException", "provided by AWS"):
        ssm.update_patch_baseline(BaselineId=default, Description="mine")
    with refused("ValidationException", "provided by AWS"):
        ssm.delete_patch_baseline(BaselineId=default)


def test_the_rules_of_awss_baselines_are_ones_that_an_account_could_write(lab: LabHandle) -> None:
    for baseline in predefined("eu-west-3").values():
        members = {
            name: value
            for name, value in baseline.body.items()
            if name not in ("BaselineId", "Name", "OperatingSystem", "CreatedDate", "ModifiedDate")
        }
        create(lab, baseline.body["OperatingSystem"], **members)


def test_a_region_that_moto_knows_no_baselines_of_has_some_all_the_same() -> None:
    made = default_ids("xx-nowhere-1")
    assert sorted(made) == SYSTEMS
    assert all(arn.startswith("arn:aws:ssm:xx-nowhere-1:") for arn in made.values())


def test_an_account_can_make_its_own_baseline_the_default_and_go_back(lab: LabHandle) -> None:
    ssm = lab.client("ssm")
    awss = ssm.get_default_patch_baseline(OperatingSystem="UBUNTU")["BaselineId"]
    own = create(lab, "UBUNTU")
    ssm.register_default_patch_baseline(BaselineId=own)
    assert ssm.get_default_patch_baseline(OperatingSystem="UBUNTU")["BaselineId"] == own
    flags = {b["BaselineId"]: b["DefaultBaseline"] for b in listed(lab, OPERATING_SYSTEM=["UBUNTU"])}
    assert flags == {own: True, awss: False}
    ssm.register_default_patch_baseline(BaselineId=awss)
    assert ssm.get_default_patch_baseline(OperatingSystem="UBUNTU")["BaselineId"] == awss


def test_baselines_are_found_by_the_prefix_of_their_name_owner_and_operating_system(lab: LabHandle) -> None:
    for name, system in (("web-linux", "UBUNTU"), ("web-windows", "WINDOWS"), ("db-linux", "UBUNTU")):
        create(lab, system, Name=name)
    assert {b["BaselineName"] for b in listed(lab, NAME_PREFIX=["web-"])} == {"web-linux", "web-windows"}
    assert [b["BaselineName"] for b in listed(lab, NAME_PREFIX=["web-"], OPERATING_SYSTEM=["UBUNTU"])] == ["web-linux"]
    assert len(listed(lab, OWNER=["Self"])) == 3
    assert len(listed(lab, OWNER=["All"])) == len(listed(lab)) == len(listed(lab, OWNER=["AWS"])) + 3
    with refused("ValidationException", "NAME_PREFIX, OWNER, OPERATING_SYSTEM"):
        listed(lab, NAME=["web-linux"])


def test_baselines_come_in_pages(lab: LabHandle) -> None:
    for number in range(7):
        create(lab, Name=f"baseline-{number}")
    pages = (
        lab.client("ssm")
        .get_paginator("describe_patch_baselines")
        .paginate(Filters=[{"Key": "OWNER", "Values": ["Self"]}], PaginationConfig={"PageSize": 3})
    )
    names = [[b["BaselineName"] for b in page["BaselineIdentities"]] for page in pages]
    assert [len(page) for page in names] == [3, 3, 1]
    assert [name for page in names for name in page] == [f"baseline-{number}" for number in range(7)]


def test_another_account_has_its_own_baselines(lab: LabHandle) -> None:
    baseline_id = create(lab)
    with refused("DoesNotExistException"):
        lab.client("ssm", account="222222222222").get_patch_baseline(BaselineId=baseline_id)


def test_a_node_has_the_baseline_of_its_group_else_the_default(lab: LabHandle) -> None:
    ssm, location = lab.client("ssm"), lab.location()
    own, default = create(lab, "UBUNTU"), create(lab, "UBUNTU")
    ssm.register_patch_baseline_for_patch_group(BaselineId=own, PatchGroup="web")
    assert baseline_for(location, "web", "UBUNTU").baseline_id == own
    assert baseline_for(location, "web", "DEBIAN").baseline_id == default_ids("eu-west-3")["DEBIAN"]
    assert baseline_for(location, "db", "UBUNTU").baseline_id == default_ids("eu-west-3")["UBUNTU"]
    ssm.register_default_patch_baseline(BaselineId=default)
    assert baseline_for(location, "db", "UBUNTU").baseline_id == default
    assert baseline_for(location, None, "UBUNTU").baseline_id == default
