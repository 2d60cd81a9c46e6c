"""The lab as a server: one process, one port, the loopback interface unless told otherwise.

    with LabServer(Lab(), fleet=load_fleet("demo")) as server:
        boto3.client("ssm", endpoint_url=server.endpoint, region_name="eu-west-3", …)

moto keeps its state in module-wide dictionaries, so one server runs in a process at a time.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Self
from wsgiref.handlers import format_date_time

import moto.ssm.urls

from lab import admin_fleet, admin_journal, admin_pages, admin_repositories, substrate, world
from lab.admin import Admin
from lab.calls import CallRecord
from lab.errors import LabError
from lab.faults import Faults
from lab.gateway import Gateway
from lab.httpd import Environ, HTTPServer
from lab.swaps import Swaps
from lab.wire_errors import Answer
from lab.world import Lab

if TYPE_CHECKING:
    from lab.fleet import Fleet

STOP_POLL_SECONDS = 0.05
"""How often the listening thread looks whether it is to stop."""


class LabServer:
    """Serves one lab. `strict` holds every answer against AWS's model and keeps what is wrong in `problems`.

    `port` 0 takes any free one. With a `fleet`, start and reset seed it; without, the lab is empty. `host` is where it
    listens: another address than the loopback's is for a container, as the lab asks nobody who they are.
    """

    def __init__(
        self,
        lab: Lab,
        port: int = 0,
        *,
        strict: bool = False,
        fleet: Fleet | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.lab = lab
        self.fleet = fleet
        self._port = port
        self._host = host
        self._start = lab.clock.now()
        self._settings = replace(lab.settings)
        self._swaps = Swaps()
        self._gateway = Gateway(lab, strict=strict, on_moto_reset=self._forget_lab)
        self._admin = Admin(
            {
                **admin_pages.routes(lab, self.faults, self.calls, self.reset),
                **admin_fleet.routes(lab),
                **admin_journal.routes(lab),
                **admin_repositories.routes(lab),
            },
            lock=lab.clock.lock,
            on_crash=lambda page, error: self.problems.append(f"{page} crashed: {error!r}"),
        )
        lab.clock.on_crash = lambda error: self.problems.append(f"an event crashed: {error!r} {error.__notes__}")
        self._http: HTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def faults(self) -> Faults:
        """The fault rules in force."""
        return self._gateway.faults

    @property
    def calls(self) -> CallRecord:
        """The record of what was called."""
        return self._gateway.record

    @property
    def problems(self) -> list[str]:
        """Violations of AWS's model and crashes of the lab since the last reset."""
        return self._gateway.problems

    @property
    def endpoint(self) -> str:
        """Where the lab listens, e.g. `http://127.0.0.1:5999`. Raises LabError before `start`."""
        if self._http is None:
            raise LabError("the lab does not run: call start() first, or use it in a with statement")
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> Self:
        """Seed the fleet, listen and let the clock run.

        Raises LabError when the port is taken or a lab runs already.
        """
        if world.is_running():
            raise LabError("a lab runs in this process already: stop it first, moto's state is process-wide")
        try:
            self._http = HTTPServer(self._port, self._answer, self._date, self._host)
        except OSError as error:
            raise LabError(
                f"cannot listen on {self._host}:{self._port}: {error.strerror}; choose another port, or 0 for any free"
                " one"
            ) from error
        world.install(self.lab)
        substrate.prepare(self.lab, self._gateway.keys, self._swaps)
        install_services()
        try:
            self._begin()
        except BaseException:
            self.stop()
            raise
        self._thread = threading.Thread(target=self._http.serve_forever, name="lab-http", args=(STOP_POLL_SECONDS,))
        self._thread.start()
        self.lab.clock.start()
        return self

    def stop(self) -> None:
        """Stop listening, end open connections and give moto its own clock back. Twice is as good as once."""
        if self._http is None:
            return
        self._gateway.end_waiting()
        self.lab.clock.stop()
        if self._thread is not None:
            self._http.shutdown()
            self._thread.join()
            self._thread = None
        self._http.close_connections()
        self._http.server_close()
        self._http = None
        with self.lab.clock.lock:
            self._forget_lab()
            substrate.forget(self.lab.seed)
            self._swaps.restore()
            world.install(None)

    def reset(self) -> None:
        """Back to the seeded fleet, the start time, the first settings; no faults, no record, no pending events."""
        with self.lab.clock.lock:
            self.lab.settings = replace(self._settings)
            self._begin()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _begin(self) -> None:
        with self.lab.clock.lock:
            self._gateway.reset()
            self.lab.reset()
            self.lab.clock.reset(self._start)
            substrate.forget(self.lab.seed)
            if self.fleet is not None:
                from lab.seeding import seed

                seed(self.lab, self.fleet)
                self.faults.add(*self.fleet.faults)

    def _forget_lab(self) -> None:
        """What of the lab does not hang on moto's state, and must go when that goes."""
        self.lab.clock.clear()
        self._gateway.keys.clear()
        self.lab.unwritten.clear()

    def _answer(self, environ: Environ) -> Answer | None:
        if environ["PATH_INFO"].startswith("/lab/") or environ["PATH_INFO"] == "/lab":
            return self._admin.answer(environ)
        return self._gateway.answer(environ)

    def _date(self) -> str:
        return format_date_time(self.lab.clock.now().timestamp())


def install_services() -> None:
    """Put the lab's services in moto's place."""
    from lab import ec2, iam, machines
    from lab.ssm.response import LabSSMResponse

    ec2.install()
    iam.install()
    machines.install()
    moto.ssm.urls.url_paths["{0}/$"] = LabSSMResponse.dispatch
