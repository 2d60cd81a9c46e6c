"""Ownership tags of Systems Manager's resources."""

from __future__ import annotations

from collections.abc import Mapping

from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.core.policy.objects import DEPLOYMENT_TAG, OBJECT_TAG

RESOURCES = {
    "MaintenanceWindow": "arn:{partition}:ssm:{region}:{account}:maintenancewindow/*",
    "PatchBaseline": "arn:{partition}:ssm:{region}:{account}:patchbaseline/*",
    "Document": "arn:{partition}:ssm:{region}:{account}:document/*",
}
"""ARNs by the API's ResourceType."""


@calls("ssm:ListTagsForResource", resources=tuple(RESOURCES.values()))
def read(connection: Connection, kind: str, resource_id: str) -> dict[str, str]:
    """The tags of a window, baseline or document."""
    answer = connection.need("ssm", "ListTagsForResource", "TagList", ResourceType=kind, ResourceId=resource_id)
    return {tag["Key"]: tag["Value"] for tag in answer["TagList"]}


@calls("ssm:AddTagsToResource", resources=RESOURCES["Document"])
def take(connection: Connection, kind: str, resource_id: str, deployment: str, name: str) -> None:
    """Put the ownership tags on something that has been taken over."""
    tags = ownership(deployment, name)
    connection.call("ssm", "AddTagsToResource", ResourceType=kind, ResourceId=resource_id, Tags=tags)


def ownership(deployment: str, name: str) -> list[dict[str, str]]:
    """The ownership tags of an object, as the API takes them."""
    return [{"Key": DEPLOYMENT_TAG, "Value": deployment}, {"Key": OBJECT_TAG, "Value": name}]


def owner(tags: Mapping[str, str]) -> str | None:
    """The deployment whose object carries these tags; None: it is nobody's of the product."""
    return tags.get(DEPLOYMENT_TAG) if OBJECT_TAG in tags else None


def owned_name(tags: Mapping[str, str], deployment: str) -> str | None:
    """The policy's name of the object that carries these tags; None: it is not the deployment's."""
    return tags.get(OBJECT_TAG) if owner(tags) == deployment else None
