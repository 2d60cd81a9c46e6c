"""Patch states: what the last patch operation of each node counted, and the patches behind the counts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lab.ssm.base import SSMOperations, error
from lab.ssm.patches import UPLOADED_STATES, Patch, patches, tally
from lab.ssm.selection import compare, select

if TYPE_CHECKING:
    from lab.agent import NodeResult
    from lab.world import Node

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""InstalledTime of what is not installed: the model requires one, AWS's sample answers show this."""


@dataclass(frozen=True, slots=True)
class PatchCounts:
    """How many patches of a node are in each state, and how many are non-compliant, by kind."""

    installed: int
    installed_other: int
    installed_pending_reboot: int
    installed_rejected: int
    missing: int
    failed: int
    not_applicable: int
    available_security_update: int
    critical_non_compliant: int
    security_non_compliant: int
    other_non_compliant: int
    unreported_not_applicable: int = 0
    """The lab has no limit to what is reported by name, so this stays 0."""

    def members(self) -> dict[str, int]:
        """The counts as the API names them: `{"InstalledCount": 12, …}`."""
        return {member: getattr(self, name) for name, member in COUNT_MEMBERS.items()}


COUNT_MEMBERS: Mapping[str, str] = {
    field.name: "".join(part.title() for part in field.name.split("_")) + "Count" for field in fields(PatchCounts)
}
"""Member of InstancePatchState by attribute of PatchCounts."""


def counts(result: NodeResult) -> PatchCounts:
    """The counts of a node's last patch operation."""
    found = tally(result)
    return PatchCounts(
        installed=found["INSTALLED"],
        installed_other=found["INSTALLED_OTHER"],
        installed_pending_reboot=found["INSTALLED_PENDING_REBOOT"],
        installed_rejected=found["INSTALLED_REJECTED"],
        missing=found["MISSING"],
        failed=found["FAILED"],
        not_applicable=found["NOT_APPLICABLE"],
        available_security_update=found["AVAILABLE_SECURITY_UPDATE"],
        critical_non_compliant=found["critical"],
        security_non_compliant=found["security"],
        other_non_compliant=found["other"],
    )


class PatchStateOperations(SSMOperations):
    """DescribeInstancePatchStates, …ForPatchGroup and DescribeInstancePatches."""

    def describe_instance_patch_states(self) -> dict[str, Any]:
        """The states of up to 50 nodes; one that was never scanned has none and is left out."""
        asked = dict.fromkeys(self.params["InstanceIds"])
        nodes = [node for node_id in asked if (node := self.location.nodes.get(node_id)) is not None and node.result]
        page, more = self.page(nodes, default=50, at_most=100)
        return {"InstancePatchStates": _states(page), **more}

    def describe_instance_patch_states_for_patch_group(self) -> dict[str, Any]:
        """The states of the nodes whose last operation reported this patch group.

        A node that has changed its group since still counts where it reported: its state, the group's
        name included, is the last operation's (TR: the last scan overwrites, nothing else does).
        """
        group = self.params["PatchGroup"]
        conditions = [_count_condition(wanted) for wanted in self.params.get("Filters", [])]

        def matches(node: Node) -> bool:
            result = node.result
            if result is None or result.patch_group != group:
                return False
            return not conditions or all(condition(counts(result)) for condition in conditions)

        page, more = select(self, self.location.nodes.values(), matches, default=50, at_most=100)
        return {"InstancePatchStates": _states(page), **more}

    def describe_instance_patches(self) -> dict[str, Any]:
        """The patches that one node reported by name, in the order in which it did."""
        node = self.location.nodes.get(self.params["InstanceId"])
        if node is None:
            raise error("InvalidInstanceId", f"The instance ID {self.params['InstanceId']} isn't a managed node.")
        conditions = [_patch_condition(wanted) for wanted in self.params.get("Filters", [])]
        family = self.lab.repositories.product(node.product).family
        reported = patches(node.result, family) if node.result is not None else ()
        found = [patch for patch in reported if all(condition(patch) for condition in conditions)]
        page, more = self.page(found, default=50, at_most=100)
        return {"Patches": [_patch(patch) for patch in page], **more}


def _states(nodes: Sequence[Node]) -> list[dict[str, Any]]:
    return [_state(node.node_id, node.result) for node in nodes if node.result is not None]


def _state(node_id: str, result: NodeResult) -> dict[str, Any]:
    state: dict[str, Any] = {
        "InstanceId": node_id,
        "PatchGroup": result.patch_group,
        "BaselineId": result.baseline_id,
        "SnapshotId": result.snapshot_id,
        **counts(result).members(),
        "OperationStartTime": result.started,
        "OperationEndTime": result.ended,
        "Operation": result.operation,
    }
    optional = {
        "InstallOverrideList": result.install_override_list if result.operation == "Install" else None,
        "LastNoRebootInstallOperationTime": result.last_no_reboot_install,
        "RebootOption": result.reboot_option,
    }
    return state | {name: value for name, value in optional.items() if value is not None}


def _patch(patch: Patch) -> dict[str, Any]:
    shown = {
        "Title": patch.title,
        "KBId": patch.patch_id,
        "Classification": patch.classification,
        "Severity": patch.severity,
        "State": patch.state,
        "InstalledTime": patch.installed or NEVER,
    }
    return {**shown, "CVEIds": patch.cves} if patch.cves else shown


_COUNT_NAMES = {member: name for name, member in COUNT_MEMBERS.items()}


def _count_condition(wanted: Mapping[str, Any]) -> Callable[[PatchCounts], bool]:
    name = _COUNT_NAMES.get(wanted["Key"])
    if name is None:
        raise error("InvalidFilter", f"The filter key {wanted['Key']} isn't valid. Use one of {sorted(_COUNT_NAMES)}.")
    values: Sequence[str] = wanted["Values"]
    if re.fullmatch(r"\d+", values[0]) is None:
        raise error("InvalidFilter", f"The value of {wanted['Key']} must be an integer of 0 or more, not {values[0]}.")
    return lambda found: compare(wanted["Type"], str(getattr(found, name)), values)


_STATES = {spelling.lower(): state for state, name in UPLOADED_STATES.items() for spelling in (state, name)}
"""State by either spelling: the model's `INSTALLED_OTHER`, the `InstalledOther` of AWS's sample filters."""

_PATCH_KEYS: Mapping[str, Callable[[Patch], str]] = {
    "Classification": lambda patch: patch.classification,
    "KBId": lambda patch: patch.patch_id,
    "Severity": lambda patch: patch.severity,
    "State": lambda patch: patch.state,
}


def _patch_condition(wanted: Mapping[str, Any]) -> Callable[[Patch], bool]:
    key, values = wanted.get("Key"), wanted.get("Values")
    read = _PATCH_KEYS.get(key or "")
    if read is None or not values:
        raise error("InvalidFilter", f"The filter {key} isn't valid. Use one of {sorted(_PATCH_KEYS)} with values.")
    if key == "State":
        if unknown := [value for value in values if value.lower() not in _STATES]:
            raise error("InvalidFilter", f"Not patch states: {unknown}. Use any of {sorted(UPLOADED_STATES.values())}.")
        values = [_STATES[value.lower()] for value in values]
    accepted = frozenset(values)
    return lambda patch: read(patch) in accepted
