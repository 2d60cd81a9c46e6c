"""What a request is (service, operation, account, Region, access key), and the record of what was called."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from io import BytesIO
from typing import Any, cast
from urllib.parse import unquote, unquote_plus

from botocore.model import OperationModel, ServiceModel
from moto.core.request import determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model, service_name_from_moto_package_name
from moto.moto_server.werkzeug_app import BackendRequest
from werkzeug.exceptions import NotFound

from lab.accounts import AccessKeys
from lab.aws_models import service_model, service_names
from lab.clock import stamp

LAST_CALLS = 1000
"""How many calls the record keeps one by one; the counts cover all."""

Environ = dict[str, Any]

_CREDENTIAL = re.compile(r"Credential=([^/,\s&]+/\d{8}/[^/]+/[^/]+/aws4_request)")
_OLD_SIGNATURE = re.compile(r"^AWS ([^:\s]+):")
_ACTION = re.compile(rb"(?:^|&)Action=([^&]+)")

READING = (
    "Describe", "Get", "List", "Head", "Search", "Lookup", "BatchGet", "Query", "Scan", "Select", "Simulate",
    "Validate", "Preview", "Estimate", "AssumeRole", "DecodeAuthorizationMessage", "FilterLogEvents",
)  # fmt: skip
"""Beginnings of the names of operations that change nothing; where the model says `readonly`, it decides."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as far as it can be told before it runs. Unknown parts are empty."""

    service: str
    """botocore's name of the service (`ssm`, `cloudwatch`); moto's own pages have none."""
    operation: str
    account: str
    region: str
    access_key: str
    protocol: str
    model: OperationModel | None
    mutating: bool
    environ: Environ

    @property
    def name(self) -> str:
        """As policies write it: `ssm:GetParameter`."""
        return f"{self.service}:{self.operation}"

    def text(self) -> str:
        """Path, query and body, decoded: what a fault rule's `contains` looks into."""
        query = unquote_plus(self.environ.get("QUERY_STRING", ""))
        body = body_of(self.environ).decode("utf-8", "replace")
        form = self.environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
        return f"{self.environ['PATH_INFO']}?{query}\n{unquote_plus(body) if form else body}"


def body_of(environ: Environ) -> bytes:
    """The request's body, which is in memory already; reading it again gives it again."""
    return cast(bytes, environ["lab.body"])


def credential_of(environ: Mapping[str, Any]) -> str:
    """The credential scope of a request's signature, in its header or in its (presigned) URL; empty unsigned."""
    found = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    found = found or _CREDENTIAL.search(unquote(environ.get("QUERY_STRING", "")))
    return found[1] if found else ""


def scope_of(environ: Mapping[str, Any]) -> tuple[str, str] | None:
    """Access key and Region that the request was signed with, None unsigned."""
    if credential := credential_of(environ):
        access_key, _, region, *_ = credential.split("/")
        return access_key, region
    old = _OLD_SIGNATURE.match(environ.get("HTTP_AUTHORIZATION", ""))
    return (old[1], "") if old else None


@cache
def botocore_service(backend: str) -> ServiceModel | None:
    """botocore's model of the service that moto's package implements, None for moto's own pages."""
    name = "lambda" if backend == "awslambda" else service_name_from_moto_package_name(backend)
    return service_model(name) if name in service_names() else None


def identify(environ: Environ, backend: str | None, keys: AccessKeys, default_region: str) -> Call:
    """What the request asks, of whom, as whom."""
    access_key, region = scope_of(environ) or ("", "")
    account = environ.get("HTTP_X_MOTO_ACCOUNT_ID") or keys.account_of(access_key)
    service = botocore_service(backend) if backend else _service_by_signature(environ)
    protocol = _protocol(environ, service) if service else _protocol_by_type(environ)
    if service is None:
        return Call(
            service="",
            operation="",
            account=account,
            region=region or default_region,
            access_key=access_key,
            protocol=protocol,
            model=None,
            mutating=False,
            environ=environ,
        )
    operation = _operation(environ, service, protocol)
    model = service.operation_model(operation) if operation in service.operation_names else None
    return Call(
        service=service.service_name,
        operation=operation,
        account=account,
        region=region or default_region,
        access_key=access_key,
        protocol=protocol,
        model=model,
        mutating=_mutating(operation, model),
        environ=environ,
    )


def _service_by_signature(environ: Environ) -> ServiceModel | None:
    """The service of a signature, for services that moto does not have; most are named as they sign."""
    name = credential_of(environ).split("/")[3:4]
    return service_model(name[0]) if name and name[0] in service_names() else None


def _operation(environ: Environ, service: ServiceModel, protocol: str) -> str:
    if protocol == "json":
        return str(environ.get("HTTP_X_AMZ_TARGET", "")).rpartition(".")[2]
    if protocol in ("query", "ec2"):
        found = _ACTION.search(environ.get("QUERY_STRING", "").encode()) or _ACTION.search(body_of(environ))
        return unquote_plus(found[1].decode("latin-1")) if found else ""
    try:
        request = BackendRequest({**environ, "wsgi.input": BytesIO(body_of(environ))})
        return str(get_service_router(service.service_name).match(request)[0].name)
    except (NotFound, NotImplementedError):
        return ""


def _protocol(environ: Environ, service: ServiceModel) -> str:
    try:
        model = get_service_model(service.service_name)
        return determine_request_protocol(model, environ.get("CONTENT_TYPE"))
    except NotImplementedError:
        return str(service.resolved_protocol)


def _protocol_by_type(environ: Environ) -> str:
    kind = environ.get("CONTENT_TYPE", "")
    if kind.startswith("application/x-www-form-urlencoded"):
        return "query"
    return "json" if "json" in kind or "HTTP_X_AMZ_TARGET" in environ else "rest-xml"


def _mutating(operation: str, model: OperationModel | None) -> bool:
    if model is not None and "readonly" in model._operation_model:
        return not model._operation_model["readonly"]
    return bool(operation) and not operation.startswith(READING)


_KEY = ("service", "operation", "account", "region", "mutating")


class CallRecord:
    """Counts calls by service, operation, account and Region, and keeps the last ones."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str, str, bool]] = Counter()
        self._last: deque[tuple[datetime, tuple[str, str, str, str, bool], int | None, str | None]]
        self._last = deque(maxlen=LAST_CALLS)

    def add(self, call: Call, when: datetime, status: int | None, fault: str | None) -> None:
        """Note one call of a service (moto's own pages are none).

        `status` is the HTTP status, None where the connection was dropped; `fault` the kind of the fault met.
        """
        if call.service:
            key = (call.service, call.operation, call.account, call.region, call.mutating)
            self._counts[key] += 1
            self._last.append((when, key, status, fault))

    def clear(self) -> None:
        """Begin counting anew."""
        self._counts.clear()
        self._last.clear()

    def counts(self, **wanted: Any) -> list[dict[str, Any]]:
        """The counts whose service, operation, account, region and mutating are as `wanted`."""
        rows = [{**dict(zip(_KEY, key, strict=True)), "count": n} for key, n in sorted(self._counts.items())]
        return [row for row in rows if all(row[name] == value for name, value in wanted.items())]

    def total(self, **wanted: Any) -> int:
        """How many calls there were of those that `counts` tells."""
        return sum(row["count"] for row in self.counts(**wanted))

    def last(self, at_most: int) -> list[dict[str, Any]]:
        """The last calls, oldest first."""
        return [
            {"when": stamp(when), **dict(zip(_KEY, key, strict=True)), "status": status, "fault": fault}
            for when, key, status, fault in list(self._last)[max(0, len(self._last) - at_most) :]
        ]
