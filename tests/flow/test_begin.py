"""A run is begun once, whatever retries it."""

from __future__ import annotations

import re

import pytest
from flow_world import HERE, NONPROD, at, run_of

from lab.testing import LabHandle
from sluice.core.errors import ReleaseError, SluiceError
from sluice.core.policy.places import Location
from sluice.core.policy.policy import Policy


def test_every_retry_finds_the_release_that_the_first_try_began(policy: Policy, lab: LabHandle) -> None:
    first = run_of(policy, NONPROD)
    lab.advance(hours=3)
    again = run_of(policy, NONPROD)
    assert again.release == first.release
    assert first.release.occurrence == first.release.begun == lab.world.clock.now().replace(hour=0)
    assert re.fullmatch(r"install-nonprod-20250602T0000-[0-9a-f]{8}", first.release.id)


def test_what_was_asked_first_is_what_holds(policy: Policy) -> None:
    first = run_of(policy, NONPROD, at(3, 3), nodes=("i-0123456789abcdef0",))
    again = run_of(policy, NONPROD, at(4, 3))
    assert again.asked == first.asked
    assert again.release.occurrence == at(3, 3)


def test_another_run_is_another_release(policy: Policy) -> None:
    assert run_of(policy, NONPROD, at(3, 3)).release.id != run_of(policy, NONPROD, at(3, 3), run_id="r2").release.id


def test_a_window_that_the_policy_has_not_is_refused_by_name(policy: Policy) -> None:
    with pytest.raises(ReleaseError, match=r"install-nonprod.*found install-moon"):
        run_of(policy, "install-moon")


def test_where_it_happens_stays_as_it_was_whatever_locations_the_policy_gets_or_loses(policy: Policy) -> None:
    begun = run_of(policy, NONPROD, at(3, 3))
    other = Location(account="333333333333", region="eu-west-3")
    for locations in ((*policy.locations, other), (other,)):
        later = run_of(policy.model_copy(update={"locations": locations}), NONPROD, at(3, 3))
        assert later.locations == begun.locations == policy.locations
        with later.connect(HERE) as connection:
            assert connection.key == HERE


def test_a_location_that_the_policy_has_not_is_refused_before_anything_is_begun(policy: Policy) -> None:
    with pytest.raises(SluiceError, match="found 333333333333/eu-west-3"):
        run_of(policy, NONPROD, at(3, 3), locations=("333333333333/eu-west-3",))
    assert run_of(policy, NONPROD, at(3, 3)).locations == policy.locations
