"""`python -m sluice init --pilot` as a person types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.testing import LabHandle
from sluice.__main__ import main
from sluice.files import read_policy

pytestmark = pytest.mark.usefixtures("aws_environment")

PLACE = ["init", "--pilot", "--account", "111111111111", "--region", "eu-west-3"]


@pytest.fixture
def lab_fleet() -> str:
    return "demo"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def untagged(lab: LabHandle) -> str:
    location = lab.location()
    return next(node_id for node_id in location.nodes if "Patch Group" not in location.tags(node_id))


def test_a_rehearsals_policy_can_be_planned_on_the_lab(lab: LabHandle, capsys: pytest.CaptureFixture[str]) -> None:
    node = untagged(lab)
    assert main([*PLACE, "--rehearsal", "--nodes", node]) == 0
    shown = capsys.readouterr()
    assert f"111111111111/eu-west-3: as arn:aws:iam::111111111111:user/lab at {lab.endpoint}" in shown.err
    assert f"--resources {node}" in shown.out
    assert read_policy("pilot.yaml").policy.endpoint is None
    assert main(["check", "pilot.yaml"]) == 0
    assert main(["plan", "--policy", "pilot.yaml"]) == 2
    assert lab.server.calls.total(mutating=True) == 0


def test_any_endpoint_but_awss_is_refused_without_rehearsal(
    lab: LabHandle, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*PLACE, "--nodes", untagged(lab)]) == 1
    told = capsys.readouterr().err
    assert lab.endpoint in told
    assert "unset AWS_ENDPOINT_URL and endpoint_url in the AWS configuration, or give --rehearsal" in told
    assert "from the policy" not in told
    assert list(folder.iterdir()) == []
    assert lab.server.calls.total() == 0


def test_a_node_that_is_named_twice_is_one(lab: LabHandle, capsys: pytest.CaptureFixture[str]) -> None:
    node = untagged(lab)
    assert main([*PLACE, "--rehearsal", "--nodes", node, node]) == 0
    assert f"--resources {node} --tags" in capsys.readouterr().out


def test_another_account_than_the_credentials_is_refused(lab: LabHandle, folder: Path) -> None:
    elsewhere = ["init", "--pilot", "--account", "222222222222", "--region", "eu-west-3", "--rehearsal"]
    assert main([*elsewhere, "--nodes", untagged(lab)]) == 1
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("account", ["1234", "caller", "${env:ACCOUNT}"])
def test_an_account_has_twelve_digits(
    account: str, lab: LabHandle, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["init", "--pilot", "--account", account, "--region", "eu-west-3", "--rehearsal", "--nodes", "i-1"]
    assert main(place) == 1
    assert capsys.readouterr().err.startswith("sluice: ")
    assert list(folder.iterdir()) == []


def test_more_than_five_nodes_are_refused_before_anything_is_asked(lab: LabHandle, folder: Path) -> None:
    assert main([*PLACE, "--rehearsal", "--nodes", *sorted(lab.location().nodes)[:6]]) == 1
    assert list(folder.iterdir()) == []
    assert lab.server.calls.total() == 0


def test_a_file_that_is_there_stays_as_it_is(lab: LabHandle, folder: Path) -> None:
    (folder / "pilot.yaml").write_text("mine\n")
    assert main([*PLACE, "--rehearsal", "--nodes", untagged(lab)]) == 1
    assert (folder / "pilot.yaml").read_text() == "mine\n"
    assert lab.server.calls.total() == 0


def test_a_node_in_a_group_is_refused(lab: LabHandle, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    location = lab.location()
    taken = next(
        node_id
        for node_id, node in location.nodes.items()
        if location.tags(node_id).get("Name") == "web-prod-01" and node.profile
    )
    assert main([*PLACE, "--rehearsal", "--nodes", taken]) == 1
    assert "found it in 'prod-linux'" in capsys.readouterr().err
    assert list(folder.iterdir()) == []
