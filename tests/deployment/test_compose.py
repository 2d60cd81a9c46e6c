"""docker-compose.yaml without an engine: it is valid, and everything that it names is there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import compose_file as compose
import pytest
from compose_file import ROOT, MissingVariable

from lab.testing import LabHandle, lab, lab_fleet, lab_server

__all__ = ["lab", "lab_fleet", "lab_server"]

SECRETS = (
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
    "AIRFLOW_JWT_SECRET",
    "AIRFLOW_SECRET_KEY",
    "AIRFLOW_FERNET_KEY",
    "AIRFLOW_ADMIN_PASSWORD",
)
FILLED = dict.fromkeys(SECRETS, "filled")
FOREIGN = ("postgres", "redis")
"""Services of images that are not ours."""
OURS = sorted(set(compose.services()) - set(FOREIGN))
SHORT_LIVED = ("airflow-init", "cli")


def locked(package: str) -> str:
    found = re.search(rf"^{re.escape(package)}==(\S+)", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def test_the_file_is_as_the_compose_specification_says() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(compose.FILE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_every_variable_stands_in_the_example_and_nothing_else_does() -> None:
    assert set(compose.mentioned()) == set(compose.example())


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_has_no_default_and_its_lack_is_said(name: str) -> None:
    assert {kind for kind, _ in compose.mentioned()[name]} == {"?"}
    assert compose.example()[name] == ("", True)
    with pytest.raises(MissingVariable, match=rf"{name}: set it in .env, as .env.example says"):
        compose.read({**FILLED, name: ""})


def test_no_other_variable_and_no_value_looks_like_a_secret() -> None:
    names = re.compile(r"PASSWORD|SECRET|TOKEN|KEY")
    assert {name for name in compose.mentioned() if names.search(name)} - set(SECRETS) == {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    }
    for service in compose.services().values():
        for name, value in (service.get("environment") or {}).items():
            if names.search(name) and value is not None:
                assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", str(value)), name


@pytest.mark.parametrize("name", sorted(set(compose.example()) - set(SECRETS)))
def test_what_the_example_sets_is_the_default(name: str) -> None:
    value, is_set = compose.example()[name]
    defaults = {text for kind, text in compose.mentioned()[name] if kind == "-"}
    assert len(defaults) <= 1
    if is_set and defaults:
        assert {value} == defaults


def test_every_path_that_is_mounted_or_built_from_is_there() -> None:
    for service in compose.services().values():
        for volume in service.get("volumes") or ():
            source = volume.split(":")[0]
            assert (ROOT / source).is_dir() if source.startswith(".") else source in compose.raw()["volumes"]
    assert (ROOT / "Dockerfile").is_file()
    assert {one.get("build") for one in compose.services().values()} == {None, "."}


@pytest.mark.parametrize("name", ["SLUICE_POLICY", "AWS_CONFIG_FILE"])
def test_a_path_in_a_variable_is_there_inside_the_container(name: str) -> None:
    texts = {compose.example()[name][0], *(text for kind, text in compose.mentioned()[name] if kind == "-")}
    shown = re.findall(rf"^#?{name}=(\S+)", compose.EXAMPLE.read_text("utf-8"), re.MULTILINE)
    for text in texts | set(shown):
        assert text.startswith("/opt/airflow/include/")
        assert (ROOT / text.removeprefix("/opt/airflow/")).exists(), text


@pytest.mark.parametrize("name", OURS)
def test_every_service_of_ours_has_include_on_its_path_and_may_change_none_of_it(name: str) -> None:
    service = compose.services()[name]
    assert service["environment"]["PYTHONPATH"] == "/opt/airflow/include"
    for folder in ("dags", "plugins", "include"):
        assert f"./{folder}:/opt/airflow/{folder}:ro" in service["volumes"]


@pytest.mark.parametrize("name", OURS)
def test_no_service_of_ours_is_root_or_may_become_it(name: str) -> None:
    service = compose.services()[name]
    assert compose.read(FILLED)["services"][name]["user"] == "50000:0"
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service


def test_every_port_is_on_the_loopback_interface() -> None:
    ports = [port for one in compose.read(FILLED)["services"].values() for port in one.get("ports") or ()]
    assert ports == ["127.0.0.1:8080:8080", "127.0.0.1:5999:5999"]


@pytest.mark.parametrize("name", sorted(set(compose.services()) - set(SHORT_LIVED)))
def test_what_keeps_running_is_looked_after_and_limited(name: str) -> None:
    service = compose.services()[name]
    assert service["healthcheck"]["test"]
    assert service["restart"] == "always"
    assert service["mem_limit"]


def test_what_a_service_waits_for_can_come_about() -> None:
    services = compose.services()
    for service in services.values():
        for name, wanted in (service.get("depends_on") or {}).items():
            assert name in services
            assert not services[name].get("profiles"), "what is in a profile is not always there"
            if wanted["condition"] == "service_healthy":
                assert services[name]["healthcheck"]
            else:
                assert (wanted["condition"], services[name]["restart"]) == ("service_completed_successfully", "no")


def test_the_image_is_of_the_airflow_and_the_python_that_are_locked() -> None:
    version = locked("apache-airflow")
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert re.findall(r"^FROM (\S+)$", dockerfile, re.MULTILINE) == [f"apache/airflow:{version}-python3.11"]
    assert {compose.services()[name]["image"] for name in OURS} == {f"sluice-airflow:{version}"}


def test_the_image_takes_what_is_locked_by_its_hashes_and_nothing_of_the_tree_besides() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert re.findall(r"^(?:COPY|ADD) (.*)$", dockerfile, re.MULTILINE) == [
        "requirements.txt /opt/airflow/requirements.txt"
    ]
    assert "--require-hashes --no-deps" in dockerfile
    assert not re.search(r"^USER ", dockerfile, re.MULTILINE), "the image's user is Airflow's, never root"
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert [line for line in ignored if not line.startswith("#")] == ["*", "!requirements.txt"]


ASK_AIRFLOW = """
import json, sys
from airflow.cli import cli_parser
from airflow.configuration import conf

