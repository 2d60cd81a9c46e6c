"""What a scan reports of packages, and what an install asks for.

A row a `name.arch`. rpm: the newest version that the baseline approves, else the newest that is known
(`patch_common/baseline.py`, __get_package_that_should_be_reported). apt: the newest that it approves, else
what is installed (`patch_apt/package.py`, _has_matched_versions). Where what it approves is not newer, the
row shows what is installed (`patch_yum/yum_report.py`, `patch_dnf/dnf_package.py`). An approved package
that is not installed is NOT_APPLICABLE: the agent counts those, but does not report them one by one
(`patch_common/package_compliance.py`, upload_na_compliance).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lab.evaluate.baseline import LEVELS
from lab.evaluate.candidates import Approval, Candidate
from lab.evaluate.model import Evr, Override, Package, Row, Version
from lab.evaluate.names import OverrideNames, spellings
from lab.evaluate.versions import Key, deb_text, rpm_text


@dataclass(frozen=True, slots=True)
class Finding:
    """What a row says of a package: its state, the version it shows and whose attributes it has."""

    state: str
    evr: Evr
    described_by: Version | None
    rank: int | None = None
    cves: frozenset[str] = frozenset()


class Scan:
    """A scan of one node. `override_list` only changes what is requested."""

    def __init__(self, approval: Approval, override_list: Sequence[Override] | None) -> None:
        self.approval = approval
        self.override = None if override_list is None else OverrideNames(override_list)
        self.debian = approval.manager.debian

    def rows(self, packages: Iterable[Package]) -> list[Row]:
        """The rows of a node's packages, by id."""
        found = (self._row(package) for package in self._merged(packages))
        return sorted((row for row in found if row is not None), key=lambda row: row.id)

    def _merged(self, packages: Iterable[Package]) -> Iterable[Package]:
        """One entry a name.arch: of several versions that are installed (of kernels, say) the newest counts."""
        by_key: dict[str, Package] = {}
        for package in packages:
            key = package.key
            if before := by_key.get(key):
                both = [each.installed for each in (before, package) if each.installed is not None]
                installed = max(both, key=self.approval.key, default=None)
                package = Package(package.name, package.arch, installed, (*before.versions, *package.versions))  # noqa: PLW2901  # it takes the place of both
            by_key[key] = package
        return by_key.values()

    def _row(self, package: Package) -> Row | None:
        known = self.approval.candidates(package)
        if package.installed is None:
            best = _preferred(candidate for candidate in known if candidate.rank is not None)
            if best is None:
                return None
            return self._as_row(package, Finding("NOT_APPLICABLE", best.version.evr, best.version, best.rank), None)
        finding = self._installed(package, package.installed, known)
        return self._as_row(package, finding, self._target(package, package.installed, finding, known))

    def _installed(self, package: Package, installed: Evr, known: Sequence[Candidate]) -> Finding:
        here = self.approval.key(installed)
        approved = [c for c in known if c.rank is not None]
        best = _preferred(approved)
        if best is None:
            return self._unapproved(package, installed, here, known)
        if best.key > here:
            return Finding("MISSING", best.version.evr, best.version, best.rank, _fixed(approved, here))
        return Finding("INSTALLED", installed, best.version, best.rank)

    def _unapproved(self, package: Package, installed: Evr, here: Key, known: Sequence[Candidate]) -> Finding:
        rejected = self.approval.baseline.reports_rejected and self.approval.rejects(package, installed)
        state = "INSTALLED_REJECTED" if rejected else "INSTALLED_OTHER"
        newest = _preferred(c for c in known if c.key == here or (c.key > here and not self.debian))
        if newest is None:
            return Finding(state, installed, None)
        return Finding(state, newest.version.evr if newest.key > here else installed, newest.version)

    def _target(self, package: Package, installed: Evr, finding: Finding, known: Iterable[Candidate]) -> Evr | None:
        """The version that an install asks for: an override list's newest one, approved or rejected alike."""
        if self.override is None:
            return finding.evr if finding.state == "MISSING" else None
        here = self.approval.key(installed)
        named = (c for c in known if c.key > here and self.override.fits(self._spellings(package, c.version.evr)))
        best = _preferred(named)
        return best.version.evr if best else None

    def _spellings(self, package: Package, evr: Evr) -> frozenset[str]:
        return spellings(self.approval.manager, package.name, package.arch, evr)

    def _as_row(self, package: Package, finding: Finding, target: Evr | None) -> Row:
        classification, severity = self._described(finding.described_by)
        return Row(
            id=package.key,
            title=f"{package.key}:{deb_text(finding.evr) if self.debian else rpm_text(finding.evr)}",
            state=finding.state,
            compliance=LEVELS[finding.rank or 0],
            matched=finding.rank is not None,
            requested=target is not None,
            classification=classification,
            severity=severity,
            cves=() if self.debian else tuple(sorted(finding.cves)),
            evr=finding.evr,
            target=target,
        )

    def _described(self, version: Version | None) -> tuple[str, str]:
        """Classification and severity; apt's are a version's origin and Priority."""
        if version is None:
            return "", ""
        if self.debian:
            return "Security" if version.security_origin else "", version.priority or ""
        notice = version.notice
        return (notice.classification or "", notice.severity or "") if notice else ("", "")


def _preferred(candidates: Iterable[Candidate]) -> Candidate | None:
    return max(candidates, key=lambda candidate: candidate.preference, default=None)


def _fixed(approved: Iterable[Candidate], here: Key) -> frozenset[str]:
    """The CVEs of every approved version above the installed one: the update brings what they fix."""
    notices = (c.version.notice for c in approved if c.key > here)
    return frozenset(cve for notice in notices if notice for cve in notice.cves)
