"""From texts to a policy: joined, with the place of everything, and every problem at once."""

from __future__ import annotations

import pytest

from sluice.core.errors import Place, PolicyError
from sluice.core.policy.load import Loaded, load_policy

POLICY = """\
version: 1
mode: release
locations:
  - {account: 111111111111, region: eu-west-3}
rings:
  - name: nonprod
  - name: prod
    production: true
    soak: 7
baselines:
  - name: amazon
    os: AMAZON_LINUX_2023
patch_groups:
  - name: web-nonprod
    ring: nonprod
    baselines: amazon
    products: AMAZON_LINUX_2023
  - name: web-prod
    ring: prod
    baselines: [amazon]
    products: [AMAZON_LINUX_2023]
windows:
  - name: install-nonprod
    operation: install
    schedule: cron(0 3 ? * MON-FRI *)
    duration_hours: 4
    patch_groups: web-nonprod
  - name: install-prod
    operation: install
    schedule: cron(0 3 ? * MON *)
    duration_hours: 4
    patch_groups: web-prod
"""


def load(*texts: str, **environment: str) -> Loaded:
    names = ["policy.yaml", "second.yaml", "third.yaml"]
    return load_policy(list(zip(names, texts, strict=False)), environment)


def refused(*texts: str, **environment: str) -> list[str]:
    """`file:line code message` of all problems."""
    with pytest.raises(PolicyError) as caught:
        load(*texts, **environment)
    return [f"{found.place} {found.code} {found.message}" for found in caught.value.problems]


def changed(old: str, new: str) -> str:
    assert POLICY.count(old) == 1, old
    return POLICY.replace(old, new)


def line_of(text: str, needle: str) -> int:
    [line] = [number for number, content in enumerate(text.splitlines(), start=1) if needle in content]
    return line


def test_a_policy_is_read_and_everything_in_it_has_its_line() -> None:
    loaded = load(POLICY)
    assert [window.name for window in loaded.policy.windows] == ["install-nonprod", "install-prod"]
    assert loaded.sources.place(("windows", 1, "schedule")) == Place("policy.yaml", line_of(POLICY, "* MON *"))
    assert loaded.sources.place(("mode",)) == Place("policy.yaml", 2)


def test_what_is_not_written_is_where_it_would_stand() -> None:
    sources = load(POLICY).sources
    assert sources.place(("windows", 0, "waves", "canary")) == Place(
        "policy.yaml", line_of(POLICY, "name: install-non")
    )
    assert sources.place(("gate", "approval")) == Place("policy.yaml", 1)
    assert sources.place(()) == Place("policy.yaml", 1)


def test_parts_are_called_by_their_name() -> None:
    assert load(POLICY).sources.where(("windows", 1, "waves", "shares", 0)) == "windows.install-prod.waves.shares.0"


@pytest.mark.parametrize("name", ["a\\nb", "\\e[31mred", "x" * 300])
def test_a_name_cannot_disturb_what_is_printed_of_it(name: str) -> None:
    [found] = [one for one in refused(changed("name: web-prod", f'name: "{name}"\n    rnig: x')) if " P004 " in one]
    assert found.isprintable()
    assert len(found) < 200


SECOND = """\
windows:
  - name: scan-daily
    operation: scan
    schedule: cron(0 1 * * ? *)
    duration_hours: 2
gate: {success_percent: 90}
"""


def test_lists_of_several_files_are_joined_and_other_keys_stand_in_any_of_them() -> None:
    loaded = load(POLICY, SECOND)
    assert [window.name for window in loaded.policy.windows] == ["install-nonprod", "install-prod", "scan-daily"]
    assert loaded.policy.gate.success_percent == 90
    assert loaded.sources.files == ("policy.yaml", "second.yaml")


def test_each_part_is_found_in_its_own_file() -> None:
    sources = load(POLICY, SECOND).sources
    assert sources.place(("windows", 2, "schedule")) == Place("second.yaml", 4)
    assert sources.place(("windows", 0, "name")) == Place("policy.yaml", line_of(POLICY, "name: install-nonprod"))
    assert sources.place(("gate", "success_percent")) == Place("second.yaml", 6)


def test_a_key_that_is_no_list_is_given_in_one_file_only() -> None:
    assert refused(POLICY, "windows: []\nmode: observe\n") == [
        "second.yaml:2 P003 mode: expected this once, found it again after policy.yaml:2: keep one"
    ]


