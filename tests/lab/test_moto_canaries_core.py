"""What the lab replaces in moto's core, and what it relies on there: moto calls none of it an interface.

When moto is bumped and one of these fails, `lab/substrate.py` or `lab/moto_time.py` must follow.
"""

import inspect
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import moto
import moto.core.errors
import moto.core.responses
import moto.core.utils
import moto.iam.models
import moto.sqs.models
import moto.sts.models
import pytest
from moto.core.responses import BaseResponse
from moto.iam.responses import IamResponse
from moto.moto_api import state_manager
from moto.moto_api._internal.managed_state_model import ManagedState
from moto.moto_server import werkzeug_app
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from lab import moto_time, substrate
from lab.accounts import AccessKeys, LabTokenResponse
from lab.clock import START, Clock
from lab.swaps import Swaps
from lab.testing import LabHandle
from lab.world import Lab

LATER = timedelta(days=7)
HERE = {"LocationConstraint": "eu-west-3"}


def close(found: datetime, expected: datetime) -> bool:
    return abs(found - expected) < timedelta(seconds=1)


def test_the_lab_was_written_for_this_moto():
    assert moto.__version__ == "5.2.5"


def test_moto_reads_the_time_only_where_the_lab_replaces_it():
    reads = re.compile(r"\b(?:datetime\.)?datetime\.(?:now|utcnow|today)\(|\btime\.time\(\)|\bdate\.today\(")
    services = (
        "core", "ec2", "ssm", "s3", "sqs", "sns", "sts", "iam", "events", "cloudwatch", "secretsmanager", "config",
        "kms", "logs", "scheduler", "organizations", "moto_api",
    )  # fmt: skip
    root = Path(moto.__file__).parent
    found = {}
    for service in services:
        for file in sorted((root / service).rglob("*.py")):
            if count := len(reads.findall(file.read_text(encoding="utf-8"))):
                found[file.relative_to(root).as_posix()] = count
    assert found == {
        "core/utils.py": 2,
        "s3/models.py": 2,
        "cloudwatch/models.py": 1,
        "secretsmanager/models.py": 7,
        "moto_api/_internal/managed_state_model.py": 3,
    }


def test_moto_s_now_is_the_lab_s_while_it_runs_and_the_machine_s_after(lab):
    assert moto.core.utils.utcnow() == START.replace(tzinfo=None)
    lab.advance(hours=1)
    assert moto.core.utils.utcnow() == (START + timedelta(hours=1)).replace(tzinfo=None)
    assert moto.core.utils.unix_time() == (START + timedelta(hours=1)).timestamp()
    assert moto.core.utils.utcfromtimestamp(0) == datetime(1970, 1, 1)  # noqa: DTZ001  # naive is what moto returns


def test_swaps_put_everything_back():
    before = moto.core.utils.datetime, moto.sts.models.utcnow
    swaps = Swaps()
    moto_time.follow(Clock(START + LATER), swaps)
    assert close(moto.core.utils.utcnow().replace(tzinfo=UTC), START + LATER)
    swaps.restore()
    assert (moto.core.utils.datetime, moto.sts.models.utcnow) == before


def test_ec2_follows_the_lab_s_time(lab):
    lab.advance(days=7)
    ec2 = lab.client("ec2")
    volume = ec2.create_volume(AvailabilityZone="eu-west-3a", Size=1)
    assert volume["CreateTime"] == START + LATER
    snapshot = ec2.create_snapshot(VolumeId=volume["VolumeId"])
    assert snapshot["StartTime"] == START + LATER


def test_systems_manager_parameters_follow_the_lab_s_time(lab):
    ssm = lab.client("ssm")
    lab.advance(days=7)
    ssm.put_parameter(Name="/a", Value="1", Type="String")
    assert ssm.get_parameter(Name="/a")["Parameter"]["LastModifiedDate"] == START + LATER


def test_s3_follows_the_lab_s_time(lab):
    s3 = lab.client("s3")
    lab.advance(days=7)
    s3.create_bucket(Bucket="timed", CreateBucketConfiguration=HERE)
    s3.put_object(Bucket="timed", Key="k", Body=b"x")
    assert s3.list_buckets()["Buckets"][0]["CreationDate"] == START + LATER
    assert s3.head_object(Bucket="timed", Key="k")["LastModified"] == START + LATER


