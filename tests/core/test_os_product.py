"""OS products: what an agent reports of itself, in Systems Manager's words."""

from __future__ import annotations

import pytest

from lab.os_products import PRODUCTS
from sluice.core.os_product import covers, operating_system, os_product, overlap
from sluice.core.policy.baselines import OperatingSystem


@pytest.mark.parametrize("key", sorted(PRODUCTS))
def test_every_operating_system_is_known_by_what_its_agent_reports(key: str) -> None:
    known = PRODUCTS[key]
    found = os_product(known.platform_name, known.platform_version)
    assert found is not None
    assert operating_system(found) == known.operating_system


def test_no_operating_system_of_systems_manager_is_forgotten() -> None:
    found = {os_product(known.platform_name, known.platform_version) or "" for known in PRODUCTS.values()}
    assert {operating_system(one) for one in found} == set(OperatingSystem)


@pytest.mark.parametrize(
    ("name", "version", "product"),
    [
        ("Amazon Linux", "2023", "AMAZON_LINUX_2023"),
        ("Amazon Linux", "2", "AMAZON_LINUX_2"),
        ("Amazon Linux AMI", "2018.03", "AMAZON_LINUX 2018.03"),
        ("Ubuntu", "22.04", "UBUNTU 22.04"),
        ("CentOS Linux", "7.9.2009", "CENTOS 7.9.2009"),
        ("SLES", "15.5", "SUSE 15.5"),
        ("Microsoft Windows Server 2019 Datacenter", "10.0.17763", "WINDOWS Server 2019"),
        ("Microsoft Windows Server 2012 R2 Standard", "6.3.9600", "WINDOWS Server 2012 R2"),
        ("Microsoft Windows 10 Enterprise", "10.0.19045", "WINDOWS 10"),
        ("Plan 9", "4", None),
        ("", "", None),
    ],
)
def test_a_product_has_the_version_that_people_know_it_by(name: str, version: str, product: str | None) -> None:
    assert os_product(name, version) == product


@pytest.mark.parametrize(
    ("listed", "product", "is_covered"),
    [
        ("REDHAT_ENTERPRISE_LINUX 9", "REDHAT_ENTERPRISE_LINUX 9.6", True),
        ("REDHAT_ENTERPRISE_LINUX 9.6", "REDHAT_ENTERPRISE_LINUX 9.6", True),
        ("REDHAT_ENTERPRISE_LINUX 9.5", "REDHAT_ENTERPRISE_LINUX 9.6", False),
        ("CENTOS 7", "CENTOS 70", False),
        ("AMAZON_LINUX_2", "AMAZON_LINUX_2023", False),
        ("AMAZON_LINUX_2023", "AMAZON_LINUX_2023", True),
        ("UBUNTU", "UBUNTU 22.04", True),
        ("WINDOWS", "WINDOWS Server 2012", True),
        ("WINDOWS Server 2012", "WINDOWS Server 2012", True),
        ("WINDOWS Server 2012", "WINDOWS Server 2012 R2", False),
        ("WINDOWS 10", "WINDOWS 10 R2", False),
    ],
)
def test_a_listed_product_covers_its_minor_versions_alone(listed: str, product: str, *, is_covered: bool) -> None:
    assert covers(listed, product) is is_covered


@pytest.mark.parametrize(
    ("one", "other", "do_overlap"),
    [
        ("REDHAT_ENTERPRISE_LINUX 9", "REDHAT_ENTERPRISE_LINUX 9.4", True),
        ("REDHAT_ENTERPRISE_LINUX 9.4", "REDHAT_ENTERPRISE_LINUX 9.6", False),
        ("UBUNTU", "UBUNTU 22.04", True),
        ("UBUNTU", "DEBIAN 12", False),
        ("WINDOWS Server 2012", "WINDOWS Server 2012 R2", False),
        ("AMAZON_LINUX_2", "AMAZON_LINUX_2023", False),
    ],
)
def test_listed_products_overlap_where_a_node_may_be_of_both(one: str, other: str, *, do_overlap: bool) -> None:
    assert overlap(one, other) is overlap(other, one) is do_overlap
