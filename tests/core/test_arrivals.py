"""What came to production without a soak, and how."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from soak_world import LINUX, OPENSSL, WINDOWS, after, day_zero, seen, soak_policy, title

from sluice.core.release.arrivals import Arrival, arrivals, unanswered
from sluice.core.release.manifest import Item, Manifest
from sluice.core.sighted import Sighted

POLICY = soak_policy()
OLD = seen("prod1", 0, "INSTALLED", "1", until=9.9)


def manifest(*items: tuple[str, str], at: float = 10, product: str = LINUX) -> Manifest:
    made = tuple(Item(product, patch, text, "", "important", 7, after(1), (), "soak") for patch, text in items)
    return Manifest("r", after(at), (product,), made)


def found(row: Sighted, *before: Sighted, **more: Any) -> list[Arrival]:
    base = [seen("prod1", -20, "INSTALLED", "1", patch="tzdata.noarch", until=9.9), *day_zero(), *before]
    return list(arrivals(POLICY, [row], base, at=after(10.2), **more))


def now(version: str = "2", state: str = "INSTALLED", **more: Any) -> Sighted:
    return seen("prod1", 10.1, state, version, **{"installed": after(10.05), **more})


def test_what_was_requested_is_no_arrival() -> None:
    assert found(now(), OLD, manifest=manifest((OPENSSL, title("2"))), began=after(10)) == []


def test_what_was_there_before_is_no_arrival() -> None:
    assert found(now("1"), OLD, manifest=manifest(), began=after(10)) == []


def test_what_has_soaked_is_no_arrival_though_nobody_requested_it() -> None:
    assert found(now(), OLD, seen("n1", 1, "INSTALLED", "2", until=10)) == []


def test_what_waits_for_its_reboot_may_be_any_version_that_has_not_soaked() -> None:
    pending = now("3", "INSTALLED_PENDING_REBOOT")
    soaked = seen("n1", 1, "INSTALLED", "3", until=10)
    assert found(pending, OLD, soaked) == []
    (one,) = found(pending, OLD, soaked, seen("n2", 9, "MISSING", "2", until=10))
    assert (one.node, one.title) == ("prod1", title("3"))
    assert "this one, or an older one" in one.detail


def test_an_earlier_issue_of_a_kb_than_the_one_that_soaked_is_an_arrival() -> None:
    kb = {"patch": "KB5060531", "product": WINDOWS}
    came = seen("prod1", 10.1, "INSTALLED", installed=after(2), **kb)
    base = seen("prod1", 0, "MISSING", until=1.9, **kb)
    soaked = seen("n1", 3, "INSTALLED", installed=after(3), until=10, **kb)
    issued = {"KB5060531": after(2.5)}
    assert [one.cause for one in found(came, base, soaked, issued=issued)] == ["other patcher"]
    assert found(replace(came, installed=after(3)), base, soaked, issued=issued) == []


def test_a_dependency_is_named_with_what_the_manifest_had_instead() -> None:
    (one,) = found(now("3"), OLD, manifest=manifest((OPENSSL, title("2"))), began=after(10))
    assert (one.node, one.title, one.cause) == ("prod1", title("3"), "dependency")
    assert title("2") in one.detail
    (other,) = found(now("3"), OLD, manifest=manifest(("httpd.x86_64", "httpd.x86_64:1")), began=after(10))
    assert (other.cause, other.detail) == ("dependency", "came with what the manifest lists, which does not list it")


def test_what_came_while_no_release_installed_is_another_patchers() -> None:
    (one,) = found(now(), OLD)
    assert one.cause == "other patcher"
    (early,) = found(now(installed=after(9.95)), OLD, manifest=manifest(), began=after(10))
    assert (early.cause, "before the release opened" in early.detail) == ("other patcher", True)
    (known,) = found(now(other="association a-1"), OLD, manifest=manifest(), began=after(10))
    assert (known.cause, known.detail) == ("other patcher", "association a-1")


def test_a_kb_that_was_issued_again_after_the_manifest_is_named_though_it_was_requested() -> None:
    kb = {"product": WINDOWS, "patch": "KB5060531", "group": "prod-windows"}
    made = manifest(("KB5060531", ""), product=WINDOWS)
    assert found(now(**kb), manifest=made, began=after(10), issued={"KB5060531": after(5)}) == []
    (one,) = found(now(**kb), manifest=made, began=after(10), issued={"KB5060531": after(10.01)})
    assert one.cause == "re-issued KB"


def test_what_waits_for_its_reboot_has_come_all_the_same() -> None:
    assert found(now(state="INSTALLED_PENDING_REBOOT"), OLD, manifest=manifest(), began=after(10))


def test_a_title_that_may_lie_counts_only_when_something_came() -> None:
    old = seen("prod1", 0, "INSTALLED_OTHER", "8", until=9.9, installed=after(-50))
    same = now("9", "INSTALLED_OTHER", installed=after(-50))
    assert found(same, old, began=after(10)) == []
    assert found(same, began=after(10)) == []
    (one,) = found(now("9", "INSTALLED_OTHER"), old, manifest=manifest(), began=after(10))
    assert one.detail.endswith("AWS does not show which version it is: this one, or an older one")
    assert found(now("9", "INSTALLED_OTHER", installed=after(-20)), old)  # a newer image


def test_on_the_first_look_only_what_came_since_the_release_began_counts() -> None:
    row = seen("prod9", 10.1, "INSTALLED", "2", installed=after(-50))
    assert list(arrivals(POLICY, [row], day_zero(), at=after(10.2), manifest=manifest(), began=after(10))) == []
    new = seen("prod9", 10.1, "INSTALLED", "2", installed=after(10.05))
    assert list(arrivals(POLICY, [new], day_zero(), at=after(10.2), manifest=manifest(), began=after(10)))


def test_the_rings_before_are_none_of_its_business() -> None:
    assert list(arrivals(POLICY, [seen("n1", 10, "INSTALLED", "2")], day_zero("n1"), at=after(10.2))) == []


def test_what_was_requested_and_came_nowhere_is_named() -> None:
    made = manifest((OPENSSL, title("2")))
    missing = [now("3", "MISSING"), seen("prod2", 10.1, "MISSING", "3")]
    (one,) = unanswered(made, missing)
    assert (one.title, one.nodes) == (title("2"), ("prod1", "prod2"))
    assert unanswered(made, [*missing, seen("prod3", 10.1, "INSTALLED", "2")]) == ()
    assert unanswered(made, [now("3", "INSTALLED")]) == ()


def test_a_title_that_waited_for_a_reboot_was_not_there() -> None:
    """Version 1 waits for its reboot, and the row has the title of version 2, which is out by then."""
    waits = seen("prod1", 9, "INSTALLED_PENDING_REBOOT", "2", until=9.9, installed=after(9))
    (one,) = found(now("2"), waits, manifest=manifest(), began=after(10))
    assert one.cause == "dependency"
    (scan,) = found(now("2", installed=after(9)), waits)
    assert (scan.cause, "earlier release" in scan.detail) == ("dependency", True)


def test_what_waits_for_its_reboot_and_was_requested_is_judged_after_it() -> None:
    waits = now("3", "INSTALLED_PENDING_REBOOT")
    assert found(waits, OLD, manifest=manifest((OPENSSL, title("2"))), began=after(10)) == []
