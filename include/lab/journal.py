"""What happened to the nodes, in the lab's own words: what was asked of them, what they installed, when they booted.

Patch states say what a node has now and of its last operation; this says everything that ever happened, so that
somebody who judges a release need not believe its own report. Scans change nothing and are not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lab.clock import stamp
from lab.evaluate import Evr
from lab.world import Lab, Location, Node

Version = str
"""`epoch:version-release` of a package; empty for a Windows update, which has none."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened to one node: an install or a boot."""

    at: datetime
    kind: str
    """`install` or `boot`."""
    account: str
    region: str
    node_id: str
    name: str
    product: str
    """OS product key of the lab."""
    group: str | None
    """The node's patch group at that time."""
    command_id: str = ""
    execution_id: str = ""
    """The window's execution that the command belongs to; empty for a command of its own."""
    window: str = ""
    """That window's name."""
    override: str = ""
    """The install override list that the command named."""
    requested: tuple[tuple[str, Version], ...] = ()
    """What the install asked the package manager for: id (`name.arch` or KB) and version."""
    installed: tuple[tuple[str, Version], ...] = ()
    """What is new on the node, dependencies included."""
    failed: tuple[str, ...] = ()
    """Requested ids whose install failed."""
    needs_reboot: tuple[str, ...] = ()
    """Installed ids that take effect with the next boot only."""

    def shown(self) -> dict[str, Any]:
        """As the admin API answers it."""
        return {
            "at": stamp(self.at),
            **{name: getattr(self, name) for name in _PLAIN},
            "requested": [list(one) for one in self.requested],
            "installed": [list(one) for one in self.installed],
            "failed": list(self.failed),
            "needs_reboot": list(self.needs_reboot),
        }


_PLAIN = (
    "kind", "account", "region", "node_id", "name", "product", "group", "command_id", "execution_id", "window",
    "override",
)  # fmt: skip


def version_text(evr: Evr | None) -> Version:
    """A version as the journal writes it."""
    return "" if evr is None else f"{evr.epoch}:{evr.version}-{evr.release}"


def note_install(
    location: Location,
    node: Node,
    *,
    command_id: str,
    override: str,
    requested: Iterable[tuple[str, Evr | None]],
    changes: Mapping[str, Evr | None],
    failed: Iterable[str],
) -> None:
    """Note an install as its package manager ends, before any reboot."""
    lab = location.lab
    execution_id, window = _execution(location, command_id)
    lab.journal.append(
        Entry(
            at=lab.clock.now(),
            kind="install",
            account=location.account,
            region=location.region,
            node_id=node.node_id,
            name=node.name,
            product=node.product,
            group=location.patch_group(node.node_id),
            command_id=command_id,
            execution_id=execution_id,
            window=window,
            override=override,
            requested=tuple((key, version_text(evr)) for key, evr in requested),
            installed=tuple((key, version_text(evr)) for key, evr in changes.items()),
            failed=tuple(sorted(failed)),
            needs_reboot=tuple(key for key in changes if lab.repositories.needs_reboot(node.product, key)),
        )
    )


def note_boot(location: Location, node: Node) -> None:
    """Note that a node is back from a reboot."""
    location.lab.journal.append(
        Entry(
            at=location.lab.clock.now(),
            kind="boot",
            account=location.account,
            region=location.region,
            node_id=node.node_id,
            name=node.name,
            product=node.product,
            group=location.patch_group(node.node_id),
        )
    )


def packages_of(lab: Lab, node: Node) -> dict[str, Any]:
    """What a node has installed now, as the admin API answers it; `image_built` dates what came with its image."""
    installed = ((key, node.packages.get(key)) for key in sorted(node.packages.keys()))
    return {
        "node_id": node.node_id,
        "name": node.name,
        "product": node.product,
        "account": node.account,
        "region": node.region,
        "image_built": stamp(node.image_built) if node.image_built else None,
        "packages": [[key, version_text(has if isinstance(has, Evr) else None)] for key, has in installed],
        "installed_at": {key: stamp(when) for key, when in node.installed_at.items()},
        "pending_reboot": sorted(node.pending),
    }


def _execution(location: Location, command_id: str) -> tuple[str, str]:
    """Id and window's name of the running execution that sent a command; empty for none."""
    for execution_id, run in location.runs.items():
        for task in run.record.tasks:
            if any(one.execution_id == command_id for one in task.invocations):
                return execution_id, run.window.name
    return "", ""
