"""What a production release requests, and what it does not."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from soak_world import LINUX, OPENSSL, WINDOWS, after, day_zero, seen, soak_policy, title

from sluice.core.policy.policy import Policy
from sluice.core.release.manifest import Manifest, file_name
from sluice.core.release.manifest_build import Known, build
from sluice.core.release.recall import Recall
from sluice.core.release.terms import Asked
from sluice.core.sighted import Sighted

SOAKED = [seen("n1", 0, "INSTALLED", "1", until=30)]


def made(
    rows: list[Sighted],
    at: float = 10,
    policy: Policy | None = None,
    *,
    window: int = 0,
    recalls: tuple[Recall, ...] = (),
    issued: dict[str, Any] | None = None,
    **asked: Any,
) -> Manifest:
    policy = policy or soak_policy()
    moment = after(at)
    base = [row for row in day_zero(*{row.node for row in rows}) if not row.node.startswith("prod")]
    known = Known((*base, *rows), recalls, issued)
    return build(
        policy,
        policy.windows[window],
        release="r",
        at=moment,
        day=moment.date(),
        asked=Asked(**asked),
        known=known,
    )


def requested(manifest: Manifest) -> list[str]:
    return [item.title or item.id for item in manifest.items if item.id != "tzdata.noarch"]


def test_it_lists_exact_titles_quoted_of_everything_that_has_soaked() -> None:
    manifest = made(SOAKED)
    text = manifest.override_list(LINUX)
    assert text is not None
    assert yaml.safe_load(text)["patches"] == [
        {"id": OPENSSL, "title": title("1")},
        {"id": "tzdata.noarch", "title": "tzdata.noarch:1"},
    ]
    assert f'"{title("1")}"' in text


def test_each_item_has_its_evidence() -> None:
    item = next(item for item in made(SOAKED).items if item.id == OPENSSL)
    assert (item.started, item.days, item.nodes, item.severity) == (after(0), 7, ("n1",), "important")
    assert item.covered == "soak"


def test_what_has_not_soaked_is_not_listed_but_waits_with_its_reason() -> None:
    manifest = made(SOAKED, at=6)
    assert requested(manifest) == []
    assert [(one.id, one.status, one.eligible) for one in manifest.waits] == [(OPENSSL, "soaking", after(7))]


def test_a_product_without_anything_has_no_list() -> None:
    manifest = made([], policy=soak_policy(), window=1)
    assert manifest.products == (WINDOWS,)
    assert manifest.override_list(WINDOWS) is None
    assert manifest.digests() == {}


def test_windows_items_name_the_kb_alone() -> None:
    kb = {"product": WINDOWS, "patch": "KB5060531", "classification": "SecurityUpdates", "group": "nonprod-windows"}
    manifest = made([seen("n1", 0, "INSTALLED", until=30, **kb)], window=1)
    assert yaml.safe_load(str(manifest.override_list(WINDOWS)))["patches"] == [{"id": "KB5060531"}]


@pytest.mark.parametrize("word", ["openssl", OPENSSL, title("1"), title("1").upper()])
def test_what_is_recalled_is_struck_by_whatever_name(word: str) -> None:
    recall = Recall(word, "it loses data", "ops", after(9))
    manifest = made(SOAKED, recalls=(recall,))
    assert requested(manifest) == []
    assert [one.because for one in manifest.struck] == [f"{word} is recalled by ops: it loses data"]
    assert requested(made(SOAKED, recalls=(recall.lift("ops", after(9)),))) == [title("1")]


def test_where_a_version_is_recalled_the_older_one_that_soaked_takes_its_place() -> None:
    rows = [seen("n1", 0, "INSTALLED", "1"), seen("n1", 1, "INSTALLED", "2", until=30)]
    assert requested(made(rows, 12)) == [title("2")]
    assert requested(made(rows, 12, recalls=(Recall(title("2"), "bad", "ops", after(9)),))) == [title("1")]


def test_a_manifest_knows_which_recalls_hold_for_it() -> None:
    manifest = made(SOAKED)
    assert manifest.recalled([Recall("openssl", "x", "ops", after(9))])
    assert not manifest.recalled([Recall("openssh", "x", "ops", after(9)), Recall("KB5060531", "x", "ops", after(9))])


def test_what_the_production_baseline_rejects_or_would_never_approve_is_struck() -> None:
    policy = soak_policy()
    rejecting = [
        {**baseline.model_dump(by_alias=True, exclude_unset=True), "rejected": "openssl"}
        if baseline.name == "prod-linux"
        else baseline
        for baseline in policy.baselines
    ]
    manifest = made(SOAKED, policy=soak_policy(baselines=rejecting))
    assert [one.because for one in manifest.struck] == ["baseline prod-linux rejects it"]
    bugfix = [seen("n1", 0, "INSTALLED", "1", until=30, classification="Bugfix")]
    assert [one.because for one in made(bugfix).struck] == ["no rule of baseline prod-linux fits it"]


def test_a_title_that_nodes_would_read_as_a_pattern_is_never_listed() -> None:
    manifest = made([seen("n1", 0, "INSTALLED", "1*", until=30)])
    assert requested(manifest) == []
    assert "wildcard" in manifest.struck[0].because


def test_an_expedite_takes_what_nodes_are_offered_and_names_who_asked() -> None:
    rows = [seen("prod1", 9, "MISSING", "2", until=30)]
    manifest = made(rows, expedite=("openssl", "nothing.x86_64"), by="ann", because="KEV")
    (item,) = (item for item in manifest.items if item.id == OPENSSL)
    assert (item.title, item.covered, item.by, item.because, item.started) == (
        title("2"),
        "expedite",
        "ann",
        "KEV",
        None,
    )
    assert manifest.not_found == ("nothing.x86_64",)


def test_an_expedite_requests_one_version_of_a_package_the_newest_that_nodes_are_offered() -> None:
    rows = [
        seen("n1", 0, "INSTALLED", "1", until=30),
        seen("prod1", 9, "MISSING", "2", until=30),
        seen("prod2", 2, "INSTALLED", "0", until=30),
    ]
    assert requested(made(rows)) == [title("1")], "which has soaked"
    assert requested(made(rows, expedite=("openssl",), by="ann", because="KEV")) == [title("2")]


def test_an_expedite_requests_what_production_is_not_offered_yet_as_the_rings_before_have_it() -> None:
    rows = [seen("n1", 9, "INSTALLED", "2", until=30), seen("prod1", 2, "INSTALLED", "1", until=30)]
    assert requested(made(rows, expedite=("openssl",), by="ann", because="KEV")) == [title("2")]


def test_an_expedite_of_what_is_recalled_is_struck() -> None:
    rows = [seen("prod1", 9, "MISSING", "2", until=30)]
    manifest = made(rows, expedite=(OPENSSL,), recalls=(Recall(title("2"), "bad", "ops", after(9)),))
    assert requested(manifest) == []


def waived(expires: str, **what: Any) -> Policy:
    return soak_policy(exceptions=[{"owner": "web team", "because": "agreed", "expires": expires, **what}])


def test_a_waiver_lets_a_patch_through_up_to_its_last_day() -> None:
    rows = [seen("n1", 9, "MISSING", "2", until=30)]
    on_time = made(rows, policy=waived(after(10).date().isoformat(), patches=OPENSSL))
    assert [(item.title, item.covered, item.by) for item in on_time.items if item.id == OPENSSL] == [
        (title("2"), "waiver", "web team")
    ]
    assert requested(made(rows, policy=waived(after(9).date().isoformat(), patches=OPENSSL))) == []


def test_packages_that_only_production_has_are_named_and_need_a_waiver() -> None:
    rows = [seen("prod1", 9, "MISSING", "4", patch="oracle.x86_64", until=30)]
    manifest = made(rows)
    assert [(one.id, one.nodes, one.waived_by) for one in manifest.only_production] == [
        ("oracle.x86_64", ("prod1",), "")
    ]
    assert requested(manifest) == []
    assert requested(made(rows, policy=waived("2026-01-01", packages="oracle"))) == ["oracle.x86_64:4"]


def test_classes_that_are_issued_again_under_one_kb_need_a_waiver() -> None:
    kb = {"product": WINDOWS, "patch": "KB2267602", "classification": "DefinitionUpdates"}
    rows = [
        seen("n1", 0, "INSTALLED", until=30, installed=after(0), group="nonprod-windows", **kb),
        seen("prod1", 9, "MISSING", until=30, group="prod-windows", **kb),
    ]
    issued = {"KB2267602": after(9)}
    assert requested(made(rows, window=1, issued=issued)) == []
    manifest = made(rows, window=1, issued=issued, policy=waived("2026-01-01", reissued="DefinitionUpdates"))
    assert [(item.id, item.covered) for item in manifest.items] == [("KB2267602", "waiver")]


def test_it_survives_json_and_its_digests_are_those_of_its_lists() -> None:
    manifest = made(SOAKED, expedite=("nothing",), recalls=(Recall("tzdata", "x", "ops", after(1)),))
    again = Manifest.of_json(json.loads(json.dumps(manifest.as_json())))
    assert again == manifest
    assert set(manifest.digests()) == {LINUX}
    assert manifest.as_json()["sha256"] == again.digests()


def test_a_ring_that_other_rings_come_before_needs_the_soak_of_the_last_one() -> None:
    rings = [{"name": "nonprod"}, {"name": "staging"}, {"name": "prod", "production": True, "soak": 7}]
    rows = [*SOAKED, seen("s1", 5, "INSTALLED", "1", until=30, ring="staging", group="staging-linux")]
    assert requested(made(rows, 10, soak_policy(rings=rings))) == []
    assert requested(made(rows, 12, soak_policy(rings=rings))) == [title("1")]


def test_file_names_are_safe_for_nodes() -> None:
    assert file_name("WINDOWS Server 2012 R2") == "windows-server-2012-r2.yaml"
    assert file_name("UBUNTU 22.04") == "ubuntu-22.04.yaml"
