"""The lab as clients meet it: accounts, Regions, time, connections, and errors that are never HTML."""

import http.client
import json
import logging
import socket
import threading
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import aiobotocore.session
import moto.sqs.models
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lab import aws_models
from lab.clock import START
from lab.errors import LabError
from lab.server import LabServer
from lab.testing import LabHandle
from lab.world import Lab

FIRST, SECOND = "111111111111", "222222222222"
HERE = {"LocationConstraint": "eu-west-3"}
JSON_CODE, QUERY_CODE = "SerializationException", "MalformedQueryString"


def date_of(response) -> datetime:
    return parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])


def raw(lab: LabHandle, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None):
    connection = http.client.HTTPConnection(lab.endpoint.removeprefix("http://"), timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def test_a_client_without_a_role_is_a_user_of_the_first_account(lab):
    identity = lab.client("sts").get_caller_identity()
    assert identity["Account"] == FIRST
    assert identity["Arn"] == f"arn:aws:iam::{FIRST}:user/lab"


def test_an_assumed_role_is_itself_in_its_own_account(lab):
    sts = lab.client("sts", account=SECOND)
    identity = sts.get_caller_identity()
    assert identity["Account"] == SECOND
    assert identity["Arn"] == f"arn:aws:sts::{SECOND}:assumed-role/sluice/test"
    assert identity["UserId"] == sts.get_caller_identity()["UserId"]
    assert identity["UserId"].startswith("AROA")


def test_two_accounts_and_two_regions_have_separate_state(lab):
    places = [(FIRST, "eu-west-3"), (FIRST, "eu-central-1"), (SECOND, "eu-west-3"), (SECOND, "eu-central-1")]
    for account, region in places:
        lab.client("ssm", account, region).put_parameter(Name="/where", Value=f"{account}/{region}", Type="String")
    for account, region in places:
        found = lab.client("ssm", account, region).get_parameter(Name="/where")["Parameter"]
        assert found["Value"] == f"{account}/{region}"
        assert found["ARN"] == f"arn:aws:ssm:{region}:{account}:parameter/where"


def test_a_role_assumed_again_sees_the_same_account(lab):
    lab.client("ssm", SECOND).put_parameter(Name="/kept", Value="1", Type="String")
    assert lab.client("ssm", SECOND).get_parameter(Name="/kept")["Parameter"]["Value"] == "1"


def test_a_role_can_be_assumed_with_a_role(lab):
    lab.location(SECOND)
    sts = lab.session(FIRST).client("sts", endpoint_url=lab.endpoint)
    credentials = sts.assume_role(RoleArn=f"arn:aws:iam::{SECOND}:role/deep/er", RoleSessionName="chain")["Credentials"]
    sts.close()
    chained = aws_models.session().create_client(
        "sts",
        region_name="eu-west-3",
        endpoint_url=lab.endpoint,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
    assert chained.get_caller_identity()["Arn"] == f"arn:aws:sts::{SECOND}:assumed-role/er/chain"
    with pytest.raises(ClientError, match="1 hour session limit for roles assumed by role chaining"):
        chained.assume_role(RoleArn=f"arn:aws:iam::{FIRST}:role/x", RoleSessionName="longer", DurationSeconds=3601)
    chained.close()


def test_a_role_of_an_account_that_is_not_in_the_fleet_is_denied(lab):
    sts = lab.client("sts")
    with pytest.raises(ClientError) as caught:
        sts.assume_role(RoleArn="arn:aws:iam::999999999999:role/sluice", RoleSessionName="test")
    error = caught.value.response
    assert error["Error"]["Code"] == "AccessDenied"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert (
        "arn:aws:iam::111111111111:user/lab is not authorized to perform: sts:AssumeRole" in error["Error"]["Message"]
    )


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"RoleArn": "arn:aws:iam::111111111111:user/someone"}, "is invalid"),
        ({"RoleArn": "arn:aws:iam::11111111111:role/x"}, "is invalid"),
        ({"RoleSessionName": "no spaces"}, "failed to satisfy constraint: Member must satisfy regular expression"),
        ({"DurationSeconds": 899}, "greater than or equal to 900"),
        ({"DurationSeconds": 43201}, "less than or equal to 43200"),
    ],
)
def test_a_role_request_that_makes_no_sense_is_a_validation_error(lab, request_, said):
    sts = lab.client("sts", config=Config(parameter_validation=False))
    whole = {"RoleArn": f"arn:aws:iam::{FIRST}:role/sluice", "RoleSessionName": "test", **request_}
    with pytest.raises(ClientError, match=said) as caught:
        sts.assume_role(**whole)
    assert caught.value.response["Error"]["Code"] == "ValidationError"


