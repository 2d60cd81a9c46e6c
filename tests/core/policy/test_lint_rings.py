"""No release without a gate by oversight: which policies have to have a production ring."""

from __future__ import annotations

from policy_corpus import TODAY

from sluice.core.policy.lint import Finding, lint
from sluice.core.policy.load import load_policy


def found(mode: str, rings: str) -> list[Finding]:
    text = f"version: 1\nmode: {mode}\nrings: {rings}\n"
    wanted = ("P160", "P161")
    return [one for one in lint(load_policy([("policy.yaml", text)], {}), TODAY) if one.code in wanted]


def test_rings_of_which_none_is_production_are_no_release() -> None:
    [one] = found("release", "[{name: nonprod}, {name: prod}]")
    assert (one.kind, one.place.line) == ("error", 3)
    assert "mark it production, with its soak" in one.message


def test_a_single_ring_that_is_not_production_is_asked_about_and_no_more() -> None:
    [one] = found("release", "[{name: dev}]")
    assert one.kind == "question"


def test_what_only_observes_needs_no_production_ring() -> None:
    assert found("observe", "[{name: pilot}]") == []
    assert found("observe", "[{name: nonprod}, {name: staging}]") == []


def test_a_release_whose_last_ring_is_production_is_gated() -> None:
    assert found("release", "[{name: nonprod}, {name: prod, production: true, soak: 7}]") == []
