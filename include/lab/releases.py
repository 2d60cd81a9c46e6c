"""What a repository holds: each version of a package, each issue of a Windows update, with its dates.

A record says when it became available and what was said of it when, so that the lab can show a
repository as it was at any moment: a notice that was edited in August reads in July as it did in July.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from lab.evaluate import Evr, Notice, Version

Origin = Literal["advisory", "invented", "derived", "added"]
"""Where a version is known from: a real advisory, `synthetic.json`, a later version (the one that images of
before the first advisory have, see `lab.package_repository`), or the admin API."""


@dataclass(frozen=True, slots=True)
class DatedNotice:
    """A notice and its last edit. Amazon's `updated` moves each time a notice is edited."""

    id: str
    issued: datetime
    updated: datetime
    classification: str | None
    severity: str | None
    cves: tuple[str, ...]

    def at(self, now: datetime) -> Notice:
        """The notice as it reads at `now`: before its last edit, as when it was issued."""
        updated = self.updated if self.updated <= now else self.issued
        return Notice(self.id, updated, self.classification, self.severity, self.cves)


@dataclass(slots=True)
class Release:
    """One version of one package in one product's repository."""

    name: str
    arch: str
    evr: Evr
    available: datetime
    built: datetime | None
    notices: tuple[DatedNotice, ...] = ()
    """In order of issue: a later notice for the same version replaces the earlier one."""
    priority: str | None = None
    section: str | None = None
    security_origin: bool = False
    origin: Origin = "advisory"
    withdrawn: datetime | None = None

    @property
    def key(self) -> str:
        """`name.arch`."""
        return f"{self.name}.{self.arch}"

    def offered(self, now: datetime) -> bool:
        """Whether the repository has it at `now`."""
        return self.available <= now and (self.withdrawn is None or now < self.withdrawn)

    def version(self, now: datetime) -> Version:
        """The version as the repository describes it at `now`."""
        issued = [notice for notice in self.notices if notice.issued <= now]
        notice = issued[-1].at(now) if issued else None
        return Version(self.evr, self.built, notice, self.priority, self.section, self.security_origin)

    def moments(self) -> set[datetime]:
        """When it, or what is said of it, changes."""
        dates = {date for notice in self.notices for date in (notice.issued, notice.updated)}
        return dates | {self.available} | ({self.withdrawn} if self.withdrawn else set())


@dataclass(slots=True)
class Update:
    """One Windows update: a KB for one product, issued once or again and again under the same number."""

    kb: str
    title: str
    product: str
    product_family: str
    classification: str
    msrc_severity: str | None
    patch_set: str
    line: str
    """What it is an instalment of, e.g. `cumulative`: the latest one takes the place of those before."""
    issues: tuple[datetime, ...]
    """When it was released; several for what is re-issued under one KB."""
    origin: Origin = "advisory"
    withdrawn: datetime | None = None

    def issued(self, now: datetime) -> datetime | None:
        """The latest issue up to `now`; None: there was none yet."""
        return max((issue for issue in self.issues if issue <= now), default=None)

    def offered(self, now: datetime) -> datetime | None:
        """The latest issue that is offered at `now`; None: not, or no longer, offered."""
        gone = self.withdrawn is not None and self.withdrawn <= now
        return None if gone else self.issued(now)

    def moments(self) -> set[datetime]:
        """When it is issued or withdrawn."""
        return set(self.issues) | ({self.withdrawn} if self.withdrawn else set())
