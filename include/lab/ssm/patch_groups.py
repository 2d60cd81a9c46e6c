"""Patch groups: which baseline is registered for which, and how their nodes stand.

A patch group is a tag's value on nodes and, here, a registration: one baseline an operating system
(UG:patch-manager-patch-groups). A group that nothing is registered for has the default baselines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from lab.ssm.base import SSMOperations, error
from lab.ssm.baselines import baseline_for, existing, identity, registered
from lab.ssm.patch_filters import select
from lab.ssm.patches import tally

MAX_GROUPS = 25
"""Groups that a baseline may be registered for."""

COUNTED: Mapping[Any, str] = {
    "INSTALLED": "InstancesWithInstalledPatches",
    "INSTALLED_OTHER": "InstancesWithInstalledOtherPatches",
    "INSTALLED_PENDING_REBOOT": "InstancesWithInstalledPendingRebootPatches",
    "INSTALLED_REJECTED": "InstancesWithInstalledRejectedPatches",
    "MISSING": "InstancesWithMissingPatches",
    "FAILED": "InstancesWithFailedPatches",
    "NOT_APPLICABLE": "InstancesWithNotApplicablePatches",
    "AVAILABLE_SECURITY_UPDATE": "InstancesWithAvailableSecurityUpdates",
    "critical": "InstancesWithCriticalNonCompliantPatches",
    "security": "InstancesWithSecurityNonCompliantPatches",
    "other": "InstancesWithOtherNonCompliantPatches",
}
"""Member of the answer by what `lab.ssm.patches.tally` counts."""


class PatchGroupOperations(SSMOperations):
    """Register, Deregister, Get and Describe patch groups, and their state."""

    def register_patch_baseline_for_patch_group(self) -> dict[str, Any]:
        """Register a baseline for a group; the same registration twice is no error.

        Raises AlreadyExistsException for a second baseline of the same operating system.
        """
        group = self.params["PatchGroup"]
        baseline = existing(self.location, self.params["BaselineId"])
        operating_system = baseline.body["OperatingSystem"]
        before = self.location.patch_groups.get((group, operating_system))
        if before not in (None, baseline.baseline_id):
            # moto's words for AWS's error.
            raise error(
                "AlreadyExistsException",
                f"Patch Group baseline already has a baseline registered for OperatingSystem {operating_system}.",
            )
        if before is None and list(self.location.patch_groups.values()).count(baseline.baseline_id) >= MAX_GROUPS:
            raise error(
                "ResourceLimitExceededException",
                f"A patch baseline can be registered for at most {MAX_GROUPS} patch groups.",
            )
        self.location.patch_groups[group, operating_system] = baseline.baseline_id
        return {"BaselineId": baseline.baseline_id, "PatchGroup": group}

    def deregister_patch_baseline_for_patch_group(self) -> dict[str, Any]:
        """Undo a registration; one that does not stand is no error."""
        group, baseline_id = self.params["PatchGroup"], self.params["BaselineId"]
        for key, found in list(self.location.patch_groups.items()):
            if found == baseline_id and key[0] == group:
                del self.location.patch_groups[key]
        return {"BaselineId": baseline_id, "PatchGroup": group}

    def get_patch_baseline_for_patch_group(self) -> dict[str, Any]:
        """The baseline that holds for a group and an operating system (Windows if none is given)."""
        group = self.params["PatchGroup"]
        operating_system = self.params.get("OperatingSystem", "WINDOWS")
        baseline = baseline_for(self.location, group, operating_system)
        return {"BaselineId": baseline.baseline_id, "PatchGroup": group, "OperatingSystem": operating_system}

    def describe_patch_groups(self) -> dict[str, Any]:
        """Registrations by group. Filters: NAME_PREFIX (of the group), OPERATING_SYSTEM."""
        mappings = [
            {"PatchGroup": group, "BaselineIdentity": identity(self.location, registered(self.location, baseline_id))}
            for (group, _), baseline_id in sorted(self.location.patch_groups.items())
        ]
        shown, more = self.page(select(mappings, self.params.get("Filters", ()), _FILTERS), 50, at_most=100)
        return {"Mappings": shown, **more}

    def describe_patch_group_state(self) -> dict[str, Any]:
        """How many of a group's nodes have patches in which state, from their last scan or install."""
        counts = Counter(dict.fromkeys(("Instances", *COUNTED.values()), 0))
        for node in self.location.nodes.values():
            if self.location.patch_group(node.node_id) != self.params["PatchGroup"]:
                continue
            counts["Instances"] += 1
            if node.result is not None:
                counts.update(COUNTED[key] for key, number in tally(node.result).items() if number and key in COUNTED)
        # The lab's agents report every row: nothing is ever cut off.
        return {**counts, "InstancesWithUnreportedNotApplicablePatches": 0}


_FILTERS: Mapping[str, Callable[[dict[str, Any], tuple[str, ...]], bool]] = {
    "NAME_PREFIX": lambda mapping, values: str(mapping["PatchGroup"]).startswith(values),
    "OPERATING_SYSTEM": lambda mapping, values: mapping["BaselineIdentity"]["OperatingSystem"] in values,
}
