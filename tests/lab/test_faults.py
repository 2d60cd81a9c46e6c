"""Faults as clients meet them: typed per service, as often as the rule says, the same for the same seed."""

import json
import threading
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from botocore.parsers import ResponseParserError
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.calls import Call
from lab.clock import Clock
from lab.contract import Contract
from lab.errors import FaultError
from lab.faults import FaultRule, Faults, Rate, aws_rates, parse_rules
from lab.testing import LabHandle

FIRST, SECOND = "111111111111", "222222222222"


def put(lab: LabHandle, **rule: Any) -> None:
    lab.server.faults.add(FaultRule(**rule))


def call(service: str = "ssm", operation: str = "GetParameter", **parts: Any) -> Call:
    environ = {"PATH_INFO": "/", "lab.body": b"", "CONTENT_TYPE": "application/x-amz-json-1.1"}
    return Call(
        **{
            "service": service,
            "operation": operation,
            "account": FIRST,
            "region": "eu-west-3",
            "access_key": "AKIA",
            "protocol": "json",
            "model": None,
            "mutating": False,
            "environ": environ,
            **parts,
        }
    )


def hits(faults: Faults, *calls: Call) -> list[bool]:
    return [faults.draw(one).fault is not None for one in calls]


ASKED = {
    "ssm": ("get_parameter", {"Name": "/a"}),
    "ec2": ("describe_instances", {}),
    "s3": ("list_buckets", {}),
    "sts": ("get_caller_identity", {}),
    "sns": ("list_topics", {}),
    "sqs": ("list_queues", {}),
    "iam": ("list_users", {}),
    "events": ("list_rules", {}),
    "cloudwatch": ("list_metrics", {}),
    "config": ("describe_config_rules", {}),
    "lambda": ("list_functions", {}),
    "organizations": ("list_accounts", {}),
    "secretsmanager": ("list_secrets", {}),
}

TYPED = [
    ("throttle", "ssm", "ThrottlingException", 400),
    ("throttle", "ec2", "RequestLimitExceeded", 503),
    ("throttle", "s3", "SlowDown", 503),
    ("throttle", "sts", "Throttling", 400),
    ("throttle", "sns", "Throttled", 429),
    ("throttle", "lambda", "TooManyRequestsException", 429),
    ("throttle", "organizations", "TooManyRequestsException", 400),
    ("server_error", "ssm", "InternalServerError", 500),
    ("server_error", "ec2", "InternalError", 500),
    ("server_error", "s3", "InternalError", 500),
    ("server_error", "sts", "InternalFailure", 500),
    ("unavailable", "ssm", "ServiceUnavailable", 503),
    ("unavailable", "ec2", "Unavailable", 503),
    ("unavailable", "s3", "ServiceUnavailable", 503),
    ("access_denied", "ssm", "AccessDeniedException", 400),
    ("access_denied", "ec2", "UnauthorizedOperation", 403),
    ("access_denied", "s3", "AccessDenied", 403),
    ("access_denied", "sts", "AccessDenied", 403),
    ("expired_token", "ssm", "ExpiredTokenException", 400),
    ("expired_token", "ec2", "RequestExpired", 400),
    ("expired_token", "s3", "ExpiredToken", 400),
    ("expired_token", "sts", "ExpiredToken", 403),
]


@pytest.mark.parametrize(("kind", "service", "code", "status"), TYPED)
def test_each_service_refuses_in_its_own_words(lab, kind, service, code, status):
    put(lab, kind=kind, service=service)
    operation, parameters = ASKED[service]
    with pytest.raises(ClientError) as caught:
        getattr(lab.client(service), operation)(**parameters)
    error = caught.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    assert error["Error"]["Message"]
    assert error["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize("kind", ["throttle", "server_error", "unavailable", "access_denied", "expired_token"])
@pytest.mark.parametrize("service", ASKED)
def test_every_refusal_is_one_that_the_service_may_answer(lab, kind, service):
    put(lab, kind=kind, service=service)
    operation, parameters = ASKED[service]
    client = lab.client(service)
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)(**parameters)
    name = client.meta.method_to_api_mapping[operation]
    model = client.meta.service_model.operation_model(name)
    assert caught.value.response["Error"]["Code"] in Contract().allowed(service, name, model)


