"""Which package manager an operating system has: each has its own part in the agent's payload.

From `patch-baseline-operations/main_entrance.py` of the 2021 payload, with the systems that came after it
as AWS lists them (UG:patch-manager-prerequisites, UG:patch-manager-approved-rejected-package-name-formats).
"""

from __future__ import annotations

import re
from enum import StrEnum

from lab.evaluate.model import EvaluationError

FIRST_WITH_DNF = 8
"""Major version from which RHEL, CentOS and Oracle Linux use dnf."""


class Manager(StrEnum):
    """A package manager, as far as evaluations differ."""

    YUM = "yum"
    DNF = "dnf"
    ZYPPER = "zypper"
    APT = "apt"
    SOFTWARE_UPDATE = "softwareupdate"
    WINDOWS_UPDATE = "windows-update"

    @classmethod
    def of(cls, os: str, product: str) -> Manager:
        """The manager of an OperatingSystem and a PRODUCT, e.g. `CENTOS`, `CentOS7.9`.

        Raises EvaluationError for an operating system that Systems Manager does not know.
        """
        if os in _BY_VERSION:
            major = re.search(r"[0-9]+", product)
            return cls.DNF if major and int(major[0]) >= FIRST_WITH_DNF else cls.YUM
        if os not in _BY_OS:
            known = ", ".join(sorted({*_BY_OS, *_BY_VERSION}))
            raise EvaluationError(f"os: expected one of {known}; found {os!r}")
        return _BY_OS[os]

    @property
    def debian(self) -> bool:
        """Whether versions are Debian's, without dates and notices."""
        return self is Manager.APT

    @property
    def keys(self) -> tuple[str, ...]:
        """The patch filter keys that its agent knows."""
        return _KEYS.get(self, ("PRODUCT", "CLASSIFICATION", "SEVERITY"))

    @property
    def tells_security(self) -> bool:
        """Whether what has no notice (apt: no security origin) needs a baseline's non-security switches.

        zypper's agent never asks (`patch_common/baseline_rule.py`, `zypp_baseline.py`), and AWS's own
        baseline for macOS approves everything without them.
        """
        return self in {Manager.YUM, Manager.DNF, Manager.APT}

    @property
    def judges_installed(self) -> bool:
        """Whether the version that is installed is judged with the newer ones, and no older one is.

        apt and zypper: `patch_apt/package_version.py` (get_package_versions) and `cli_wrapper/ZYpp.py`
        (get_all_installed_packages). An older version that a baseline approves says nothing there, and one
        that no repository has any more is judged without notice, priority, section or origin. yum judges
        what the repositories have and nothing else; dnf goes with it.
        """
        return self in {Manager.APT, Manager.ZYPPER}

    @property
    def always_reports_rejected(self) -> bool:
        """Whether a rejected package that is installed is INSTALLED_REJECTED whatever RejectedPatchesAction says.

        dnf's and zypper's payload never look at the action (`patch_common/baseline.py`,
        categorize_packages_scan); yum's and apt's do, and AWS's documentation says so of all systems.
        """
        return self in {Manager.DNF, Manager.ZYPPER}


_BY_VERSION = frozenset({"REDHAT_ENTERPRISE_LINUX", "CENTOS", "ORACLE_LINUX"})
_BY_OS = {
    "AMAZON_LINUX": Manager.YUM,
    "AMAZON_LINUX_2": Manager.YUM,
    "AMAZON_LINUX_2022": Manager.DNF,
    "AMAZON_LINUX_2023": Manager.DNF,
    "ROCKY_LINUX": Manager.DNF,
    "ALMA_LINUX": Manager.DNF,
    "SUSE": Manager.ZYPPER,
    "UBUNTU": Manager.APT,
    "DEBIAN": Manager.APT,
    "RASPBIAN": Manager.APT,
    "MACOS": Manager.SOFTWARE_UPDATE,
    "WINDOWS": Manager.WINDOWS_UPDATE,
}
_KEYS = {
    Manager.APT: ("PRODUCT", "PRIORITY", "SECTION"),
    Manager.SOFTWARE_UPDATE: ("PRODUCT", "CLASSIFICATION"),
    Manager.WINDOWS_UPDATE: ("PRODUCT", "PRODUCT_FAMILY", "CLASSIFICATION", "MSRC_SEVERITY", "PATCH_SET"),
}