def test_moto_s_account_header_still_chooses_the_account(lab):
    sts = lab.client("sts")
    sts.meta.events.register(
        "before-sign.*", lambda request, **_: request.headers.add_header("x-moto-account-id", SECOND)
    )
    assert sts.get_caller_identity()["Account"] == SECOND


def test_the_region_is_the_one_a_request_is_signed_for_whatever_its_user_agent_says(lab):
    ssm = lab.client("ssm", region="eu-central-1", config=Config(user_agent_extra="region/us-east-2"))
    ssm.put_parameter(Name="/region", Value="1", Type="String")
    assert ssm.get_parameter(Name="/region")["Parameter"]["ARN"] == f"arn:aws:ssm:eu-central-1:{FIRST}:parameter/region"


def test_the_region_of_a_presigned_url_is_the_one_it_is_signed_for(lab):
    sts = lab.client("sts", region="eu-central-1", config=Config(signature_version="v4"))
    url = sts.generate_presigned_url("get_caller_identity")
    status, _, body = raw(lab, "GET", url.removeprefix(lab.endpoint))
    assert status == 200
    assert f"arn:aws:iam::{FIRST}:user/lab".encode() in body
    [made] = lab.server.calls.last(1)
    assert (made["service"], made["operation"], made["region"]) == ("sts", "GetCallerIdentity", "eu-central-1")


def test_every_answer_s_date_is_the_lab_s_time(lab):
    s3 = lab.client("s3")
    ssm = lab.client("ssm")
    when = lab.advance(days=3, hours=4)
    assert date_of(s3.create_bucket(Bucket="dated", CreateBucketConfiguration=HERE)) == when
    assert date_of(s3.put_object(Bucket="dated", Key="k", Body=b"x")) == when
    with pytest.raises(ClientError) as caught:
        ssm.get_parameter(Name="/none")
    assert date_of(caught.value.response) == when
    for path in ("/lab/clock", "/lab/nothing", "/moto-api/data.json"):
        assert parsedate_to_datetime(raw(lab, "GET", path)[1]["Date"]) == when


def test_security_tokens_expire_in_real_time(lab):
    lab.advance(days=400)
    answer = lab.client("sts").assume_role(RoleArn=f"arn:aws:iam::{FIRST}:role/sluice", RoleSessionName="test")
    left = answer["Credentials"]["Expiration"] - datetime.now(UTC)  # noqa: TID251  # as a client's own clock has it
    assert timedelta(minutes=55) < left <= timedelta(hours=1)


def test_connections_are_kept(lab):
    connection = http.client.HTTPConnection(lab.endpoint.removeprefix("http://"), timeout=10)
    connection.request("GET", "/lab/clock")
    connection.getresponse().read()
    kept = connection.sock
    for method, path in (("GET", "/lab/state"), ("POST", "/lab/nothing"), ("DELETE", "/lab/calls")):
        connection.request(method, path, b"{}")
        connection.getresponse().read()
        assert connection.sock is kept
    connection.close()


def test_a_body_in_chunks_is_read_whole_and_the_connection_kept(lab):
    connection = http.client.HTTPConnection(lab.endpoint.removeprefix("http://"), timeout=10)
    for hours in (1, 2):
        connection.request("POST", "/lab/clock/advance", iter([b'{"ho', b'urs": 1}']), encode_chunked=True)
        answer = json.loads(connection.getresponse().read())
        assert answer["now"] == f"2025-06-02T0{hours}:00:00Z"
    connection.close()


def test_a_head_request_has_the_length_and_no_body(lab):
    s3 = lab.client("s3")
    s3.create_bucket(Bucket="heads", CreateBucketConfiguration=HERE)
    s3.put_object(Bucket="heads", Key="k", Body=b"12345")
    assert s3.head_object(Bucket="heads", Key="k")["ContentLength"] == 5
    assert s3.get_object(Bucket="heads", Key="k")["Body"].read() == b"12345"
    s3.delete_object(Bucket="heads", Key="k")
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket="heads", Key="k")


def test_a_client_that_sends_its_body_slowly_does_not_hold_up_the_others(lab):
    host, port = lab.endpoint.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nhalf")
        assert lab.client("sts").get_caller_identity()["Account"] == FIRST


def test_a_request_that_is_no_http_gets_a_400_with_the_lab_s_date(lab):
    host, port = lab.endpoint.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: many\r\n\r\n")
        head = connection.makefile("rb").read().decode()
    assert head.startswith("HTTP/1.1 400")
    assert "Date: Mon, 02 Jun 2025 00:00:00 GMT" in head


