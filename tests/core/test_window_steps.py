"""Steps around the waves: what they are in AWS, whom they reach, and that nothing else is put in their place."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from nodes_world import HERE, START, nodes_policy, window_of
from policy_corpus import raised, sound

from sluice.core.policy.desired import desired
from sluice.core.policy.objects import TASK, WINDOW, Key, MaintenanceWindow, WindowTask
from sluice.core.policy.policy import Policy
from sluice.core.policy.slots import Slot
from sluice.core.policy.window_steps import StepName, moment_of, own_window, served, step_named, steps
from sluice.core.release.fit import predict
from sluice.core.release.terms import Asked, Kind, Release, WavePart
from sluice.core.release.waves import joined, tagged, target_of_all, together
from sluice.core.window_objects import Wave, at_rest, is_stale, refusal, window_name
from sluice.core.window_record import WaveRecord

ACCOUNT, REGION = HERE.split("/")
PROD, NONPROD = "install-prod", "install-nonprod"
SLOT = "prod-linux.AMAZON_LINUX_2023"
DRAIN = {"document": "Drain", "parameters": {"Wait": "10", "Operation": "Out"}, "timeout_minutes": 20}
TICKET = {"automation": "Open-Ticket", "parameters": {"Queue": "patching"}}
TELL = {"function": "SSM-Tell"}


def policy_of(**changes: Any) -> Policy:
    return nodes_policy(**{"before": [DRAIN, TICKET], "after": [TELL, DRAIN], **changes})


def wave_of(policy: Policy, kind: Kind, slots: Any = ((SLOT, ("i-1", "i-2")),)) -> Wave:
    window = window_of(policy, PROD)
    release = Release("r", PROD, "sluice", "dag", "run", START, START)
    record = WaveRecord("r", 0, HERE, kind, "mw-1", "planned", START, slots, START, 4)
    return Wave(policy, window, release, Asked(), record, {})


def test_steps_are_numbered_as_the_policy_has_them_and_those_without_nodes_have_a_window_of_their_own() -> None:
    window = window_of(policy_of(), PROD)
    found = {step.name: window_name(window, step.name) for step in steps(window)}
    assert found == {
        "before-1": PROD,
        "before-2": f"{PROD}-before-2",
        "after-1": f"{PROD}-after-1",
        "after-2": PROD,
    }
    assert [served(name) for name in found.values()] == [PROD] * 4
    assert [moment_of(name) for name in ("before-1", "after-20", "install", "before-0")] == [
        "before",
        "after",
        None,
        None,
    ]
    assert served("install-before") == "install-before"
    assert step_named(window, "before-3") is None


def test_at_rest_the_window_of_a_step_is_disabled_begins_in_2099_and_has_one_task_without_a_target() -> None:
    policy = policy_of()
    window = window_of(policy, PROD)
    objects = desired(policy, ACCOUNT, REGION)
    for name, task_type, document in (("before-2", "AUTOMATION", "Open-Ticket"), ("after-1", "LAMBDA", "SSM-Tell")):
        step = step_named(window, name)
        assert step is not None
        found = objects[Key(WINDOW, own_window(PROD, step))]
        assert isinstance(found, MaintenanceWindow)
        assert (found.enabled, found.start_date, found.schedule) == (False, "2099-12-31T23:59:59Z", window.schedule)
        rest = at_rest(policy, own_window(PROD, step), ACCOUNT, REGION)
        assert rest.targets == {}
        (task,) = rest.tasks.values()
        assert (task.task_type, task.document, task.target) == (task_type, document, "")
        assert not is_stale(rest, rest)
        assert is_stale(rest, replace(rest, window=replace(found, enabled=True)))


def test_where_a_policy_only_observes_no_step_has_a_window_and_none_is_put_on_one() -> None:
    policy = policy_of().model_copy(update={"mode": "observe"})
    found = [key.name for key in desired(policy, ACCOUNT, REGION) if key.noun in (WINDOW, TASK)]
    assert not [name for name in found if served(name.partition("/")[0]) != name.partition("/")[0]]
    assert "observe" in str(refusal(policy, _drained(policy)))


def _drained(policy: Policy) -> WindowTask:
    rest = at_rest(policy, PROD, ACCOUNT, REGION)
    return wave_of(policy, StepName("before-1")).objects(rest).tasks[SLOT]


def test_a_document_runs_on_the_slots_with_its_parameters_time_and_log_prefix_and_on_no_other_slot() -> None:
    policy = policy_of()
    rest = at_rest(policy, PROD, ACCOUNT, REGION)
    objects = wave_of(policy, StepName("before-1")).objects(rest)
    task = objects.tasks[SLOT]
    assert (task.document, task.operation, task.reboot_option, task.timeout_seconds) == ("Drain", "", "", 1200)
    assert task.other_parameters == (("Operation", ("Out",)), ("Wait", ("10",)))
    assert (objects.targets[SLOT].key, objects.targets[SLOT].values) == ("InstanceIds", ("i-1", "i-2"))
    others = rest.tasks.keys() - {SLOT}
    assert others
    assert all(objects.tasks[name] == rest.tasks[name] for name in others)
    assert all(objects.targets[name] == rest.targets[name] for name in others)


def test_exactly_the_policys_own_documents_are_allowed_on_their_window() -> None:
    policy = policy_of()
    task = _drained(policy)
    assert refusal(policy, task) is None
    for wrong in (
        replace(task, document="Other"),
        replace(task, other_parameters=()),
        replace(task, other_parameters=(*task.other_parameters, ("More", ("x",)))),
        replace(task, operation="Install"),
        replace(task, window=NONPROD),
        replace(task, window="scan"),
        replace(task, task_type="AUTOMATION", document="Open-Ticket"),
    ):
        assert refusal(policy, wrong) is not None, wrong


@pytest.mark.parametrize("name", ["AWS-RunPatchBaseline", "arn:aws:ssm:eu-west-3::document/AWS-RunPatchBaseline:1"])
def test_what_patches_is_no_step_not_even_where_the_policy_says_so(name: str) -> None:
    policy = policy_of(before=[{"document": name, "parameters": {"Operation": "Install"}}])
    assert refusal(policy, _drained(policy)) is not None


@given(st.lists(st.integers(0, 60), min_size=1, max_size=3))
def test_a_step_reaches_every_node_of_a_slot_in_all_waves_and_no_other(sizes: list[int]) -> None:
    window = window_of(policy_of(waves={"canary": 1, "shares": [50]}), PROD)
    ids = iter(range(1000))
    parts = [
        WavePart("r", number, HERE, ((SLOT, tuple(f"i-{next(ids):03}" for _ in range(size))),))
        for number, size in enumerate(sizes, start=1)
    ]
    ((_, nodes),) = joined(parts)
    named = together(steps(window), parts)
    tags = {node: value for part in parts for value, members in tagged(part, named) for node in members}
    key, values = target_of_all(window, "r", Slot(PROD, SLOT, None, None), nodes)
    if key == "InstanceIds":
        assert values == nodes
        assert len(values) <= 50
    else:
        assert {node for node, value in tags.items() if value in values} == set(nodes)


def test_a_window_without_documents_tags_no_more_than_its_waves_need() -> None:
    nodes = [tuple(f"i-{wave}{one}" for one in range(40)) for wave in (1, 2)]
    parts = [WavePart("r", wave, HERE, ((SLOT, ids),)) for wave, ids in enumerate(nodes, start=1)]
    assert together(steps(window_of(policy_of(), PROD)), parts) == (SLOT,)
    assert together(steps(window_of(policy_of(before=[TICKET], after=[TELL]), PROD)), parts) == ()


def test_steps_before_are_part_of_how_long_a_release_takes_and_unknown_without_a_past() -> None:
    window = window_of(policy_of(), PROD)
    waves = [[WavePart("r", 1, HERE, (("a", ("i-1",)),))]]
    lead = timedelta(minutes=5)
    found = predict(window, waves, {"a": 600}, START, lead, steps(window)[:2], {"before-1": 900.0})
    assert found.wave_ends == (START + 2 * lead + timedelta(seconds=1500),)
    assert found.unknown == ("before-2",)


def test_windows_of_steps_count_for_awss_quota() -> None:
    window = next(one for one in sound()["windows"] if one["name"] == PROD)
    many = [{**window, "before": [TICKET] * 20, "after": [TELL] * 20}]
    scans = [
        {"name": f"scan-{number}", "operation": "scan", "schedule": f"cron(0 9 {number + 1} 1 ? *)",
         "duration_hours": 2, "patch_groups": "web-nonprod"} for number in range(8)
    ]  # fmt: skip
    assert "P116" not in {one.code for one in raised(yaml.safe_dump({"windows": [*many, *scans[:7]]}))}
    assert "P116" in {one.code for one in raised(yaml.safe_dump({"windows": [*many, *scans]}))}