names, commands = json.load(sys.stdin)
known = conf.configuration_description
parser = cli_parser.get_parser()
print(json.dumps({
    "unknown": [name for name in names if name.split("__")[2].lower() not in
                known.get(name.split("__")[1].lower(), {}).get("options", {})],
    "commands": [parser.parse_args(one).func.__name__ for one in commands],
}))
"""


def test_every_setting_and_every_command_is_one_that_airflow_has(tmp_path: Path) -> None:
    services = compose.read(FILLED)["services"]
    settings = {name for one in services.values() for name in (one.get("environment") or {})}
    names = sorted(name for name in settings if name.startswith("AIRFLOW__"))
    commands = [services[name]["command"].split() for name in OURS if isinstance(services[name]["command"], str)]
    done = subprocess.run(
        [sys.executable, "-c", ASK_AIRFLOW],
        input=json.dumps([names, commands]),
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        },
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["unknown"] == []
    assert len(found["commands"]) == 5


def test_the_commands_of_the_project_are_ones_that_it_has() -> None:
    from lab.__main__ import _parser as lab_parser
    from sluice.__main__ import parser

    services = compose.read(FILLED)["services"]
    serve = services["lab"]["entrypoint"] + services["lab"]["command"]
    assert serve[:3] == ["python", "-m", "lab"]
    options = lab_parser().parse_args(serve[3:])
    assert (options.host, options.port, options.clock) == ("0.0.0.0", 5999, 60.0)  # noqa: S104  # a container's own network
    assert services["cli"]["command"][:3] == ["python", "-m", "sluice"]
    with pytest.raises(SystemExit, match="0"):
        parser().parse_args(services["cli"]["command"][3:])


def test_only_what_is_set_outside_reaches_the_containers_of_awss_variables() -> None:
    service = compose.services()["airflow-worker"]
    assert [name for name in compose.environment(service, FILLED) if name.startswith("AWS_")] == []
    variables = {**FILLED, "AWS_ENDPOINT_URL": "http://lab:5999"}
    assert compose.environment(service, variables)["AWS_ENDPOINT_URL"] == "http://lab:5999"


def test_a_lab_that_is_known_by_name_serves_buckets_by_path(lab: LabHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    config = ROOT / compose.example()["AWS_CONFIG_FILE"][0].removeprefix("/opt/airflow/")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    port = lab.endpoint.rpartition(":")[2]
    session = boto3.Session(aws_access_key_id="lab", aws_secret_access_key="lab", region_name="eu-west-3")
    s3: Any = session.client("s3", endpoint_url=f"http://localhost:{port}")
    s3.create_bucket(Bucket="one", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    s3.put_object(Bucket="one", Key="two/three", Body=b"four")
    assert s3.get_object(Bucket="one", Key="two/three")["Body"].read() == b"four"
    urls: list[str] = []
    s3.meta.events.register("before-send.s3", lambda request, **_: urls.append(request.url))
    s3.head_object(Bucket="one", Key="two/three")
    assert urls == [f"http://localhost:{port}/one/two/three"]
    s3.close()
