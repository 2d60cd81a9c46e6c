"""Targets of windows and commands: which nodes a list of `Key`/`Values` names now.

Tags are resolved when something starts, not when it is registered. Several values of a key are
alternatives; several keys must all match. Stopped nodes and those that Systems Manager does not manage
are not reached (observed, facts section 8, point 10).
"""

from __future__ import annotations

import json
from typing import Any

from lab.world import Location

TAG = "tag:"
_INSTANCES = frozenset({"AWS::AllSupported", "AWS::EC2::Instance"})
"""Resource types of a group's query that instances are of."""
_KEYS = frozenset({"instanceids", "tag-key", "resource-groups:name", "resource-groups:resourcetypefilters"})


def resolve(location: Location, targets: list[dict[str, Any]]) -> list[str]:
    """The managed, running nodes that `targets` name, in order of their ids; nothing for no targets."""
    if not targets:
        return []
    found: set[str] | None = None
    for group in targets:
        named = _named(location, group["Key"], [str(value) for value in group.get("Values") or []])
        found = named if found is None else found & named
    return sorted(node_id for node_id in found or () if managed(location, node_id))


def problem(targets: list[dict[str, Any]]) -> str | None:
    """Why nodes cannot be named like this, None when they can."""
    for group in targets:
        key = group.get("Key") or ""
        if key.lower() not in _KEYS and not (key.startswith(TAG) and len(key) > len(TAG)):
            return (
                f"{key or 'null'} is no key of a target: use InstanceIds, tag:<key>, tag-key or resource-groups:Name."
            )
        if not group.get("Values"):
            return f"The target {key} needs values."
    return None


def managed(location: Location, node_id: str) -> bool:
    """Whether Systems Manager knows the node and it is on; its agent may be lost all the same."""
    node = location.nodes.get(node_id)
    return node is not None and node.registered and location.running(node)


def _named(location: Location, key: str, values: list[str]) -> set[str]:
    if key.lower() == "instanceids":
        return set(values)
    if key == "tag-key":
        return {node_id for node_id in location.nodes if any(tag in location.tags(node_id) for tag in values)}
    if key.startswith(TAG):
        return _tagged(location, key.removeprefix(TAG), set(values))
    if key == "resource-groups:Name":
        return _grouped(location, values)
    if key == "resource-groups:ResourceTypeFilters":
        wanted = {"AWS::EC2::Instance", "AWS::SSM::ManagedInstance"} & set(values)
        return set(location.nodes) if wanted else set()
    return set()


def _tagged(location: Location, name: str, values: set[str]) -> set[str]:
    ec2_tags = location.ec2.tags
    found = {node_id for node_id in location.nodes if (tags := ec2_tags.get(node_id)) and tags.get(name) in values}
    return found | {node_id for node_id, tags in location.hybrid_tags.items() if tags.get(name) in values}


def _grouped(location: Location, names: list[str]) -> set[str]:
    """Members of resource groups, by their tag query (the only kind of group the lab knows)."""
    from moto.resourcegroups.models import resourcegroups_backends

    groups = resourcegroups_backends[location.account][location.region].groups.by_name
    return set().union(*(_queried(location, groups[name].resource_query) for name in names if name in groups))


def _queried(location: Location, query: dict[str, str] | None) -> set[str]:
    """The nodes that a resource group's query names; one that is no tag query of instances names none."""
    asked = json.loads(query["Query"]) if query else {}
    if not _INSTANCES & set(asked.get("ResourceTypeFilters", ())):
        return set()
    found: set[str] = set()
    for number, tag in enumerate(asked.get("TagFilters", ())):
        name, values = tag["Key"], set(tag["Values"])
        tagged = _tagged(location, name, values) if values else _named(location, "tag-key", [name])
        found = tagged if number == 0 else found & tagged
    return found
