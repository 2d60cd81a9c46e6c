"""What docker-compose.yaml says, run without an engine: its commands and settings on Debian's Postgres and Redis."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import compose_file
import httpx
import pytest
import yaml
from compose_file import ROOT

from lab.testing import LabHandle, lab, lab_fleet, lab_server

__all__ = ["lab", "lab_fleet", "lab_server"]

pytestmark = pytest.mark.nightly

PATIENCE = 240.0
"""Seconds until everything is well, and until a run is over, on a small machine that has other things to do."""
PARTS = ("airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-worker", "airflow-triggerer")
POLICY = {
    "version": 1,
    "mode": "observe",
    "locations": [{"account": "111111111111", "region": "eu-west-3"}],
    "rings": [{"name": "nonprod"}],
    "baselines": [
        {
            "name": "amazon",
            "os": "AMAZON_LINUX_2023",
            "rules": [{"classification": "Security", "approve_after_days": 0}],
        }
    ],
    "patch_groups": [{"name": "web", "ring": "nonprod", "baselines": "amazon", "products": "AMAZON_LINUX_2023"}],
    "windows": [{"name": "scan-daily", "operation": "scan", "schedule": "cron(0 1 * * ? *)", "duration_hours": 2}],
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def postgres_program(name: str) -> str:
    found = [shutil.which(name), *sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")))]
    return next((path for path in reversed(found) if path), "")


@dataclass
class Stack:
    """The services of the file as processes of this machine, on free ports of the loopback interface."""

    home: Path
    postgres: Path
    lab: str
    ports: Mapping[str, int] = field(
        default_factory=lambda: {
            name: free_port() for name in ("postgres", "redis", "api", "scheduler", "logs", "more")
        }
    )
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [name for name, (_, is_set) in compose_file.example().items() if is_set]
        self.variables = {name: secrets.token_hex(24) for name in names}
        self.variables |= {"AIRFLOW_FERNET_KEY": _fernet_key(), "AIRFLOW_UID": "50000", "WORKER_CONCURRENCY": "2"}
        self.variables |= {"AIRFLOW_PORT": str(self.ports["api"]), "SLUICE_POLICY": str(self.home / "policy.yaml")}
        self.variables |= {"AWS_DEFAULT_REGION": "eu-west-3", "AWS_ENDPOINT_URL": self.lab}
        self.variables |= {"AWS_ACCESS_KEY_ID": "lab", "AWS_SECRET_ACCESS_KEY": "lab"}
        self.services = compose_file.read(self.variables)["services"]
        (self.home / "policy.yaml").write_text(yaml.safe_dump(POLICY), "utf-8")

    def here(self, text: str) -> str:
        """What a container calls by name or path, as this machine has it."""
        for name, meant in {
            "@postgres/": f"@127.0.0.1:{self.ports['postgres']}/",
            "@redis:6379": f"@127.0.0.1:{self.ports['redis']}",
            "http://airflow-apiserver:8080": f"http://127.0.0.1:{self.ports['api']}",
            "http://127.0.0.1:8080": f"http://127.0.0.1:{self.ports['api']}",
            ":8974/": f":{self.ports['scheduler']}/",
            "/opt/airflow/data": str(self.home / "data"),
            "/opt/airflow": str(ROOT),
        }.items():
            text = text.replace(name, meant)
        return text

    def environment(self, service: str) -> dict[str, str]:
        """The service's variables, and what its image has."""
        own = compose_file.environment(self.services[service], self.variables)
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TZ") if name in os.environ}
        return {
            **kept,
            "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
            "HOSTNAME": socket.gethostname(),
            "AIRFLOW_HOME": str(self.home / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.home / "logs"),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(self.ports["logs"]),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(self.ports["more"]),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(self.ports["scheduler"]),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.ports["api"]),
            "AWS_CONFIG_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1",
            **{name: self.here(value) for name, value in own.items()},
        }

    def start(self, service: str, command: list[str], user: str | None = None, **environment: str) -> None:
        with (self.home / f"{service}.log").open("wb") as log:
            self.running[service] = subprocess.Popen(
                command,
                env={**self.environment(service), **environment},
                cwd=self.postgres if user else self.home,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
            )

    def run(self, service: str, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=self.environment(service), cwd=self.home, capture_output=True, text=True, check=False
        )

    def is_well(self, service: str) -> bool:
        """What the service's health check says."""
        kind, *test = self.services[service]["healthcheck"]["test"]
        words = [self.here(word) for word in test]
        command = ["bash", "-c", words[0]] if kind == "CMD-SHELL" else words
        return self.run(service, command).returncode == 0

    def wait(self, what: str, done: Any) -> None:
        """Until it is so, and no service has ended."""
        patience = time.monotonic() + PATIENCE
        while not done():
            ended = [name for name, process in self.running.items() if process.poll() is not None]
            assert not ended, f"{ended} ended:\n{self.log(ended[0])}"
            assert time.monotonic() < patience, f"{what} after {PATIENCE:.0f} s; logs in {self.home}"
            time.sleep(1)

    def log(self, service: str) -> str:
        return (self.home / f"{service}.log").read_text("utf-8", "replace")[-3000:]

    def stop(self) -> None:
        for process in reversed(self.running.values()):
            _signal(process, signal.SIGTERM)
        for process in self.running.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)
                process.wait(20)
            _signal(process, signal.SIGKILL)  # what it left behind in its session


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _fernet_key() -> str:
    import base64

    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


