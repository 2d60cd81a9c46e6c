"""What holds of every evaluation of packages, and that it agrees with a slow, plain reading of the rules."""

from __future__ import annotations

import copy
import fnmatch
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cmp_to_key
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lab.evaluate import Evr, Notice, Override, Package, Row, Version, compare, evaluate

NOW = datetime(2025, 7, 1, tzinfo=UTC)
LEVELS = ["UNSPECIFIED", "INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL"]
RPM = [("AMAZON_LINUX_2023", "AmazonLinux2023"), ("AMAZON_LINUX_2", "AmazonLinux2"), ("SUSE", "Suse15.5")]
APT = [("UBUNTU", "Ubuntu22.04"), ("DEBIAN", "Debian12")]
NAMES = ["curl", "curl.x86_64", "c*", "openssl", "*-2.0-1.x86_64", "2.*", "ALAS-1", "ALAS-2", "CVE-2025-1", "ALAS-*"]

numbers = st.sampled_from(["1.0~rc1", "1.0", "1.9", "1.10", "2.0"])
evrs = st.builds(Evr, st.sampled_from([0, 0, 1]), numbers, st.just("1"))
times = st.integers(0, 40).map(lambda ago: NOW - timedelta(days=ago))
notices = st.builds(
    Notice,
    id=st.sampled_from(["ALAS-1", "ALAS-2", "ALAS-3"]),
    updated=times,
    classification=st.sampled_from(["Security", "security", "Bugfix", None]),
    severity=st.sampled_from(["Critical", "Low", None]),
    cves=st.sampled_from([(), ("CVE-2025-1",), ("CVE-2025-2", "CVE-2025-1")]),
)
versions = st.builds(
    Version,
    evr=evrs,
    built=st.none() | times,
    notice=st.none() | notices,
    priority=st.sampled_from(["optional", "required", None]),
    section=st.sampled_from(["libs", "admin"]),
    security_origin=st.booleans(),
)
packages = st.lists(
    st.builds(
        Package,
        name=st.sampled_from(["curl", "openssl", "curl-libs"]),
        arch=st.sampled_from(["x86_64", "noarch"]),
        installed=st.none() | evrs,
        versions=st.lists(versions, max_size=5).map(tuple),
    ),
    max_size=4,
    unique_by=lambda package: package.key,
)
overrides = st.lists(
    st.builds(Override, st.sampled_from(["curl", "*", "openssl.noarch"]), st.sampled_from([None, "*2.0*", "*1.*"])),
    max_size=2,
)


def filter_lists(debian: bool) -> st.SearchStrategy[list[dict[str, Any]]]:
    values = {
        "PRODUCT": ["*", "AmazonLinux2023", "AmazonLinux2", "Suse15.5", "Ubuntu22.04"],
        **(
            {"PRIORITY": ["*", "Optional", "Required"], "SECTION": ["*", "libs"]}
            if debian
            else {"CLASSIFICATION": ["*", "Security", "Bugfix"], "SEVERITY": ["*", "Critical", "Low"]}
        ),
    }
    keys = st.lists(st.sampled_from(sorted(values)), max_size=2, unique=True)
    return keys.flatmap(
        lambda chosen: st.tuples(
            *(
                st.lists(st.sampled_from(values[key]), min_size=1, max_size=3).map(
                    lambda found, key=key: {"Key": key, "Values": found}
                )
                for key in chosen
            )
        ).map(list)
    )


