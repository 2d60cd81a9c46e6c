"""AWS's errors on the wire: code and message in the format of each protocol, so that SDKs raise them typed.

Formats: https://smithy.io/2.0/aws/protocols/ (awsJson, restJson, awsQuery, ec2Query, restXml); Amazon S3
writes a bare `<Error>` where other XML services wrap it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import uuid4
from xml.sax.saxutils import escape


class AwsError(Exception):
    """An AWS error that any service of the lab may raise; the gateway answers it in the caller's protocol."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response, whole."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """A header's value, whatever the case of its name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


def error_answer(protocol: str, service: str, error: AwsError) -> Answer:
    """`error` as `protocol` (botocore's name, e.g. `json`, `query`, `ec2`, `rest-xml`) writes it."""
    request_id = str(uuid4())
    if protocol in ("query", "ec2", "rest-xml"):
        body = _xml(protocol, service, error, request_id).encode()
        headers: tuple[tuple[str, str], ...] = (("Content-Type", "text/xml"), ("x-amz-request-id", request_id))
        return Answer(error.status, headers, body)
    kind = "application/json" if protocol == "rest-json" else "application/x-amz-json-1.1"
    headers = (("Content-Type", kind), ("x-amzn-RequestId", request_id), ("x-amzn-ErrorType", error.code))
    return Answer(error.status, headers, json.dumps({"__type": error.code, "message": error.message}).encode())


def _xml(protocol: str, service: str, error: AwsError, request_id: str) -> str:
    code, message = escape(error.code), escape(error.message)
    start = '<?xml version="1.0" encoding="UTF-8"?>\n'
    if service == "s3":
        inner = f"<Code>{code}</Code><Message>{message}</Message><RequestId>{request_id}</RequestId>"
        return f"{start}<Error>{inner}<HostId>lab</HostId></Error>"
    if protocol == "ec2":
        inner = f"<Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
        return f"{start}<Response>{inner}<RequestID>{request_id}</RequestID></Response>"
    fault = "Sender" if error.status < 500 else "Receiver"
    inner = f"<Error><Type>{fault}</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    return f"{start}<ErrorResponse>{inner}<RequestId>{request_id}</RequestId></ErrorResponse>"
