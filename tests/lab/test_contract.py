"""The contract: answers as AWS's model has them pass, and what a lenient parser would swallow does not."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model

from lab.aws_models import service_model
from lab.calls import Call
from lab.contract import Contract
from lab.wire_errors import Answer, AwsError, error_answer

CONTRACT = Contract()
PROTOCOLS = {"ssm": "json", "ec2": "ec2", "sts": "query", "s3": "rest-xml", "scheduler": "rest-json", "iam": "query"}

ROUND_TRIPS = [
    ("ssm", "DescribeMaintenanceWindowExecutionTaskInvocations"),
    ("ssm", "GetPatchBaseline"),
    ("ssm", "DescribeInstancePatchStates"),
    ("ssm", "ListCommandInvocations"),
    ("ssm", "GetInventory"),
    ("ec2", "DescribeImages"),
    ("ec2", "DescribeInstanceStatus"),
    ("ec2", "DescribeTags"),
    ("sts", "AssumeRole"),
    ("sts", "GetCallerIdentity"),
    ("iam", "ListRoleTags"),
    ("s3", "ListObjectsV2"),
    ("s3", "GetBucketTagging"),
    ("scheduler", "ListSchedules"),
]


def call(service: str, operation: str) -> Call:
    model = service_model(service)
    return Call(
        service=service,
        operation=operation,
        account="111111111111",
        region="eu-west-3",
        access_key="",
        protocol=PROTOCOLS[service],
        model=model.operation_model(operation) if operation in model.operation_names else None,
        mutating=False,
        environ={"REQUEST_METHOD": "POST"},
    )


def violations(service: str, operation: str, body: Any, status: int = 200, **headers: str) -> list[str]:
    text = body if isinstance(body, str) else json.dumps(body)
    return CONTRACT.violations(call(service, operation), Answer(status, tuple(headers.items()), text.encode()))


def plain(shape: Shape, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that a shape allows, as a response of moto would hold them."""
    if isinstance(shape, StructureShape):
        members = {
            name: plain(member, depth + 1)
            for name, member in shape.members.items()
            if name in shape.required_members or depth < 3
        }
        required = {name: value for name, value in members.items() if name in shape.required_members}
        optional = {name: value for name, value in members.items() if name not in required}
        return st.fixed_dictionaries(required, optional=optional)
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if isinstance(shape, ListShape):
        return st.lists(plain(shape.member, depth + 1), min_size=max(low or 0, 1), max_size=max(low or 0, 2))
    if isinstance(shape, MapShape):
        values = plain(shape.value, depth + 1)
        return st.dictionaries(plain(shape.key, depth + 1), values, min_size=1, max_size=max(low or 0, 2))
    numbers = st.integers(low if low is not None else 0, min(high, 10**6) if high is not None else 10**6)
    scalars: dict[str, st.SearchStrategy[Any]] = {
        "boolean": st.booleans(),
        "integer": numbers,
        "long": numbers,
        "float": numbers.map(float),
        "double": numbers.map(float),
        "timestamp": st.integers(0, 4 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    }
    if shape.type_name in scalars:
        return scalars[shape.type_name]
    if shape.metadata.get("enum"):
        return st.sampled_from(shape.metadata["enum"])
    shortest = max(low or 0, 1)
    return st.text("abc<&é 1", min_size=shortest, max_size=max(shortest, 8)).filter(lambda text: text.strip() == text)


@pytest.mark.parametrize(("service", "operation"), ROUND_TRIPS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(st.data())
def test_whatever_the_model_allows_is_no_violation(service, operation, data):
    asked = call(service, operation)
    value = data.draw(plain(asked.model.output_shape))
    model: OperationModel = get_service_model(service).operation_model(operation)
    found = get_serializer_class(service, PROTOCOLS[service])(operation_model=model).serialize(value)
    body = found["body"]
    answer = Answer(200, tuple(found["headers"].items()), body.encode() if isinstance(body, str) else body)
    assert CONTRACT.violations(asked, answer) == []


WINDOW = {"WindowId": "mw-0123456789abcdef0", "Name": "night", "Cutoff": 1, "Duration": 4, "Enabled": True}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Colour": "red"}, "the answer: unknown member 'Colour', GetMaintenanceWindowResult has"),
        ({"Cutoff": "1"}, "Cutoff: expected integer, found '1'"),
        ({"Enabled": 1}, "Enabled: expected boolean, found 1"),
        ({"Duration": True}, "Duration: expected integer, found True"),
        ({"Duration": 25}, "Duration: 25 is above the model's maximum 24"),
        ({"Duration": 0}, "Duration: 0 is below the model's minimum 1"),
        ({"Name": "ab"}, "Name: 2 characters is below the model's minimum 3"),
        ({"CreatedDate": "yesterday"}, "CreatedDate: expected timestamp, found 'yesterday'"),
        ({"Name": ["night"]}, "Name: expected string, found ['night']"),
    ],
)
def test_a_json_answer_that_the_model_does_not_allow_is_a_violation(change, said):
    assert violations("ssm", "GetMaintenanceWindow", WINDOW) == []
    [found] = violations("ssm", "GetMaintenanceWindow", {**WINDOW, **change})
    assert found.startswith("ssm:GetMaintenanceWindow (HTTP 200): ")
    assert said in found


