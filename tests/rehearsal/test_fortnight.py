"""What the demo says it shows it has seen: of a failed backup, that its node was left as it was."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lab.rehearsal.agenda import Planned, read_policy
from lab.rehearsal.conductor import Release
from lab.rehearsal.fortnight import REFUSED_IN, shown
from lab.rehearsal.play import DEMO_POLICY
from lab.rehearsal.record import Record
from sluice.core.policy.policy import Policy

PROD = "install-prod-linux"
START = datetime(2025, 6, 16, 3, tzinfo=UTC)
RELEASE = f"{PROD}-20250616T0300-0a1b2c3d"
KEPT_OUT = {"no backup": 1}
REFUSED, OTHER, ELSEWHERE = "i-1", "i-2", "i-3"
IMAGED = (f"{RELEASE}/{OTHER}",)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return read_policy(DEMO_POLICY, dict(os.environ))


def node(node_id: str, region: str = REFUSED_IN[1], group: str = "prod-linux") -> dict[str, Any]:
    place = {"account": REFUSED_IN[0], "region": region}
    return {"node_id": node_id, "name": f"web-{node_id}", "group": group, "agent": "online", "reachable": True, **place}


NODES = [node(REFUSED), node(OTHER), node(ELSEWHERE, region="eu-west-3"), node("i-4", group="nonprod-linux")]


def failed_backup(
    policy: Policy, not_admitted: Mapping[str, int], installed: Collection[str], imaged: Collection[str]
) -> str:
    """Where a failed backup was seen, of a release that installed on these nodes."""
    planned = Planned(START - timedelta(hours=12), START, START + timedelta(hours=4), PROD, gated=True)
    release = Release(planned, "success", 1.0, (), {"admit": {"not_admitted": not_admitted}})
    entries = [
        {
            "kind": "install",
            "at": (START + timedelta(minutes=10)).isoformat(),
            "window": f"demo-{PROD}",
            "node_id": node_id,
            "name": node_id,
            "group": "prod-linux",
            "product": "AmazonLinux2023",
            "requested": [],
            "installed": [],
            "failed": [],
            "needs_reboot": [],
        }
        for node_id in installed
    ]
    [found] = [one for one in shown([release], Record(policy, entries, (), {}), NODES, imaged) if "backup" in one.what]
    return found.where


def test_a_failed_backup_is_seen_where_its_node_was_kept_out_and_another_patched(policy: Policy) -> None:
    assert failed_backup(policy, KEPT_OUT, [OTHER, ELSEWHERE], IMAGED) == f"web-{REFUSED} on Mon 16 Jun"


@pytest.mark.parametrize(
    ("not_admitted", "installed", "imaged"),
    [
        ({}, [OTHER], IMAGED),
        ({"agent lost": 1}, [OTHER], IMAGED),
        (KEPT_OUT, [REFUSED, OTHER], IMAGED),
        (KEPT_OUT, [OTHER], (*IMAGED, f"{RELEASE}/{REFUSED}")),
        (KEPT_OUT, [ELSEWHERE], IMAGED),
        (KEPT_OUT, [OTHER], (f"{PROD}-20250609T0300-0a1b2c3d/{OTHER}",)),
        (KEPT_OUT, [OTHER], ()),
    ],
    ids=["admitted", "kept out for something else", "patched without an image", "has an image", "nobody was patched",
         "an image of another release", "no image at all"],
)  # fmt: skip
def test_a_failed_backup_is_not_seen_where_anything_else_became_of_it(
    not_admitted: Mapping[str, int], installed: Collection[str], imaged: Collection[str], policy: Policy
) -> None:
    assert failed_backup(policy, not_admitted, installed, imaged) == ""


def test_the_demos_production_of_linux_requires_the_image_that_is_refused(policy: Policy) -> None:
    [window] = [one for one in policy.windows if one.name == PROD]
    assert window.backup.mode == "required"
