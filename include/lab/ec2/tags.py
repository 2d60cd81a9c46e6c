"""Tags of EC2's resources: what AWS allows, and which resources there are to tag.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

from lab.ec2.instances import instance_by_id
from lab.wire_errors import AwsError

MOST_TAGS, LONGEST_KEY, LONGEST_VALUE = 50, 128, 256
RESERVED = "aws:"

_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""What XML 1.0 has no way to write."""

Tags = dict[str, str]


def check_tags(tags: Sequence[Mapping[str, str]]) -> Tags:
    """Tags of a request as a dictionary. Raises InvalidParameterValue for what AWS refuses."""
    found: Tags = {}
    for tag in tags:
        key, value = tag.get("Key", ""), tag.get("Value", "")
        problem = _problem(key, value)
        if key in found:
            problem = f"Duplicate tag key '{key}' specified."
        if problem:
            raise AwsError("InvalidParameterValue", problem)
        found[key] = value
    return found


def _problem(key: str, value: str) -> str | None:
    if not key:
        return "Tag key cannot be empty."
    if key.lower().startswith(RESERVED):
        return f"Tag keys starting with '{RESERVED}' are reserved for internal use"
    if len(key) > LONGEST_KEY:
        return f"Tag key exceeds the maximum length of {LONGEST_KEY} characters"
    if len(value) > LONGEST_VALUE:
        return f"Tag value exceeds the maximum length of {LONGEST_VALUE} characters"
    if _UNWRITABLE.search(key + value):
        return f"Tag '{key!r}' contains characters that are not allowed."
    return None


def check_room(backend: EC2Backend, resource_id: str, tags: Tags) -> None:
    """Raise TagLimitExceeded where a resource would get more than 50 tags; AWS's own do not count."""
    together = backend.tags.get(resource_id, {}).keys() | tags.keys()
    if sum(not key.startswith(RESERVED) for key in together) > MOST_TAGS:
        raise AwsError("TagLimitExceeded", f"The maximum number of Tags for a resource has been reached: {MOST_TAGS}")


def tag_specifications(specifications: Sequence[Mapping[str, Any]], allowed: Sequence[str]) -> dict[str, Tags]:
    """`TagSpecifications` of a request, by resource type; every type of `allowed` is there.

    Raises InvalidParameterValue for a type that the operation does not make, and for bad tags.
    """
    tags: dict[str, Tags] = {kind: {} for kind in allowed}
    for specification in specifications:
        kind = specification.get("ResourceType")
        if kind not in tags:
            raise AwsError(
                "InvalidParameterValue", f"'{kind}' is not a valid taggable resource type for this operation."
            )
        tags[kind].update(check_tags(specification.get("Tags", [])))
        if len(tags[kind]) > MOST_TAGS:
            raise AwsError(
                "TagLimitExceeded", f"The maximum number of Tags for a resource has been reached: {MOST_TAGS}"
            )
    return tags


def resource_type(resource_id: str) -> str:
    """What kind of resource an id is of: `instance`, `volume` and so on, empty if of none."""
    return EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource_id), "")


def check_resources(backend: EC2Backend, resource_ids: Sequence[str]) -> None:
    """Raise the error of the first kind of resource that is not there, with every id of that kind.

    One id that is gone fails a whole request, and the message names those that are
    (https://github.com/cloud-custodian/cloud-custodian/pull/11089).
    """
    for kind, (code, noun, collection) in _KINDS.items():
        ours = [each for each in resource_ids if resource_type(each) == kind]
        known = (lambda each: instance_by_id(backend, each)) if kind == "instance" else getattr(backend, collection).get
        gone = [each for each in ours if known(each) is None]
        if gone:
            what = f"ID '{gone[0]}' does" if len(gone) == 1 else f"IDs '{', '.join(gone)}' do"
            raise AwsError(code, f"The {noun} {what} not exist")
    backend.do_resources_exist([each for each in resource_ids if resource_type(each) not in _KINDS])


_KINDS: Mapping[str, tuple[str, str, str]] = {
    "instance": ("InvalidInstanceID.NotFound", "instance", "reservations"),
    "image": ("InvalidAMIID.NotFound", "image", "amis"),
    "snapshot": ("InvalidSnapshot.NotFound", "snapshot", "snapshots"),
    "volume": ("InvalidVolume.NotFound", "volume", "volumes"),
}
"""Error code, noun and moto's collection of the resources that a fleet has many of."""
