"""What is installed on a node: one object per content."""

from __future__ import annotations

import gc

from hypothesis import given
from hypothesis import strategies as st

from lab.evaluate import Evr
from lab.package_state import PackageState

EVRS = st.builds(Evr, st.integers(0, 2), st.sampled_from(["1.0", "2.0"]), st.sampled_from(["", "1"]))
CONTENTS = st.dictionaries(st.sampled_from(["a.x86_64", "b.noarch", "KB1"]), EVRS | st.just(True))


@given(CONTENTS, CONTENTS)
def test_two_states_are_one_object_exactly_when_their_content_is_the_same(a: dict, b: dict) -> None:
    assert (PackageState.of(a) is PackageState.of(dict(reversed(b.items())))) == (a == b)


@given(CONTENTS, CONTENTS)
def test_an_installation_changes_what_it_brings_and_nothing_else(before: dict, brought: dict) -> None:
    state = PackageState.of(before)
    assert dict(state.with_installed(brought).items()) == {**before, **brought}
    assert dict(state.items()) == before


def test_a_kb_is_installed_without_a_version() -> None:
    state = PackageState.of({}).with_installed({"KB1": None})
    assert state.get("KB1") is True
    assert state.get("KB2") is None
    assert ("KB1" in state, len(state), list(state)) == (True, 1, ["KB1"])


def test_states_that_no_node_has_any_more_are_forgotten() -> None:
    content = {"only-here.noarch": Evr(0, "1", "1")}
    state = PackageState.of(content)
    known = PackageState._known
    assert frozenset(content.items()) in known
    del state
    gc.collect()
    assert frozenset(content.items()) not in known