def bodies(debian: bool) -> st.SearchStrategy[dict[str, Any]]:
    rules = st.fixed_dictionaries(
        {
            "PatchFilterGroup": st.fixed_dictionaries({"PatchFilters": filter_lists(debian)}),
            "ComplianceLevel": st.sampled_from(LEVELS),
            "EnableNonSecurity": st.booleans(),
        },
        optional={
            "ApproveAfterDays": st.sampled_from([0, 7, 30]),
            "ApproveUntilDate": st.sampled_from(["2025-06-01", "2025-06-20"]),
        },
    )
    return st.fixed_dictionaries(
        {
            "GlobalFilters": st.fixed_dictionaries({"PatchFilters": st.just([]) | filter_lists(debian)}),
            "ApprovalRules": st.fixed_dictionaries({"PatchRules": st.lists(rules, max_size=3)}),
            "ApprovedPatches": st.just([]) | st.lists(st.sampled_from(NAMES), max_size=2),
            "ApprovedPatchesComplianceLevel": st.sampled_from(LEVELS),
            "ApprovedPatchesEnableNonSecurity": st.booleans(),
            "RejectedPatches": st.just([]) | st.lists(st.sampled_from(NAMES), max_size=2),
            "RejectedPatchesAction": st.sampled_from(["BLOCK", "ALLOW_AS_DEPENDENCY"]),
        }
    )


# A case: (os, product), baseline, packages, override list
rpm_cases = st.tuples(st.sampled_from(RPM), bodies(debian=False), packages, st.none() | overrides)
apt_cases = st.tuples(st.sampled_from(APT), bodies(debian=True), packages, st.none() | overrides)
cases = rpm_cases | apt_cases
Case = tuple[tuple[str, str], dict[str, Any], list[Package], list[Override] | None]


def rows(case: Case, **changes: Any) -> dict[str, Row]:
    on, body, found, override = case
    override = changes.get("override", override)
    answer = evaluate(*on, NOW, changes.get("body", body), override, changes.get("packages", found))
    assert len({row.id for row in answer}) == len(answer)
    return {row.id: row for row in answer}


# Properties


@settings(max_examples=100)
@given(cases)
def test_there_is_one_row_for_each_installed_package_and_none_for_what_is_unknown(case: Case) -> None:
    found = rows(case)
    assert {p.key for p in case[2] if p.installed} <= set(found) <= {p.key for p in case[2]}
    for package in case[2]:
        if package.installed is None and package.key in found:
            assert found[package.key].state == "NOT_APPLICABLE"


@settings(max_examples=100)
@given(cases, st.randoms(use_true_random=False))
def test_the_order_of_packages_and_versions_does_not_matter(case: Case, random: Any) -> None:
    shuffled = []
    for package in case[2]:
        known = list(package.versions)
        random.shuffle(known)
        shuffled.append(Package(package.name, package.arch, package.installed, tuple(known)))
    random.shuffle(shuffled)
    assert list(rows(case, packages=shuffled).values()) == list(rows(case).values())


@settings(max_examples=100)
@given(cases)
def test_a_rejected_package_is_never_requested_without_an_override_list(case: Case) -> None:
    body = {**case[1], "RejectedPatches": ["*"]}
    for row in rows(case, body=body, override=None).values():
        assert not row.matched
        assert not row.requested
        assert row.state in {"INSTALLED_OTHER", "INSTALLED_REJECTED"}


@settings(max_examples=100)
@given(rpm_cases, st.integers(1, 30))
def test_a_longer_delay_never_approves_more(case: Case, longer: int) -> None:
    delayed = copy.deepcopy(case[1])
    for each in delayed["ApprovalRules"]["PatchRules"]:
        if "ApproveUntilDate" not in each:
            each["ApproveAfterDays"] = each.get("ApproveAfterDays", 0) + longer
    before = rows(case)
    for key, row in rows(case, body=delayed).items():
        if row.matched:
            assert before[key].matched
            assert LEVELS.index(row.compliance) <= LEVELS.index(before[key].compliance) or row.evr != before[key].evr


@settings(max_examples=100)
@given(apt_cases)
def test_apt_ignores_delays_dates_and_notices(case: Case) -> None:
    undated = copy.deepcopy(case[1])
    for each in undated["ApprovalRules"]["PatchRules"]:
        each.pop("ApproveUntilDate", None)
        each["ApproveAfterDays"] = 360
    bare = [
        Package(
            p.name,
            p.arch,
            p.installed,
            tuple(Version(v.evr, None, None, v.priority, v.section, v.security_origin) for v in p.versions),
        )
        for p in case[2]
    ]
    assert rows(case, body=undated, packages=bare) == rows(case)


