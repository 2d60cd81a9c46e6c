"""What Windows' agent would report and ask for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.evaluate import EvaluationError, Override, Row, WindowsPatch, evaluate

NOW = datetime(2025, 7, 1, tzinfo=UTC)


def patch(kb: str = "KB5060842", *, installed: bool = False, ago: float = 30, **values: Any) -> WindowsPatch:
    described: dict[str, Any] = {
        "product": "WindowsServer2022",
        "product_family": "Windows",
        "classification": "SecurityUpdates",
        "msrc_severity": "Critical",
        "patch_set": "OS",
        **values,
    }
    return WindowsPatch(
        kb=kb, installed=installed, title=f"Cumulative Update ({kb})", released=NOW - timedelta(days=ago), **described
    )


def rule(after: int = 7, level: str = "HIGH", **filters: list[str]) -> dict[str, Any]:
    wanted = [{"Key": key, "Values": values} for key, values in filters.items()]
    return {
        "PatchFilterGroup": {"PatchFilters": wanted},
        "ComplianceLevel": level,
        "ApproveAfterDays": after,
        "EnableNonSecurity": False,
    }


def baseline(*rules: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"ApprovalRules": {"PatchRules": list(rules)}, **members}


def scan(body: dict[str, Any], *patches: WindowsPatch, override: Sequence[Override] | None = None) -> list[Row]:
    return evaluate("WINDOWS", "WindowsServer2022", NOW, body, override, patches)


def only(body: dict[str, Any], update: WindowsPatch, **settings: Any) -> Row:
    (row,) = scan(body, update, **settings)
    return row


def test_an_approved_update_is_missing_until_it_is_installed() -> None:
    row = only(baseline(rule()), patch())
    assert (row.id, row.title, row.state) == ("KB5060842", "Cumulative Update (KB5060842)", "MISSING")
    assert (row.compliance, row.matched, row.requested) == ("HIGH", True, True)
    assert (row.classification, row.severity, row.cves, row.evr) == ("SecurityUpdates", "Critical", (), None)
    installed = only(baseline(rule()), patch(installed=True))
    assert (installed.state, installed.matched, installed.requested) == ("INSTALLED", True, False)


@pytest.mark.parametrize(
    ("filters", "approved"),
    [
        ({"CLASSIFICATION": ["CriticalUpdates", "SecurityUpdates"], "MSRC_SEVERITY": ["Critical"]}, True),
        ({"CLASSIFICATION": ["UpdateRollups"]}, False),
        ({"MSRC_SEVERITY": ["Important", "Moderate"]}, False),
        ({"PRODUCT": ["WindowsServer2019", "WindowsServer2022"]}, True),
        ({"PRODUCT": ["WindowsServer2019"]}, False),
        ({"PRODUCT_FAMILY": ["Windows"], "PATCH_SET": ["OS"]}, True),
        ({"PRODUCT_FAMILY": ["Office"]}, False),
        ({"PATCH_SET": ["APPLICATION"]}, False),
        ({"PATCH_SET": ["*"], "PRODUCT": ["*"], "CLASSIFICATION": ["*"], "MSRC_SEVERITY": ["*"]}, True),
        ({}, True),
    ],
)
def test_rules_go_by_product_family_classification_severity_and_patch_set(
    filters: dict[str, list[str]], approved: bool
) -> None:
    assert only(baseline(rule(**filters)), patch()).matched is approved


def test_an_application_is_approved_by_its_own_product() -> None:
    body = baseline(rule(PATCH_SET=["APPLICATION"], PRODUCT=["Office 2016"]))
    office = patch(product="Office 2016", product_family="Office", patch_set="APPLICATION")
    assert only(body, office).matched
    assert not only(body, patch()).matched


def test_a_rule_without_a_patch_set_approves_no_application() -> None:
    office = patch(product="Office 2016", product_family="Office", patch_set="APPLICATION")
    assert not only(baseline(rule()), office).matched
    assert not only(baseline(rule(PRODUCT=["Office 2016"])), office).matched
    assert only(baseline(rule(PATCH_SET=["*"])), office).matched
    assert only(baseline(ApprovedPatches=[office.kb]), office).matched


def test_an_update_that_microsoft_has_not_rated_is_unspecified() -> None:
    row = only(baseline(rule(MSRC_SEVERITY=["Unspecified"])), patch(msrc_severity=None))
    assert (row.state, row.severity) == ("MISSING", "Unspecified")


def test_a_delay_counts_from_the_release() -> None:
    assert only(baseline(rule(7)), patch(ago=7.01)).matched
    assert not only(baseline(rule(7)), patch(ago=7)).matched


def test_a_key_of_another_system_is_refused() -> None:
    with pytest.raises(EvaluationError, match=r"windows-update: PRODUCT, PRODUCT_FAMILY.*found 'SEVERITY'"):
        scan(baseline(rule(SEVERITY=["Critical"])), patch())


def test_global_filters_bind_rules_but_not_the_approved_list() -> None:
    bound = {"GlobalFilters": {"PatchFilters": [{"Key": "PRODUCT", "Values": ["WindowsServer2019"]}]}}
    assert not only(baseline(rule(), **bound), patch()).matched
    assert only(baseline(ApprovedPatches=["KB5060842"], **bound), patch()).matched


@pytest.mark.parametrize("status", [None, "COMPLIANT", "NON_COMPLIANT"])
def test_a_security_update_that_is_not_approved_is_available(status: str | None) -> None:
    row = only(baseline(rule(60), AvailableSecurityUpdatesComplianceStatus=status), patch(ago=30))
    assert (row.state, row.compliance) == ("AVAILABLE_SECURITY_UPDATE", "UNSPECIFIED")
    assert (row.matched, row.requested) == (False, False)


def test_any_other_update_that_is_neither_approved_nor_installed_has_no_row() -> None:
    assert scan(baseline(rule(60)), patch(classification="UpdateRollups")) == []


def test_an_installed_update_that_is_not_approved_is_other() -> None:
    assert only(baseline(rule(60)), patch(installed=True)).state == "INSTALLED_OTHER"


def test_an_approved_list_names_kbs_whatever_the_rules_say() -> None:
    body = baseline(rule(60), ApprovedPatches=["kb5060842"], ApprovedPatchesComplianceLevel="LOW")
    assert (only(body, patch()).state, only(body, patch()).compliance) == ("MISSING", "LOW")


@pytest.mark.parametrize(
    ("action", "state"), [("BLOCK", "INSTALLED_REJECTED"), ("ALLOW_AS_DEPENDENCY", "INSTALLED_OTHER")]
)
def test_a_rejected_update_is_not_installed_and_reported_where_it_is_blocked(action: str, state: str) -> None:
    body = baseline(rule(), ApprovedPatches=["KB5060842"], RejectedPatches=["KB5060842"], RejectedPatchesAction=action)
    assert only(body, patch(installed=True)).state == state
    assert not only(body, patch()).requested


@pytest.mark.parametrize(
    ("entry", "asked"),
    [
        (Override("KB5060842", None), True),
        (Override("kb5060842", "*Cumulative*"), True),
        (Override("KB50608*", None), True),
        (Override("KB5060842", "*.NET*"), False),
        (Override("KB5060843", None), False),
    ],
)
def test_an_override_list_narrows_what_is_asked_for(entry: Override, asked: bool) -> None:
    assert only(baseline(rule()), patch(), override=[entry]).requested is asked


def test_an_override_list_approves_nothing() -> None:
    row = only(baseline(rule(60)), patch(), override=[Override("KB5060842", None)])
    assert (row.state, row.requested) == ("AVAILABLE_SECURITY_UPDATE", False)


def test_a_kb_offered_for_several_products_has_one_row() -> None:
    body = baseline(rule(level="LOW", PRODUCT=["A"]), rule(level="CRITICAL", PRODUCT=["B"]))
    offers = [patch(product=product) for product in "ABC"]
    for order in (offers, offers[::-1]):
        (row,) = scan(body, *order)
        assert (row.state, row.compliance) == ("MISSING", "CRITICAL")
    (row,) = scan(body, *offers[:2], patch(product="C", installed=True))
    assert row.state == "INSTALLED"


PATCHES = st.builds(
    patch,
    kb=st.sampled_from(["KB1", "KB2", "KB3"]),
    installed=st.booleans(),
    ago=st.sampled_from([1, 10, 100]),
    classification=st.sampled_from(["SecurityUpdates", "UpdateRollups"]),
    product=st.sampled_from(["WindowsServer2022", "Office 2016"]),
)
BODIES = st.builds(
    baseline,
    st.builds(rule, after=st.sampled_from([0, 7, 30]), CLASSIFICATION=st.sampled_from([["*"], ["SecurityUpdates"]])),
    ApprovedPatches=st.lists(st.sampled_from(["KB1", "KB2"]), max_size=2),
    RejectedPatches=st.lists(st.sampled_from(["KB2", "KB3"]), max_size=2),
)
LISTS = st.lists(
    st.builds(Override, st.sampled_from(["KB1", "KB3", "*"]), st.sampled_from([None, "*KB1*"])), max_size=2
)


@settings(max_examples=150)
@given(BODIES, st.lists(PATCHES, max_size=6), LISTS, st.randoms(use_true_random=False))
def test_an_override_list_never_adds_a_request_and_order_never_matters(
    body: dict[str, Any], patches: list[WindowsPatch], entries: list[Override], random: Any
) -> None:
    without, with_list = scan(body, *patches), scan(body, *patches, override=entries)
    assert {row.id for row in with_list if row.requested} <= {row.id for row in without if row.requested}
    assert [(row.id, row.state) for row in with_list] == [(row.id, row.state) for row in without]
    assert len({row.id for row in without}) == len(without)
    shuffled = list(patches)
    random.shuffle(shuffled)
    assert [(r.id, r.state, r.compliance) for r in scan(body, *shuffled)] == [
        (r.id, r.state, r.compliance) for r in without
    ]
