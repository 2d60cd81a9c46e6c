"""What apt's agent would report and ask for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from lab.evaluate import Evr, Notice, Override, Package, Row, Version, evaluate

NOW = datetime(2025, 7, 1, tzinfo=UTC)
UBUNTU = ("UBUNTU", "Ubuntu22.04")


def version(
    text: str, *, security: bool = True, priority: str | None = "optional", section: str | None = "libs"
) -> Version:
    return Version(Evr(0, text, ""), NOW, None, priority, section, security)


def libc(installed: str | None, *versions: Version) -> Package:
    return Package("libc6", "amd64", None if installed is None else Evr(0, installed, ""), versions)


def rule(level: str = "HIGH", *, non_security: bool = False, **filters: list[str]) -> dict[str, Any]:
    wanted = [{"Key": key, "Values": values} for key, values in filters.items()]
    return {
        "PatchFilterGroup": {"PatchFilters": wanted},
        "ComplianceLevel": level,
        "EnableNonSecurity": non_security,
        "ApproveAfterDays": 7,
    }


def baseline(*rules: dict[str, Any], bound: dict[str, list[str]] | None = None, **members: Any) -> dict[str, Any]:
    filters = [{"Key": key, "Values": values} for key, values in (bound or {}).items()]
    return {"GlobalFilters": {"PatchFilters": filters}, "ApprovalRules": {"PatchRules": list(rules)}, **members}


PRIORITIES = baseline(rule(PRIORITY=["Required", "Important", "Standard", "Optional", "Extra"]))


def scan(
    body: dict[str, Any],
    *packages: Package,
    on: tuple[str, str] = UBUNTU,
    override: Sequence[Override] | None = None,
) -> list[Row]:
    return evaluate(*on, NOW, body, override, packages)


def only(body: dict[str, Any], package: Package, **settings: Any) -> Row:
    (row,) = scan(body, package, **settings)
    return row


# Rows


def test_an_approved_update_is_missing_under_the_updates_title() -> None:
    row = only(PRIORITIES, libc("2.35-0ubuntu3", version("2.35-0ubuntu3"), version("2.35-0ubuntu3.10")))
    assert (row.id, row.title) == ("libc6.amd64", "libc6.amd64:2.35-0ubuntu3.10")
    assert (row.state, row.compliance, row.matched, row.requested) == ("MISSING", "HIGH", True, True)
    assert (row.classification, row.severity, row.target) == ("Security", "optional", Evr(0, "2.35-0ubuntu3.10", ""))


def test_a_title_has_the_version_as_dpkg_prints_it() -> None:
    parts = Package("vim", "amd64", Evr(2, "8.2", "4ubuntu3"), ())
    assert only(PRIORITIES, parts).title == "vim.amd64:2:8.2-4ubuntu3"
    whole = Package("vim", "amd64", Evr(0, "2:8.2-4ubuntu3", ""), ())
    assert only(PRIORITIES, whole).title == "vim.amd64:2:8.2-4ubuntu3"
    assert only(PRIORITIES, Package("vim", "amd64", Evr(0, "8.2", "4"), ())).title == "vim.amd64:8.2-4"
    assert only(PRIORITIES, Package("vim", "amd64", Evr(0, "8.2", ""), ())).title == "vim.amd64:8.2"


def test_the_newest_approved_version_is_dpkgs_newest() -> None:
    row = only(PRIORITIES, libc("1.8", version("1.9"), version("1.10"), version("1.11", security=False)))
    assert (row.title, row.state) == ("libc6.amd64:1.10", "MISSING")


def test_an_installed_version_that_is_approved_is_installed() -> None:
    row = only(PRIORITIES, libc("2.0", version("1.0"), version("2.0"), version("3.0", security=False)))
    assert (row.title, row.state, row.matched, row.compliance) == ("libc6.amd64:2.0", "INSTALLED", True, "HIGH")


@pytest.mark.parametrize("older", [(), (version("1.0"),)])
def test_an_installed_version_that_is_not_approved_is_other_under_its_own_title(older: tuple[Version, ...]) -> None:
    row = only(PRIORITIES, libc("2.0", *older, version("2.0", security=False), version("3.0", security=False)))
    assert (row.title, row.state) == ("libc6.amd64:2.0", "INSTALLED_OTHER")
    assert (row.compliance, row.matched, row.requested, row.classification) == ("UNSPECIFIED", False, False, "")


def test_an_older_version_that_is_approved_says_nothing_of_an_installed_one() -> None:
    row = only(PRIORITIES, libc("2.0", version("1.0"), version("1.5")))
    assert (row.title, row.state, row.matched) == ("libc6.amd64:2.0", "INSTALLED_OTHER", False)


@pytest.mark.parametrize("older", [(), (version("1.0"),)])
def test_an_installed_version_that_no_repository_has_is_judged_as_one_of_no_known_priority_or_origin(
    older: tuple[Version, ...],
) -> None:
    package = libc("2.0", *older)
    row = only(baseline(rule("LOW", non_security=True, PRIORITY=["*"])), package)
    assert (row.title, row.state, row.compliance, row.matched) == ("libc6.amd64:2.0", "INSTALLED", "LOW", True)
    assert (row.classification, row.severity, row.requested) == ("", "", False)
    assert only(baseline(rule()), package).state == "INSTALLED_OTHER"
    assert only(baseline(rule(non_security=True, PRIORITY=["Optional"])), package).state == "INSTALLED_OTHER"
    listed = baseline(ApprovedPatches=["libc6"], ApprovedPatchesEnableNonSecurity=True)
    assert only(listed, package).state == "INSTALLED"
    rejected = baseline(rule(non_security=True), RejectedPatches=["libc6"], RejectedPatchesAction="BLOCK")
    assert only(rejected, package).state == "INSTALLED_REJECTED"


def test_an_approved_package_that_is_not_installed_is_not_applicable() -> None:
    row = only(PRIORITIES, libc(None, version("1.0"), version("2.0")))
    assert (row.title, row.state, row.requested) == ("libc6.amd64:2.0", "NOT_APPLICABLE", False)
    assert scan(PRIORITIES, libc(None, version("1.0", security=False))) == []


def test_no_row_has_cve_ids() -> None:
    known = Notice("USN-1-1", NOW, "Security", "high", ("CVE-2025-0001",))
    update = Version(Evr(0, "2.0", ""), NOW, known, "optional", "libs", security_origin=True)
    assert only(PRIORITIES, libc("1.0", update)).cves == ()


# Rules


@pytest.mark.parametrize("dates", [{"ApproveAfterDays": 360}, {"ApproveUntilDate": "1999-01-01"}, {}])
def test_delays_and_dates_are_ignored(dates: dict[str, Any]) -> None:
    body = baseline({"PatchFilterGroup": {"PatchFilters": []}, **dates})
    assert only(body, libc("1.0", version("2.0"))).state == "MISSING"


def test_what_is_not_from_a_security_origin_needs_non_security() -> None:
    package = libc("1.0", version("2.0", security=False))
    assert only(baseline(rule()), package).state == "INSTALLED_OTHER"
    both = baseline(rule("CRITICAL"), rule("LOW", non_security=True))
    assert (only(both, package).state, only(both, package).compliance) == ("MISSING", "LOW")
    assert only(both, libc("1.0", version("2.0"))).compliance == "CRITICAL"


@pytest.mark.parametrize(
    ("filters", "state"),
    [
        ({"PRIORITY": ["Optional"]}, "MISSING"),
        ({"PRIORITY": ["Required", "Important"]}, "INSTALLED_OTHER"),
        ({"PRIORITY": ["Optional"], "SECTION": ["libs"]}, "MISSING"),
        ({"PRIORITY": ["Optional"], "SECTION": ["admin"]}, "INSTALLED_OTHER"),
        ({"PRIORITY": ["*"], "SECTION": ["*"]}, "MISSING"),
        ({"PRODUCT": ["Ubuntu22.04", "Ubuntu24.04"]}, "MISSING"),
        ({"PRODUCT": ["Ubuntu24.04"]}, "INSTALLED_OTHER"),
        ({"CLASSIFICATION": ["Bugfix"]}, "MISSING"),
    ],
)
def test_priority_section_and_product_filter_and_other_keys_are_passed_over(
    filters: dict[str, list[str]], state: str
) -> None:
    assert only(baseline(rule(**filters)), libc("1.0", version("2.0"))).state == state


def test_an_unknown_priority_only_fits_the_wildcard() -> None:
    package = libc("1.0", version("2.0", priority=None))
    assert only(baseline(rule(PRIORITY=["*"])), package).state == "MISSING"
    assert only(PRIORITIES, package).state == "INSTALLED_OTHER"


@pytest.mark.parametrize("on", [UBUNTU, ("DEBIAN", "Debian12"), ("RASPBIAN", "Raspbian11")])
def test_debian_and_raspbian_go_by_the_same_rules(on: tuple[str, str]) -> None:
    body = baseline(rule(PRODUCT=[on[1]]))
    assert only(body, libc("1.0", version("2.0")), on=on).state == "MISSING"


# Lists


@pytest.mark.parametrize(
    "pattern", ["libc6", "LIBC6", "libc*", "libc6.amd64", "libc6-2.0", "2.0", "amd64:2.0", "libc6.amd64:2.0"]
)
def test_a_list_names_packages_and_versions(pattern: str) -> None:
    package = libc("1.0", version("2.0"))
    approved = baseline(ApprovedPatches=[pattern], ApprovedPatchesComplianceLevel="MEDIUM")
    assert (only(approved, package).state, only(approved, package).compliance) == ("MISSING", "MEDIUM")
    assert not only(baseline(rule(), RejectedPatches=[pattern]), package).matched


def test_global_filters_bind_the_approved_list_too() -> None:
    package = libc("1.0", version("2.0"))
    body = baseline(rule(), bound={"PRIORITY": ["Required"]}, ApprovedPatches=["libc6"])
    assert only(body, package).state == "INSTALLED_OTHER"


def test_an_approved_package_needs_a_security_origin_or_the_lists_non_security() -> None:
    package = libc("1.0", version("2.0", security=False))
    assert only(baseline(ApprovedPatches=["libc6"]), package).state == "INSTALLED_OTHER"
    listed = baseline(ApprovedPatches=["libc6"], ApprovedPatchesEnableNonSecurity=True)
    assert only(listed, package).state == "MISSING"


@pytest.mark.parametrize(
    ("action", "state"), [("BLOCK", "INSTALLED_REJECTED"), ("ALLOW_AS_DEPENDENCY", "INSTALLED_OTHER")]
)
def test_a_rejected_package_is_reported_as_such_where_it_is_blocked(action: str, state: str) -> None:
    body = baseline(rule(), ApprovedPatches=["libc6"], RejectedPatches=["libc6"], RejectedPatchesAction=action)
    row = only(body, libc("1.0", version("1.0"), version("2.0")))
    assert (row.state, row.title, row.matched, row.requested) == (state, "libc6.amd64:1.0", False, False)


def test_a_package_whose_newer_version_alone_is_rejected_is_installed() -> None:
    body = baseline(rule(), RejectedPatches=["libc6-2.0"], RejectedPatchesAction="BLOCK")
    assert only(body, libc("1.0", version("1.0"), version("2.0"))).state == "INSTALLED"


# Override lists


@pytest.mark.parametrize(
    ("entry", "target"),
    [
        (Override("libc6", None), "3.0"),
        (Override("libc6.amd64", "libc6.amd64:2.0"), "2.0"),
        (Override("libc*", "*:2*"), "2.0"),
        (Override("libc6", "*9*"), None),
        (Override("libc", None), None),
    ],
)
def test_an_override_list_asks_for_rejected_and_unapproved_versions(entry: Override, target: str | None) -> None:
    body = baseline(RejectedPatches=["libc6"], RejectedPatchesAction="BLOCK")
    package = libc("1.0", version("1.0"), version("2.0"), version("3.0", security=False))
    row = only(body, package, override=[entry])
    assert (row.state, row.requested) == ("INSTALLED_REJECTED", target is not None)
    assert row.target == (None if target is None else Evr(0, target, ""))
