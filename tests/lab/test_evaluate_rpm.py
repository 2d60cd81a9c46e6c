"""What yum's, dnf's and zypper's agent would report and ask for."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lab.evaluate import EvaluationError, Evr, Notice, Override, Package, Row, Version, evaluate

NOW = datetime(2025, 7, 1, 12, tzinfo=UTC)
AL2023 = ("AMAZON_LINUX_2023", "AmazonLinux2023")
AL2 = ("AMAZON_LINUX_2", "AmazonLinux2")
SUSE = ("SUSE", "Suse15.5")


def days(count: float) -> timedelta:
    return timedelta(days=count)


def evr(text: str) -> Evr:
    """`1:2.0-3` or, as most often here, `2.0`: release 1."""
    epoch, _, rest = text.rpartition(":")
    version, _, release = rest.partition("-")
    return Evr(int(epoch or 0), version, release or "1")


def notice(
    ago: float = 30,
    classification: str | None = "Security",
    severity: str | None = "Important",
    *,
    id_: str = "ALAS2023-2025-900",
    cves: Sequence[str] = (),
) -> Notice:
    return Notice(id_, NOW - days(ago), classification, severity, tuple(cves))


def version(text: str, note: Notice | None = None, *, built: float | None = 60) -> Version:
    return Version(evr(text), None if built is None else NOW - days(built), note, None, None, security_origin=False)


def bash(installed: str | None, *versions: Version, name: str = "bash") -> Package:
    return Package(name, "x86_64", None if installed is None else evr(installed), versions)


def rule(after: int | None = 7, level: str = "HIGH", *, non_security: bool = False, **filters: Any) -> dict[str, Any]:
    until = filters.pop("until", None)
    dates = {"ApproveAfterDays": after} if until is None else {"ApproveUntilDate": until}
    wanted = [{"Key": key, "Values": values} for key, values in filters.items()]
    return {
        "PatchFilterGroup": {"PatchFilters": wanted},
        "ComplianceLevel": level,
        "EnableNonSecurity": non_security,
        **dates,
    }


def baseline(*rules: dict[str, Any], only: dict[str, list[str]] | None = None, **members: Any) -> dict[str, Any]:
    filters = [{"Key": key, "Values": values} for key, values in (only or {}).items()]
    return {
        "GlobalFilters": {"PatchFilters": filters},
        "ApprovalRules": {"PatchRules": list(rules)},
        **members,
    }


SECURITY = baseline(rule(CLASSIFICATION=["Security"]))


def scan(
    body: dict[str, Any],
    *packages: Package,
    on: tuple[str, str] = AL2023,
    now: datetime = NOW,
    override: Sequence[Override] | None = None,
) -> dict[str, Row]:
    rows = evaluate(*on, now, body, override, packages)
    assert len({row.id for row in rows}) == len(rows)
    return {row.id: row for row in rows}


def only(body: dict[str, Any], package: Package, **settings: Any) -> Row:
    return scan(body, package, **settings)["bash.x86_64"]


# Rows


def test_an_approved_update_is_missing_and_requested_under_the_updates_title() -> None:
    row = only(SECURITY, bash("1.0", version("1.0"), version("1:2.0-3", notice())))
    assert (row.id, row.title, row.state) == ("bash.x86_64", "bash.x86_64:1:2.0-3", "MISSING")
    assert (row.compliance, row.matched, row.requested) == ("HIGH", True, True)
    assert (row.classification, row.severity, row.evr) == ("Security", "Important", evr("1:2.0-3"))
    assert row.target == evr("1:2.0-3")


def test_an_installed_approved_version_is_installed_and_not_requested() -> None:
    row = only(SECURITY, bash("2.0", version("1.0", notice()), version("2.0", notice())))
    assert (row.title, row.state, row.matched, row.requested) == ("bash.x86_64:0:2.0-1", "INSTALLED", True, False)
    assert row.target is None


def test_the_newest_approved_version_counts_not_the_newest() -> None:
    row = only(SECURITY, bash("1.0", version("2.0", notice(30)), version("1.5", notice(40)), version("3.0", notice(1))))
    assert (row.title, row.state) == ("bash.x86_64:0:2.0-1", "MISSING")


def test_an_installed_version_above_every_approved_one_is_installed_under_its_own_title() -> None:
    row = only(SECURITY, bash("3.0", version("2.0", notice()), version("4.0", notice(1))))
    assert (row.title, row.state, row.matched, row.compliance) == ("bash.x86_64:0:3.0-1", "INSTALLED", True, "HIGH")


def test_an_installed_package_without_an_approved_version_is_other_under_the_newest_known_title() -> None:
    row = only(SECURITY, bash("1.0", version("1.0"), version("2.0", notice(1)), version("1.5")))
    assert (row.title, row.state) == ("bash.x86_64:0:2.0-1", "INSTALLED_OTHER")
    assert (row.compliance, row.matched, row.requested) == ("UNSPECIFIED", False, False)


def test_an_installed_version_that_no_repository_has_is_known_all_the_same() -> None:
    assert only(SECURITY, bash("9.0", version("2.0", notice(1)))).title == "bash.x86_64:0:9.0-1"
    assert only(SECURITY, bash("9.0")).state == "INSTALLED_OTHER"


def test_an_approved_package_that_is_not_installed_is_not_applicable() -> None:
    row = only(SECURITY, bash(None, version("1.0", notice()), version("2.0", notice())))
    assert (row.title, row.state) == ("bash.x86_64:0:2.0-1", "NOT_APPLICABLE")
    assert (row.compliance, row.matched, row.requested) == ("HIGH", True, False)


def test_a_package_neither_installed_nor_approved_has_no_row() -> None:
    assert scan(SECURITY, bash(None, version("1.0")), bash(None, name="empty")) == {}


def test_each_architecture_has_its_own_row() -> None:
    rows = scan(SECURITY, bash("1.0"), Package("bash", "i686", evr("1.0"), ()))
    assert list(rows) == ["bash.i686", "bash.x86_64"]


def test_of_several_installed_versions_the_newest_counts() -> None:
    known = (version("1.0", notice()), version("2.0", notice()))
    row = scan(SECURITY, bash("1.0", *known), bash("2.0", *known), bash(None, *known))["bash.x86_64"]
    assert (row.state, row.title) == ("INSTALLED", "bash.x86_64:0:2.0-1")


# Dates


def test_a_delay_counts_from_the_later_of_notice_and_build() -> None:
    body = baseline(rule(7))
    assert only(body, bash("1.0", version("2.0", notice(8), built=60))).state == "MISSING"
    assert only(body, bash("1.0", version("2.0", notice(8), built=6))).state == "INSTALLED_OTHER"
    assert only(body, bash("1.0", version("2.0", notice(6), built=60))).state == "INSTALLED_OTHER"


def test_without_a_notice_the_delay_counts_from_the_build() -> None:
    body = baseline(rule(7, non_security=True))
    assert only(body, bash("1.0", version("2.0", built=8))).state == "MISSING"
    assert only(body, bash("1.0", version("2.0", built=6))).state == "INSTALLED_OTHER"


def test_a_version_without_any_date_is_held_back_by_no_delay() -> None:
    assert only(baseline(rule(360, non_security=True)), bash("1.0", version("2.0", built=None))).state == "MISSING"


def test_a_version_is_approved_strictly_after_the_delay() -> None:
    body = baseline(rule(7))
    package = bash("1.0", version("2.0", notice(7)))
    assert only(body, package).state == "INSTALLED_OTHER"
    assert only(body, package, now=NOW + timedelta(microseconds=1)).state == "MISSING"


def test_a_delay_of_no_days_approves_what_is_out() -> None:
    assert only(baseline(rule(0)), bash("1.0", version("2.0", notice(0.01)))).state == "MISSING"
    assert only(baseline(rule(None)), bash("1.0", version("2.0", notice(0.01)))).state == "MISSING"


@pytest.mark.parametrize(
    ("updated", "state"),
    [
        ("2025-06-15T23:59:59+00:00", "MISSING"),
        ("2025-06-16T00:00:00+00:00", "INSTALLED_OTHER"),
        ("2025-06-16T01:00:00+02:00", "MISSING"),
    ],
)
def test_a_date_approves_until_the_midnight_that_ends_it_in_utc(updated: str, state: str) -> None:
    note = Notice("ALAS-1", datetime.fromisoformat(updated), "Security", None, ())
    assert only(baseline(rule(until="2025-06-15")), bash("1.0", version("2.0", note))).state == state


def test_a_date_in_the_future_approves_what_is_not_out_for_days() -> None:
    assert only(baseline(rule(until="2025-12-31")), bash("1.0", version("2.0", notice(0)))).state == "MISSING"


# Rules


@pytest.mark.parametrize(
    ("filters", "state"),
    [
        ({}, "MISSING"),
        ({"CLASSIFICATION": ["Security"]}, "MISSING"),
        ({"CLASSIFICATION": ["Bugfix", "Security"]}, "MISSING"),
        ({"CLASSIFICATION": ["Bugfix"]}, "INSTALLED_OTHER"),
        ({"CLASSIFICATION": ["*"], "SEVERITY": ["*"], "PRODUCT": ["*"]}, "MISSING"),
        ({"CLASSIFICATION": ["Security"], "SEVERITY": ["Critical"]}, "INSTALLED_OTHER"),
        ({"CLASSIFICATION": ["Security"], "SEVERITY": ["Critical", "Important"]}, "MISSING"),
        ({"PRODUCT": ["AmazonLinux2023"]}, "MISSING"),
        ({"PRODUCT": ["AmazonLinux2", "AmazonLinux2018.03"]}, "INSTALLED_OTHER"),
    ],
)
def test_all_keys_of_a_rule_must_fit_with_one_value_each(filters: dict[str, list[str]], state: str) -> None:
    assert only(baseline(rule(**filters)), bash("1.0", version("2.0", notice()))).state == state


def test_the_case_of_a_notices_words_does_not_matter() -> None:
    body = baseline(rule(CLASSIFICATION=["Security"], SEVERITY=["Important"]))
    assert only(body, bash("1.0", version("2.0", notice(30, "security", "important")))).state == "MISSING"


def test_a_severity_that_a_notice_does_not_give_only_fits_the_wildcard() -> None:
    package = bash("1.0", version("2.0", notice(30, "Bugfix", None)))
    assert only(baseline(rule(SEVERITY=["*"])), package).state == "MISSING"
    assert only(baseline(rule(SEVERITY=["None", "Low"])), package).state == "INSTALLED_OTHER"


def test_global_filters_bind_rules_but_not_the_approved_list() -> None:
    package = bash("1.0", version("2.0", notice()))
    bound = {"SEVERITY": ["Critical"]}
    assert only(baseline(rule(), only=bound), package).state == "INSTALLED_OTHER"
    listed = baseline(rule(), only=bound, ApprovedPatches=["bash"], ApprovedPatchesComplianceLevel="LOW")
    assert (only(listed, package).state, only(listed, package).compliance) == ("MISSING", "LOW")
    assert only(baseline(only=bound, ApprovedPatches=["ALAS2023-2025-900"]), package).state == "MISSING"


def test_the_highest_level_of_what_approves_a_version_is_its_level() -> None:
    package = bash("1.0", version("2.0", notice()))
    rules = (rule(level="LOW"), rule(level="CRITICAL", SEVERITY=["Important"]), rule(level="CRITICAL", after=90))
    assert only(baseline(*rules), package).compliance == "CRITICAL"
    assert only(baseline(rules[0], rules[2]), package).compliance == "LOW"
    listed = {"ApprovedPatches": ["bash"], "ApprovedPatchesComplianceLevel": "MEDIUM"}
    assert only(baseline(rules[0], **listed), package).compliance == "MEDIUM"
    assert only(baseline(rules[1], **listed), package).compliance == "CRITICAL"
    assert only(baseline(ApprovedPatches=["bash"]), package).compliance == "UNSPECIFIED"


LEVELS = ["UNSPECIFIED", "INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL"]


@pytest.mark.parametrize(("lower", "higher"), list(itertools.pairwise(LEVELS)))
def test_levels_are_ordered(lower: str, higher: str) -> None:
    package = bash("1.0", version("2.0", notice()))
    assert only(baseline(rule(level=higher), rule(level=lower)), package).compliance == higher


def test_a_package_without_notice_needs_a_rule_with_non_security() -> None:
    package = bash("1.0", version("2.0"))
    assert only(baseline(rule()), package).state == "INSTALLED_OTHER"
    assert only(baseline(rule(), rule(level="LOW", non_security=True)), package).compliance == "LOW"
    assert only(baseline(rule(CLASSIFICATION=["Security"], non_security=True)), package).state == "INSTALLED_OTHER"


@pytest.mark.parametrize("classification", ["Bugfix", "Enhancement", "Newpackage", None])
def test_a_notice_of_any_kind_counts_as_security(classification: str | None) -> None:
    assert only(baseline(rule()), bash("1.0", version("2.0", notice(30, classification, None)))).state == "MISSING"


def test_centos_without_notices_reports_nothing_missing_unless_non_security_is_on() -> None:
    package, centos = bash("1.0", version("2.0")), ("CENTOS", "CentOS7.9")
    assert only(baseline(rule(CLASSIFICATION=["*"])), package, on=centos).state == "INSTALLED_OTHER"
    assert only(baseline(rule(PRODUCT=["*"], non_security=True)), package, on=centos).state == "MISSING"


@pytest.mark.parametrize(
    "on",
    [
        ("AMAZON_LINUX", "AmazonLinux2018.03"),
        AL2,
        ("AMAZON_LINUX_2022", "AmazonLinux2022"),
        AL2023,
        ("REDHAT_ENTERPRISE_LINUX", "RedhatEnterpriseLinux9.6"),
        ("CENTOS", "CentOS8.2"),
        ("ORACLE_LINUX", "OracleLinux8.10"),
        ("ROCKY_LINUX", "RockyLinux9.6"),
        ("ALMA_LINUX", "AlmaLinux9.6"),
        SUSE,
    ],
)
def test_every_rpm_system_knows_product_classification_and_severity(on: tuple[str, str]) -> None:
    body = baseline(rule(CLASSIFICATION=["Security"], SEVERITY=["Moderate"]), only={"PRODUCT": [on[1]]})
    assert only(body, bash("1.0", version("2.0", notice(30, "Security", "Moderate"))), on=on).state == "MISSING"
    with pytest.raises(EvaluationError, match=r"expected a filter key of .*SEVERITY; found 'PRIORITY'"):
        scan(baseline(rule(PRIORITY=["*"])), on=on)


def test_macos_approves_by_classification_without_any_notion_of_security() -> None:
    body, mac = baseline(rule(CLASSIFICATION=["softwareupdate"])), ("MACOS", "macOS14")
    note = notice(30, "softwareupdate", None)
    assert only(body, bash("1.0", version("2.0", note)), on=mac).state == "MISSING"
    assert only(baseline(rule(PRODUCT=["macOS14"])), bash("1.0", version("2.0")), on=mac).state == "MISSING"


# Approved list


@pytest.mark.parametrize(
    "pattern",
    [
        "bash",
        "BASH",
        "bash.x86_64",
        "bash-2.0",
        "bash-2.0-3",
        "bash-2.0-3.x86_64",
        "bash-1:2.0-3",
        "bash-1:2.0-3.x86_64",
        "1:bash-2.0-3.x86_64",
        "bash.x86_64:1:2.0-3",
        "2.0-3",
        "1:2.0-3",
        "bash-*.x86_64",
        "b?sh",
        "[abc]ash",
        "*:2.0-*",
        "ALAS2023-2025-900",
        "CVE-2025-0002",
    ],
)
def test_an_approved_list_names_packages_versions_advisories_and_cves(pattern: str) -> None:
    package = bash("1.0", version("1:2.0-3", notice(0, cves=["CVE-2025-0001", "CVE-2025-0002"])))
    assert only(baseline(ApprovedPatches=["other", pattern]), package).state == "MISSING"


@pytest.mark.parametrize("pattern", ["bas", "ash", "bash.i686", "bash-3*", "CVE-2025-000", "ALAS2023-2025-*", "bash["])
def test_an_approved_list_names_nothing_else(pattern: str) -> None:
    package = bash("1.0", version("1:2.0-3", notice(0, cves=["CVE-2025-0001"])))
    assert only(baseline(ApprovedPatches=[pattern]), package).state == "INSTALLED_OTHER"


def test_an_approved_version_is_not_held_back_by_a_delay() -> None:
    assert only(baseline(rule(30), ApprovedPatches=["bash"]), bash("1.0", version("2.0", notice(0)))).requested


def test_an_approved_package_without_notice_needs_the_lists_non_security() -> None:
    package = bash("1.0", version("2.0"))
    assert only(baseline(rule(non_security=False), ApprovedPatches=["bash"]), package).state == "INSTALLED_OTHER"
    listed = baseline(ApprovedPatches=["bash"], ApprovedPatchesEnableNonSecurity=True)
    assert only(listed, package).state == "MISSING"


# Rejected list


@pytest.mark.parametrize("pattern", ["bash", "bash.x86_64", "bas*", "BASH", "*"])
def test_a_rejected_package_is_never_approved(pattern: str) -> None:
    package = bash("1.0", version("1.0", notice()), version("2.0", notice()))
    body = baseline(rule(), ApprovedPatches=["bash"], RejectedPatches=[pattern], RejectedPatchesAction="BLOCK")
    row = only(body, package)
    assert (row.state, row.matched, row.requested) == ("INSTALLED_REJECTED", False, False)
    assert row.compliance == "UNSPECIFIED"
    assert scan(body, bash(None, version("1.0", notice()))) == {}


def test_a_rejected_list_does_not_know_advisories() -> None:
    package = bash("1.0", version("2.0", notice(cves=["CVE-2025-0001"])))
    body = baseline(rule(), RejectedPatches=["ALAS2023-2025-900", "CVE-2025-0001"])
    assert only(body, package).state == "MISSING"


def test_a_rejected_version_leaves_the_others_approved() -> None:
    known = (version("1.0", notice()), version("2.0", notice()), version("3.0", notice()))
    row = only(baseline(rule(), RejectedPatches=["bash-3*", "bash-1*"]), bash("1.0", *known))
    assert (row.state, row.title) == ("MISSING", "bash.x86_64:0:2.0-1")


@pytest.mark.parametrize(
    ("on", "action", "state"),
    [
        (AL2, "BLOCK", "INSTALLED_REJECTED"),
        (AL2, "ALLOW_AS_DEPENDENCY", "INSTALLED_OTHER"),
        (AL2, None, "INSTALLED_OTHER"),
        (("REDHAT_ENTERPRISE_LINUX", "RedhatEnterpriseLinux7.9"), None, "INSTALLED_OTHER"),
        (("REDHAT_ENTERPRISE_LINUX", "RedhatEnterpriseLinux8.10"), None, "INSTALLED_REJECTED"),
        (("CENTOS", "CentOS"), None, "INSTALLED_OTHER"),
        (AL2023, "BLOCK", "INSTALLED_REJECTED"),
        (AL2023, "ALLOW_AS_DEPENDENCY", "INSTALLED_REJECTED"),
        (SUSE, None, "INSTALLED_REJECTED"),
    ],
)
def test_yum_only_reports_rejected_packages_that_are_blocked(
    on: tuple[str, str], action: str | None, state: str
) -> None:
    body = baseline(rule(), RejectedPatches=["bash"], RejectedPatchesAction=action)
    assert only(body, bash("1.0", version("2.0", notice())), on=on).state == state


# Notices


def test_a_version_of_several_notices_has_the_highest_level_that_one_of_them_gets() -> None:
    rules = (rule(level="LOW", CLASSIFICATION=["Bugfix"]), rule(level="CRITICAL", CLASSIFICATION=["Security"]))
    known = (version("2.0", notice(30, "Bugfix", None)), version("2.0", notice(20, "Security")))
    for order in (known, known[::-1]):
        row = only(baseline(*rules), bash("1.0", *order))
        assert (row.compliance, row.classification, row.severity) == ("CRITICAL", "Security", "Important")


def test_a_version_that_a_notice_names_is_not_taken_for_one_without() -> None:
    body = baseline(rule(CLASSIFICATION=["Security"]), rule(non_security=True, until="2025-01-01"))
    known = (version("2.0", built=300), version("2.0", notice(3, "Bugfix"), built=300))
    assert only(body, bash("1.0", *known)).state == "INSTALLED_OTHER"


def test_a_missing_row_lists_the_cves_of_every_approved_version_that_it_passes_over() -> None:
    known = (
        version("1.0", notice(cves=["CVE-2025-0001"])),
        version("1.5", notice(cves=["CVE-2025-0003", "CVE-2025-0002"])),
        version("2.0", notice(cves=["CVE-2025-0003"])),
        version("3.0", notice(0, cves=["CVE-2025-0009"])),
    )
    assert only(SECURITY, bash("1.0", *known)).cves == ("CVE-2025-0002", "CVE-2025-0003")
    assert only(SECURITY, bash("2.0", *known)).cves == ()
    assert only(SECURITY, bash(None, *known)).cves == ()


# Override lists


def over(*entries: str | tuple[str, str]) -> list[Override]:
    return [Override(e, None) if isinstance(e, str) else Override(*e) for e in entries]


KNOWN = (version("1.0", notice()), version("2.0", notice()), version("3.0", notice(0)), version("4.0"))


@pytest.mark.parametrize(
    ("entries", "target"),
    [
        (over("bash"), "4.0"),
        (over("bash.x86_64"), "4.0"),
        (over("ba*"), "4.0"),
        (over(("bash", "*3.0*")), "3.0"),
        (over(("bash.x86_64", "bash.x86_64:0:2.0-1")), "2.0"),
        (over(("bash*", "*:0:[23].0-1")), "3.0"),
        (over(("bash", "*5.0*")), None),
        (over(("bash", "*1.0*")), None),
        (over(("zsh", "*2.0*")), None),
        (over("zsh", ("bash", "*5.0*"), ("bash.x86_64", "2.0-1")), "2.0"),
        (over("bash.i686"), None),
        (over("CVE-2025-0001", "ALAS2023-2025-900"), None),
        (over(), None),
    ],
)
def test_an_override_list_asks_for_the_newest_version_that_it_names(
    entries: list[Override], target: str | None
) -> None:
    row = only(SECURITY, bash("1.0", *KNOWN), override=entries)
    assert (row.requested, row.target) == (target is not None, None if target is None else evr(target))


def test_an_override_list_changes_nothing_of_what_is_reported() -> None:
    package = bash("1.0", *KNOWN)
    with_list, without = only(SECURITY, package, override=over("zsh")), only(SECURITY, package)
    assert without.requested
    assert not with_list.requested
    for field in ("title", "state", "compliance", "matched", "classification", "severity", "cves", "evr"):
        assert getattr(with_list, field) == getattr(without, field)


def test_an_override_list_asks_for_what_is_rejected_or_unapproved() -> None:
    body = baseline(RejectedPatches=["bash"], RejectedPatchesAction="BLOCK")
    row = only(body, bash("1.0", *KNOWN), override=over("bash"))
    assert (row.state, row.matched, row.requested) == ("INSTALLED_REJECTED", False, True)
    assert only(baseline(), bash("1.0", *KNOWN), override=over("bash")).requested


def test_an_override_list_neither_downgrades_nor_installs_what_is_absent() -> None:
    assert not only(SECURITY, bash("9.0", *KNOWN), override=over("bash")).requested
    assert not only(SECURITY, bash(None, *KNOWN), override=over("bash")).requested


# SUSE


def test_suse_asks_no_package_for_a_patch_and_dates_only_patches() -> None:
    body = baseline(rule(7, CLASSIFICATION=["*"]))
    assert only(body, bash("1.0", version("2.0", built=0)), on=SUSE).state == "MISSING"
    assert only(body, bash("1.0", version("2.0", notice(8), built=0)), on=SUSE).state == "MISSING"
    assert only(body, bash("1.0", version("2.0", notice(6), built=90)), on=SUSE).state == "INSTALLED"
    assert only(baseline(ApprovedPatches=["bash"]), bash("1.0", version("2.0")), on=SUSE).state == "MISSING"


def test_suse_judges_what_is_installed_and_newer_yum_and_dnf_what_the_repositories_have() -> None:
    outdated = bash("3.0", version("2.0", notice()))
    assert only(SECURITY, outdated, on=SUSE).state == "INSTALLED_OTHER"
    assert {only(SECURITY, outdated, on=on).state for on in (AL2, AL2023)} == {"INSTALLED"}
    everything = baseline(rule(non_security=True))
    row = only(everything, bash("3.0"), on=SUSE)
    assert (row.title, row.state, row.compliance) == ("bash.x86_64:0:3.0-1", "INSTALLED", "HIGH")
    assert {only(everything, bash("3.0"), on=on).state for on in (AL2, AL2023)} == {"INSTALLED_OTHER"}


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("SUSE-SLE-Module-2025-123", True),
        ("SUSE-SLE-*-2025-*", True),
        ("bash-2.0-1.x86_64.rpm", True),
        ("bash-2.0-*.rpm", True),
        ("SUSE-SLE-Module-2025-12", False),
        ("CVE-2025-0001", False),
    ],
)
def test_suse_lists_name_patches_and_files(pattern: str, fits: bool) -> None:
    package = bash("1.0", version("2.0", notice(id_="SUSE-SLE-Module-2025-123", cves=["CVE-2025-0001"])))
    assert only(baseline(ApprovedPatches=[pattern]), package, on=SUSE).matched is fits
    rejected = baseline(rule(CLASSIFICATION=["Security"]), RejectedPatches=[pattern])
    assert only(rejected, package, on=SUSE).matched is not fits
