"""Patch groups and rings: what serves them, what reaches them, where their patches soak."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations

from sluice.core.os_product import operating_system, overlap
from sluice.core.policy.baselines import PatchGroup
from sluice.core.policy.lint.subject import WINDOWS_OS, Found, Subject
from sluice.core.policy.rings import SEVERITIES, Ring
from sluice.core.yaml_text import Path


def check(subject: Subject) -> Iterator[Found]:
    """Every patch group and ring."""
    for index, group in enumerate(subject.policy.patch_groups):
        at: Path = ("patch_groups", index)
        yield from _baselines(subject, group, at)
        yield from _overlapping_products(group, at)
        yield from _twins(subject, group, at)
        yield from _reached(subject, index, group)
    for index, baseline in enumerate(subject.policy.baselines):
        if not subject.groups_of_baseline[baseline.name] and not baseline.default:
            yield Found(
                "P105",
                ("baselines", index),
                f"expected a patch group with the baseline {baseline.name}, found none: name it in a group's "
                "baselines, or remove it",
            )
    yield from _production(subject)
    for index, ring in enumerate(subject.policy.rings):
        yield from _ring(subject, ring, ("rings", index))


def _baselines(subject: Subject, group: PatchGroup, at: Path) -> Iterator[Found]:
    serving: dict[str, str] = {}
    for number, name in enumerate(group.baselines):
        system = subject.baselines[name].os
        if system in serving:
            yield Found(
                "P151",
                (*at, "baselines", number),
                f"expected one baseline of {system} in a patch group, found {serving[system]} and {name}: keep one",
            )
        serving.setdefault(system, name)
    systems = {operating_system(product) for product in group.products}
    for number, product in enumerate(group.products):
        if (os := operating_system(product)) not in serving:
            yield Found(
                "P152",
                (*at, "products", number),
                f"expected a baseline of {os} for {product}, found {', '.join(group.baselines)}: add one, or its nodes "
                "fall on AWS's default baseline without a word",
            )
    for number, name in enumerate(group.baselines):
        if subject.baselines[name].os not in systems:
            yield Found(
                "P153",
                (*at, "baselines", number),
                f"expected an OS product of {subject.baselines[name].os} in the group, which has the baseline {name}, "
                "found none: add its products, or remove the baseline",
            )


def _overlapping_products(group: PatchGroup, at: Path) -> Iterator[Found]:
    for (_, one), (number, other) in combinations(enumerate(group.products), 2):
        if overlap(one, other):
            yield Found(
                "P167",
                (*at, "products", number),
                f"expected each node in one slot, found {one} and {other}, which both mean some: keep one",
            )


def _twins(subject: Subject, group: PatchGroup, at: Path) -> Iterator[Found]:
    ring = subject.rings[group.ring]
    before = subject.ring_before(ring.name)
    if not ring.production or before is None:
        return
    soaking = [p for other in subject.policy.patch_groups if other.ring == before.name for p in other.products]
    for number, product in enumerate(group.products):
        if not any(overlap(product, other) for other in soaking):
            yield Found(
                "P165",
                (*at, "products", number),
                f"expected {product} in a patch group of ring {before.name} too, found none: add nodes of it there, "
                f"or nothing ever soaks for it and these nodes are never admitted to a release",
            )


def _reached(subject: Subject, index: int, group: PatchGroup) -> Iterator[Found]:
    reaching = subject.reaching.get(group.name, [])
    installing = [(number, window) for number, window in reaching if window.installs]
    at: Path = ("patch_groups", index)
    if not reaching:
        yield Found(
            "P154",
            at,
            f"expected a window for the patch group {group.name}, found none: name it in a window's patch_groups",
        )
        return
    if len(installing) == len(reaching):
        yield Found(
            "P156",
            at,
            f"expected a scan window for the patch group {group.name}, found installs only ({installing[0][1].name}): "
            "add one, since what is missing on its nodes is known from scans",
        )
    if not installing and subject.policy.mode == "release":
        yield Found(
            "P155",
            at,
            f"expected an install window for the patch group {group.name}, found scans only ({reaching[0][1].name}): "
            "add one, or waive this for nodes that something else patches",
        )
    if len(installing) > 1:
        names = " and ".join(window.name for _, window in installing)
        yield Found(
            "P157",
            ("windows", installing[-1][0], "patch_groups"),
            f"expected the patch group {group.name} in one install window, found it in {names}: let one of them "
            "replace the other (`replaces`), or take the group out of one",
        )


def _production(subject: Subject) -> Iterator[Found]:
    """Whether anything is gated where anything may install. Production rings come last: P027."""
    rings = subject.policy.rings
    if subject.policy.mode != "release" or rings[-1].production:
        return
    last = rings[-1].name
    if len(rings) > 1:
        yield Found(
            "P160",
            ("rings", len(rings) - 1),
            f"expected `production: true` in the last ring, found it in none ({', '.join(one.name for one in rings)}): "
            f"{last} would be patched without soak, manifest and gate; mark it production, with its soak, or put its "
            "patch groups into one ring with the others if nothing of this policy is production",
        )
    else:
        yield Found(
            "P161",
            ("rings", 0),
            f"expected a production ring after {last}, found none: its windows install without soak, manifest and "
            "gate; add one if any of its nodes are production, or waive this",
        )


def _ring(subject: Subject, ring: Ring, at: Path) -> Iterator[Found]:
    if not any(group.ring == ring.name for group in subject.policy.patch_groups):
        yield Found(
            "P106", at, f"expected patch groups in the ring {ring.name}, found none: add some, or remove the ring"
        )
    if ring.soak is None:
        return
    if ring.max_wait_days < ring.soak.longest:
        yield Found(
            "P166",
            (*at, "max_wait_days"),
            f"expected at least {ring.soak.longest} days, the longest soak, found {ring.max_wait_days}: patches are "
            "reported as waiting too long while they still soak; raise it",
        )
    for severity in SEVERITIES:
        own = getattr(ring.soak, severity)
        if own is not None and own.days < ring.soak.days and not own.agreed_by:
            yield Found(
                "P164",
                (*at, "soak", severity),
                f"expected agreed_by where {severity} patches soak less than the {ring.soak.days} days of the others, "
                f"found {own.days} days and nobody: write who agreed, when and why",
            )
    if ring.production and ring.soak.days == 0:
        yield Found(
            "P164",
            (*at, "soak"),
            f"expected patches to soak before they reach {ring.name}, found 0 days: give it some",
        )


def platform_windows(subject: Subject) -> Iterator[Found]:
    """Groups of Linux and Windows under a window that is for one of them, by its name or its other groups."""
    for index, window in subject.installs:
        groups = subject.reach[index]
        meant = _meant(window.name) or _platform_of_others(groups)
        for group in groups:
            found = _platforms(group)
            if len(found) > 1 and meant:
                yield Found(
                    "P158",
                    ("windows", index, "patch_groups"),
                    f"expected patch groups of {meant} in the window {window.name}, found {group.name}, which has "
                    "Linux and Windows: split the group in two, since its other nodes are patched at a time that is "
                    "not theirs",
                )


def _meant(name: str) -> str | None:
    words = set(re.split(r"[-.]", name))
    if {"linux", "windows"} <= words:
        return None
    return next((platform for platform in ("Linux", "Windows") if platform.lower() in words), None)


def _platform_of_others(groups: tuple[PatchGroup, ...]) -> str | None:
    pure = [found for found in map(_platforms, groups) if len(found) == 1]
    together = set().union(*pure) if pure else set()
    return next(iter(together)) if len(together) == 1 else None


def _platforms(group: PatchGroup) -> set[str]:
    return {"Windows" if operating_system(product) == WINDOWS_OS else "Linux" for product in group.products}