def test_rings_stand_in_one_file_since_their_order_is_their_meaning() -> None:
    [found] = refused(POLICY, "rings: [{name: dev}]\n")
    assert found.startswith("second.yaml:1 P003 rings: ")


def test_a_list_in_one_file_and_something_else_in_another_is_refused() -> None:
    [found] = refused(POLICY, "windows: none\n")
    assert found.startswith("second.yaml:1 P006 windows: expected a list in each file that has it")


def test_problems_of_all_files_come_at_once_each_with_its_file() -> None:
    found = refused(changed("mode: release", "mode: relaese"), SECOND.replace("scan\n", "look\n"))
    assert [line.split(" ")[:2] for line in found] == [["policy.yaml:2", "P006"], ["second.yaml:3", "P006"]]
    assert "windows.scan-daily.operation: expected 'scan' or 'install', found 'look'" in found[1]


def test_files_that_are_no_yaml_are_all_named() -> None:
    found = refused("version: [", "- a\n", "version: 1\nversion: 1\n")
    assert [line.split(" ")[:2] for line in found] == [
        ["policy.yaml:1", "P001"],
        ["second.yaml:1", "P002"],
        ["third.yaml:2", "P001"],
    ]


def test_no_text_at_all_is_refused() -> None:
    [found] = refused()
    assert "P001 expected a policy, found no text" in found


def test_more_text_than_a_person_writes_is_refused_before_it_is_read() -> None:
    half = "# " + "x" * 300_000 + "\n"
    [found] = refused(POLICY + half, half)
    assert "P001 expected at most 500,000 characters in all files together" in found


