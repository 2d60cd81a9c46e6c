"""A policy with several patch groups and OS products, nodes for it, and Systems Manager's way of finding targets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from sluice.core.node import Agent, Node
from sluice.core.policy.policy import Policy
from sluice.core.policy.windows import Window

HERE, THERE = "111111111111/eu-west-3", "222222222222/eu-central-1"

AMAZON = ("Amazon Linux", "2023")
UBUNTU = ("Ubuntu", "22.04")
WINDOWS = ("Microsoft Windows Server 2019 Datacenter", "10.0.17763")
CENTOS = ("CentOS Linux", "7.9.2009")
UNKNOWN = ("Plan 9", "4")

DAY = date(2025, 6, 9)
START = datetime(2025, 6, 9, 3, tzinfo=UTC)

REGISTERED = {
    (group, system)
    for group in ("nonprod-linux", "prod-linux")
    for system in ("AMAZON_LINUX_2023", "UBUNTU")
} | {("prod-windows", "WINDOWS")}  # fmt: skip


def nodes_policy(*, exceptions: Iterable[Mapping[str, Any]] = (), **changes: Any) -> Policy:
    """Two rings, four groups; `changes` to the window `install-prod`."""
    prod = {
        "name": "install-prod",
        "operation": "install",
        "schedule": "cron(0 3 ? * MON *)",
        "duration_hours": 4,
        "patch_groups": ["prod-linux", "prod-windows"],
        "waves": {"canary": 1, "shares": [25]},
        "backup": "on",
    }
    return Policy.model_validate(
        {
            "version": 1,
            "mode": "release",
            "locations": [dict(zip(("account", "region"), key.split("/"), strict=True)) for key in (HERE, THERE)],
            "rings": [{"name": "nonprod"}, {"name": "prod", "production": True, "soak": 7}],
            "baselines": [
                {"name": name, "os": os, "rules": [{}]}
                for name, os in (("amazon", "AMAZON_LINUX_2023"), ("ubuntu", "UBUNTU"), ("windows", "WINDOWS"))
            ],
            "patch_groups": [
                _group("nonprod-linux", "nonprod", ["amazon", "ubuntu"], ["AMAZON_LINUX_2023", "UBUNTU 22.04"]),
                _group("prod-linux", "prod", ["amazon", "ubuntu"], ["AMAZON_LINUX_2023", "UBUNTU 22.04"]),
                _group("prod-windows", "prod", ["windows"], ["WINDOWS Server 2019"]),
                _group("prod-centos", "prod", ["amazon"], ["CENTOS 7"]),
            ],
            "windows": [
                {"name": "scan", "operation": "scan", "schedule": "cron(0 1 * * ? *)", "duration_hours": 2},
                {"name": "install-nonprod", "operation": "install", "schedule": "cron(0 3 ? * TUE *)",
                 "duration_hours": 4, "patch_groups": "nonprod-linux", "waves": "all_at_once"},
                {**prod, **changes},
            ],
            "exceptions": list(exceptions),
        }
    )  # fmt: skip


def _group(name: str, ring: str, baselines: list[str], products: list[str]) -> dict[str, Any]:
    return {"name": name, "ring": ring, "baselines": baselines, "products": products}


def window_of(policy: Policy, name: str) -> Window:
    """A window of the policy."""
    return next(one for one in policy.windows if one.name == name)


def node(
    id: str,
    group: str | None = "prod-linux",
    platform: tuple[str, str] | None = AMAZON,
    *,
    state: str = "running",
    online: bool = True,
    profile: str | None = "Managed",
    **tags: str,
) -> Node:
    """A node; `platform` None: without an agent."""
    found = {"Patch Group": group} if group else {}
    agent = Agent("3.3.0.0", True, online, START, *platform) if platform and state != "stopped" else None
    return Node(id, {**found, **tags}, "" if id.startswith("mi-") else state, profile, agent)


def reached(target: tuple[str, tuple[str, ...]], nodes: Mapping[str, Node]) -> Collection[str]:
    """The nodes that Systems Manager sends a command to when the window starts: tags are read then."""
    key, values = target
    if key == "InstanceIds":
        named = [nodes[id] for id in values if id in nodes]
    else:
        named = [one for one in nodes.values() if one.tags.get(key.removeprefix("tag:")) in values]
    return {one.id for one in named if one.agent is not None and one.agent.online and not one.stopped}
