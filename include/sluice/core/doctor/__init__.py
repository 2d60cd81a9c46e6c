"""The doctor: whether a target location is ready for the policy, judged from facts that were read there. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sluice.core.doctor.facts import BucketFact, Facts, PermissionFact, Recorder, RoleFact, Topic
from sluice.core.doctor.finding import SEVERITIES, Finding, Severity
from sluice.core.doctor.nodes import BaselineOf, baseline_of, node_findings
from sluice.core.doctor.places import PATCHERS, place_findings
from sluice.core.policy.policy import Policy

__all__ = [
    "PATCHERS",
    "SEVERITIES",
    "BaselineOf",
    "BucketFact",
    "Facts",
    "Finding",
    "Kind",
    "PermissionFact",
    "Recorder",
    "RoleFact",
    "Severity",
    "Topic",
    "as_found",
    "examine",
    "kinds",
]


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """Nodes that are alike: OS product, patch group and whose baseline decides about them."""

    product: str
    """Empty where no agent tells."""
    group: str
    """Empty without a patch group."""
    baseline: BaselineOf


def as_found(policy: Policy) -> Policy:
    """The policy without its patch groups: what is there is shown, and held against nothing."""
    return policy.model_copy(update={"patch_groups": ()})


def examine(facts: Facts, policy: Policy) -> list[Finding]:
    """Everything that was found, the worst first."""
    found = [*node_findings(facts, policy), *place_findings(facts)]
    return sorted(found, key=lambda one: (SEVERITIES.index(one.severity), one.name, one.ids))


def kinds(facts: Facts, policy: Policy) -> dict[Kind, int]:
    """How many nodes there are of each kind, in the order of the kinds."""
    key = policy.tags.patch_group
    counts = Counter(
        Kind(
            product=node.product or "",
            group=node.group(key) or node.patch_manager_group or "",
            baseline=baseline_of(node, facts, key),
        )
        for node in facts.nodes
    )
    return dict(sorted(counts.items()))
