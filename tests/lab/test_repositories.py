"""The lab's repositories: what is available when, and what comes with it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from lab.errors import LabError
from lab.evaluate import Evr, Package, compare
from lab.os_products import PRODUCTS
from lab.package_facts import ADVISORIES
from lab.package_repository import derived
from lab.package_state import PackageState
from lab.releases import DatedNotice
from lab.repositories import Repositories
from lab.ssm.base import service_model

LINUX = [key for key, product in PRODUCTS.items() if product.family != "windows"]
AL2023 = "AmazonLinux2023"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def versions(repositories: Repositories, product: str, key: str, now: datetime) -> list[str]:
    return [f"{v.evr.version}-{v.evr.release}" for v in package(repositories, product, key, now).versions]


def package(repositories: Repositories, product: str, key: str, now: datetime) -> Package:
    view = repositories.view(product, repositories.empty(product), now)
    return next(one for one in view if isinstance(one, Package) and one.key == key)


@pytest.fixture
def repositories() -> Repositories:
    return Repositories.shipped()


def test_every_operating_system_of_the_api_has_a_product() -> None:
    known = set(service_model().shape_for("OperatingSystem").enum)
    assert {product.operating_system for product in PRODUCTS.values()} == known


def test_an_unknown_product_is_refused_with_the_ones_there_are(repositories: Repositories) -> None:
    with pytest.raises(LabError, match=r"no OS product 'BeOS': expected one of .*Ubuntu22\.04"):
        repositories.product("BeOS")


def test_a_version_is_available_from_the_moment_its_notice_was_issued(repositories: Repositories) -> None:
    issued = at("2025-06-12T23:14:00")
    before = versions(repositories, AL2023, "kernel.x86_64", issued - timedelta(seconds=1))
    after = versions(repositories, AL2023, "kernel.x86_64", issued)
    assert after == [*before, "6.1.140-154.222.amzn2023"]


def test_every_real_amazon_advisory_is_there_as_it_was_written(repositories: Repositories) -> None:
    records = json.loads((ADVISORIES / "amazon-linux-2023.json").read_text())
    now = at("2027-01-01")
    seen = {
        (one.name, one.arch, version.evr.version, version.evr.release): version.notice
        for one in repositories.view(AL2023, repositories.empty(AL2023), now)
        for version in one.versions
        if version.notice is not None and version.notice.id.startswith("ALAS")
    }
    described_anew = set()
    for record in records:
        for row in record["packages"]:
            key = (row["name"], row["arch"][0], row["version"], row["release"])
            hidden = record["retroactive"] or row["name"].endswith(("-debuginfo", "-debugsource"))
            if hidden:
                assert key not in seen
            elif seen[key].id != record["id"]:
                described_anew.add((record["id"], seen[key].id))
            else:
                assert seen[key].classification == "Security"
                assert seen[key].severity == record["severity"]
                assert seen[key].updated == at(record["updated"])
                assert seen[key].cves == tuple(record["cve_ids"])
    assert described_anew == {("ALAS2023-2025-1018", "ALAS2023-2025-1050")}


def test_a_notice_reads_as_it_did_at_the_time(repositories: Repositories) -> None:
    """ALAS2023-2025-1037 was issued in June and edited in August."""
    evr = Evr(0, "6.1.141", "155.222.amzn2023")

    def updated(now: str) -> datetime:
        found = package(repositories, AL2023, "kernel.x86_64", at(now)).versions
        [notice] = [version.notice for version in found if version.evr == evr]
        assert notice is not None
        return notice.updated

    assert updated("2025-07-15") == at("2025-06-18T23:17:00")
    assert updated("2025-09-01") == at("2025-08-26T23:16:00")


def test_a_second_notice_for_a_version_replaces_the_first(repositories: Repositories) -> None:
    def notice(now: str) -> tuple[str, str | None]:
        found = package(repositories, AL2023, "kernel.x86_64", at(now)).versions
        [version] = [version for version in found if version.evr.version == "6.1.140" and version.notice]
        assert version.notice is not None
        return version.notice.id, version.notice.severity

    assert notice("2025-06-20") == ("ALAS2023-2025-1018", "Medium")
    assert notice("2025-06-30") == ("ALAS2023-2025-1050", "Important")


def test_a_version_was_built_before_its_notice_was_issued(repositories: Repositories) -> None:
    for key in LINUX:
        if PRODUCTS[key].family == "rpm":
            for one in repositories.view(key, repositories.empty(key), at("2027-01-01")):
                for version in one.versions:
                    assert version.built is not None
                    assert version.notice is None or version.built < version.notice.updated


def test_ubuntu_has_priorities_sections_and_security_origins(repositories: Repositories) -> None:
    now = at("2025-09-15")
    libc = package(repositories, "Ubuntu22.04", "libc6.amd64", now).versions[-1]
    assert (libc.evr.version, libc.priority, libc.section) == ("2.35-0ubuntu3.10", "Optional", "libs")
    assert libc.security_origin
    systemd = package(repositories, "Ubuntu22.04", "systemd.amd64", now).versions[-1]
    assert (systemd.priority, systemd.section) == ("Important", "admin")
    plain = package(repositories, "Ubuntu22.04", "snapd.amd64", now).versions[-1]
    assert not plain.security_origin
    priorities = {
        version.priority
        for one in repositories.view("Ubuntu22.04", repositories.empty("Ubuntu22.04"), now)
        for version in one.versions
    }
    assert priorities == {"Required", "Important", "Standard", "Optional"}


def test_what_needs_ubuntu_pro_is_not_offered(repositories: Repositories) -> None:
    view = repositories.view("Ubuntu22.04", repositories.empty("Ubuntu22.04"), at("2027-01-01"))
    names = {one.name for one in view}
    assert "gss-ntlmssp" not in names
    assert not any("esm" in version.evr.version for one in view for version in one.versions)


def test_centos_has_no_notices(repositories: Repositories) -> None:
    view = repositories.view("CentOS7", repositories.empty("CentOS7"), at("2027-01-01"))
    assert view
    assert all(version.notice is None for one in view for version in one.versions)


@pytest.mark.parametrize("key", [key for key in LINUX if PRODUCTS[key].operating_system not in ("CENTOS", "MACOS")])
def test_every_distribution_has_updates_that_are_about_security_and_some_that_are_not(
    repositories: Repositories, key: str
) -> None:
    view = repositories.view(key, repositories.empty(key), at("2025-09-15"))
    offered = [version for one in view for version in one.versions if version.built != at("2024-01-01")]
    security = [v for v in offered if v.notice and v.notice.classification == "Security" and v.security_origin]
    assert security
    assert len(security) < len(offered)


def test_invented_advisories_cannot_be_taken_for_real_ones() -> None:
    invented = json.loads((ADVISORIES / "synthetic.json").read_text())
    assert all(record["id"] is None or record["id"].startswith("LAB-") for record in invented["updates"])
    assert all(len(record["kb"]) == len("KB") + 9 for record in invented["windows"])
    assert all(record["title"].startswith("Lab: ") for record in invented["windows"])


@pytest.mark.parametrize("key", LINUX)
def test_an_image_has_what_had_been_released_by_its_day(repositories: Repositories, key: str) -> None:
    os = PRODUCTS[key].operating_system
    for day in (at("2025-03-01"), at("2025-07-15"), at("2027-01-01")):
        image = repositories.image(key, day)
        assert len(image) >= 4
        offered = {one.key: one.versions for one in repositories.view(key, repositories.empty(key), day)}
        for name, installed in image.items():
            assert isinstance(installed, Evr)
            assert all(compare(os, installed, version.evr) >= 0 for version in offered[name])


@pytest.mark.parametrize("key", LINUX)
def test_a_derived_version_is_older_than_the_one_it_is_derived_from(repositories: Repositories, key: str) -> None:
    os = PRODUCTS[key].operating_system
    for one in repositories.view(key, repositories.empty(key), at("2027-01-01")):
        for version in one.versions:
            assert compare(os, derived(version.evr), version.evr) < 0


def test_a_derived_version_counts_the_release_down_and_leaves_the_distribution_alone() -> None:
    assert derived(Evr(0, "9.56.1", "7.amzn2023.0.17")).release == "7.amzn2023.0.16"
    assert derived(Evr(0, "5.14.0", "570.21.1.el9_6")).release == "570.21.0.el9_6"
    assert derived(Evr(0, "2.35-0ubuntu3.10", "")).version == "2.35-0ubuntu3.9"
    assert derived(Evr(0, "1.0", "0.amzn2023")).release == "0.amzn2023~"


def test_profiles_differ_in_what_they_add_to_the_base(repositories: Repositories) -> None:
    day = at("2025-05-05")
    base, web = (set(repositories.image(AL2023, day, name)) for name in ("base", "web"))
    assert base < web
    assert "httpd.x86_64" in web - base
    with pytest.raises(LabError, match="no packages profile 'games': expected one of base, "):
        repositories.image(AL2023, day, "games")


def test_a_few_packages_of_an_image_never_get_an_update(repositories: Repositories) -> None:
    image = repositories.image(AL2023, at("2024-06-01"))
    newest = {one.key: one.versions[-1].evr for one in repositories.view(AL2023, image, at("2027-01-01"))}
    assert {name for name, evr in image.items() if newest[name] == evr} >= {"bash.x86_64", "setup.noarch"}


def test_a_view_shows_what_is_installed_and_everything_offered(repositories: Repositories) -> None:
    state = PackageState.of({"kernel.x86_64": Evr(0, "6.1.140", "154.222.amzn2023"), "own.noarch": Evr(0, "1", "1")})
    view = {one.key: one for one in repositories.view(AL2023, state, at("2025-07-01"))}
    assert view["kernel.x86_64"].installed == Evr(0, "6.1.140", "154.222.amzn2023")
    assert view["httpd.x86_64"].installed is None
    assert view["own.noarch"].versions == ()


def test_views_are_made_once_between_two_moments(repositories: Repositories) -> None:
    image = repositories.image(AL2023, at("2025-05-05"))
    moments = repositories.moments(AL2023)
    assert moments == sorted(moments)
    first = next(when for when in moments if when > at("2025-06-02"))
    today = repositories.view(AL2023, image, first)
    assert repositories.view(AL2023, image, first + timedelta(minutes=1)) is today
    following = next(when for when in moments if when > first)
    assert repositories.view(AL2023, image, following) is not today
    assert repositories.view(AL2023, image, following) != today


@pytest.mark.parametrize("key", LINUX)
def test_a_view_only_changes_at_a_moment(repositories: Repositories, key: str) -> None:
    empty = repositories.empty(key)
    for moment in repositories.moments(key):
        if moment > at("2025-01-01"):
            just_before = Repositories.shipped().view(key, empty, moment - timedelta(microseconds=1))
            assert just_before != repositories.view(key, empty, moment)


def test_a_package_needs_the_library_of_its_source_at_its_own_version(repositories: Repositories) -> None:
    needs = repositories.dependencies(AL2023, "python3.x86_64", Evr(0, "3.9.23", "1.amzn2023.0.1"))
    assert needs == (("python3-libs.x86_64", Evr(0, "3.9.23", "1.amzn2023.0.1")),)
    noarch = repositories.dependencies(AL2023, "git.x86_64", Evr(0, "2.50.1", "1.amzn2023.0.1"))
    assert ("perl-Git.noarch", Evr(0, "2.50.1", "1.amzn2023.0.1")) in noarch
    assert repositories.dependencies("Ubuntu22.04", "apache2.amd64", Evr(0, "2.4.52-1ubuntu4.15", ""))[0] == (
        "apache2-bin.amd64",
        Evr(0, "2.4.52-1ubuntu4.15", ""),
    )


def test_a_library_of_another_source_with_the_same_beginning_is_no_dependency(repositories: Repositories) -> None:
    """python3-setuptools is not built with python3, whose python3-libs has another version."""
    setuptools = Evr(0, "59.6.0", "2.amzn2023.0.6")
    assert repositories.dependencies(AL2023, "python3-setuptools.noarch", setuptools) == ()


@pytest.mark.parametrize("key", LINUX)
def test_dependencies_are_packages_that_the_repository_has(repositories: Repositories, key: str) -> None:
    view = repositories.view(key, repositories.empty(key), at("2027-01-01"))
    offered = {(one.key, version.evr) for one in view for version in one.versions}
    for one, evr in offered:
        for needed, at_least in repositories.dependencies(key, one, evr):
            assert needed != one
            assert (needed, at_least) in offered


def test_kernels_and_the_c_library_need_a_reboot_and_most_else_does_not(repositories: Repositories) -> None:
    def needs(product: str, *keys: str) -> list[bool]:
        return [repositories.needs_reboot(product, key) for key in keys]

    assert needs(AL2023, "kernel.x86_64", "glibc.x86_64", "httpd.x86_64") == [True, True, False]
    assert needs("Ubuntu22.04", "linux-image-aws.amd64", "libc6.amd64", "git.amd64") == [True, True, False]
    assert needs("WindowsServer2022", "KB5060526", "KB890830", "KB1") == [True, False, False]


def test_versions_are_compared_as_the_distribution_does(repositories: Repositories) -> None:
    old, new = Evr(0, "1.0~rc1", ""), Evr(0, "1.0", "")
    assert not repositories.satisfies("Ubuntu22.04", old, new)
    assert repositories.satisfies("Ubuntu22.04", new, old)
    assert repositories.satisfies("Ubuntu22.04", old, None)
    offered = package(repositories, AL2023, "kernel.x86_64", at("2025-09-15")).versions
    assert repositories.newest(AL2023, offered[::-1]) == Evr(1, "6.1.148", "173.267.amzn2023")
    assert repositories.newest(AL2023, ()) is None


def test_a_version_can_be_published_for_a_time_to_come(repositories: Repositories) -> None:
    when = at("2025-07-01")
    evr = Evr(1, "7.0.0", "1.amzn2023")
    notice = DatedNotice("LAB-1", when, when, "Security", "Critical", ("CVE-2025-0001",))
    repositories.view(AL2023, repositories.empty(AL2023), when)  # a view that was made before is not in the way
    repositories.add(AL2023, "kernel", "x86_64", evr, when, notice=notice)
    assert repositories.serial == 1
    assert when in repositories.moments(AL2023)
    before, after = (package(repositories, AL2023, "kernel.x86_64", now) for now in (when - timedelta(hours=1), when))
    assert evr not in [version.evr for version in before.versions]
    assert after.versions[-1].evr == evr
    assert after.versions[-1].notice == notice.at(when)
    assert repositories.dependencies(AL2023, "kernel.x86_64", evr) == ()


def test_a_published_package_is_part_of_its_distribution(repositories: Repositories) -> None:
    when = at("2025-07-01")
    repositories.add("Ubuntu22.04", "libnew1", "amd64", Evr(0, "1-1", ""), when, security_origin=False)
    [version] = package(repositories, "Ubuntu22.04", "libnew1.amd64", when).versions
    assert (version.priority, version.section, version.built) == ("Optional", "libs", None)
    assert not version.security_origin


def test_a_published_version_replaces_the_same_version(repositories: Repositories) -> None:
    when = at("2025-07-01")
    evr = Evr(0, "6.1.141", "155.222.amzn2023")
    repositories.add(AL2023, "kernel", "x86_64", evr, when)
    found = package(repositories, AL2023, "kernel.x86_64", when).versions
    assert [version.notice for version in found if version.evr == evr] == [None]


def test_a_withdrawn_version_is_gone_from_then_on_and_stays_where_it_is_installed(repositories: Repositories) -> None:
    evr, when = Evr(0, "6.1.141", "155.222.amzn2023"), at("2025-07-01")
    state = PackageState.of({"kernel.x86_64": evr})
    assert repositories.withdraw(AL2023, "kernel.x86_64", evr, when) == 1
    before = package(repositories, AL2023, "kernel.x86_64", when - timedelta(hours=1))
    assert evr in [version.evr for version in before.versions]
    view = repositories.view(AL2023, state, when)
    [kernel] = [one for one in view if isinstance(one, Package) and one.key == "kernel.x86_64"]
    assert kernel.installed == evr
    assert evr not in [version.evr for version in kernel.versions]


def test_a_package_can_be_withdrawn_whole(repositories: Repositories) -> None:
    when = at("2025-07-01")
    assert repositories.withdraw(AL2023, "kernel.x86_64", None, when) == 3
    view = repositories.view(AL2023, repositories.empty(AL2023), when)
    assert "kernel.x86_64" not in {one.key for one in view if isinstance(one, Package)}
    assert repositories.withdraw(AL2023, "kernel.x86_64", None, when) == 0
    assert repositories.withdraw(AL2023, "no-such.noarch", None, when) == 0


def test_one_lab_s_changes_are_not_another_s(repositories: Repositories) -> None:
    repositories.withdraw(AL2023, "kernel.x86_64", None, at("2025-07-01"))
    assert versions(Repositories.shipped(), AL2023, "kernel.x86_64", at("2025-07-01"))


def test_an_approval_delay_counts_from_a_known_date(repositories: Repositories) -> None:
    """An approval counts from the later of the notice's update, as it read at the time, and the build."""
    for key in (AL2023, "CentOS7"):
        dates = repositories.approval_dates(key)
        for moment in repositories.moments(key):
            for one in repositories.view(key, repositories.empty(key), moment):
                for version in one.versions:
                    assert version.built in dates
                    assert version.notice is None or version.notice.updated in dates


def test_packages_and_updates_are_not_mixed_up(repositories: Repositories) -> None:
    with pytest.raises(LabError, match="add_update"):
        repositories.add("WindowsServer2022", "kernel", "x86_64", Evr(0, "1", "1"), at("2025-07-01"))
