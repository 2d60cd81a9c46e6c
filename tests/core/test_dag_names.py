"""Each window has one DAG, whose id is nobody else's."""

from __future__ import annotations

import pytest

from sluice.core.dag_names import dag_of, window_of


@pytest.mark.parametrize("window", ["scan-daily", "install-prod-linux", "install-erp", "reboot", "halt", "scan"])
def test_a_windows_dag_tells_its_window(window: str) -> None:
    assert window_of(dag_of(window)) == window


def test_no_window_takes_the_id_of_another_dag() -> None:
    names = ["scan-daily", "scan", "reboot", "halt", "policy", "windows", "install-nonprod", "erp"]
    ids = [dag_of(name) for name in names]
    assert len(set(ids)) == len(ids)
    assert not set(ids) & {"patch_reboot", "patch_halt", "patch_policy"}
