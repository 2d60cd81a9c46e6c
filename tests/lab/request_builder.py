"""Random requests that are valid to botocore's model, made of what there is in a lab and of what there is not."""

from __future__ import annotations

import json
from collections import defaultdict
from functools import cache
from random import Random
from typing import Any

import regex
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from lab.world import Location

KNOWN = 40
"""Ids of each kind that are kept for later requests."""

BUCKET = "output"
SCRIPT = {
    "schemaVersion": "2.2",
    "parameters": {"word": {"type": "String", "default": "x"}},
    "mainSteps": [
        {
            "action": "aws:runShellScript",
            "name": "first",
            "inputs": {"runCommand": ["echo {{ word }}", "exit 194"], "timeoutSeconds": "9" * 20},
        },
        {"action": "aws:runPowerShellScript", "name": "second", "inputs": {"runCommand": "exit 99999999999"}},
    ],
}
CALENDAR = (
    "BEGIN:VCALENDAR\nX-CALENDAR-TYPE:DEFAULT_CLOSED\nBEGIN:VEVENT\nUID:1\nDTSTART:20250601T000000Z\n"
    "DURATION:P1D\nRRULE:FREQ=WEEKLY\nEND:VEVENT\nEND:VCALENDAR\n"
)
WORDS = [
    *(
        "",
        " ",
        "a",
        "web",
        "nonprod-linux",
        "my-script",
        "my-calendar",
        "*",
        "x" * 40,
        "x" * 255,
        "é中\U0001f600",
        "..",
    ),
    *(
        "0",
        "1",
        "5",
        "-1",
        "50%",
        "1.0",
        "$LATEST",
        "9" * 25,
        "true",
        "Online",
        "Success",
        "Missing",
        "CRITICAL",
        "EQUAL",
    ),
    *("AWS-RunPatchBaseline", "AWS-RunShellScript", "AWS-CreateImage", "AWS-GatherSoftwareInventory", "Patch"),
    *("Custom:Rack", "AWS:Application", "AWS:PatchSummary", "AWS:InstanceInformation.PlatformName", "Custom:Rack.Row"),
    *("{{TARGET_ID}}", "{{WINDOW_ID}}", "aws:x", "ManagedInstance", "SyncFromSource", "SyncToDestination", "Security"),
    *("/ssm/managed-instance/activation-tier", "111111111111", "all", "Europe/Paris", "Asia/Tokyo", "Nowhere/Zone"),
    *("arn:aws:iam::111111111111:role/ssm", "arn:aws:ssm:eu-west-3:222222222222:document/x", f"s3://{BUCKET}/list"),
    *("mw-0123456789abcdef0", "pb-0123456789abcdef0", "i-0123456789abcdef0", "11111111-2222-3333-4444-555555555555"),
    *("a" * 32, "d" * 64, "2025-06-02T10:00:00Z", "2025-02-30T10:00:00Z"),
]
TIMES = [
    *("2025-06-02T00:00:00Z", "2025-06-10", "2025-06-02T01:00:00", "2020-01-01T00:00:00.123456789Z", "soon"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "2025-02-30T10:00:00Z"),
]
SCHEDULES = [
    *("rate(1 minute)", "rate(5 minutes)", "rate(999999999 days)", "rate()", "at()", "cron()", "cron(x)"),
    *("at(2025-06-02T03:00:00)", "at(9999-12-31T23:59:59)", "at(0001-01-01T00:00:00)", "cron(0 2 ? * TUE#2 *)"),
    *("cron(0 0 L * ? *)", "cron(0 0 30 2 ? *)", "cron(0 0 ? * 1L 2199)", "cron(0 0 0 ? * SUN#9 *)"),
]
KEYS = [
    *(
        "InstanceIds",
        "WindowTargetIds",
        "tag:Patch Group",
        "tag-key",
        "resource-groups:Name",
        "Name",
        "Enabled",
        "Type",
    ),
    *(
        "OwnerInformation",
        "TaskType",
        "Priority",
        "STATUS",
        "Status",
        "ExecutedBefore",
        "ScheduledAfter",
        "NAME_PREFIX",
    ),
    *("OWNER", "OPERATING_SYSTEM", "PRODUCT", "PATCH_SET", "CLASSIFICATION", "MSRC_SEVERITY", "SEVERITY", "PRIORITY"),
    *("SECTION", "CVE_ID", "State", "KBId", "Severity", "MissingCount", "PingStatus", "AgentVersion", "SourceIds"),
    *("ComplianceType", "ExecutionTime", "Title", "AWS:Application.Name", "AWS:PatchSummary.MissingCount", "TypeName"),
    *(
        "Custom:Rack.Row",
        "Owner",
        "DocumentType",
        "SearchKeyword",
        "DocumentNamePrefix",
        "StartTimeBefore",
        "StepName",
        "",
    ),
]
CONTENTS = [
    *(json.dumps(SCRIPT), CALENDAR, "{}", "[]", "null", "x: [", '{"schemaVersion": "2.2", "mainSteps": [{}]}'),
    "schemaVersion: '2.2'\nmainSteps: &a\n- *a\n",
    "schemaVersion: '2.2'\nmainSteps:\n- {action: aws:runShellScript, name: step, inputs: {2025-01-01: 1}}\n",
    '{"schemaVersion": "1.2", "runtimeConfig": {"aws:runShellScript": {"properties": [{"id": 7}, null, 3]}}}',
    '{"schemaVersion": "0.3", "mainSteps": [{"name": "wait", "action": "aws:sleep"}]}',
]
FITTING = {
    "Content": CONTENTS,
    "Key": KEYS,
    "key": KEYS,
    "Schedule": SCHEDULES,
    "ScheduleExpression": SCHEDULES,
    "NextToken": ["lab-page-0-00000000", f"lab-page-{'9' * 30}", "", "x"],
    "CalendarNames": ["my-calendar"],
    "DocumentName": ["AWS-RunPatchBaseline", "AWS-RunShellScript", "my-script"],
    "TaskArn": ["AWS-RunPatchBaseline", "AWS-RunShellScript", "my-script"],
}
"""Texts by the name of the member that they are meant for."""
ALIASES = {
    "TaskId": ("TaskExecutionId",),
    "ResourceId": ("InstanceId", "WindowId", "BaselineId", "AssociationId"),
    "Target": ("InstanceId",),
    "InstanceIds": ("InstanceId",),
    "ResourceIds": ("InstanceId",),
    "Values": ("InstanceId", "WindowTargetId", "WindowTaskId"),
}
PARAMETERS: list[dict[str, list[str]]] = [
    {"Operation": ["Scan"]},
    {"Operation": ["Install"], "RebootOption": ["NoReboot"]},
    {"Operation": ["Install"], "InstallOverrideList": [f"s3://{BUCKET}/list"]},
    {"commands": ["exit 3"]},
    {"commands": ["needs-restarting -r || exit 194", "exit 194"], "executionTimeout": ["100"]},
    {"word": ["{{WINDOW_ID}}"]},
]