def test_a_denial_says_who_may_not_do_what(lab):
    put(lab, kind="access_denied", service="ssm", operation="SendCommand", account=SECOND)
    with pytest.raises(ClientError) as caught:
        lab.client("ssm", account=SECOND).send_command(DocumentName="AWS-RunShellScript")
    caller = f"arn:aws:sts::{SECOND}:assumed-role/sluice/test"
    said = f"User: {caller} is not authorized to perform: ssm:SendCommand on resource: *"
    assert caught.value.response["Error"]["Message"] == said
    with pytest.raises(ClientError, match="ParameterNotFound"):
        lab.client("ssm", account=SECOND).get_parameter(Name="/a")


def test_one_role_can_be_denied_by_what_the_request_says(lab):
    put(lab, kind="access_denied", service="sts", operation="AssumeRole", contains=":role/other")
    assert lab.client("sts", account=SECOND).get_caller_identity()["Account"] == SECOND
    with pytest.raises(ClientError, match="AccessDenied"):
        lab.client("sts").assume_role(RoleArn=f"arn:aws:iam::{SECOND}:role/other", RoleSessionName="test")


def test_a_standard_retry_gets_over_throttles_that_pass(lab):
    put(lab, kind="throttle", service="ssm", operation="PutParameter", times=2)
    config = Config(retries={"total_max_attempts": 4, "mode": "standard"})
    answer = lab.client("ssm", config=config).put_parameter(Name="/a", Value="1", Type="String")
    assert answer["ResponseMetadata"]["RetryAttempts"] == 2
    assert [made["fault"] for made in lab.server.calls.last(3)] == ["throttle", "throttle", None]


def test_a_dropped_connection_has_had_no_effect(lab):
    put(lab, kind="drop", service="ssm", operation="PutParameter", times=1)
    ssm = lab.client("ssm")
    with pytest.raises(ConnectionClosedError):
        ssm.put_parameter(Name="/a", Value="1", Type="String")
    with pytest.raises(ClientError, match="ParameterNotFound"):
        ssm.get_parameter(Name="/a")
    [made, _] = lab.server.calls.last(2)
    assert (made["operation"], made["status"], made["fault"]) == ("PutParameter", None, "drop")


def test_a_lost_reply_has_had_its_effect(lab):
    put(lab, kind="lost_reply", service="ssm", operation="PutParameter", times=1)
    ssm = lab.client("ssm")
    with pytest.raises(ConnectionClosedError):
        ssm.put_parameter(Name="/a", Value="1", Type="String")
    assert ssm.get_parameter(Name="/a")["Parameter"]["Value"] == "1"


def test_a_repeated_request_after_a_lost_reply_makes_nothing_twice(lab):
    put(lab, kind="lost_reply", service="ssm", operation="CreateMaintenanceWindow", times=1)
    ssm = lab.client("ssm", config=Config(retries={"total_max_attempts": 2, "mode": "standard"}))
    answer = ssm.create_maintenance_window(
        Name="once",
        Schedule="rate(1 day)",
        Duration=2,
        Cutoff=1,
        AllowUnassociatedTargets=False,
        ClientToken="token-of-this-test",
    )
    windows = ssm.describe_maintenance_windows()["WindowIdentities"]
    assert [window["WindowId"] for window in windows] == [answer["WindowId"]]


def test_no_answer_is_a_timeout_for_who_does_not_wait(lab):
    put(lab, kind="timeout", service="sts", seconds=30)
    with pytest.raises(ReadTimeoutError):
        lab.client("sts", config=Config(read_timeout=0.2)).get_caller_identity()


def test_who_waits_for_no_answer_finds_the_connection_closed_and_holds_up_nobody(lab):
    put(lab, kind="timeout", service="sts", times=1, seconds=0.3)
    closed: list[bool] = []

    def wait() -> None:
        with pytest.raises(ConnectionClosedError):
            slow.get_caller_identity()
        closed.append(True)

    slow = lab.client("sts")
    waiting = threading.Thread(target=wait)
    waiting.start()
    lab.client("ec2").describe_regions()
    waiting.join(10)
    assert closed


