"""Plans: the order of their steps, over any policy and any state that a kill can leave. Nothing of AWS is here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.core.policy.desired import desired
from sluice.core.policy.diff import differences
from sluice.core.policy.objects import (
    BASELINE,
    DATA_SYNC,
    DEFAULT,
    GROUP,
    TARGET,
    TASK,
    WINDOW,
    AWSObject,
    DefaultBaseline,
    Key,
    MaintenanceWindow,
    PatchBaseline,
    Registration,
    WindowTarget,
    WindowTask,
    part_of,
)
from sluice.core.policy.others import Other, installs
from sluice.core.policy.plan import Actual, Found, Plan, Step, make_plan
from sluice.core.policy.policy import Policy

ACCOUNT, REGION = "111111111111", "eu-west-3"
CRON = ["cron(0 1 ? * * *)", "cron(0 3 ? * MON *)"]
STEPS: list[dict[str, Any]] = [
    {"document": "Drain"},
    {"automation": "Open-Ticket"},
    {"automation": "Open-Ticket", "parameters": {"Queue": "patching"}},
    {"function": "SSM-Tell"},
]


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Small policies whose parts appear, change and go from one to the next."""
    systems = draw(st.lists(st.sampled_from(["UBUNTU", "AMAZON_LINUX_2023", "WINDOWS"]), unique=True, max_size=3))
    days = st.integers(0, 2)
    baselines = [
        {
            "name": f"base-{system.lower().split('_')[0]}",
            "os": system,
            "rules": [{"product": "*"} if system == "UBUNTU" else {"product": "*", "approve_after_days": draw(days)}],
            "default": draw(st.booleans()),
        }
        for system in systems
    ]
    groups = [
        {
            "name": name,
            "ring": "nonprod",
            "baselines": [baseline["name"] for baseline in baselines],
            "products": systems,
        }
        for name in (draw(st.lists(st.sampled_from(["web", "db"]), unique=True)) if baselines else [])
    ]
    windows = [
        {
            "name": name,
            "operation": name.partition("-")[0],
            "schedule": draw(st.sampled_from(CRON)),
            "duration_hours": draw(st.integers(2, 3)),
            "concurrency": draw(st.sampled_from(["10%", "2"])),
            **({"trigger": "native"} if name == "scan-one" and draw(st.booleans()) else {}),
            **({"before": draw(st.lists(st.sampled_from(STEPS), max_size=2))} if name == "install-one" else {}),
        }
        for name in draw(st.lists(st.sampled_from(["scan-one", "scan-two", "install-one"]), unique=True))
    ]
    sync = {"data_sync_bucket": "inventory"} if draw(st.booleans()) else {}
    return Policy.model_validate(
        {
            "version": 1,
            "mode": "release",
            "rings": [{"name": "nonprod"}],
            "baselines": baselines,
            "patch_groups": groups,
            "windows": windows,
            "extras": sync,
        }
    )


