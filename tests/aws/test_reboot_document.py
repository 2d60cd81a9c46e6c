"""The document that reboots what waits for it: its script as the shell runs it, and in the lab."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from policies import apply, connect, small

from lab.testing import LabHandle
from lab.world import Node
from sluice.aws import logs
from sluice.core.policy import reboot_document


@pytest.fixture
def lab_fleet() -> str:
    return "demo"


class Machine:
    """A folder that the script takes for a machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("bin", "boot"):
            (folder / name).mkdir()
        for tool in ("find", "grep", "ls", "rm", "sync", "tail", "touch", "uname"):
            real = next(Path(place, tool) for place in ("/bin", "/usr/bin") if Path(place, tool).exists())
            (folder / "bin" / tool).symlink_to(real)
        self.kernel(os.uname().release)

    def kernel(self, version: str) -> None:
        (self.folder / "boot" / f"vmlinuz-{version}").touch()

    def tool(self, name: str, code: int) -> None:
        file = self.folder / "bin" / name
        file.write_text(f"#!/bin/sh\nexit {code}\n")
        file.chmod(0o755)

    def run(self, when: str = "IfPending") -> int:
        """The exit code."""
        return self.ran(when).returncode

    def says(self, when: str) -> str:
        """What it prints, where it ends well."""
        found = self.ran(when)
        assert found.returncode == 0
        return found.stdout.decode().strip()

    def ran(self, when: str) -> subprocess.CompletedProcess[bytes]:
        script = reboot_document.LINUX.replace("{{ When }}", when)
        for place in ("/var/lib/", "/var/run/", "/boot/"):
            script = script.replace(place, f"{self.folder}/boot/" if place == "/boot/" else f"{self.folder}/")
        shell = subprocess.run(
            ["/bin/sh", "-c", script], env={"PATH": str(self.folder / "bin")}, capture_output=True, check=False
        )
        assert shell.stderr == b""
        return shell


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_node_that_waits_for_nothing_does_not_reboot(machine: Machine) -> None:
    machine.tool("needs-restarting", 0)
    assert machine.run() == 0


def test_it_reboots_for_a_newer_kernel_than_the_one_that_runs(machine: Machine) -> None:
    machine.kernel("999.0.0-1")
    assert machine.run() == 194


def test_it_reboots_for_what_the_package_managers_say(machine: Machine) -> None:
    machine.tool("needs-restarting", 1)
    assert machine.run() == 194


def test_a_tool_that_fails_is_not_taken_for_a_pending_reboot(machine: Machine) -> None:
    machine.tool("needs-restarting", 2)
    assert machine.run() == 0


def test_zypper_says_it_with_a_code_of_its_own(machine: Machine) -> None:
    machine.tool("zypper", 102)
    assert machine.run() == 194


def test_it_reboots_for_the_file_of_debian_and_ubuntu_once(machine: Machine) -> None:
    (machine.folder / "reboot-required").touch()
    assert machine.run() == 194
    (machine.folder / "reboot-required").unlink()
    assert machine.run() == 0
    assert machine.run() == 0


def test_a_node_that_waits_even_after_its_reboot_fails_and_does_not_go_round(machine: Machine) -> None:
    machine.kernel("999.0.0-1")
    assert [machine.run(), machine.run()] == [194, 1]


def test_always_reboots_once(machine: Machine) -> None:
    assert [machine.run("Always"), machine.run("Always")] == [194, 0]


def test_with_never_it_only_says_whether_a_reboot_is_pending(machine: Machine) -> None:
    assert machine.says("Never") == reboot_document.NONE_PENDING[0]
    machine.tool("needs-restarting", 1)
    assert machine.says("Never") == "reboot pending: yes"
    assert machine.run() == 194, "and changed nothing of what a reboot goes by"


@pytest.mark.usefixtures("aws_environment")
@pytest.mark.parametrize(
    ("name", "pending", "none", "some"),
    [
        ("db-nonprod-01", "sudo.amd64 libc6.amd64", "no", "yes"),
        ("erp-nonprod-01", "KB2267602 KB5060526", "False", "True"),
    ],
)
def test_a_node_of_the_lab_that_is_only_asked_says_so_and_stays_up(
    lab: LabHandle, name: str, pending: str, none: str, some: str
) -> None:
    apply(connect(small()), small())
    ssm, node = lab.client("ssm"), node_named(lab, name)
    harmless, needing = pending.split()

    def asked() -> str:
        given = {"When": ["Never"]}
        sent = ssm.send_command(DocumentName=reboot_document.NAME, InstanceIds=[node.node_id], Parameters=given)
        lab.advance(minutes=10)
        found = ssm.list_command_invocations(CommandId=sent["Command"]["CommandId"], Details=True)
        (told,) = found["CommandInvocations"]
        assert told["Status"] == "Success"
        return logs.ran(told, None).said

    before = node.booted_at
    for waiting, said in ((set(), none), ({harmless}, none), ({harmless, needing}, some)):
        node.pending = frozenset(waiting)
        assert asked() == f"reboot pending: {said}"
        assert (node.booted_at, node.pending) == (before, waiting)
    assert f"reboot pending: {none}" in reboot_document.NONE_PENDING
    assert f"reboot pending: {some}" not in reboot_document.NONE_PENDING


@pytest.mark.usefixtures("aws_environment")
def test_the_document_reboots_a_node_of_the_lab_that_waits_and_no_other(lab: LabHandle) -> None:
    apply(connect(small()), small())
    ssm = lab.client("ssm")
    patched, other = (node_named(lab, f"db-nonprod-{number:02}") for number in (1, 2))
    ssm.send_command(
        DocumentName="AWS-RunPatchBaseline",
        InstanceIds=[patched.node_id],
        Parameters={"Operation": ["Install"], "RebootOption": ["NoReboot"]},
    )
    lab.advance(hours=2)
    before = patched.booted_at, other.booted_at
    assert patched.pending
    ssm.send_command(DocumentName=reboot_document.NAME, InstanceIds=[patched.node_id, other.node_id])
    lab.advance(hours=1)
    assert patched.booted_at > before[0]
    assert not patched.pending
    assert other.booted_at == before[1]


def node_named(lab: LabHandle, name: str) -> Node:
    return next(node for node in lab.location().nodes.values() if lab.location().tags(node.node_id).get("Name") == name)
