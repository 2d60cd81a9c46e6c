"""Patch baselines and patch groups as the policy has them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from sluice.core.os_product import operating_system
from sluice.core.policy.base import Agreed, Day, GroupName, Matching, Name, OneOrMany, Part, Rights, Values, each_once


class OperatingSystem(StrEnum):
    """Operating systems of Systems Manager (B:OperatingSystem), as the API writes them."""

    WINDOWS = "WINDOWS"
    AMAZON_LINUX = "AMAZON_LINUX"
    AMAZON_LINUX_2 = "AMAZON_LINUX_2"
    AMAZON_LINUX_2022 = "AMAZON_LINUX_2022"
    AMAZON_LINUX_2023 = "AMAZON_LINUX_2023"
    UBUNTU = "UBUNTU"
    REDHAT_ENTERPRISE_LINUX = "REDHAT_ENTERPRISE_LINUX"
    SUSE = "SUSE"
    CENTOS = "CENTOS"
    ORACLE_LINUX = "ORACLE_LINUX"
    DEBIAN = "DEBIAN"
    MACOS = "MACOS"
    RASPBIAN = "RASPBIAN"
    ROCKY_LINUX = "ROCKY_LINUX"
    ALMA_LINUX = "ALMA_LINUX"

    @property
    def has_delay(self) -> bool:
        """Whether an approval delay means anything: apt's repositories carry no dates."""
        return self not in (OperatingSystem.UBUNTU, OperatingSystem.DEBIAN, OperatingSystem.RASPBIAN)


ComplianceLevel = Literal["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNSPECIFIED"]

Patch = Annotated[str, Field(min_length=1, max_length=100)]


MOST_PATCHES = 50
"""Patches that a baseline takes as approved, and as rejected (B:PatchIdList)."""

Patches = Annotated[tuple[Patch, ...], AfterValidator(each_once), OneOrMany, Field(max_length=MOST_PATCHES)]


class Filters(Part):
    """Which patches: every key that is given must fit, by any of its values."""

    product: Values = Field(default=(), description="PRODUCT, e.g. AmazonLinux2023 or WindowsServer2022.")
    product_family: Values = Field(default=(), description="PRODUCT_FAMILY, Windows only.")
    classification: Values = Field(default=(), description="CLASSIFICATION, e.g. Security.")
    severity: Values = Field(default=(), description="SEVERITY (Linux) or MSRC_SEVERITY (Windows).")
    priority: Values = Field(default=(), description="PRIORITY, Debian's and Ubuntu's.")
    section: Values = Field(default=(), description="SECTION, Debian's and Ubuntu's.")
    patch_set: Literal["OS", "APPLICATION"] | None = Field(default=None, description="PATCH_SET, Windows only.")


class Rule(Filters, Agreed):
    """An approval rule: which patches, and how long after their date they are approved."""

    approve_after_days: int | None = Field(default=None, ge=0, le=360, description="Days after a patch's date.")
    approve_until: Day | None = Field(default=None, description="Approve what is dated up to this day (UTC).")
    compliance: ComplianceLevel = Field(default="UNSPECIFIED", description="ComplianceLevel of what is missing.")
    non_security: bool = Field(default=False, description="Also approve what no security notice names.")

    @model_validator(mode="after")
    def _one_date(self) -> Rule:
        if self.approve_after_days is not None and self.approve_until is not None:
            raise ValueError("expected approve_after_days or approve_until, found both: remove one")
        return self


class _PatchList(Part):
    """Patches by name; the list alone stands for all of it."""

    short: ClassVar[str | None] = "patches"

    patches: Patches = Field(default=(), description="Names as Systems Manager takes them, e.g. KB5005565 or kernel*.")


class ApprovedPatches(_PatchList):
    """Patches that are approved by name."""

    compliance: ComplianceLevel = "UNSPECIFIED"
    non_security: bool = False


class RejectedPatches(_PatchList):
    """Patches that are rejected by name."""

    action: Literal["allow_as_dependency", "block"] = "allow_as_dependency"


class Source(Part):
    """A repository of one's own (Linux)."""

    name: Annotated[str, Matching(r"[a-zA-Z0-9_.-]{3,50}", "3 to 50 letters, digits and _.-")]
    products: Annotated[Values, Field(min_length=1, max_length=20)]
    configuration: str = Field(min_length=1, max_length=1024, description="As in the package manager's own file.")


class Baseline(Part):
    """A patch baseline, for exactly one operating system."""

    name: Name
    os: OperatingSystem
    description: str = Field(default="", max_length=1024)
    rules: tuple[Rule, ...] = Field(default=(), max_length=100)
    filters: Filters = Filters()
    approved: ApprovedPatches = ApprovedPatches()
    rejected: RejectedPatches = RejectedPatches()
    sources: tuple[Source, ...] = Field(default=(), max_length=100)
    available_security_updates: Literal["compliant", "non_compliant"] | None = Field(
        default=None, description="Windows only: what a security update that is not approved counts as."
    )
    default: bool = Field(default=False, description="Also register it as its operating system's default baseline.")

    @property
    def system(self) -> OperatingSystem:
        """The operating system as the enum."""
        return OperatingSystem(self.os)


def _product(text: str) -> str:
    if operating_system(text) not in set(OperatingSystem):
        raise ValueError(
            f"expected an operating system of Systems Manager and its version, such as 'UBUNTU 22.04' or"
            f" 'WINDOWS Server 2019', found {text!r}"
        )
    return text


ProductName = Annotated[str, AfterValidator(_product), Field(max_length=100)]
"""An OS product: operating system and version. `UBUNTU 22.04`; `REDHAT_ENTERPRISE_LINUX 9` is 9.0 to 9.99."""


class PatchGroup(Part):
    """A patch group: the value of a tag, its ring, its OS products, and the baselines that serve it."""

    name: GroupName
    ring: Name
    baselines: Annotated[tuple[Name, ...], OneOrMany] = Field(
        min_length=1, max_length=30, description="One per operating system of its nodes."
    )
    products: Annotated[tuple[ProductName, ...], OneOrMany] = Field(
        min_length=1,
        max_length=50,
        description="OS products of its nodes: each is a slot of an install window. Nodes of others are not reached.",
    )
    people: Rights | None = Field(
        default=None, description="Who may run and reboot this group, in place of a window's."
    )
