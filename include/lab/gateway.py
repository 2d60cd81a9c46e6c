"""One request's way through the lab: faults, moto with the lab's parts, typed errors, contract, record.

Requests run one at a time under the clock's lock, because moto is not safe for threads and nothing may
be seen half done; waiting (a delay, a timeout) happens outside it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

from werkzeug.test import run_wsgi_app

from lab import outputs
from lab.accounts import AccessKeys
from lab.calls import Call, CallRecord, body_of, identify
from lab.contract import Contract
from lab.fault_errors import error_for, internal_error
from lab.faults import FaultRule, Faults, Verdict
from lab.httpd import Environ
from lab.substrate import Substrate, misread
from lab.wire_errors import Answer, AwsError, error_answer
from lab.world import Lab

log = logging.getLogger(__name__)

REFUSING = {"throttle", "server_error", "unavailable", "access_denied", "expired_token"}
SILENT = {"timeout", "drop"}

UNSUPPORTED = "LabUnsupportedOperation"
UNSUPPORTED_STATUS = 400
"""Not 501, which fits better: AWS answers operations that it does not know with 400 (UnknownOperationException,
InvalidAction), no SDK retries a 400, and what treats every 5xx as a passing failure would wait in vain."""


class Gateway:
    """Answers AWS calls, and moto's own pages."""

    def __init__(self, lab: Lab, strict: bool, on_moto_reset: Callable[[], None]) -> None:
        self.lab = lab
        self.keys = AccessKeys(lab)
        self.faults = Faults(lab.clock, lab.seed)
        self.record = CallRecord()
        self.problems: list[str] = []
        """Contract violations and crashes, kept in strict mode only: each must fail the test it happened in."""
        self._over = threading.Event()
        """Set when the lab is reset or stopped: a request that waits then waits no longer, and leaves no trace."""
        self._contract = Contract() if strict else None
        self._on_moto_reset = on_moto_reset
        self._moto = Substrate()

    def answer(self, environ: Environ) -> Answer | None:
        """The response, None to drop the connection."""
        if environ["PATH_INFO"].startswith("/moto-api") and _foreign(environ):
            return Answer(403, (("Content-Type", "text/plain"),), b"moto's API is not for other sites\n")
        over = self._over
        with self.lab.clock.lock:
            self.lab.clock.run_due()
            call, unknown = self._identify(environ)
            verdict = self.faults.draw(call) if call.service else Verdict()
        if _waits(verdict) and over.wait(_waits(verdict)):
            return None
        answer = error_answer(call.protocol, call.service, unknown) if unknown else self._meet(call, verdict.fault)
        with self.lab.clock.lock:
            if not over.is_set():
                self._note(call, verdict, answer)
        return answer

    def end_waiting(self) -> None:
        """Drop the connections of requests that wait in a delay or timeout."""
        self._over.set()
        self._over = threading.Event()

    def reset(self) -> None:
        """Forget keys, faults, record, problems, and the requests that are under way."""
        self.end_waiting()
        self.keys.clear()
        self.faults.clear()
        self.record.clear()
        self.problems.clear()

    def _note(self, call: Call, verdict: Verdict, answer: Answer | None) -> None:
        if answer is not None and self._contract and verdict.fault is None:
            self.problems += self._contract.violations(call, answer)
        kind = verdict.fault.kind if verdict.fault else "delay" if verdict.delay else None
        self.record.add(call, self.lab.clock.now(), answer.status if answer else None, kind)

    def _identify(self, environ: Environ) -> tuple[Call, AwsError | None]:
        backend = problem = None
        try:
            backend = self._moto.backend(environ)
        except NotImplementedError:
            problem = AwsError(UNSUPPORTED, f"{_LISTED} does not name the service asked for.", UNSUPPORTED_STATUS)
        return identify(environ, backend, self.keys, self.lab.default_region), problem

    def _meet(self, call: Call, fault: FaultRule | None) -> Answer | None:
        if fault is None:
            return self._run(call)
        if fault.kind in REFUSING:
            with self.lab.clock.lock:
                return error_answer(call.protocol, call.service, error_for(fault.kind, call))
        if fault.kind in SILENT:
            return None
        answer = self._run(call)
        if fault.kind == "lost_reply":
            return None
        return Answer(answer.status, answer.headers, answer.body[: fault.keep])

    def _run(self, call: Call) -> Answer:
        with self.lab.clock.lock:
            self.lab.clock.run_due()
            try:
                if call.protocol in TEXT and "HTTP_CONTENT_ENCODING" not in call.environ and not _is_text(call):
                    raise _garbled(call)
                if misread(call.service, call.operation):
                    raise NotImplementedError("moto takes it for another operation")
                if call.service == "s3":
                    outputs.materialise(self.lab.unwritten, call.environ)
                answer = self._ask_moto(call.environ)
            except AwsError as error:
                answer = error_answer(call.protocol, call.service, error)
            except NotImplementedError as error:
                answer = error_answer(call.protocol, call.service, _unsupported(call, error))
            except UnicodeDecodeError as error:
                problem = self._crashed(call, error) if _is_text(call) else _garbled(call)
                answer = error_answer(call.protocol, call.service, problem)
            except Exception as error:  # whatever moto trips over must reach the client as AWS's typed error
                answer = error_answer(call.protocol, call.service, self._crashed(call, error))
            return self._checked(call, answer)

    def _ask_moto(self, environ: Environ) -> Answer:
        body, status, headers = run_wsgi_app(self._moto, environ)
        if environ["PATH_INFO"] == "/moto-api/reset" and environ["REQUEST_METHOD"] == "POST":
            self._on_moto_reset()
        return Answer(int(status[:3]), tuple(headers.items()), b"".join(body))

    def _checked(self, call: Call, answer: Answer) -> Answer:
        """moto's answer; a page of HTML where an API was asked is a failure of moto, said in the API's words."""
        if call.protocol == "rest-xml" and call.model and call.model.output_shape is None and answer.status < 300:
            # moto says "True" where AWS says nothing (PutBucketPolicy).
            answer = replace(answer, body=b"")
        html = (answer.header("Content-Type") or "").startswith("text/html")
        unrouted = answer.status == 404 and not answer.body and not call.operation
        if not call.service or not (unrouted or (html and answer.body[:9].lower() == b"<!doctype")):
            return answer if answer.header("x-amzn-RequestId") else _with_request_id(answer)
        if answer.status >= 500:
            return error_answer(call.protocol, call.service, self._crashed(call, None))
        return error_answer(call.protocol, call.service, _unsupported(call, None))

    def _crashed(self, call: Call, error: Exception | None) -> AwsError:
        log.error("incident: %s in %s %s crashed", call.name, call.account, call.region, exc_info=error)
        if self._contract:
            self.problems.append(f"{call.name} crashed: {error!r}")
        return internal_error(call)