def test_a_reset_ends_the_waiting_of_those_who_get_no_answer(lab):
    put(lab, kind="timeout", service="sts", seconds=600)
    dropped = threading.Event()

    def wait() -> None:
        with pytest.raises(ConnectionClosedError):
            slow.get_caller_identity()
        dropped.set()

    slow = lab.client("sts")
    threading.Thread(target=wait).start()
    while lab.server.faults.shown()[0]["hit"] == 0:
        pass
    lab.server.reset()
    assert dropped.wait(10)
    assert lab.server.calls.total() == 0


def test_a_truncated_json_answer_is_taken_for_an_empty_one(lab):
    # botocore does this, and that is why the product must take a missing member for a failure.
    put(lab, kind="truncate", service="ssm", operation="DescribeInstanceInformation")
    answer = lab.client("ssm").describe_instance_information()
    assert "InstanceInformationList" not in answer
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_truncated_xml_answer_cannot_be_parsed(lab):
    put(lab, kind="truncate", service="ec2", operation="DescribeInstances", keep=60)
    with pytest.raises(ResponseParserError):
        lab.client("ec2").describe_instances()


def test_a_delay_is_waited_for_and_the_answer_is_right(lab):
    put(lab, kind="delay", service="sts", seconds=0.05)
    put(lab, kind="throttle", service="sts", times=1)
    sts = lab.client("sts")
    with pytest.raises(ClientError, match="Throttling"):
        sts.get_caller_identity()
    assert sts.get_caller_identity()["Account"] == FIRST
    assert [made["fault"] for made in lab.server.calls.last(2)] == ["throttle", "delay"]


def test_a_bucket_lets_a_burst_through_and_then_so_many_a_lab_second(lab):
    put(lab, kind="throttle", service="ssm", rate=Rate(per_second=2, burst=3, clock="lab"))
    ssm = lab.client("ssm")

    def passed(tries: int) -> int:
        through = 0
        for _ in range(tries):
            try:
                ssm.describe_parameters()
                through += 1
            except ClientError as error:
                assert error.response["Error"]["Code"] == "ThrottlingException"  # noqa: PT017  # the others passed
        return through

    assert passed(6) == 3
    lab.advance(seconds=1)
    assert passed(6) == 2
    lab.advance(hours=1)
    assert passed(6) == 3


def test_moto_s_own_pages_meet_no_faults(lab):
    put(lab, kind="drop")
    import urllib.request

    with urllib.request.urlopen(f"{lab.endpoint}/moto-api/data.json", timeout=10) as answer:  # noqa: S310  # the lab
        assert json.loads(answer.read()) is not None


@pytest.mark.parametrize(
    ("rule", "matching", "other"),
    [
        ({"service": "ssm"}, call(), call("ec2", "DescribeInstances")),
        ({"service": "s*"}, call(), call("ec2")),
        ({"operation": "Get*"}, call(), call(operation="PutParameter")),
        ({"account": SECOND}, call(account=SECOND), call()),
        ({"region": "eu-*"}, call(), call(region="us-east-1")),
        ({"access_key": "AKIA"}, call(), call(access_key="ASIA")),
    ],
)
def test_a_rule_is_about_the_calls_it_names(rule, matching, other):
    faults = Faults(Clock(), 0)
    faults.add(FaultRule(kind="drop", **rule))
    assert hits(faults, matching, other) == [True, False]


def test_the_first_rule_that_hits_decides():
    faults = Faults(Clock(), 0)
    faults.add(FaultRule(kind="throttle", times=1), FaultRule(kind="drop"))
    kinds = [faults.draw(call()).fault.kind for _ in range(3)]
    assert kinds == ["throttle", "drop", "drop"]


def test_a_rule_lets_some_pass_and_then_hits_so_many():
    faults = Faults(Clock(), 0)
    faults.add(FaultRule(kind="drop", after=2, times=3))
    assert hits(faults, *[call()] * 7) == [False, False, True, True, True, False, False]


