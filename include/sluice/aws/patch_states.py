"""Patch states: what each node's last patch run left, as counts and patch by patch.

A node's state is its last run's, whoever started it: joining it to a release is `sluice.core.release.verify`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from sluice.aws.inventory import nodes_with
from sluice.aws.nodes import NODES
from sluice.aws.permissions import calls
from sluice.aws.session import Connection
from sluice.core.errors import AnswerError
from sluice.core.release.patch_state import PatchState
from sluice.core.release.terms import PatchRow

IDS_A_CALL = 50
CALLS_AT_ONCE = 8
"""One node's patches take several pages, and thousands of nodes are read: side by side."""
PAGE = 50
"""The model allows 100; the service has refused more than 50 (DescribeInstancePatches, as others observed)."""

RUN_BY = "AWS:PatchSummary.ExecutionId"
"""Inventory's word for the command that ran a node's last patch run."""

_COUNTS = {
    "installed": "InstalledCount",
    "installed_other": "InstalledOtherCount",
    "installed_pending_reboot": "InstalledPendingRebootCount",
    "installed_rejected": "InstalledRejectedCount",
    "missing": "MissingCount",
    "failed": "FailedCount",
    "not_applicable": "NotApplicableCount",
    "available_security_update": "AvailableSecurityUpdateCount",
    "critical_non_compliant": "CriticalNonCompliantCount",
    "security_non_compliant": "SecurityNonCompliantCount",
    "other_non_compliant": "OtherNonCompliantCount",
}


@calls("ssm:DescribeInstancePatchStates", resources=NODES)
def of_nodes(connection: Connection, ids: Sequence[str]) -> list[PatchState]:
    """The states of the nodes, by id; a node that no patch run has ever reported is not among them."""
    found: dict[str, PatchState] = {}
    wanted = sorted(set(ids))
    for index in range(0, len(wanted), IDS_A_CALL):
        some = wanted[index : index + IDS_A_CALL]
        for one in connection.pages(
            "ssm", "DescribeInstancePatchStates", "InstancePatchStates", InstanceIds=some, MaxResults=PAGE
        ):
            state = _state(connection, one)
            found[state.node] = state
    return [found[node] for node in sorted(found)]


@calls("ssm:DescribeInstancePatches", resources=NODES)
def of_node(connection: Connection, node: str, product: str) -> list[PatchRow]:
    """The patches that a node's last run reported by name; `product` is the node's OS product.

    Only Windows names what is not applicable. AWS leaves classification and severity out of what is installed
    beside the baseline (UG:patch-manager-compliance-states).
    """
    return [
        _patch(connection, node, product, one)
        for one in connection.pages("ssm", "DescribeInstancePatches", "Patches", InstanceId=node, MaxResults=PAGE)
    ]


def of_each(connection: Connection, products: Mapping[str, str]) -> dict[str, list[PatchRow]]:
    """As `of_node`, of several nodes with their OS products, side by side."""
    if not products:
        return {}
    with ThreadPoolExecutor(min(CALLS_AT_ONCE, len(products)), "node") as pool:
        rows = pool.map(lambda node: of_node(connection, node, products[node]), products)
        return dict(zip(products, rows, strict=True))


def of_command(connection: Connection, command: str) -> frozenset[str]:
    """The nodes whose last patch run was that command's, as far as Inventory knows yet: it lags behind."""
    return nodes_with(connection, RUN_BY, command)


def _state(connection: Connection, one: Mapping[str, Any]) -> PatchState:
    _need(connection, "DescribeInstancePatchStates", one, "InstanceId", "Operation", "OperationStartTime",
          "OperationEndTime")  # fmt: skip
    return PatchState(
        node=one["InstanceId"],
        group=one.get("PatchGroup", ""),
        operation=one["Operation"],
        start=one["OperationStartTime"].astimezone(UTC),
        end=one["OperationEndTime"].astimezone(UTC),
        baseline=one.get("BaselineId", ""),
        snapshot=one.get("SnapshotId", ""),
        override_list=one.get("InstallOverrideList") or None,
        reboot_option=one.get("RebootOption"),
        last_install_without_reboot=_moment(one.get("LastNoRebootInstallOperationTime")),
        **{name: int(one.get(member) or 0) for name, member in _COUNTS.items()},
    )


def _patch(connection: Connection, node: str, product: str, one: Mapping[str, Any]) -> PatchRow:
    _need(connection, "DescribeInstancePatches", one, "KBId", "Title", "State")
    return PatchRow(
        node=node,
        product=product,
        id=one["KBId"],
        title=one["Title"],
        classification=one.get("Classification", ""),
        severity=one.get("Severity", ""),
        state=one["State"],
        installed=_moment(one.get("InstalledTime")),
    )


def _moment(value: datetime | None) -> datetime | None:
    """A moment; None for the epoch, which AWS gives where it has none."""
    if value is None or value.timestamp() <= 0:
        return None
    return value.astimezone(UTC)


def _need(connection: Connection, operation: str, one: Mapping[str, Any], *members: str) -> None:
    if missing := [member for member in members if one.get(member) is None]:
        raise AnswerError(
            f"{connection.key}: ssm:{operation} answered an item without {', '.join(missing)}: expected it in every"
            " item; nothing was concluded from it. Try again."
        )
