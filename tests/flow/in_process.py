"""The lab answered in the caller's own process, without a socket: so a process that is forked takes its AWS with it."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.httpsession import URLLib3Session
from werkzeug.test import create_environ

from lab.testing import LabHandle


class _Raw(BytesIO):
    """A body as botocore reads it."""

    def stream(self, amount: int = 65536) -> Iterator[bytes]:
        while chunk := self.read(amount):
            yield chunk


def answer_in_process(lab: LabHandle, patch: pytest.MonkeyPatch) -> None:
    """Let every request to the lab's address be answered by a call."""
    address = urlsplit(lab.endpoint).netloc
    real = URLLib3Session.send

    def send(session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        if urlsplit(request.url).netloc != address:
            return real(session, request)
        return _answered(lab, request)

    patch.setattr(URLLib3Session, "send", send)


def _answered(lab: LabHandle, request: AWSPreparedRequest) -> AWSResponse:
    body = _body(request.body)
    answer = lab.server._answer(_environ(request, body))
    assert answer is not None, "the lab dropped a connection, which nobody has asked of it"
    headers = HeadersDict()
    for name, value in answer.headers:
        headers[name] = value
    headers["Date"] = lab.server._date()
    if "Content-Length" not in headers:
        headers["Content-Length"] = str(len(answer.body))
    raw: Any = _Raw(b"" if request.method == "HEAD" else answer.body)
    return AWSResponse(request.url, answer.status, headers, raw)


def _environ(request: AWSPreparedRequest, body: bytes) -> dict[str, Any]:
    url = urlsplit(request.url)
    given = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
    environ = create_environ(
        path=url.path or "/", base_url=f"{url.scheme}://{url.netloc}", query_string=url.query, method=request.method,
        headers=given, data=body,
    )  # fmt: skip
    content_type = given.get("Content-Type")
    environ.pop("CONTENT_TYPE", None)
    if content_type:
        environ["CONTENT_TYPE"] = content_type
    return {**environ, "lab.body": body, "wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}


def _body(given: Any) -> bytes:
    if given is None:
        return b""
    if isinstance(given, (bytes, bytearray)):
        return bytes(given)
    if isinstance(given, str):
        return given.encode()
    given.seek(0)
    return bytes(given.read())
