"""The updates of one Windows product: what Windows Update offers a node at any moment.

A later instalment takes the earlier one's place: "only the most recent update is displayed as
available" (UG:patch-manager-how-it-works-selection), so an approval delay that is longer than the
month between two cumulative updates approves none of them. Updates of an application are offered only
where the application is, which the update that its image came with shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from lab.evaluate import Evr, WindowsPatch
from lab.os_products import OSProduct
from lab.package_state import Installed, PackageState
from lab.releases import Update

SELF_UPDATING = frozenset({"security-intelligence"})
"""Lines that the OS itself keeps at their latest issue: installed once, always up to date."""


class WindowsRepository:
    """The updates of one product by KB."""

    def __init__(self, product: OSProduct, updates: Iterable[Update]) -> None:
        self.product = product
        self._by_kb = {update.kb: update for update in updates}

    def moments(self) -> set[datetime]:
        """When something is issued or withdrawn."""
        return {moment for update in self._by_kb.values() for moment in update.moments()}

    def approval_dates(self) -> set[datetime]:
        """The dates that an approval delay can count from."""
        return {issue for update in self._by_kb.values() for issue in update.issues}

    def view(self, state: PackageState, now: datetime) -> tuple[WindowsPatch, ...]:
        """The updates that a node in `state` has or is offered at `now`, by KB."""
        latest = self._latest(now)
        lines = {self._by_kb[kb].line for kb in state if kb in self._by_kb}
        seen = []
        for kb, update in sorted(self._by_kb.items()):
            issue = update.issued(now)
            has = state.get(kb)
            applies = update.patch_set == "OS" or update.line in lines
            if issue is not None and ((applies and latest.get(update.line) == kb) or has):
                seen.append(_patch(update, issue, has is not None and _current(update, has, issue)))
        return tuple(seen)

    def offered(self, now: datetime) -> tuple[WindowsPatch, ...]:
        """Every update that some node is offered at `now`, those of applications included, by KB."""
        seen = []
        for kb in sorted(self._latest(now).values()):
            issue = self._by_kb[kb].issued(now)
            if issue is not None:
                seen.append(_patch(self._by_kb[kb], issue, installed=False))
        return tuple(seen)

    def image(self, built: datetime, names: frozenset[str]) -> PackageState:
        """What an image of `built` has: the latest of each line of the OS and of the applications in `names`."""
        installed = {}
        for line, kb in self._latest(built).items():
            if self._by_kb[kb].patch_set == "OS" or line in names:
                installed[kb] = self.installed(kb, built)
        return PackageState.of(installed)

    def installed(self, kb: str, now: datetime) -> Installed:
        """What a state records of a KB that is installed at `now`: which issue, where there are several."""
        update = self._by_kb.get(kb)
        issue = None if update is None else update.issued(now)
        if update is None or issue is None or len(update.issues) == 1:
            return True
        return Evr(0, issue.date().isoformat(), "")

    def line(self, kb: str) -> str:
        """What a KB is an instalment of; empty for one that is not known."""
        update = self._by_kb.get(kb)
        return "" if update is None else update.line

    def add(self, update: Update) -> None:
        """Publish an update; an earlier one under the same KB is replaced."""
        self._by_kb[update.kb] = update

    def withdraw(self, kb: str, when: datetime) -> int:
        """Drop an update at `when`; answers how many were dropped."""
        update = self._by_kb.get(kb)
        if update is None or update.offered(when) is None:
            return 0
        update.withdrawn = when
        return 1

    def _latest(self, now: datetime) -> dict[str, str]:
        """The KB that stands for each line: the one issued last (of two on a day, the higher number)."""
        issued = [(issue, kb) for kb, update in self._by_kb.items() if (issue := update.offered(now)) is not None]
        return {self._by_kb[kb].line: kb for _, kb in sorted(issued)}


def _current(update: Update, has: Installed, issue: datetime) -> bool:
    if has is True or update.line in SELF_UPDATING:
        return True
    return has.version == issue.date().isoformat()


def _patch(update: Update, issue: datetime, installed: bool) -> WindowsPatch:
    return WindowsPatch(
        kb=update.kb,
        installed=installed,
        title=update.title,
        product=update.product,
        product_family=update.product_family,
        classification=update.classification,
        msrc_severity=update.msrc_severity,
        patch_set=update.patch_set,
        released=issue,
    )
