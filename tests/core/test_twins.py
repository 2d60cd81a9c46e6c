"""Production nodes without anything like them that passed before."""

from __future__ import annotations

from soak_world import HERE, LINUX, after, seen, soak_policy

from sluice.core.policy.slots import slots
from sluice.core.release.terms import Expected, Reason
from sluice.core.release.twins import passed, without_twin
from sluice.core.sighted import Sighted

POLICY = soak_policy()
SLOTS = slots(POLICY, POLICY.windows[0])


def expected(node: str = "prod1", role: str | None = "web", **more: str) -> Expected:
    return Expected(node, HERE, node, "prod-linux", LINUX, role, SLOTS[0].name, **more)


def kept_out(rows: list[Sighted], one: Expected | None = None, at: float = 10) -> dict[str, tuple[str, str]]:
    return without_twin(POLICY, SLOTS, [one or expected()], passed(rows, after(at)), after(at))


def test_a_node_with_a_healthy_twin_is_admitted() -> None:
    assert kept_out([seen("n1", 0, "INSTALLED", until=9)]) == {}


def test_another_role_or_product_is_no_twin() -> None:
    reason, why = kept_out([seen("n1", 0, "INSTALLED", until=9, role="database")])["prod1"]
    assert (reason, why) == (Reason.NO_TWIN, f"no node of nonprod like it ({LINUX}, role web)")
    assert kept_out([seen("n1", 0, "INSTALLED", until=9, product="AMAZON_LINUX_2")])


def test_a_node_without_a_role_needs_a_twin_without_one() -> None:
    rows = [seen("n1", 0, "INSTALLED", until=9)]
    assert "no role" in kept_out(rows, expected(role=None))["prod1"][1]
    assert kept_out([*rows, seen("n2", 0, "INSTALLED", until=9, role=None)], expected(role=None)) == {}


def test_a_twin_on_which_something_failed_did_not_pass_until_it_is_repaired() -> None:
    rows = [seen("n1", 0, "FAILED"), seen("n1", 1, "MISSING", until=9)]
    assert "something failed: openssl.x86_64:1" in kept_out(rows)["prod1"][1]
    assert kept_out([*rows, seen("n1", 9, "INSTALLED")]) == {}
    assert kept_out([*rows, seen("n2", 0, "INSTALLED", until=9)]) == {}


def test_a_twin_that_nobody_looked_at_for_long_did_not_pass() -> None:
    assert kept_out([seen("n1", 0, "INSTALLED", until=9)], at=39) == {}
    assert "was looked at since" in kept_out([seen("n1", 0, "INSTALLED", until=9)], at=40)["prod1"][1]


def test_production_is_no_twin_of_production() -> None:
    assert kept_out([seen("prod2", 0, "INSTALLED", until=9)])


def test_nodes_that_are_not_reached_anyway_are_not_named_twice() -> None:
    assert kept_out([], expected(reason=str(Reason.STOPPED))) == {}


def test_a_twin_whose_last_installation_failed_as_a_whole_did_not_pass() -> None:
    rows = [seen("n1", 0, "INSTALLED", until=9)]
    nodes = passed(rows, after(10), {"n1": "exit status 156"})
    assert "exit status 156" in without_twin(POLICY, SLOTS, [expected()], nodes, after(10))["prod1"][1]
