"""Recalls: patches that nobody installs any more, until the recall is lifted.

A recall names a KB, a package (`openssl`, `openssl.x86_64`) or one version of it by its title, as AWS shows it. In a
baseline a package is rejected by its name, which is all that AWS documents for yum and dnf
(UG:patch-manager-approved-rejected-package-name-formats): every version of it waits until the recall is lifted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sluice.core.errors import ReleaseError
from sluice.core.os_product import operating_system
from sluice.core.policy.baselines import MOST_PATCHES, Baseline, OperatingSystem, RejectedPatches
from sluice.core.policy.policy import Policy
from sluice.core.release.terms import Plain

_KB = re.compile(r"KB\d+", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._:~^-]*")


@dataclass(frozen=True, slots=True)
class Recall(Plain):
    """A patch that is recalled, or was."""

    patch: str
    """`KB5060531`, `openssl`, `openssl.x86_64` or a title such as `openssl.x86_64:1:3.0.8-1.amzn2023`."""
    because: str
    by: str
    at: datetime
    lifted: datetime | None = None
    """When it was lifted; None: it holds."""
    lifted_by: str | None = None

    @property
    def windows(self) -> bool:
        """Whether it is a KB."""
        return _KB.fullmatch(self.patch) is not None

    @property
    def name(self) -> str:
        """What a baseline rejects: the KB, or the package's name."""
        if self.windows:
            return self.patch.upper()
        package = self.patch.partition(":")[0]
        name, _, arch = package.rpartition(".")
        return name if name and arch in ARCHITECTURES else package

    def lift(self, by: str, at: datetime) -> Recall:
        """The same, lifted."""
        return replace(self, lifted=at, lifted_by=by)

    def __str__(self) -> str:
        return f"{self.patch} is recalled by {self.by}: {self.because}"


ARCHITECTURES = frozenset(
    {"x86_64", "aarch64", "noarch", "i686", "i386", "amd64", "arm64", "all", "src", "ppc64le", "s390x"}
)
"""What stands behind the last full stop of a package's id."""


def checked(patch: str) -> str:
    """A patch to recall, if it can be one. Raises ReleaseError."""
    if not _NAME.fullmatch(patch):
        raise ReleaseError(
            "expected a KB such as KB5060531, a package such as openssl or openssl.x86_64, or a title as AWS shows it,"
            f" found {patch!r}: nothing was recalled"
        )
    return patch.upper() if _KB.fullmatch(patch) else patch


def names(word: str, patch: str, title: str) -> bool:
    """Whether a word of a person names a patch: its id, its id without architecture, or its title; in any case."""
    own = {patch.casefold(), title.casefold()} - {""}
    name, _, arch = patch.rpartition(".")
    if name and arch in ARCHITECTURES:
        own.add(name.casefold())
    return word.casefold() in own


def recalling(recalls: Iterable[Recall], product: str, patch: str, title: str) -> Recall | None:
    """The recall that holds for a patch of an OS product; None: none does."""
    windows = operating_system(product) == "WINDOWS"
    for one in recalls:
        if one.lifted is None and one.windows == windows and names(one.patch, patch, title):
            return one
    return None


def with_recalls(policy: Policy, recalls: Sequence[Recall]) -> Policy:
    """The policy with what is recalled rejected in every baseline that it can be in.

    Raises ReleaseError where a baseline would reject more than AWS takes.
    """
    holding = [one for one in recalls if one.lifted is None]
    if not holding:
        return policy
    baselines = tuple(_rejecting(baseline, holding) for baseline in policy.baselines)
    return policy.model_copy(update={"baselines": baselines})


def _rejecting(baseline: Baseline, recalls: Sequence[Recall]) -> Baseline:
    windows = baseline.system is OperatingSystem.WINDOWS
    own = baseline.rejected
    recalled = sorted({one.name for one in recalls if one.windows == windows} - set(own.patches))
    patches = (*own.patches, *recalled)
    if len(patches) > MOST_PATCHES:
        raise ReleaseError(
            f"baseline {baseline.name}: expected at most {MOST_PATCHES} rejected patches, found {len(own.patches)} of"
            f" the policy's and {len(recalled)} recalled: lift recalls that are settled, or reject fewer by the policy"
        )
    rejected = RejectedPatches(patches=patches, action=own.action)
    return baseline.model_copy(update={"rejected": rejected}) if recalled else baseline
