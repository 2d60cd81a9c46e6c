"""The lab with the small fleet of the release flow, and boto3's environment pointed at it."""

from __future__ import annotations

from pathlib import Path

import pytest
from flow_world import FLEET, prepare, small
from in_process import answer_in_process

from lab.testing import LabHandle, lab, lab_server
from sluice.core.policy.policy import Policy

__all__ = ["lab", "lab_fleet", "lab_server", "policy"]


@pytest.fixture
def lab_fleet() -> str:
    return str(FLEET)


@pytest.fixture
def aws_environment(lab: LabHandle, monkeypatch: pytest.MonkeyPatch) -> LabHandle:
    """The lab is what boto3 finds by its own configuration: the product has no test mode."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_ENDPOINT_URL", lab.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", lab.world.default_region)
    return lab


@pytest.fixture
def policy(aws_environment: LabHandle, tmp_path: Path) -> Policy:
    """The small policy, applied."""
    found = small(tmp_path / "evidence")
    prepare(aws_environment, found)
    return found


@pytest.fixture
def in_process(lab: LabHandle, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lab answers in this process: a release makes hundreds of calls."""
    answer_in_process(lab, monkeypatch)
