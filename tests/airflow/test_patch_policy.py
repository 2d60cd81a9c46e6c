"""The DAG patch_policy, run against the lab: what it finds, what it applies, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from dag_runs import REQUESTER, Run, read_dags, run_dag

from lab.faults import FaultRule
from lab.testing import LabHandle
from sluice.aws.session import Connections
from sluice.core.release.terms import Asked
from sluice.files import read_policy
from sluice.flow.run import begin

POLICY = {
    "version": 1,
    "mode": "release",
    "roles": {"assume": True},
    "locations": [
        {"account": "111111111111", "region": "eu-west-3"},
        {"account": "222222222222", "region": "eu-west-3"},
    ],
    "rings": [{"name": "nonprod"}],
    "baselines": [
        {
            "name": "amazon",
            "os": "AMAZON_LINUX_2023",
            "rules": [{"classification": "Security", "approve_after_days": 0}],
        }
    ],
    "patch_groups": [
        {"name": "web", "ring": "nonprod", "baselines": "amazon", "products": "AMAZON_LINUX_2023"},
    ],
    "windows": [
        {
            "name": "install-nonprod",
            "operation": "install",
            "schedule": "cron(0 3 ? * MON-FRI *)",
            "duration_hours": 4,
            "patch_groups": "web",
        }
    ],
}


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump({**POLICY, "evidence": {"folder": str(tmp_path / "evidence")}}), "utf-8")
    monkeypatch.setenv("SLUICE_POLICY", str(file))
    return file


@pytest.fixture
def run(airflow_home: Path, aws_environment: LabHandle, policy: Path) -> Any:
    aws_environment.location("222222222222", "eu-west-3")

    def go(*, answer: str = "", by: str = "alice", meanwhile: Callable[[], None] = lambda: None, **conf: object) -> Run:
        return run_dag(read_dags().dags["patch_policy"], conf, answer=answer, by=by, meanwhile=meanwhile)

    return go


def windows(lab: LabHandle) -> dict[str, list[tuple[str, bool]]]:
    return {
        account: [(one.name, one.enabled) for one in lab.location(account, "eu-west-3").windows.values()]
        for account in ("111111111111", "222222222222")
    }


NOTHING = {"111111111111": [], "222222222222": []}
AT_REST = {account: [("sluice-install-nonprod", False)] for account in NOTHING}


def test_the_daily_run_reports_drift_and_changes_nothing(lab: LabHandle, run: Any) -> None:
    found: Run = run()
    assert found.state == "success"
    assert found.report["outcome"] == "drift"
    assert [line.split(" (")[0] for line in found.report["lines"]] == [
        "111111111111/eu-west-3: drift",
        "222222222222/eu-west-3: drift",
    ]
    assert found.tasks["plan"] == ["success", "success"]
    assert found.tasks["approve"] == found.tasks["apply"] == ["skipped"]
    assert str(found.note).splitlines() == ["Policy: drift", *found.report["lines"]]
    assert lab.server.calls.total(mutating=True) == 0


def test_what_somebody_else_approves_is_applied_and_then_in_sync(lab: LabHandle, run: Any) -> None:
    found: Run = run(apply=True, answer="Approve")
    assert (found.state, found.report["outcome"]) == ("success", "applied")
    assert found.asked is not None
    assert REQUESTER in found.asked
    assert "**222222222222/eu-west-3**" in found.asked
    assert found.report["changes"] == 0
    assert windows(lab) == AT_REST

    begin(read_policy().policy, Connections.of(read_policy().policy), "install-nonprod", dag_id="d", run_id="r",
          asked=Asked(occurrence=datetime(2025, 6, 2, 3, tzinfo=UTC)), planned=None)  # fmt: skip
    lab.advance_to(datetime(2025, 6, 4, 0, 30, tzinfo=UTC))
    again: Run = run()
    assert (again.state, again.report["outcome"]) == ("success", "in sync")
    (unmade,) = again.report["never_begun"]
    assert unmade.startswith("install-nonprod: no release of Tue 2025-06-03 03:00 UTC was begun")
    assert unmade in str(again.note)


def test_that_nobody_could_look_for_windows_without_a_release_is_told(run: Any, policy: Path) -> None:
    policy.write_text(yaml.safe_dump({**POLICY, "evidence": {"bucket": "sluice-evidence-gone"}}), "utf-8")
    found: Run = run()
    assert found.tasks["supervise"] == ["failed"]
    assert found.report["outcome"] == "drift"
    assert "could not be looked for" in found.report["never_begun"][0]


def test_a_rejection_applies_nothing_and_is_reported(lab: LabHandle, run: Any) -> None:
    found: Run = run(apply=True, answer="Reject")
    assert (found.state, found.report["outcome"]) == ("success", "rejected")
    assert found.tasks["apply"] == ["skipped"]
    assert windows(lab) == NOTHING


def test_the_requester_cannot_approve(lab: LabHandle, run: Any) -> None:
    found: Run = run(apply=True, answer="Approve", by=REQUESTER)
    assert (found.state, found.report["outcome"]) == ("failed", "failed")
    assert found.tasks["approve"] == ["failed"]
    assert windows(lab) == NOTHING


def test_what_changed_after_the_plan_was_shown_is_not_applied(lab: LabHandle, run: Any) -> None:
    ssm = lab.client("ssm")
    other = ssm.create_patch_baseline(Name="other", OperatingSystem="AMAZON_LINUX_2023")["BaselineId"]

    def register() -> None:
        ssm.register_patch_baseline_for_patch_group(BaselineId=other, PatchGroup="web")

    found: Run = run(apply=True, answer="Approve", meanwhile=register)
    assert (found.state, found.report["outcome"]) == ("failed", "failed")
    assert found.tasks["apply"] == ["failed", "success"]
    assert windows(lab) == {"111111111111": [], "222222222222": AT_REST["222222222222"]}


def test_what_others_have_needs_to_be_taken_over_by_name(lab: LabHandle, run: Any) -> None:
    ssm = lab.client("ssm")
    other = ssm.create_patch_baseline(Name="other", OperatingSystem="AMAZON_LINUX_2023")["BaselineId"]
    ssm.register_patch_baseline_for_patch_group(BaselineId=other, PatchGroup="web")
    found: Run = run(apply=True, locations=["111111111111/eu-west-3"])
    assert (found.state, found.report["outcome"]) == ("failed", "needs take-over")
    assert "needs take_over: web" in found.report["lines"][0]
    assert windows(lab) == NOTHING

    agreed: Run = run(apply=True, locations=["111111111111/eu-west-3"], take_over=["web"], answer="Approve")
    assert (agreed.state, agreed.report["outcome"]) == ("success", "applied")
    assert "Taken over from others: **web**" in str(agreed.asked)
    assert windows(lab) == {**NOTHING, "111111111111": AT_REST["111111111111"]}


def test_a_denied_location_stops_no_other(lab: LabHandle, run: Any) -> None:
    lab.server.faults.add(
        FaultRule(kind="access_denied", service="sts", operation="AssumeRole", contains="222222222222")
    )
    found: Run = run(apply=True, answer="Approve")
    assert (found.state, found.report["outcome"]) == ("failed", "failed")
    assert found.tasks["plan"] == ["success", "failed"]
    assert found.tasks["apply"] == ["success"]
    assert windows(lab) == {**NOTHING, "111111111111": AT_REST["111111111111"]}


def test_a_policy_with_errors_fails_before_anything_is_read(lab: LabHandle, run: Any, policy: Path) -> None:
    policy.write_text("version: 1\nmode: no such mode\n", "utf-8")
    found: Run = run()
    assert (found.state, found.report["outcome"]) == ("failed", "failed")
    assert found.tasks["locations"] == ["failed"]
    assert lab.server.calls.total() == 0


def test_that_the_check_finds_an_error_is_told_and_windows_without_a_release_are_still_looked_for(
    lab: LabHandle, run: Any, policy: Path, tmp_path: Path
) -> None:
    topic = lab.client("sns", region="eu-west-3").create_topic(Name="patching")["TopicArn"]
    expired = {"owner": "ann", "because": "until it is replaced", "expires": "2025-01-01", "patch_groups": "web"}
    data = {**POLICY, "evidence": {"folder": str(tmp_path / "evidence")}, "notify": {"sns_topic": topic}}
    policy.write_text(yaml.safe_dump({**data, "exceptions": [expired]}), "utf-8")
    found: Run = run()
    assert (found.state, found.report["outcome"]) == ("failed", "failed")
    assert (found.tasks["locations"], found.tasks["supervise"]) == (["failed"], ["success"])
    assert lab.server.calls.total(service="sns", operation="Publish") == 1


def test_a_policy_that_whoever_triggers_names_is_refused(lab: LabHandle, run: Any, policy: Path) -> None:
    found: Run = run(apply=True, policy=str(policy))
    assert (found.state, found.report["outcome"]) == ("failed", "failed")
    assert found.tasks["locations"] == ["failed"]
    assert found.tasks["plan"] == ["upstream_failed"]
    assert found.tasks["apply"] == ["skipped"]
    assert lab.server.calls.total(mutating=True) == 0


def test_somebody_is_told_of_an_approval_that_is_waited_for(
    lab: LabHandle, run: Any, policy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    topic = lab.client("sns", region="eu-west-3").create_topic(Name="patching")["TopicArn"]
    policy.write_text(yaml.safe_dump({**POLICY, "notify": {"sns_topic": topic}}), "utf-8")
    lab.server.calls.clear()
    run(apply=True, answer="Reject")
    # Once that an answer is waited for, once that it was a rejection.
    assert lab.server.calls.total(service="sns", operation="Publish") == 2


def test_a_run_that_is_not_finished_in_time_is_told_of(dag_bag: Any, policy: Path) -> None:
    policy.write_text(
        yaml.safe_dump({**POLICY, "gate": {"approval": {"hours": 3}}, "sla": {"run_margin_minutes": 30}}), "utf-8"
    )
    alert = read_dags().dags["patch_policy"].deadline
    (alert,) = alert if isinstance(alert, list) else [alert]
    assert alert.interval == timedelta(hours=3, minutes=30)
    assert type(alert.reference).__name__ == "DagRunQueuedAtDeadline"
    assert alert.callback.path == "sluice_airflow.notifiers.PolicyNotifier"


def test_a_policy_that_cannot_be_used_leaves_the_dag_to_say_so(dag_bag: Any, policy: Path) -> None:
    policy.write_text("version: 1\nmode: no such mode\n", "utf-8")
    assert "patch_policy" in read_dags().dags