@settings(max_examples=100)
@given(cases)
def test_an_override_list_only_changes_what_is_requested(case: Case) -> None:
    def reported(found: dict[str, Row]) -> list[tuple[Any, ...]]:
        return [(r.id, r.title, r.state, r.compliance, r.matched, r.classification, r.cves) for r in found.values()]

    assert reported(rows(case, override=[Override("*", None)])) == reported(rows(case, override=None))
    assert not any(row.requested for row in rows(case, override=[]).values())


@settings(max_examples=100)
@given(cases)
def test_what_is_requested_is_a_known_version_above_the_installed_one(case: Case) -> None:
    known = {package.key: package for package in case[2]}
    for key, row in rows(case).items():
        assert row.requested is (row.target is not None)
        if row.target is not None:
            package = known[key]
            assert package.installed is not None
            assert row.target in {version.evr for version in package.versions}
            assert compare(case[0][0], package.installed, row.target) < 0
    for row in rows(case, override=None).values():
        assert row.requested is (row.state == "MISSING")


# A plain reading of the rules, a package at a time, nothing prepared


@settings(max_examples=400)
@given(cases)
def test_evaluations_agree_with_a_plain_reading_of_the_rules(case: Case) -> None:
    on, body, found, override = case
    expected = {}
    for package in found:
        told = plain_reading(on, body, package, override)
        if told is not None:
            expected[package.key] = told
    assert {
        row.id: (row.title, row.state, row.compliance, row.matched, row.requested) for row in rows(case).values()
    } == expected


def plain_reading(
    on: tuple[str, str], body: dict[str, Any], package: Package, override: list[Override] | None
) -> tuple[str, str, str, bool, bool] | None:
    os, debian, here = on[0], on in APT, package.installed

    def title(evr: Evr) -> str:
        epoch = f"{evr.epoch}:" if evr.epoch or not debian else ""
        return f"{package.name}.{package.arch}:{epoch}{evr.version}-{evr.release}"

    levels = approved(on, body, package)
    if here is None:
        if not levels:
            return None
        best = newest(os, list(levels))
        return title(best), "NOT_APPLICABLE", LEVELS[levels[best]], True, False
    above = [version.evr for version in package.versions if compare(os, version.evr, here) > 0]
    asked = override is not None and any(overridden(debian, package, evr, override) for evr in above)
    if levels:
        best = newest(os, list(levels))
        if best in above:
            return title(best), "MISSING", LEVELS[levels[best]], True, asked or override is None
        return title(here), "INSTALLED", LEVELS[levels[best]], True, asked
    blocks = body["RejectedPatchesAction"] == "BLOCK" or os in {"AMAZON_LINUX_2023", "SUSE"}
    rejected = blocks and named(body["RejectedPatches"], debian, os, package, here)
    shown = newest(os, above) if above and not debian else here
    return title(shown), "INSTALLED_REJECTED" if rejected else "INSTALLED_OTHER", "UNSPECIFIED", False, asked


def newest(os: str, evrs_: list[Evr]) -> Evr:
    return max(evrs_, key=cmp_to_key(lambda a, b: compare(os, a, b)))


def approved(on: tuple[str, str], body: dict[str, Any], package: Package) -> dict[Evr, int]:
    levels: dict[Evr, int] = {}
    for version in looked_at(on, package):
        noticed = any(other.evr == version.evr and other.notice for other in package.versions)
        if on in RPM and version.notice is None and noticed:
            continue
        for level in approving_levels(on, body, package, version):
            levels[version.evr] = max(levels.get(version.evr, 0), LEVELS.index(level))
    return levels


