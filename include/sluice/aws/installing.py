"""Which windows and associations of others install on patch groups, and do not merely scan.

Lists do not tell the operation: it is asked of those alone that patch these groups. By themselves, so that only the
reader may, and a plan asks nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sluice.aws import window_targets, window_tasks
from sluice.aws.actual import pairs
from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.core.errors import AWSError
from sluice.core.policy.others import Installing, Other, installs, patches

UNSAID = "its parameters name neither Scan nor Install"


def installing(connection: Connection, others: Iterable[Other], groups: Sequence[str]) -> Iterator[Installing]:
    """Those of others that are enabled and install on some of the groups, and those of which nobody can tell."""
    for other in others:
        if other.enabled and (other.patches or other.is_patch_policy) and other.groups(groups):
            try:
                told = list(_told(connection, other, groups))
            except AWSError as error:
                yield Installing(other, other.groups(groups), str(error))
                continue
            known = {group for on, does in told if does for group in on}
            unsure = {group for on, does in told if does is None for group in on} - known
            if known:
                yield Installing(other, tuple(group for group in groups if group in known))
            if unsure:
                yield Installing(other, tuple(group for group in groups if group in unsure), UNSAID)


def _told(connection: Connection, other: Other, groups: Sequence[str]) -> Iterator[tuple[tuple[str, ...], bool | None]]:
    """The groups that it works on, and whether it installs there; for each task of a window."""
    if other.kind == "association":
        told = association_parameters(connection, other.id)
        yield other.groups(groups), installs(other.documents[0], told, patch_policy=other.is_patch_policy)
        return
    targets = {one["WindowTargetId"]: one.get("Targets", ()) for one in window_targets.listed(connection, other.id)}
    for task in window_tasks.listed(connection, other.id):
        on = replace(other, targets=_of_task(task, targets)).groups(groups)
        if on and patches(task["TaskArn"]):
            told = window_tasks.parameters(connection, other.id, task["WindowTaskId"])
            yield on, installs(task["TaskArn"], told)


def _of_task(
    task: Mapping[str, Any], targets: Mapping[str, Iterable[dict[str, Any]]]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What a task works on: targets of its window, by id, or what it names itself."""
    own = pairs(task.get("Targets", ()))
    ids = [value for key, values in own if key == "WindowTargetIds" for value in values]
    return (*own, *(pair for one in ids for pair in pairs(targets.get(one, ()))))


@calls("ssm:DescribeAssociation")
def association_parameters(connection: Connection, association_id: str) -> Mapping[str, list[str]]:
    """What an association gives its document."""
    answer = connection.need("ssm", "DescribeAssociation", "AssociationDescription", AssociationId=association_id)
    found: dict[str, list[str]] = answer["AssociationDescription"].get("Parameters", {})
    return found
