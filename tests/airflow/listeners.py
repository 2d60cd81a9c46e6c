"""What stands in for Slack and for a mail server, on 127.0.0.1."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest


class Webhook(HTTPServer):
    """What Slack is to a webhook: it answers a POST."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.posts: list[tuple[str, Any]] = []


class _Post(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:  # http.server's name
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((self.path, json.loads(body)))
        self.send_response(200 if self.path.startswith("/services/T0") else 404)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Nothing."""


class Mail(socketserver.TCPServer):
    """As much of a mail server as takes a letter."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Letter)
        self.lines: list[str] = []

    @property
    def connection(self) -> dict[str, Any]:
        """Airflow's connection to it."""
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "sluice@example.com"}
        return {"conn_type": "smtp", "host": "127.0.0.1", "port": self.server_address[1], "extra": extra}


class _Letter(socketserver.StreamRequestHandler):
    server: Mail

    def handle(self) -> None:
        self._say("220 mail")
        in_letter = False
        for raw in self.rfile:
            line = raw.decode().rstrip("\r\n")
            self.server.lines.append(line)
            if in_letter:
                in_letter = line != "."
                if not in_letter:
                    self._say("250 taken")
            elif line.upper() == "DATA":
                in_letter = True
                self._say("354 go on")
            else:
                self._say("250 yes")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


def served(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def connection(monkeypatch: pytest.MonkeyPatch, name: str, **values: Any) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(values))
