"""Tags of Systems Manager's own resources.

They are kept where moto keeps them (its backend's `_resource_tags`, by type and id), hybrid nodes' tags
in `Location.hybrid_tags`, where targets look. An EC2 node is tagged through EC2 only, as on AWS.
Quotas and the reserved prefix: the API reference of AddTagsToResource and `docs.aws.amazon.com/tag-editor`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lab.ssm.base import SSMOperations, error
from lab.world import Location

MAX_TAGS = 50
MAX_AUTOMATION_TAGS = 5
RESERVED = "aws:"


class TagOperations(SSMOperations):
    """AddTagsToResource, RemoveTagsFromResource, ListTagsForResource."""

    def add_tags_to_resource(self) -> dict[str, Any]:
        """Add tags or overwrite their values.

        Raises InvalidResourceId, TooManyTagsError, and ValidationException for a key that AWS reserves.
        """
        kind = self.params["ResourceType"]
        tags = self._tags()
        new = as_mapping(self.params["Tags"])
        limit = MAX_AUTOMATION_TAGS if kind == "Automation" else MAX_TAGS
        if len(tags.keys() | new.keys()) > limit:
            raise error("TooManyTagsError", f"A resource of type {kind} can have at most {limit} tags.")
        tags.update(new)
        return {}

    def remove_tags_from_resource(self) -> dict[str, Any]:
        """Remove tags by key; keys that are not there are no error."""
        tags = self._tags()
        for key in self.params["TagKeys"]:
            tags.pop(key, None)
        return {}

    def list_tags_for_resource(self) -> dict[str, Any]:
        """A resource's tags, in order of their keys."""
        return {"TagList": as_list(self._tags())}

    def _tags(self) -> dict[str, str]:
        kind, resource_id = self.params["ResourceType"], self.params["ResourceId"]
        name = self._existing(kind, resource_id)
        if name is None:
            raise error("InvalidResourceId", f"The resource ID is not valid: there is no {kind} {resource_id}.")
        if kind == "ManagedInstance":
            return self.location.hybrid_tags.setdefault(name, {})
        return resource_tags(self.location, kind, name)

    def _existing(self, kind: str, resource_id: str) -> str | None:
        """The resource's id as its tags are kept under, or None when there is no such resource."""
        location = self.location
        if kind == "Parameter":
            parameter = location.ssm.get_parameter(resource_id)
            return None if parameter is None else parameter.name
        if kind == "ManagedInstance":
            node = location.nodes.get(resource_id)
            return resource_id if node is not None and node.hybrid else None
        known: Mapping[str, Iterable[str]] = {
            "MaintenanceWindow": location.windows,
            "PatchBaseline": location.baselines,
            "Document": location.documents,
            "Automation": location.automations,
            "Association": location.associations,
        }
        return resource_id if resource_id in known.get(kind, ()) else None


def resource_tags(location: Location, kind: str, resource_id: str) -> dict[str, str]:
    """The tags of a resource, to read and to change. `kind` is a ResourceType of the API, not ManagedInstance."""
    tags: dict[str, str] = location.ssm._resource_tags[kind][resource_id]
    return tags


def forget_tags(location: Location, kind: str, resource_id: str) -> None:
    """Drop a deleted resource's tags."""
    location.ssm._resource_tags[kind].pop(resource_id, None)


def as_mapping(tags: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Tags of a request by key. Raises ValidationException for keys that begin with `aws:`."""
    found = {tag["Key"]: tag["Value"] for tag in tags}
    reserved = sorted(key for key in found if key.lower().startswith(RESERVED))
    if reserved:
        raise error(
            "ValidationException", f"Tag keys that begin with {RESERVED} are reserved by AWS: {', '.join(reserved)}"
        )
    return found


def new_tags(tags: Sequence[Mapping[str, str]] | None) -> dict[str, str]:
    """The tags of a resource to be created. Raises ValidationException also for more than it may have."""
    found = as_mapping(tags or ())
    if len(found) > MAX_TAGS:
        raise error("ValidationException", f"A resource can have at most {MAX_TAGS} tags, found {len(found)}.")
    return found


def as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as the API lists them, in order of their keys."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
