"""A window is one release's at a time, and its token only grows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.core.errors import LeasedError
from sluice.core.lease import Lease, acquired, released

START = datetime(2025, 6, 2, 3, tzinfo=UTC)
LATER = START + timedelta(hours=4)


def test_another_release_is_refused_by_name_while_a_lease_is_held() -> None:
    lease = acquired(None, "install-prod", "r1", now=START, expires=LATER)
    with pytest.raises(LeasedError, match=r"install-prod.*r1 until 2025-06-02 07:00 UTC"):
        acquired(lease, "install-prod", "r2", now=LATER - timedelta(seconds=1), expires=LATER)


def test_a_lease_that_ran_out_or_was_given_back_is_anybodys() -> None:
    lease = acquired(None, "install-prod", "r1", now=START, expires=LATER)
    assert acquired(lease, "install-prod", "r2", now=LATER, expires=LATER + timedelta(hours=1)).owner == "r2"
    assert acquired(released(lease), "install-prod", "r2", now=START, expires=LATER).owner == "r2"


def test_the_owner_takes_its_own_again_under_a_new_token_and_never_for_less_long() -> None:
    first = acquired(None, "install-prod", "r1", now=START, expires=LATER)
    again = acquired(first, "install-prod", "r1", now=START, expires=START + timedelta(minutes=1))
    assert (again.owner, again.token, again.expires) == ("r1", 2, LATER)


@given(
    st.lists(
        st.tuples(st.sampled_from(["r1", "r2"]), st.sampled_from(["acquire", "release"]), st.integers(0, 10)),
        max_size=30,
    )
)
def test_whatever_happens_no_token_is_given_twice(history: list[tuple[str, str, int]]) -> None:
    lease, now, tokens = None, START, set()
    for owner, act, minutes in history:
        now += timedelta(minutes=minutes)
        if act == "release":
            lease = released(lease) if lease else None
            continue
        try:
            lease = acquired(lease, "w", owner, now=now, expires=now + timedelta(minutes=15))
        except LeasedError:
            assert lease is not None
            assert lease.owner not in {None, owner}
        else:
            assert lease.token not in tokens
            tokens.add(lease.token)


def test_a_lease_survives_json() -> None:
    lease = Lease("install-prod", None, 7, LATER)
    assert Lease.of_json(lease.as_json()) == lease
