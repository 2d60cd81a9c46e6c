"""The pilot: a policy that scans at most five nodes and changes nothing on them. Pure.

Its nodes have a patch group of their own, which serves nobody else, and nothing in it can install: `mode` is
`observe`, its only window scans, and its ring is not production. What a policy with `pilot: true` says beyond that
the check refuses (`sluice.core.policy.lint.pilots`); what its location says against it, `objections`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import yaml

from sluice.core.errors import SluiceError
from sluice.core.node import GROUP_KEYS, Node
from sluice.core.os_product import operating_system
from sluice.core.policy.baselines import OperatingSystem
from sluice.core.policy.objects import Registration
from sluice.core.policy.patch_filters import filter_product
from sluice.core.policy.plan import Actual
from sluice.core.policy.policy import Policy

MOST_NODES = 5

GROUP = "sluice-pilot"
"""The deployment and the patch group of a pilot: the value of its nodes' tag."""

TAG = "Patch Group"


def check_number(ids: Sequence[str]) -> None:
    """Refuse more nodes than a pilot has. Raises SluiceError."""
    if not 1 <= len(set(ids)) <= MOST_NODES:
        raise SluiceError(
            f"expected 1 to {MOST_NODES} nodes for a pilot, found {len(set(ids))}: choose those that matter least"
        )


def pilot_policy(account: str, region: str, ids: Sequence[str], nodes: Iterable[Node], *, rehearsal: bool) -> str:
    """The policy as YAML, for those of a location's `nodes` that `ids` name.

    With `rehearsal` it leaves the endpoint to boto3's configuration; else any endpoint but AWS's is refused.
    Raises SluiceError with everything that speaks against these nodes.
    """
    check_number(ids)
    known = {node.id: node for node in nodes}
    problems = [problem for node_id in sorted(set(ids)) for problem in _problems(node_id, known)]
    strangers = sorted(node.id for node in known.values() if node.patch_manager_group == GROUP and node.id not in ids)
    if strangers:
        problems.append(f"{', '.join(strangers)}: expected no other node in {GROUP}: name it too, or remove its tag")
    if problems:
        raise SluiceError("\n".join(["these nodes are none for a pilot; nothing was written", *problems]))
    products = sorted({product for node_id in ids if (product := known[node_id].product)})
    return _text(account, region, products, rehearsal=rehearsal)


def check_alone(policy: Policy, actual: Actual, nodes: Iterable[Node]) -> None:
    """Refuse a pilot whose location says that its patch groups are somebody's, or have too many nodes.

    Raises SluiceError with everything that speaks against it.
    """
    found = [*_served(policy, actual), *_named(policy, actual), *_too_many(policy, nodes)]
    if found:
        raise SluiceError("\n".join(["this is no pilot (`pilot: true`); nothing was changed", *found]))


def _groups(policy: Policy) -> tuple[str, ...]:
    return tuple(group.name for group in policy.patch_groups)


def _served(policy: Policy, actual: Actual) -> Iterator[str]:
    for found in actual.objects:
        served = found.object
        if isinstance(served, Registration) and not found.owned and served.group in _groups(policy):
            yield (
                f"patch group {served.group}: expected one that no baseline of others serves, found {found.id} for"
                f" {served.operating_system}: its nodes are somebody's; choose others, and another group"
            )


def _named(policy: Policy, actual: Actual) -> Iterator[str]:
    """Those that name the group. What reaches every node names none; the plan tells of it."""
    for other in actual.others:
        named = {value for _, values in other.targets for value in values}
        for group in _groups(policy):
            if group in named and other.groups((group,)):
                yield (
                    f"patch group {group}: expected one that nobody else uses, found the {other.kind} {other.id}"
                    f" ({other.name}) on it: choose another group"
                )


def _too_many(policy: Policy, nodes: Iterable[Node]) -> Iterator[str]:
    groups = set(_groups(policy))
    ids = sorted(node.id for node in nodes if groups & {node.group(key) for key in GROUP_KEYS})
    if len(ids) > MOST_NODES:
        yield (
            f"expected at most {MOST_NODES} nodes in {', '.join(sorted(groups))}, found {len(ids)}: {', '.join(ids)}:"
            " remove the tag from those that are not the pilot's"
        )


def _problems(node_id: str, known: dict[str, Node]) -> Iterator[str]:
    node = known.get(node_id)
    if node is None:
        yield f"{node_id}: expected a node of this account and Region, found none of that id"
        return
    if node.stopped:
        yield f"{node_id}: expected a running node, found it {node.state}: start it, or choose another"
    elif node.agent is None:
        yield f"{node_id}: expected a managed node, found none by Systems Manager: see `python -m sluice doctor`"
    elif not node.agent.online:
        yield f"{node_id}: expected its agent online, found its connection lost: choose another"
    elif node.product is None:
        yield f"{node_id}: expected an operating system of Patch Manager, found {node.agent.platform_name!r}"
    if node.patch_manager_group not in (None, GROUP):
        yield (
            f"{node_id}: expected a node without a patch group, found it in {node.patch_manager_group!r}: its baseline"
            " and others' windows go by that tag; choose another"
        )


def _text(account: str, region: str, products: Sequence[str], *, rehearsal: bool) -> str:
    by_system: dict[str, list[str]] = defaultdict(list)
    for product in products:
        by_system[operating_system(product)].append(product)
    names = {system: f"{system.lower().replace('_', '-')}" for system in sorted(by_system)}
    policy = {
        "version": 1,
        "deployment": GROUP,
        "mode": "observe",
        "pilot": True,
        **({} if rehearsal else {"endpoint": "aws"}),
        "tags": {"patch_group": TAG},
        "locations": [{"account": account, "region": region}],
        "rings": [{"name": "pilot"}],
        "baselines": [
            {"name": name, "os": system, "rules": [_rule(system, by_system[system])]} for system, name in names.items()
        ],
        "patch_groups": [{"name": GROUP, "ring": "pilot", "baselines": list(names.values()), "products": products}],
        "windows": [
            {
                "name": "scan-daily",
                "operation": "scan",
                "schedule": "cron(0 1 * * ? *)",
                "duration_hours": 2,
                "cutoff_hours": 1,
                "patch_groups": [GROUP],
                "concurrency": 1,
                "errors": 0,
                "reboot": "never",
            }
        ],
        "operations_bucket": "sluice-operations-{account}-{region}",
        **({"timing": {"poll_seconds": 2, "poll_at_most_seconds": 5}} if rehearsal else {}),
    }
    head = [
        "A pilot: it scans, and installs nothing. docs/first-scan.md says how to go on.",
        "Which nodes it scans is decided by their tag alone: at most five, and nobody else's.",
        *(
            [
                "A rehearsal: without `endpoint: aws` boto3's own configuration decides who is asked, and as the lab's",
                "clock is moved by hand, a release looks at it every few seconds.",
            ]
            if rehearsal
            else []
        ),
    ]
    return "".join(f"# {line}\n" for line in head) + "\n" + yaml.safe_dump(policy, sort_keys=False, width=110)


def _rule(system: str, products: Sequence[str]) -> dict[str, object]:
    """Security patches at once, in the words of the operating system; CentOS says of no package that it is one."""
    if not OperatingSystem(system).has_delay:
        return {"product": sorted(map(filter_product, products)), "compliance": "HIGH"}
    if system == OperatingSystem.CENTOS:
        return {"non_security": True, "approve_after_days": 0, "compliance": "MEDIUM"}
    classification = "SecurityUpdates" if system == OperatingSystem.WINDOWS else "Security"
    return {"classification": classification, "approve_after_days": 0, "compliance": "HIGH"}
