"""Findings about nodes: those that no window reaches, and those that another baseline decides about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Literal

from sluice.core.doctor.facts import Facts
from sluice.core.doctor.finding import Finding, Severity
from sluice.core.node import GROUP_KEYS, Node
from sluice.core.os_product import covers, operating_system
from sluice.core.policy.baselines import PatchGroup
from sluice.core.policy.policy import Policy

OLDEST_AGENT = (2, 0, 834, 0)
"""UG:patch-manager-prerequisites."""

DEPRECATED_POLICY = "AmazonEC2RoleforSSM"

BaselineOf = Literal["registered", "own default", "AWS's default", "unknown"]


def baseline_of(node: Node, facts: Facts, key: str) -> BaselineOf:
    """Which baseline decides about a node; unknown where the node's OS or the baselines are."""
    if node.product is None or "baselines" in facts.unread:
        return "unknown"
    system = operating_system(node.product)
    if (node.group(key) or node.patch_manager_group, system) in facts.registrations:
        return "registered"
    return "own default" if system in facts.own_defaults else "AWS's default"


def node_findings(facts: Facts, policy: Policy) -> Iterator[Finding]:
    """Everything about nodes. A policy without patch groups is one that nodes are not held against."""
    if "nodes" in facts.unread:
        return
    for check in (_unmanaged, _agents, _profiles, _stopped, _groups, _baselines, _products, _hybrid):
        yield from check(facts, policy)


def _unmanaged(facts: Facts, policy: Policy) -> Iterator[Finding]:
    key = policy.tags.patch_group
    missing = [node for node in facts.nodes if node.agent is None and node.state == "running"]
    without_profile = [node for node in missing if node.profile is None]
    with_profile = [node for node in missing if node.profile is not None]
    yield from _finding(
        "no-profile",
        _worse_if_ours(without_profile, policy, key),
        without_profile,
        "without instance profile, and unknown to Systems Manager",
        "attach an instance profile whose role has AmazonSSMManagedInstanceCore, or switch on Default Host"
        " Management Configuration (agent from 3.2.582.0, IMDSv2)",
    )
    yield from _finding(
        "no-agent",
        _worse_if_ours(with_profile, policy, key),
        with_profile,
        "with an instance profile but without agent: Systems Manager knows nothing of it",
        "install amazon-ssm-agent, let it reach the endpoints ssm, ssmmessages and ec2messages, and see that the"
        " profile's role has AmazonSSMManagedInstanceCore",
    )


def _agents(facts: Facts, policy: Policy) -> Iterator[Finding]:
    managed = [(node, node.agent) for node in facts.nodes if node.agent is not None]
    yield from _finding(
        "agent-offline",
        "warning",
        [node for node, agent in managed if not agent.online and not node.stopped],
        "whose agent has lost its connection, out of every window's reach",
        "restart the agent or the node, and see that it reaches Systems Manager's endpoints",
    )
    old = [node for node, agent in managed if (version(agent.version) or OLDEST_AGENT) < OLDEST_AGENT]
    yield from _finding(
        "agent-too-old",
        "error",
        old,
        "whose agent is older than 2.0.834.0, which AWS-RunPatchBaseline needs",
        "update the agent: AWS-UpdateSSMAgent, or the package manager",
    )
    yield from _finding(
        "agent-not-latest",
        "note",
        [node for node, agent in managed if agent.latest is False and node not in old],
        "whose agent is not the newest",
        "update the agent, best by a State Manager association with AWS-UpdateSSMAgent",
    )
    yield from _finding(
        "platform-unknown",
        "unknown",
        [node for node, agent in managed if agent.product is None],
        "of an operating system that Patch Manager has no word for",
        "leave them to other means; no baseline fits them",
    )


def _profiles(facts: Facts, policy: Policy) -> Iterator[Finding]:
    deprecated = {name for name, policies in facts.profile_policies.items() if DEPRECATED_POLICY in policies}
    yield from _finding(
        "deprecated-policy",
        "warning",
        [node for node in facts.nodes if node.profile in deprecated],
        f"whose role has the deprecated {DEPRECATED_POLICY}, which opens every bucket",
        "attach AmazonSSMManagedInstanceCore to the role, then detach the deprecated policy",
    )
    if "profiles" in facts.unread:
        with_profile = [node for node in facts.nodes if node.profile is not None]
        yield from _finding(
            "profiles-unknown",
            "unknown",
            with_profile,
            f"whose role's policies could not be read: {facts.unread['profiles']}",
            "let the caller read instance profiles and attached policies in IAM",
        )


