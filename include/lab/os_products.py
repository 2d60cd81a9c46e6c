"""The operating systems that the lab's nodes run, with the words that Systems Manager has for each.

PlatformName and PlatformVersion are what the agent reports of itself (its `agent/platform` reads
os-release, centos-release or Windows' own caption); PRODUCT is that name and version without blanks, as
a patch baseline's filter has it (`RedhatEnterpriseLinux8.10` and `Suse15.5` were seen in public baselines).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Family = Literal["rpm", "apt", "windows"]


@dataclass(frozen=True, slots=True)
class OSProduct:
    """One operating system at one version."""

    key: str
    """What the fleet file and the lab's own records call it, e.g. `Ubuntu22.04`."""
    operating_system: str
    """Value of the API's OperatingSystem enumeration."""
    family: Family
    """Whose rules compare its versions and evaluate its packages; macOS goes with rpm (dates, no priorities)."""
    platform_type: Literal["Linux", "Windows", "MacOS"]
    """As in DescribeInstanceInformation and in a document's `platformType` precondition."""
    platform_name: str
    platform_version: str
    product: str
    """Value of the patch filter PRODUCT."""
    product_family: str
    package_manager: Literal["yum", "dnf", "zypper", "apt", "softwareupdate", "windows-update"]
    arch: str
    """Architecture of its packages where their record names none."""


def _linux(
    key: str, enum: str, name: str, version: str, product: str, group: str, manager: Literal["yum", "dnf", "zypper"]
) -> OSProduct:
    return OSProduct(key, enum, "rpm", "Linux", name, version, product, group, manager, "x86_64")


def _debian(key: str, enum: str, name: str, version: str, group: str, arch: str = "amd64") -> OSProduct:
    return OSProduct(key, enum, "apt", "Linux", name, version, key, group, "apt", arch)


def _windows(year: str, build: str) -> OSProduct:
    name = f"Microsoft Windows Server {year} Datacenter"
    key = f"WindowsServer{year}"
    return OSProduct(key, "WINDOWS", "windows", "Windows", name, build, key, "Windows", "windows-update", "x86_64")


_RHEL = "Red Hat Enterprise Linux"
_ALL = (
    _linux(
        "AmazonLinux2018.03", "AMAZON_LINUX", "Amazon Linux AMI", "2018.03", "AmazonLinux2018.03", "Amazon Linux", "yum"
    ),
    _linux("AmazonLinux2", "AMAZON_LINUX_2", "Amazon Linux", "2", "AmazonLinux2", "Amazon Linux", "yum"),
    _linux("AmazonLinux2022", "AMAZON_LINUX_2022", "Amazon Linux", "2022", "AmazonLinux2022", "Amazon Linux", "dnf"),
    _linux("AmazonLinux2023", "AMAZON_LINUX_2023", "Amazon Linux", "2023", "AmazonLinux2023", "Amazon Linux", "dnf"),
    _linux(
        "RedhatEnterpriseLinux8", "REDHAT_ENTERPRISE_LINUX", _RHEL, "8.10", "RedhatEnterpriseLinux8.10", _RHEL, "dnf"
    ),
    _linux("RedhatEnterpriseLinux9", "REDHAT_ENTERPRISE_LINUX", _RHEL, "9.6", "RedhatEnterpriseLinux9.6", _RHEL, "dnf"),
    _linux("CentOS7", "CENTOS", "CentOS Linux", "7.9.2009", "CentOS7.9", "CentOS", "yum"),
    _linux("OracleLinux8", "ORACLE_LINUX", "Oracle Linux Server", "8.10", "OracleLinux8.10", "Oracle Linux", "dnf"),
    _linux("OracleLinux9", "ORACLE_LINUX", "Oracle Linux Server", "9.6", "OracleLinux9.6", "Oracle Linux", "dnf"),
    _linux("RockyLinux9", "ROCKY_LINUX", "Rocky Linux", "9.6", "RockyLinux9.6", "Rocky Linux", "dnf"),
    _linux("AlmaLinux9", "ALMA_LINUX", "AlmaLinux", "9.6", "AlmaLinux9.6", "AlmaLinux", "dnf"),
    _linux("Suse15.5", "SUSE", "SLES", "15.5", "Suse15.5", "SUSE Linux Enterprise Server", "zypper"),
    _debian("Ubuntu20.04", "UBUNTU", "Ubuntu", "20.04", "Ubuntu"),
    _debian("Ubuntu22.04", "UBUNTU", "Ubuntu", "22.04", "Ubuntu"),
    _debian("Ubuntu24.04", "UBUNTU", "Ubuntu", "24.04", "Ubuntu"),
    _debian("Debian11", "DEBIAN", "Debian GNU/Linux", "11", "Debian"),
    _debian("Debian12", "DEBIAN", "Debian GNU/Linux", "12", "Debian"),
    _debian("Raspbian11", "RASPBIAN", "Raspbian GNU/Linux", "11", "Raspbian", "armhf"),
    OSProduct("MacOS14", "MACOS", "rpm", "MacOS", "macOS", "14.7", "MacOS14", "macOS", "softwareupdate", "noarch"),
    _windows("2016", "10.0.14393"),
    _windows("2019", "10.0.17763"),
    _windows("2022", "10.0.20348"),
    _windows("2025", "10.0.26100"),
)

PRODUCTS: dict[str, OSProduct] = {product.key: product for product in _ALL}
"""By key. Every value of the API's OperatingSystem enumeration has one at least."""