SENSIBLE = {
    "PatchRuleGroup": {
        "PatchRules": [
            {
                "PatchFilterGroup": {"PatchFilters": [{"Key": "PRODUCT", "Values": ["*"]}]},
                "ApproveAfterDays": 7,
            }
        ]
    },
    "MaintenanceWindowTaskInvocationParameters": {
        "RunCommand": {"Parameters": {"Operation": ["Scan"]}, "OutputS3BucketName": BUCKET}
    },
    "ComplianceItemEntryList": [{"Id": "1", "Severity": "HIGH", "Status": "NON_COMPLIANT"}],
    "InventoryItemList": [
        {
            "TypeName": "Custom:Rack",
            "SchemaVersion": "1.0",
            "CaptureTime": "2025-06-02T10:00:00Z",
            "Content": [{"Row": "4"}],
        }
    ],
}
"""What a user would give for a shape."""


class Requests:
    """Makes requests, out of what earlier answers named (`learn`) and of a location's contents."""

    def __init__(self, seed: int, location: Location) -> None:
        self.random = Random(seed)
        self.location = location
        self.known: dict[str, list[str]] = defaultdict(list)
        self.known["InstanceId"] = list(location.nodes)[:10]

    def request(self, model: OperationModel) -> dict[str, Any]:
        """A request that the operation's model allows."""
        made: dict[str, Any] = {} if model.input_shape is None else self._value(model.input_shape, "", 0)
        if self.random.random() < 0.8:
            self._relate(made)
        return made

    def learn(self, answer: Any, name: str = "") -> None:
        """Remember the ids of an answer."""
        if isinstance(answer, dict):
            for key, value in answer.items():
                self.learn(value, key)
        elif isinstance(answer, list):
            for value in answer:
                self.learn(value, name)
        elif isinstance(answer, str) and name.endswith("Id"):
            self.known[name] = [*self.known[name][-KNOWN:], answer]

    def _relate(self, made: dict[str, Any]) -> None:
        """Let ids be of things that exist and belong together."""
        self._relate_to_window(made)
        self._relate_to_execution(made)
        self._relate_to_command(made)
        for either, other in (("InstanceIds", "Targets"), ("InstanceId", "Targets"), ("S3Destination", "SyncType")):
            if {either, other} <= made.keys():
                del made[self.random.choice([either, other])]
        if {"ResourceType", "ComplianceType"} <= made.keys():
            made |= {"ResourceType": "ManagedInstance", "ResourceId": self.random.choice(list(self.location.nodes))}
        if "Content" in made:
            made |= self.random.choice([{"DocumentFormat": "YAML"}, {"DocumentFormat": "JSON"}])
            made.pop("DocumentType", None)
            if "DocumentVersion" in made:
                made |= {"Name": "my-script", "DocumentVersion": "$LATEST"}

    def _relate_to_window(self, made: dict[str, Any]) -> None:
        if "WindowId" not in made or not self.location.windows:
            return
        window = self.random.choice(list(self.location.windows.values()))
        made["WindowId"] = window.window_id
        for name, ids in (("WindowTargetId", window.targets), ("WindowTaskId", window.tasks)):
            if name in made and ids:
                made[name] = self.random.choice(list(ids))
        if "TaskArn" in made and window.targets:
            made["Targets"] = [{"Key": "WindowTargetIds", "Values": [self.random.choice(list(window.targets))]}]

    def _relate_to_execution(self, made: dict[str, Any]) -> None:
        found = [one for one in self.location.executions.values() if any(task.invocations for task in one.tasks)]
        if "WindowExecutionId" not in made or not found:
            return
        execution = self.random.choice(found)
        task = next(task for task in execution.tasks if task.invocations)
        ids = {"TaskId": task.task_execution_id, "InvocationId": task.invocations[0].invocation_id}
        made["WindowExecutionId"] = execution.execution_id
        made |= {name: value for name, value in ids.items() if name in made}

    def _relate_to_command(self, made: dict[str, Any]) -> None:
        if "CommandId" not in made or not self.location.commands:
            return
        command = self.random.choice(list(self.location.commands.values()))
        made["CommandId"] = command.command_id
        if "InstanceId" in made and command.invocations:
            made["InstanceId"] = self.random.choice(list(command.invocations))

    def _value(self, shape: Shape, name: str, depth: int) -> Any:
        if self.random.random() < 0.7 and (sensible := self._sensible(shape, name)) is not None:
            return sensible
        if isinstance(shape, StructureShape):
            return self._structure(shape, depth)
        if isinstance(shape, ListShape):
            return [self._value(shape.member, name, depth + 1) for _ in range(self._size(shape))]
        if isinstance(shape, MapShape):
            pairs = range(self._size(shape))
            return {self._value(shape.key, name, 9): self._value(shape.value, name, depth + 1) for _ in pairs}
        return self._scalar(shape, name)

    def _structure(self, shape: StructureShape, depth: int) -> dict[str, Any]:
        made = {}
        for name, member in shape.members.items():
            often = 0.1 if name == "NextToken" else 0.35
            if name in shape.required_members or (depth < 6 and self.random.random() < often):
                made[name] = self._value(member, name, depth + 1)
        return made

    def _size(self, shape: Shape) -> int:
        low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 3)
        return self.random.randint(low, max(low, min(high, 3)))

    def _scalar(self, shape: Shape, name: str) -> Any:
        choose, low, high = self.random.choice, shape.metadata.get("min", 0), shape.metadata.get("max", 1000)
        if shape.type_name == "boolean":
            return choose([True, False])
        if shape.type_name in ("integer", "long"):
            return choose([low, high, self.random.randint(low, high), max(low, min(high, 5))])
        if shape.type_name == "timestamp":
            return choose([0, 1748822400, 253402300799, -62135596800, 1.5])
        if shape.type_name == "blob":
            return choose([b"", b"{}", b"\xff\xfe", b'{"window": "{{WINDOW_ID}}"}'])
        return self._string(shape, name)

    def _string(self, shape: Shape, name: str) -> str:
        if allowed := shape.metadata.get("enum"):
            return str(self.random.choice(allowed))
        found = [*FITTING.get(name, ()), *(TIMES if "Time" in name or "Date" in name else ())]
        for kind in (name, *ALIASES.get(name, ())):
            found += self.known.get(kind, ())
        if not found or self.random.random() < 0.2:
            found = [*WORDS, *TIMES]
        self.random.shuffle(found)
        return next((text for text in (*found, *WORDS) if _allowed(shape, text)), "x" * shape.metadata.get("min", 1))

    def _sensible(self, shape: Shape, name: str) -> Any:
        """What a user would give here, None when the shape tells nothing."""
        if shape.name == "Targets":
            node, tag = (
                self.random.choice(self.known["InstanceId"]),
                {"Key": "tag:Patch Group", "Values": ["nonprod-linux"]},
            )
            return self.random.choice([[{"Key": "InstanceIds", "Values": [node]}], [tag], [tag, {"Key": "tag-key"}]])
        if name == "Parameters" and isinstance(shape, MapShape) and isinstance(shape.value, ListShape):
            return self.random.choice(PARAMETERS)
        return SENSIBLE.get(shape.name)


def _allowed(shape: Shape, text: str) -> bool:
    low, high, pattern = (shape.metadata.get(name) for name in ("min", "max", "pattern"))
    if not (low or 0) <= len(text) <= (len(text) if high is None else high):
        return False
    return not pattern or _compiled(pattern).fullmatch(text) is not None


@cache
def _compiled(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern)