class Place:
    """A location as AWS keeps it: what it refuses, this refuses, and it looks that nothing can fire meanwhile."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[Key, AWSObject]] = {}
        self.number = 0

    def actual(self) -> Actual:
        return Actual(tuple(Found(key, id, thing) for id, (key, thing) in self.objects.items()))

    def do(self, plan: Plan, ids: dict[Key, str], step: Step) -> None:
        getattr(self, f"_{step.act}")(ids, step)
        self._check()

    def _create(self, ids: dict[Key, str], step: Step) -> None:
        thing = step.wanted
        assert thing is not None
        if isinstance(thing, Registration):
            taken = [one for key, one in self.objects.values() if key == step.key]
            assert not taken, "a group has one baseline of an operating system"
            ids[step.key] = self._add(step.key, replace(thing, baseline=ids[Key(BASELINE, thing.baseline)]))
        elif isinstance(thing, DefaultBaseline):
            ids[step.key] = self._add(step.key, replace(thing, baseline=ids[Key(BASELINE, thing.baseline)]))
        elif isinstance(thing, WindowTask):
            target = ids[Key(TARGET, part_of(thing.window, thing.target))] if thing.target else ""
            assert target in self.objects or thing.task_type != "RUN_COMMAND", "a command needs a target"
            ids[step.key] = self._add(step.key, replace(thing, target=target))
        elif isinstance(thing, MaintenanceWindow):
            born = replace(thing, schedule="at(2099-12-31T23:59:59)", enabled=True)
            ids[step.key] = self._add(step.key, born)
        else:
            ids[step.key] = self._add(step.key, thing)

    def _update(self, ids: dict[Key, str], step: Step) -> None:
        id = self._id(step)
        del self.objects[id]
        self._create(ids, step)
        self.objects[id] = self.objects.pop(ids[step.key])
        ids[step.key] = id

    def _delete(self, ids: dict[Key, str], step: Step) -> None:
        id = self._id(step)
        key, thing = self.objects[id]
        if isinstance(thing, PatchBaseline):
            serving = [one for _, one in self.objects.values() if getattr(one, "baseline", None) == id]
            assert not serving, "a baseline that serves something cannot be deleted"
        if key.noun == WINDOW:
            for other, (_, part) in list(self.objects.items()):
                if getattr(part, "window", None) == key.name:
                    del self.objects[other]
        del self.objects[id]

    def _hold(self, ids: dict[Key, str], step: Step) -> None:
        id = step.found.id if step.found else ids[step.key]
        key, thing = self.objects[id]
        assert isinstance(thing, MaintenanceWindow)
        self.objects[id] = key, replace(thing, enabled=False)

    def _settle(self, ids: dict[Key, str], step: Step) -> None:
        assert step.wanted is not None
        self.objects[ids[step.key]] = step.key, step.wanted

    def _id(self, step: Step) -> str:
        assert step.found is not None
        if step.key.noun in (GROUP, DEFAULT):
            return next(id for id, (key, _) in self.objects.items() if key == step.key)
        return step.found.id

    def _add(self, key: Key, thing: AWSObject) -> str:
        self.number += 1
        id = f"id-{self.number:03}"
        self.objects[id] = key, thing
        return id

    def _check(self) -> None:
        """No window is enabled that a policy has disabled, unless it cannot fire."""
        for key, thing in self.objects.values():
            if isinstance(thing, MaintenanceWindow) and thing.enabled:
                assert key.name == "scan-one" or thing.schedule.startswith("at(2099"), key

    def shown(self) -> list[tuple[Key, str]]:
        names = {id: key.name for id, (key, _) in self.objects.items()}
        return sorted((key, _text(thing, names)) for key, thing in self.objects.values())


def _text(thing: AWSObject, names: dict[str, str]) -> str:
    text = repr(thing)
    for id, name in names.items():
        text = text.replace(repr(id), repr(name))
    return text


def plan_of(place: Place, policy: Policy) -> Plan:
    return make_plan(ACCOUNT, REGION, desired(policy, ACCOUNT, REGION), place.actual())


def apply(place: Place, policy: Policy, at_most: int = 10_000) -> None:
    plan = plan_of(place, policy)
    ids = plan.ids
    for step in plan.steps[:at_most]:
        place.do(plan, ids, step)


@settings(max_examples=150, deadline=None)
@given(policies(), policies(), st.integers(0, 60), st.integers(0, 60))
def test_from_any_policy_over_any_two_kills_to_any_other_the_end_is_the_same(
    one: Policy, other: Policy, first_kill: int, second_kill: int
) -> None:
    place = Place()
    apply(place, one, first_kill)
    apply(place, other, second_kill)
    apply(place, other)
    assert plan_of(place, other).pending == ()
    fresh = Place()
    apply(fresh, other)
    assert place.shown() == fresh.shown()


@settings(max_examples=50, deadline=None)
@given(policies())
def test_what_was_applied_is_unchanged_and_has_no_steps(policy: Policy) -> None:
    place = Place()
    apply(place, policy)
    plan = plan_of(place, policy)
    assert plan.pending == ()
    assert plan.steps == ()
    assert plan.count("unchanged") == len(plan.changes)


@settings(max_examples=50, deadline=None)
@given(policies())
def test_an_empty_plan_removes_everything_that_is_ours(policy: Policy) -> None:
    place = Place()
    apply(place, policy)
    plan = make_plan(ACCOUNT, REGION, {}, place.actual())
    ids = plan.ids
    for step in plan.steps:
        place.do(plan, ids, step)
    assert place.objects == {}


def windows_of(*names: str) -> dict[Key, AWSObject]:
    return {
        Key(WINDOW, name): MaintenanceWindow(name, "", "cron(0 1 ? * * *)", "UTC", 2, 1, enabled=False)
        for name in names
    }


def test_what_could_fire_is_disabled_before_anything_else() -> None:
    hot = replace(windows_of("two")[Key(WINDOW, "two")], enabled=True)  # type: ignore[type-var]  # a union's member
    actual = Actual((Found(Key(WINDOW, "two"), "mw-2", hot),))
    plan = make_plan(ACCOUNT, REGION, windows_of("one", "two"), actual)
    assert [(step.act, step.key.name) for step in plan.steps] == [
        ("hold", "two"),
        ("create", "one"),
        ("hold", "one"),
        ("settle", "one"),
        ("settle", "two"),
    ]


def test_windows_go_before_anything_is_taken_from_their_groups() -> None:
    window = Found(Key(WINDOW, "one"), "mw-1", windows_of("one")[Key(WINDOW, "one")])
    served = Found(Key(GROUP, "web (UBUNTU)"), "pb-1", Registration("web", "UBUNTU", "pb-1"))
    plan = make_plan(ACCOUNT, REGION, {}, Actual((served, window)))
    assert [step.key.noun for step in plan.steps if step.act == "delete"] == [WINDOW, GROUP]


def test_nothing_that_is_not_ours_is_ever_deleted() -> None:
    theirs = Found(Key(GROUP, "web (UBUNTU)"), "pb-1", Registration("web", "UBUNTU", "pb-1"), owned=False)
    assert make_plan(ACCOUNT, REGION, {}, Actual((theirs,))).changes == ()


def test_a_change_of_what_is_not_ours_names_what_has_to_be_taken_over() -> None:
    key = Key(GROUP, "web (UBUNTU)")
    theirs = Found(key, "pb-1", Registration("web", "UBUNTU", "pb-1"), owned=False)
    plan = make_plan(ACCOUNT, REGION, {key: Registration("web", "UBUNTU", "ours")}, Actual((theirs,)))
    assert plan.needs() == ("web",)
    assert plan.needs(["web"]) == ()


def test_a_data_sync_is_made_anew_as_it_cannot_be_changed() -> None:
    base: dict[str, Any] = {"version": 1, "mode": "release", "rings": [{"name": "nonprod"}]}
    one = Policy.model_validate({**base, "extras": {"data_sync_bucket": "one"}})
    two = Policy.model_validate({**base, "extras": {"data_sync_bucket": "two"}})
    place = Place()
    apply(place, one)
    steps = plan_of(place, two).steps
    assert [(step.act, step.key.noun) for step in steps] == [("delete", DATA_SYNC), ("create", DATA_SYNC)]


def other(*targets: tuple[str, tuple[str, ...]], document: str = "AWS-RunPatchBaseline") -> Other:
    return Other("window", "mw-1", "theirs", (document,), targets)


def test_others_are_matched_by_the_groups_tag_in_both_spellings_and_by_every_node() -> None:
    known = ["db", "web"]
    assert other(("tag:Patch Group", ("web", "x"))).groups(known) == ("web",)
    assert other(("tag:PatchGroup", ("db",))).groups(known) == ("db",)
    assert other(("tag-key", ("Patch Group",))).groups(known) == ("db", "web")
    assert other(("InstanceIds", ("*",))).groups(known) == ("db", "web")
    assert other(("tag:Environment", ("web",))).groups(known) == ()


@pytest.mark.parametrize(
    ("document", "parameters", "patch_policy", "expected"),
    [
        ("AWS-RunPatchBaseline", {"Operation": ["Install"]}, False, True),
        ("AWS-RunPatchBaseline", {"Operation": ["Scan"]}, False, False),
        ("AWS-RunPatchBaseline", {}, False, None),
        ("AWS-RunPatchBaseline", {"Operation": ["{{ssm:operation}}"]}, False, None),
        ("arn:aws:ssm:eu-west-3::document/AWS-RunPatchBaselineWithHooks:3", {"Operation": ["Install"]}, False, True),
        ("AWS-PatchInstanceWithRollback", {}, False, True),
        ("AWS-RunPatchBaseline", {"Operation": ["Scan"]}, True, False),
        ("AWS-QuickSetup-PatchPolicy-x", {}, True, True),
    ],
)
def test_what_others_run_installs_where_its_parameters_say_so_and_is_unknown_where_they_are_silent(
    document: str, parameters: dict[str, list[str]], patch_policy: bool, expected: bool | None
) -> None:
    assert installs(document, parameters, patch_policy=patch_policy) is expected


def test_a_foreign_window_that_patches_a_group_whose_baseline_changes_needs_a_take_over() -> None:
    wanted: dict[Key, AWSObject] = {Key(GROUP, "web (UBUNTU)"): Registration("web", "UBUNTU", "ours")}
    foreign = other(("tag:Patch Group", ("web",)))
    plan = make_plan(ACCOUNT, REGION, wanted, Actual(others=(foreign,)))
    assert plan.needs() == ("web",)
    harmless = other(("tag:Patch Group", ("web",)), document="AWS-RunShellScript")
    plan = make_plan(ACCOUNT, REGION, wanted, Actual(others=(harmless,)))
    assert [notice.take_over for notice in plan.notices] == [()]


def test_to_take_a_group_out_of_the_policy_needs_a_take_over_where_others_patch_it() -> None:
    served = Found(Key(GROUP, "web (UBUNTU)"), "pb-1", Registration("web", "UBUNTU", "pb-1"))
    foreign = other(("tag:Patch Group", ("web",)))
    plan = make_plan(ACCOUNT, REGION, {}, Actual((served,), (foreign,)))
    assert plan.needs() == ("web",)
    assert plan.needs(["web"]) == ()
    (notice,) = plan.notices
    assert notice.effect == (
        "patches patch group web by the baseline registered there, which becomes its operating system's default at once"
    )
    alone = make_plan(ACCOUNT, REGION, {}, Actual((served,), (other(("tag:Patch Group", ("db",))),)))
    assert alone.needs() == ()


def test_a_change_of_a_default_is_told_beside_what_patches_nodes_that_may_have_no_group() -> None:
    default = Found(Key(DEFAULT, "UBUNTU"), "pb-1", DefaultBaseline("UBUNTU", "pb-1"))
    by_id = other(("InstanceIds", ("i-0123456789abcdef0",)))
    runs = other(("InstanceIds", ("i-0123456789abcdef0",)), document="AWS-RunShellScript")
    of_a_group = other(("tag:Patch Group", ("web",)))
    told = "nodes without a registered group by the default baseline of UBUNTU, which becomes another at once"
    for wanted in ({}, {Key(DEFAULT, "UBUNTU"): DefaultBaseline("UBUNTU", "ours")}):
        plan = make_plan(ACCOUNT, REGION, wanted, Actual((default,), (by_id, runs, of_a_group)))
        assert [(one.kind, told in one.effect) for one in plan.notices] == [("window", True), ("window", True)]
        assert plan.needs() == ()
    unchanged = make_plan(ACCOUNT, REGION, {default.key: default.object}, Actual((default,), (by_id,)))
    assert [told in one.effect for one in unchanged.notices] == [False]


def test_a_difference_names_the_field_and_both_values() -> None:
    before = WindowTarget("w", "slot", "tag:Patch Group", ("web",), "o")
    after = replace(before, values=("db", "web"))
    (found,) = differences(before, after)
    assert (found.field, found.before, found.after) == ("values", "web", "db, web")


def test_a_copy_of_an_object_goes() -> None:
    wanted = windows_of("one")
    thing = wanted[Key(WINDOW, "one")]
    copies = (Found(Key(WINDOW, "one"), "mw-1", thing), Found(Key(WINDOW, "one"), "mw-2", thing))
    plan = make_plan(ACCOUNT, REGION, wanted, Actual(copies))
    assert [(change.action, change.found and change.found.id) for change in plan.changes] == [
        ("unchanged", "mw-1"),
        ("delete", "mw-2"),
    ]
    assert TASK not in {step.key.noun for step in plan.steps}
