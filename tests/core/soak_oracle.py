"""Judges of a history: by its journal and its looks, without a line of the ledger.

requested   every item had been on non-production for the days that its severity demands, on enough nodes
healthy     and had stayed there at every look since, on nodes that were looked at for long enough
void        and does not fail on more than the ring allows
struck      and was not recalled
covered     or an expedite that was asked for, or a waiver that holds, lists it
named       whatever else came to production by a release was named
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from soak_history import History, Released, Truth, at

from sluice.core.release.manifest import Item

FRESH = 36.0
"""Hours for which evidence counts as fresh: the default of the policy's gate."""


def judge(history: History, tally: Counter[str]) -> Iterator[str]:
    """Everything that is wrong with a history, in words; what was looked at is counted."""
    for released in history.released:
        tally["releases"] += 1
        for item in released.manifest.items:
            tally[f"items by {item.covered}"] += 1
            yield from (f"{item.id} {item.title}: {why}" for why in _item(history, released, item, tally))
        yield from _named(history, released, tally)
        tally["waiting"] += len(released.manifest.waits)
        for wait in released.manifest.waits:
            tally[f"waits: {wait.status}"] += 1

    for node, hour, told in history.scans:
        yield from _scanned(history, node, hour, {one.id for one in told}, tally)


def _scanned(history: History, node: str, hour: float, told: set[str], tally: Counter[str]) -> Iterator[str]:
    """Whether a scan tells of everything that has come to a production node since the last look, and had not soaked."""
    looks = [look for look in history.looks[node] if look < hour]
    if not looks:
        return
    before, now = _truth(history, node, max(looks)), _truth(history, node, hour)
    for name, number in now.has.items():
        known = history.windows and any(_truth(history, node, look).has[name] for look in looks)
        if number <= before.has[name] or known or _was_there(history, node, name, number, hour):
            continue
        package = history.packages[name]
        if package.security and name not in now.waits and package.newest(hour).number > number:
            tally["hidden by a newer version that is missing"] += 1  # AWS shows the newer one, and not what is there
            continue
        tally["versions that came between looks"] += 1
        if not _on_nonprod(history, name, number, hour):
            tally["unsoaked arrivals"] += 1
            if name not in told:
                yield f"{name} {number} came to {node} before {hour} without soak, and nobody is told"


def _on_nonprod(history: History, name: str, number: int, hour: float) -> bool:
    """Whether enough nodes of non-production have had it early enough."""
    ring = history.policy.rings[1]
    assert ring.soak is not None
    version = next(one for one in history.packages[name].versions if one.number == number)
    days = 24.0 * ring.soak.for_severity(version.severity.lower())
    return (
        sorted(_first_had(history, node, name, number) for node in history.journal)[ring.min_nodes - 1] + days <= hour
    )


def _item(history: History, released: Released, item: Item, tally: Counter[str]) -> Iterator[str]:
    name, number = item.id, _number(history, item, released.made)
    recalled = {patch for patch in released.recalls if patch in (name, f"{name}:{number}")}
    if recalled:
        yield f"was recalled: {recalled}"
    if item.covered == "expedite":
        if name not in released.asked.expedite:
            yield "nobody expedites it"
        return
    if item.covered == "waiver":
        if not _waived(history, name, released.made):
            yield "no waiver lists it on that day"
        return
    ring = history.policy.rings[1]
    assert ring.soak is not None
    version = next(one for one in history.packages[name].versions if one.number == number)
    days = 24.0 * ring.soak.for_severity(version.severity.lower())
    starts = sorted(_first_had(history, node, name, number) for node in history.journal)
    if starts[ring.min_nodes - 1] + days > released.made:
        yield f"{ring.min_nodes} nodes of non-production had it from {starts[ring.min_nodes - 1]}, needed {days} h"
    kept = sum(_kept(history, node, name, number, days, released.made) for node in history.journal)
    if kept < ring.min_nodes:
        yield f"only {kept} nodes of non-production kept it for {days} h, {ring.min_nodes} are needed"
    if _fails(history, name, number, ring.max_failure_percent, released.made):
        yield "it fails on more nodes than the ring allows"
    tally["items that needed no reboot"] += _needed_none(history, item)
    if version.number < max(one.number for one in history.packages[name].versions if one.published <= released.made):
        tally["items with a newer version out"] += 1


def _needed_none(history: History, item: Item) -> bool:
    return any(row.needless and (row.id, row.title) == (item.id, item.title or row.title) for row in history.rows)


