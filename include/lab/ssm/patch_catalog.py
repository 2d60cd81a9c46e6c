"""What patches there are: properties to filter by, available patches, and what a Windows baseline makes of them.

DescribeAvailablePatches knows Amazon Linux 1 and 2 and Windows, DescribeEffectivePatchesForPatchBaseline
Windows only, as on AWS (the operations' own documentation).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

from lab.evaluate import Package, Version, WindowsPatch
from lab.os_products import OSProduct
from lab.repositories import Repositories
from lab.ssm.base import SSMOperations, error
from lab.ssm.baselines import existing
from lab.ssm.effective_patches import effective_patches
from lab.ssm.patch_filters import select
from lab.ssm.patch_properties import valid_keys, valid_values

LISTED_LINUX = frozenset({"AMAZON_LINUX", "AMAZON_LINUX_2"})
REPOSITORY = "Core"
"""The lab has one repository a product; Amazon Linux calls its main one so."""

UNSPECIFIED = "Unspecified"

Shown = dict[str, Any]
T = TypeVar("T")


class PatchCatalogOperations(SSMOperations):
    """DescribePatchProperties, DescribeAvailablePatches, DescribeEffectivePatchesForPatchBaseline."""

    def describe_patch_properties(self) -> dict[str, Any]:
        """The values of a property; Windows products and families of one patch set, OS unless told otherwise."""
        operating_system, name = self.params["OperatingSystem"], self.params["Property"]
        keys = valid_keys(operating_system)
        if name not in keys:
            raise error(
                "ValidationException",
                f"{operating_system} has no property {name}, valid properties are: {', '.join(keys)}",
            )
        patch_set = self.params.get("PatchSet", "OS")
        if patch_set != "OS" and operating_system != "WINDOWS":
            raise error("ValidationException", f"PatchSet applies to WINDOWS only, not to {operating_system}.")
        values = valid_values(self.lab.repositories, operating_system, name, [patch_set])
        shown, more = self.page(values, 50)
        return {"Properties": [{"Name": value} for value in shown], **more}

    def describe_available_patches(self) -> dict[str, Any]:
        """Patches that a baseline may approve, newest first: Windows' without a PRODUCT of Amazon Linux.

        Raises ValidationException for a Linux key without PRODUCT, as AWS's documentation has it.
        """
        filters = self.params.get("Filters", [])
        products = {value for one in filters if one.get("Key") == "PRODUCT" for value in one.get("Values", ())}
        if any(self._is_listed_linux(name) for name in products):
            versions = linux_patches(self.lab.repositories, products, self.now())
            found = select(versions, filters, _LINUX_FILTERS)
        elif not products and any(one.get("Key") in _LINUX_FILTERS.keys() - _WINDOWS_FILTERS for one in filters):
            raise error("ValidationException", "Filters for Linux patches need a PRODUCT.")
        else:
            updates = windows_patches(self.lab.repositories, self.now())
            found = [shown(patch) for patch in select(updates, filters, _WINDOWS_FILTERS)]
        found.sort(key=lambda patch: patch["ReleaseDate"], reverse=True)
        page, more = self.page(found, 50, at_most=100)
        return {"Patches": page, **more}

    def describe_effective_patches_for_patch_baseline(self) -> dict[str, Any]:
        """The Windows patches that a baseline approves, will approve or rejects. Raises UnsupportedOperatingSystem."""
        baseline = existing(self.location, self.params["BaselineId"])
        operating_system = baseline.body["OperatingSystem"]
        if operating_system != "WINDOWS":
            raise error(
                "UnsupportedOperatingSystem",
                f"The operation applies to patch baselines for WINDOWS only, not for {operating_system}.",
            )
        updates = windows_patches(self.lab.repositories, self.now())
        found = [
            {"Patch": shown(patch), "PatchStatus": status}
            for patch, status in effective_patches(updates, baseline.body, self.now())
        ]
        page, more = self.page(found, 50, at_most=100)
        return {"EffectivePatches": page, **more}

    def _is_listed_linux(self, name: str) -> bool:
        return any(p.product == name and p.operating_system in LISTED_LINUX for p in self.lab.repositories.products())


def windows_patches(repositories: Repositories, now: datetime) -> list[WindowsPatch]:
    """Every update that is offered at `now`; what several versions of Windows are offered stands once."""
    found: dict[tuple[str, str], WindowsPatch] = {}
    for product in repositories.products():
        if product.operating_system == "WINDOWS":
            for patch in repositories.offered(product.key, now):
                if isinstance(patch, WindowsPatch):
                    found[patch.product, patch.kb] = patch
    return list(found.values())


def linux_patches(repositories: Repositories, products: set[str], now: datetime) -> Iterator[Shown]:
    """Every version with a notice that is offered for the given products of Amazon Linux 1 and 2."""
    for product in repositories.products():
        if product.product in products and product.operating_system in LISTED_LINUX:
            for package in repositories.offered(product.key, now):
                if isinstance(package, Package):
                    yield from (_shown_version(product, package, v) for v in package.versions if v.notice is not None)


def shown(patch: WindowsPatch) -> Shown:
    """A Windows update as the API shows it (Patch). Its Id is a GUID of its own, not the KB."""
    return {
        "Id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://example.com/{patch.product}/{patch.kb}")),
        "ReleaseDate": patch.released,
        "Title": patch.title,
        "ContentUrl": f"https://support.microsoft.com/en-us/kb/{patch.kb.removeprefix('KB')}",
        "Vendor": "Microsoft",
        "ProductFamily": patch.product_family,
        "Product": patch.product,
        "Classification": patch.classification,
        "MsrcSeverity": patch.msrc_severity or UNSPECIFIED,
        "KbNumber": patch.kb,
        "MsrcNumber": "",
        "Language": "All",
    }


def _shown_version(product: OSProduct, package: Package, version: Version) -> Shown:
    notice = version.notice
    of_notice = (
        {}
        if notice is None
        else {
            "ReleaseDate": notice.updated,
            "Title": notice.id,
            "Classification": notice.classification or "",
            "Severity": notice.severity or "",
            "AdvisoryIds": [notice.id],
            "CVEIds": list(notice.cves),
        }
    )
    return {
        **of_notice,
        "ProductFamily": product.product_family,
        "Product": product.product,
        "BugzillaIds": [],
        "Name": package.name,
        "Epoch": version.evr.epoch,
        "Version": version.evr.version,
        "Release": version.evr.release,
        "Arch": package.arch,
        "Repository": REPOSITORY,
    }


def _equals(of: Callable[[T], object]) -> Callable[[T, tuple[str, ...]], bool]:
    return lambda item, values: str(of(item)) in values or "*" in values


def _is(member: str) -> Callable[[Shown, tuple[str, ...]], bool]:
    return _equals(lambda patch: patch[member])


def _has(member: str) -> Callable[[Shown, tuple[str, ...]], bool]:
    return lambda patch, values: any(value in patch[member] for value in values)


_WINDOWS_FILTERS: Mapping[str, Callable[[WindowsPatch, tuple[str, ...]], bool]] = {
    "PATCH_SET": _equals(lambda patch: patch.patch_set),
    "PRODUCT": _equals(lambda patch: patch.product),
    "PRODUCT_FAMILY": _equals(lambda patch: patch.product_family),
    "MSRC_SEVERITY": _equals(lambda patch: patch.msrc_severity or UNSPECIFIED),
    "CLASSIFICATION": _equals(lambda patch: patch.classification),
    "PATCH_ID": _equals(lambda patch: patch.kb),
}
_LINUX_FILTERS: Mapping[str, Callable[[Shown, tuple[str, ...]], bool]] = {
    "PRODUCT": _is("Product"),
    "NAME": _is("Name"),
    "SEVERITY": _is("Severity"),
    "EPOCH": _is("Epoch"),
    "VERSION": _is("Version"),
    "RELEASE": _is("Release"),
    "ARCH": _is("Arch"),
    "REPOSITORY": _is("Repository"),
    "ADVISORY_ID": _has("AdvisoryIds"),
    "CVE_ID": _has("CVEIds"),
    "BUGZILLA_ID": _has("BugzillaIds"),
}