WRONG = [
    # old, new, code, what stands on the line that is named, a part of the message
    ("mode: release", "mode: realease", "P006", "mode:", "expected 'observe' or 'release', found 'realease'"),
    ("mode: release", "mod: release", "P004", "mod:", "unknown key 'mod': did you mean 'mode'?"),
    ("mode: release\n", "", "P005", "version: 1", "mode: expected this key, found none: add it"),
    ("version: 1", "version: 2", "P006", "version: 2", "version: expected 1, found 2"),
    ("version: 1", "version: '1'", "P006", "version: '1'", "version: expected 1, found '1'"),
    ("duration_hours: 4\n    patch_groups: web-nonprod", "duration_hours: 25", "P006", "duration_hours: 25", "25"),
    ("duration_hours: 4\n    patch_groups: web-nonprod", "duration_hours: a", "P006", "duration_hours: a", "a whole"),
    ("cron(0 3 ? * MON *)", "cron(0 3 * * MON *)", "P006", "(0 3 * * MON *)", "windows.install-prod.schedule"),
    ("cron(0 3 ? * MON *)", "every monday", "P006", "every monday", "Schedule expressions must have"),
    ("    patch_groups: web-prod", "    time_zone: Europe/Pari", "P006", "time_zone", "Europe/Pari is a malformed"),
    ("    patch_groups: web-prod", "    concurrency: 0", "P006", "concurrency", "expected a number of nodes or a perc"),
    ("    patch_groups: web-prod", "    concurrency: 101%", "P006", "concurrency", "found '101%'"),
    ("    patch_groups: web-prod", "    errors: -1", "P006", "errors", "expected a number of errors or a percentage"),
    (
        "    patch_groups: web-prod",
        "    patch_groups: []",
        "P006",
        "patch_groups: []",
        "expected a list of at least 1, found a list of 0",
    ),
    ("    patch_groups: web-prod", "    reboot: sometimes", "P006", "sometimes", "'never', 'if_needed' or 'always'"),
    ("    patch_groups: web-prod", "    reboot: {when: never, hwo: x}", "P004", "hwo", "did you mean 'how'?"),
    ("    patch_groups: web-prod", "    waves: at_once", "P006", "at_once", "expected all_at_once, or canary"),
    (
        "    patch_groups: web-prod",
        "    waves: {shares: [60, 60]}",
        "P007",
        "waves",
        "at most 100 percent, found 60, 60",
    ),
    ("    patch_groups: web-prod", "    waves: {shares: [0]}", "P007", "waves", "expected shares above 0"),
    ("    patch_groups: web-prod", "    waves: {shares: [lots]}", "P006", "waves", "expected a number, found 'lots'"),
    ("    patch_groups: web-prod", "    backup: maybe", "P006", "maybe", "expected 'off', 'on' or 'required'"),
    (
        "    patch_groups: web-prod",
        "    reboot: {when: always, how: inline}",
        "P007",
        "reboot",
        "expected how: waves with when: always, found inline",
    ),
    (
        "  - name: install-prod",
        f"  - name: {'a' * 65}",
        "P006",
        "aaa",
        "expected at most 64 characters, found 'aaa",
    ),
    ("    patch_groups: web-prod", "    trigger: native", "P007", "install-prod", "expected trigger: airflow"),
    (
        "    patch_groups: web-prod",
        "    before: [{document: A, function: b}]",
        "P007",
        "before",
        "found document, func",
    ),
    ("    patch_groups: web-prod", "    before: [{timeout_minutes: 5}]", "P007", "before", "found none"),
    ("    patch_groups: web-prod", "    gate: {approval: {needed: never, first: 3}}", "P007", "gate", "first without"),
    (
        "    patch_groups: web-prod",
        "    gate: {change_ticket: 'CHG['}",
        "P006",
        "gate",
        "expected a regular expression",
    ),
    (
        "    patch_groups: web-prod",
        "    gate: {freezes: [{from: 2025-02-02, until: 2025-02-01, because: x}]}",
        "P007",
        "freezes",
        "expected until on or after 2025-02-02, found 2025-02-01",
    ),
    (
        "    patch_groups: web-prod",
        "    people: {hours: {from: 8am}}",
        "P006",
        "8am",
        "expected a time of day such as 08:30, found '8am'",
    ),
    (
        "    patch_groups: web-prod",
        "    people: {hours: {days: MON-FRI}}",
        "P006",
        "MON-FRI}",
        "expected 'MON', 'TUE'",
    ),
    ("account: 111111111111", "account: 11111111111", "P006", "account", "expected the 12 digits of an account"),
    ("region: eu-west-3", "region: paris", "P006", "region", "expected a Region such as eu-west-3"),
    ("os: AMAZON_LINUX_2023", "os: GENTOO", "P006", "GENTOO", "baselines.amazon.os: expected 'WINDOWS',"),
    (
        "os: AMAZON_LINUX_2023",
        "os: WINDOWS\n    rules: [{approve_after_days: 7, approve_until: 2025-06-01}]",
        "P007",
        "rules",
        "expected approve_after_days or approve_until, found both",
    ),
    (
        "os: AMAZON_LINUX_2023",
        "os: WINDOWS\n    rules: [{approve_until: 86400}]",
        "P006",
        "rules",
        "expected a day such as 2025-06-02, found 86400",
    ),
    (
        "os: AMAZON_LINUX_2023",
        "os: WINDOWS\n    rejected: [KB1, KB1]",
        "P006",
        "rejected",
        "expected each value once, found twice: KB1",
    ),
    ("    soak: 7\n", "    soak: {days: 7, critical: .nan}\n", "P006", ".nan", "expected a whole number"),
    (
        "    soak: 7\n",
        "    soak: 7\n    max_failure_percent: nan\n",
        "P006",
        "percent: nan",
        "expected a finite number",
    ),
    ("    soak: 7\n", "    soak: 400\n", "P006", "soak: 400", "rings.prod.soak"),
    (
        "    products: AMAZON_LINUX_2023\n",
        "    products: Linux 2023\n",
        "P006",
        "Linux 2023",
        "an operating system of Sys",
    ),
    # what stands between parts
    ("name: web-prod", "name: web-nonprod", "P020", "name: web-nonprod", "found 'web-nonprod' again"),
    ("name: install-prod", "name: install-nonprod", "P020", "name: install-nonprod", "found 'install-nonprod' again"),
    ("  - name: prod\n", "  - name: nonprod\n", "P020", "  - name: nonprod", "found 'nonprod' again"),
    ("    ring: prod", "    ring: pord", "P021", "pord", "expected a ring of this policy, found 'pord': did you mean"),
    ("baselines: [amazon]", "baselines: [amazon, suse]", "P022", "suse", "found 'suse': there are amazon"),
    ("baselines: [amazon]", "baselines: [amazon, amazon]", "P020", "[amazon, amazon]", "found 'amazon' again"),
    ("patch_groups: web-prod", "patch_groups: web-pord", "P023", "web-pord", "did you mean 'web-prod'?"),
    ("patch_groups: web-prod", "patch_groups: [web-prod, web-prod]", "P020", "groups: [", "found 'web-prod' again"),
    (
        "patch_groups: web-prod",
        "patch_groups: web-prod\nexceptions: [{owner: a, because: b, expires: 2030-01-01, patch_groups: x}]",
        "P023",
        "exceptions",
        "expected a patch group of this policy, found 'x'",
    ),
    (
        "    patch_groups: web-prod",
        "    patch_groups: web-prod\n    replaces: install-nnprod",
        "P024",
        "replaces",
        "expected a window other than itself of this policy, found 'install-nnprod': did you mean 'install-nonprod'?",
    ),
    (
        "    patch_groups: web-prod",
        "    patch_groups: web-prod\n    replaces: install-prod",
        "P024",
        "replaces",
        "a window other than itself",
    ),
    (
        "    patch_groups: web-prod",
        "    replaces: install-nonprod",
        "P024",
        "replaces",
        "expected patch_groups that it takes from install-nonprod, found all of them",
    ),
    ("  - name: nonprod", "  - {name: nonprod, soak: 3}", "P025", "soak: 3", "expected no soak in the first ring"),
    ("    soak: 7\n", "", "P026", "name: prod", "expected soak, the days that patches stay in nonprod first"),
    (
        "  - name: nonprod\n",
        "  - name: nonprod\n  - {name: staging, soak: 3}\n",
        "P028",
        "name: staging",
        "nothing would hold patches back here; add `production: true`, or leave soak out",
    ),
    ("  - name: nonprod", "  - {name: nonprod, production: true}", "P027", "nonprod, prod", "not production first"),
    (
        "    soak: 7\n",
        "    soak: 7\n  - {name: late}\n",
        "P027",
        "name: late",
        "expected production rings last, found late after prod",
    ),
]


