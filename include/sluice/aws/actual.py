"""What is in a target location: everything that a plan compares with the policy. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sluice.aws import (
    associations,
    baselines,
    config_rules,
    data_syncs,
    documents,
    patch_groups,
    tags,
    window_targets,
    window_tasks,
    windows,
)
from sluice.aws.session import Connection
from sluice.core.policy import desired, reboot_document
from sluice.core.policy.objects import BASELINE, TARGET, TASK, WINDOW, Key, part_of
from sluice.core.policy.others import Other
from sluice.core.policy.plan import Actual, Found


def read_actual(connection: Connection, deployment: str) -> Actual:
    """The deployment's objects, what stands in their place, and what others have on nodes. All pages of everything."""
    own_baselines = list(baselines.found(connection, deployment))
    ids = {found.id for found in own_baselines if found.key.noun == BASELINE}
    found, others, deployments = _windows(connection, deployment)
    single = (
        documents.found(connection, deployment, reboot_document.NAME, deployments),
        config_rules.found(connection, deployment, desired.config_rule_name(deployment)),
        data_syncs.found(connection, desired.data_sync_name(deployment)),
    )
    return Actual(
        objects=(
            *own_baselines,
            *patch_groups.found(connection, ids),
            *found,
            *(one for one in single if one is not None),
        ),
        others=(*others, *associations.others(connection)),
        deployments=deployments,
    )


def _windows(connection: Connection, deployment: str) -> tuple[list[Found], list[Other], tuple[str, ...]]:
    """The deployment's windows with their parts, those of others, and which other deployments have some."""
    found: list[Found] = []
    others: list[Other] = []
    deployments: set[str] = set()
    names: set[str] = set()
    for identity in sorted(windows.listed(connection), key=lambda one: str(one["WindowId"])):
        window_id = identity["WindowId"]
        own = tags.read(connection, "MaintenanceWindow", window_id)
        name = tags.owned_name(own, deployment)
        if name is None:
            if other := tags.owner(own):
                deployments.add(other)
            others.append(other_window(connection, identity))
            continue
        if name in names:
            name = f"{name} ({window_id})"  # a copy, which no policy names: it goes
        names.add(name)
        found += _own_window(connection, window_id, name)
    return found, others, tuple(sorted(deployments))


def _own_window(connection: Connection, window_id: str, name: str) -> Iterator[Found]:
    yield Found(Key(WINDOW, name), window_id, windows.read(connection, window_id))
    for answer in window_targets.listed(connection, window_id):
        target = window_targets.as_object(answer, name)
        yield Found(Key(TARGET, part_of(name, target.name)), answer["WindowTargetId"], target)
    for answer in window_tasks.listed(connection, window_id):
        task = window_tasks.read(connection, window_id, answer["WindowTaskId"], name)
        yield Found(Key(TASK, part_of(name, task.name)), answer["WindowTaskId"], task)


def other_window(connection: Connection, identity: dict[str, Any]) -> Other:
    """A window of others: what it runs, and on what; a task may name nodes itself, past the window's targets."""
    window_id = identity["WindowId"]
    targets = window_targets.listed(connection, window_id)
    tasks = window_tasks.listed(connection, window_id)
    return Other(
        kind="window",
        id=window_id,
        name=identity["Name"],
        documents=tuple(task["TaskArn"] for task in tasks),
        targets=tuple(dict.fromkeys((*_all_pairs(targets), *_of_tasks(tasks)))),
        enabled=identity.get("Enabled", True),
    )


def _all_pairs(having: Iterable[dict[str, Any]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    return (pair for one in having for pair in pairs(one.get("Targets", ())))


def _of_tasks(tasks: Iterable[dict[str, Any]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What tasks name themselves, beside targets of their window."""
    return (pair for pair in _all_pairs(tasks) if pair[0] != "WindowTargetIds")


def pairs(targets: Iterable[dict[str, Any]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Targets of the API as keys and values."""
    return tuple((target["Key"], tuple(target.get("Values", ()))) for target in targets)
