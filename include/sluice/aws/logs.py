"""Output of commands: what the agents of the nodes left in S3, else what Run Command itself keeps.

    <prefix>/<CommandId>/<InstanceId>/awsrunShellScript/PatchLinux/stdout and stderr
    <prefix>/<CommandId>/<InstanceId>/awsrunPowerShellScript/PatchWindows/stdout and stderr

(AG:agent/messageservice/utils/messageutil.go, docparser.go, iohandler.go). The nodes' own instance profiles write
them, so that an object may be missing where the command itself succeeded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.core.errors import AWSError
from sluice.core.release.verify import Ran

LOGS = "arn:{partition}:s3:::{logs}"

TAIL = 65_536
"""Bytes of a text that are read, from its end: what explains a failure is seldom further up."""

GONE = ("NoSuchKey", "NoSuchBucket", "404", "InvalidRange")
"""No such object, or an empty one."""


SKIPPED = "Step execution skipped"
"""How the output of a step begins that is for another platform."""


@dataclass(frozen=True, slots=True)
class Folder:
    """Where the output of a command lies."""

    bucket: str
    prefix: str
    """Of the command: `<prefix>/<CommandId>`."""

    def of(self, node: str) -> str:
        """The keys of a node begin so."""
        return f"{self.prefix}/{node}/"


def folder_of(command: Mapping[str, Any]) -> Folder | None:
    """Where the output of a command (as ListCommands shows it) goes; None: nowhere."""
    bucket = command.get("OutputS3BucketName")
    if not bucket:
        return None
    prefix = str(command.get("OutputS3KeyPrefix") or "").strip("/")
    return Folder(bucket, f"{prefix}/{command['CommandId']}".lstrip("/"))


def ran(invocation: Mapping[str, Any], folder: Folder | None) -> Ran:
    """A command on a node, of an invocation that was listed with its details."""
    node = str(invocation["InstanceId"])
    steps = invocation.get("CommandPlugins") or ()
    starts = [step["ResponseStartDateTime"] for step in steps if step.get("ResponseStartDateTime")]
    ends = [step["ResponseFinishDateTime"] for step in steps if step.get("ResponseFinishDateTime")]
    bad = [step for step in steps if step.get("StatusDetails") != "Success"]
    codes = [step.get("ResponseCode") for step in (bad[:1] or steps[-1:])]
    return Ran(
        node=node,
        command=str(invocation["CommandId"]),
        document=str(invocation.get("DocumentName", "")),
        details=str(invocation.get("StatusDetails") or invocation["Status"]),
        code=codes[0] if codes and codes[0] is not None and codes[0] >= 0 else None,
        start=min(starts).astimezone(UTC) if starts else None,
        end=max(ends).astimezone(UTC) if ends and len(ends) == len(starts) else None,
        output=f"s3://{folder.bucket}/{folder.of(node)}" if folder and starts else None,
        said=next((line for step in steps if (line := _first_line(step)) and not line.startswith(SKIPPED)), ""),
    )


def _first_line(step: Mapping[str, Any]) -> str:
    return (str(step.get("Output") or "").splitlines() or [""])[0]


def output(connection: Connection, folder: Folder | None, command: str, node: str) -> tuple[str, str]:
    """The ends of the standard output and the standard error of a command on a node, of all its steps in turn.

    From S3 where the agent has left some, else the beginnings that Run Command keeps.
    """
    texts = {"stdout": "", "stderr": ""}
    if folder is not None:
        for key in _keys(connection, folder, node):
            stream = key.rpartition("/")[2]
            if stream in texts:
                texts[stream] += _tail(connection, folder.bucket, key)
    if any(texts.values()):
        return texts["stdout"], texts["stderr"]
    return _kept(connection, command, node)


@calls("s3:ListBucket", resources=LOGS)
def _keys(connection: Connection, folder: Folder, node: str) -> Iterator[str]:
    """The keys of a node's output, one page: a document has few steps."""
    try:
        answer = connection.need("s3", "ListObjectsV2", "KeyCount", Bucket=folder.bucket, Prefix=folder.of(node))
    except AWSError as error:
        if error.code in GONE:
            return
        raise
    yield from (str(one["Key"]) for one in answer.get("Contents", ()))


@calls("s3:GetObject", resources=f"{LOGS}/*")
def _tail(connection: Connection, bucket: str, key: str) -> str:
    try:
        answer = connection.need("s3", "GetObject", "Body", Bucket=bucket, Key=key, Range=f"bytes=-{TAIL}")
    except AWSError as error:
        if error.code in GONE:
            return ""
        raise
    content: bytes = answer["Body"].read()
    return content.decode(errors="replace")


@calls("ssm:ListCommandInvocations", "ssm:GetCommandInvocation")  # IAM knows no resource for them
def _kept(connection: Connection, command: str, node: str) -> tuple[str, str]:
    """Step by step: of a document of several steps nothing is answered without the step's name."""
    stdout = stderr = ""
    asked = {"CommandId": command, "InstanceId": node}
    for invocation in connection.pages("ssm", "ListCommandInvocations", "CommandInvocations", Details=True, **asked):
        for step in invocation.get("CommandPlugins") or ():
            answer = connection.need("ssm", "GetCommandInvocation", "Status", PluginName=step["Name"], **asked)
            stdout += str(answer.get("StandardOutputContent", ""))
            stderr += str(answer.get("StandardErrorContent", ""))
    return stdout, stderr
