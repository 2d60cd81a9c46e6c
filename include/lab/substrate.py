"""moto as the lab runs it: which service a request is for, and what of moto's core the lab replaces.

Every replacement is listed in `prepare` and guarded by tests/lab/test_moto_canaries_core.py, because
moto calls none of these an interface.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import moto.backend_index
import moto.backends
import moto.core.errors
import moto.core.responses
import moto.iam.models
import moto.sqs.models
import moto.sts.models
import moto.sts.urls
from moto.core.base_backend import BackendDict
from moto.core.responses import BaseResponse
from moto.core.utils import method_names_from_class
from moto.events.utils import EventTemplateParser
from moto.moto_api._internal import mock_random
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server import werkzeug_app
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from lab import moto_time
from lab.accounts import AccessKeys, LabTokenResponse, session_id
from lab.calls import credential_of, scope_of
from lab.clock import Clock
from lab.swaps import Swaps
from lab.world import Lab

POLL_SECONDS = 0.05
"""How often a waiting ReceiveMessage looks again, in real seconds."""


MISREAD = (
    "*BucketAnalyticsConfiguration*", "*IntelligentTieringConfiguration*", "*BucketMetadata*", "*BucketMetrics*",
    "*BucketAbac", "*BucketRequestPayment", "*Annotation*", "DeleteBucketInventoryConfiguration", "GetObjectTorrent",
    "ListDirectoryBuckets", "CreateSession", "RenameObject", "UpdateObjectEncryption", "WriteGetObjectResponse",
)  # fmt: skip
"""Operations of S3 that moto takes for others, e.g. for the listing of a bucket, and answers as those."""


class Substrate(DomainDispatcherApplication):
    """moto's dispatcher: one Flask application a service, made when the service is first called."""

    def __init__(self) -> None:
        super().__init__(_create)

    def get_backend_for_host(self, host: str | None) -> Any:
        """moto's package for a host name, None for a service that moto does not have."""
        return _backend(host)

    def infer_service_region_host(self, environ: dict[str, Any], path: str) -> str | None:
        """The host that a request is meant for; moto overlooks the credential of a presigned URL."""
        credential = credential_of(environ)
        if credential and not environ.get("HTTP_AUTHORIZATION"):
            environ = {**environ, "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential={credential}"}
        return super().infer_service_region_host(environ, path)

    def backend(self, environ: dict[str, Any]) -> str | None:
        """The moto package that a request is for. Raises NotImplementedError for a service that moto does not have."""
        return str(self.get_application(environ).service)  # type: ignore[attr-defined]  # moto hangs the name on its Flask application


def misread(service: str, operation: str) -> bool:
    """Whether moto would answer this operation as if it were another one."""
    return service == "s3" and any(fnmatchcase(operation, pattern) for pattern in MISREAD)


def _create(service: Any) -> Any:
    if service is None:
        raise NotImplementedError("the service is not part of the lab")
    return create_backend_app(service)


@cache
def _backend(host: str | None) -> str | None:
    # moto's own lookup lists its directory of services at each request, which takes half of a request's time.
    if host in (None, "moto_api") or host in set(moto.backends.list_of_moto_modules()):
        return host
    url = f"http://{host}"
    return next((name for name, pattern in moto.backend_index.backend_url_patterns if pattern.match(url)), None)


def prepare(lab: Lab, keys: AccessKeys, swaps: Swaps) -> None:
    """Put the lab's parts in moto's place, each through `swaps`."""
    os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    moto_time.follow(lab.clock, swaps)
    swaps.put(moto.iam.models, "get_account_id_from", keys.account_of)
    swaps.put(BaseResponse, "get_region_from_url", _region)
    swaps.put(moto.core.responses, "method_names_from_class", cache(_method_names))
    # moto warns of error codes that are not in the model; lab.contract fails the test instead.
    swaps.put(moto.core.errors, "warn", lambda *args, **kwargs: None)
    # A browser has no business here: no cross-origin headers.
    swaps.put(werkzeug_app, "DISABLE_GLOBAL_CORS", value=True)
    swaps.put(moto.sts.models.AssumedRole, "user_id", property(session_id))
    # moto's default template of an event forgets the account, which a listener to many accounts needs.
    with_account = EventTemplateParser.DEFAULT_EVENT_INPUT_TEMPLATE.replace(
        '"region"', '"account": "<account>", "region"'
    )
    swaps.put(EventTemplateParser, "DEFAULT_EVENT_INPUT_TEMPLATE", with_account)
    swaps.put(moto.sqs.models.SQSBackend, "receive_message", _receiver(lab.clock))
    moto.sts.urls.url_paths["{0}/$"] = LabTokenResponse.dispatch


def forget(seed: int) -> None:
    """moto as it is at its start, with its ids drawn from `seed`."""
    in_use = list(BackendDict._instances)  # type: ignore[misc]  # moto keeps the list on its generic class
    moto_api_backend.reset()
    for backends in in_use:
        # The reset of one service may have made another's backend anew, behind moto's back.
        backends.clear()
    mock_random.seed(seed)


def _method_names(response: type) -> frozenset[str]:
    return frozenset(method_names_from_class(response))


def _region(response: BaseResponse, request: Any, full_url: str) -> str:
    """The Region that the request was signed for; moto would believe the User-Agent first."""
    scope = scope_of(request.environ)
    return (scope and scope[1]) or response.default_region


def _receiver(clock: Clock) -> Callable[..., Any]:
    original = moto.sqs.models.SQSBackend.receive_message
    turn = threading.Condition(clock.lock)  # waiting on it lets go of the lock; nobody notifies

    def receive_message(
        self: moto.sqs.models.SQSBackend, queue_name: str, count: int, wait_seconds_timeout: int, *args: Any, **kw: Any
    ) -> Any:
        """Long polling waits real seconds and lets other requests go on; moto would hold the lab for lab seconds."""
        until = time.monotonic() + wait_seconds_timeout
        while True:
            found = original(self, queue_name, count, 0, *args, **kw)
            if found or time.monotonic() >= until:
                return found
            with turn:
                turn.wait(POLL_SECONDS)

    return receive_message
