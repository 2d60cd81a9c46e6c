"""An Airflow of the tests' own: home and database in a temporary folder, set before anything imports airflow."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pytest
from dag_runs import read_dags

from lab.testing import LabHandle, lab, lab_fleet, lab_server

__all__ = ["airflow_home", "aws_environment", "dag_bag", "lab", "lab_fleet", "lab_server"]

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(tempfile.mkdtemp(prefix="sluice-airflow-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

os.environ.update(
    {
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(HOME / "logs"),
    }
)


@pytest.fixture(scope="session")
def airflow_home() -> Path:
    """Airflow's home with a database in it."""
    from airflow.utils.db import initdb

    with warnings.catch_warnings(action="ignore"):  # what its migrations warn of is Airflow's own business
        initdb()
    return HOME


@pytest.fixture
def dag_bag(airflow_home: Path) -> Any:
    """The project's DAGs as Airflow's processor reads them."""
    return read_dags()


@pytest.fixture
def aws_environment(lab: LabHandle, monkeypatch: pytest.MonkeyPatch) -> LabHandle:
    """The lab is what boto3 finds by its own configuration: there is no Airflow connection, and no test mode."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_ENDPOINT_URL", lab.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", lab.world.default_region)
    return lab