@pytest.mark.parametrize(
    ("service", "headers", "code"),
    [
        ("ssm", {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonSSM.ListCommands"}, JSON_CODE),
        ("lambda", {"Content-Type": "application/json"}, JSON_CODE),
        ("ec2", {}, QUERY_CODE),
        ("ec2", {"Content-Type": "application/x-www-form-urlencoded"}, QUERY_CODE),
        ("sts", {}, QUERY_CODE),
        ("sns", {}, QUERY_CODE),
    ],
)
def test_a_body_that_is_not_utf_8_is_the_client_s_mistake(lab, service, headers, code):
    scope = f"test/20250602/{lab.world.default_region}/{service}/aws4_request"
    signed = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"}
    path = "/2015-03-31/functions" if service == "lambda" else "/"
    body = (
        b'{"Name": "\xff\xfe"}' if code == JSON_CODE else b"Action=DescribeInstances&Version=2016-11-15&Name=\xff\xfe"
    )
    status, _, answer = raw(lab, "POST", path, body, {**headers, **signed})
    assert (status, code in answer.decode()) == (400, True)


def test_many_clients_at_once_each_get_their_own_answer(lab):
    def work(number: int) -> None:
        ssm = clients[number]
        for turn in range(10):
            ssm.put_parameter(Name=f"/p/{number}", Value=f"{number}:{turn}", Type="String", Overwrite=True)
            found.append(ssm.get_parameter(Name=f"/p/{number}")["Parameter"]["Value"] == f"{number}:{turn}")

    found: list[bool] = []
    clients = [lab.client("ssm") for _ in range(8)]
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 80


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("ssm", "create_ops_item", {"Description": "d", "Source": "s", "Title": "t"}),
        ("ec2", "describe_capacity_blocks", {}),
        ("config", "start_config_rules_evaluation", {}),
        ("cloudwatch", "put_composite_alarm", {"AlarmName": "a", "AlarmRule": "TRUE"}),
        ("sts", "decode_authorization_message", {"EncodedMessage": "x"}),
        ("s3", "get_bucket_analytics_configuration", {"Bucket": "b", "Id": "i"}),
        ("lambda", "list_code_signing_configs", {}),
        ("artifact", "list_reports", {}),
    ],
)
def test_what_the_lab_does_not_have_is_a_typed_error_that_is_not_retried(lab, service, operation, parameters):
    config = Config(retries={"total_max_attempts": 3, "mode": "standard"}, parameter_validation=False)
    client = lab.client(service, config=config)
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)(**parameters)
    error = caught.value.response
    assert error["Error"]["Code"] == "LabUnsupportedOperation"
    assert "docs/lab.md" in error["Error"]["Message"]
    assert error["ResponseMetadata"]["RetryAttempts"] == 0


def test_an_operation_that_crashes_is_an_internal_error_an_incident_and_a_problem(lab, monkeypatch, caplog):
    def crash(*_: object) -> None:
        raise KeyError("something of the lab")

    monkeypatch.setattr("lab.ssm.windows.WindowOperations.describe_maintenance_windows", crash)
    with caplog.at_level(logging.ERROR, "lab"), pytest.raises(ClientError) as caught:
        lab.client("ssm").describe_maintenance_windows()
    assert caught.value.response["Error"]["Code"] == "InternalServerError"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert "incident: ssm:DescribeMaintenanceWindows in 111111111111 eu-west-3 crashed" in caplog.text
    assert lab.take_problems() == ["ssm:DescribeMaintenanceWindows crashed: KeyError('something of the lab')"]


def test_a_waiting_receive_lets_others_send_and_gets_what_they_send(lab, monkeypatch):
    look = moto.sqs.models.Queue.messages.fget
    looked = threading.Event()
    monkeypatch.setattr(moto.sqs.models.Queue, "messages", property(lambda queue: (looked.set(), look(queue))[1]))
    sqs = lab.client("sqs")
    url = sqs.create_queue(QueueName="waiting")["QueueUrl"]
    received: list[str] = []

    def receive() -> None:
        answer = lab.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=20)
        received.extend(message["Body"] for message in answer["Messages"])

    waiting = threading.Thread(target=receive)
    waiting.start()
    assert looked.wait(15)
    sqs.send_message(QueueUrl=url, MessageBody="hello")
    waiting.join(15)
    assert received == ["hello"]


