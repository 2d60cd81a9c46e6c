"""The shipped advisories as repository records.

What the real files do not say is read in so (and nothing else is made up; `advisories/README.md` has it
for people): a package was built two days before its notice was issued; a date without a time is midnight
UTC; a Windows update appears at ten in the morning of its day in Redmond, as Patch Tuesday's do; an
update that is re-issued under one KB comes every day or every second Tuesday, as its `cadence` says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from lab.evaluate import Evr
from lab.os_products import PRODUCTS, OSProduct
from lab.package_facts import ADVISORIES, priority_and_section
from lab.package_repository import BEGINNING
from lab.releases import DatedNotice, Origin, Release, Update

BUILD_LEAD = timedelta(days=2)
REISSUES = [datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(6 * 365)]
"""The days on which an update may be issued again under its KB: six years."""


def packages(product: OSProduct) -> list[Release]:
    """Every version that the shipped files have for an rpm or apt product."""
    found = [*_synthetic(product), *_without_updates(product)]
    if product.key == "AmazonLinux2023":
        found += _amazon(product)
    if product.operating_system == "UBUNTU":
        found += _ubuntu(product)
    return _merged(found)


def updates(product: OSProduct) -> list[Update]:
    """Every update that the shipped files have for a Windows product."""
    return [*_windows(product), *_synthetic_windows(product)]


def _amazon(product: OSProduct) -> Iterator[Release]:
    for record in _read("amazon-linux-2023"):
        if record["retroactive"]:
            continue  # written later for a kernel of long ago: no new update
        notice = DatedNotice(
            id=record["id"],
            issued=_utc(record["issued"]),
            updated=_utc(record["updated"]),
            classification="Security",
            severity=record["severity"],
            cves=tuple(record["cve_ids"]),
        )
        for row in record["packages"]:
            if not row["name"].endswith(("-debuginfo", "-debugsource")):  # in a repository that is off
                for arch in row["arch"]:
                    yield _release(product, {**row, "arch": arch}, notice.issued, notice)


def _ubuntu(product: OSProduct) -> Iterator[Release]:
    for record in _read("ubuntu"):
        notice = DatedNotice(
            id=record["id"],
            issued=_utc(record["published"]),
            updated=_utc(record["modified"]),
            classification="Security",
            severity=record["priority"] and record["priority"].capitalize(),
            cves=tuple(record["cve_ids"]),
        )
        for source in record["packages"]:
            if source["release"] == product.platform_version and not source["ubuntu_pro"]:
                for name in source["binaries"]:
                    yield _release(product, {"name": name, "version": source["fixed_version"]}, notice.issued, notice)


def _synthetic(product: OSProduct) -> Iterator[Release]:
    for record in _invented()["updates"]:
        if record["product"] != product.key:
            continue
        issued = _utc(record["issued"])
        notice = record["id"] and DatedNotice(
            record["id"], issued, _utc(record["updated"]), record["classification"], record["severity"], ()
        )
        for row in record["packages"]:
            yield _release(product, row, issued, notice, "invented", security_origin=record["security_origin"])


def _without_updates(product: OSProduct) -> Iterator[Release]:
    for row in _invented()["never_updated"].get(product.key, ()):
        yield _release(product, row, BEGINNING, None, "invented", security_origin=False)


def _release(
    product: OSProduct,
    row: dict[str, Any],
    available: datetime,
    notice: DatedNotice | None,
    origin: Origin = "advisory",
    *,
    security_origin: bool = True,
) -> Release:
    apt = product.family == "apt"
    priority, section = priority_and_section(row["name"]) if apt else (None, None)
    return Release(
        name=row["name"],
        arch=row.get("arch", product.arch),
        evr=Evr(row.get("epoch", 0), row["version"], row.get("release", "")),
        available=available,
        built=None if apt else available - BUILD_LEAD,
        notices=(notice,) if notice else (),
        priority=priority,
        section=section,
        security_origin=security_origin,
        origin=origin,
    )


def _merged(found: list[Release]) -> list[Release]:
    """One release for a version, however many notices name it: there from the first, all of them on it."""
    merged: dict[tuple[str, Evr], Release] = {}
    for release in sorted(found, key=lambda r: r.available):
        first = merged.setdefault((release.key, release.evr), release)
        if first is not release:
            first.notices += release.notices
    return list(merged.values())


def _windows(product: OSProduct) -> Iterator[Update]:
    for record in _read("windows-server"):
        line, classification = _LINES.get(record["title_class"], (None, ""))
        own = product.platform_version == _BUILDS.get(record["product"])
        for_all = record["cadence"] != "once" and product.key != "WindowsServer2025"
        issues = _issues(record["cadence"], record["release_date"])
        if line is None or not (own or for_all) or not issues or _is_child(record):
            continue
        definitions = record["cadence"] == "daily"
        yield Update(
            kb=record["kb"],
            title=_title(record),
            product="MicrosoftDefenderAntivirus" if definitions else product.product,
            product_family=product.product_family,
            classification=classification,
            msrc_severity=record["msrc_severity"],
            patch_set="OS",
            line=line,
            issues=issues,
        )


_LINES = {
    "cumulative_update": ("cumulative", "SecurityUpdates"),
    "out_of_band_cumulative": ("cumulative", "SecurityUpdates"),
    "dotnet_cumulative_parent": ("dotnet", "SecurityUpdates"),
    "dotnet_cumulative": ("dotnet", "SecurityUpdates"),
    "servicing_stack": ("servicing-stack", "SecurityUpdates"),
    "msrt": ("malicious-software-removal", "UpdateRollups"),
    "security_intelligence": ("security-intelligence", "DefinitionUpdates"),
}
"""Line and classification by the file's `title_class`. Hotpatches are not there: EC2 does not offer them."""
_BUILDS = {
    product.platform_name.removeprefix("Microsoft ").removesuffix(" Datacenter"): product.platform_version
    for product in PRODUCTS.values()
    if product.family == "windows"
}
_REDMOND = ZoneInfo("America/Los_Angeles")


