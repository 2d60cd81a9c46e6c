"""Evaluations of nodes against baselines, shared: fifty thousand nodes are in a few hundred states.

What a baseline makes of a node depends on the node's OS product and packages, the baseline, the
override list and the date. The date only matters when something is released or an approval delay runs
out, so an evaluation is kept until the next such moment.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lab.evaluate import Evr, Override, Package, Row, WindowsPatch, evaluate
from lab.evaluate.baseline import Baseline
from lab.evaluate.candidates import Approval
from lab.evaluate.managers import Manager
from lab.repositories import PackageState, Repositories


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A baseline as it was when a SnapshotId first met it; `body` is never changed."""

    baseline_id: str
    body: Mapping[str, Any]
    created: datetime


@dataclass(frozen=True, slots=True, eq=False)
class OverrideList:
    """An install override list as downloaded, once a command."""

    source: str
    patches: tuple[Override, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What a scan would report and an install would do, for every node in this state."""

    rows: tuple[Row, ...]
    changes: Mapping[str, Evr | None]
    """What an install brings, dependencies included, by id (Windows: KB to None)."""
    blocked: frozenset[str]
    """Requested ids that need a rejected package which the baseline blocks: their install fails."""


class Evaluations:
    """The cache. `of` answers from it or evaluates."""

    def __init__(self, repositories: Repositories) -> None:
        self._repositories = repositories
        self._bounds: dict[tuple[str, tuple[int, ...], int], list[datetime]] = {}
        self._known: dict[tuple[Any, ...], tuple[Evaluation, tuple[Any, ...]]] = {}

    def of(
        self,
        product_key: str,
        state: PackageState,
        snapshot: Snapshot,
        override: OverrideList | None,
        now: datetime,
    ) -> Evaluation:
        """The evaluation of a node of `product_key` in `state` at `now`."""
        serial = self._repositories.serial
        delays = _delays(snapshot.body)
        moment = bisect_right(self._moments(product_key, delays, serial), now)
        # A baseline's body is replaced, never changed, when the baseline is updated: its identity is its version.
        key = (product_key, id(state), id(snapshot.body), id(override), moment, serial)
        found = self._known.get(key)
        if found is None:
            # The objects whose identity is in the key are kept with it, so that no other takes their id.
            found = (self._evaluate(product_key, state, snapshot, override, now), (state, snapshot.body, override))
            if len(self._known) >= 20_000:
                self._known.clear()
            self._known[key] = found
        return found[0]

    def _moments(self, product_key: str, delays: tuple[int, ...], serial: int) -> list[datetime]:
        key = (product_key, delays, serial)
        if key not in self._bounds:
            released = set(self._repositories.moments(product_key))
            dated = self._repositories.approval_dates(product_key)
            # An approval is strictly before now minus the delay: it holds just after the moment.
            step = timedelta(microseconds=1)
            released |= {when + timedelta(days=days) + step for when in dated for days in delays}
            self._bounds[key] = sorted(released)
        return self._bounds[key]

    def _evaluate(
        self,
        product_key: str,
        state: PackageState,
        snapshot: Snapshot,
        override: OverrideList | None,
        now: datetime,
    ) -> Evaluation:
        product = self._repositories.product(product_key)
        packages = self._repositories.view(product_key, state, now)
        patches = None if override is None else override.patches
        rows = evaluate(product.operating_system, product.product, now, snapshot.body, patches, packages)
        plan = _Plan(self._repositories, product_key, state, packages)
        if override is None and snapshot.body.get("RejectedPatchesAction") == "BLOCK":
            plan.refuse(snapshot.body, now)
        for row in rows:
            if row.requested:
                plan.add(row)
        return Evaluation(tuple(rows), plan.changes, frozenset(plan.blocked))


class _Plan:
    """What an install brings: the requested rows, and each dependency that is missing or too old at its newest."""

    def __init__(
        self,
        repositories: Repositories,
        product_key: str,
        state: PackageState,
        packages: tuple[Package, ...] | tuple[WindowsPatch, ...],
    ) -> None:
        self._repositories = repositories
        self._product_key = product_key
        self._state = state
        self._packages = {package.key: package for package in packages if isinstance(package, Package)}
        self._approval: Approval | None = None
        self.changes: dict[str, Evr | None] = {}
        self.blocked: set[str] = set()

    def refuse(self, baseline: Mapping[str, Any], now: datetime) -> None:
        """Rejected packages are not even taken as dependencies (RejectedPatchesAction BLOCK)."""
        product = self._repositories.product(self._product_key)
        manager = Manager.of(product.operating_system, product.product)
        if manager is not Manager.WINDOWS_UPDATE:
            self._approval = Approval(Baseline(baseline, manager, now), manager, product.product)

    def add(self, row: Row) -> None:
        """Take a requested row with what it needs, or block it."""
        brought: dict[str, Evr | None] = {row.id: row.target}
        waiting: list[tuple[str, Evr | None]] = [(row.id, row.target)]
        while waiting:
            for needed, evr in self._needs(*waiting.pop()):
                if needed in brought:
                    continue
                if self._rejected(needed, evr):
                    self.blocked.add(row.id)
                    return
                brought[needed] = evr
                waiting.append((needed, evr))
        for key, version in brought.items():
            if key == row.id or key not in self.changes:
                self.changes[key] = version

    def _needs(self, key: str, evr: Evr | None) -> Iterator[tuple[str, Evr]]:
        """What must come with `key` at `evr`: it comes at any version that is new enough, so at the newest."""
        for needed, at_least in self._repositories.dependencies(self._product_key, key, evr):
            has = self._state.get(needed)
            package = self._packages.get(needed)
            if has is None or not self._repositories.satisfies(self._product_key, has, at_least):
                best = None if package is None else self._repositories.newest(self._product_key, package.versions)
                if best is not None:
                    yield needed, best

    def _rejected(self, key: str, evr: Evr) -> bool:
        return self._approval is not None and self._approval.rejects(self._packages[key], evr)


def _delays(baseline: Mapping[str, Any]) -> tuple[int, ...]:
    """The approval delays of a baseline's rules, in days."""
    rules = (baseline.get("ApprovalRules") or {}).get("PatchRules") or []
    return tuple(sorted({rule.get("ApproveAfterDays") or 0 for rule in rules}))