@pytest.fixture
def stack(lab: LabHandle, tmp_path: Path) -> Iterator[Stack]:
    missing = [name for name in ("redis-server", "curl") if not shutil.which(name)]
    missing += [name for name in ("initdb", "postgres") if not postgres_program(name)]
    assert not missing, f"expected {', '.join(missing)}: apt-get install redis-server postgresql curl"
    with tempfile.TemporaryDirectory(prefix="sluice-postgres-") as postgres:
        found = Stack(tmp_path, Path(postgres), lab.endpoint)
        try:
            yield found
        finally:
            found.stop()


def start_postgres(stack: Stack) -> None:
    """As its image does: user and database from the service's variables. Postgres refuses to be root's."""
    wanted = stack.environment("postgres")
    user = "postgres" if os.geteuid() == 0 else None
    folder = stack.postgres  # not below pytest's folders, which are their user's alone
    password = folder / "password"
    password.write_text(wanted["POSTGRES_PASSWORD"], "utf-8")
    if user:
        for one in (folder, password):
            os.chown(one, pwd.getpwnam(user).pw_uid, 0)
    made = subprocess.run(
        [postgres_program("initdb"), "-D", str(folder / "data"), "-U", wanted["POSTGRES_USER"], "-A", "scram-sha-256",
         f"--pwfile={password}"],
        capture_output=True, text=True, check=False, user=user, cwd="/",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    port = str(stack.ports["postgres"])
    serve = ["-D", str(folder / "data"), "-p", port, "-k", str(folder), "-c", "listen_addresses=127.0.0.1"]
    stack.start("postgres", [postgres_program("postgres"), *serve], user)
    here = ["-h", "127.0.0.1", "-p", port, "-U", wanted["POSTGRES_USER"]]
    stack.wait("postgres is not ready", lambda: stack.run("postgres", ["pg_isready", *here]).returncode == 0)
    made = subprocess.run(
        [postgres_program("createdb"), *here, wanted["POSTGRES_DB"]],
        env={**os.environ, "PGPASSWORD": wanted["POSTGRES_PASSWORD"]}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr


def start_redis(stack: Stack) -> None:
    shell, option, script = stack.services["redis"]["command"]
    script = script.replace("save ", f"bind 127.0.0.1\nport {stack.ports['redis']}\nsave ")
    stack.start("redis", [shell, option, script])
    port = ["-p", str(stack.ports["redis"])]
    stack.wait("redis is not well", lambda: "PONG" in stack.run("redis", ["redis-cli", *port, "ping"]).stdout)
    open_to_all = {**os.environ, "REDISCLI_AUTH": ""}
    refused = subprocess.run(["redis-cli", *port, "ping"], env=open_to_all, capture_output=True, text=True, check=False)
    assert "NOAUTH" in refused.stdout
    arguments = Path(f"/proc/{stack.running['redis'].pid}/cmdline").read_text()
    assert stack.variables["REDIS_PASSWORD"] not in arguments


def test_the_services_come_up_and_a_dag_runs_through_celery_and_postgres(stack: Stack, lab: LabHandle) -> None:
    start_postgres(stack)
    start_redis(stack)
    for _ in range(2):  # a second start finds what the first has made
        made = stack.run("airflow-init", stack.services["airflow-init"]["command"])
        assert made.returncode == 0, made.stdout + made.stderr
    for name in PARTS:
        stack.start(name, ["airflow", *stack.services[name]["command"].split()])
        if name == PARTS[0]:
            stack.wait(f"{name} is not well", lambda: stack.is_well(PARTS[0]))
    for name in PARTS[1:]:
        stack.wait(f"{name} is not well", lambda name=name: stack.is_well(name))

    login = {"username": "admin", "password": stack.variables["AIRFLOW_ADMIN_PASSWORD"]}
    with httpx.Client(base_url=f"http://127.0.0.1:{stack.ports['api']}", trust_env=False, timeout=30) as api:
        assert api.post("/auth/token", json={**login, "password": "guessed"}).status_code == 401
        token = api.post("/auth/token", json=login).raise_for_status().json()["access_token"]
        api.headers["Authorization"] = f"Bearer {token}"
        dag = "/api/v2/dags/patch_policy"
        stack.wait("patch_policy is not there", lambda: api.get(dag).status_code == 200)
        api.patch(dag, json={"is_paused": False}).raise_for_status()
        run = {"dag_run_id": "smoke", "logical_date": None, "conf": {}}
        api.post(f"{dag}/dagRuns", json=run).raise_for_status()

        def state() -> str:
            return str(api.get(f"{dag}/dagRuns/smoke").raise_for_status().json()["state"])

        stack.wait("the run is not over", lambda: state() in ("success", "failed"))
        report = api.get(f"{dag}/dagRuns/smoke/taskInstances/report/xcomEntries/report")
        assert (state(), report.raise_for_status().json()["value"]) == ("success", report.json()["value"])
        assert "drift" in str(report.json()["value"])
    assert lab.server.calls.total(service="ssm", operation="DescribeMaintenanceWindows") >= 1
