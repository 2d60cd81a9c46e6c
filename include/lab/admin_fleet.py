"""The admin API's page about nodes: what they are and in which state, and how to break and mend them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lab.admin import MAX_PAGE, Refusal, Request, Route, checked
from lab.clock import stamp
from lab.commands import node_reachable
from lab.world import AgentState, Lab, Location, Node, NodeFaults

Found = tuple[Location, Node]


class Match(BaseModel):
    """Which nodes: every given part must fit; `{}` means all."""

    model_config = ConfigDict(extra="forbid")

    node_ids: list[str] | None = None
    account: str | None = None
    region: str | None = None
    group: str | None = None
    product: str | None = None
    agent: AgentState | None = None
    tags: dict[str, str] = Field(default_factory=dict)

    def fits(self, location: Location, node: Node) -> bool:
        """Whether a node is meant."""
        plain = (
            (self.account, node.account),
            (self.region, node.region),
            (self.product, node.product),
            (self.agent, node.agent),
        )
        return (
            (self.node_ids is None or node.node_id in self.node_ids)
            and all(wanted is None or wanted == found for wanted, found in plain)
            and (self.group is None or location.patch_group(node.node_id) == self.group)
            and (not self.tags or self.tags.items() <= location.tags(node.node_id).items())
        )


class Failures(BaseModel):
    """What goes wrong on a node, as `lab.world.NodeFaults` has it."""

    model_config = ConfigDict(extra="forbid")

    install_failure: float = Field(default=0.0, ge=0, le=1)
    reboot_never_returns: bool = False
    hang: bool = False
    exit_codes: dict[str, int] = Field(default_factory=dict)


class Change(BaseModel):
    """What becomes of the nodes; a part not given stays as it is. `faults: null` takes them away."""

    model_config = ConfigDict(extra="forbid")

    agent: AgentState | None = None
    faults: Failures | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(f"expected at least one of {sorted(type(self).model_fields)}")
        return self


class FleetChange(BaseModel):
    """The body of a PATCH."""

    model_config = ConfigDict(extra="forbid")

    match: Match
    set: Change


def routes(lab: Lab) -> Mapping[str, Mapping[str, Route]]:
    """The page, over one lab."""
    return {
        "/lab/fleet": {
            "GET": Route(
                "nodes and their states: ?account=&region=&group=&product=&agent=&limit=100&offset=0",
                lambda request: _listed(lab, request),
            ),
            "PATCH": Route(
                'change nodes: {"match": {"node_ids", "account", "region", "group", "product", "agent", "tags"},'
                ' "set": {"agent", "faults"}}',
                lambda request: _changed(lab, request),
            ),
        }
    }


def _listed(lab: Lab, request: Request) -> Any:
    parts = ("account", "region", "group", "product", "agent")
    request.known(*parts, "limit", "offset")
    limit, offset = request.page()
    match = checked(Match, {name: request.query[name] for name in parts if name in request.query})
    found = list(_nodes(lab, match))
    shown = [_shown(location, node) for location, node in found[offset : offset + limit]]
    more = offset + len(shown) < len(found)
    return {"total": len(found), "nodes": shown, "next_offset": offset + len(shown) if more else None}


def _nodes(lab: Lab, match: Match) -> Iterator[Found]:
    for location in lab.locations():
        for node in list(location.nodes.values()):
            if match.fits(location, node):
                yield location, node


def _shown(location: Location, node: Node) -> dict[str, Any]:
    result = node.result
    return {
        "node_id": node.node_id,
        "name": node.name,
        "account": node.account,
        "region": node.region,
        "product": node.product,
        "group": location.patch_group(node.node_id),
        "tags": location.tags(node.node_id),
        "agent": node.agent,
        "running": location.running(node),
        "reachable": location.reachable(node),
        "pending_reboot": bool(node.pending),
        "rebooting_until": stamp(node.rebooting_until) if node.rebooting_until else None,
        "booted_at": stamp(node.booted_at),
        "faults": _failures(node.faults),
        "last_operation": result.operation if result else None,
        "last_operation_at": stamp(result.ended) if result else None,
        "patch_states": dict(result.counts()) if result else {},
    }


def _failures(faults: NodeFaults | None) -> dict[str, Any] | None:
    if faults is None:
        return None
    return {name: getattr(faults, name) for name in Failures.model_fields}


def _changed(lab: Lab, request: Request) -> Any:
    change = request.checked(FleetChange)
    found = list(_nodes(lab, change.match))
    if not found:
        raise Refusal(
            404, f"no node matches {change.match.model_dump(exclude_defaults=True)}; GET /lab/fleet lists them"
        )
    for location, node in found:
        _apply(location, node, change.set)
    return {"changed": len(found), "node_ids": [node.node_id for _, node in found[:MAX_PAGE]]}


def _apply(location: Location, node: Node, change: Change) -> None:
    if "faults" in change.model_fields_set:
        node.faults = NodeFaults(**change.faults.model_dump()) if change.faults else None
    if change.agent is not None:
        _set_agent(location, node, change.agent)


def _set_agent(location: Location, node: Node, agent: AgentState) -> None:
    if location.reachable(node) and agent is not AgentState.ONLINE:
        node.last_ping = location.lab.clock.now()
    node.agent = agent
    if agent is AgentState.ONLINE:
        if node.lost_for_good:
            # Someone went there and mended it: a node whose reboot never returned is back.
            node.lost_for_good, node.rebooting_until = False, None
            node.booted_at, node.pending = location.lab.clock.now(), frozenset()
        if location.reachable(node):
            node_reachable(location, node.node_id)
