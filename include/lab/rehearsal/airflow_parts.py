"""An Airflow of one's own on this machine: what `airflow standalone` runs, on the loopback interface alone.

`standalone` itself is not used (docs/adr/0041-parts-of-standalone.md): it orphans its children, and its log servers
listen on every interface. Its four parts are started here with the same commands.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from lab.errors import LabError
from lab.rehearsal.ground import PRODUCT, ROOT
from lab.rehearsal.processes import Processes

USERS = {"requester": "op", "approver": "op", "viewer": "viewer", "admin": "admin"}
"""Users and their roles. Who asks cannot approve, so there are two."""
PARTS = ("scheduler", "dag-processor", "api-server", "triggerer")
HEALTHY_SECONDS = 180.0
TASKS_AT_ONCE = 4

PRELOAD = """\
import sys
from pathlib import Path

if sys.argv[1:2] == ["scheduler"]:
    from lab.rehearsal.preload import preload

    preload([Path({product!r})])
"""
"""Airflow's own place for what its processes read first. Tasks are forks of the scheduler's workers: what is imported
there is imported once, and not for each of them."""


def airflow_settings(home: Path, port: int) -> dict[str, str]:
    """Airflow's own settings: DAGs and plugins of this project, SQLite, few workers, a quick scheduler."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(TASKS_AT_ONCE),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in USERS.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        # The calendar is the rehearsal's: nothing starts by the machine's clock.
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def free_port() -> int:
    """A port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class AirflowParts:
    """Airflow's parts as processes. `environment` is what its tasks find: AWS and the policy."""

    home: Path
    environment: Mapping[str, str]
    processes: Processes
    port: int = field(default_factory=free_port)
    passwords: Mapping[str, str] = field(default_factory=lambda: {name: secrets.token_urlsafe(9) for name in USERS})
    settings: Mapping[str, str] = field(default_factory=dict)
    """More of Airflow's settings, over those that it begins with."""

    def __post_init__(self) -> None:
        own = {name: value for name, value in self.environment.items() if not name.startswith("AIRFLOW")}
        self._environment = {**own, **airflow_settings(self.home, self.port), **self.settings}

    @property
    def address(self) -> str:
        """Where its UI and API are."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Make its database and start every part; returns when all of them are healthy."""
        self.home.mkdir(parents=True, exist_ok=True)
        passwords = self.home / "passwords.json"
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps(dict(self.passwords)), "utf-8")
        config = self.home / "config"
        config.mkdir(exist_ok=True)
        (config / "airflow_local_settings.py").write_text(PRELOAD.format(product=str(PRODUCT)), "utf-8")
        self._migrate()
        self.start_parts(*PARTS)
        self.wait_until_healthy()

    def start_parts(self, *names: str) -> None:
        """Start these parts."""
        for name in names:
            command = [sys.executable, "-m", "airflow", name]
            command += ["--skip-serve-logs"] if name in ("scheduler", "triggerer") else []
            command += ["--host", "127.0.0.1", "--port", str(self.port)] if name == "api-server" else []
            self.processes.start(name, command, self._environment, self.home / "parts" / f"{name}.log", self.home)

    def stop_parts(self, *names: str) -> None:
        """Stop these parts, or all of them, with everything that they started."""
        self.processes.stop(*(names or PARTS))

    def wait_until_healthy(self) -> None:
        """Return when every part says that it is well. Raises LabError where one ends or does not come."""
        patience = time.monotonic() + HEALTHY_SECONDS
        found: Mapping[str, str] = {}
        while time.monotonic() < patience:
            if ended := {name: code for name, code in self.processes.ended().items() if name in PARTS}:
                raise LabError(f"Airflow's {self._ended(ended)}")
            found = self._health()
            if found and all(state == "healthy" for state in found.values()):
                return
            time.sleep(0.25)
        raise LabError(f"Airflow was not healthy within {HEALTHY_SECONDS:.0f} s: {dict(found)}; logs in {self.home}")

    def _health(self) -> Mapping[str, str]:
        try:
            answer = httpx.get(f"{self.address}/api/v2/monitor/health", trust_env=False, timeout=10)
        except httpx.HTTPError:
            return {}
        parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
        return {part: str((answer.json().get(part) or {}).get("status")) for part in parts}

    def _ended(self, ended: Mapping[str, int]) -> str:
        name, code = next(iter(ended.items()))
        log = self.home / "parts" / f"{name}.log"
        last = log.read_text("utf-8", "replace").splitlines()[-15:]
        return f"{name} ended with {code}; the end of {log}:\n" + "\n".join(last)

    def _migrate(self) -> None:
        command = [sys.executable, "-m", "airflow", "db", "migrate"]
        done = subprocess.run(  # noqa: S603  # our own command, no shell
            command, env=self._environment, cwd=self.home, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise LabError(f"Airflow could not make its database:\n{(done.stdout + done.stderr)[-2000:]}")


def task_environment(aws: Mapping[str, str], policy_file: Path) -> dict[str, str]:
    """What tasks find: AWS, and which policy it is."""
    return {
        **aws,
        "SLUICE_POLICY": str(policy_file.resolve()),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
