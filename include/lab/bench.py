"""`python -m lab bench`: how large a fleet the lab holds, and what a scan of it costs.

It seeds a fleet, opens a scan window over all its nodes under a manual clock, reads results back over
the wire, and prints one table: processor seconds, resident memory and counts, measured in one run.
"""

from __future__ import annotations

import argparse
import gc
import pathlib
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

GROUP = "bench"


@dataclass(frozen=True, slots=True)
class Measured:
    """One row of the table: what was done, how often, its processor seconds and the memory held after it."""

    what: str
    count: int
    cpu_seconds: float
    resident_mb: float


def resident_mb() -> float:
    """The process's resident memory now, in MB (10^6 bytes)."""
    with pathlib.Path("/proc/self/statm").open() as statm:
        pages = int(statm.read().split()[1])
    return pages * resource.getpagesize() / 1e6


def measure(what: str, act: Callable[[], int]) -> Measured:
    """Run `act`, which answers how many things it did, and measure it."""
    gc.collect()
    before = time.process_time()
    count = act()
    return Measured(what, count, time.process_time() - before, resident_mb())


def run(fleet_name: str, seed: int = 0) -> list[Measured]:
    """Seed the fleet, scan all of it in one window, read it back; answers the rows of the table."""
    from lab.fleet import load_fleet
    from lab.seeding import seed as seed_lab
    from lab.server import LabServer
    from lab.world import Lab

    lab = Lab(seed=seed)
    rows: list[Measured] = []
    with LabServer(lab) as server:

        def seeding() -> int:
            seed_lab(lab, load_fleet(fleet_name))
            return sum(len(location.nodes) for location in lab.locations())

        rows.append(measure(f"seed `{fleet_name}`", seeding))
        client = _client(server.endpoint, lab)
        window_id = _open_window(client)

        def scan() -> int:
            lab.clock.advance(timedelta(hours=8))
            location = lab.location(lab.default_account, lab.default_region)
            [execution] = [one for one in location.executions.values() if one.window_id == window_id]
            if execution.status not in ("SUCCESS", "FAILED"):
                raise SystemExit(f"the scan window ended as {execution.status}: {execution.status_details}")
            return sum(node.result is not None for node in location.nodes.values())

        rows.append(measure("scan window, nodes with a result", scan))
        node_ids = list(lab.location(lab.default_account, lab.default_region).nodes)
        rows.append(measure("DescribeInstancePatchStates, nodes read", lambda: _read_states(client, node_ids[:5000])))
        rows.append(measure("ListCommandInvocations, nodes read", lambda: _read_invocations(client)))
    return rows


def _client(endpoint: str, lab: Any) -> Any:
    import boto3

    return boto3.client(
        "ssm",
        endpoint_url=endpoint,
        region_name=lab.default_region,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",  # noqa: S106  # no secret: the lab takes any key
    )


def _open_window(client: Any) -> str:
    window = client.create_maintenance_window(
        Name=GROUP, Schedule="rate(1 day)", Duration=6, Cutoff=1, AllowUnassociatedTargets=False
    )["WindowId"]
    client.update_maintenance_window(WindowId=window, Schedule="at(2025-06-02T01:00:00)")
    target = client.register_target_with_maintenance_window(
        WindowId=window, ResourceType="INSTANCE", Targets=[{"Key": "tag-key", "Values": ["Name"]}]
    )["WindowTargetId"]
    client.register_task_with_maintenance_window(
        WindowId=window,
        TaskType="RUN_COMMAND",
        TaskArn="AWS-RunPatchBaseline",
        Targets=[{"Key": "WindowTargetIds", "Values": [target]}],
        MaxConcurrency="10%",
        MaxErrors="100%",
        TaskInvocationParameters={"RunCommand": {"Parameters": {"Operation": ["Scan"]}}},
    )
    return str(window)


def _read_states(client: Any, node_ids: list[str]) -> int:
    pages = (
        client.describe_instance_patch_states(InstanceIds=node_ids[i : i + 50]) for i in range(0, len(node_ids), 50)
    )
    return sum(len(page["InstancePatchStates"]) for page in pages)


def _read_invocations(client: Any) -> int:
    command = client.list_commands()["Commands"][0]["CommandId"]
    pages = client.get_paginator("list_command_invocations").paginate(
        CommandId=command, PaginationConfig={"MaxItems": 5000, "PageSize": 50}
    )
    return sum(len(page["CommandInvocations"]) for page in pages)


def table(rows: list[Measured]) -> str:
    """The measurements as a table."""
    lines = [f"{'what':<44}{'count':>10}{'cpu s':>10}{'us each':>10}{'RSS MB':>10}"]
    for row in rows:
        each = row.cpu_seconds / row.count * 1e6 if row.count else 0.0
        lines.append(f"{row.what:<44}{row.count:>10,}{row.cpu_seconds:>10.2f}{each:>10.0f}{row.resident_mb:>10,.0f}")
    return "\n".join(lines)


def main(argv: list[str]) -> int:
    """The command: `python -m lab bench [--fleet NAME]`."""
    parser = argparse.ArgumentParser(prog="python -m lab bench", description=__doc__.splitlines()[0])
    parser.add_argument("--fleet", default="huge", help="demo, large, huge or a fleet file (default: huge)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    sys.stdout.write(table(run(given.fleet, given.seed)) + "\n")
    return 0
