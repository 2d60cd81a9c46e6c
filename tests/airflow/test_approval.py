"""Whose approval counts."""

from __future__ import annotations

import pytest

from sluice_airflow.approval import objection_to

ALICE = {"id": "7", "name": "alice"}


def test_somebody_elses_approval_counts() -> None:
    assert objection_to(ALICE, "bob") is None


@pytest.mark.parametrize("requester", ["alice", "7"])
def test_the_requesters_own_does_not_count(requester: str) -> None:
    assert "asked for this run and approved it" in str(objection_to(ALICE, requester))


@pytest.mark.parametrize("requester", [None, ""])
def test_without_a_known_requester_no_approval_counts(requester: str | None) -> None:
    assert "not known" in str(objection_to(ALICE, requester))


@pytest.mark.parametrize("approver", [None, {}, {"id": "", "name": None}])
def test_nobodys_approval_does_not_count(approver: dict[str, str] | None) -> None:
    assert "nobody" in str(objection_to(approver, "bob"))


@pytest.mark.parametrize("approvers", [("alice",), ("7", "carol")])
def test_an_approver_of_the_policy_counts_by_name_or_id(approvers: tuple[str, ...]) -> None:
    assert objection_to(ALICE, "bob", approvers) is None


def test_where_the_policy_names_approvers_nobody_else_counts() -> None:
    assert "found one by 7, alice" in str(objection_to(ALICE, "bob", ("carol",)))
