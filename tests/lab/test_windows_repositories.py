"""Windows updates in the lab: what Windows Update offers a node, and when."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from lab.errors import LabError
from lab.evaluate import WindowsPatch
from lab.package_facts import ADVISORIES
from lab.package_state import PackageState
from lab.releases import Update
from lab.repositories import Repositories

SERVERS = ["WindowsServer2016", "WindowsServer2019", "WindowsServer2022", "WindowsServer2025"]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def offered(repositories: Repositories, product: str, state: PackageState, now: datetime) -> dict[str, WindowsPatch]:
    return {one.kb: one for one in repositories.view(product, state, now) if isinstance(one, WindowsPatch)}


@pytest.fixture
def repositories() -> Repositories:
    return Repositories.shipped()


def test_a_cumulative_update_comes_on_the_morning_of_its_day_in_redmond(repositories: Repositories) -> None:
    empty = repositories.empty("WindowsServer2022")
    assert "KB5060526" not in offered(repositories, "WindowsServer2022", empty, at("2025-06-10T16:59:59"))
    update = offered(repositories, "WindowsServer2022", empty, at("2025-06-10T17:00:00"))["KB5060526"]
    assert update == WindowsPatch(
        kb="KB5060526",
        installed=False,
        title="2025-06 Cumulative Update for Microsoft server operating system version 21H2"
        " for x64-based Systems (KB5060526)",
        product="WindowsServer2022",
        product_family="Windows",
        classification="SecurityUpdates",
        msrc_severity=None,  # not known, which is not "Unspecified"
        patch_set="OS",
        released=at("2025-06-10T17:00:00"),
    )


def test_the_latest_of_a_line_takes_the_place_of_those_before(repositories: Repositories) -> None:
    """What Microsoft replaced is not offered any more, approved or not (UG:patch-manager-how-it-works-selection)."""
    empty = repositories.empty("WindowsServer2019")
    july = offered(repositories, "WindowsServer2019", empty, at("2025-07-20"))
    assert "KB5062557" in july
    assert "KB5060531" not in july


def test_an_update_that_is_installed_is_shown_even_when_it_was_replaced(repositories: Repositories) -> None:
    state = PackageState.of({"KB5060531": True})
    july = offered(repositories, "WindowsServer2019", state, at("2025-07-20"))
    assert july["KB5060531"].installed
    assert not july["KB5062557"].installed


def test_updates_without_a_release_date_are_not_offered(repositories: Repositories) -> None:
    unknown = {r["kb"] for r in _records() if r["release_date"] is None and r["cadence"] == "once"}
    assert len(unknown) > 5
    for product in SERVERS:
        assert not unknown & offered_ever(repositories, product)


def offered_ever(repositories: Repositories, product: str) -> set[str]:
    empty = repositories.empty(product)
    months = [at(f"{2025 + n // 12}-{n % 12 + 1:02d}-28") for n in range(15)]
    return {kb for month in months for kb in offered(repositories, product, empty, month)}


def _records() -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads((ADVISORIES / "windows-server.json").read_text())
    return found


def test_every_real_cumulative_update_is_offered_to_its_own_product_alone(repositories: Repositories) -> None:
    for product in SERVERS[:3]:
        name = f"Windows Server {product[-4:]}"
        dated = [r for r in _records() if r["title_class"] == "cumulative_update" and r["release_date"]]
        ever = offered_ever(repositories, product)
        assert {r["kb"] for r in dated if r["product"] == name} <= ever
        assert not {r["kb"] for r in dated if r["product"] != name} & ever


def test_hotpatches_are_not_offered(repositories: Repositories) -> None:
    hotpatches = {r["kb"] for r in _records() if r["title_class"] == "hotpatch"}
    assert hotpatches
    assert not hotpatches & offered_ever(repositories, "WindowsServer2022")


def test_of_net_s_updates_the_parent_is_offered_with_the_versions_that_it_holds(repositories: Repositories) -> None:
    july = offered(repositories, "WindowsServer2019", repositories.empty("WindowsServer2019"), at("2025-07-20"))
    assert july["KB5062152"].title == (
        "2025-07 Cumulative Update for .NET Framework 3.5, 4.7.2 and 4.8 for Windows Server 2019 for x64 (KB5062152)"
    )
    assert not {"KB5062068", "KB5062070"} & july.keys()
    alone = offered(repositories, "WindowsServer2016", repositories.empty("WindowsServer2016"), at("2025-07-20"))
    assert "KB5062064" in alone


def test_the_removal_tool_is_missing_again_with_each_month_s_issue(repositories: Repositories) -> None:
    product, tool = "WindowsServer2022", "KB890830"
    state = repositories.image(product, at("2025-06-15"))
    assert offered(repositories, product, state, at("2025-07-01"))[tool].installed
    july = offered(repositories, product, state, at("2025-07-20"))[tool]
    assert (july.installed, july.released, july.classification) == (False, at("2025-07-08T17:00:00"), "UpdateRollups")
    state = repositories.install(product, state, {tool: None}, at("2025-07-20"))
    assert offered(repositories, product, state, at("2025-07-25"))[tool].installed
    assert not offered(repositories, product, state, at("2025-08-20"))[tool].installed


def test_defender_keeps_itself_up_to_date_under_a_release_date_that_moves_each_day(repositories: Repositories) -> None:
    product, intelligence = "WindowsServer2019", "KB2267602"
    state = repositories.image(product, at("2025-06-15"))
    for day in ("2025-07-01", "2025-07-02"):
        found = offered(repositories, product, state, at(f"{day}T12:00:00"))[intelligence]
        assert (found.installed, found.released, found.classification) == (True, at(day), "DefinitionUpdates")
        assert found.product == "MicrosoftDefenderAntivirus"


def test_an_applications_updates_are_offered_only_where_it_is(repositories: Repositories) -> None:
    day, product = at("2025-09-15"), "WindowsServer2022"

    def applications(profile: str) -> list[str]:
        view = offered(repositories, product, repositories.image(product, at("2025-05-05"), profile), day)
        return [one.product_family for one in view.values() if one.patch_set == "APPLICATION" and not one.installed]

    assert applications("base") == []
    assert applications("db") == ["SQL Server"]


@pytest.mark.parametrize("product", SERVERS)
def test_an_image_lacks_nothing_on_its_own_day(repositories: Repositories, product: str) -> None:
    for day in (at("2025-05-20"), at("2025-09-20")):
        state = repositories.image(product, day)
        view = offered(repositories, product, state, day)
        assert view
        assert all(one.installed for one in view.values())


def test_a_kb_is_installed_without_a_version(repositories: Repositories) -> None:
    state = repositories.install("WindowsServer2022", PackageState.of({}), {"KB5060526": None}, at("2025-06-15"))
    assert state.get("KB5060526") is True
    assert repositories.dependencies("WindowsServer2022", "KB5060526", None) == ()


def test_windows_shows_what_linux_packages_install_as_well(repositories: Repositories) -> None:
    from lab.evaluate import Evr

    evr = Evr(0, "1", "1")
    state = repositories.install("AmazonLinux2023", PackageState.of({}), {"a.noarch": evr}, at("2025-06-15"))
    assert state.get("a.noarch") == evr


def test_an_update_can_be_published_and_takes_the_place_of_its_line(repositories: Repositories) -> None:
    product, now = "WindowsServer2022", at("2025-07-20")
    update = Update(
        kb="KB900000001",
        title="Emergency (KB900000001)",
        product=product,
        product_family="Windows",
        classification="SecurityUpdates",
        msrc_severity="Critical",
        patch_set="OS",
        line="cumulative",
        issues=(now,),
        origin="added",
    )
    repositories.add_update(product, update)
    view = offered(repositories, product, repositories.empty(product), now)
    assert view["KB900000001"].msrc_severity == "Critical"
    assert "KB5062572" not in view
    with pytest.raises(LabError, match="publish a version with add"):
        repositories.add_update("AmazonLinux2023", update)


def test_a_withdrawn_update_gives_its_place_back_and_stays_where_it_is_installed(repositories: Repositories) -> None:
    product, now = "WindowsServer2022", at("2025-07-20")
    assert repositories.withdraw(product, "KB5062572", None, now) == 1
    assert repositories.withdraw(product, "KB5062572", None, now) == 0
    view = offered(repositories, product, repositories.empty(product), now)
    assert "KB5062572" not in view
    assert "KB5060526" in view
    assert offered(repositories, product, PackageState.of({"KB5062572": True}), now)["KB5062572"].installed
    assert "KB5062572" in offered(repositories, product, repositories.empty(product), at("2025-07-19"))


def test_windows_views_only_change_at_a_moment(repositories: Repositories) -> None:
    product = "WindowsServer2019"
    moments = [moment for moment in repositories.moments(product) if at("2025-06-01") < moment < at("2025-07-15")]
    assert len(moments) > 40
    for earlier, later in pairwise(moments):
        middle = earlier + (later - earlier) / 2
        fresh = Repositories.shipped()
        assert fresh.view(product, fresh.empty(product), middle) == repositories.view(
            product, repositories.empty(product), earlier
        )