def test_a_null_is_a_member_that_is_not_there():
    assert violations("ssm", "GetMaintenanceWindow", {**WINDOW, "Description": None}) == []


def test_deep_members_are_named_by_their_path():
    row = {"InstanceId": "i-0123456789abcdef0", "PatchGroup": "web", "BaselineId": "pb-1", "Operation": "Look"}
    dates = {"OperationStartTime": 1.5, "OperationEndTime": 2.5}
    found = violations("ssm", "DescribeInstancePatchStates", {"InstancePatchStates": [{**row, **dates}]})
    assert [text.partition("): ")[2] for text in found] == [
        "InstancePatchStates[0].BaselineId: 4 characters is below the model's minimum 20",
        "InstancePatchStates[0].Operation: 'Look' is none of ['Scan', 'Install']",
    ]
    [missing] = violations(
        "ssm",
        "DescribeInstancePatchStates",
        {"InstancePatchStates": [{**row, **dates, "BaselineId": "pb-0123456789abcdef0", "Operation": None}]},
    )
    assert "InstancePatchStates[0]: required member 'Operation' of InstancePatchState is missing" in missing


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("[1]", "expected a structure, found [1]"),
        ("<html>", "the body cannot be read"),
        ('{"WindowIdentities": [', "the body cannot be read"),
    ],
)
def test_a_body_that_is_no_json_structure_is_a_violation(body, said):
    [found] = violations("ssm", "DescribeMaintenanceWindows", body)
    assert said in found


EBS = "<ebs><volumeSize>big</volumeSize></ebs>"
IMAGES = """<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId>
<imagesSet><item><imageId>ami-1</imageId><isPublic>{public}</isPublic><imageState>{state}</imageState>
{more}</item></imagesSet></DescribeImagesResponse>"""


@pytest.mark.parametrize(
    ("public", "state", "more", "said"),
    [
        ("true", "available", "", None),
        ("True", "available", "", "Images[0].Public: expected boolean, found 'True'"),
        ("true", "ready", "", "Images[0].State: 'ready' is none of"),
        ("true", "available", "<colour>red</colour>", "Images[0]: unknown element <colour>, Image has"),
        ("true", "available", "<imageId>ami-2</imageId>", "Images[0].ImageId: expected one element, found 2"),
        ("true", "available", "<tagSet><tag><key>a</key></tag></tagSet>", "items are called <item>"),
        ("true", "available", "<amiLaunchIndex>one</amiLaunchIndex>", "unknown element <amiLaunchIndex>"),
        ("true", "available", f"<blockDeviceMapping><item>{EBS}</item></blockDeviceMapping>", "found 'big'"),
        ("true", "available", "<description><b>x</b></description>", "Description: expected string, found elements"),
    ],
)
def test_an_ec2_answer_that_the_model_does_not_allow_is_a_violation(public, state, more, said):
    found = violations("ec2", "DescribeImages", IMAGES.format(public=public, state=state, more=more))
    if said is None:
        assert found == []
    else:
        assert said in found[0]


