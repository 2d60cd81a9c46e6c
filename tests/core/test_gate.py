"""The gate's rules, each on its own, and that a decision can be made again from what was kept of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from soak_world import HERE, after

from sluice.core.errors import ReleaseError
from sluice.core.release.gate import RULES, Asking, Covered, Facts, Limits, Seen, decide, replay, volatile

LIMITS = Limits(
    success_percent=95,
    evidence_hours=36,
    agents_percent=90,
    change_ticket=None,
    refuse_other_patchers=False,
    approval="never",
    approval_first=4,
)
OPEN = Facts(
    release="install-prod-linux-20250616T0300-00000000",
    window="install-prod-linux",
    at=after(10),
    mode="release",
    limits=LIMITS,
    items=(Covered("openssl", "soak", after(1), 7),),
    behind=20,
    evidence=(Seen("ring nonprod", after(9)), Seen(HERE, after(9))),
    online=9,
    running=10,
    admissible=9,
)


def limits(**changes: Any) -> Limits:
    return replace(LIMITS, **changes)


def test_it_is_open_when_every_rule_passes() -> None:
    decision = decide(OPEN)
    assert decision.verdict == "open"
    assert decision.why == ()
    assert [rule.name for rule in decision.rules] == list(RULES)


def test_there_is_nothing_to_do_where_every_node_has_what_is_listed() -> None:
    decision = decide(replace(OPEN, needing=0))
    assert decision.verdict == "nothing"
    assert decision.why == ("manifest: all 9 nodes that may be admitted have what it lists",)
    assert replay(decision.as_json()).verdict == "nothing"
    assert decide(replace(OPEN, needing=1)).verdict == "open"


def test_a_gate_without_a_node_to_admit_is_closed_and_not_done() -> None:
    assert decide(replace(OPEN, needing=0, admissible=0)).verdict == "closed"


@pytest.mark.parametrize("facts", [OPEN, replace(OPEN, behind=0), replace(OPEN, behind_failed=("n1 (a)", "n2 (b)"))])
def test_a_decision_from_before_these_were_asked_replays(facts: Facts) -> None:
    decision = decide(facts)
    kept = decision.as_json()
    for name in ("needing", "behind_silent", "behind_left_out"):
        del kept["facts"][name]
    assert replay(kept).verdict == decision.verdict


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"behind": 0}, "expected nodes of the ring before with these OS products, found none that was ever looked at"),
        ({}, "20 of 20 nodes of the ring before are healthy (100.0 %)"),
        (
            {"behind_failed": ("n1 (a)", "n2 (b)")},
            "18 of 20 nodes of the ring before are healthy (90.0 %), expected 95 %: n1 (a), n2 (b)",
        ),
    ],
)
def test_kept_decisions_say_of_the_ring_before_what_deciding_again_says(facts: dict[str, Any], told: str) -> None:
    assert {rule.name: rule.because for rule in decide(replace(OPEN, **facts)).rules}["ring before"] == told


def ask(state: str, name: str = "c") -> tuple[Asking, ...]:
    return (Asking(name, HERE, state),)


@pytest.mark.parametrize(
    ("rule", "held", "facts"),
    [
        ("mode", "fail", {"mode": "observe"}),
        ("soak", "fail", {"items": (Covered("x", "soak", after(3.1), 7),)}),
        ("soak", "fail", {"items": (Covered("x", "soak", None, 0),)}),
        ("soak", "fail", {"items": (Covered("x", "because I say so", None, 0),)}),
        ("expedite", "fail", {"expedite": ("KB1",)}),
        ("expedite", "fail", {"expedite": ("KB1",), "because": "KEV", "not_found": ("KB1",)}),
        ("recalls", "fail", {"recalled": ("openssl is recalled by ops: bad",)}),
        ("nodes", "fail", {"admissible": 0}),
        ("ring before", "unknown", {"behind": 0}),
        ("ring before", "unknown", {"behind": None}),
        ("ring before", "unknown", {"behind": 0, "behind_left_out": ("n1 (stopped)",)}),
        ("ring before", "fail", {"behind_failed": ("n1 (openssl)", "n2 (openssl)")}),
        ("ring before", "fail", {"behind_silent": ("n1 (never looked at)", "n2 (never looked at)")}),
        ("ring before", "fail", {"behind_failed": ("n1 (openssl)",), "behind_silent": ("n2 (never looked at)",)}),
        ("evidence", "unknown", {"evidence": ()}),
        ("evidence", "unknown", {"evidence": (Seen("ring nonprod", None),)}),
        ("evidence", "fail", {"evidence": (Seen("ring nonprod", after(8.4)),)}),
        ("calendars", "fail", {"calendars": ask("CLOSED")}),
        ("calendars", "unknown", {"calendars": ask("unknown: denied")}),
        ("calendars", "unknown", {"calendars": ask("missing")}),
        ("alarms", "fail", {"alarms": ask("ALARM")}),
        ("alarms", "unknown", {"alarms": ask("missing")}),
        ("freezes", "fail", {"freeze": "the year's end"}),
        ("agents", "fail", {"online": 8}),
        ("agents", "unknown", {"online": None}),
        ("agents", "unknown", {"online": 0, "running": 0}),
        ("ticket", "fail", {"limits": limits(change_ticket=r"CHG\d+")}),
        ("ticket", "fail", {"limits": limits(change_ticket=r"CHG\d+"), "ticket": "CHG1; rm"}),
        ("other patchers", "fail", {"limits": limits(refuse_other_patchers=True), "others": ("association a",)}),
        ("other patchers", "unknown", {"limits": limits(refuse_other_patchers=True), "others": None}),
        ("rights", "fail", {"objections": ("ann may not run prod-linux",), "ad_hoc": True}),
    ],
)
def test_one_rule_that_does_not_pass_closes_it_and_says_why(rule: str, held: str, facts: dict[str, Any]) -> None:
    decision = decide(replace(OPEN, **facts))
    assert decision.verdict == "closed"
    assert [(one.name, one.held) for one in decision.rules if one.held != "pass"] == [(rule, held)]
    assert decision.why[0].startswith(f"{rule}: ")


@pytest.mark.parametrize(
    "facts",
    [
        {"items": (Covered("x", "soak", after(3), 7),)},
        {"behind_failed": ("n1 (openssl)",)},
        {"behind_silent": ("n1 (never looked at)",)},
        {"behind_left_out": ("n1 (stopped)", "n2 (stopped)", "n3 (stopped)")},
        {"evidence": (Seen("ring nonprod", after(8.5)),)},
        {"calendars": ask("OPEN"), "alarms": ask("OK") + ask("INSUFFICIENT_DATA", "d")},
        {"calendars": (Asking("c", "a", "missing"), Asking("c", "b", "OPEN"))},
        {"limits": limits(change_ticket=r"CHG\d+"), "ticket": "CHG12"},
        {"limits": limits(refuse_other_patchers=True), "others": ()},
        {"others": ("association a",)},
    ],
)
def test_it_is_open_to_the_very_limit(facts: dict[str, Any]) -> None:
    assert decide(replace(OPEN, **facts)).verdict == "open"


def test_an_empty_manifest_is_nothing_to_install_whatever_else_holds() -> None:
    assert decide(replace(OPEN, items=())).verdict == "nothing"
    frozen = decide(replace(OPEN, items=(), mode="observe", freeze="x"))
    assert frozen.verdict == "nothing"
    assert [why.partition(":")[0] for why in frozen.why] == ["manifest"]


@pytest.mark.parametrize(
    ("facts", "needed"),
    [
        ({}, False),
        ({"limits": limits(approval="always")}, True),
        ({"limits": limits(approval="first"), "released": 3}, True),
        ({"limits": limits(approval="first"), "released": 4}, False),
        ({"ad_hoc": True}, True),
        ({"expedite": ("KB1",), "because": "KEV"}, True),
    ],
)
def test_whether_a_person_must_agree(facts: dict[str, Any], needed: bool) -> None:
    assert decide(replace(OPEN, **facts)).needs_approval is needed


def test_a_decision_replays_to_itself() -> None:
    for facts in (OPEN, replace(OPEN, calendars=ask("CLOSED"), not_admissible=(("i-1", "no twin", "why"),))):
        decision = decide(facts)
        again = replay(json.loads(json.dumps(decision.as_json())))
        assert again == decision


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(verdict="open"),
        lambda data: data.update(needs_approval=True),
        lambda data: data["facts"].update(mode="release"),
        lambda data: data["rules"].pop(),
    ],
)
def test_an_altered_record_does_not_replay(change: Any) -> None:
    data = json.loads(json.dumps(decide(replace(OPEN, mode="observe")).as_json()))
    change(data)
    with pytest.raises(ReleaseError, match=r"expected the same .* from the same facts"):
        replay(data)


@pytest.mark.parametrize("data", [None, [], {}, {"facts": 1}, {"facts": {}}, {"facts": {"at": "then"}}])
def test_what_is_no_decision_is_refused(data: Any) -> None:
    with pytest.raises(ReleaseError, match="expected"):
        replay(data)


def test_what_may_change_is_judged_again_when_a_window_opens() -> None:
    assert volatile(OPEN) == ()
    changed = replace(OPEN, recalled=("x",), calendars=ask("CLOSED"), alarms=ask("ALARM"), online=0, freeze="now")
    assert [why.partition(":")[0] for why in volatile(changed)] == [
        "recalls",
        "calendars",
        "alarms",
        "freezes",
        "agents",
    ]
