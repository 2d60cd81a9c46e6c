"""The admin API's pages about what happened to the nodes: every install and boot, and what each node has now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.admin import Refusal, Request, Route
from lab.journal import Entry, packages_of
from lab.world import Lab

KINDS = ("install", "boot")
PARTS = ("kind", "account", "region", "group", "node_id", "product", "window")


def routes(lab: Lab) -> Mapping[str, Mapping[str, Route]]:
    """The pages, over one lab."""
    return {
        "/lab/journal": {
            "GET": Route(
                "every install and boot of a node, in order: ?kind=install|boot&account=&region=&group=&node_id="
                "&product=&window=&limit=100&offset=0",
                lambda request: _journal(lab, request),
            )
        },
        "/lab/packages": {
            "GET": Route(
                "what each node has installed now, and since when: ?limit=100&offset=0",
                lambda request: _packages(lab, request),
            )
        },
    }


def _journal(lab: Lab, request: Request) -> Any:
    request.known(*PARTS, "limit", "offset")
    kind = request.query.get("kind")
    if kind is not None and kind not in KINDS:
        raise Refusal(400, f"kind: expected one of {list(KINDS)}, found {kind!r}")
    wanted = {part: request.query[part] for part in PARTS if part in request.query}
    found: Sequence[Entry] = [
        entry for entry in lab.journal if all(getattr(entry, part) == value for part, value in wanted.items())
    ]
    shown, following = _page(request, found)
    return {"total": len(found), "entries": [entry.shown() for entry in shown], "next_offset": following}


def _packages(lab: Lab, request: Request) -> Any:
    request.known("limit", "offset")
    nodes = [node for location in lab.locations() for node in location.nodes.values()]
    shown, following = _page(request, nodes)
    return {"total": len(nodes), "nodes": [packages_of(lab, node) for node in shown], "next_offset": following}


def _page(request: Request, found: Sequence[Any]) -> tuple[Sequence[Any], int | None]:
    limit, offset = request.page()
    end = offset + limit
    return found[offset:end], end if end < len(found) else None
