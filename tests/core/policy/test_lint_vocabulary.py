"""What filters may say: the product's own table, and the lab's, which answers as AWS does."""

from __future__ import annotations

import pytest
from policy_corpus import raised

from lab.os_products import PRODUCTS
from lab.repositories import Repositories
from lab.ssm import patch_properties
from sluice.core.policy.baselines import OperatingSystem
from sluice.core.policy.patch_filters import VOCABULARIES, filter_product


def test_every_operating_system_of_the_policy_has_its_words() -> None:
    assert set(VOCABULARIES) == {system.value for system in OperatingSystem}


@pytest.mark.parametrize("system", sorted(VOCABULARIES))
def test_the_keys_are_those_that_the_lab_takes(system: str) -> None:
    ours = {key.upper() for key in VOCABULARIES[system].keys}
    theirs = {key.removeprefix("MSRC_") for key in patch_properties.valid_keys(system)}
    assert ours == theirs


@pytest.mark.parametrize(
    ("system", "patch_set"), [*((system, "OS") for system in sorted(VOCABULARIES)), ("WINDOWS", "APPLICATION")]
)
@pytest.mark.parametrize("key", ["product", "product_family", "classification", "severity", "priority"])
def test_the_values_are_those_that_the_lab_takes(system: str, key: str, patch_set: str) -> None:
    name = "MSRC_SEVERITY" if (key, system) == ("severity", "WINDOWS") else key.upper()
    theirs = patch_properties.valid_values(Repositories.shipped(), system, name, (patch_set,))
    ours = VOCABULARIES[system].values(key, applications=patch_set == "APPLICATION")
    assert set(ours) == set(theirs)


@pytest.mark.parametrize(
    ("system", "rule"),
    [
        ("DEBIAN", "{product: Debian12}"),
        ("AMAZON_LINUX_2023", "{product: AmazonLinux2023, classification: Security, approve_after_days: 0}"),
    ],
)
def test_a_rule_for_one_version_is_for_an_os_product_without_version(system: str, rule: str) -> None:
    part = f"""\
baselines:
  - {{name: extra, os: {system}, rules: [{rule}]}}
patch_groups:
  - {{name: extra, ring: nonprod, baselines: extra, products: {system}}}
"""
    assert "P125" not in {one.code for one in raised(part)}


def test_an_os_product_is_spelled_as_filters_have_it() -> None:
    assert filter_product("UBUNTU 22.04") == "Ubuntu22.04"
    assert filter_product("WINDOWS Server 2019") == "WindowsServer2019"
    assert filter_product("REDHAT_ENTERPRISE_LINUX 9") == "RedhatEnterpriseLinux9"


def test_every_product_of_the_lab_is_spelled_as_its_repositories_spell_it() -> None:
    for key, product in PRODUCTS.items():
        if " " in key:
            assert filter_product(key) == product.product
