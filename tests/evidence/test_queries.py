"""What later releases ask of the evidence, whatever wrote it and in which order."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from evidence_rows import HERE, at, patch, release
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.core.sighted import Sighted
from sluice.evidence import tables
from sluice.evidence.queries import durations, releases, sightings
from sluice.evidence.store import FolderStore, Store

JUNE = (date(2025, 6, 1), date(2025, 6, 30))
NODE, OTHER = (f"i-{number:017x}" for number in (1, 2))
OLD, NEW = "openssl-3.0.8-1.amzn2023.0.1", "openssl-3.0.8-1.amzn2023.0.2"


def shown(store: Store, **more: Any) -> list[tuple[str, str, str, datetime, datetime]]:
    """What was sighted, in order."""
    found = [(one.node, one.title, one.state, one.at, one.until) for one in sightings(store, *JUNE, **more)]
    return sorted(found, key=lambda one: (one[0], one[3], one[1]))


def scan(store: Store, day: int, *rows: dict[str, Any], window: str = "scan-daily", hour: int = 1) -> None:
    found = release(day, window, hour=hour)
    tables.write(store, "patch_states", found, HERE, [{"at": at(day, hour, 5), **row} for row in rows])


def row(node: str = NODE, state: str = "INSTALLED", title: str = NEW, **more: Any) -> dict[str, Any]:
    made = patch(node, state, title, **{"installed": None, **more})
    if "at" not in more:
        del made["at"]
    return made


def test_what_stays_as_it_was_is_one_sighting(store: Store) -> None:
    for day in (2, 3, 4):
        scan(store, day, row())
    assert shown(store) == [(NODE, NEW, "INSTALLED", at(2, 1, 5), at(4, 1, 5))]


def test_what_changed_and_changed_back_is_three(store: Store) -> None:
    for day, state in ((2, "INSTALLED"), (3, "MISSING"), (4, "INSTALLED")):
        scan(store, day, row(state=state))
    assert [(one[2], one[3], one[4]) for one in shown(store)] == [
        ("INSTALLED", at(2, 1, 5), at(2, 1, 5)),
        ("MISSING", at(3, 1, 5), at(3, 1, 5)),
        ("INSTALLED", at(4, 1, 5), at(4, 1, 5)),
    ]


def test_another_version_in_between_ends_the_first(store: Store) -> None:
    for day, title in ((2, OLD), (3, NEW), (4, OLD)):
        scan(store, day, row(title=title))
    assert [(one[1], one[3], one[4]) for one in shown(store)] == [
        (OLD, at(2, 1, 5), at(2, 1, 5)),
        (NEW, at(3, 1, 5), at(3, 1, 5)),
        (OLD, at(4, 1, 5), at(4, 1, 5)),
    ]


def test_a_day_on_which_a_node_was_not_reached_ends_nothing(store: Store) -> None:
    scan(store, 2, row(), row(OTHER))
    scan(store, 3, row(OTHER))
    scan(store, 4, row(), row(OTHER))
    assert [(one[0], one[3], one[4]) for one in shown(store)] == [
        (NODE, at(2, 1, 5), at(4, 1, 5)),
        (OTHER, at(2, 1, 5), at(4, 1, 5)),
    ]


def test_several_releases_a_day_are_read_in_the_order_of_their_looks_not_of_their_names(store: Store) -> None:
    scan(store, 2, row(state="MISSING"))
    scan(store, 2, row(state="INSTALLED"), window="install-nonprod", hour=3)
    scan(store, 3, row(state="INSTALLED"))
    assert [(one[2], one[3], one[4]) for one in shown(store)] == [
        ("MISSING", at(2, 1, 5), at(2, 1, 5)),
        ("INSTALLED", at(2, 3, 5), at(3, 1, 5)),
    ]


def test_a_look_that_a_later_release_found_again_is_not_another_look(store: Store) -> None:
    scan(store, 2, row())
    scan(store, 2, row(at=at(2, 1, 5), ours=False, kind="install"), window="install-nonprod", hour=3)
    scan(store, 3, row(at=at(2, 1, 5), ours=False))
    (found,) = sightings(store, *JUNE)
    assert (found.at, found.until, found.release, found.kind) == (at(2, 1, 5), at(2, 1, 5), release(2).id, "scan")


def test_one_asks_for_rings(store: Store) -> None:
    scan(store, 2, row(), row(OTHER, ring="prod"))
    assert [one[0] for one in shown(store, rings=["prod"])] == [OTHER]
    assert shown(store, rings=["moon"]) == []


def test_what_a_state_said_comes_back_whole(store: Store) -> None:
    scan(store, 2, row(installed=at(1, 3), other="unattended-upgrades"))
    (found,) = sightings(store, *JUNE)
    assert found == Sighted(
        node=NODE, location=HERE, ring="nonprod", group="nonprod-linux", role="web", product="AMAZON_LINUX_2023",
        id="openssl.x86_64", title=NEW, classification="Security", severity="Important", state="INSTALLED",
        installed=at(1, 3), at=at(2, 1, 5), until=at(2, 1, 5), release=release(2).id, kind="scan",
        other="unattended-upgrades",
    )  # fmt: skip


looks = st.lists(
    st.tuples(
        st.integers(2, 6),  # day
        st.sampled_from(["scan-daily", "install-nonprod", "other"]),
        st.integers(0, 3),  # hours between the look and the day's beginning
        st.dictionaries(
            st.tuples(st.sampled_from([NODE, OTHER]), st.sampled_from([OLD, NEW, "curl-1"])),
            st.sampled_from(["INSTALLED", "MISSING", "FAILED"]),
            min_size=1,
        ),
    ),
    max_size=9,
    unique_by=lambda one: one[:2],
)


@settings(deadline=None, max_examples=50)  # each writes files
@given(looks)
def test_the_runs_are_those_of_a_plain_reading(tmp_path_factory: pytest.TempPathFactory, looks: list[Any]) -> None:
    store = FolderStore(tmp_path_factory.mktemp("looks"))
    told: dict[tuple[str, datetime], dict[str, str]] = {}
    for day, window, hours, states in sorted(looks, key=lambda one: (one[0], one[1])):
        when = at(day) + timedelta(hours=hours)
        fresh = {key: state for key, state in states.items() if (key[0], when) not in told}
        for (node, title), state in fresh.items():
            told.setdefault((node, when), {})[title] = state
        scan(store, day, *(row(node, state, title, at=when) for (node, title), state in states.items()), window=window)
    expected: list[tuple[str, str, str, datetime, datetime]] = []
    going_on: dict[str, dict[str, tuple[str, datetime, datetime]]] = defaultdict(dict)
    for (node, when), patches in sorted(told.items(), key=lambda one: one[0][1]):
        before = going_on[node]
        now = {
            title: (state, before[title][1] if title in before and before[title][0] == state else when, when)
            for title, state in patches.items()
        }
        expected += [
            (node, title, *was) for title, was in before.items() if title not in now or now[title][0] != was[0]
        ]
        going_on[node] = now
    expected += [(node, title, *was) for node, own in going_on.items() for title, was in own.items()]
    assert shown(store) == sorted(expected, key=lambda one: (one[0], one[3], one[1]))


def invocation(node: str, seconds: float | None, **more: Any) -> dict[str, Any]:
    return {
        "location": HERE, "wave": 1, "kind": "install", "execution": "e", "slot": "nonprod-linux-amazon", "node": node,
        "command": "c", "status": "Success", "seconds": seconds, **more,
    }  # fmt: skip


def test_durations_are_of_the_invocations_that_ended_on_their_node(store: Store) -> None:
    rows = [invocation(f"i-{number:017x}", 10.0 * number) for number in range(1, 21)]
    rows += [
        invocation("i-1", 9000.0, status="TimedOut"),
        invocation("i-2", None),
        invocation("i-3", 9000.0, kind="scan"),
        invocation("i-4", 7.0, slot="nonprod-windows-2019"),
    ]
    tables.write(store, "command_invocations", release(2, "install-nonprod"), HERE, rows)
    tables.write(store, "command_invocations", release(2, "other"), HERE, [invocation("i-5", 9000.0)])
    found = durations(store, "install-nonprod", *JUNE)
    assert list(found) == ["nonprod-linux-amazon", "nonprod-windows-2019"]
    linux = found["nonprod-linux-amazon"]
    assert (linux.invocations, linux.median, linux.high, linux.longest) == (20, 105.0, 200.0, 200.0)
    assert durations(store, "never-ran", *JUNE) == {}


def test_releases_are_those_that_were_reported_in_the_order_of_their_occurrence(store: Store) -> None:
    counts = dict.fromkeys(("expected", "admitted", "succeeded", "failed", "pending_reboot", "missed"), 3)
    for day, outcome in ((9, "held"), (2, "released")):
        made = release(day, "install-prod-linux", hour=3)
        told = {
            "dag_id": made.dag_id, "run_id": made.run_id, "operation": "install", "gated": True, "begun": made.begun,
            "reported": at(day, 6), "outcome": outcome, "ok": True, "line": f"{outcome}.",
        }  # fmt: skip
        tables.write(store, "releases", made, "release", [{**told, **counts}])
    found = releases(store, *JUNE, window="install-prod-linux")
    assert [(one.release, one.outcome) for one in found] == [
        (release(2, "install-prod-linux", hour=3).id, "released"),
        (release(9, "install-prod-linux", hour=3).id, "held"),
    ]
    assert releases(store, date(2025, 6, 3), date(2025, 6, 8)) == ()
