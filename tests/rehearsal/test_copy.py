"""The lab has a copy of the policy that differs in no more than it must, and leaves the user's own records alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.fleet import load_fleet
from lab.rehearsal.agenda import read_policy
from lab.rehearsal.command import main
from lab.rehearsal.drills import SMALL
from lab.rehearsal.play import DEMO_POLICY
from lab.rehearsal.stage import copied
from sluice.core.node import Agent, Node
from sluice.core.policy.pilot import pilot_policy
from sluice.core.policy.policy import Policy

DEFAULT_POLICY = DEMO_POLICY.with_name("default.yaml")
DEMO = load_fleet("demo")
HERE, THERE = "111111111111", "eu-west-3"


def copy_of(file: Path, home: Path) -> Policy:
    return read_policy(copied(file, home, DEMO, 0.06), dict(os.environ))


def written(home: Path, **texts: str) -> Path:
    """The small policy with other text in it."""
    text = (SMALL / "policy.yaml").read_text("utf-8")
    for old, new in texts.values():
        assert old in text
        text = text.replace(old, new)
    file = home / "own.yaml"
    file.write_text(text, "utf-8")
    return file


@pytest.mark.parametrize("file", [DEMO_POLICY, SMALL / "policy.yaml"], ids=["demo", "small"])
def test_a_copy_differs_in_nothing_but_how_often_releases_look(file: Path, tmp_path: Path) -> None:
    copy, original = copy_of(file, tmp_path), read_policy(file, dict(os.environ))
    assert copy.timing.poll_at_most_seconds == 0.06
    assert copy.model_copy(update={"timing": original.timing}) == original


def test_the_callers_own_location_is_the_first_of_the_fleet(tmp_path: Path) -> None:
    copy, original = copy_of(DEFAULT_POLICY, tmp_path), read_policy(DEFAULT_POLICY, dict(os.environ))
    assert [one.key for one in original.locations] == ["caller/caller"]
    assert [one.key for one in copy.locations] == [f"{HERE}/{THERE}"]
    same = {"locations": original.locations, "timing": original.timing, "evidence": original.evidence}
    assert copy.model_copy(update=same) == original


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ("[{account: caller, region: eu-central-1}]", [f"{HERE}/eu-central-1"]),
        ("[{account: 222222222222}]", [f"222222222222/{THERE}"]),
        ("[{}, {account: 222222222222, region: eu-central-1}]", [f"{HERE}/{THERE}", "222222222222/eu-central-1"]),
    ],
)
def test_what_of_a_location_is_written_out_stays(places: str, expected: list[str], tmp_path: Path) -> None:
    file = written(
        tmp_path, places=("locations:\n  - {account: 111111111111, region: eu-west-3}", f"locations: {places}")
    )
    assert [one.key for one in copy_of(file, tmp_path).locations] == expected


def test_a_policy_without_locations_is_the_callers_too(tmp_path: Path) -> None:
    file = written(tmp_path, places=("locations:\n  - {account: 111111111111, region: eu-west-3}\n", ""))
    assert [one.key for one in copy_of(file, tmp_path).locations] == [f"{HERE}/{THERE}"]


def test_accounts_that_the_fleet_has_not_are_refused_by_name(tmp_path: Path) -> None:
    file = written(tmp_path, places=("account: 111111111111", "account: 123456789012"))
    with pytest.raises(
        LabError, match=r"accounts of the fleet \(111111111111, 222222222222\), found 123456789012.*--fleet"
    ):
        copied(file, tmp_path, DEMO, 0.06)


@pytest.mark.parametrize("evidence", ["", "evidence: {}", "evidence: {folder: /var/lib/sluice/production}"])
def test_evidence_of_no_bucket_is_kept_below_home(evidence: str, tmp_path: Path) -> None:
    file = written(tmp_path, evidence=("evidence: {bucket: sluice-evidence-111111111111}", evidence))
    assert copy_of(file, tmp_path).evidence.folder == str(tmp_path / "evidence")


def test_the_policy_of_a_pilot_in_aws_is_rehearsed_in_the_lab(tmp_path: Path) -> None:
    file = tmp_path / "pilot.yaml"
    agent = Agent(
        "3.3.2299.0", latest=True, online=True, last_ping=None, platform_name="Ubuntu", platform_version="22.04"
    )
    node = Node("i-1", {}, "running", "ManagedNode", agent)
    file.write_text(pilot_policy(HERE, THERE, [node.id], [node], rehearsal=False), "utf-8")
    assert read_policy(file, dict(os.environ)).endpoint == "aws"
    copy = copy_of(file, tmp_path)
    assert copy.endpoint is None
    assert copy.pilot


def test_what_is_wrong_with_a_policy_is_said_of_the_users_own_file(tmp_path: Path) -> None:
    file = written(tmp_path, mode=("mode: release", "mode: nonsense"))
    with pytest.raises(LabError, match=r"own\.yaml:4.*observe"):
        copied(file, tmp_path, DEMO, 0.06)


@pytest.mark.nightly
def test_two_rehearsals_of_the_default_policy_are_the_same_and_write_nothing_outside_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    outside.mkdir()
    monkeypatch.setenv("HOME", str(outside))
    monkeypatch.setenv("XDG_DATA_HOME", str(outside / "data"))
    wanted = ["--policy", str(DEFAULT_POLICY), "--fleet", str(SMALL / "fleet.yaml"), "--home", str(home)]
    wanted += ["--window", "install-prod-linux", "--weeks", "1", "--in-process"]
    said = []
    for _ in range(2):
        assert main(wanted, "rehearse") == 0
        out = capsys.readouterr().out
        assert "Mon 09 Jun 03:00  install-prod-linux" in out
        said += [line for line in out.splitlines() if line.startswith("  Mon 09 Jun 03:00")]
    assert len(said) == 2
    assert said[0] == said[1]
    assert list((home / "evidence").rglob("*.parquet"))
    assert list(outside.iterdir()) == []