def test_an_object_s_lock_ends_in_the_lab_s_time(lab):
    s3 = lab.client("s3")
    s3.create_bucket(Bucket="locked", CreateBucketConfiguration=HERE, ObjectLockEnabledForBucket=True)
    until = START + LATER
    version = s3.put_object(
        Bucket="locked", Key="k", Body=b"x", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until
    )["VersionId"]
    with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
        s3.delete_object(Bucket="locked", Key="k", VersionId=version)
    lab.advance(days=8)
    s3.delete_object(Bucket="locked", Key="k", VersionId=version)


def test_iam_follows_the_lab_s_time(lab):
    lab.advance(days=7)
    user = lab.client("iam").create_user(UserName="someone")["User"]
    assert user["CreateDate"] == START + LATER


def test_metrics_and_dashboards_follow_the_lab_s_time(lab):
    lab.advance(days=7)
    cloudwatch = lab.client("cloudwatch")
    cloudwatch.put_metric_data(Namespace="lab", MetricData=[{"MetricName": "m", "Value": 1.0}])
    found = cloudwatch.get_metric_statistics(
        Namespace="lab",
        MetricName="m",
        StartTime=START + LATER - timedelta(minutes=5),
        EndTime=START + LATER + timedelta(minutes=5),
        Period=60,
        Statistics=["Sum"],
    )
    assert [point["Sum"] for point in found["Datapoints"]] == [1.0]
    cloudwatch.put_dashboard(DashboardName="d", DashboardBody="{}")
    dashboard = cloudwatch.list_dashboards()["DashboardEntries"][0]
    assert close(dashboard["LastModified"], START + LATER)


def test_secrets_follow_the_lab_s_time(lab):
    lab.advance(days=7)
    secrets = lab.client("secretsmanager")
    secrets.create_secret(Name="s", SecretString="x")
    assert secrets.get_secret_value(SecretId="s")["CreatedDate"] == START + LATER


def test_queues_follow_the_lab_s_time(lab):
    lab.advance(days=7)
    sqs = lab.client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    [message] = sqs.receive_message(QueueUrl=url, MessageSystemAttributeNames=["SentTimestamp"])["Messages"]
    assert int(message["Attributes"]["SentTimestamp"]) == (START + LATER).timestamp() * 1000


def test_events_follow_the_lab_s_time(lab):
    lab.advance(days=7)
    sqs, events = lab.client("sqs"), lab.client("events")
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="r", EventPattern='{"source": ["lab"]}')
    events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": arn}])
    events.put_events(Entries=[{"Source": "lab", "DetailType": "t", "Detail": "{}"}])
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    assert '"time": "2025-06-09T00:00:00' in message["Body"].replace('":"', '": "')


def test_moto_s_state_transitions_follow_the_lab_s_time(lab):
    state_manager.set_transition("lab::thing", {"progression": "time", "seconds": 60})
    thing = ManagedState("lab::thing", [("made", "ready")])
    assert thing.status == "made"
    lab.advance(seconds=61)
    assert thing.status == "ready"
    state_manager.unset_transition("lab::thing")


def test_security_tokens_keep_the_machine_s_time(lab):
    lab.advance(days=7)
    now = datetime.now(UTC)  # noqa: TID251  # what is compared
    assert close(moto.sts.models.utcnow().replace(tzinfo=UTC), now)


def test_accounts_are_looked_up_at_the_call_through_moto_s_iam():
    source = inspect.getsource(BaseResponse.get_current_account)
    assert "from moto.iam.models import get_account_id_from" in source
    assert list(inspect.signature(moto.iam.models.get_account_id_from).parameters) == ["access_key"]


def test_a_key_that_was_deleted_is_nobody_s(lab):
    keys = AccessKeys(lab.world)
    iam = lab.client("iam", account="222222222222")
    iam.create_user(UserName="someone")
    key = iam.create_access_key(UserName="someone")["AccessKey"]["AccessKeyId"]
    assert keys.account_of(key) == "222222222222"
    iam.delete_access_key(UserName="someone", AccessKeyId=key)
    assert keys.account_of(key) == "111111111111"


def test_the_region_comes_through_one_method_of_moto_s_response():
    assert "self.get_region_from_url(request, full_url)" in inspect.getsource(BaseResponse.setup_class)


