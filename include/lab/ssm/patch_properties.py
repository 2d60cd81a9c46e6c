"""What patches can be filtered by: keys and values per operating system, and the check of a baseline's filters.

The values stand in `data/patch_properties.yaml`; products that the lab's own repositories add (a fleet's
own operating system) are valid as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from lab.repositories import Repositories
from lab.ssm.base import error

PATCH_SETS = ("OS", "APPLICATION")
DEBIAN_FAMILY = frozenset({"DEBIAN", "UBUNTU", "RASPBIAN"})


@cache
def _table() -> Mapping[str, Any]:
    path = Path(__file__).parent / "data" / "patch_properties.yaml"
    table: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return table


def valid_keys(operating_system: str) -> tuple[str, ...]:
    """The keys that a baseline of this operating system may filter by."""
    if operating_system == "WINDOWS":
        return ("PATCH_SET", "PRODUCT", "PRODUCT_FAMILY", "CLASSIFICATION", "MSRC_SEVERITY")
    keys = tuple(_table()[operating_system])
    return (*keys, "SECTION") if operating_system in DEBIAN_FAMILY else keys


def valid_values(
    repositories: Repositories, operating_system: str, key: str, patch_sets: Iterable[str] = ("OS",)
) -> list[str]:
    """The values of a key; for Windows products and families those of the given patch sets.

    Empty for a key whose values are free text (SECTION) or that the operating system does not have.
    """
    if key == "PATCH_SET":
        return list(PATCH_SETS)
    table = _table()[operating_system]
    values: list[str] = list(table.get(key, ()))
    if operating_system == "WINDOWS" and key in ("PRODUCT", "PRODUCT_FAMILY"):
        values = [value for name in patch_sets for value in table[name][key]]
    if key == "PRODUCT" and "OS" in patch_sets:
        own = {p.product for p in repositories.products() if p.operating_system == operating_system}
        values += sorted(own.difference(values))
    return values


def check_filters(repositories: Repositories, operating_system: str, filters: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a filter that AWS refuses: an unknown key, a value that is not valid.

    Raises ValidationException with the valid values, in AWS's words (terraform-provider-aws#18359);
    the words for an unknown key are the lab's own.
    """
    keys = valid_keys(operating_system)
    patch_sets = next((f["Values"] for f in filters if f["Key"] == "PATCH_SET"), ["OS"])
    if patch_sets == ["*"]:
        patch_sets = list(PATCH_SETS)
    for one in filters:
        key = one["Key"]
        if key not in keys:
            raise error(
                "ValidationException",
                f"Invalid Filter Key: {key} for OperatingSystem: {operating_system}, valid keys are: {', '.join(keys)}",
            )
        _check_values(key, one["Values"], valid_values(repositories, operating_system, key, _known(patch_sets)))


def _known(patch_sets: Iterable[str]) -> list[str]:
    return [name for name in patch_sets if name in PATCH_SETS]


def _check_values(key: str, values: Sequence[str], valid: Sequence[str]) -> None:
    for value in values:
        if value != "*" and valid and value not in valid:
            raise error(
                "ValidationException",
                f"Invalid Filter Value: {value} for Key: {key}, valid values are: {', '.join(valid)}",
            )
