"""Targets of maintenance windows: which nodes or resource groups a window's tasks may name.

Keys and their combinations: UG:mw-cli-tutorial-targets-examples; limits: the quotas of Systems Manager
(100 targets a window, 5 groups of Key and Values a target, 50 node ids a target).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lab.ssm.base import SSMOperations, error
from lab.ssm.model import Window, WindowTarget
from lab.ssm.window_validation import (
    DEFAULT_PAGE,
    MAX_PAGE,
    Targets,
    check_values,
    find_window,
    full,
    invalid,
    matching,
    merged,
    present,
    values_of,
)
from lab.targets import resolve
from lab.world import Location

MAX_TARGETS = 100
TAG = "tag:"
INSTANCE_FORMATS = (
    "Targets must be specified in one of the following formats: 1) 1 target with Key=InstanceIds and up to 50 Values "
    "or 2) Up to 5 targets, each of which can be either Key=tag:<key> or Key=tag-key"
)
GROUP_FORMATS = (
    "Targets must be specified in one of the following formats: 1 target with Key=resource-groups:Name, "
    "and optionally 1 with Key=resource-groups:ResourceTypeFilters"
)

_MEMBERS = {
    "Targets": "targets",
    "OwnerInformation": "owner_information",
    "Name": "name",
    "Description": "description",
}


class WindowTargetOperations(SSMOperations):
    """The operations on the targets of windows."""

    def register_target_with_maintenance_window(self) -> dict[str, Any]:
        """Register a target. Whether it names anything is seen when the window runs."""
        return self.once(self._register_target)

    def _register_target(self) -> dict[str, Any]:
        window = find_window(self.location, self.params["WindowId"])
        if len(window.targets) >= MAX_TARGETS:
            raise full("targets per maintenance window", MAX_TARGETS)
        check_targets(self.params["Targets"], self.params["ResourceType"])
        members: dict[str, Any] = {attribute: self.params.get(name) for name, attribute in _MEMBERS.items()}
        target = WindowTarget(self.lab.guid(), window.window_id, self.params["ResourceType"], **members)
        window.targets[target.target_id] = target
        return {"WindowTargetId": target.target_id}

    def describe_maintenance_window_targets(self) -> dict[str, Any]:
        """A window's targets, by `Type`, `WindowTargetId` and `OwnerInformation`."""
        window = find_window(self.location, self.params["WindowId"])
        targets = matching(
            window.targets.values(),
            self.params.get("Filters"),
            {
                "Type": lambda target, value: target.resource_type == value,
                "WindowTargetId": lambda target, value: target.target_id == value,
                "OwnerInformation": lambda target, value: target.owner_information == value,
            },
        )
        page, more = self.page(targets, DEFAULT_PAGE, MAX_PAGE)
        return {"Targets": [{**_described(target), "ResourceType": target.resource_type} for target in page], **more}

    def update_maintenance_window_target(self) -> dict[str, Any]:
        """Change a target; from nodes to a resource group or back, its type follows its keys.

        An execution that runs keeps the target as it was.
        """
        window = find_window(self.location, self.params["WindowId"])
        target = self._window_target(window)
        changes = merged(self.params, _MEMBERS, lambda name: getattr(target, name), ["Targets"], {})
        changes["resource_type"] = _resource_type(changes["targets"])
        check_targets(changes["targets"], changes["resource_type"])
        window.targets[target.target_id] = replace(target, **changes)
        return _described(window.targets[target.target_id])

    def deregister_target_from_maintenance_window(self) -> dict[str, Any]:
        """Remove a target; with `Safe` not one that a task names (TargetInUseException).

        Without `Safe` the tasks keep its id, which then names nothing.
        """
        window = find_window(self.location, self.params["WindowId"])
        target = self._window_target(window)
        users = [
            t.task_id for t in window.tasks.values() if target.target_id in values_of(t.targets, "WindowTargetIds")
        ]
        if users and self.params.get("Safe", False):
            raise error(
                "TargetInUseException",
                f"This Target cannot be deregistered because it is still referenced in Task: {', '.join(users)}",
            )
        del window.targets[target.target_id]
        return {"WindowId": window.window_id, "WindowTargetId": target.target_id}

    def _window_target(self, window: Window) -> WindowTarget:
        target_id = self.params["WindowTargetId"]
        if target_id not in window.targets:
            raise error(
                "DoesNotExistException",
                f"Window target {target_id} does not exist in maintenance window {window.window_id}",
            )
        return window.targets[target_id]


def check_targets(targets: Targets, resource_type: str) -> None:
    """Refuse targets that a window of AWS refuses, with its words."""
    check_values(targets)
    keys = [group["Key"] for group in targets]
    fits = _instance_key if resource_type == "INSTANCE" else _group_key
    if not all(map(fits, keys)):
        raise invalid("Target Type does not match with the provided target.")
    if resource_type == "INSTANCE":
        if "InstanceIds" in keys and len(keys) > 1:
            raise invalid(INSTANCE_FORMATS)
    elif keys.count("resource-groups:Name") != 1 or keys.count("resource-groups:ResourceTypeFilters") > 1:
        raise invalid(GROUP_FORMATS)


def concerns(location: Location, window: Window, targets: Targets, resource_type: str) -> bool:
    """Whether a target or task of the window is about what `targets` name: nodes by id, tags or groups.

    A node is also what its tags say now: the user guide's example lists a node's windows by both.
    """
    registered = [target.targets for target in window.targets.values() if target.resource_type == resource_type]
    if resource_type == "INSTANCE":
        direct = [values_of(task.targets, "InstanceIds") for task in window.tasks.values()]
        registered += [[{"Key": "InstanceIds", "Values": nodes}] for nodes in direct if nodes]
    return bool(targets) and all(
        any(_mentions(location, definition, group) for definition in registered) for group in targets
    )


def names_node(location: Location, targets: Targets, node_id: str) -> bool:
    """Whether `targets` name the node, managed or not, running or not."""
    tags = location.tags(node_id)
    return all(_group_names_node(location, group, node_id, tags) for group in targets)


def _group_names_node(location: Location, group: Mapping[str, Any], node_id: str, tags: Mapping[str, str]) -> bool:
    key, values = group["Key"], group["Values"]
    if key == "InstanceIds":
        return node_id in values
    if key == "tag-key":
        return any(name in tags for name in values)
    if key.startswith(TAG):
        return tags.get(key.removeprefix(TAG)) in values
    return node_id in resolve(location, [dict(group)])


def _mentions(location: Location, definition: Targets, wanted: Mapping[str, Any]) -> bool:
    values = wanted.get("Values") or []
    if wanted.get("Key") == "InstanceIds":
        return any(names_node(location, definition, node_id) for node_id in values)
    return any(group["Key"] == wanted.get("Key") and set(group["Values"]) & set(values) for group in definition)


def _instance_key(key: str) -> bool:
    return key in {"InstanceIds", "tag-key"} or (key.startswith(TAG) and len(key) > len(TAG))


def _group_key(key: str) -> bool:
    return key in {"resource-groups:Name", "resource-groups:ResourceTypeFilters"}


def _resource_type(targets: Targets) -> str:
    return "RESOURCE_GROUP" if any(_group_key(group.get("Key") or "") for group in targets) else "INSTANCE"


def _described(target: WindowTarget) -> dict[str, Any]:
    return present(
        {
            "WindowId": target.window_id,
            "WindowTargetId": target.target_id,
            **{name: getattr(target, attribute) for name, attribute in _MEMBERS.items()},
        }
    )
