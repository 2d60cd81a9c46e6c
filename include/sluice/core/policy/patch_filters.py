"""What a baseline's filters may say, by operating system: keys, their values and the products AWS knows.

Keys: the API reference of DescribePatchProperties and CreatePatchBaseline. Values: the API reference of
PatchFilter, the operating systems that the user guide lists for Patch Manager, and AWS's own error texts
("Invalid Filter Value: … valid values are: …") in hashicorp/terraform-provider-aws#18359,
hashicorp/terraform#21678 and jparnaudeau/terraform-aws-ssm-patch-management#1. Rocky and Alma are not
listed there: as Red Hat. AWS adds products over time, so that one which is not here may still be right;
the other keys are closed lists. SECTION has no list: its values are any text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ANY = "*"
"""A value that fits everything."""

APPLICATION = "APPLICATION"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the filters of one operating system may say. An empty list: the operating system has no such key."""

    stem: str
    """How its products are spelled before their version."""
    versions: tuple[str, ...]
    classification: tuple[str, ...] = ()
    severity: tuple[str, ...] = ()
    priority: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    applications: tuple[str, ...] = ()
    application_families: tuple[str, ...] = ()
    others: tuple[str, ...] = field(default=())
    """Products that are not spelled with the stem."""

    @property
    def products(self) -> tuple[str, ...]:
        """Products of the operating system itself."""
        return (*(f"{self.stem}{version}" for version in self.versions), *self.others)

    def values(self, key: str, *, applications: bool) -> tuple[str, ...]:
        """The values of a key of the policy's `Filters`, of Microsoft's applications or of the system itself."""
        if key == "product":
            return self.applications if applications else self.products
        if key == "product_family":
            return self.application_families if applications else self.families
        lists = {"classification": self.classification, "severity": self.severity, "priority": self.priority}
        return lists.get(key, ())

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that a filter may have."""
        keys = ["product"]
        if self.families:
            keys += ["product_family", "patch_set"]
        keys += [key for key in ("classification", "severity", "priority") if self.values(key, applications=False)]
        return (*keys, "section") if self.priority else tuple(keys)


def _minors(major: int, first: int, last: int) -> tuple[str, ...]:
    return (str(major), *(f"{major}.{minor}" for minor in range(first, last + 1)))


_YUM = ("Security", "Bugfix", "Enhancement", "Recommended", "Newpackage")
_YUM_SEVERITY = ("Critical", "Important", "Medium", "Low")
_DEB = ("Required", "Important", "Standard", "Optional", "Extra")

VOCABULARIES: Mapping[str, Vocabulary] = {
    "AMAZON_LINUX": Vocabulary(
        "AmazonLinux",
        ("2012.03", "2012.09", *(f"{year}.{month}" for year in range(2013, 2018) for month in ("03", "09")), "2018.03"),
        classification=_YUM,
        severity=_YUM_SEVERITY,
    ),
    "AMAZON_LINUX_2": Vocabulary("AmazonLinux", ("2", "2.0"), classification=_YUM, severity=_YUM_SEVERITY),
    "AMAZON_LINUX_2022": Vocabulary("AmazonLinux", ("2022",), classification=_YUM, severity=_YUM_SEVERITY),
    "AMAZON_LINUX_2023": Vocabulary("AmazonLinux", ("2023",), classification=_YUM, severity=_YUM_SEVERITY),
    "REDHAT_ENTERPRISE_LINUX": Vocabulary(
        "RedhatEnterpriseLinux",
        (*_minors(6, 5, 10)[1:], *_minors(7, 0, 9)[1:], *_minors(8, 0, 10), *_minors(9, 0, 6)),
        classification=_YUM,
        severity=_YUM_SEVERITY,
    ),
    "CENTOS": Vocabulary(
        "CentOS",
        (*_minors(6, 5, 10)[1:], *_minors(7, 0, 9)[1:], *_minors(8, 0, 5), "9"),
        classification=_YUM,
        severity=_YUM_SEVERITY,
    ),
    "ORACLE_LINUX": Vocabulary(
        "OracleLinux",
        (*_minors(7, 5, 9)[1:], *_minors(8, 0, 10), *_minors(9, 0, 6)),
        classification=_YUM,
        severity=("Critical", "Important", "Moderate", "Medium", "Low"),
    ),
    "ROCKY_LINUX": Vocabulary(
        "RockyLinux", (*_minors(8, 4, 10), *_minors(9, 0, 6)), classification=_YUM, severity=_YUM_SEVERITY
    ),
    "ALMA_LINUX": Vocabulary(
        "AlmaLinux", (*_minors(8, 3, 10), *_minors(9, 0, 6)), classification=_YUM, severity=_YUM_SEVERITY
    ),
    "SUSE": Vocabulary(
        "Suse",
        (*_minors(12, 0, 5)[1:], *_minors(15, 0, 7)[1:]),
        classification=("Security", "Recommended", "Optional", "Feature", "Document", "Yast"),
        severity=("Critical", "Important", "Moderate", "Low"),
    ),
    "DEBIAN": Vocabulary("Debian", ("8", "9", "10", "11", "12"), priority=_DEB),
    "RASPBIAN": Vocabulary("Raspbian", ("9", "10", "11"), priority=_DEB),
    "UBUNTU": Vocabulary(
        "Ubuntu",
        ("14.04", "16.04", "18.04", "20.04", "20.10", "22.04", "23.04", "23.10", "24.04", "24.10", "25.04"),
        priority=_DEB,
    ),
    "MACOS": Vocabulary("MacOS", ("10.14", "10.15", "11", "12", "13", "14", "15"), classification=_YUM),
    "WINDOWS": Vocabulary(
        "Windows",
        (
            *("7", "8", "8.1", "8Embedded", "10", "10LTSB", "11", "Server2008", "Server2008R2", "Server2012"),
            *("Server2012R2", "Server2016", "Server2019", "Server2022", "Server2025"),
        ),
        classification=(
            *("CriticalUpdates", "DefinitionUpdates", "Drivers", "FeaturePacks", "SecurityUpdates", "ServicePacks"),
            *("Tools", "UpdateRollups", "Updates", "Upgrades"),
        ),
        severity=("Critical", "Important", "Moderate", "Low", "Unspecified"),
        families=("Windows",),
        applications=(
            *("Active Directory Rights Management Services Client 2.0", "BizTalk Server 2013", "BizTalk Server 2016"),
            *("Exchange Server 2013", "Exchange Server 2016", "Exchange Server 2019", "Forefront Client Security"),
            *("Microsoft SQL Server 2012", "Microsoft SQL Server 2014", "Microsoft SQL Server 2016"),
            *("Microsoft SQL Server 2017", "Microsoft SQL Server 2019", "Microsoft SQL Server 2022"),
            *("Office 2010", "Office 2013", "Office 2016", "Office 2019", "SharePoint Server 2013"),
            *("SharePoint Server 2016", "SharePoint Server 2019", "Silverlight", "Skype for Business"),
            *("System Center 2016 - Operations Manager", "Visual Studio 2017", "Visual Studio 2019"),
            "Visual Studio 2022",
        ),
        application_families=(
            *("Active Directory", "BizTalk Server", "Developer Tools", "Exchange", "Forefront", "Office", "SharePoint"),
            *("Silverlight", "Skype for Business", "SQL Server", "System Center"),
        ),
        others=("MicrosoftDefenderAntivirus",),
    ),
}
"""By operating system, as the API writes them."""


def filter_product(os_product: str) -> str:
    """How filters spell an OS product: `UBUNTU 22.04` is `Ubuntu22.04`, `WINDOWS Server 2019` `WindowsServer2019`."""
    system, _, version = os_product.partition(" ")
    vocabulary = VOCABULARIES[system]
    return vocabulary.stem + version.replace(" ", "")