def _waits(verdict: Verdict) -> float:
    """Real seconds until something happens to the request."""
    return verdict.delay + (verdict.fault.seconds if verdict.fault else 0.0)


_LISTED = "The lab's list of services and operations (docs/lab.md)"


def _unsupported(call: Call, error: Exception | None) -> AwsError:
    why = f" ({error})" if error and str(error) else ""
    return AwsError(
        UNSUPPORTED, f"The lab does not implement {call.name}{why}. {_LISTED} is complete.", UNSUPPORTED_STATUS
    )


TEXT = ("json", "query", "ec2")
"""Protocols whose bodies are UTF-8 throughout, unless compressed; the others carry payloads of any kind."""

GARBLED = {"query": "MalformedQueryString", "ec2": "MalformedQueryString"}
"""What the older protocols call a body that cannot be read; `SerializationException` in the others but Amazon S3."""


def _garbled(call: Call) -> AwsError:
    code = "MalformedXML" if call.service == "s3" else GARBLED.get(call.protocol, "SerializationException")
    return AwsError(code, "The body of the request is not UTF-8.")


def _is_text(call: Call) -> bool:
    """Whether the body is UTF-8."""
    try:
        body_of(call.environ).decode()
    except UnicodeDecodeError:
        return False
    return True


def _with_request_id(answer: Answer) -> Answer:
    return replace(answer, headers=(*answer.headers, ("x-amzn-RequestId", str(uuid4()))))


def _foreign(environ: dict[str, Any]) -> bool:
    """Whether a browser sends this from another site's page."""
    origin = environ.get("HTTP_ORIGIN")
    return origin is not None and origin != f"http://{environ.get('HTTP_HOST', '')}"
