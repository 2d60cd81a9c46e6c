"""The lab's own API under `/lab/`: JSON in, JSON out, for rehearsals and tests. AWS has nothing like it.

Every error is `{"error": "…"}` that says what was expected, what was found and what to do: 400 for a
request that makes no sense, 404 for a page or node that does not exist, 405 for a method, 409 for what
the lab's state forbids. Browsers are kept out: requests with an Origin, or for another host, get 403.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError

from lab.errors import ClockError, LabError
from lab.faults import explain
from lab.httpd import Environ
from lab.wire_errors import Answer

log = logging.getLogger(__name__)

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
MAX_PAGE = 1000

M = TypeVar("M", bound=BaseModel)


class Refusal(LabError):
    """A request that the admin API refuses, with its HTTP status."""

    def __init__(self, status: int, message: str, allow: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.allow = allow


@dataclass(frozen=True, slots=True)
class Request:
    """One admin request: `query` by name, `body` as parsed from JSON (None without one)."""

    query: Mapping[str, str]
    body: Any

    def known(self, *names: str) -> None:
        """Raise Refusal for a query parameter that the page does not have."""
        if unknown := sorted(set(self.query) - set(names)):
            raise Refusal(400, f"unknown query parameters {unknown}; expected some of {list(names)}")

    def fields(self, *names: str) -> dict[str, Any]:
        """The body as an object with some of these fields. Raises Refusal otherwise."""
        if not isinstance(self.body, dict):
            raise Refusal(400, f"expected a JSON object with some of {list(names)}, found {json.dumps(self.body)}")
        if unknown := sorted(set(self.body) - set(names)):
            raise Refusal(400, f"unknown fields {unknown}; expected some of {list(names)}")
        return self.body

    def number(self, name: str, default: int) -> int:
        """A whole number of the query, at least 0. Raises Refusal otherwise."""
        text = self.query.get(name, str(default))
        if not text.isdecimal():
            raise Refusal(400, f"{name}: expected a whole number of 0 or more, found {text!r}")
        return int(text)

    def page(self) -> tuple[int, int]:
        """`limit` and `offset` of the query. Raises Refusal for a limit out of range."""
        limit = self.number("limit", 100)
        if not 1 <= limit <= MAX_PAGE:
            raise Refusal(400, f"limit: expected 1 to {MAX_PAGE}, found {limit}")
        return limit, self.number("offset", 0)

    def checked(self, model: type[M]) -> M:
        """The body as `model`. Raises Refusal with everything that is wrong with it."""
        return checked(model, self.body)


def checked(model: type[M], raw: Any) -> M:
    """`raw` as `model`. Raises Refusal with everything that is wrong with it."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise Refusal(400, "; ".join(explain(error))) from error


Page = Callable[[Request], Any]


@dataclass(frozen=True, slots=True)
class Route:
    """One page and method: what it does, and what does it."""

    about: str
    page: Page


class Admin:
    """Finds the page of a request and answers for it, under the lab's lock. `routes` is by path, then method."""

    def __init__(
        self,
        routes: Mapping[str, Mapping[str, Route]],
        lock: AbstractContextManager[Any],
        on_crash: Callable[[str, Exception], None],
    ) -> None:
        self._lock = lock
        self._routes = {"/lab/": {"GET": Route("this list", self._listed)}, **routes}
        self._on_crash = on_crash

    def answer(self, environ: Environ) -> Answer:
        """The page's answer, or the error that says why there is none."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        try:
            _guard(environ)
            route = self._find(method, path)
            request = Request(dict(parse_qsl(environ.get("QUERY_STRING", ""))), _body(environ))
            with self._lock:
                found = route.page(request)
        except Refusal as refusal:
            return _json(refusal.status, {"error": str(refusal)}, refusal.allow)
        except ClockError as error:
            return _json(409, {"error": str(error)})
        except LabError as error:
            return _json(400, {"error": str(error)})
        except Exception as error:  # a crash of an event or page must reach the caller as JSON
            log.exception("incident: %s %s crashed", method, path)
            self._on_crash(f"{method} {path}", error)
            return _json(500, {"error": f"the lab crashed: {error!r}; its log has the details"})
        return _json(200, found)

    def _find(self, method: str, path: str) -> Route:
        methods = self._routes.get(path) or self._routes.get(path.rstrip("/")) or self._routes.get(f"{path}/")
        if methods is None:
            raise Refusal(404, f"there is no page {path}; expected one of {sorted(self._routes)}")
        if method not in methods:
            allow = ", ".join(methods)
            raise Refusal(405, f"{path} does not take {method}; expected one of {allow}", allow)
        return methods[method]

    def _listed(self, request: Request) -> Any:
        request.known()
        return {
            "pages": [
                {"method": method, "path": path, "about": route.about}
                for path, methods in self._routes.items()
                for method, route in methods.items()
            ]
        }


def _guard(environ: Environ) -> None:
    host = environ.get("HTTP_HOST", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name not in LOOPBACK:
        raise Refusal(403, f"the admin API answers on {', '.join(LOOPBACK)} only, the request is for host {host!r}")
    if "HTTP_ORIGIN" in environ:
        raise Refusal(403, "the admin API does not answer browsers: the request has an Origin header")


def _body(environ: Environ) -> Any:
    body: bytes = environ["lab.body"]
    if not body.strip():
        return None
    try:
        return json.loads(body)
    except ValueError as error:
        raise Refusal(400, f"expected a body of JSON, found {body[:80]!r} ({error})") from error


def _json(status: int, value: Any, allow: str = "") -> Answer:
    headers = (("Content-Type", "application/json"), *((("Allow", allow),) if allow else ()))
    return Answer(status, headers, json.dumps(value).encode() + b"\n")
