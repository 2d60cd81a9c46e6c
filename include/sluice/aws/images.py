"""Images of nodes: made, and found again by their names and tags."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from sluice.aws.nodes import INSTANCES
from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.core.policy.objects import DEPLOYMENT_TAG, RELEASE_TAG
from sluice.core.release.backup import EXPIRES_TAG, NODE_TAG, Image, image_name

IMAGES = "arn:{partition}:ec2:{region}::image/*"
SNAPSHOTS = "arn:{partition}:ec2:{region}::snapshot/*"

PAGE = 500
"""Images that are asked for at a time; EC2 takes 5 to 1,000 (B:DescribeImages `MaxResults`)."""

TAKEN = "InvalidAMIName.Duplicate"
"""An image of that name is there: an earlier try has asked for it."""


@calls("ec2:CreateImage", resources=INSTANCES, where=("groups",))
@calls("ec2:CreateImage", resources=(IMAGES, SNAPSHOTS), when="created")
@calls("ec2:CreateTags", resources=(IMAGES, SNAPSHOTS), when="created", where=("creates image",))
def create(connection: Connection, deployment: str, release: str, node: str, expires: date, *, reboot: bool) -> str:
    """Ask for an image of a node, with its tags on image and snapshots; its id.

    EC2's own default reboots the node (B:CreateImage `NoReboot`). Raises AWSError with the code `TAKEN` where an
    image of that name is there already.
    """
    tags = [
        {"Key": "Name", "Value": image_name(release, node)},
        {"Key": DEPLOYMENT_TAG, "Value": deployment},
        {"Key": RELEASE_TAG, "Value": release},
        {"Key": NODE_TAG, "Value": node},
        {"Key": EXPIRES_TAG, "Value": expires.isoformat()},
    ]
    answer = connection.need(
        "ec2",
        "CreateImage",
        "ImageId",
        InstanceId=node,
        Name=image_name(release, node),
        Description=f"Sluice, before {release}",
        NoReboot=not reboot,
        TagSpecifications=[{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")],
    )
    return str(answer["ImageId"])


@calls("ec2:DescribeImages")
def of_release(connection: Connection, deployment: str, release: str) -> Iterator[Image]:
    """The images of a release, whatever became of them. All pages."""
    filters = [
        {"Name": f"tag:{DEPLOYMENT_TAG}", "Values": [deployment]},
        {"Name": f"tag:{RELEASE_TAG}", "Values": [release]},
    ]
    for one in connection.pages(
        "ec2", "DescribeImages", "Images", Owners=["self"], Filters=filters, IncludeDisabled=True, MaxResults=PAGE
    ):
        yield _image(one)


def _image(one: dict[str, Any]) -> Image:
    tags = {tag["Key"]: tag["Value"] for tag in one.get("Tags", ())}
    return Image(one["ImageId"], tags.get(NODE_TAG, ""), one["State"], one.get("StateReason", {}).get("Message", ""))
