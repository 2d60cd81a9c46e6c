"""The policies that come with the product: what the specification promises of them, value by value."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from lab.fleet import load_fleet
from lab.os_products import PRODUCTS
from sluice import files
from sluice.cli import schema
from sluice.core.policy.lint import lint
from sluice.core.policy.load import load_policy
from sluice.core.policy.policy import Policy
from sluice.core.policy.rings import SEVERITIES
from sluice.core.policy.windows import Window
from sluice.core.yaml_text import read

DEFAULT = files.SHIPPED / files.DEFAULT
DEMO = files.SHIPPED / files.DEMO
INSTALLS = ["install-nonprod", "install-prod-linux", "install-prod-windows"]
PROD = INSTALLS[1:]


def policy(file: Path) -> Policy:
    return load_policy([(file.name, file.read_text("utf-8"))], {}).policy


@pytest.fixture(scope="module")
def default() -> Policy:
    return policy(DEFAULT)


@pytest.fixture(scope="module")
def demo() -> Policy:
    return policy(DEMO)


def window(found: Policy, name: str) -> Window:
    return {window.name: window for window in found.windows}[name]


def production(found: Policy) -> set[str]:
    rings = {ring.name for ring in found.rings if ring.production}
    return {name for group in found.patch_groups if group.ring in rings for name in group.baselines}


def test_default_has_the_four_windows_at_their_times_in_utc(default: Policy) -> None:
    assert {found.name: (found.operation, found.schedule) for found in default.windows} == {
        "scan-daily": ("scan", "cron(0 1 * * ? *)"),
        "install-nonprod": ("install", "cron(0 3 ? * MON-FRI *)"),
        "install-prod-linux": ("install", "cron(0 3 ? * MON *)"),
        "install-prod-windows": ("install", "cron(0 3 ? * WED *)"),
    }
    assert {found.time_zone for found in default.windows} == {"UTC"}


def test_default_scans_for_two_hours_and_installs_for_four_with_a_cutoff_of_one(default: Policy) -> None:
    assert window(default, "scan-daily").duration_hours == 2
    assert {window(default, name).duration_hours for name in INSTALLS} == {4}
    assert {found.cutoff_hours for found in default.windows} == {1}


def test_default_patches_a_tenth_at_once_and_stops_at_five_percent_of_errors(default: Policy) -> None:
    assert {(found.concurrency, found.errors) for found in default.windows} == {("10%", "5%")}


def test_default_approves_security_patches_only(default: Policy) -> None:
    for baseline in default.baselines:
        for rule in baseline.rules:
            security = {"WINDOWS": ("SecurityUpdates",), "UBUNTU": ()}.get(baseline.os, ("Security",))
            assert rule.classification == security
            assert not rule.non_security  # on apt this is what makes it security
        assert baseline.approved.patches == ()
        assert baseline.rejected.patches == ()


def test_default_delays_seven_days_in_production_and_none_before_where_the_os_has_dates(default: Policy) -> None:
    prod = production(default)
    assert prod
    assert prod != {baseline.name for baseline in default.baselines}
    for baseline in default.baselines:
        days = 7 if baseline.name in prod else 0
        assert {rule.approve_after_days for rule in baseline.rules} == {days if baseline.system.has_delay else None}


def test_default_soaks_seven_days_whatever_the_severity(default: Policy) -> None:
    assert [ring.name for ring in default.rings] == ["nonprod", "prod"]
    assert [ring.production for ring in default.rings] == [False, True]
    soak = default.rings[1].soak
    assert soak is not None
    assert {soak.for_severity(severity) for severity in SEVERITIES} == {7}


def test_default_never_reboots_and_says_so_in_every_window(default: Policy) -> None:
    assert {found.reboot.when for found in default.windows} == {"never"}
    assert all("reboot" in found.model_fields_set for found in default.windows)


def test_default_backs_up_production_and_nothing_else(default: Policy) -> None:
    assert window(default, "install-nonprod").backup.mode == "off"
    assert {window(default, name).backup.mode for name in PROD} == {"on"}


def test_default_takes_production_in_waves_of_a_canary_a_quarter_and_the_rest(default: Policy) -> None:
    for name in PROD:
        assert window(default, name).waves.canary == 1
        assert window(default, name).waves.shares == (25,)


def test_default_is_for_the_callers_own_account_and_region(default: Policy) -> None:
    assert [location.key for location in default.locations] == ["caller/caller"]


def test_default_lets_a_person_approve_the_first_four_releases_of_a_window(default: Policy) -> None:
    assert (default.gate.approval.needed, default.gate.approval.first) == ("first", 4)
    assert {found.gate for found in default.windows} == {None}


def test_default_leaves_awss_config_rule_off_and_releases(default: Policy) -> None:
    assert not default.extras.config_rule
    assert default.mode == "release"


def test_defaults_windows_reach_each_patch_group_of_their_ring(default: Policy) -> None:
    rings = {group.name: group.ring for group in default.patch_groups}
    assert window(default, "scan-daily").patch_groups == "all"
    assert window(default, "install-nonprod").patch_groups == tuple(
        name for name, ring in rings.items() if ring == "nonprod"
    )
    reached = [name for prod in PROD for name in window(default, prod).patch_groups]
    assert reached == [name for name, ring in rings.items() if ring == "prod"]


def uncommented(text: str, first: str) -> str:
    """The text with the commented example that starts with a line taken in."""
    lines = text.splitlines(keepends=True)
    [start] = [number for number, line in enumerate(lines) if line.strip() == f"# {first}"]
    indent = lines[start].index("#")
    for number in range(start, len(lines)):
        if number > start and not lines[number].startswith(" " * indent + "#   "):
            break
        lines[number] = lines[number][:indent] + lines[number][indent + 2 :]
    return "".join(lines)


def test_the_faster_critical_rule_stands_there_as_a_comment_that_only_needs_to_be_taken_in() -> None:
    text = uncommented(DEFAULT.read_text("utf-8"), "- classification: Security")
    [comment] = [line for line in text.splitlines() if line.strip().startswith("# critical: {days: 3")]
    text = text.replace(comment, comment.replace("# ", "", 1))
    found = load_policy([("default.yaml", text)], {}).policy
    soak = found.rings[1].soak
    assert soak is not None
    assert (soak.for_severity("critical"), soak.for_severity("important")) == (3, 7)
    faster = {baseline.name: baseline.rules for baseline in found.baselines}["prod-amazon-linux-2023"][1]
    assert (faster.severity, faster.approve_after_days) == (("Critical",), 3)
    assert faster.agreed_by
    assert faster.agreed_on
    assert faster.because


@pytest.mark.parametrize(
    "first",
    ["evidence: {bucket: your-evidence-bucket}", "notify:", "exceptions:", "freezes:", "change_ticket: CHG[0-9]{7}"],
)
def test_every_other_example_in_the_comments_can_be_taken_in_as_it_is(first: str) -> None:
    text = uncommented(DEFAULT.read_text("utf-8"), first)
    assert load_policy([("default.yaml", text)], {}).policy != policy(DEFAULT)


def test_the_example_of_a_window_of_ones_own_works_once_its_patch_group_is_there() -> None:
    text = uncommented(DEFAULT.read_text("utf-8"), "- name: install-prod-erp")
    group = "patch_groups:\n  - {name: prod-erp, ring: prod, baselines: prod-windows, products: WINDOWS Server 2022}\n"
    found = load_policy([("default.yaml", text), ("erp.yaml", group)], {}).policy
    assert window(found, "install-prod-erp").replaces == ("install-prod-windows",)
    assert window(found, "install-prod-erp").reboot.when == "if_needed"


def test_demo_is_for_the_accounts_and_regions_of_the_labs_demo_fleet(demo: Policy) -> None:
    fleet = load_fleet("demo")
    regions = {f"{account.id}/{region}" for account in fleet.accounts for region in account.regions}
    assert {location.key for location in demo.locations} == regions


def test_demo_knows_every_patch_group_and_operating_system_of_the_fleet_but_the_orphan(demo: Policy) -> None:
    fleet = {
        (group.tags["Patch Group"], operating_system(group.os)) for group in load_fleet("demo").groups if group.tags
    }
    known = {(group.name, product.split(" ")[0]) for group in demo.patch_groups for product in group.products}
    assert fleet - known == {("legacy-apps", "UBUNTU")}
    assert known <= fleet


def operating_system(key: str) -> str:
    return PRODUCTS[key].operating_system


def test_demo_lets_non_production_reboot_where_needed_in_waves_and_production_never(demo: Policy) -> None:
    nonprod = window(demo, "install-nonprod").reboot
    assert (nonprod.when, nonprod.how) == ("if_needed", "waves")
    assert {window(demo, name).reboot.when for name in PROD} == {"never"}


def test_demo_is_otherwise_timed_and_soaked_as_the_default_is(demo: Policy, default: Policy) -> None:
    for found in default.windows:
        twin = window(demo, found.name)
        assert (twin.schedule, twin.time_zone, twin.duration_hours) == (found.schedule, "UTC", found.duration_hours)
        assert (twin.waves, twin.concurrency) == (found.waves, found.concurrency)
        required = {"mode": "required"} if found.name == "install-prod-linux" else {}
        assert twin.backup == found.backup.model_copy(update=required)
    assert demo.rings[1].soak == default.rings[1].soak


@pytest.mark.parametrize("file", [DEFAULT, DEMO])
def test_shipped_policies_are_valid_in_editors_which_their_first_line_tells_the_schema(file: Path) -> None:
    text = file.read_text("utf-8")
    assert text.startswith(f"# yaml-language-server: $schema={schema.FILE.name}\n")
    Draft202012Validator(json.loads(schema.FILE.read_text("utf-8"))).validate(read(text).data)


def test_the_checked_in_schema_is_what_the_models_say() -> None:
    assert schema.FILE.read_text("utf-8") == schema.text(), "run: python -m sluice schema --write"


def test_the_schema_is_a_schema_and_explains_its_keys() -> None:
    found = json.loads(schema.text())
    Draft202012Validator.check_schema(found)
    assert found["properties"]["mode"]["description"].startswith("observe: ")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mode: release", "mode: releese"),
        ("reboot: never", "reboot: nevr"),
        ("cutoff_hours: 1", "cutof_hours: 1"),
        ("concurrency: 10%", "concurrency: ten"),
        ("backup: off", "backup: none"),
        ("first: 4", "first: 0"),
    ],
)
def test_editors_mark_a_slip_of_the_pen(old: str, new: str) -> None:
    text = DEFAULT.read_text("utf-8").replace(old, new)
    assert not Draft202012Validator(json.loads(schema.text())).is_valid(read(text).data)


def test_editors_accept_variables_where_loading_does() -> None:
    text = DEFAULT.read_text("utf-8").replace("account: caller", 'account: "${env:ACCOUNT}"')
    Draft202012Validator(json.loads(schema.text())).validate(read(text).data)
    marked = text.replace("mode: release", "mode: ${env:MODE}")
    assert not Draft202012Validator(json.loads(schema.text())).is_valid(read(marked).data)


@pytest.mark.parametrize(
    ("file", "questions"),
    [
        (
            DEFAULT,
            [
                "P179 windows.install-prod-windows.schedule",  # Patch Tuesday's updates take a fortnight
                "P184 windows.install-nonprod.reboot",  # never in any window: reboot debt, to be decided on
                "P207 gate.approval",  # who approves is for Airflow's roles, unless names are given
                "P226 notify",
                "P229 evidence",  # only its owner knows the bucket
            ],
        ),
        (
            DEMO,
            [
                "P165 patch_groups.prod-linux.products.5",  # SUSE and CentOS are in production alone, on purpose
                "P165 patch_groups.prod-linux.products.6",
                "P179 windows.install-prod-windows.schedule",
                "P207 gate.approval",
                "P226 notify",
            ],
        ),
    ],
)
def test_shipped_policies_raise_exactly_these_questions_and_no_error(file: Path, questions: list[str]) -> None:
    found = lint(load_policy([(file.name, file.read_text("utf-8"))], {}), date(2026, 3, 2))
    assert [finding for finding in found if finding.kind == "error"] == []
    assert sorted(f"{finding.code} {finding.message.partition(':')[0]}" for finding in found) == questions
