"""The lab as a pytest fixture: in-process, on a free port, strict, with a clock that only tests move.

    def test_…(lab):
        ssm = lab.client("ssm")
        lab.advance(hours=8)

One server serves a whole test session; each test finds it reset. A test fails when, on its way, an answer
broke AWS's model or the lab crashed. A module that wants nodes overrides the fixture `lab_fleet`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config

from lab import aws_models
from lab.clock import Clock
from lab.fleet import Fleet, load_fleet
from lab.server import LabServer
from lab.world import Lab, Location

ROLE = "sluice"

_SERVER = pytest.StashKey[LabServer]()


class LabHandle:
    """What a test sees of the lab."""

    def __init__(self, server: LabServer) -> None:
        self.server = server
        self._clients: list[Any] = []
        self._shared: dict[tuple[str, str | None, str | None], Any] = {}
        """Clients by service, account and Region: making one takes longer than most calls."""

    @property
    def world(self) -> Lab:
        """The lab itself: clock, repositories, settings, rules."""
        return self.server.lab

    @property
    def endpoint(self) -> str:
        """The URL for `endpoint_url`."""
        return self.server.endpoint

    def location(self, account: str | None = None, region: str | None = None) -> Location:
        """One account and Region, by default the first of the fleet."""
        lab = self.world
        return lab.location(account or lab.default_account, region or lab.default_region)

    def advance(self, **span: float) -> datetime:
        """Move the clock, e.g. `hours=8`; everything due happens before this returns. Answers the new time."""
        return self.world.clock.advance(timedelta(**span))

    def advance_to(self, when: datetime) -> datetime:
        """Move the clock to `when`, as `advance` does."""
        return self.world.clock.advance_to(when)

    def client(
        self, service: str, account: str | None = None, region: str | None = None, config: Config | None = None
    ) -> Any:
        """A boto3 client. With an `account` its credentials come from a real AssumeRole into that account.

        It does not retry unless `config` says so, so that tests see each error when it happens.
        """
        key = (service, account, region)
        if config is None and key in self._shared:
            return self._shared[key]
        once = Config(retries={"total_max_attempts": 1, "mode": "standard"})
        client = self.session(account, region).client(
            service, endpoint_url=self.endpoint, config=once.merge(config) if config else once
        )
        self._clients.append(client)
        if config is None:
            self._shared[key] = client
        return client

    def session(self, account: str | None = None, region: str | None = None) -> Any:
        """A boto3 session: a user of the fleet's first account, or the role `sluice` in `account`."""
        region = region or self.world.default_region
        user = _session("test", "test", None, region)
        if account is None:
            return user
        credentials = self.assume(user, account)
        return _session(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"], region)

    def assume(self, user: Any, account: str) -> dict[str, str]:
        """Credentials of the role `sluice` in `account`, which becomes part of the fleet if it is not yet."""
        self.location(account)
        sts = user.client("sts", endpoint_url=self.endpoint)
        try:
            answer = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/{ROLE}", RoleSessionName="test")
        finally:
            sts.close()
        credentials: dict[str, str] = answer["Credentials"]
        return credentials

    def take_problems(self) -> list[str]:
        """What the lab did wrong so far; a test that means it to looks here, and is then not failed for it."""
        problems = list(self.server.problems)
        self.server.problems.clear()
        return problems

    def close(self) -> None:
        """Close the clients' connections."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        self._shared.clear()


def _session(key: str, secret: str, token: str | None, region: str) -> Any:
    # A session on the shared loader: each of its own would read megabytes of models for every client.
    return boto3.Session(
        botocore_session=aws_models.session(),
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        region_name=region,
    )


@pytest.fixture(scope="session")
def lab_server(pytestconfig: pytest.Config) -> LabServer:
    """The session's server, one however many conftest files bring this fixture in; tests use `lab`."""
    if _SERVER not in pytestconfig.stash:
        server = LabServer(Lab(clock=Clock()), strict=True)
        server.start()
        pytestconfig.add_cleanup(server.stop)
        pytestconfig.stash[_SERVER] = server
    return pytestconfig.stash[_SERVER]


@pytest.fixture
def lab_fleet() -> Fleet | None:
    """The fleet that `lab` has, to be overridden where nodes are needed; None: the test makes accounts and nodes."""
    return None


@pytest.fixture
def lab(lab_server: LabServer, lab_fleet: Fleet | str | None) -> Iterator[LabHandle]:
    """A lab as it is at its start, in strict mode."""
    lab_server.fleet = load_fleet(lab_fleet) if isinstance(lab_fleet, str) else lab_fleet
    lab_server.reset()
    handle = LabHandle(lab_server)
    yield handle
    handle.close()
    problems = handle.take_problems()
    if problems:
        pytest.fail("the lab broke AWS's contract or crashed:\n" + "\n".join(problems), pytrace=False)
