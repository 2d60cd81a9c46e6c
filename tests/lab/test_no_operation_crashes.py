"""Whatever a request says, as long as it is one: the answer is AWS's, an error of the operation's own included."""

from __future__ import annotations

import json

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.core.utils import camelcase_to_underscores
from request_builder import BUCKET, CALENDAR, SCRIPT, Requests
from world_builder import add_target, add_task, add_window

from lab.ssm.base import operations
from lab.ssm.response import NOUNS
from lab.testing import LabHandle

CALLS = 3000
SEED = 1
CALLS_BETWEEN_MOVES = 25
MAKERS = ("Create", "Register", "Send", "Start", "Put")

OWN = sorted(
    name for name in operations() if any(camelcase_to_underscores(name) in noun.own_operations for noun in NOUNS)
)


@pytest.fixture
def lab_fleet() -> str:
    return "demo"


def prepare(lab: LabHandle, requests: Requests) -> None:
    """Make one of most things, so that requests can be about something."""
    lab.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    ssm = lab.client("ssm")
    calendar = {"DocumentType": "ChangeCalendar", "DocumentFormat": "TEXT"}
    ssm.create_document(Name="my-script", Content=json.dumps(SCRIPT))
    ssm.create_document(Name="my-calendar", Content=CALENDAR, **calendar)
    everyone = [{"Key": "tag:Patch Group", "Values": ["nonprod-linux"]}]
    requests.learn(ssm.create_association(Name="my-script", Targets=everyone))
    requests.learn(ssm.start_automation_execution(DocumentName="AWS-ResizeInstance"))
    window = add_window(lab, "rate(1 hour)", Duration=1, Cutoff=0)
    add_task(lab, window, [add_target(lab, window, group="nonprod-linux")])
    lab.advance(hours=1)


def test_no_request_crashes_an_operation_or_an_event_that_it_leads_to(lab: LabHandle) -> None:
    ssm = lab.client("ssm", config=Config(parameter_validation=False))
    requests = Requests(SEED, lab.location())
    prepare(lab, requests)
    makers = [name for name in OWN if name.startswith(MAKERS)]
    answered = set()
    for number in range(CALLS):
        name = requests.random.choice(makers if requests.random.random() < 0.4 else OWN)
        request = requests.request(operations()[name])
        try:
            requests.learn(ssm._make_api_call(name, request))
            answered.add(name)
        except ClientError as refusal:
            if refusal.response["ResponseMetadata"]["HTTPStatusCode"] != 400:
                pytest.fail(f"{name} {request}: {refusal}")
        assert not lab.server.problems, (name, request, lab.take_problems())
        if number % CALLS_BETWEEN_MOVES == 0:
            lab.advance(seconds=requests.random.choice([1, 60, 3600, 86400]))
    lab.client("s3").list_objects_v2(Bucket=BUCKET)
    assert len(answered) > len(OWN) * 0.85, sorted(set(OWN) - answered)