def test_a_query_answer_must_be_in_its_wrapper():
    inner = "<Account>111111111111</Account><Colour>red</Colour>"
    body = "<GetCallerIdentityResponse><{0}>{1}</{0}><ResponseMetadata/></GetCallerIdentityResponse>"
    [unknown] = violations("sts", "GetCallerIdentity", body.format("GetCallerIdentityResult", inner))
    assert "unknown element <Colour>" in unknown
    wrong = violations("sts", "GetCallerIdentity", body.format("Result", inner))
    assert any("unknown element <Result>" in text for text in wrong)
    assert any("<GetCallerIdentityResult> is missing" in text for text in wrong)


def test_members_in_headers_are_held_against_the_model_too():
    headers = {"ETag": '"1"', "Content-Length": "many"}
    [found] = CONTRACT.violations(call("s3", "GetObject"), Answer(200, tuple(headers.items()), b"data"))
    assert "Content-Length: expected long, found 'many'" in found


def test_an_answer_to_what_no_service_has_is_a_violation():
    [found] = violations("ssm", "DescribeWeather", {})
    assert "the service has no such operation" in found


@pytest.mark.parametrize(
    ("service", "operation", "code", "fine"),
    [
        ("ssm", "GetMaintenanceWindow", "DoesNotExistException", True),
        ("ssm", "GetMaintenanceWindow", "ParameterNotFound", False),
        ("ssm", "GetMaintenanceWindow", "ValidationException", True),
        ("ssm", "GetMaintenanceWindow", "ThrottlingException", True),
        ("ec2", "DescribeImages", "InvalidAMIID.NotFound", True),
        ("ec2", "DescribeImages", "InvalidAMI", False),
        ("s3", "GetObject", "NoSuchKey", True),
        ("s3", "GetObject", "NoSuchParameter", False),
        ("sts", "AssumeRole", "AccessDenied", True),
        ("scheduler", "ListSchedules", "ConflictException", False),
    ],
)
def test_an_error_must_be_declared_or_listed(service, operation, code, fine):
    asked = call(service, operation)
    found = CONTRACT.violations(asked, error_answer(PROTOCOLS[service], service, AwsError(code, "why")))
    assert (found == []) == fine
    if not fine:
        assert (
            f"error code {code!r} is neither declared by the operation nor listed in lab/error_codes.yaml" in found[0]
        )


def test_an_error_that_botocore_cannot_read_is_a_violation():
    [found] = violations("ec2", "DescribeImages", "<Response><Errors/></Response>", status=400)
    assert "botocore cannot read the error" in found


def test_a_test_fails_with_each_violation_of_its_requests(lab, monkeypatch):
    broken = {"WindowIdentities": [{"WindowId": "mw-1", "Colour": "red"}]}
    monkeypatch.setattr("lab.ssm.windows.WindowOperations.describe_maintenance_windows", lambda self: broken)
    lab.client("ssm").describe_maintenance_windows()
    problems = lab.take_problems()
    assert len(problems) == 2
    assert "WindowIdentities[0].WindowId: 4 characters is below" in problems[0]
    assert "unknown member 'Colour'" in problems[1]


def test_moto_s_pages_are_held_against_nothing(lab):
    import urllib.request

    with urllib.request.urlopen(f"{lab.endpoint}/moto-api/", timeout=10) as page:  # noqa: S310  # the lab
        assert b"<html" in page.read().lower()
