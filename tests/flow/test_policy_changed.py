"""A policy that is changed while a release runs: what has begun goes on, and what it left behind is harmless."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from drive import Drive
from flow_world import HERE, NONPROD, SMALL, apply, at, run_of, small

from lab.testing import LabHandle
from sluice.core.errors import ReleaseError
from sluice.core.policy.policy import Policy
from sluice.flow.close import close
from sluice.flow.records import read_record
from sluice.flow.run import Run
from sluice.flow.sweep import sweep
from sluice.flow.wave import advance

pytestmark = pytest.mark.usefixtures("in_process")

THREE = at(17, 3)


def admitted(lab: LabHandle, policy: Policy) -> Run:
    """A release whose nodes are admitted, shortly before its time."""
    lab.advance_to(THREE - timedelta(minutes=10))
    run = run_of(policy, NONPROD, THREE)
    Drive(lab, run).until_admitted()
    return run


def running(lab: LabHandle, policy: Policy) -> Run:
    """One whose first wave has begun to install."""
    run = admitted(lab, policy)
    while step_of(run) != "running":
        advance(run, HERE, 1, "install")
        lab.advance(minutes=5)
    return run


def step_of(run: Run) -> str | None:
    with run.connect(HERE) as connection:
        record = read_record(run, connection, 1, "install")
    return record.step if record else None


TWO, ONE = ("AMAZON_LINUX_2023", "AMAZON_LINUX_2"), ("AMAZON_LINUX_2",)
"""OS products of non-production; its nodes are of the first."""


def patching(policy: Policy, products: tuple[str, ...]) -> Policy:
    """The policy with these OS products on non-production."""
    other = {
        "name": "nonprod-al2",
        "os": "AMAZON_LINUX_2",
        "rules": [{"classification": "Security", "approve_after_days": 0}],
    }
    baselines = ["nonprod-al2"] if products == ONE else ["nonprod-amazon", "nonprod-al2"]
    groups = [
        {**one, "products": list(products), "baselines": baselines} if one["ring"] == "nonprod" else one
        for one in SMALL["patch_groups"]
    ]
    folder = Path(str(policy.evidence.folder))
    return small(folder, patch_groups=groups, baselines=[*SMALL["baselines"], other])


def tasks(lab: LabHandle) -> dict[str, Any]:
    """Operation and targets of each slot of the window."""
    window = next(one for one in lab.location().windows.values() if one.name == f"sluice-{NONPROD}")
    return {
        one.name: (
            one.invocation_parameters["RunCommand"]["Parameters"]["Operation"],
            [window.targets[each].targets for aim in one.targets for each in aim["Values"]],
        )
        for one in window.tasks.values()
    }


def test_an_execution_goes_on_where_its_logs_would_lie_elsewhere_by_now(lab: LabHandle, policy: Policy) -> None:
    run = running(lab, policy)
    logs = policy.logs.model_copy(update={"prefix": "elsewhere"})
    later = run_of(policy.model_copy(update={"logs": logs}), NONPROD, THREE)
    assert later.release.id == run.release.id
    done = Drive(lab, later).wave(HERE, 1, "install")
    assert (done.state, done.counts["success"]) == ("done", done.counts["expected"])


def test_logs_that_move_before_the_window_is_open_are_known_as_the_waves_too(lab: LabHandle, policy: Policy) -> None:
    run = admitted(lab, policy)
    advance(run, HERE, 1, "install")
    assert step_of(run) in ("planned", "arming", "armed")
    logs = policy.logs.model_copy(update={"prefix": "elsewhere"})
    done = Drive(lab, run_of(policy.model_copy(update={"logs": logs}), NONPROD, THREE)).wave(HERE, 1, "install")
    assert (done.state, done.counts["success"]) == ("done", done.counts["expected"])


def test_of_an_os_product_that_was_taken_out_the_execution_ends_and_its_slot_is_left_harmless(
    lab: LabHandle, policy: Policy
) -> None:
    apply(patching(policy, TWO))
    running(lab, patching(policy, TWO))
    changed = patching(policy, ONE)
    later = run_of(changed, NONPROD, THREE)
    done = Drive(lab, later).wave(HERE, 1, "install")
    assert (done.state, done.counts["success"]) == ("done", done.counts["expected"])
    assert close(later)["locations"]
    nobody = (["Scan"], [[{"Key": "tag:sluice:release", "Values": ["none"]}]])
    assert tasks(lab) == {f"nonprod-linux.{product}": nobody for product in TWO}, "nobody has applied the new policy"
    with later.connect(HERE) as connection:
        assert sweep(later, connection) == []
    apply(changed)
    assert tasks(lab) == {"nonprod-linux.AMAZON_LINUX_2": nobody}


def test_an_os_product_that_was_taken_out_before_its_wave_opens_is_refused_by_name(
    lab: LabHandle, policy: Policy
) -> None:
    apply(patching(policy, TWO))
    run = admitted(lab, patching(policy, TWO))
    later = run_of(patching(policy, ONE), NONPROD, THREE)
    with pytest.raises(ReleaseError, match=r"found nonprod-linux\.AMAZON_LINUX_2023 taken out of the policy"):
        advance(later, HERE, 1, "install")
    assert step_of(run) is None
    close(later)


def test_an_os_product_that_came_into_the_policy_and_is_not_applied_yet_hinders_no_close(
    lab: LabHandle, policy: Policy
) -> None:
    running(lab, policy)
    later = run_of(patching(policy, TWO), NONPROD, THREE)
    assert Drive(lab, later).wave(HERE, 1, "install").state == "done"
    close(later)
    assert {operation for ((operation,), _) in tasks(lab).values()} == {"Scan"}
