"""Where the policy is, and what of it cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sluice import files
from sluice.core.errors import PolicyError
from sluice.files import policy_files, read_policy, read_policy_to_halt

POLICY = "version: 1\nmode: observe\nrings: [{name: nonprod}]\n"
WINDOWS = "windows:\n  - {name: a, operation: scan, schedule: 'cron(0 1 * * ? *)', duration_hours: 2}\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(files.VARIABLE, raising=False)


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shipped"
    folder.mkdir()
    for name in (files.DEFAULT, files.DEMO):
        (folder / name).write_text(POLICY, "utf-8")
    monkeypatch.setattr(files, "SHIPPED", folder)
    return folder


def refused(path: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        read_policy(path, {})
    return str(caught.value).splitlines()


def test_the_shipped_folder_is_read_when_nothing_names_another() -> None:
    assert [file.name for file in policy_files(None, {})] == ["default.yaml"]
    assert read_policy(environment={}).policy.deployment == "sluice"


def test_a_file_of_ones_own_takes_the_place_of_what_ships(shipped: Path) -> None:
    (shipped / "ours.yaml").write_text(POLICY, "utf-8")
    (shipped / "windows.yml").write_text(WINDOWS, "utf-8")
    assert [file.name for file in policy_files(None, {})] == ["ours.yaml", "windows.yml"]


def test_the_demo_is_read_only_where_it_is_named(shipped: Path) -> None:
    assert [file.name for file in policy_files(None, {})] == ["default.yaml"]
    assert policy_files("shipped/demo.yaml", {}) == [Path("shipped/demo.yaml")]


def test_of_another_folder_every_yaml_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "default.yaml", ".hidden.yaml", "notes.md"):
        (tmp_path / name).write_text("", "utf-8")
    assert [file.name for file in policy_files(".", {})] == ["a.yml", "b.yaml", "default.yaml"]


def test_a_path_comes_before_the_variable_and_the_variable_before_the_shipped_folder(tmp_path: Path) -> None:
    assert policy_files("a.yaml", {"SLUICE_POLICY": "b.yaml"}) == [Path("a.yaml")]
    assert policy_files(None, {"SLUICE_POLICY": "b.yaml"}) == [Path("b.yaml")]


def test_files_of_a_folder_are_one_policy_and_places_name_them_as_from_here(tmp_path: Path) -> None:
    folder = tmp_path / "policy"
    folder.mkdir()
    (folder / "a.yaml").write_text(POLICY, "utf-8")
    (folder / "b.yaml").write_text(WINDOWS, "utf-8")
    loaded = read_policy("policy", {})
    assert str(loaded.sources.place(("windows", 0))) == "policy/b.yaml:2"


def test_variables_are_taken_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "p.yaml").write_text(POLICY + "operations_bucket: ops-${env:STAGE}\n", "utf-8")
    monkeypatch.setenv("STAGE", "dev")
    assert read_policy("p.yaml").policy.operations_bucket == "ops-dev"


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(POLICY, "utf-8-sig")
    assert read_policy("p.yaml", {}).policy.mode == "observe"


def test_what_is_not_there_is_said() -> None:
    assert refused("p.yaml") == [
        "p.yaml: P010 error: expected a file that can be read, found no such file or directory"
    ]


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000])
def test_a_path_that_no_file_can_have_is_said(path: str) -> None:
    [found] = refused(path)
    assert " P010 error: expected a f" in found


def test_a_folder_without_yaml_is_said(tmp_path: Path) -> None:
    assert refused(str(tmp_path))[0].endswith("found none: write a policy, or name another place")


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "expected a file or a folder, found neither" in refused("pipe")[0]
    assert "expected a file or a folder, found neither" in refused("/dev/zero")[0]


def test_text_in_another_encoding_is_said_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_bytes("version: 1\n# Zürich\n".encode("latin-1"))
    [found] = refused("p.yaml")
    assert found == "p.yaml:2: P010 error: expected UTF-8, found the byte 0xFC: save it as UTF-8"


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_bytes(b"#" * (files.LARGEST + 1))
    assert "expected at most 2,000,000 bytes, found more" in refused("p.yaml")[0]


def test_more_files_than_people_write_are_refused(tmp_path: Path) -> None:
    for number in range(files.MOST + 1):
        (tmp_path / f"{number}.yaml").touch()
    assert "expected at most 100 files of a policy, found 101" in refused(".")[0]


def test_unreadable_files_and_wrong_ones_are_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff")
    (tmp_path / "b.yaml").write_text(POLICY.replace("observe", "look"), "utf-8")
    (tmp_path / "c.yaml").symlink_to(tmp_path / "nowhere")
    assert [line.split(": ")[:2] for line in refused(".")] == [
        ["a.yaml:1", "P010 error"],
        ["b.yaml:2", "P006 error"],
        ["c.yaml", "P010 error"],
    ]


def test_what_another_file_may_have_is_not_missed_while_it_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "baselines.yaml").write_bytes(b"\xff")
    groups = "patch_groups: [{name: web, ring: nonprod, baselines: amazon, products: AMAZON_LINUX_2023}]\n"
    (tmp_path / "policy.yaml").write_text(POLICY + groups, "utf-8")
    assert [line.split(": ")[:2] for line in refused(".")] == [["baselines.yaml:1", "P010 error"]]


def test_a_halt_reads_what_it_needs_of_a_policy_with_errors_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(
        POLICY + "deployment: blue\n" + WINDOWS.replace("duration", "durration"), "utf-8"
    )
    policy, problems = read_policy_to_halt("policy.yaml", {})
    assert policy.deployment == "blue"
    assert [problem.place.line for problem in problems] == [6, 6]


@pytest.mark.parametrize(
    "wrong",
    [
        "deploymnt: blue",
        "deployment: [blue]",
        "deployment: blue\ndeployment: green",
        "locations: [{account: '111111111111', region: nowhere}]",
        "locations: [{acount: '111111111111', region: eu-west-3}]",
        "operations_bucket: ${env:OPERATIONS}",
        "roles: {halte: Halter}",
        "endpoint: 7",
    ],
)
def test_where_a_halt_would_stop_something_else_or_as_somebody_else_it_refuses(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "policy.yaml").write_text(f"{POLICY}{wrong}\n", "utf-8")
    with pytest.raises(PolicyError):
        read_policy_to_halt("policy.yaml", {})
