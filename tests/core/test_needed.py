"""Whether a release has anything to bring: a node that has what is requested needs nothing."""

from __future__ import annotations

import pytest
from soak_world import LINUX, OPENSSL, WINDOWS, after, seen, title

from sluice.core.release.manifest import Item, Manifest
from sluice.core.release.needed import may_lack
from sluice.core.sighted import Sighted

KB = "KB5060531"


def manifest(*items: tuple[str, str, str]) -> Manifest:
    made = tuple(Item(*item, "Security", "important", 7, after(0), ("n1",), "soak") for item in items)
    return Manifest("r", after(10), (LINUX, WINDOWS), made)


def lacking(*rows: Sighted, product: str = LINUX, since: float = 8) -> tuple[str, ...]:
    made = manifest((LINUX, OPENSSL, title("2")), (WINDOWS, KB, ""))
    return may_lack(made, {"prod1": product}, rows, after(since))


def test_a_node_that_shows_each_version_installed_needs_nothing() -> None:
    assert lacking(seen("prod1", 9, "INSTALLED", "2")) == ()
    assert lacking(seen("prod1", 1, "MISSING", "2"), seen("prod1", 9, "INSTALLED", "2")) == ()


def test_a_node_without_the_package_needs_nothing() -> None:
    assert lacking(seen("prod1", 9, "INSTALLED", "1", patch="bash.x86_64")) == ()


@pytest.mark.parametrize(
    "row",
    [
        seen("prod1", 9, "MISSING", "2"),
        seen("prod1", 9, "FAILED", "2"),
        seen("prod1", 9, "INSTALLED_PENDING_REBOOT", "2"),
        seen("prod1", 9, "INSTALLED", "1"),
        seen("prod1", 9, "MISSING", "3"),
        seen("prod1", 9, "INSTALLED_OTHER", "2"),
    ],
    ids=lambda row: f"{row.state} {row.title}",
)
def test_what_is_not_surely_there_may_be_lacking(row: Sighted) -> None:
    assert lacking(row) == ("prod1",)


def test_a_node_that_nobody_has_looked_at_lately_may_lack_anything() -> None:
    assert lacking() == ("prod1",)
    assert lacking(seen("prod1", 7, "INSTALLED", "2")) == ("prod1",)
    assert lacking(seen("prod1", 7, "INSTALLED", "2", until=9)) == ()


def test_only_the_last_look_counts() -> None:
    assert lacking(seen("prod1", 8, "INSTALLED", "2"), seen("prod1", 9, "MISSING", "2")) == ("prod1",)


def test_a_kb_is_needed_unless_it_is_installed_or_does_not_apply() -> None:
    def row(state: str) -> Sighted:
        return seen("prod1", 9, state, patch=KB, product=WINDOWS)

    assert lacking(row("MISSING"), product=WINDOWS) == ("prod1",)
    assert lacking(row("NOT_APPLICABLE"), product=WINDOWS) == ()
    assert lacking(row("INSTALLED"), product=WINDOWS) == ()
    assert lacking(row("INSTALLED_OTHER"), product=WINDOWS) == ()


def test_a_patch_of_another_product_is_none_of_a_nodes() -> None:
    assert lacking(seen("prod1", 9, "MISSING", patch=KB)) == ()
