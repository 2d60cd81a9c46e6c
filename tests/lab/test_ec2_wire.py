"""EC2's protocol: what the lab writes is what botocore reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from botocore.config import Config
from botocore.parsers import create_parser
from ec2_builder import refused
from hypothesis import given
from hypothesis import strategies as st

from lab.ec2.wire import answer, operations
from lab.testing import LabHandle

WRITABLE = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff") | st.sampled_from("\t\n\r")
TAGS = st.lists(st.fixed_dictionaries({"Key": st.text(WRITABLE), "Value": st.text(WRITABLE)}))


def read(operation: str, result: dict[str, Any]) -> dict[str, Any]:
    """What botocore makes of the lab's answer."""
    model = operations()[operation]
    response = {"status_code": 200, "headers": {}, "body": answer(model, result).encode()}
    parsed: dict[str, Any] = create_parser("ec2").parse(response, model.output_shape)
    return {name: value for name, value in parsed.items() if name != "ResponseMetadata"}


@given(TAGS, st.integers(0, 10**6), st.booleans(), st.integers(0, 10**11))
def test_botocore_reads_what_was_written(tags: list[dict[str, str]], size: int, encrypted: bool, seconds: int) -> None:
    started = datetime.fromtimestamp(seconds, UTC) + timedelta(milliseconds=size % 1000)
    snapshot = {"VolumeSize": size, "Encrypted": encrypted, "StartTime": started, "Tags": tags}
    assert read("DescribeSnapshots", {"Snapshots": [snapshot]}) == {"Snapshots": [snapshot]}


def test_what_is_none_is_left_out() -> None:
    assert read("DescribeSnapshots", {"Snapshots": [], "NextToken": None}) == {"Snapshots": []}


def test_a_member_that_the_model_does_not_have_is_a_mistake_of_the_lab() -> None:
    with pytest.raises(KeyError, match="Colour"):
        answer(operations()["DescribeSnapshots"], {"Colour": "red"})


def answer_to(lab: LabHandle, body: str) -> str:
    """What the lab answers to a request that somebody wrote by hand."""
    scope = f"test/20250602/{lab.world.default_region}/ec2/aws4_request"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"}
    with pytest.raises(HTTPError) as caught:
        urlopen(Request(lab.endpoint, body.encode(), headers))  # noqa: S310  # the lab's own address
    with caught.value as response:
        assert response.status == 400
        return str(response.read().decode())


def test_an_action_that_ec2_does_not_have_is_invalid(lab: LabHandle) -> None:
    assert "<Code>InvalidAction</Code>" in answer_to(lab, "Action=MakeCoffee&Version=2016-11-15")


def test_a_number_that_is_none_is_an_invalid_parameter(lab: LabHandle) -> None:
    wrong = answer_to(lab, "Action=DescribeInstances&Version=2016-11-15&MaxResults=many")
    assert "<Code>InvalidParameterValue</Code>" in wrong
    assert "many" in wrong


def test_a_request_that_no_sdk_would_send_gets_a_typed_error(lab: LabHandle) -> None:
    ec2 = lab.client("ec2", config=Config(parameter_validation=False))
    with refused("MissingParameter") as caught:
        ec2.create_tags(Resources=["i-0fedcba9876543210"])
    assert "parameter Tag" in str(caught.value)
    with refused("InvalidParameterValue"):
        ec2.create_snapshots(InstanceSpecification={"InstanceId": "i-0fedcba9876543210"}, CopyTagsFromSource="instance")
