"""From a target location to calls of AWS: credentials, endpoint, account, clock, retries.

    connections = Connections.of(policy)
    connection = connections.open(location, Duty.READER)
    connection.call("ssm", "GetMaintenanceWindow", WindowId=…)

A connection is one location as one duty. Its account has been asked of AWS before anything else is. It
lasts as long as its credentials, an hour where a role is assumed: open one for an act, not for a day.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session as BotocoreSession

from sluice import __version__
from sluice.aws.permissions import calls
from sluice.core.endpoint import check_endpoint
from sluice.core.errors import AnswerError, AWSError, DeniedError, LocationError
from sluice.core.policy.desired import partition_of
from sluice.core.policy.places import CALLER, Location, Roles
from sluice.core.policy.policy import Policy

CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 5},
    connect_timeout=10,
    read_timeout=30,
    max_pool_connections=20,
    user_agent_extra=f"sluice/{__version__}",
)
"""A throttled call is tried five times; a call that hangs for two minutes and a half gives its location up."""

DENIED = {
    "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnrecognizedClientException",
    "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "InvalidAccessKeyId", "SignatureDoesNotMatch",
    "AuthFailure", "OptInRequired",
}  # fmt: skip
"""Error codes that say who may do what, in the words of different services."""


READING = ("Describe", "Get", "List", "Head", "Simulate", "AssumeRole")
"""How the names of operations begin that change nothing, in the services that Sluice calls."""


class Duty(StrEnum):
    """What a connection is for. Each has a role of its own: a stolen one does no more than its duty."""

    READER = "reader"
    SCANNER = "scanner"
    NONPROD_INSTALLER = "nonprod_installer"
    PROD_INSTALLER = "prod_installer"
    IMAGE_DELETER = "image_deleter"
    HALTER = "halter"
    POLICY_APPLIER = "policy_applier"


class Clients:
    """The clients of one boto3 session, each made once: making one takes longer than most calls.

    Safe in threads, which a session's own `client` is not.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str], Any] = {}
        self._borrowed: Counter[tuple[str, str]] = Counter()

    def borrow(self, service: str, region: str) -> Any:
        """The client of a service in a Region ("": the session's own), until it is given back."""
        key = service, region
        with self._lock:
            if key not in self._made:
                self._made[key] = self._session.client(service, region_name=region or None, config=CONFIG)
            self._borrowed[key] += 1
            return self._made[key]

    def give_back(self, service: str, region: str) -> None:
        """Close what the client has open when nobody else has borrowed it."""
        key = service, region
        with self._lock:
            self._borrowed[key] -= 1
            if self._borrowed[key] == 0:
                self._made[key].close()