def test_method_names_are_asked_for_at_each_dispatch(lab):
    assert "method_names_from_class(self.__class__)" in inspect.getsource(BaseResponse.call_action)
    names = moto.core.responses.method_names_from_class(LabTokenResponse)
    assert names is moto.core.responses.method_names_from_class(LabTokenResponse)
    assert {"assume_role", "get_caller_identity", "get_session_token"} <= set(names)


def test_moto_warns_of_undeclared_codes_through_a_name_that_can_be_replaced():
    assert inspect.isroutine(moto.core.errors.warn)


def test_moto_s_applications_allow_other_origins_unless_told_not_to():
    assert "if not DISABLE_GLOBAL_CORS:" in inspect.getsource(create_backend_app)
    assert hasattr(werkzeug_app, "DISABLE_GLOBAL_CORS")


def test_hosts_lead_to_the_same_services_as_moto_s_own_lookup():
    stock = DomainDispatcherApplication(create_backend_app)
    names = (
        "ssm", "ec2", "s3", "sts", "sns", "sqs", "iam", "events", "monitoring", "secretsmanager", "config", "kms",
        "logs", "scheduler", "organizations", "lambda", "states", "tagging", "autoscaling", "dynamodb",
    )  # fmt: skip
    hosts = [f"{name}.eu-west-3.amazonaws.com" for name in names]
    hosts += ["moto_api", "s3control", "instance_metadata", "dynamodb", "sesv2", None]
    for host in hosts:
        assert substrate.Substrate().get_backend_for_host(host) == stock.get_backend_for_host(host), host


def test_waiting_for_messages_is_the_backend_s_and_takes_these_arguments():
    names = ["self", "queue_name", "count", "wait_seconds_timeout", "visibility_timeout", "message_attribute_names"]
    # While a lab runs the lab's own stands there, which passes everything else on.
    found = moto.sqs.models.SQSBackend.receive_message
    original = inspect.getclosurevars(found).nonlocals.get("original", found)
    assert list(inspect.signature(original).parameters) == names


def test_moto_routes_the_services_that_the_lab_replaces_by_these_paths():
    root = Path(moto.__file__).parent
    for service in ("iam", "sts", "ssm"):
        assert '"{0}/$": ' in (root / service / "urls.py").read_text(encoding="utf-8")


def test_the_policy_simulator_is_the_lab_s_alone_over_what_moto_keeps_of_principals(lab):
    assert not hasattr(IamResponse, "simulate_principal_policy")
    assert IamResponse().automated_parameter_parsing
    lab.client("iam").create_user(UserName="someone")
    lab.client("iam").create_role(RoleName="some", AssumeRolePolicyDocument="{}")
    backend = moto.iam.models.iam_backends["111111111111"]["aws"]
    (role,) = backend.get_roles()
    assert (role.policies, role.managed_policies, role.permissions_boundary_arn) == ({}, {}, None)
    user = backend.users["someone"]
    assert (user.policies, user.managed_policies, backend.get_groups_for_user("someone")) == ({}, {}, [])
    assert not hasattr(IamResponse, "put_user_permissions_boundary")
    assert not hasattr(user, "permissions_boundary_arn")


def test_moto_s_reset_forgets_every_account(lab: LabHandle):
    lab.location("222222222222")
    substrate.forget(0)
    assert list(lab.world.locations()) == []
    assert dict(moto.iam.models.iam_backends) == {}


def test_ids_are_drawn_from_moto_s_one_random():
    substrate.forget(5)
    first = substrate.mock_random.get_random_hex(16)
    substrate.forget(5)
    assert substrate.mock_random.get_random_hex(16) == first


def test_operations_that_moto_misreads_are_operations_of_s3():
    from fnmatch import fnmatchcase

    from lab.aws_models import service_model

    names = service_model("s3").operation_names
    for pattern in substrate.MISREAD:
        assert any(fnmatchcase(name, pattern) for name in names), pattern
    for used in ("ListObjectsV2", "PutObject", "GetObject", "GetBucketInventoryConfiguration", "GetBucketLocation"):
        assert not substrate.misread("s3", used)


def test_a_lab_can_be_made_without_moto_being_touched():
    before = moto.core.utils.datetime
    Lab()
    assert moto.core.utils.datetime is before
