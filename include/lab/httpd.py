"""HTTP/1.1 with kept connections for an application that answers whole responses from memory.

werkzeug's own server closes every connection; SDKs keep theirs, and a lab that makes them reconnect is
several times slower. A request's body is read whole before the application sees it, an answer is
written in one piece (no delayed-acknowledgement pause), and an application may answer None: then the
connection is dropped without a word.
"""

from __future__ import annotations

import logging
import socket
import socketserver
import threading
from collections.abc import Callable
from io import BytesIO
from typing import IO, Any, cast

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import DechunkedInput

from lab.wire_errors import Answer

log = logging.getLogger(__name__)

Environ = dict[str, Any]
Application = Callable[[Environ], Answer | None]

NO_BODY = {204, 304}
OWN_HEADERS = {"date", "connection", "content-length", "transfer-encoding"}
"""Written here, whatever the application says."""


class Handler(MotoRequestHandler):
    """One connection: reads requests and writes answers until the client or the server is done."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HTTPServer  # type: ignore[assignment]  # werkzeug's handler expects its own server class

    def run_wsgi(self) -> None:
        """Answer one request (every method ends here)."""
        try:
            body = self._read_body()
        except (ValueError, OSError):
            self.send_error(400, "the request's body does not match its headers")
            self.close_connection = True
            return
        environ = self.make_environ()
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body)), "lab.body": body}
        answer = self.server.application(environ)
        if answer is None:
            self.close_connection = True
            return
        self._write(answer)

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return DechunkedInput(cast(IO[bytes], self.rfile)).read()
        size = int(self.headers.get("Content-Length") or 0)
        if size < 0:
            raise ValueError("negative Content-Length")
        body = self.rfile.read(size)
        if len(body) < size:
            raise ValueError("the connection ended within the body")
        return body

    def _write(self, answer: Answer) -> None:
        reason = self.responses.get(answer.status, ("",))[0]
        lines = [f"HTTP/1.1 {answer.status} {reason}", f"Date: {self.server.date()}"]
        lines += [f"{name}: {value}" for name, value in answer.headers if name.lower() not in OWN_HEADERS]
        without_body = self.command == "HEAD" or answer.status in NO_BODY
        if answer.status not in NO_BODY:
            announced = answer.header("Content-Length") if self.command == "HEAD" else None
            lines.append(f"Content-Length: {announced or len(answer.body)}")
        if self.close_connection:
            lines.append("Connection: close")
        head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
        self.wfile.write(head if without_body else head + answer.body)

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The lab's time, also for the few errors that the base class answers on its own."""
        return self.server.date()

    def log(self, type: str, message: str, *args: Any) -> None:
        """Requests are not logged; malformed ones are, for debugging."""
        log.debug(message, *args)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: `/lab/calls` has the record."""


class HTTPServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Listens, on the loopback interface unless told otherwise; one thread a connection."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 256
    # What werkzeug's handler reads when it builds the environment:
    ssl_context = None
    multithread = True
    multiprocess = False
    _server_version = "lab"

    def __init__(self, port: int, application: Application, date: Callable[[], str], host: str = "127.0.0.1") -> None:
        self.application = application
        self.date = date
        self._connections: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__((host, port), Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, so that `close_connections` finds it."""
        with self._guard:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection that is done."""
        with self._guard:
            self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """End every connection that is still open."""
        with self._guard:
            connections = list(self._connections)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the client was faster

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection's thread failed, which the application's own errors cannot cause."""
        log.exception("connection from %s failed", client_address)  # noqa: LOG004  # socketserver calls this while it handles one
