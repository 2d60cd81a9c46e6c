"""The generated parts of templates and document, as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from sluice.aws import duties, statements
from sluice.aws.session import Duty

WIDTH = 112

KINDS = {
    "config-rule": "rules of AWS Config",
    "document": "documents",
    "image": "images",
    "instance": "instances",
    "maintenancewindow": "windows",
    "managed-instance": "hybrid nodes",
    "patchbaseline": "baselines",
    "resource-data-sync": "data syncs",
    "snapshot": "snapshots",
    "windowtarget": "windows' targets",
    "windowtask": "windows' tasks",
}
"""What ARNs name, as the document calls it."""


def block(name: str) -> str:
    """A block's content: YAML of a list of statements, or Markdown. KeyError: no block has that name."""
    return BLOCKS[name]()


class _Template(yaml.SafeDumper):
    """CloudFormation's short forms, lists indented in their mappings, no aliases."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _mapping(dumper: _Template, data: dict[str, Any]) -> yaml.Node:
    if len(data) == 1:
        (key, value), *_ = data.items()
        if key in ("Ref", "Fn::Sub"):
            return dumper.represent_scalar(f"!{key.removeprefix('Fn::')}", value)
        if key == "Fn::If":
            return dumper.represent_sequence("!If", value)
    return dumper.represent_mapping("tag:yaml.org,2002:map", data, flow_style=False)


_Template.add_representer(dict, _mapping)


def _yaml(found: list[statements.Statement]) -> str:
    dumped = yaml.dump(found, Dumper=_Template, sort_keys=False, width=WIDTH)
    return re.sub(r'!Ref "(\w+)"', r"!Ref \1", dumped.replace("'", '"'))  # as the rest of the templates is written


def who() -> str:
    """Which duty may change what: a table for the document."""
    lines = ["| role | changes | on what |", "|---|---|---|"]
    for duty in Duty:
        rows: dict[str, list[str]] = {}
        for grant in duties.grants(duty):
            if not duties.reads(grant.action):
                rows.setdefault(_on(duty, grant), []).append(f"`{grant.action}`")
        role = f"`sluice-{duty.replace('_', '-')}`"
        if not rows:
            lines.append(f"| {role} | nothing | |")
        for on, actions in sorted(rows.items(), key=lambda row: (sorted(row[1]), row[0])):
            lines.append(f"| {role} | {', '.join(sorted(set(actions)))} | {on} |")
            role = ""
    return "\n".join(lines)


def _on(duty: Duty, grant: duties.Grant) -> str:
    kinds = sorted({_kind(resource) for resource in grant.resources})
    windows = grant.when == "owned" and duty in statements.WINDOWS_OF and kinds == ["windows"]
    words = {
        "owned": "the deployment's",
        "created": "created with the deployment's tag",
        "always": "",
    }[grant.when]
    if windows:
        words = f"the deployment's, of `{statements.WINDOWS_OF[duty]}`"
    if "groups" in grant.where:
        of = f"of `{statements.GROUPS_OF[duty]}`" if duty in statements.GROUPS_OF else "of no patch group"
        words = of + (", tag `sluice:release` alone" if "release tag" in grant.where else "")
    return ", ".join(filter(None, [" and ".join(kinds), words]))


def _kind(resource: str) -> str:
    if resource == "*":
        return "any resource"
    if resource.startswith("arn:{partition}:s3"):
        return f"`{resource.split('/', 1)[1]}` in the operations bucket"
    if resource.startswith("arn:{partition}:iam"):
        return "the windows' roles of its rings"
    return KINDS[resource.split(":", 5)[5].split("/", maxsplit=1)[0]]


def unowned() -> str:
    """What cannot be limited by an ownership tag, and why: a table for the document."""
    lines = ["| action | why |", "|---|---|"]
    return "\n".join(lines + [f"| `{action}` | {why} |" for action, why in sorted(duties.UNOWNED.items())])


def coming() -> str:
    """What is granted already for functions that are to come: a table for the document."""
    lines = ["| action | for |", "|---|---|"]
    rows = {(action, one.because) for one in duties.COMING for action in one.actions if not duties.reads(action)}
    return "\n".join(lines + [f"| `{action}` | {because} |" for action, because in sorted(rows)])


BLOCKS: Mapping[str, Callable[[], str]] = {
    **{duty.value: lambda duty=duty: _yaml(statements.of_duty(duty)) for duty in Duty},  # type: ignore[misc]  # mypy knows no lambda's default
    "reads": lambda: _yaml(statements.of_reads()),
    "airflow": lambda: _yaml(statements.of_airflow()),
    "window nonprod": lambda: _yaml(statements.of_window("nonprod", "NonprodGroups")),
    "window prod": lambda: _yaml(statements.of_window("prod", "ProdGroups")),
    "window ring": lambda: _yaml(statements.of_window("${Ring}", "PatchGroups")),
    "ungrouped": lambda: _yaml(statements.of_ungrouped()),
    "who": who,
    "unowned": unowned,
    "coming": coming,
}
"""What stands between the marks, by their names."""
