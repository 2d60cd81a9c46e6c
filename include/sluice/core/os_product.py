"""OS products: Systems Manager's operating system with its version, from what an agent reports of itself.

`UBUNTU 22.04`, `WINDOWS Server 2019`, `REDHAT_ENTERPRISE_LINUX 9.6`; where the system's name already says the
version (`AMAZON_LINUX_2023`) there is none. The agent reads names and versions from os-release, centos-release,
sw_vers or Windows' own caption (AG:agent/platform).
"""

from __future__ import annotations

import re

_NAMES = (
    ("Amazon Linux AMI", "AMAZON_LINUX"),
    ("Ubuntu", "UBUNTU"),
    ("Red Hat", "REDHAT_ENTERPRISE_LINUX"),
    ("SLES", "SUSE"),
    ("SUSE", "SUSE"),
    ("CentOS", "CENTOS"),
    ("Oracle Linux", "ORACLE_LINUX"),
    ("Debian", "DEBIAN"),
    ("Raspbian", "RASPBIAN"),
    ("Rocky", "ROCKY_LINUX"),
    ("Alma", "ALMA_LINUX"),
    ("macOS", "MACOS"),
    ("Mac OS X", "MACOS"),
)
"""Beginnings of platform names."""

_AMAZON_LINUX = {"2": "AMAZON_LINUX_2", "2022": "AMAZON_LINUX_2022", "2023": "AMAZON_LINUX_2023"}
_WINDOWS = re.compile(r"(?:Microsoft )?Windows (?P<version>(?:Server )?\d+(?:\.\d)?(?: R2)?)")


def os_product(platform_name: str, platform_version: str) -> str | None:
    """The OS product of `PlatformName` and `PlatformVersion`; None for one that Patch Manager has no word for."""
    if windows := _WINDOWS.match(platform_name):
        return f"WINDOWS {windows['version']}"
    for beginning, system in _NAMES:
        if platform_name.startswith(beginning):
            return f"{system} {platform_version}".strip()
    if platform_name.startswith("Amazon Linux"):
        return _AMAZON_LINUX.get(platform_version.partition(".")[0], f"AMAZON_LINUX {platform_version}".strip())
    return None


def operating_system(product: str) -> str:
    """The operating system of an OS product, as the API writes it."""
    return product.partition(" ")[0]


def covers(listed: str, product: str) -> bool:
    """Whether a product that a policy lists is a node's: `CENTOS 7` covers `CENTOS 7.9.2009`, not `CENTOS 70`.

    One without a version covers every version: `UBUNTU` is `UBUNTU 22.04` as well. A release of Windows is a version
    of its own: `WINDOWS Server 2012` is not `WINDOWS Server 2012 R2`.
    """
    versioned = any(letter.isdigit() for letter in listed.partition(" ")[2])
    return product == listed or product.startswith(f"{listed}." if versioned else f"{listed} ")


def overlap(one: str, other: str) -> bool:
    """Whether some node is of both products that a policy lists: one of them covers the other."""
    return covers(one, other) or covers(other, one)
