"""Command output in S3, made when it is read.

The agent writes `<prefix>/<CommandId>/<NodeId>/<plugin>/<step>/{stdout,stderr}`
(AG:agent/messageservice/utils/messageutil.go, docparser.go, iohandler.go). Fifty thousand nodes leave
fifty thousand texts that nobody may read, so the lab notes what is there and makes an object when a
request for its bucket comes (`materialise`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from moto.s3.models import FakeBucket, S3Backend, s3_backends

from lab import patching
from lab.runs import StepOutcome
from lab.world import Location

if TYPE_CHECKING:
    from lab.commands import Command, CommandInvocation

SHOWN_AT_MOST = 24_000
"""Characters of output that GetCommandInvocation shows; the rest is in S3."""


def add(location: Location, command: Command, invocation: CommandInvocation) -> None:
    """Note that an invocation has left output in the command's bucket, if it has one."""
    if command.bucket is not None:
        location.lab.unwritten[command.bucket].append((command, invocation))


def materialise(
    unwritten: defaultdict[str, list[tuple[Command, CommandInvocation]]], environ: Mapping[str, Any]
) -> None:
    """Write what is noted for the bucket that a request to S3 is about.

    A request that lists no bucket's keys and reads none (ListBuckets) needs nothing. Where there is no
    such bucket the agents' uploads have failed, and nothing is kept.
    """
    if not unwritten:
        return
    host, path = environ.get("HTTP_HOST", ""), environ["PATH_INFO"].lstrip("/")
    bucket = host.partition(".s3")[0] if ".s3" in host else path.partition("/")[0]
    noted = unwritten.pop(bucket, None)
    if noted is None:
        return
    for owner in list(s3_backends):
        found = dict.get(s3_backends[owner], "aws")
        if found is not None and bucket in found.buckets:
            for command, invocation in noted:
                _write(command, invocation, found, found.buckets[bucket])


def _write(command: Command, invocation: CommandInvocation, backend: S3Backend, bucket: FakeBucket) -> None:
    for step in invocation.outcome.steps if invocation.outcome is not None else ():
        for stream, text in zip(("stdout", "stderr"), streams(step, invocation.node_id), strict=True):
            if text:
                key = f"{key_prefix(command, invocation.node_id)}{plugin_folder(step)}/{stream}"
                written = backend.put_object(bucket.name, key, text.encode())
                written.last_modified = (invocation.end or command.requested).replace(tzinfo=None)


def key_prefix(command: Command, node_id: str) -> str:
    """Where a node's output lies: everything before the plugin."""
    start = f"{command.prefix.strip('/')}/" if command.prefix.strip("/") else ""
    return f"{start}{command.command_id}/{node_id}/"


def plugin_folder(step: StepOutcome) -> str:
    """`awsrunShellScript/PatchLinux`: the action without its colon, then the step."""
    return f"{step.step.action.replace(':', '')}/{step.step.name}"


def streams(step: StepOutcome, node_id: str) -> tuple[str, str]:
    """A step's standard output and standard error."""
    return (step.text if step.result is None else patching.text(step, node_id)), step.error
