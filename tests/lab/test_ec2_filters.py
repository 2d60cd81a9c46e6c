"""Filters as every describe operation of EC2 takes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.ec2.filter_paths import IMAGE, INSTANCE, INSTANCE_STATUS, SNAPSHOT, VOLUME, Paths
from lab.ec2.filters import MOST_VALUES, Filters
from lab.ec2.tag_operations import PATHS as TAG
from lab.ec2.wire import service_model
from lab.wire_errors import AwsError

RECORD = {
    "State": {"Name": "running", "Code": 16},
    "LaunchTime": datetime(2025, 6, 2, 1, 2, 3, 456000, tzinfo=UTC),
    "EbsOptimized": False,
    "BlockDeviceMappings": [{"Ebs": {"VolumeId": "vol-1"}}, {"Ebs": {"VolumeId": "vol-2"}}, {"NoDevice": ""}],
    "KeyName": None,
}
PATHS = {
    "state": "State.Name",
    "code": "State.Code",
    "time": "LaunchTime",
    "optimized": "EbsOptimized",
    "volume": "BlockDeviceMappings.Ebs.VolumeId",
    "key": "KeyName",
    "never": None,
}


def matches(*filters: tuple[str, list[str]]) -> bool:
    compiled = Filters([{"Name": name, "Values": values} for name, values in filters], PATHS)
    return compiled.match(RECORD)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state", "running"),
        ("state", "run*"),
        ("state", "?unning"),
        ("code", "16"),
        ("time", "2025-06-02T01:02:03.456Z"),
        ("time", "2025-06-02*"),
        ("optimized", "false"),
        ("volume", "vol-2"),
    ],
)
def test_a_filter_finds_what_stands_at_its_place(name: str, value: str) -> None:
    assert matches((name, [value]))


@pytest.mark.parametrize(
    ("name", "value"),
    [("state", "Running"), ("state", "run"), ("state", ""), ("key", "*"), ("never", "*"), ("volume", "vol-3")],
)
def test_a_filter_finds_nothing_else(name: str, value: str) -> None:
    assert not matches((name, [value]))


def test_values_are_alternatives_and_filters_must_all_match() -> None:
    assert matches(("state", ["stopped", "running"]), ("code", ["16"]))
    assert not matches(("state", ["running"]), ("code", ["80"]))
    assert not matches(("state", ["running"]), ("state", ["stopped"]))


def test_a_filter_without_values_matches_nothing() -> None:
    assert not matches(("state", []))


def test_tags_are_matched_by_key_by_value_and_by_both() -> None:
    tags = {"Name": "web-1", "Patch Group": "prod/web"}

    def passes(name: str, value: str) -> bool:
        return Filters([{"Name": name, "Values": [value]}], {}).match_tags(tags)

    assert passes("tag:Patch Group", "prod/*")
    assert passes("tag-key", "Patch*")
    assert passes("tag-value", "web-?")
    assert not passes("tag:Name", "prod/web")
    assert not passes("tag:name", "web-1")
    assert not passes("tag-key", "web-1")


@given(st.text(max_size=8), st.text(max_size=8))
def test_a_value_whose_wildcards_are_escaped_matches_itself_alone(value: str, other: str) -> None:
    escaped = re.sub(r"([*?\\])", r"\\\1", value)
    filters = Filters([{"Name": "name", "Values": [escaped]}], {"name": "Name"})
    assert filters.match({"Name": value})
    assert filters.match({"Name": other}) == (other == value)


@given(st.text("ab*?", max_size=6), st.text("ab", max_size=6))
def test_wildcards_mean_what_they_mean_in_a_shell(pattern: str, value: str) -> None:
    filters = Filters([{"Name": "name", "Values": [pattern]}], {"name": "Name"})
    assert filters.match({"Name": value}) == fnmatchcase(value, pattern)


def test_too_many_values_are_refused() -> None:
    with pytest.raises(AwsError, match="FilterLimitExceeded"):
        Filters([{"Name": "state", "Values": [str(number) for number in range(MOST_VALUES + 1)]}], PATHS)


@pytest.mark.parametrize("request_", [{"Name": "colour", "Values": ["red"]}, {"Values": ["red"]}])
def test_a_filter_that_is_not_one_is_refused(request_: dict[str, Any]) -> None:
    with pytest.raises(AwsError, match="InvalidParameterValue"):
        Filters([request_], PATHS)


@pytest.mark.parametrize(
    ("operation", "paths"),
    [
        ("DescribeInstances", INSTANCE),
        ("DescribeInstanceStatus", INSTANCE_STATUS),
        ("DescribeImages", IMAGE),
        ("DescribeSnapshots", SNAPSHOT),
        ("DescribeVolumes", VOLUME),
        ("DescribeTags", TAG),
    ],
)
def test_every_documented_filter_is_known_and_its_place_is_in_the_model(operation: str, paths: Paths) -> None:
    model = service_model().operation_model(operation)
    documented = set(re.findall(r"<li> <p> <code>([^<]+)</code> -", model.input_shape.members["Filters"].documentation))
    tags = {name for name in documented if name.startswith("tag")}
    assert len(documented) > 3
    assert documented - tags == set(paths)
    answer = next(member for member in model.output_shape.members.values() if member.type_name == "list").member
    shape = answer.members["Instances"].member if operation == "DescribeInstances" else answer
    for path in filter(None, paths.values()):
        if path != "ReservationId":
            assert _stands_in(shape, path.split(".")), path


def _stands_in(shape: Any, path: list[str]) -> bool:
    while shape.type_name == "list":
        shape = shape.member
    return not path or (path[0] in shape.members and _stands_in(shape.members[path[0]], path[1:]))
