"""One word and one line say what became of a release, and the run fails when they should be acted on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.core.release.outcome import Facts, Opening, approves, bad, judge
from sluice.core.release.terms import Outcome

DONE = Opening("done", execution="e")


def facts(**more: Any) -> Facts:
    whole = {"budget": 5.0, "expected": 100, "admitted": 100, "succeeded": 100, "openings": (DONE,)}
    return Facts(**{**whole, **more})


@pytest.mark.parametrize("answer", ["Approve", "approve", "APPROVE"])
def test_an_approval_counts_whatever_its_case(answer: str) -> None:
    assert approves(answer)
    release = facts(
        gated=True, verdict="open", needs_approval=True, answer=answer, by="ops", admitted=None, openings=()
    )
    assert "rejected" not in judge(release).line


@pytest.mark.parametrize("answer", [None, "", "Reject", "Approve all"])
def test_nothing_else_is_one(answer: str | None) -> None:
    assert not approves(answer)


@pytest.mark.parametrize(
    ("found", "outcome", "ok", "line"),
    [
        (facts(), "released", True, "100 of 100 nodes done"),
        (facts(operation="scan"), "released", True, "100 of 100 nodes scanned"),
        (facts(admitted=98, succeeded=98, missed={"stopped": 2}), "released", True,
         "98 of 98 nodes done; missed 2: 2 stopped"),
        (facts(succeeded=90, pending_reboot=10), "released", True,
         "100 of 100 nodes done, 10 of them wait for a reboot"),
        (facts(succeeded=95, failed=5), "partial", True, "95 of 100 nodes done, 5 failed"),
        (facts(succeeded=94, failed=6), "partial", False,
         "94 of 100 nodes done, 6 failed; more than the 5 % that the policy allows"),
        (facts(succeeded=94, lost=6), "partial", False,
         "94 of 100 nodes done, 6 not reached; more than the 5 % that the policy allows"),
        (facts(refused={"a/b": "denied"}, refused_nodes=3), "partial", True,
         "100 of 100 nodes done; refused: a/b: denied"),
        (facts(refused={"a/b": "denied"}), "partial", False, "100 of 100 nodes done; refused: a/b: denied"),
        (facts(unread={"a/b": "timed out"}), "partial", False, "100 of 100 nodes done; not read back: a/b: timed out"),
        (facts(gated=True, verdict="nothing", why=("manifest: nothing has soaked",), admitted=None, openings=(),
               overdue=("openssl:3 (pending reboot)",)), "nothing", True,
         "nothing to install: manifest: nothing has soaked; 1 waiting too long: openssl:3 (pending reboot)"),
        (facts(operation="reboot", needs_approval=True, answer="Reject", by="ann", admitted=None, openings=()),
         "held", True, "rejected by ann"),
        (facts(admitted=90, succeeded=90, missed={"no backup": 10}), "partial", False,
         "90 of 90 nodes done; missed 10: 10 no backup; more than the 5 % that the policy allows"),
        (facts(admitted=0, succeeded=0, openings=(), missed={"agent lost": 100}), "nothing", False,
         "no node was admitted of 100 expected; missed 100: 100 agent lost"),
        (facts(admitted=0, succeeded=0, openings=(), missed={"no backup": 99, "stopped": 1}), "nothing", False,
         "no node was admitted of 100 expected; missed 100: 99 no backup, 1 stopped"),
        (facts(admitted=0, succeeded=0, openings=(), missed={"stopped": 99, "excepted": 1}), "nothing", True,
         "no node was admitted of 100 expected; missed 100: 99 stopped, 1 excepted"),
        (facts(gated=True, verdict="closed", why=("freeze: no",), admitted=None, openings=()), "held", True,
         "the gate is closed: freeze: no"),
        (facts(gated=True, verdict="open", needs_approval=True, answer="Reject", by="ops", admitted=None, openings=()),
         "held", True, "rejected by ops"),
        (facts(gated=True, verdict="open", needs_approval=True, admitted=None, openings=()), "held", True,
         "nobody approved it in time"),
        (facts(operation="reboot", needs_approval=True, unasked=True, admitted=None, openings=()), "held", True,
         "nobody was asked: no answer could come in time"),
        (facts(gated=True, verdict="nothing", admitted=None, openings=()), "nothing", True, "nothing to install"),
        (facts(gated=True, admitted=None, openings=(), refused={"a/b": "drift"}), "held", False,
         "nothing was opened: a/b: drift"),
        (facts(admitted=None, openings=()), "held", False,
         "a step before the admission failed, nothing was opened; see its log"),
        (facts(dry_run=True, openings=()), "nothing", True, "a dry run: no window was opened; 100 nodes expected"),
        (facts(expected=2, admitted=0, succeeded=0, missed={"stopped": 2}, openings=()), "nothing", True,
         "no node was admitted of 2 expected; missed 2: 2 stopped"),
        (facts(succeeded=0, lost=100, openings=(Opening("late", "the cutoff is too near"),)), "late", True,
         "the cutoff is too near; nothing was opened"),
        (facts(succeeded=0, lost=100, openings=(Opening("held", "the calendar is closed"),)), "held", True,
         "the calendar is closed; nothing was opened"),
        (facts(succeeded=50, lost=50, openings=(DONE, Opening("late", "the cutoff is too near"))), "partial", False,
         "50 of 100 nodes done, 50 not reached; the cutoff is too near; more than the 5 % that the policy allows"),
        (facts(halted="everything was halted by ops", succeeded=100), "halted", True,
         "halted: everything was halted by ops; 100 of 100 nodes done"),
        (facts(succeeded=40, lost=60, openings=(DONE, Opening("halted", "r was halted by ops"))), "halted", False,
         "halted: r was halted by ops; 40 of 100 nodes done, 60 not reached"),
        (facts(openings=(DONE, Opening("failed", "found also i-9")), foreign=("found also i-9",)), "partial", False,
         "100 of 100 nodes done; found also i-9"),
        (facts(halted="r was halted by ops", foreign=("found also i-9",)), "halted", False,
         "halted: r was halted by ops; 100 of 100 nodes done"),
        (facts(operation="scan", extra=("i-8", "i-9")), "released", True,
         "100 of 100 nodes scanned; reached and not expected: i-8, i-9"),
        (facts(arrivals=2), "released", True, "100 of 100 nodes done; 2 unsoaked arrivals"),
        (facts(openings=(Opening("skipped", "no node of the wave needs it here"),)), "nothing", True,
         "no node of the wave needs it here"),
    ],
)  # fmt: skip
def test_what_became_of_a_release(found: Facts, outcome: str, ok: bool, line: str) -> None:
    verdict = judge(found)
    assert (verdict.outcome, verdict.ok, verdict.line) == (outcome, ok, line)


numbers = st.integers(0, 20)


@given(
    st.builds(
        Facts,
        budget=st.floats(0, 100),
        gated=st.booleans(),
        dry_run=st.booleans(),
        halted=st.none() | st.just("halted by ops"),
        refused=st.dictionaries(st.sampled_from("ab"), st.just("denied")),
        verdict=st.sampled_from([None, "open", "closed", "nothing"]),
        needs_approval=st.booleans(),
        answer=st.sampled_from([None, "Approve", "Reject"]),
        expected=numbers,
        admitted=st.none() | numbers,
        succeeded=numbers,
        failed=numbers,
        lost=numbers,
        openings=st.lists(
            st.builds(Opening, st.sampled_from(["done", "failed", "late", "halted", "held", "skipped", "waiting"]))
        ).map(tuple),
    )
)
def test_a_release_is_never_called_released_when_something_of_it_failed(found: Facts) -> None:
    verdict = judge(found)
    assert verdict.outcome in set(Outcome)
    assert verdict.line
    if verdict.outcome == Outcome.RELEASED:
        assert verdict.ok
        assert bad(found)[0] == 0
        assert not found.refused
        assert {one.state for one in found.openings} <= {"done", "skipped"}
    if verdict.ok and verdict.outcome in (Outcome.PARTIAL, Outcome.HALTED):
        failed, of = bad(found)
        assert failed * 100 <= found.budget * of