class Connection:
    """One location as one duty. Safe to use from several threads."""

    def __init__(
        self, clients: Clients, *, aws_only: bool, read_only: bool = False, account: str = "", region: str = ""
    ) -> None:
        self._lender = clients
        self._aws_only = aws_only
        self._read_only = read_only
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        self.account = account
        self.region = region
        self.arn = ""
        """Who the caller is."""

    @property
    def key(self) -> str:
        """`111111111111/eu-west-3`."""
        return f"{self.account}/{self.region}"

    @property
    def partition(self) -> str:
        """`aws`, `aws-cn` or `aws-us-gov`."""
        return partition_of(self.region)

    def endpoint(self) -> str:
        """Where calls of Systems Manager go, as boto3's own configuration decides."""
        return str(self._client("ssm").meta.endpoint_url)

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """One call, e.g. `call("ssm", "GetMaintenanceWindow", WindowId="mw-…")`.

        Raises DeniedError for what the caller may not do, AWSError for every other refusal or failure;
        `code` is AWS's own.
        """
        if self._read_only and not operation.startswith(READING):
            raise DeniedError(f"{self.key}: {service}:{operation} was not called: only reading is allowed", "ReadOnly")
        client = self._client(service)
        try:
            answer = client._make_api_call(operation, parameters)
        except ClientError as error:
            raise self._refused(service, operation, error) from error
        except BotoCoreError as error:
            raise AWSError(f"{self.key}: {service}:{operation}: {error}", code=type(error).__name__) from error
        return cast("dict[str, Any]", answer)

    def need(self, service: str, operation: str, *members: str, **parameters: Any) -> dict[str, Any]:
        """As `call`; raises AnswerError when a member is missing from the answer (see docs/adr/0015)."""
        answer = self.call(service, operation, **parameters)
        missing = [member for member in members if answer.get(member) is None]
        if missing:
            raise AnswerError(
                f"{self.key}: {service}:{operation} answered without {', '.join(missing)}: expected it in every"
                " answer; the answer was cut off or is not AWS's, so nothing was concluded from it. Try again."
            )
        return answer

    def pages(self, service: str, operation: str, member: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """The items of `member` over all pages of an operation that pages with NextToken."""
        token: str | None = None
        seen: set[str] = set()
        while True:
            more = {"NextToken": token} if token else {}
            answer = self.need(service, operation, member, **parameters, **more)
            yield from answer[member]
            token = answer.get("NextToken")
            if not token:
                return
            if token in seen:
                raise AnswerError(f"{self.key}: {service}:{operation} gave the same page twice; try again")
            seen.add(token)

    @calls("sts:GetCallerIdentity")
    def identify(self) -> None:
        """Ask AWS whose credentials these are; sets `account` and `arn`."""
        answer = self.need("sts", "GetCallerIdentity", "Account", "Arn")
        self.account, self.arn = str(answer["Account"]), str(answer["Arn"])

    @calls("sts:GetCallerIdentity")
    def now(self) -> datetime:
        """AWS's time, from the `Date` of a response asked for now; UTC, whole seconds (docs/adr/0008)."""
        answer = self.need("sts", "GetCallerIdentity", "Account")
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        if not date:
            raise AnswerError(f"{self.key}: sts:GetCallerIdentity answered without a Date header; try again")
        return parsedate_to_datetime(date).astimezone(UTC)

    def close(self) -> None:
        """Close the connections that are open."""
        with self._lock:
            for service in self._clients:
                self._lender.give_back(service, self.region)
            self._clients.clear()

    def _client(self, service: str) -> Any:
        with self._lock:
            if service not in self._clients:
                try:
                    client = self._lender.borrow(service, self.region)
                except (BotoCoreError, ValueError) as error:
                    raise LocationError(
                        f"{self.key}: no client for {service}: {error}. Set a Region and an endpoint that boto3 can"
                        " use (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL)."
                    ) from error
                if self._aws_only:
                    check_endpoint(service, str(client.meta.endpoint_url))
                self._clients[service] = client
            return self._clients[service]

    def _refused(self, service: str, operation: str, error: ClientError) -> AWSError:
        told: Mapping[str, Any] = error.response.get("Error", {})
        code, message = str(told.get("Code", "")), str(told.get("Message", ""))
        kind = DeniedError if code in DENIED else AWSError
        return kind(f"{self.key}: {service}:{operation}: {code}: {message}", code=code)


class Connections:
    """Opens connections to target locations as the policy's roles say."""

    def __init__(self, roles: Roles, *, aws_only: bool = False, read_only: bool = False, session: Any = None) -> None:
        self._roles = roles
        self._aws_only = aws_only
        self._read_only = read_only
        self._base = session or boto3.Session()
        self._own = Clients(self._base)
        self._lock = threading.Lock()

    @classmethod
    def of(cls, policy: Policy, session: Any = None, *, read_only: bool = False) -> Connections:
        """Connections for a policy; `session` is a boto3 session, by default boto3's own of the environment.

        With `read_only` every call that may change something is refused before it is made.
        """
        return cls(policy.roles, aws_only=policy.endpoint == "aws", read_only=read_only, session=session)

    @property
    def session(self) -> Any:
        """The caller's own boto3 session, before any role is assumed."""
        return self._base

    def own(self) -> Connection:
        """A connection of the caller's own, before any role is assumed, in the session's Region."""
        return self._connection(self._own, CALLER, self._base.region_name or "")

    def open(self, location: Location, duty: Duty) -> Connection:
        """A connection whose account AWS has confirmed.

        Raises LocationError where the credentials are another account's, DeniedError where the duty's role
        cannot be assumed, EndpointError for an endpoint that the policy refuses.
        """
        region = self._region(location)
        connection = self._connection(self._own, location.account, region)
        if self._roles.assume:
            connection = self._assumed(connection, location, duty)
        expected = connection.account if location.account == CALLER else location.account
        try:
            connection.identify()
        except AWSError:
            connection.close()
            raise
        if expected not in (CALLER, connection.account):
            found = connection.account
            connection.close()
            raise LocationError(
                f"{location.key}: expected credentials of account {expected}, found those of {found}: choose another"
                " AWS profile, or let Sluice assume a role there (`roles: {assume: true}`)"
            )
        return connection

    def _region(self, location: Location) -> str:
        region = self._base.region_name if location.region == CALLER else location.region
        if not region:
            raise LocationError(
                "the policy takes the caller's own Region and none is set: set AWS_REGION, or name the Region under"
                " `locations`"
            )
        return str(region)

    @calls(
        "sts:AssumeRole",
        resources="arn:{partition}:iam::{account}:role{role_path}{role}",
    )
    def _assumed(self, own: Connection, location: Location, duty: Duty) -> Connection:
        """The location as the duty's role."""
        try:
            if location.account == CALLER:
                own.identify()
            role = f"arn:{own.partition}:iam::{own.account}:role{self._roles.path}{getattr(self._roles, duty)}"
            external = {"ExternalId": self._roles.external_id} if self._roles.external_id else {}
            name = f"sluice-{duty}".replace("_", "-")
            answer = own.need("sts", "AssumeRole", "Credentials", RoleArn=role, RoleSessionName=name, **external)
        except DeniedError as error:
            raise DeniedError(
                f"{location.key}: the role of the {duty.replace('_', ' ')} cannot be assumed. Deploy it there"
                f" (include/cloudformation) and let this caller assume it. AWS says: {error}",
                code=error.code,
            ) from error
        finally:
            own.close()
        clients = Clients(self._session(answer["Credentials"]))
        return self._connection(clients, own.account, own.region)

    def _connection(self, clients: Clients, account: str, region: str) -> Connection:
        return Connection(clients, aws_only=self._aws_only, read_only=self._read_only, account=account, region=region)

    def _session(self, credentials: Mapping[str, Any]) -> Any:
        """A role's boto3 session on the shared models: reading them anew takes longer than most calls."""
        with self._lock:
            fresh = BotocoreSession(profile=self._base.profile_name if self._configured() else None)
            fresh.register_component("data_loader", self._base._session.get_component("data_loader"))
            return boto3.Session(
                botocore_session=fresh,
                aws_access_key_id=credentials["AccessKeyId"],
                aws_secret_access_key=credentials["SecretAccessKey"],
                aws_session_token=credentials["SessionToken"],
            )

    def _configured(self) -> bool:
        return self._base.profile_name in self._base.available_profiles
