"""Releases through Airflow's real task execution, against the lab: what runs, what is skipped, what is patched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flow_world import at
from release_world import FLEET, World, pacemaker, world_of

from lab.testing import LabHandle
from sluice_airflow.triggers import polling


@pytest.fixture
def lab_fleet() -> str:
    return str(FLEET)


@pytest.fixture
def world(
    airflow_home: Path, aws_environment: LabHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., World]:
    monkeypatch.setattr(polling, "sleep", pacemaker(aws_environment))

    def make(**changes: Any) -> World:
        return world_of(aws_environment, tmp_path, monkeypatch.setenv, **changes)

    return make


def test_a_scan_reaches_every_node_and_opens_one_window_in_each_location(world: Callable[..., World]) -> None:
    here = world()
    here.to(at(3, 0, 50))
    found = here.run("patch_scan", {"occurrence": "2025-06-03T01:00:00Z"})
    assert found.state == "success"
