"""Lanes: the way of one kind of node through the rings, by the windows that install on it.

A lane is what OS products have in common that pass the same windows under the same baselines: an AWS
account may have five products of Windows, and one lane for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sluice.core.os_product import operating_system, overlap
from sluice.core.policy.baselines import Baseline, OperatingSystem, PatchGroup
from sluice.core.policy.policy import Policy
from sluice.core.policy.rings import Ring
from sluice.core.policy.slots import groups_of
from sluice.core.policy.windows import Window


@dataclass(frozen=True, slots=True)
class Stop:
    """An install window on the way, and the baseline of the nodes that it patches there."""

    window: Window
    baseline: Baseline


@dataclass(frozen=True, slots=True)
class Stage:
    """A ring on the way; without a stop nothing patches these nodes there."""

    ring: Ring
    stops: tuple[Stop, ...]


@dataclass(frozen=True, slots=True)
class Lane:
    """A way through all rings of the policy, in their order."""

    os: OperatingSystem
    products: tuple[str, ...]
    stages: tuple[Stage, ...]


def lanes(policy: Policy) -> tuple[Lane, ...]:
    """Every lane of the policy, those of one operating system together."""
    products = sorted({product for group in policy.patch_groups for product in group.products})
    found: dict[tuple[object, ...], Lane] = {}
    for product in products:
        stages = tuple(Stage(ring, tuple(_stops(policy, ring, product))) for ring in policy.rings)
        if any(stage.stops for stage in stages):
            os = OperatingSystem(operating_system(product))
            key = (os, *((stop.window.name, stop.baseline.name) for stage in stages for stop in stage.stops))
            earlier = found[key].products if key in found else ()
            found[key] = Lane(os, (*earlier, product), stages)
    return tuple(found.values())


def _stops(policy: Policy, ring: Ring, product: str) -> Iterator[Stop]:
    baselines = {baseline.name: baseline for baseline in policy.baselines}
    seen = set()
    for window in policy.windows:
        for group in groups_of(policy, window) if window.installs else ():
            if group.ring == ring.name and any(overlap(product, own) for own in group.products):
                baseline = _baseline(group, product, baselines)
                if baseline is not None and (window.name, baseline.name) not in seen:
                    seen.add((window.name, baseline.name))
                    yield Stop(window, baseline)


def _baseline(group: PatchGroup, product: str, baselines: dict[str, Baseline]) -> Baseline | None:
    os = operating_system(product)
    own = (baselines[name] for name in group.baselines if name in baselines)
    return next((baseline for baseline in own if baseline.os == os), None)
