"""Instances for the tests of the lab's EC2, made with as few words as possible."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.ec2 import events
from lab.ec2.events import Change
from lab.ec2.instances import create_instance
from lab.testing import LabHandle
from lab.world import Location

LAUNCHED = datetime(2025, 4, 1, 12, 30, tzinfo=UTC)
IMAGE = "ami-0123456789abcdef0"
NOBODY = "i-0fedcba9876543210"


def launch(
    lab: LabHandle,
    tags: dict[str, str] | None = None,
    *,
    location: Location | None = None,
    image_id: str = IMAGE,
    instance_type: str = "t3.small",
    platform: str | None = None,
    platform_details: str | None = None,
    profile: str | None = None,
    launched: datetime = LAUNCHED,
    running: bool = True,
    volumes_gib: Sequence[int] = (8,),
) -> str:
    """One instance of a fleet, by default in the default location; its id."""
    location = location or lab.location()
    return create_instance(
        location,
        tags=tags or {},
        image_id=image_id,
        instance_type=instance_type,
        platform=platform,
        platform_details=platform_details,
        profile_arn=profile and f"arn:aws:iam::{location.account}:instance-profile/{profile}",
        launched=launched,
        running=running,
        volumes_gib=volumes_gib,
    )


def only(client: Any, instance_id: str) -> dict[str, Any]:
    """An instance as DescribeInstances answers it."""
    (reservation,) = client.describe_instances(InstanceIds=[instance_id])["Reservations"]
    (instance,) = reservation["Instances"]
    return instance


def instances(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The instances of an answer, whatever reservation they are in."""
    return [each for reservation in answer["Reservations"] for each in reservation["Instances"]]


def ids(answer: dict[str, Any]) -> set[str]:
    """The ids of the instances of an answer."""
    return {each["InstanceId"] for each in instances(answer)}


@contextmanager
def refused(code: str) -> Iterator[pytest.ExceptionInfo[ClientError]]:
    """The block must be refused with AWS's error `code`."""
    with pytest.raises(ClientError) as caught:
        yield caught
    assert caught.value.response["Error"]["Code"] == code


@contextmanager
def listening() -> Iterator[list[tuple[str, Change]]]:
    """What agents are told meanwhile: instance and change."""
    told: list[tuple[str, Change]] = []

    def listener(_: Location, instance_id: str, change: Change) -> None:
        told.append((instance_id, change))

    events.listeners.append(listener)
    try:
        yield told
    finally:
        events.listeners.remove(listener)


def collect(call: Callable[..., dict[str, Any]], member: str, size: int, **request: Any) -> list[list[Any]]:
    """Every page of an operation, by its `NextToken`."""
    pages, token = [], {}
    while True:
        answer = call(MaxResults=size, **request, **token)
        pages.append(answer[member])
        if "NextToken" not in answer:
            return pages
        token = {"NextToken": answer["NextToken"]}
