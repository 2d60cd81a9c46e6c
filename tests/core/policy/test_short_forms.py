"""A policy reads well: what people would write, and what it says at length. Editors accept both."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from sluice.core.policy.base import Part
from sluice.core.policy.baselines import Baseline, PatchGroup, Rule
from sluice.core.policy.gate import Approval, Gate
from sluice.core.policy.places import Location
from sluice.core.policy.rings import Ring, Waiver
from sluice.core.policy.windows import Backup, Reboot, Waves, Window
from sluice.core.yaml_text import read

WINDOW = "name: w\noperation: install\nschedule: cron(0 3 ? * MON *)\nduration_hours: 4\n"
RING = "name: prod\n"
BASELINE = "name: b\nos: WINDOWS\n"
GROUP = "name: g\nring: r\n"
WAIVER = "owner: a\nbecause: b\nexpires: 2030-01-01\n"

FORMS = [
    # part, what is the same in both, short, long
    (Ring, RING, "soak: 7", "soak: {days: 7}"),
    (Ring, RING, "soak: {critical: 3}", "soak: {days: 7, critical: {days: 3}}"),
    (Ring, RING, "max_failure_percent: 5%", "max_failure_percent: 5"),
    (Window, WINDOW, "reboot: if_needed", "reboot: {when: if_needed, how: waves}"),
    (Window, WINDOW, "waves: all_at_once", "waves: {canary: 0, shares: []}"),
    (Window, WINDOW, "waves: {shares: [25%, 50]}", "waves: {shares: [25, 50.0]}"),
    (Window, WINDOW, "backup: on", "backup: {mode: on}"),
    (Window, WINDOW, "backup: off", "backup: {mode: 'off'}"),
    (Window, WINDOW, "patch_groups: web", "patch_groups: [web]"),
    (Window, WINDOW, "replaces: other", "replaces: [other]"),
    (Window, WINDOW, "concurrency: 10", "concurrency: '10'"),
    (Window, WINDOW, "errors: 0", "errors: '0'"),
    (Window, WINDOW, "people: {run: ops}", "people: {run: [ops]}"),
    (Window, WINDOW, "people: {hours: {days: MON}}", "people: {hours: {days: [MON]}}"),
    (Window, WINDOW, "before: [{document: D, parameters: {a: b}}]", "before: [{document: D, parameters: {a: [b]}}]"),
    (Gate, "", "approval: always", "approval: {needed: always}"),
    (Gate, "", "approval: {first: 6}", "approval: {needed: first, first: 6}"),
    (Gate, "", "approval: {approvers: ann}", "approval: {approvers: [ann]}"),
    (Gate, "", "calendars: changes", "calendars: [changes]"),
    (Baseline, BASELINE, "approved: KB1", "approved: {patches: [KB1]}"),
    (Baseline, BASELINE, "rejected: [KB1, KB2]", "rejected: {patches: [KB1, KB2]}"),
    (Baseline, BASELINE, "rejected: {patches: KB1, action: block}", "rejected: {patches: [KB1], action: block}"),
    (Rule, "", "severity: Critical", "severity: [Critical]"),
    (PatchGroup, GROUP, "baselines: b\nproducts: UBUNTU 22.04", "baselines: [b]\nproducts: [UBUNTU 22.04]"),
    (Waiver, WAIVER, "nodes: i-1\npatch_groups: g", "nodes: [i-1]\npatch_groups: [g]"),
    (Location, "", "account: 111111111111", "account: '111111111111'"),
]


def part(model: type[Part], text: str) -> Any:
    return model.model_validate(read(text).data)


@pytest.mark.parametrize(("model", "same", "short", "long"), FORMS)
def test_the_short_form_says_the_same(model: type[Part], same: str, short: str, long: str) -> None:
    assert part(model, same + short) == part(model, same + long)


@pytest.mark.parametrize(("model", "same", "short", "long"), FORMS)
def test_editors_accept_both(model: type[Part], same: str, short: str, long: str) -> None:
    schema = Draft202012Validator(model.model_json_schema())
    for form in (short, long):
        schema.validate(read(same + form).data)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (Ring, RING + "soak: soon"),
        (Ring, RING + "soak: {critical: soon}"),
        (Ring, RING + "max_failure_percent: 500"),
        (Window, WINDOW + "reboot: perhaps"),
        (Window, WINDOW + "waves: at_once"),
        (Window, WINDOW + "backup: 3"),
        (Window, WINDOW + "concurrency: most"),
        (Window, WINDOW + "patch_groups: 'a;b'"),
        (Gate, "approval: ask"),
        (Gate, "calendars: 3"),
        (Baseline, BASELINE + "approved: 3"),
        (Location, "account: '1'"),
    ],
)
def test_editors_mark_what_loading_refuses(model: type[Part], text: str) -> None:
    with pytest.raises(ValidationError):
        part(model, text)
    assert not Draft202012Validator(model.model_json_schema()).is_valid(read(text).data)


def test_a_part_is_made_from_python_by_its_keys_as_well() -> None:
    assert Reboot(when="always").how == "waves"
    assert Backup().mode == "off"
    assert Waves().canary == 1
    assert Approval().needed == "first"


@pytest.mark.parametrize(
    "text", ["production: 7", "min_nodes: 0", "soak:\n  days: 7\n  daze: 3", "name: Prod", "name: p_d"]
)
def test_what_is_neither_form_is_refused(text: str) -> None:
    data = {"name": "prod", **read(text).data}
    with pytest.raises(ValidationError):
        Ring.model_validate(data)