def _is_child(record: dict[str, Any]) -> bool:
    """Whether a .NET update comes inside a parent of its month, which is what Windows Update offers."""
    return record["title_class"] == "dotnet_cumulative" and any(
        other["title_class"] == "dotnet_cumulative_parent" for other in _same_month(record)
    )


def _title(record: dict[str, Any]) -> str:
    """The title as Windows Update words it. Versions of tools that change with each issue are not known."""
    kb, month, system = record["kb"], record["release_month"], record["product"]
    kernel = "Microsoft server operating system version 21H2" if system == "Windows Server 2022" else system
    match record["title_class"]:
        case "msrt":
            return f"Windows Malicious Software Removal Tool x64 ({kb})"
        case "security_intelligence":
            return f"Security Intelligence Update for Microsoft Defender Antivirus - {kb}"
        case "servicing_stack":
            return f"{month} Servicing Stack Update for {kernel} for x64-based Systems ({kb})"
        case "dotnet_cumulative" | "dotnet_cumulative_parent":
            *others, last = _dotnet_versions(record)
            versions = f"{', '.join(others)} and {last}" if others else last
            return f"{month} Cumulative Update for .NET Framework {versions} for {kernel} for x64 ({kb})"
    return f"{month} Cumulative Update for {kernel} for x64-based Systems ({kb})"


def _dotnet_versions(record: dict[str, Any]) -> list[str]:
    """The frameworks that a .NET update is for; a parent's are those of the updates that come inside it."""
    return sorted({version for other in _same_month(record) for version in other["dotnet_versions"] or ()})


def _same_month(record: dict[str, Any]) -> list[dict[str, Any]]:
    product, month = record["product"], record["release_month"]
    return [
        other for other in _read("windows-server") if (other["product"], other["release_month"]) == (product, month)
    ]


def _synthetic_windows(product: OSProduct) -> Iterator[Update]:
    for record in _invented()["windows"]:
        if record["product"] == product.key:
            yield Update(
                kb=record["kb"],
                title=record["title"],
                product=record["patch_product"],
                product_family=record["product_family"],
                classification=record["classification"],
                msrc_severity=record["msrc_severity"],
                patch_set=record["patch_set"],
                line=record["line"],
                issues=_issues("once", record["release_date"]),
                origin="invented",
            )


def _issues(cadence: str, released: str | None) -> tuple[datetime, ...]:
    if cadence == "once":
        return (_redmond_morning(datetime.fromisoformat(released)),) if released else ()
    if cadence == "daily":
        return tuple(REISSUES)
    return tuple(_redmond_morning(day) for day in REISSUES if day.weekday() == 1 and 8 <= day.day <= 14)


def _redmond_morning(day: datetime) -> datetime:
    return datetime.combine(day.date(), time(10), tzinfo=_REDMOND).astimezone(UTC)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _read(name: str) -> Any:
    return _file(f"{name}.json")


def _invented() -> Any:
    return _file("synthetic.json")


@cache
def _file(name: str) -> Any:
    return json.loads((ADVISORIES / name).read_text(encoding="utf-8"))