def test_a_received_message_comes_back_when_the_lab_s_time_has_passed(lab):
    sqs = lab.client("sqs")
    url = sqs.create_queue(QueueName="again", Attributes={"VisibilityTimeout": "300"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="hello")
    assert len(sqs.receive_message(QueueUrl=url)["Messages"]) == 1
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    lab.advance(seconds=301)
    assert len(sqs.receive_message(QueueUrl=url)["Messages"]) == 1


def test_moto_s_own_api_works_and_its_reset_drops_what_is_pending(lab):
    ssm = lab.client("ssm")
    location = lab.location()
    lab.world.clock.after(60, lambda: None)
    ssm.put_parameter(Name="/gone", Value="1", Type="String")
    assert raw(lab, "POST", "/moto-api/reset")[::2] == (200, b'{"status": "ok"}')
    assert not location.alive
    assert lab.world.clock.pending() == []
    with pytest.raises(ClientError, match="ParameterNotFound"):
        ssm.get_parameter(Name="/gone")


def test_moto_s_own_api_is_not_for_other_sites(lab):
    assert raw(lab, "POST", "/moto-api/reset", headers={"Origin": "https://example.com"})[0] == 403
    assert raw(lab, "POST", "/moto-api/reset", headers={"Origin": lab.endpoint})[0] == 200


def test_no_answer_invites_a_browser(lab):
    _, headers, _ = raw(lab, "GET", "/", headers={"Origin": "https://example.com"})
    assert not [name for name in headers if name.lower().startswith("access-control")]


def test_a_second_lab_in_the_process_is_refused(lab):
    with pytest.raises(LabError, match="a lab runs in this process already"):
        LabServer(Lab()).start()


def test_an_endpoint_before_the_start_is_refused():
    with pytest.raises(LabError, match="does not run"):
        _ = LabServer(Lab()).endpoint


def test_a_reset_gives_the_same_lab_again(lab):
    def made() -> list[str]:
        volume = lab.client("ec2").create_volume(AvailabilityZone="eu-west-3a", Size=1)
        window = lab.client("ssm").create_maintenance_window(
            Name="again", Schedule="rate(1 day)", Duration=2, Cutoff=1, AllowUnassociatedTargets=False
        )
        return [volume["VolumeId"], window["WindowId"]]

    first = made()
    lab.advance(hours=5)
    lab.server.reset()
    assert lab.world.clock.now() == START
    assert lab.world.clock.pending() == []
    assert lab.client("ssm").describe_maintenance_windows()["WindowIdentities"] == []
    assert made() == first


def test_the_record_knows_what_was_called_by_whom_and_what_changes_things(lab):
    lab.client("ssm", SECOND, "eu-central-1").put_parameter(Name="/a", Value="1", Type="String")
    lab.client("ec2").describe_instances()
    lab.client("s3").list_buckets()
    calls = lab.server.calls
    assert calls.total(service="ssm", account=SECOND, region="eu-central-1", mutating=True) == 1
    assert calls.total(operation="DescribeInstances", account=FIRST, mutating=False) == 1
    assert calls.total(operation="ListBuckets", mutating=False) == 1
    assert calls.total(operation="AssumeRole", mutating=False) == 1
    assert calls.total(mutating=True) == 1


def test_asynchronous_clients_in_two_accounts_see_two_states(lab):
    import asyncio

    async def ask() -> list[tuple[str, list[str]]]:
        session = aiobotocore.session.get_session()
        places = []
        for account in (FIRST, SECOND):
            lab.location(account)
            async with session.create_client("sts", **common) as sts:
                role = f"arn:aws:iam::{account}:role/sluice"
                token = (await sts.assume_role(RoleArn=role, RoleSessionName="async"))["Credentials"]
            credentials = {
                "aws_access_key_id": token["AccessKeyId"],
                "aws_secret_access_key": token["SecretAccessKey"],
                "aws_session_token": token["SessionToken"],
            }
            async with session.create_client("ssm", **{**common, **credentials}) as ssm:
                names = [f"{account}-{number}" for number in range(3)]
                await asyncio.gather(*(ssm.create_patch_baseline(Name=name) for name in names))
                pages = ssm.get_paginator("describe_patch_baselines").paginate(
                    Filters=[{"Key": "OWNER", "Values": ["Self"]}], PaginationConfig={"PageSize": 2}
                )
                found = [row["BaselineName"] async for page in pages for row in page["BaselineIdentities"]]
            places.append((account, sorted(found)))
        return places

    common = {
        "region_name": "eu-west-3",
        "endpoint_url": lab.endpoint,
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }
    assert asyncio.run(ask()) == [
        (account, [f"{account}-{number}" for number in range(3)]) for account in (FIRST, SECOND)
    ]
