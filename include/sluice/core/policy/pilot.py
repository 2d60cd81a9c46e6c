"""The pilot: a policy that scans at most five nodes and changes nothing on them. Pure.

Its nodes have a patch group of their own, which serves nobody else, and nothing in it can install: `mode` is
`observe`, its only window scans, and its ring is not production.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import yaml

from sluice.core.errors import SluiceError
from sluice.core.node import GROUP_KEYS, Node
from sluice.core.os_product import operating_system
from sluice.core.policy.baselines import OperatingSystem
from sluice.core.policy.patch_filters import filter_product

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
    strangers = sorted(node.id for node in known.values() if _group(node) == GROUP and node.id not in ids)
    if strangers:
        problems.append(f"{', '.join(strangers)}: expected no other node in {GROUP}: name it too, or remove its tag")
    if problems:
        raise SluiceError("\n".join(["these nodes are none for a pilot; nothing was written", *problems]))
    products = sorted({product for node_id in ids if (product := known[node_id].product)})
    return _text(account, region, products, rehearsal=rehearsal)


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
    if _group(node) not in (None, GROUP):
        yield (
            f"{node_id}: expected a node without a patch group, found it in {_group(node)!r}: its baseline and others'"
            " windows go by that tag; choose another"
        )


def _group(node: Node) -> str | None:
    return next((node.tags[key] for key in GROUP_KEYS if node.tags.get(key)), None)


def _text(account: str, region: str, products: Sequence[str], *, rehearsal: bool) -> str:
    by_system: dict[str, list[str]] = defaultdict(list)
    for product in products:
        by_system[operating_system(product)].append(product)
    names = {system: f"{system.lower().replace('_', '-')}" for system in sorted(by_system)}
    policy = {
        "version": 1,
        "deployment": GROUP,
        "mode": "observe",
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
    }
    head = [
        "A pilot: it scans, and installs nothing. docs/first-scan.md says how to go on.",
        "Which nodes it scans is decided by their tag alone: at most five, and nobody else's.",
        *(
            ["A rehearsal: without `endpoint: aws` boto3's own configuration decides who is asked."]
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
