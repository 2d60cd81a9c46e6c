"""Which nodes may lack something of what a release requests: without any there is nothing to install.

A node needs nothing where its last results show each of the patches installed, in that very version, or do not show it
at all. Everything else may be a need: a row that does not tell its version, a reboot that is waited for, a node that
nobody has looked at lately.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from sluice.core.release.manifest import Manifest
from sluice.core.sighted import ABSENT, Sighted, title_of


def may_lack(
    made: Manifest, products: Mapping[str, str], sightings: Iterable[Sighted], since: datetime
) -> tuple[str, ...]:
    """The nodes, of those in `products` (OS product as the policy lists it, by node), that may lack an item. Pure.

    Results from before `since` (UTC) are too old to tell.
    """
    titles: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for item in made.items:
        titles[item.product][item.id].add(item.title)
    return tuple(
        node
        for node, rows in sorted(_last_looks(sightings, products).items())
        if not rows or rows[0].until < since or any(_is_needed(row, titles[products[node]].get(row.id)) for row in rows)
    )


def _is_needed(row: Sighted, wanted: set[str] | None) -> bool:
    """Whether a row says, or leaves open, that one of the wanted versions of its package is not there."""
    if not wanted or row.state == ABSENT:
        return False
    return row.shown != "installed" or wanted != {title_of(row)}


def _last_looks(sightings: Iterable[Sighted], nodes: Iterable[str]) -> dict[str, list[Sighted]]:
    """What each node showed when it was looked at last; nothing where it never was."""
    found: dict[str, list[Sighted]] = {node: [] for node in nodes}
    for row in sightings:
        rows = found.get(row.node)
        if rows is None:
            continue
        if rows and rows[0].until < row.until:
            rows.clear()
        if not rows or rows[0].until == row.until:
            rows.append(row)
    return found