def looked_at(on: tuple[str, str], package: Package) -> Iterator[Version]:
    here = package.installed
    if here is None or (on not in APT and on[0] != "SUSE"):
        yield from package.versions
        return
    yield from (version for version in package.versions if compare(on[0], version.evr, here) >= 0)
    if here not in {version.evr for version in package.versions}:
        yield Version(here, None, None, None, None, security_origin=False)


def approving_levels(on: tuple[str, str], body: dict[str, Any], package: Package, version: Version) -> Iterator[str]:
    os, product = on
    debian, suse, note = on in APT, os == "SUSE", version.notice
    ids = [note.id] if note and suse else []
    if named(body["RejectedPatches"], debian, os, package, version.evr, ids):
        return
    values = {"PRODUCT": product, "PRIORITY": version.priority, "SECTION": version.section}
    if not debian:
        values |= {"CLASSIFICATION": note and note.classification, "SEVERITY": note and note.severity}
    secure = version.security_origin if debian else note is not None or suse
    through = passes(body["GlobalFilters"]["PatchFilters"], values)
    for rule in body["ApprovalRules"]["PatchRules"]:
        fits = through and passes(rule["PatchFilterGroup"]["PatchFilters"], values)
        if fits and (debian or in_time(rule, version, suse)) and (secure or rule["EnableNonSecurity"]):
            yield rule["ComplianceLevel"]
    listed = named(body["ApprovedPatches"], debian, os, package, version.evr, ids)
    if note and not debian and not suse:
        listed = listed or any(entry in body["ApprovedPatches"] for entry in (note.id, *note.cves))
    if listed and (through or not debian) and (secure or body["ApprovedPatchesEnableNonSecurity"]):
        yield body["ApprovedPatchesComplianceLevel"]


def in_time(rule: dict[str, Any], version: Version, suse: bool) -> bool:
    if "ApproveUntilDate" in rule:
        before = datetime.fromisoformat(f"{rule['ApproveUntilDate']}T00:00:00+00:00") + timedelta(days=1)
    else:
        before = NOW - timedelta(days=rule.get("ApproveAfterDays", 0))
    updated = version.notice is None or version.notice.updated < before
    return updated and (suse or version.built is None or version.built < before)


def passes(filters: list[dict[str, Any]], values: dict[str, str | None]) -> bool:
    for each in filters:
        value = values[each["Key"]]
        if "*" not in each["Values"] and (value or "").lower() not in [wanted.lower() for wanted in each["Values"]]:
            return False
    return True


def named(
    patterns: list[str], debian: bool, os: str, package: Package, evr: Evr, more: list[str] | None = None
) -> bool:
    words = [*forms(debian, package, evr), *(more or [])]
    if os == "SUSE":
        words.append(f"{package.name}-{evr.version}-{evr.release}.{package.arch}.rpm")
    return any(fnmatch.fnmatchcase(word.lower(), pattern.lower()) for pattern in patterns for word in words)


def overridden(debian: bool, package: Package, evr: Evr, override: list[Override]) -> bool:
    for entry in override:
        wanted = [entry.id] if entry.title is None else [entry.id, entry.title]
        if all(any(fnmatch.fnmatchcase(form, part) for form in forms(debian, package, evr)) for part in wanted):
            return True
    return False


def forms(debian: bool, package: Package, evr: Evr) -> list[str]:
    n, a, e, v, r = package.name, package.arch, evr.epoch, evr.version, evr.release
    if debian:
        v = f"{e}:{v}-{r}" if e else f"{v}-{r}"
        return [n, v, f"{n}.{a}", f"{n}-{v}", f"{a}:{v}", f"{n}.{a}:{v}"]
    return [
        *(n, f"{n}.{a}", f"{n}-{v}-{r}.{a}", f"{n}-{v}", f"{n}-{v}-{r}", f"{e}:{n}-{v}-{r}.{a}"),
        *(f"{n}-{e}:{v}-{r}.{a}", f"{n}-{e}:{v}-{r}", v, f"{v}-{r}", f"{e}:{v}-{r}", f"{n}.{a}:{e}:{v}-{r}"),
    ]
