"""Which nodes of the ring before count at the gate, and which of them are healthy."""

from __future__ import annotations

from dataclasses import replace

import pytest
from soak_world import LINUX, WINDOWS, after

from sluice.core.release.gate import Seen
from sluice.core.release.ring_before import RingBefore, Standing, stand
from sluice.core.release.terms import Reason

WELL = Standing("n1", "nonprod", LINUX, None, after(9), "")
PAIRS = (("nonprod", LINUX), ("nonprod", WINDOWS))


def found(*nodes: Standing, wanted: tuple[tuple[str, str], ...] = PAIRS[:1]) -> RingBefore:
    return stand(nodes, wanted, after(8.5))


def test_a_node_that_was_looked_at_and_on_which_nothing_failed_is_healthy() -> None:
    assert found(WELL) == RingBefore(1, (), (), (), (Seen(f"ring nonprod, {LINUX}", after(9)),))
    assert found(replace(WELL, looked=after(8.5))).silent == ()


def test_a_node_that_is_silent_counts_and_is_not_healthy() -> None:
    old, never = replace(WELL, looked=after(8.4)), replace(WELL, node="n2", looked=None)
    ring = found(old, never)
    assert (ring.nodes, ring.silent) == (2, ("n1 (not looked at since 2025-06-10 16:36)", "n2 (never looked at)"))


def test_a_node_whose_agent_was_lost_counts_by_what_was_last_read_of_it() -> None:
    lost = replace(WELL, reason=str(Reason.AGENT_LOST))
    assert found(lost).silent == ()
    assert found(replace(lost, looked=after(8))).silent == ("n1 (not looked at since 2025-06-10 07:00)",)


@pytest.mark.parametrize("reason", [one for one in Reason if one != Reason.AGENT_LOST])
def test_a_node_that_is_not_reached_for_a_stated_reason_is_left_out_whatever_is_known_of_it(reason: Reason) -> None:
    ring = found(WELL, Standing("n2", "nonprod", LINUX, str(reason), None, "openssl"))
    assert (ring.nodes, ring.failed, ring.silent, ring.left_out) == (1, (), (), (f"n2 ({reason})",))


def test_where_nobody_is_left_of_a_product_there_is_no_evidence_of_it() -> None:
    ring = found(replace(WELL, reason=str(Reason.STOPPED)))
    assert (ring.nodes, ring.evidence) == (0, (Seen(f"ring nonprod, {LINUX}", None),))


def test_a_node_that_failed_is_named_once_also_where_it_is_silent() -> None:
    ring = found(replace(WELL, failed="openssl", looked=None))
    assert (ring.nodes, ring.failed, ring.silent) == (1, ("n1 (openssl)",), ())


def test_each_product_has_evidence_of_its_own() -> None:
    windows = replace(WELL, node="n2", product=WINDOWS, looked=after(2))
    ring = found(WELL, windows, wanted=PAIRS)
    assert ring.evidence == (
        Seen(f"ring nonprod, {LINUX}", after(9)),
        Seen(f"ring nonprod, {WINDOWS}", after(2)),
    )


def test_nodes_of_other_rings_and_products_do_not_count() -> None:
    others = [
        replace(WELL, node="n2", ring="staging"),
        replace(WELL, node="n3", product=WINDOWS),
        replace(WELL, node="n4", product=None),
    ]
    assert found(WELL, *others) == found(WELL)
    assert found(*others).evidence == (Seen(f"ring nonprod, {LINUX}", None),)


def test_a_node_of_several_listed_products_counts_once() -> None:
    exact = replace(WELL, product="UBUNTU 22.04")
    assert found(exact, wanted=(("nonprod", "UBUNTU"), ("nonprod", "UBUNTU 22.04"))).nodes == 1