def _number(history: History, item: Item, hour: float) -> int:
    """The version that an item requests; of a KB the issue that nodes get."""
    if not history.windows:
        return int(item.title.rpartition(":")[2])
    return max(one.number for one in history.packages[item.id].versions if one.published <= hour)


def _waived(history: History, name: str, hour: float) -> bool:
    return any(
        at(hour).date() <= waiver.expires and name in (*waiver.patches, *waiver.packages)
        for waiver in history.policy.exceptions
    )


def _has(history: History, truth: Truth, name: str, number: int) -> bool:
    """Whether a node was of non-production then, and had that very version working."""
    own = truth.has[name] == number and name not in truth.pending
    return truth.alive and truth.ring == "nonprod" and own


def _first_had(history: History, node: str, name: str, number: int) -> float:
    for truth in history.journal[node]:
        if _has(history, truth, name, number):
            # What is there on the first day counts since its image was built.
            return history.images[node] if truth.hour == -1000 else truth.hour
    return 1e9


def _kept(history: History, node: str, name: str, number: int, days: float, hour: float) -> bool:
    """Whether a node had the version, and at each look since that or a newer one, for long enough.

    A node that was put back and is offered a newer version than this one shows the newer one missing, as it did
    before: no row of AWS's tells that it was put back. Such a look is taken as one that says nothing.
    """
    looks = sorted(look for look in history.looks[node] if look <= hour)
    for place, look in enumerate(looks):
        if not _has(history, _truth(history, node, look), name, number):
            continue
        first = min(looked for all_looks in history.looks.values() for looked in all_looks)
        began = _first_had(history, node, name, number) if look == first else look
        until = _until(history, node, name, number, looks[place:])
        if began + days <= min(hour, until + FRESH):
            return True
    return False


def _until(history: History, node: str, name: str, number: int, looks: list[float]) -> float:
    """The last of the looks at which the node was not seen without the version, or another ring's."""
    last = looks[0]
    for look in looks:
        now = _truth(history, node, look)
        lost = now.has[name] != number if history.windows else now.has[name] < number
        hidden = not history.windows and history.packages[name].newest(look).number > number
        if now.ring != "nonprod" or (lost and not hidden):
            return last
        last = look
    return last


def _truth(history: History, node: str, hour: float) -> Truth:
    return max((truth for truth in history.journal[node] if truth.hour <= hour), key=lambda truth: truth.hour)


def _fails(history: History, name: str, number: int, most: float, hour: float) -> bool:
    """Whether so many nodes failed to install it that no counting of successes makes up for it: non-production's."""
    failed, had = set(), set()
    for attempt in sorted(history.attempts, key=lambda one: one.hour):
        if attempt.hour > hour or attempt.package != name or attempt.number != number:
            continue
        ring = _truth(history, attempt.node, attempt.hour).ring
        if attempt.failed:
            seen = any(0 <= look - attempt.hour <= 0.21 for look in history.looks[attempt.node] if look <= hour)
            if seen and ring == "nonprod" and history.packages[name].newest(attempt.hour + 0.2).number == number:
                failed.add(attempt.node)
        else:
            failed.discard(attempt.node)
            if ring == "nonprod":
                had.add(attempt.node)
    return len(failed) * 100 > most * len(failed | had)


def _named(history: History, released: Released, tally: Counter[str]) -> Iterator[str]:
    """Whether everything that a release brought and had not soaked, nor was requested, is told of."""
    if released.opened is None or not released.read:
        return
    told = {(one.node, one.id): one.cause for one in released.arrivals}
    ids = {item.id for item in released.manifest.items}
    for node, name, number in released.came:
        truth = _truth(history, node, released.opened + 0.5)
        if truth.has[name] != number:
            continue
        tally["versions that came"] += 1
        if _requested(history, released, name, number) or (name in ids and name in truth.waits):
            continue
        soaked = _on_nonprod(history, name, number, released.opened)
        if soaked or _was_there(history, node, name, number, released.opened):
            continue
        tally["unsoaked arrivals"] += 1
        if (node, name) not in told:
            yield f"{name} {number} came to {node} without soak, and nobody is told"


def _requested(history: History, released: Released, name: str, number: int) -> bool:
    if history.windows:
        issue = max(one.number for one in history.packages[name].versions if one.published <= released.made)
        return number == issue and any(item.id == name for item in released.manifest.items)
    return any(item.title == f"{name}:{number}" for item in released.manifest.items)


def _was_there(history: History, node: str, name: str, number: int, hour: float) -> bool:
    """Whether the node had shown that version before, so that nothing new came."""
    return any(_truth(history, node, look).has[name] == number for look in history.looks[node] if look < hour)
