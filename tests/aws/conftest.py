"""The lab for the tests of the adapters, and boto3's environment pointed at it."""

from __future__ import annotations

import pytest
from policies import FOUR

from lab.testing import LabHandle, lab, lab_fleet, lab_server

__all__ = ["aws_environment", "lab", "lab_fleet", "lab_server"]


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
def accounts(lab: LabHandle) -> None:
    """Roles can be assumed in accounts that the lab has."""
    for location in FOUR:
        lab.location(location["account"], location["region"])
