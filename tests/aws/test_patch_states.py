"""Patch states and output are read whole, and nothing is concluded from half an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from policies import small

from lab.fleet import Fleet
from lab.testing import LabHandle
from sluice.aws import commands, logs, patch_states
from sluice.aws.session import Connection, Connections, Duty
from sluice.core.errors import AnswerError
from sluice.core.policy.places import Location
from sluice.core.release.output import explaining_line

pytestmark = pytest.mark.usefixtures("aws_environment")

FLEET = {
    "accounts": [{"id": "111111111111", "name": "a", "regions": ["eu-west-3"]}],
    "profiles": [{"name": "ManagedNode", "policies": ["AmazonSSMManagedInstanceCore"]}],
    "defaults": {"profile": "ManagedNode", "image": "2025-05-05"},
    "groups": [
        {"name": "linux", "os": "AmazonLinux2023", "count": 58, "packages": "web", "tags": {"Name": "linux-{n:02}"}},
        {"name": "windows", "os": "WindowsServer2019", "count": 2, "tags": {"Name": "windows-{n:02}"}},
    ],
}
BUCKET = "sluice-logs"


@pytest.fixture
def lab_fleet() -> Fleet:
    return Fleet.model_validate(FLEET)


@pytest.fixture
def connection(lab: LabHandle) -> Iterator[Connection]:
    found = Connections.of(small()).open(Location(), Duty.READER)
    yield found
    found.close()


def nodes(lab: LabHandle, beginning: str = "") -> list[str]:
    return sorted(node.node_id for node in lab.location().nodes.values() if node.name.startswith(beginning))


def run(lab: LabHandle, ids: list[str], operation: str = "Scan", **parameters: Any) -> str:
    """A patch operation outside of any window, as others may start one."""
    ssm = lab.client("ssm")
    ssm_parameters = {"Operation": [operation], **parameters}
    sent = ssm.send_command(
        DocumentName="AWS-RunPatchBaseline", InstanceIds=ids[:50], Parameters=ssm_parameters,
        OutputS3BucketName=BUCKET, OutputS3KeyPrefix="logs/a",
    )  # fmt: skip
    lab.advance(hours=2)
    command: str = sent["Command"]["CommandId"]
    return command


def test_the_states_of_more_nodes_than_a_call_takes_are_read(lab: LabHandle, connection: Connection) -> None:
    ids = nodes(lab)
    first, second = run(lab, ids[:50]), run(lab, ids[50:])
    found = patch_states.of_nodes(connection, ids)
    assert [one.node for one in found] == ids
    assert {one.operation for one in found} == {"Scan"}
    assert all(one.start < one.end and one.override_list is None for one in found)
    assert patch_states.of_command(connection, first) == set(ids[:50])
    assert patch_states.of_command(connection, second) == set(ids[50:])


def test_a_node_that_nothing_was_ever_reported_of_has_no_state(lab: LabHandle, connection: Connection) -> None:
    run(lab, nodes(lab)[:1])
    assert [one.node for one in patch_states.of_nodes(connection, nodes(lab)[:3])] == nodes(lab)[:1]
    assert patch_states.of_nodes(connection, []) == []


def test_all_pages_of_a_nodes_patches_are_read_and_add_up_to_its_counts(lab: LabHandle, connection: Connection) -> None:
    for node in (nodes(lab, "linux")[0], nodes(lab, "windows")[0]):
        run(lab, [node])
        (state,) = patch_states.of_nodes(connection, [node])
        rows = patch_states.of_node(connection, node, "AMAZON_LINUX_2023")
        shown = [row.state for row in rows]
        assert shown.count("MISSING") == state.missing
        assert shown.count("INSTALLED") == state.installed
        assert shown.count("INSTALLED_OTHER") == state.installed_other
        assert all(row.installed is None for row in rows if row.state == "MISSING")  # AWS writes 1970 there


@pytest.mark.parametrize("member", ["Operation", "OperationStartTime", "OperationEndTime", "InstanceId"])
def test_an_item_without_what_every_item_has_is_refused(connection: Connection, member: str) -> None:
    whole = {"InstanceId": "i-0123456789abcdef0", "Operation": "Scan", "OperationStartTime": 1, "OperationEndTime": 1}
    answer = {"InstancePatchStates": [{name: value for name, value in whole.items() if name != member}]}
    connection.call = lambda service, operation, **parameters: answer  # type: ignore[method-assign]  # half an item: the lab makes none
    with pytest.raises(AnswerError, match=f"without {member}"):
        patch_states.of_nodes(connection, ["i-0123456789abcdef0"])


@pytest.mark.parametrize(
    "read",
    [
        lambda connection: patch_states.of_nodes(connection, ["i-0123456789abcdef0"]),
        lambda connection: patch_states.of_node(connection, "i-0123456789abcdef0", "AMAZON_LINUX_2023"),
    ],
)
def test_an_answer_without_its_list_is_refused(connection: Connection, read: Callable[[Connection], Any]) -> None:
    connection.call = lambda service, name, **parameters: {}  # type: ignore[method-assign]  # what boto3 makes of a truncated body
    with pytest.raises(AnswerError):
        read(connection)


# output


@pytest.fixture
def bucket(lab: LabHandle) -> None:
    lab.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("system", ["linux", "windows"])
def test_the_output_of_a_node_is_found_in_s3(lab: LabHandle, connection: Connection, system: str) -> None:
    node = nodes(lab, system)[0]
    command = run(lab, [node])
    folder = logs.folder_of(commands.read(connection, command))
    assert folder == logs.Folder(BUCKET, f"logs/a/{command}")
    stdout, stderr = logs.output(connection, folder, command, node)
    assert f"Patch Summary for {node}" in stdout
    assert stderr == ""
    (invocation,) = commands.invocations(connection, command, details=True)
    ran = logs.ran(invocation, folder)
    assert (ran.details, ran.code, ran.output) == ("Success", 0, f"s3://{BUCKET}/logs/a/{command}/{node}/")
    assert ran.seconds is not None
    assert ran.seconds > 0


@pytest.mark.usefixtures("bucket")
def test_the_line_that_explains_a_failure_is_found(lab: LabHandle, connection: Connection) -> None:
    node = nodes(lab, "linux")[0]
    command = run(lab, [node], "Install", InstallOverrideList=["s3://nowhere/list.yaml"])
    folder = logs.folder_of(commands.read(connection, command))
    line = explaining_line(*logs.output(connection, folder, command, node))
    assert "nowhere" in line
    (invocation,) = commands.invocations(connection, command, details=True)
    assert (logs.ran(invocation, folder).details, logs.ran(invocation, folder).code) == ("Failed", 156)


def test_without_a_bucket_run_command_itself_is_asked(lab: LabHandle, connection: Connection) -> None:
    node = nodes(lab, "linux")[0]
    command = run(lab, [node])  # the bucket that it names is not there: the agent could write nothing
    folder = logs.folder_of(commands.read(connection, command))
    assert "Patch Summary" in logs.output(connection, folder, command, node)[0]
    assert "Patch Summary" in logs.output(connection, None, command, node)[0]


@pytest.mark.usefixtures("bucket")
def test_of_a_long_output_its_end_is_read(lab: LabHandle, connection: Connection) -> None:
    key = "logs/a/c/i-0123456789abcdef0/awsrunShellScript/PatchLinux/stdout"
    lab.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"x" * 200_000 + b"\nError: the end\n")
    lab.client("s3").put_object(Bucket=BUCKET, Key=key.replace("stdout", "stderr"), Body=b"")
    stdout, stderr = logs.output(connection, logs.Folder(BUCKET, "logs/a/c"), "c", "i-0123456789abcdef0")
    assert len(stdout) == logs.TAIL
    assert stdout.endswith("Error: the end\n")
    assert stderr == ""