@pytest.mark.parametrize(("old", "new", "code", "needle", "says"), WRONG)
def test_what_is_wrong_is_named_with_code_line_and_what_to_do(
    old: str, new: str, code: str, needle: str, says: str
) -> None:
    text = changed(f"{old}\n", f"{new}\n") if f"{old}\n" in POLICY else changed(old, new)
    [found] = [line for line in refused(text) if f" {code} " in line]
    place, _, message = found.partition(f" {code} ")
    lines = [number for number, content in enumerate(text.splitlines(), start=1) if needle in content]
    where = POLICY[: POLICY.index(old)].count("\n") + 1
    assert int(place.rpartition(":")[2]) == min(lines, key=lambda line: abs(line - where))
    assert says in message


def test_a_ring_between_the_first_and_production_needs_no_soak() -> None:
    rings = load(POLICY.replace("  - name: nonprod\n", "  - name: nonprod\n  - name: staging\n")).policy.rings
    assert [ring.soak is None for ring in rings] == [True, True, False]


@pytest.mark.parametrize("kind", ["scan", "install"])
def test_a_window_replaces_only_one_that_does_the_same(kind: str) -> None:
    text = (
        POLICY
        + f"""\
  - name: custom
    operation: {kind}
    schedule: cron(0 5 ? * MON *)
    duration_hours: 4
    patch_groups: web-prod
    replaces: install-prod
"""
    )
    if kind == "install":
        assert load(text).policy.windows[2].replaces == ("install-prod",)
    else:
        [found] = refused(text)
        assert "P024" in found
        assert "expected a window that does scan too, found install-prod, which does install" in found


def test_two_windows_cannot_replace_each_other() -> None:
    text = changed("groups: web-nonprod", "groups: web-nonprod\n    replaces: install-prod")
    text = text.replace("groups: web-prod", "groups: web-prod\n    replaces: install-nonprod")
    assert [line.split(" ")[1] for line in refused(text)] == ["P024", "P024"]


@pytest.mark.parametrize("key", ["before: []", "after: []", "waves: all_at_once", "backup: on", "gate: {}"])
def test_a_scan_has_nothing_that_only_an_install_can_have(key: str) -> None:
    [found] = refused(POLICY, SECOND.replace("    duration_hours: 2\n", f"    duration_hours: 2\n    {key}\n"))
    assert f"P007 windows.scan-daily: expected none of them in a scan, found {key.partition(':')[0]}" in found


def test_a_scan_may_say_that_it_never_reboots_and_nothing_else_of_reboots() -> None:
    never = SECOND.replace("    duration_hours: 2\n", "    duration_hours: 2\n    reboot: never\n")
    assert load(POLICY, never).policy.windows[2].reboot.when == "never"
    assert "found reboot" in refused(POLICY, never.replace("never", "always"))[0]