def _stopped(facts: Facts, policy: Policy) -> Iterator[Finding]:
    yield from _finding(
        "stopped",
        "warning",
        [node for node in facts.nodes if node.stopped],
        "stopped, out of every window's reach; Systems Manager does not show the agent",
        "start them for their window, or terminate what nobody needs",
    )


def _groups(facts: Facts, policy: Policy) -> Iterator[Finding]:
    key = policy.tags.patch_group
    other = next(one for one in GROUP_KEYS if one != key)
    nodes = [node for node in facts.nodes if node.agent is not None or node.stopped]
    yield from _finding(
        "other-tag-key",
        "warning",
        [node for node in nodes if node.group(other) and not node.group(key)],
        f"with the tag {other} and not {key}, which the policy's windows target",
        f"tag them with {key}, or say `tags: {{patch_group: {other}}}` in the policy",
    )
    yield from _finding(
        "untagged",
        "warning",
        [node for node in nodes if node.patch_manager_group is None],
        f"without the tag {key}: looked at by scans, reached by no install",
        f"tag them with {key} and a patch group of the policy",
    )
    known = {group.name for group in policy.patch_groups}
    strangers = [node for node in nodes if known and node.group(key) and node.group(key) not in known]
    yield from _finding(
        "group-not-in-policy",
        "warning",
        strangers,
        f"in {_groups_of(strangers, key)}, which the policy does not have: reached by no install",
        "add the group to the policy, or tag them with one that it has",
    )


def _baselines(facts: Facts, policy: Policy) -> Iterator[Finding]:
    key = policy.tags.patch_group
    groups = {group.name: group for group in policy.patch_groups}
    fallen = [node for node in facts.nodes if node.group(key) and baseline_of(node, facts, key) == "AWS's default"]
    ours = [(node, groups[name]) for node in fallen if (name := node.group(key)) in groups]
    coming = [node for node, group in ours if _serves(policy, group, node)]
    never = [node for node, group in ours if not _serves(policy, group, node)]
    others = [node for node in fallen if node.group(key) not in groups]
    yield from _finding(
        "baseline-not-applied",
        "warning",
        coming,
        f"in {_groups_of(coming, key)}, on AWS's default baseline until the policy is applied",
        "python -m sluice plan, then apply",
    )
    for nodes in (never, others):
        yield from _finding(
            "aws-default",
            "error" if nodes is never else "warning",
            nodes,
            f"in {_groups_of(nodes, key)}, without a baseline for the operating system: silently on AWS's default",
            "give the group a baseline for this operating system in the policy, or tag them with another group",
        )


def _products(facts: Facts, policy: Policy) -> Iterator[Finding]:
    for name, members in _by_group(facts.nodes, policy.tags.patch_group):
        group = _group(policy, name)
        if group is None:
            continue
        strange: dict[str, list[Node]] = defaultdict(list)
        for node in members:
            if node.product is not None and not any(covers(one, node.product) for one in group.products):
                strange[node.product].append(node)
        for product, nodes in sorted(strange.items()):
            yield from _finding(
                "product-not-in-group",
                "error",
                nodes,
                f"of {product}, which the patch group {name} does not list: reached by no install",
                f"add {product} to the group's `products` in the policy",
            )


def _hybrid(facts: Facts, policy: Policy) -> Iterator[Finding]:
    yield from _finding(
        "hybrid",
        "note",
        [node for node in facts.nodes if node.hybrid],
        "outside EC2: no image of them can be taken before a patch",
        "where the policy requires backups they need a waiver",
    )


def _finding(name: str, severity: Severity, nodes: Iterable[Node], what: str, advice: str) -> Iterator[Finding]:
    ids = tuple(sorted(node.id for node in nodes))
    if ids:
        yield Finding(name, severity, ids, what, advice)


def _worse_if_ours(nodes: Iterable[Node], policy: Policy, key: str) -> Severity:
    known = {group.name for group in policy.patch_groups}
    return "error" if any(node.group(key) in known for node in nodes) else "warning"


def _by_group(nodes: Iterable[Node], key: str) -> list[tuple[str, list[Node]]]:
    found: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        if name := node.group(key):
            found[name].append(node)
    return sorted(found.items())


def _groups_of(nodes: Iterable[Node], key: str) -> str:
    names = sorted({name for node in nodes if (name := node.group(key))})
    return f"the patch group{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _group(policy: Policy, name: str) -> PatchGroup | None:
    return next((group for group in policy.patch_groups if group.name == name), None)


def _serves(policy: Policy, group: PatchGroup, node: Node) -> bool:
    systems = {baseline.os for baseline in policy.baselines if baseline.name in group.baselines}
    return node.product is not None and operating_system(node.product) in systems


def version(text: str) -> tuple[int, ...] | None:
    """An agent's version as numbers; None where it is not written in numbers."""
    parts = text.split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else None
