"""What the soak ledger makes of what nodes showed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from soak_world import LINUX, OPENSSL, UBUNTU, WINDOWS, after, day_zero, demand, ledger_of, seen

from sluice.core.ledger import Entry, failing, fold, overdue, selected, waiting
from sluice.core.sighted import Sighted


def test_the_clock_of_a_version_starts_when_the_ring_before_shows_it_installed() -> None:
    rows = [seen("n1", 0, "MISSING"), seen("n1", 1, "INSTALLED", until=9)]
    before, then = ledger_of(rows, 7.99)["1"], ledger_of(rows, 8)["1"]
    assert (before.started, before.status) == (after(1), "soaking")
    assert (then.status, then.eligible, then.healthy) == ("soaked", after(8), ("n1",))


def test_production_starts_no_clock() -> None:
    assert not ledger_of([seen("prod1", 0, "INSTALLED", until=30)], 30)


def test_what_waits_for_a_reboot_does_not_soak_and_is_listed_at_once() -> None:
    entry = ledger_of([seen("n1", 0, "INSTALLED_PENDING_REBOOT", until=20)], 20)["1"]
    assert (entry.status, entry.started, entry.pending) == ("pending reboot", None, ("n1",))
    assert overdue(entry, demand().ring, after(20))


def waits(days: float, version: str = "1", *, node: str = "n1", installed: float | None = 1, **more: Any) -> Sighted:
    """A row of a node whose install AWS counts as waiting for a reboot."""
    when = None if installed is None else after(installed)
    return seen(node, days, "INSTALLED_PENDING_REBOOT", version, installed=when, **more)


def test_what_aws_counts_as_waiting_soaks_from_when_the_operating_system_needed_no_reboot() -> None:
    rows = [seen("n1", 0, "MISSING"), waits(1.1), waits(2.1, needless=True), waits(3, until=20)]
    entry = ledger_of(rows, 9)["1"]
    assert (entry.status, entry.started, entry.healthy, entry.pending) == ("soaking", after(2.1), ("n1",), ())
    assert ledger_of(rows, 9.2)["1"].soaked


def test_a_title_that_the_node_was_not_offered_before_it_installed_may_be_a_newer_ones() -> None:
    rows = [seen("n1", 0, "MISSING", "1"), waits(1.1, "2", needless=True, until=20)]
    assert ledger_of(rows, 20)["2"].status == "pending reboot"


def test_a_newer_title_later_takes_nothing_from_the_version_that_soaks_and_gets_nothing_of_it() -> None:
    rows = [seen("n1", 0, "MISSING"), waits(1.1, needless=True), waits(5, "2", until=20)]
    entries = ledger_of(rows, 20)
    assert (entries["1"].started, entries["1"].soaked) == (after(1.1), True)
    assert entries["2"].started is None
    again = [*rows[:2], waits(5, "2"), waits(6.1, "2", installed=6, needless=True, until=20)]
    assert ledger_of(again, 20)["2"].started == after(6.1)


def test_what_no_rule_fits_waits_on_as_nothing_would_show_that_it_was_put_back() -> None:
    rows = [seen("n1", 0, "INSTALLED_OTHER"), waits(1.1, needless=True), seen("n1", 5, "INSTALLED_OTHER", until=20)]
    assert ledger_of(rows, 20)["1"].started is None
    apt = [replace(row, product=UBUNTU) for row in rows]
    assert ledger_of(apt, 20, UBUNTU)["1"].soaked, "apt tells what is installed"


def test_what_is_installed_anew_has_to_be_asked_for_anew() -> None:
    rows = [seen("n1", 0, "MISSING"), waits(1.1, needless=True), waits(5, installed=4.9, until=20)]
    assert ledger_of(rows, 20)["1"].status == "pending reboot"


def test_what_another_ring_was_offered_says_nothing_of_what_it_installed() -> None:
    elsewhere = seen("n1", 0, "MISSING", ring="prod")
    rows = [elsewhere, waits(1.1, ring="prod"), waits(2.1, needless=True, until=20)]
    assert ledger_of(rows, 20)["1"].status == "pending reboot"


def test_apt_says_no_time_of_an_install_and_the_releases_own_is_known() -> None:
    apt = {"product": UBUNTU, "installed": None}
    offered = seen("n1", 0, "MISSING", product=UBUNTU, release="scan")
    own = waits(1.1, needless=True, until=20, release="install", **apt)
    assert ledger_of([offered, own], 20, UBUNTU)["1"].started == after(1.1)
    assert ledger_of([own], 20, UBUNTU)["1"].started is None
    rpm = [seen("n1", 0, "MISSING", release="scan"), waits(1.1, installed=None, needless=True, until=20)]
    assert ledger_of(rpm, 20)["1"].started is None


def test_a_kb_is_the_patch_whatever_the_title() -> None:
    kb = {"product": WINDOWS, "patch": "KB5060531"}
    rows = [waits(1.1, needless=True, until=20, **kb)]
    (entry,) = fold([*day_zero("n1"), *rows], WINDOWS, demand(), after(20))[:1]
    assert (entry.id, entry.status) == ("KB5060531", "soaked")


def test_a_newer_version_has_its_own_clock_and_the_older_ones_runs_on() -> None:
    rows = [seen("n1", 0, "INSTALLED", "1"), seen("n1", 5, "INSTALLED", "2", until=20)]
    day_8, day_12 = ledger_of(rows, 8), ledger_of(rows, 12)
    assert [entry.title for entry in selected(list(day_8.values()))] == [f"{OPENSSL}:1"]
    assert day_8["2"].status == "soaking"
    assert [entry.title for entry in selected(list(day_12.values()))] == [f"{OPENSSL}:2"]
    assert day_8["1"].followed_by == (f"{OPENSSL}:2",)


def test_a_version_that_a_node_was_put_back_from_has_not_soaked_there() -> None:
    rows = [
        seen("n1", 0, "INSTALLED", "1"),
        seen("n1", 5, "INSTALLED", "2", until=6),
        seen("n1", 7, "INSTALLED", "1", until=30),
    ]
    entries = ledger_of(rows, 20)
    assert entries["2"].started is None
    assert entries["1"].soaked
    assert selected(list(entries.values())) == (entries["1"],)


def test_a_version_that_comes_back_after_another_one_starts_anew() -> None:
    rows = [
        seen("n1", 0, "MISSING", "2"),
        seen("n1", 1, "INSTALLED", "2", until=4),
        seen("n1", 5, "INSTALLED", "1", until=8),  # first seen after it, whatever its number says
        seen("n1", 9, "INSTALLED", "2", until=12),
    ]
    entry = ledger_of(rows, 12)["2"]
    assert (entry.status, entry.started) == ("soaking", after(9))


def test_an_older_one_that_waits_for_its_reboot_has_taken_the_newer_ones_place() -> None:
    rows = [
        seen("n1", 0, "INSTALLED", "1"),
        seen("n1", 1, "INSTALLED", "2", until=4),
        seen("n1", 5, "INSTALLED_PENDING_REBOOT", "1", until=12),
    ]
    assert ledger_of(rows, 12)["2"].started is None


def test_a_node_that_shows_an_older_one_missing_has_lost_the_newer_one() -> None:
    rows = [seen("n2", 0, "MISSING", "1"), seen("n1", 1, "INSTALLED", "2"), seen("n1", 5, "MISSING", "1", until=20)]
    assert ledger_of(rows, 20)["2"].started is None


def test_it_is_void_when_it_fails_on_more_than_the_ring_allows_and_scans_do_not_heal_it() -> None:
    rows = [
        seen("n1", 0, "INSTALLED", until=20),
        seen("n2", 0, "FAILED"),
        seen("n2", 1, "MISSING", until=20),
    ]
    entry = ledger_of(rows, 20)["1"]
    assert (entry.status, entry.failed) == ("void", ("n2",))
    assert ledger_of(rows, 20, max_failure_percent=50.0)["1"].soaked
    repaired = [*rows, seen("n2", 2, "INSTALLED", until=20)]
    assert ledger_of(repaired, 20)["1"].soaked


def test_a_failure_is_outvoted_by_nodes_that_tried_the_version_not_by_those_that_may_wait_with_an_older_one() -> None:
    tried = [seen("n1", 0, "MISSING", "2"), seen("n1", 1.1, "INSTALLED", "2", until=20)]
    failed = [seen("n2", 0, "MISSING", "2"), seen("n2", 1.1, "FAILED", "2"), seen("n2", 2, "MISSING", "2", until=20)]

    def with_third(*third: Sighted) -> Entry:
        return ledger_of([*tried, *failed, *third], 20, max_failure_percent=34.0)["2"]

    older = waits(0, "2", node="n3", installed=-5)
    entry = with_third(replace(older, until=after(20)))
    assert (entry.status, entry.failed, entry.pending) == ("pending reboot", ("n2",), ("n3",))
    assert overdue(entry, demand().ring, after(20)), "somebody has to look"
    assert with_third(older, seen("n3", 3, "MISSING", "2", until=20)).status == "void", "it had not tried it"
    assert with_third(older, seen("n3", 3, "INSTALLED", "2", until=20)).soaked, "it had it"
    assert with_third(older, waits(1.1, "2", node="n3", installed=1, until=20)).soaked, (
        "it installed what it was offered"
    )


def test_apts_later_scans_do_not_say_that_a_node_that_waits_tried_the_version() -> None:
    tried = [seen("n1", 0, "MISSING", "2"), seen("n1", 1.1, "INSTALLED", "2", until=20)]
    failed = [seen("n2", 1.1, "FAILED", "2"), seen("n2", 2, "MISSING", "2", until=20)]
    third = [waits(day, "2", node="n3", installed=None, release=f"scan {day}") for day in (0, 3)]
    rows = [replace(row, product=UBUNTU) for row in (*tried, *failed, *third)]
    assert ledger_of(rows, 20, UBUNTU, max_failure_percent=34.0)["2"].status == "pending reboot"


def test_enough_nodes_are_needed() -> None:
    rows = [seen("n1", 0, "INSTALLED", until=20), seen("n2", 3, "INSTALLED", until=20)]
    assert ledger_of(rows, 20, min_nodes=2)["1"].started == after(3)
    assert ledger_of(rows, 20, min_nodes=3)["1"].status == "too few nodes"


def test_a_title_that_nobody_installed_starts_no_clock() -> None:
    """dnf shows the newest version that it knows of what is installed beside the baseline."""
    assert ledger_of([seen("n1", 0, "INSTALLED_OTHER", "2", until=30)], 30) == {}
    rows = [seen("n1", 0, "INSTALLED_OTHER", "2", until=30, product=UBUNTU)]
    assert ledger_of(rows, 30, UBUNTU)["2"].soaked


def test_a_node_that_is_gone_counts_for_as_long_as_it_was_looked_at() -> None:
    def entry(last: float) -> str:
        rows = [seen("n1", 0, "INSTALLED", until=last)]
        entries = fold([*day_zero(), *rows], LINUX, demand(), after(30))
        return next(entry.status for entry in entries if entry.id == OPENSSL)

    assert entry(1) != "soaked"
    assert entry(5.4) != "soaked"
    assert entry(5.5) == "soaked"  # and for the 36 hours for which evidence is fresh


def test_where_nothing_else_is_said_nodes_count_for_a_day_and_a_half_after_the_last_look() -> None:
    assert demand().allowance == timedelta(hours=36)


def test_what_the_very_first_release_sees_counts_since_its_installed_time() -> None:
    first = [seen("n1", 0, "INSTALLED", until=1, installed=after(-30))]
    (entry,) = fold(first, LINUX, demand(), after(0.1))
    assert (entry.started, entry.soaked) == (after(-30), True)
    later = [*day_zero("n1"), *first]
    assert next(e for e in fold(later, LINUX, demand(), after(0.1)) if e.id == OPENSSL).started == after(0)


def test_a_kb_that_is_issued_again_starts_anew_where_it_is_offered_anew() -> None:
    kb = {"product": WINDOWS, "patch": "KB5060531"}
    rows = [seen("n1", 0, "INSTALLED", until=30, installed=after(0), **kb)]
    base = [*day_zero("n1"), *rows]
    (entry,) = fold(base, WINDOWS, demand(), after(20), {})
    assert entry.soaked
    (again,) = fold(base, WINDOWS, demand(), after(20), {"KB5060531": after(10)})
    assert (again.status, again.started) == ("re-issued", None)
    anew = [seen("n2", 12, "INSTALLED", until=30, installed=after(12), **kb)]
    (third,) = fold([*base, *anew], WINDOWS, demand(), after(20), {"KB5060531": after(10)})
    assert third.started == after(12)


def test_what_a_repository_has_dropped_is_withdrawn() -> None:
    rows = [
        seen("n1", 0, "INSTALLED", "1", until=30),
        seen("n2", 0, "INSTALLED", "1"),
        seen("n3", 1, "INSTALLED", "2", until=30),
        seen("n2", 2, "MISSING", "2", until=4),
        seen("n2", 5, "INSTALLED", "1", until=30),
    ]
    entries = ledger_of(rows, 20)
    assert entries["2"].status == "withdrawn"
    assert [entry.title for entry in selected(list(entries.values()))] == [f"{OPENSSL}:1"]


def test_nothing_starves_silently() -> None:
    entry = ledger_of([seen("n1", 0, "MISSING", until=40)], 40)["1"]
    assert entry.status == "not installed"
    assert waiting([entry]) == (entry,)
    assert overdue(entry, demand().ring, after(31))
    assert not overdue(entry, demand().ring, after(29))


def test_of_several_severities_the_one_that_soaks_longest_counts() -> None:
    from sluice.core.policy.rings import Soak

    soak = Soak.model_validate({"days": 7, "critical": 2, "low": 14})
    rows = [seen("n1", 0, "INSTALLED", severity="Critical", until=30)]
    assert ledger_of(rows, 3, soak=soak)["1"].soaked
    mixed = [*rows, seen("n2", 0, "INSTALLED", severity="Low", until=30)]
    assert (ledger_of(mixed, 10, soak=soak)["1"].days, ledger_of(mixed, 10, soak=soak)["1"].soaked) == (14, False)


def test_the_future_is_not_known() -> None:
    rows = [seen("n1", 0, "INSTALLED", until=30), seen("n2", 10, "FAILED")]
    assert ledger_of(rows, 8)["1"].soaked


@pytest.mark.parametrize("order", ["forward", "backward"])
def test_the_order_of_the_rows_does_not_matter(order: str) -> None:
    rows = [seen("n1", 0, "INSTALLED", "1"), seen("n1", 5, "INSTALLED", "2", until=20), seen("n2", 1, "FAILED", "1")]
    assert ledger_of(rows if order == "forward" else rows[::-1], 20) == ledger_of(rows, 20)


def test_rows_in_a_row_say_the_same_as_one_that_lasts() -> None:
    one = [seen("n1", 1, "INSTALLED", until=20)]
    many = [seen("n1", day, "INSTALLED") for day in range(1, 21)]
    assert ledger_of(one, 20) == ledger_of(many, 20)


def test_a_failure_is_told_until_it_is_repaired() -> None:
    rows = [seen("n1", 0, "FAILED"), seen("n1", 1, "MISSING")]
    assert failing(rows, after(2)) == {"n1": (f"{OPENSSL}:1",)}
    assert failing([*rows, seen("n1", 2, "INSTALLED", "2")], after(2)) == {}
    assert failing(rows, after(-1)) == {}


def test_a_version_that_failed_and_was_withdrawn_fails_nobody_any_more() -> None:
    failed = [seen("n1", 0, "FAILED"), seen("n1", 1, "MISSING", until=2)]
    looked_since = seen("n1", 3, "INSTALLED_OTHER", "0", until=9)
    assert failing([*failed, looked_since], after(9)) == {}
    assert failing([*failed, looked_since], after(2)) == {"n1": (f"{OPENSSL}:1",)}
    offered_again = seen("n1", 10, "MISSING", until=11)
    assert failing([*failed, looked_since, offered_again], after(11)) == {"n1": (f"{OPENSSL}:1",)}


def test_a_retagged_node_stops_counting_for_its_old_ring() -> None:
    rows = [seen("n1", 0, "INSTALLED", until=1), seen("n1", 2, "INSTALLED", until=30, ring="prod", group="prod-linux")]
    entries = fold([*day_zero(), *rows], LINUX, demand(), after(30))
    assert {entry.id: entry.soaked for entry in entries} == {OPENSSL: False, "tzdata.noarch": True}


def test_the_time_that_a_node_was_another_rings_does_not_count() -> None:
    rows = [
        seen("n1", 0, "INSTALLED", until=3),
        seen("n1", 4, "INSTALLED", until=5, ring="prod", group="prod-linux"),
        seen("n1", 6, "INSTALLED", until=30),
    ]
    assert ledger_of(rows, 12)["1"].started == after(6)


def test_what_a_node_does_not_show_any_more_it_has_no_more() -> None:
    kb = {"product": WINDOWS, "patch": "KB5060531"}
    other = {"product": WINDOWS, "patch": "KB5050000"}
    rows = [seen("n1", 0, "INSTALLED", until=2, **kb), seen("n1", 0, "INSTALLED", until=20, **other)]
    entries = fold([*day_zero(), *rows], WINDOWS, demand(), after(20))
    assert {entry.id: entry.soaked for entry in entries} == {"KB5050000": True, "KB5060531": False}
    back = [*rows, seen("n1", 10, "NOT_APPLICABLE", **kb), seen("n1", 15, "INSTALLED", until=20, **kb)]
    entries = fold([*day_zero(), *back], WINDOWS, demand(), after(20))
    assert {entry.id: entry.started for entry in entries} == {"KB5050000": after(0), "KB5060531": after(15)}


def test_what_vanishes_from_production_is_none_of_the_ledgers_business() -> None:
    rows = [
        seen("prod1", 0, "INSTALLED", until=2),
        seen("prod1", 0, "INSTALLED", until=20, patch="bash.x86_64"),
        seen("n1", 0, "INSTALLED", until=20),
    ]
    assert ledger_of(rows, 20)["1"].soaked