def test_one_location_is_listed_once() -> None:
    again = "locations:\n  - {account: 111111111111, region: eu-west-3}\n"
    [found] = refused(POLICY, again)
    assert found.startswith("second.yaml:2 P020 locations.1.account: expected each name once, found '111111111111/eu-")


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("operations_bucket: ops-${env:VALUE}-{region}", ("operations_bucket",)),
        ("logs: {bucket: 'logs-${env:VALUE}'}", ("logs", "bucket")),
        ("evidence: {bucket: 'evidence-${env:VALUE}'}", ("evidence", "bucket")),
        ("extras: {data_sync_bucket: 'sync-${env:VALUE}'}", ("extras", "data_sync_bucket")),
    ],
)
def test_buckets_may_come_from_it(line: str, path: tuple[str, ...]) -> None:
    found = load(f"{POLICY}{line}\n", VALUE="dev").policy.model_dump()
    for key in path:
        found = found[key]
    assert isinstance(found, str)
    assert "-dev" in found


def test_accounts_regions_and_topics_may_come_from_it() -> None:
    text = changed("{account: 111111111111, region: eu-west-3}", '{account: "${env:A}", region: "${env:R}"}')
    text += 'notify: {sns_topic: "arn:aws:sns:${env:R}:${env:A}:patching"}\n'
    policy = load(text, A="222222222222", R="eu-central-1").policy
    assert policy.locations[0].key == "222222222222/eu-central-1"
    assert policy.notify.sns_topic == "arn:aws:sns:eu-central-1:222222222222:patching"


@pytest.mark.parametrize(
    "line",
    [
        "roles: {external_id: '${env:SECRET}'}",
        "deployment: ${env:SECRET}",
        "notify: {slack_connection: '${env:SECRET}'}",
        "gate: {calendars: ['${env:SECRET}']}",
        "unknown: ['${env:SECRET}']",
    ],
)
def test_elsewhere_it_is_refused_and_its_value_never_shown(line: str) -> None:
    found = refused(f"{POLICY}{line}\n", SECRET="hunter2")
    assert any(" P008 " in one for one in found)
    assert "hunter2" not in "".join(found)


def test_a_variable_that_is_not_set_is_named_with_its_line() -> None:
    text = f"{POLICY}operations_bucket: ops-${{env:STAGE}}\n"
    [found] = refused(text)
    assert found.startswith(f"policy.yaml:{line_of(text, 'STAGE')} P009 operations_bucket: expected the environment")
    assert found.endswith("variable STAGE, found none: set it")


@pytest.mark.parametrize("reference", ["${env:}", "${env:A B}", "${env:1A}", "${env:A", "${env.A}"])
def test_a_malformed_reference_is_refused(reference: str) -> None:
    [found] = refused(f"{POLICY}operations_bucket: 'ops-{reference}'\n", A="x")
    assert " P008 " in found


def test_a_value_that_does_not_fit_is_refused_without_being_shown() -> None:
    [found] = refused(f"{POLICY}operations_bucket: ${{env:STAGE}}\n", STAGE="Hunter Two")
    assert "P006 operations_bucket: expected the name of an S3 bucket" in found
    assert found.endswith("found what ${env:STAGE} stands for")


def test_a_value_is_not_looked_into_again() -> None:
    found = refused(f"{POLICY}operations_bucket: ops-${{env:A}}\n", A="${env:B}", B="secret")
    assert len(found) == 1
    assert "secret" not in found[0]


@pytest.mark.parametrize(
    ("shares", "number"),
    [
        ("[]", 2),
        ("[25]", 3),
        ("[33.3, 33.3, 33.4]", 4),
        ("[17.7, 11.9, 34.7, 35.7]", 5),
        ("[37, 11.8, 30.3, 5.3, 15.6]", 6),
    ],
)
def test_shares_are_added_up_as_they_are_written_and_the_rest_is_a_wave_unless_they_are_all(
    shares: str, number: int
) -> None:
    waves = (
        load(
            POLICY.replace("    patch_groups: web-prod", f"    patch_groups: web-prod\n    waves: {{shares: {shares}}}")
        )
        .policy.windows[1]
        .waves
    )
    assert (waves.canary, waves.number) == (1, number)
