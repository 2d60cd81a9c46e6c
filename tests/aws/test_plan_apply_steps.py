"""Steps around the waves that run on no node have windows of their own, which are planned and applied."""

from __future__ import annotations

from typing import Any

import pytest
from policies import (
    FOUR,
    INSTALL,
    apply,
    connect,
    plan,
    small,
    state,
    window_named,
)

from lab.testing import LabHandle
from sluice.core.policy.policy import Policy

pytestmark = pytest.mark.usefixtures("aws_environment", "accounts")


STEPS: dict[str, Any] = {
    "before": [
        {"document": "Drain"},
        {"automation": "Open-Ticket", "parameters": {"Queue": ["a", "b"], "Operation": "x"}},
    ],
    "after": [{"function": "SSM-Tell", "parameters": {"text": "done", "to": ["first", "second"]}}, {"automation": "B"}],
}


def with_steps(**steps: Any) -> Policy:
    """The small policy whose install window has steps, run by the ring's own role."""
    policy = small(roles={"assume": True}, locations=FOUR[:1])
    windows = [one.model_dump(exclude_unset=True) for one in policy.windows]
    windows[1] |= steps
    return small(roles={"assume": True}, locations=FOUR[:1], windows=windows)


def test_automations_and_functions_get_windows_of_their_own_and_go_round(lab: LabHandle) -> None:
    policy = with_steps(**STEPS)
    connection = connect(policy)
    apply(connection, policy)
    assert plan(connection, policy).pending == ()
    made = {
        "before-2": ("AUTOMATION", "Open-Ticket"),
        "after-1": ("LAMBDA", "SSM-Tell"),
        "after-2": ("AUTOMATION", "B"),
    }
    for name, (kind, what) in made.items():
        window = window_named(lab, f"{INSTALL}-{name}")
        assert (window.enabled, window.start_date, window.targets) == (False, "2099-12-31T23:59:59Z", {})
        (task,) = window.tasks.values()
        assert (task.task_type, task.task_arn, task.targets) == (kind, what, [])
        assert str(task.service_role_arn).endswith(":role/sluice-window-nonprod")
    assert not [one for one in lab.location().windows.values() if one.name == f"{INSTALL}-before-1"]
    lab.advance(days=9)
    (scans,) = {one.window_id for one in lab.location().executions.values()}
    assert scans == window_named(lab, "sluice-scan-daily").window_id, "at rest no step runs"


def test_a_step_that_changes_becomes_what_it_is_now_and_one_that_is_gone_is_removed(lab: LabHandle) -> None:
    before = with_steps(before=[{"automation": "A"}, {"function": "F"}])
    connection = connect(before)
    without = with_steps()
    apply(connection, without)
    bare = state(lab)
    apply(connection, before)
    for other in (
        with_steps(before=[{"automation": "A", "parameters": {"p": "1"}}, {"function": "F"}]),
        with_steps(before=[{"function": "F", "parameters": {"p": "1"}}, {"automation": "A"}]),
        with_steps(before=[{"document": "D"}, {"automation": "A"}]),
    ):
        assert plan(connection, other).pending != ()
        apply(connection, other)
        assert plan(connection, other).pending == ()
    observed = before.model_copy(update={"mode": "observe"})
    apply(connection, observed)
    assert state(lab) == bare, "where a policy only observes there is nothing to run"
    window_names = {one.name for one in lab.location().windows.values()}
    assert not [name for name in window_names if "before" in name]


def test_drift_of_a_steps_window_is_seen_and_put_right(lab: LabHandle) -> None:
    policy = with_steps(**STEPS)
    connection = connect(policy)
    apply(connection, policy)
    window = window_named(lab, f"{INSTALL}-after-1")
    (task_id,) = window.tasks
    lab.client("ssm").update_maintenance_window(WindowId=window.window_id, Enabled=True)
    lab.client("ssm").update_maintenance_window_task(
        WindowId=window.window_id, WindowTaskId=task_id, TaskInvocationParameters={"Lambda": {"Payload": b"other"}}
    )
    found = {key.noun for key in (change.key for change in plan(connection, policy).pending)}
    assert found == {"window", "task"}
    apply(connection, policy)
    assert plan(connection, policy).pending == ()
    assert not window_named(lab, f"{INSTALL}-after-1").enabled