def test_delays_add_up():
    faults = Faults(Clock(), 0)
    faults.add(FaultRule(kind="delay", seconds=1), FaultRule(kind="delay", seconds=0.5), FaultRule(kind="drop"))
    verdict = faults.draw(call())
    assert (verdict.delay, verdict.fault.kind) == (1.5, "drop")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.05, 0.95))
def test_the_same_seed_meets_the_same_faults(seed, p):
    def drawn() -> list[bool]:
        faults = Faults(Clock(), seed)
        faults.add(FaultRule(kind="drop", p=p))
        return hits(faults, *[call()] * 50)

    assert drawn() == drawn()


def test_a_probability_is_kept_over_many_calls():
    faults = Faults(Clock(), 7)
    faults.add(FaultRule(kind="drop", p=0.2))
    assert 150 < sum(hits(faults, *[call()] * 1000)) < 250


def test_a_bucket_is_one_per_account_region_and_operation_unless_shared():
    faults = Faults(Clock(), 0)
    calls = [call(), call(account=SECOND), call(region="eu-central-1"), call(operation="PutParameter"), call()]
    faults.add(FaultRule(kind="throttle", rate=Rate(per_second=1, burst=1, clock="lab")))
    assert hits(faults, *calls) == [False, False, False, False, True]
    faults.clear()
    faults.add(FaultRule(kind="throttle", rate=Rate(per_second=1, burst=1, clock="lab", shared=True)))
    assert hits(faults, *calls) == [False, False, False, True, True]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 20), st.floats(0.5, 50), st.lists(st.floats(0, 5), max_size=60))
def test_a_bucket_never_lets_more_through_than_burst_and_rate_allow(burst, per_second, pauses):
    now = 0.0
    faults = Faults(Clock(), 0, real_time=lambda: now)
    faults.add(FaultRule(kind="throttle", rate=Rate(per_second=per_second, burst=burst)))
    passed = 0
    for pause in pauses:
        now += pause
        passed += faults.draw(call()).fault is None
        assert passed <= burst + now * per_second + 1e-6


def test_aws_s_rates_are_those_that_ec2_publishes():
    faults = Faults(Clock(), 0, real_time=lambda: 0.0)
    faults.add(*aws_rates())
    describes = [call("ec2", "DescribeInstances")] * 101
    assert sum(hits(faults, *describes)) == 1
    assert sum(hits(faults, *[call("ec2", "CreateImage")] * 52)) == 2
    assert not any(hits(faults, *[call("ec2", "StartInstances")] * 500))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({}, "expected a list of fault rules, found dict"),
        ([{}], "rule 1, kind: Field required"),
        ([{"kind": "throttle", "service": "systemsmanager"}], "no service is called 'systemsmanager'"),
        ([{"kind": "throttle", "service": "ssm", "operation": "SendComand"}], "ssm has no operation 'SendComand'"),
        ([{"kind": "delay"}], "seconds belongs to delay and timeout, and they need it: delay, 0.0 s"),
        ([{"kind": "drop", "seconds": 5}], "seconds belongs to delay and timeout"),
        ([{"kind": "drop", "p": 0}], "p: Input should be greater than 0 (found 0)"),
        ([{"kind": "drop", "times": 0}], "times: Input should be greater than or equal to 1"),
        ([{"kind": "drop", "account": "web"}], "account: String should match pattern"),
        ([{"kind": "throttle", "rate": {"per_second": 0}}], "rate.per_second: Input should be greater than 0"),
        ([{"kind": "throttle", "times": 1, "rate": {"per_second": 1}}], "the bucket decides which calls are hit"),
        ([{"kind": "drop", "colour": "red"}], "rule 1, colour: Extra inputs are not permitted"),
        ([{"kind": "drop"}, "drop"], "rule 2, as a whole: Input should be a valid dictionary"),
    ],
)
def test_a_rule_that_matches_nothing_or_contradicts_itself_is_refused(raw, said):
    with pytest.raises(FaultError) as caught:
        parse_rules(raw)
    assert said in str(caught.value)
