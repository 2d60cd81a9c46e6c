"""`plan`, `apply`, `destroy` and `import` as a person types them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from policies import FOUR, SMALL, apply, changed, connect, plan, small, state, theirs_window

from lab.faults import FaultRule
from lab.testing import LabHandle
from sluice.__main__ import main
from sluice.aws import locations
from sluice.core.policy.load import load_policy
from sluice.core.policy.policy import Policy

pytestmark = pytest.mark.usefixtures("aws_environment")


@pytest.fixture(autouse=True)
def accounts(lab: LabHandle) -> None:
    for location in FOUR:
        lab.location(location["account"], location["region"])


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    return written(tmp_path, small())


def written(folder: Path, policy: Policy) -> Path:
    file = folder / "policy.yaml"
    file.write_text(yaml.safe_dump(policy.model_dump(mode="json", by_alias=True, exclude_unset=True)))
    return file


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def answers(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("".join(f"{line}\n" for line in lines)))


def test_plan_ends_with_2_where_there_are_changes_and_with_0_where_not(
    policy_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--policy", str(policy_file)]) == 2
    assert "+ create window scan-daily" in capsys.readouterr().out
    assert main(["apply", "--yes", "--policy", str(policy_file)]) == 0
    assert main(["plan", "--policy", str(policy_file)]) == 0
    assert "0 to create, 0 to update, 0 to delete" in capsys.readouterr().out


def test_plan_shows_a_change_field_by_field(lab: LabHandle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    apply(connect(small()), small())
    file = written(tmp_path, changed(small(), "windows", 1, "duration_hours", value=5))
    assert main(["plan", "--policy", str(file)]) == 2
    out = capsys.readouterr().out
    assert "~ update window install-nonprod\n      duration_hours  4 -> 5\n" in out


def test_every_command_says_the_account_and_the_endpoint_first(
    lab: LabHandle, policy_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["plan"], ["apply", "--yes"], ["destroy", "--yes", "--yes"]):
        main([*command, "--policy", str(policy_file)])
        assert f"111111111111/eu-west-3: as arn:aws:iam::111111111111:user/lab at {lab.endpoint}" in (
            capsys.readouterr().err
        )
    main(["import"])
    assert lab.endpoint in capsys.readouterr().err


def test_plan_as_json_has_every_field(policy_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["plan", "--json", "--policy", str(policy_file)])
    (location,) = json.loads(capsys.readouterr().out)["locations"]
    assert location["location"] == "111111111111/eu-west-3"
    assert location["counts"]["create"] == len(location["changes"])
    window = next(one for one in location["changes"] if one["object"] == "window" and one["name"] == "scan-daily")
    assert {"field": "enabled", "before": None, "after": "yes"} in window["fields"]


def test_apply_asks_and_takes_only_yes_for_one(
    lab: LabHandle, policy_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, "y")
    lab.server.calls.clear()
    assert main(["apply", "--policy", str(policy_file)]) == 1
    assert lab.server.calls.total(mutating=True) == 0
    answers(monkeypatch, "yes")
    assert main(["apply", "--policy", str(policy_file)]) == 0
    assert len(lab.location().windows) == 2


def test_apply_without_anybody_to_ask_changes_nothing(
    lab: LabHandle, policy_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    assert main(["apply", "--policy", str(policy_file)]) == 1
    assert "--yes goes without asking" in capsys.readouterr().err
    assert not lab.location().windows


def test_destroy_asks_twice_and_leaves_the_account_as_it_was(
    lab: LabHandle, policy_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(lab)
    main(["apply", "--yes", "--policy", str(policy_file)])
    for given in (["no"], ["yes", "yes"], ["yes", "nonsense"]):
        answers(monkeypatch, *given)
        assert main(["destroy", "--policy", str(policy_file)]) == 1
        assert lab.location().windows
    answers(monkeypatch, "yes", "sluice")
    assert main(["destroy", "--policy", str(policy_file)]) == 0
    after = state(lab)
    assert after.pop("defaults")["AMAZON_LINUX_2023"].startswith("arn:aws:ssm:")  # AWS's, by name
    before.pop("defaults")
    assert after == before


def test_a_denied_location_is_summed_up_and_the_others_are_done(
    lab: LabHandle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, small(locations=FOUR, roles={"assume": True}))
    denied = FaultRule(kind="access_denied", service="ssm", operation="CreatePatchBaseline", account="222222222222")
    lab.server.faults.add(denied)
    assert main(["apply", "--yes", "--policy", str(file)]) == 1
    captured = capsys.readouterr()
    assert "2 of 4 locations failed" in captured.err
    assert "\n  222222222222/eu-west-3: ssm:CreatePatchBaseline: AccessDeniedException" in captured.err
    assert captured.out.count("what is there is what was planned") == 2
    assert len(lab.location("111111111111", "eu-central-1").windows) == 2
    assert not lab.location("222222222222", "eu-west-3").windows
    lab.server.faults.clear()
    assert main(["apply", "--yes", "--policy", str(file)]) == 0


def test_a_slow_location_is_named_while_the_others_wait_and_what_is_printed_stays(
    lab: LabHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, small(locations=FOUR, roles={"assume": True}))
    assert main(["plan", "--json", "--policy", str(file)]) == 2
    quick = capsys.readouterr().out
    monkeypatch.setattr(locations, "PATIENCE", 0.1)
    slow = FaultRule(kind="delay", operation="ListAssociations", account="222222222222", region="eu-west-3", seconds=1)
    lab.server.faults.add(slow)
    assert main(["plan", "--json", "--policy", str(file)]) == 2
    captured = capsys.readouterr()
    assert captured.out == quick
    waits = [line for line in captured.err.splitlines() if line.startswith("waiting for ")]
    assert any("222222222222/eu-west-3" in line for line in waits)


def test_only_the_locations_that_are_named_are_done(lab: LabHandle, tmp_path: Path) -> None:
    file = written(tmp_path, small(locations=FOUR, roles={"assume": True}))
    assert main(["apply", "--yes", "--policy", str(file), "--location", "222222222222/eu-west-3"]) == 0
    assert not lab.location("111111111111", "eu-west-3").windows
    assert lab.location("222222222222", "eu-west-3").windows
    assert main(["plan", "--policy", str(file), "--location", "333333333333/eu-west-3"]) == 1


def test_what_is_of_others_stops_its_location_before_anything_changes(
    lab: LabHandle, policy_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ssm = lab.client("ssm")
    baseline = ssm.create_patch_baseline(Name="theirs", OperatingSystem="UBUNTU")["BaselineId"]
    ssm.register_patch_baseline_for_patch_group(BaselineId=baseline, PatchGroup="nonprod-linux")
    lab.server.calls.clear()
    assert main(["apply", "--yes", "--policy", str(policy_file)]) == 1
    assert "agree with --take-over 'nonprod-linux'" in capsys.readouterr().err
    assert lab.server.calls.total(mutating=True) == 0
    assert main(["apply", "--yes", "--take-over", "nonprod-linux", "--policy", str(policy_file)]) == 0
    assert main(["plan", "--policy", str(policy_file)]) == 0


def test_destroy_says_what_it_changes_for_others_and_needs_their_word(
    lab: LabHandle, policy_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apply(connect(small()), small())
    theirs_window(lab, "nonprod-linux")
    lab.server.calls.clear()
    assert main(["destroy", "--yes", "--yes", "--policy", str(policy_file)]) == 1
    captured = capsys.readouterr()
    assert "which becomes its operating system's default at once (needs --take-over 'nonprod-linux')" in captured.out
    assert "agree with --take-over 'nonprod-linux'" in captured.err
    assert lab.server.calls.total(mutating=True) == 0
    agreed = ["--take-over", "nonprod-linux"]
    assert main(["destroy", "--yes", "--yes", *agreed, "--policy", str(policy_file)]) == 0
    assert not lab.location().patch_groups


def test_what_changed_since_it_was_shown_is_not_applied(
    lab: LabHandle, policy_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Meanwhile(Terminal):
        def readline(self, *args: Any) -> str:
            apply(connect(small()), small())
            return "yes\n"

    monkeypatch.setattr("sys.stdin", Meanwhile())
    assert main(["apply", "--policy", str(policy_file)]) == 1
    assert "look at a new plan" in capsys.readouterr().err
    assert len(lab.location().windows) == 2
    assert plan(connect(small()), small()).pending == ()


def test_a_policy_with_errors_is_not_planned(
    lab: LabHandle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, changed(small(), "patch_groups", 0, "products", value=["SUSE 15.5"]))
    lab.server.calls.clear()
    assert main(["plan", "--policy", str(file)]) == 1
    assert "nothing was read or changed" in capsys.readouterr().err
    assert lab.server.calls.total() == 0


def test_an_endpoint_of_ones_own_is_refused_where_the_policy_says_aws(
    lab: LabHandle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, small(endpoint="aws"))
    lab.server.calls.clear()
    assert main(["plan", "--policy", str(file)]) == 1
    assert f"found the endpoint {lab.endpoint}" in capsys.readouterr().err
    assert lab.server.calls.total() == 0


def test_what_aws_says_cannot_command_the_terminal(
    lab: LabHandle, policy_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.client("ssm").create_association(
        Name="AWS-RunPatchBaseline",
        Parameters={"Operation": ["Scan"]},
        Targets=[{"Key": "tag:Patch Group", "Values": ["nonprod-linux"]}],
    )
    next(iter(lab.location().associations.values())).latest.body["AssociationName"] = "\033[2Jgone"
    main(["plan", "--policy", str(policy_file)])
    assert "\033" not in capsys.readouterr().out


def test_what_was_applied_is_imported_as_a_policy_that_loads(
    lab: LabHandle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apply(connect(small()), small())
    lab.server.calls.clear()
    assert main(["import", "--output", str(tmp_path / "imported.yaml")]) == 0
    assert lab.server.calls.total(mutating=True) == 0
    text = (tmp_path / "imported.yaml").read_text()
    policy = load_policy([("imported.yaml", text)], {}).policy
    assert policy.mode == "observe"
    assert {baseline.name for baseline in policy.baselines} == {"sluice-amazon", "sluice-ubuntu", "sluice-windows"}
    assert [baseline.default for baseline in policy.baselines] == [True, False, False]
    assert {group.name: group.ring for group in policy.patch_groups} == {
        "nonprod-linux": "nonprod",
        "prod windows": "prod",
    }
    (scan,) = policy.windows
    assert (scan.name, scan.operation, scan.trigger, scan.schedule) == (
        "sluice-scan-daily", "scan", "native", SMALL["windows"][0]["schedule"],
    )  # fmt: skip
    assert main(["import", "--output", str(tmp_path / "imported.yaml")]) == 1


def test_an_import_says_what_it_left_out(lab: LabHandle, capsys: pytest.CaptureFixture[str]) -> None:
    ssm = lab.client("ssm")
    ssm.create_maintenance_window(
        Name="Backups", Schedule="rate(1 day)", Duration=3, Cutoff=1, AllowUnassociatedTargets=True
    )
    assert main(["import"]) == 0
    out = capsys.readouterr().out
    assert "# Left out: window Backups" in out
    load_policy([("imported.yaml", out)], {})


def test_an_install_window_is_imported_with_its_reboot(lab: LabHandle, capsys: pytest.CaptureFixture[str]) -> None:
    ssm = lab.client("ssm")
    baseline = ssm.create_patch_baseline(
        Name="Web_servers", OperatingSystem="REDHAT_ENTERPRISE_LINUX", ApprovedPatches=["kernel*"]
    )["BaselineId"]
    ssm.register_patch_baseline_for_patch_group(BaselineId=baseline, PatchGroup="web")
    window = ssm.create_maintenance_window(
        Name="Web", Schedule="cron(0 22 ? * SAT#3 *)", ScheduleTimezone="Europe/Paris", Duration=3, Cutoff=1,
        AllowUnassociatedTargets=False,
    )["WindowId"]  # fmt: skip
    target = ssm.register_target_with_maintenance_window(
        WindowId=window, ResourceType="INSTANCE", Targets=[{"Key": "tag:PatchGroup", "Values": ["web"]}]
    )["WindowTargetId"]
    ssm.register_task_with_maintenance_window(
        WindowId=window, TaskArn="AWS-RunPatchBaseline", TaskType="RUN_COMMAND", MaxConcurrency="2", MaxErrors="0",
        Targets=[{"Key": "WindowTargetIds", "Values": [target]}],
        TaskInvocationParameters={"RunCommand": {"Parameters": {"Operation": ["Install"]}}},
    )  # fmt: skip
    assert main(["import"]) == 0
    policy = load_policy([("imported.yaml", capsys.readouterr().out)], {}).policy
    assert policy.tags.patch_group == "PatchGroup"
    (window_part,) = policy.windows
    assert (window_part.operation, window_part.reboot.when, window_part.reboot.how) == (
        "install",
        "if_needed",
        "inline",
    )
    assert (window_part.concurrency, window_part.errors) == ("2", "0")
    assert policy.baselines[0].name == "web-servers"
    assert policy.baselines[0].approved.patches == ("kernel*",)
