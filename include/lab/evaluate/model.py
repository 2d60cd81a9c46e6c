"""What goes into an evaluation and what comes out: plain records, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lab.errors import LabError


class EvaluationError(LabError):
    """A baseline or an operating system that no patch agent could evaluate."""


@dataclass(frozen=True, slots=True)
class Evr:
    """A package's version.

    Debian versions may be given in parts or, as `dpkg -l` prints them, whole in `version` with epoch 0
    and no release. Equality is that of the fields; order comes from `lab.evaluate.compare`.
    """

    epoch: int
    version: str
    release: str


@dataclass(frozen=True, slots=True)
class Notice:
    """The advisory that a version comes with (yum, dnf: an update notice; zypper: a patch)."""

    id: str
    updated: datetime
    classification: str | None
    severity: str | None
    cves: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a package that the repositories offer; `priority`, `section` and origin are apt's."""

    evr: Evr
    built: datetime | None
    notice: Notice | None
    priority: str | None
    section: str | None
    security_origin: bool


@dataclass(frozen=True, slots=True)
class Package:
    """A package of one architecture: what is installed and every version that the node can see."""

    name: str
    arch: str
    installed: Evr | None
    versions: tuple[Version, ...]

    @property
    def key(self) -> str:
        """The id of its row: `name.arch`."""
        return f"{self.name}.{self.arch}"


@dataclass(frozen=True, slots=True)
class WindowsPatch:
    """An update that Windows Update offers to the node or that it has."""

    kb: str
    installed: bool
    title: str
    product: str
    product_family: str
    classification: str
    msrc_severity: str | None
    patch_set: str
    released: datetime


@dataclass(frozen=True, slots=True)
class Override:
    """An entry of an install override list; both parts may hold wildcards."""

    id: str
    title: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """What a scan reports of one package or KB, and whether an install would ask for it."""

    id: str
    title: str
    state: str
    """A PatchComplianceDataState."""
    compliance: str
    """A PatchComplianceLevel: the highest of the rules and of the approved list that match, else UNSPECIFIED."""
    matched: bool
    """Whether the baseline approves a version of it."""
    requested: bool
    classification: str
    severity: str
    cves: tuple[str, ...]
    """What the missing update fixes; AWS reports them on missing and failed rows only, never for apt."""
    evr: Evr | None
    """The version in `title`; None for Windows."""
    target: Evr | None = None
    """The version that an install asks for: an override list may name another one than the title's."""
