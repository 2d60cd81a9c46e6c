"""The fleet file: what it may say, and what it says of mistakes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import FleetError
from lab.fleet import FLEETS, Fleet, load_fleet, parse_fleet
from lab.world import AgentState

SMALL = """\
accounts:
  - {id: 111111111111, name: workloads, regions: [eu-west-3, eu-central-1]}
profiles:
  - {name: ManagedNode, policies: [AmazonSSMManagedInstanceCore]}
defaults: {profile: ManagedNode, os: Ubuntu22.04, tags: {Environment: nonprod}}
groups:
  - {name: a, count: 2}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(FleetError) as caught:
        parse_fleet(text, "f.yaml")
    return str(caught.value).splitlines()


def test_what_a_group_does_not_say_the_defaults_say() -> None:
    fleet = parse_fleet(SMALL + "  - {name: b, count: 1, os: Debian12, profile: null, tags: {}}\n")
    a, b = (fleet.complete(group) for group in fleet.groups)
    assert (a.os, a.profile, a.tags) == ("Ubuntu22.04", "ManagedNode", {"Environment": "nonprod"})
    assert (b.os, b.profile, b.tags) == ("Debian12", None, {})


def test_a_group_is_in_every_location_unless_it_says_where() -> None:
    fleet = parse_fleet(SMALL + "  - {name: b, count: 1, locations: [111111111111/eu-central-1]}\n")
    everywhere, one = (fleet.places(fleet.complete(group)) for group in fleet.groups)
    assert everywhere == ["111111111111/eu-west-3", "111111111111/eu-central-1"]
    assert one == ["111111111111/eu-central-1"]


def test_nodes_are_numbered_in_their_tags() -> None:
    fleet = parse_fleet(SMALL + '  - {name: b, count: 12, tags: {Name: "web-{n:03}", Short: "{n}", Plain: "{x}"}}\n')
    assert fleet.groups[1].tags_of(7) == {"Name": "web-007", "Short": "7", "Plain": "{x}"}


def test_an_account_id_needs_no_quotes_and_may_have_them() -> None:
    for written in ("111111111111", '"012345678901"', "012345678901"):
        fleet = parse_fleet(SMALL.replace("111111111111", written))
        assert fleet.accounts[0].id == written.strip('"')


def test_times_and_days_are_read_in_utc() -> None:
    fleet = parse_fleet(
        "start: 2025-04-01T02:00:00+02:00\n" + SMALL.replace("defaults: {", "defaults: {image: 2025-03-01, ")
    )
    assert fleet.start == datetime(2025, 4, 1, tzinfo=UTC)
    assert fleet.complete(fleet.groups[0]).image == date(2025, 3, 1)


def test_rules_and_faults_are_part_of_a_fleet() -> None:
    fleet = parse_fleet(
        SMALL
        + "rules:\n  - {kind: automation, match: Own-*, outcome: Failed}\n"
        + "faults:\n  - {kind: throttle, service: ssm, operation: SendCommand, times: 1}\n"
    )
    assert [rule.match for rule in fleet.rules] == ["Own-*"]
    assert [fault.kind for fault in fleet.faults] == ["throttle"]


def test_every_mistake_is_reported_at_once_with_its_line() -> None:
    found = problems(
        SMALL
        + "  - {name: c, cuont: 2}\n"
        + "  - {name: d, count: zero, os: BeOS}\n"
        + "  - {name: e, count: 1, agent: asleep, scan_seconds: [9, 3]}\n"
        + "  - {name: f, count: 1, tags: {aws:mine: x}, node_faults: {install_failure: 2}}\n"
    )
    assert [int(line.split(":")[1]) for line in found] == [8, 8, 9, 9, 10, 10, 11, 11]
    assert any("groups.1: unknown key 'cuont': did you mean 'count'?" in line for line in found)
    assert any("groups.2.os: expected an OS product (AlmaLinux9, " in line and "found 'BeOS'" in line for line in found)
    assert any("groups.3.agent: expected 'online', 'lost' or 'none', found 'asleep'" in line for line in found)
    assert any("expected seconds as [least, most], both 1 or more, found [9, 3]" in line for line in found)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "count: 2",
            "count: 2, profile: Nobody",
            "7: groups.0.profile: expected one of `profiles` (ManagedNode), found",
        ),
        ("profile: ManagedNode", "profile: Nobody", "5: defaults.profile: expected one of `profiles`"),
        ("count: 2", "count: 2, locations: [111111111111/eu-west-1]", "7: groups.0.locations: expected locations of"),
        ("os: Ubuntu22.04, ", "", "7: groups.0.os: expected an OS product here or in `defaults`, found none"),
        (
            "count: 2",
            "count: 2, image: 2025-07-01",
            "7: groups.0.image: expected a day up to the fleet's start, 2025-06-02",
        ),
        ("count: 2", "count: 2, hybrid: true, state: stopped", "7: groups.0.state: expected a hybrid machine to run"),
        (
            "count: 2}",
            "count: 2}\n  - {name: a, count: 1}",
            "8: groups.1.name: expected each name once, found 'a' again",
        ),
        ("eu-central-1", "eu-nowhere-9", "2: accounts.0.regions.1: expected a Region (af-south-1, "),
        ("111111111111", "1111", "2: accounts.0.id: expected"),
        (
            "AmazonSSMManagedInstanceCore",
            "AmazonSSMManagedInstanceCor",
            "4: profiles.0.policies.0: expected a managed policy",
        ),
        (
            "[AmazonSSMManagedInstanceCore]",
            "[], statements: [{Effect: Allow, Action: s3:GetObject}]",
            "4: profiles.0.statements: expected statements of an IAM policy: policy of its own: expected Resource or",
        ),
        ("groups:", "groups: []\nold:", "6: groups: expected"),
        ("count: 2", "count: 0", "7: groups.0.count: expected greater than or equal to 1, found 0"),
        ("count: 2", "count: 2, count: 3", "7: expected each key once, found 'count' again"),
    ],
)
def test_a_mistake_is_named_where_it_was_made(old: str, new: str, says: str) -> None:
    assert problems(SMALL.replace(old, new, 1))[0].startswith(f"f.yaml:{says}")


