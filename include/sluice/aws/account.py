"""What an account has of patching now, for `import`. Nothing here changes anything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from sluice.aws import baselines, nodes, patch_groups, window_targets, window_tasks, windows
from sluice.aws.session import Connection
from sluice.core.policy.imported import Account, WindowFound
from sluice.core.policy.objects import Registration


def read_account(connection: Connection) -> Account:
    """The account's baselines, registrations, windows, and what its nodes run."""
    identities = baselines.listed(connection)
    products: dict[str, set[str]] = defaultdict(set)
    for node in nodes.listed(connection):
        group = node.patch_manager_group
        if group and node.product:
            products[group].add(node.product)
    return Account(
        account=connection.account,
        region=connection.region,
        baselines={one["BaselineId"]: baselines.body(connection, one["BaselineId"]) for one in identities},
        defaults=frozenset(one["BaselineId"] for one in identities if one.get("DefaultBaseline")),
        registrations=[_registration(mapping) for mapping in patch_groups.listed(connection)],
        windows=[_window(connection, one["WindowId"]) for one in windows.listed(connection)],
        products={group: frozenset(found) for group, found in products.items()},
    )


def _registration(mapping: Mapping[str, Any]) -> Registration:
    baseline = mapping["BaselineIdentity"]
    return Registration(mapping["PatchGroup"], baseline["OperatingSystem"], baseline["BaselineId"])


def _window(connection: Connection, window_id: str) -> WindowFound:
    targets = window_targets.listed(connection, window_id)
    tasks = window_tasks.listed(connection, window_id)
    return WindowFound(
        id=window_id,
        window=windows.read(connection, window_id),
        targets=tuple(window_targets.as_object(one, window_id) for one in targets),
        tasks=tuple(window_tasks.read(connection, window_id, one["WindowTaskId"], window_id) for one in tasks),
    )
