"""Whatever is in a policy, loading and the check answer: with findings or a PolicyError, never with a traceback.

Some of the inputs are texts, bent where YAML is fragile; most are data, bent where the models and the rules are, which
needs no parser and so reaches further in the same time. Together at least 20,000.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from policy_corpus import HERE, TODAY, sound

from sluice.core.errors import PolicyProblem
from sluice.core.policy.lint import Finding, lint
from sluice.core.policy.load import Loaded, Sources, examine, examine_sources
from sluice.core.policy.policy import Policy
from sluice.core.yaml_text import YamlText

TEXTS = 8_000
DATA = 14_000

SMALL = "version: 1\nmode: release\nrings: [{name: nonprod}, {name: prod, production: true, soak: 7}]\n"
PARTS = [path.read_text(encoding="utf-8") for path in sorted((HERE / "bad").glob("*.yaml"))]
SEEDS = [part for part in PARTS if len(part) < 400]
TOKENS = (
    *(
        "\n",
        "  ",
        "\t",
        "- ",
        ": ",
        "? ",
        "{",
        "}",
        "[",
        "]",
        "&a ",
        "*a",
        "!!set ",
        "|\n",
        ">",
        "'",
        '"',
        "#",
        "%",
        "---\n",
    ),
    *(
        "\x00",
        "\x85",
        "\u2028",
        "\ufeff",
        "é",
        "\U0001f4a5",
        "<<: ",
        "0",
        "-1",
        "1e400",
        ".inf",
        "~",
        "${env:X}",
        "@",
        "`",
    ),
    *(
        "cron(",
        ")",
        "at(9999-12-31T23:59:59)",
        "rate(5 minutes)",
        "null",
        "true",
        "2025-02-30",
        "\\",
        "\r",
        '"\\ud800"',
    ),
)
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 5, 25, 10**30, 0.5, -0.0, 1e308, float("inf"), float("nan"), "", " ", "a" * 300),
    *(
        [],
        {},
        [[]],
        [None],
        {"": None},
        {"name": "x"},
        ["a", "a"],
        "all",
        "caller",
        "prod",
        "web-prod",
        "nonprod-linux",
    ),
    *("cron(0 3 ? * MON *)", "cron(0 0 31 2 ? *)", "cron(0/5 * * * ? *)", "cron(0 0 1 1 ? 2199)", "rate(5 minutes)"),
    *("rate(999999999 days)", "at(9999-12-31T23:59:59)", "at(2026-06-01T10:00:00)", "at(1970-01-01T00:00)"),
    *(
        "Europe/Paris",
        "Africa/Cairo",
        "Pacific/Apia",
        "9999-12-31",
        "0001-01-01",
        "2026-03-02",
        "*",
        "100%",
        "0%",
        "24:00",
    ),
    *(
        "WINDOWS",
        "UBUNTU",
        "CENTOS",
        "MACOS",
        "WINDOWS Server 2022",
        "UBUNTU",
        "UBUNTU 22.04",
        "REDHAT_ENTERPRISE_LINUX 9",
    ),
    *(
        "Security",
        "SecurityUpdates",
        "Critical",
        "APPLICATION",
        "always",
        "never",
        "inline",
        "install",
        "scan",
        "native",
    ),
    *("P184", "P211", "(((", ".*", "${env:X}", "\x00", "é"),
)


ZONES = ("Europe/Paris", "America/New_York", "Africa/Cairo", "Pacific/Apia", "Australia/Lord_Howe", "UTC")
SCHEDULES = (
    *("cron(0 3 ? * MON *)", "cron(0 0 31 2 ? *)", "cron(30 2 * * ? *)", "cron(0 0/3 * * ? *)", "cron(0 0 1 1 ? 2199)"),
    *("cron(0 22 ? * TUE#2 *)", "cron(0 1 L * ? *)", "rate(6 hours)", "rate(999999999 days)"),
    *("at(9999-12-31T23:59:59)", "at(2026-06-01T10:00:00)", "at(1970-01-01T00:00)"),
)
NUMBERS = (0, 1, 2, 3, 4, 7, 8, 12, 24, 30, 60, 90, 100, 365)
DAYS = ("2026-03-02", "2026-03-09", "2025-01-01", "2036-01-01", "9999-12-31", "0001-01-01")
PRODUCTS = (
    "AMAZON_LINUX_2023",
    "UBUNTU 22.04",
    "WINDOWS Server 2022",
    "REDHAT_ENTERPRISE_LINUX 9",
    "CENTOS",
    "MACOS 14",
)
POOL: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("schedule",), SCHEDULES),
    **dict.fromkeys(("time_zone",), ZONES),
    **dict.fromkeys(
        ("duration_hours", "cutoff_hours", "lead_minutes", "canary", "settle_minutes", "days", "hours"), NUMBERS
    ),
    **dict.fromkeys(("success_percent", "agents_percent", "evidence_hours", "latest_start_minutes", "first"), NUMBERS),
    **dict.fromkeys(
        ("max_wait_days", "critical_days", "approve_after_days", "soak", "critical", "failure_budget"), NUMBERS
    ),
    **dict.fromkeys(("expires", "approve_until", "from", "until", "agreed_on"), DAYS),
    **dict.fromkeys(("production", "assume", "non_security", "default", "config_rule"), (True, False)),
    "os": ("AMAZON_LINUX_2023", "UBUNTU", "WINDOWS", "CENTOS", "MACOS", "DEBIAN", "SUSE"),
    "mode": ("observe", "release"),
    "operation": ("scan", "install"),
    "trigger": ("airflow", "native"),
    "ring": ("nonprod", "prod"),
    "reboot": ("never", "if_needed", "always", {"when": "if_needed", "how": "inline"}),
    "backup": ("off", "on", "required"),
    "waves": ("all_at_once", {"canary": 3, "shares": [10, "20%", 70]}, {"canary": 0, "settle_minutes": 600}),
    "gate": ({}, {"approval": "never"}, {"freezes": [{"from": "2026-01-01", "until": "2026-12-31", "because": "x"}]}),
    "approval": ("always", "never", {"first": 2}),
    "people": ({"hours": {"from": "22:00", "until": "06:00"}}, {"run": "somebody"}),
    "patch_groups": ("all", "web-prod", ["web-prod", "web-nonprod"]),
    "baselines": ("prod-linux", ["prod-linux", "nonprod-linux"]),
    "products": (*PRODUCTS, list(PRODUCTS), ["REDHAT_ENTERPRISE_LINUX 9", "REDHAT_ENTERPRISE_LINUX 9.4"]),
    "product": ("*", "Ubuntu22.04", "Ubuntu99.04", "Office 2016", ["WindowsServer2022", "AmazonLinux2023"]),
    "classification": ("Security", "SecurityUpdates", "*", ["Bugfix", "nothing"]),
    "severity": ("Critical", "Moderate", "*"),
    "priority": ("Required", "nothing"),
    "patch_set": ("OS", "APPLICATION"),
    "rules": ([], [{}], [{"approve_until": "2025-01-01"}], [{"classification": "Security", "approve_after_days": 3}]),
    "approved": ("curl", ["KB5034441", "CVE-2026-1"], "*"),
    "rejected": ("curl", ["KB5034441", "CVE-2026-1"], "123"),
    "replaces": ("install-prod", "install-nonprod", "scan-daily"),
    "exceptions": ([{"owner": "a", "because": "b", "expires": "2026-03-05", "findings": ["P184", "P999", "P152"]}],),
    "change_ticket": (".*", "CHG[0-9]+", ""),
    "bucket": ("a..b", "192.168.0.1", "example-{region}", "example"),
    "locations": ([{"region": "eu-south-1"}, {"account": 111111111111}], [{}]),
    "window_service": ("one", "{ring}"),
    "concurrency": ("100%", 1),
    "errors": ("100%", 0),
}


def bent_text(choose: random.Random) -> str:
    text = choose.choice(SEEDS) if choose.random() < 0.7 else SMALL
    if choose.random() < 0.3:
        text += choose.choice(SEEDS)
    for _ in range(choose.randint(1, 4)):
        start, end = sorted(choose.randint(0, len(text)) for _ in range(2))
        end = min(end, start + 30)
        bend: Callable[[], str] = choose.choice(
            (
                lambda: text[:start] + text[end:],  # noqa: B023  # called before the loop goes on
                lambda: text[:start] + choose.choice(TOKENS) + text[start:],  # noqa: B023  # as above
                lambda: text[:start] + text[start:end] * 2 + text[end:],  # noqa: B023  # as above
                lambda: text[:start] + str(choose.choice(ODD)) + text[end:],  # noqa: B023  # as above
            )
        )
        text = bend()
    return text


def bent_data(choose: random.Random) -> dict[str, Any]:
    data = copied(sound())
    for _ in range(choose.randint(1, 3)):
        bend_once(data, choose)
    return data


def copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: copied(one) for key, one in value.items()}
    return [copied(one) for one in value] if isinstance(value, list) else value


def bend_once(data: dict[str, Any], choose: random.Random) -> None:
    """Go down a random way, and at its end put something else, mostly what could stand there; or add or remove."""
    at: Any = data
    name = ""
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            return
        key = choose.choice(keys)
        name = key if isinstance(key, str) else name
        if not isinstance(at[key], (dict, list)) or choose.random() < 0.1:
            break
        at = at[key]
    what = choose.random()
    if what < 0.7 and name in POOL:
        at[key] = copied(choose.choice(POOL[name]))
    elif what < 0.8:
        at[key] = copied(choose.choice(ODD))
    elif what < 0.9:
        del at[key]
    elif isinstance(at, list):
        at.append(copied(at[key]))
    else:
        new = choose.choice(EVERY_KEY)
        at[new] = copied(choose.choice(POOL.get(new, ODD)))


EVERY_KEY = sorted({*POOL, *Policy.model_fields})


@settings(max_examples=TEXTS, deadline=None, database=None)
@given(st.integers(0, 2**64 - 1))
def test_no_text_brings_a_traceback(seed: int) -> None:
    text = bent_text(random.Random(seed))
    assert all(one.message for one in answers(text))


def answers(text: str) -> Sequence[PolicyProblem | Finding]:
    """What loading refuses, and what the check finds in the rest."""
    return _all(examine([("policy.yaml", text)], {}))


def answers_to_data(data: dict[str, Any]) -> Sequence[PolicyProblem | Finding]:
    """As `answers`, from where the text is read."""
    return _all(examine_sources(Sources([YamlText("policy.yaml", data, {})]), {}))


def _all(examined: tuple[list[PolicyProblem], Loaded | None]) -> Sequence[PolicyProblem | Finding]:
    problems, loaded = examined
    return [*problems, *(lint(loaded, TODAY) if loaded else ())]


@settings(max_examples=DATA, deadline=None, database=None)
@given(st.integers(0, 2**64 - 1))
def test_no_data_brings_a_traceback(seed: int) -> None:
    assert all(one.message for one in answers_to_data(bent_data(random.Random(seed))))


def test_the_fuzz_reaches_the_rules() -> None:
    """Otherwise the data would all be refused before the check, and nothing would be tested."""
    answered = [answers_to_data(bent_data(random.Random(seed))) for seed in range(600)]
    codes = [one.code for answer in answered for one in answer if isinstance(one, Finding)]
    assert sum(any(isinstance(one, Finding) for one in answer) for answer in answered) > 50
    assert len(set(codes)) > 25
    assert TEXTS + DATA >= 20_000