def test_a_mistake_in_the_defaults_is_reported_once() -> None:
    text = SMALL.replace("profile: ManagedNode", "profile: Nobody", 1) + "  - {name: b, count: 1}\n"
    assert len(problems(text)) == 1


def test_a_fleet_is_loaded_by_name_or_from_a_file(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(SMALL)
    assert load_fleet(own) == load_fleet(str(own)) == parse_fleet(SMALL)
    assert load_fleet("demo").accounts[0].id == "111111111111"


def test_a_mistake_in_a_file_is_reported_with_its_path(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("accounts: 3\n")
    with pytest.raises(FleetError) as caught:
        load_fleet(own)
    assert f"{own}:1: accounts: expected a list, found 3" in str(caught.value)


def test_a_fleet_that_is_not_there_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    for missing in ("demmo", str(tmp_path), "../fleets/none"):
        with pytest.raises(FleetError, match="expected a YAML file or one of demo, huge, large"):
            load_fleet(missing)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FleetError, match="cannot read a fleet"):
        load_fleet(own)


LINES = (FLEETS / "demo.yaml").read_text().splitlines()


@given(
    st.lists(st.tuples(st.integers(0, len(LINES) - 1), st.sampled_from(["drop", "twice", "half", "indent", "null"])))
)
@settings(max_examples=60, deadline=None)
def test_a_damaged_file_is_read_or_refused_and_never_crashes(damages: list[tuple[int, str]]) -> None:
    lines = list(LINES)
    for number, damage in damages:
        line = lines[number]
        lines[number] = {
            "drop": "",
            "twice": f"{line}\n{line}",
            "half": line[: len(line) // 2],
            "indent": f"  {line}",
            "null": line.partition(":")[0] + ":",
        }[damage]
    said = "<fleet>:"
    try:
        parse_fleet("\n".join(lines))
    except FleetError as error:
        said = str(error)
    assert said.startswith("<fleet>:")


def nodes(fleet: Fleet, **wanted: object) -> int:
    return sum(
        group.count * len(fleet.places(group))
        for group in map(fleet.complete, fleet.groups)
        if all(getattr(group, key) == value for key, value in wanted.items())
    )


def test_the_demo_has_every_kind_of_node_that_the_product_must_cope_with() -> None:
    fleet = load_fleet("demo")
    groups = [fleet.complete(group) for group in fleet.groups]
    assert 55 <= nodes(fleet) <= 65
    assert [len(account.regions) for account in fleet.accounts] == [2, 2]
    assert fleet.locations()[0] == "111111111111/eu-west-3"
    for os in ("AmazonLinux2023", "Ubuntu22.04", "Ubuntu24.04", "WindowsServer2019", "WindowsServer2022"):
        assert nodes(fleet, os=os) >= 4
    for os in ("RedhatEnterpriseLinux9", "CentOS7", "Debian12", "Suse15.5"):
        assert 1 <= nodes(fleet, os=os) <= 2
    assert nodes(fleet, state="stopped") == 2
    assert nodes(fleet, agent=AgentState.LOST) == 2
    assert nodes(fleet, agent=AgentState.NONE) == 1
    assert nodes(fleet, tags={}) == 1
    assert nodes(fleet, hybrid=True) == 1
    assert [p.name for p in fleet.profiles if "AmazonEC2RoleforSSM" in p.policies] == ["LegacyManagedNode"]
    assert nodes(fleet, profile="LegacyManagedNode") == 1
    assert {group.tags.get("Patch Group") for group in groups} == {
        "nonprod-linux", "prod-linux", "nonprod-windows", "prod-windows", "legacy-apps", None
    }  # fmt: skip


def test_the_demo_has_production_kinds_with_and_without_a_twin() -> None:
    fleet = load_fleet("demo")
    kinds: dict[str, set[tuple[str, str]]] = {"prod": set(), "nonprod": set()}
    for group in map(fleet.complete, fleet.groups):
        if "Role" in group.tags:
            kinds[group.tags["Environment"]].add((group.os, group.tags["Role"]))
    assert len(kinds["prod"] & kinds["nonprod"]) >= 5
    assert {role for _, role in kinds["prod"] - kinds["nonprod"]} >= {"worker", "archive", "ledger"}


def test_the_large_fleet_has_ten_thousand_nodes() -> None:
    assert nodes(load_fleet("large")) == 10_000


def test_the_huge_fleet_has_fifty_thousand_nodes_in_one_place_with_one_tag() -> None:
    fleet = load_fleet("huge")
    assert nodes(fleet) == 50_000
    assert fleet.locations() == ["111111111111/eu-west-3"]
    assert all(group.tags["Fleet"] == "huge" and "Name" in group.tags for group in fleet.groups)


def test_every_shipped_fleet_is_tested_here() -> None:
    assert {file.stem for file in FLEETS.iterdir()} == {"demo", "large", "huge"}
