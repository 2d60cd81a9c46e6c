"""A package's versions against a baseline: which it approves, and at which level.

Read in the 2021 payload: `patch_common/baseline.py` and `baseline_rule.py`, `patch_yum/yum_package.py`
(get_updated_time: the later of notice and build), `patch_apt/package_version.py` (no dates at all). yum
and dnf are taken together where only one of them could be meant: a notice of any kind counts as security,
and global filters bind an rpm baseline's rules but not its approved list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lab.evaluate.baseline import Baseline, plain
from lab.evaluate.managers import Manager
from lab.evaluate.model import Evr, Package, Version
from lab.evaluate.names import NameList, spellings
from lab.evaluate.versions import Key, deb_key, rpm_key

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version, where it stands in the order, and the rank of its level; rank None: not approved."""

    key: Key
    version: Version
    rank: int | None

    @property
    def preference(self) -> tuple[Any, ...]:
        """Newest first, of one version in several notices the one with the highest level.

        The rest only makes the choice independent of the order in which versions are given.
        """
        version, rank = self.version, -1 if self.rank is None else self.rank
        return self.key, rank, version.security_origin, version.priority or "", _details(version)


def _details(version: Version) -> tuple[Any, ...]:
    notice, evr = version.notice, version.evr
    if notice is None:
        return evr.version, evr.release, _NEVER
    described = (notice.classification or "", notice.severity or "", notice.cves)
    return evr.version, evr.release, notice.updated, notice.id, *described


class Approval:
    """A baseline's verdict on versions for one manager and product."""

    def __init__(self, baseline: Baseline, manager: Manager, product: str) -> None:
        self.baseline = baseline
        self.manager = manager
        self.product = plain(product)
        self.key = deb_key if manager.debian else rpm_key

    def candidates(self, package: Package) -> list[Candidate]:
        """Every version that the agent looks at with its verdict, in the order in which they are given."""
        rank = self._apt_rank if self.manager.debian else self._rpm_rank
        return [Candidate(self.key(version.evr), version, rank(package, version)) for version in self._known(package)]

    def _known(self, package: Package) -> Sequence[Version]:
        known = package.versions if self.manager.debian else _without_bare_twins(package.versions)
        if package.installed is None or not self.manager.judges_installed:
            return known
        here = self.key(package.installed)
        upward = [version for version in known if self.key(version.evr) >= here]
        if all(self.key(version.evr) != here for version in upward):
            upward.append(Version(package.installed, None, None, None, None, security_origin=False))
        return upward

    def rejects(self, package: Package, evr: Evr) -> bool:
        """Whether the rejected list names this version of a package."""
        rejected = self.baseline.rejected
        return bool(rejected) and rejected.fits(spellings(self.manager, package.name, package.arch, evr))

    def _rpm_rank(self, package: Package, version: Version) -> int | None:
        baseline, notice = self.baseline, version.notice
        if self._listed(baseline.rejected, package, version):
            return None
        security = notice is not None or not self.manager.tells_security
        described = (plain(notice.classification), plain(notice.severity)) if notice else (None, None)
        values = (self.product, *described)
        ranks = baseline.rule_ranks(values[: len(self.manager.keys)], security=security, dated=self._dated(version))
        if (security or baseline.approved_non_security) and self._approved(package, version):
            ranks.append(baseline.approved_rank)
        return max(ranks, default=None)

    def _apt_rank(self, package: Package, version: Version) -> int | None:
        baseline, security = self.baseline, version.security_origin
        values = (self.product, plain(version.priority), plain(version.section))
        if not baseline.allows(values) or self._listed(baseline.rejected, package, version):
            return None
        ranks = baseline.rule_ranks(values, security=security, dated=None)
        if (security or baseline.approved_non_security) and self._listed(baseline.approved, package, version):
            ranks.append(baseline.approved_rank)
        return max(ranks, default=None)

    def _dated(self, version: Version) -> datetime | None:
        """From when a delay counts; zypper's agent knows patches' dates only."""
        updated = version.notice.updated if version.notice else None
        if self.manager is Manager.ZYPPER or version.built is None:
            return updated
        return version.built if updated is None else max(updated, version.built)

    def _approved(self, package: Package, version: Version) -> bool:
        """By name, or (yum, dnf) by the id of its advisory or of a CVE that this fixes."""
        baseline, notice = self.baseline, version.notice
        if not baseline.approved:
            return False
        if (
            notice
            and self.manager is not Manager.ZYPPER
            and not baseline.approved_ids.isdisjoint((notice.id, *notice.cves))
        ):
            return True
        return self._listed(baseline.approved, package, version)

    def _listed(self, names: NameList, package: Package, version: Version) -> bool:
        if not names:
            return False
        found = spellings(self.manager, package.name, package.arch, version.evr)
        if self.manager is Manager.ZYPPER and version.notice:
            # SUSE's lists may name the patch: SUSE-SLE-…-2025-123.
            found |= {version.notice.id.lower()}
        return names.fits(found)


def _without_bare_twins(versions: Iterable[Version]) -> list[Version]:
    """Versions less those without notice that another entry has with one: the agent sees the notice only."""
    noticed = {version.evr for version in versions if version.notice}
    return [version for version in versions if version.notice or version.evr not in noticed]
