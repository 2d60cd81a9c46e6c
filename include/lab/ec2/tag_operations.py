"""CreateTags, DeleteTags, DescribeTags."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Any

from lab.ec2.filters import Filters
from lab.ec2.operations import EC2Operations, Reply, wellformed
from lab.ec2.tags import RESERVED, Tags, check_resources, check_room, check_tags, resource_type
from lab.wire_errors import AwsError

MOST_RESOURCES = 1000
"""Resources that one CreateTags or DeleteTags takes."""

PAGE = 1000

PATHS = {"key": "Key", "resource-id": "ResourceId", "resource-type": "ResourceType", "value": "Value"}


class TagOperations(EC2Operations):
    """See the module's docstring."""

    def create_tags(self) -> Reply:
        """CreateTags: all of the resources or none."""
        resources = self._resources()
        tags = check_tags(self.params["Tags"])
        for resource_id in resources:
            check_room(self.backend, resource_id, tags)
        self.stop_here_if_dry_run()
        for resource_id in resources:
            self.backend.tags[resource_id].update(tags)

    def delete_tags(self) -> Reply:
        """DeleteTags: without `Tags` all but AWS's own, with a value only where the tag has that value."""
        resources, unwanted = self._resources(), self.params.get("Tags", [])
        if any(tag.get("Key", "").lower().startswith(RESERVED) for tag in unwanted):
            raise AwsError(
                "InvalidParameterValue", f"Tag keys starting with '{RESERVED}' are reserved for internal use"
            )
        self.stop_here_if_dry_run()
        for resource_id in resources:
            if tags := self.backend.tags.get(resource_id):
                _remove(tags, unwanted)

    def describe_tags(self) -> Reply:
        """DescribeTags, at most 1,000 at a time."""
        self.stop_here_if_dry_run()
        filters = self.filters(PATHS)
        found, more = self.page(lambda after: self._entries(filters, after), default=PAGE)
        return {"Tags": found, **more}

    def _entries(self, filters: Filters, after: str) -> Iterator[tuple[str, dict[str, str]]]:
        """Tags in the order of resource and key; a tag's place is `<resource id> <key>`."""
        tags = self.backend.tags
        ids = sorted(tags)
        for at in range(bisect_left(ids, after.partition(" ")[0]), len(ids)):
            own = tags[ids[at]]
            if not own or not filters.match_tags(own):
                continue
            kind = resource_type(ids[at])
            for key in sorted(own):
                place = f"{ids[at]} {key}"
                record = {"ResourceId": ids[at], "ResourceType": kind, "Key": key, "Value": own[key]}
                if place > after and filters.match(record):
                    yield place, record

    def _resources(self) -> list[str]:
        resources: list[str] = self.params["Resources"]
        if len(resources) > MOST_RESOURCES:
            raise AwsError(
                "InvalidParameterValue", f"The maximum number of resources in one request is {MOST_RESOURCES}."
            )
        for resource_id in resources:
            if not wellformed("[a-z-]+", resource_id) or not resource_type(resource_id):
                raise AwsError("InvalidID", f"The ID '{resource_id}' is not valid")
        check_resources(self.backend, resources)
        return resources


def _remove(tags: Tags, unwanted: list[Mapping[str, Any]]) -> None:
    if not unwanted:
        for key in [key for key in tags if not key.startswith(RESERVED)]:
            del tags[key]
    for tag in unwanted:
        key, value = tag.get("Key", ""), tag.get("Value")
        if key in tags and value in (None, tags[key]):
            del tags[key]
