"""Versions sort as rpm and dpkg sort them."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.evaluate import EvaluationError, Evr, compare

OLDER_NEWER_RPM = """
1.0 2.0
2.0 2.0.1
2.0.1 2.0.1a
5.5p1 5.5p2
5.5p1 5.5p10
10xyz 10.1xyz
xyz10 xyz10.1
xyz.4 8
xyz.4 2
5.5p2 5.6p1
5.6p1 6.5p1
6.0 6.0.rc1
10a1 10b2
10a2 10b2
1.0a 1.0aa
10.0001 10.0039
4.999.9 5.0
20101121 20101122
1.0~rc1 1.0
1.0~rc1 1.0~rc2
1.0~rc1~git123 1.0~rc1
1.0 1.0^
1.0 1.0^git1
1.0^git1 1.0^git2
1.0^git1 1.01
1.0^20160101 1.0.1
1.0^20160101^git1 1.0^20160102
1.0~rc1 1.0~rc1^git1
1.0^git1~pre 1.0^git1
1b.fc17 1.fc17
1.fc17 1g.fc17
"""
SAME_RPM = """
1.0 1.0
2.0.1a 2.0.1a
10.0001 10.1
2.0 2_0
a+ a_
+a _a
+_ _+
+ _
1.0~rc1~git123 1.0~rc1~git123
1.0^20160101^git1 1.0^20160101^git1
1.0^git1~pre 1.0^git1~pre
"""
OLDER_NEWER_DEB = """
7.6-0 7.6p2-4
1.0.3-3 1.3-1
1.3-1 1.3-1.1
1.2-1 1.11-1
1:1.2-1 1:1.11-1
0:0.9 1:0.1
10.3 1:0.4
1:1.25-4 1:1.25-8
9:1.18.36:5.4-20 10:0.5.1-22
9:1.18.36:5.4-20 9:1.18.36:5.5-1
1.18.36-19 1.18.36-0.17.35-18
1:1.2.13-3 1:1.2.13-3.1
2.0.7pre1-4 2.0.7r-1
0-0 0:0-0-0
3.0~rc1-1 3.0-1
0.2 1.0-0
1.0 1.0-0+b1
1.0-0~ 1.0
1.2.3-0ubuntu1 1.2.3-0ubuntu1.1
0~ 0
1.0~~ 1.0~
1.0~~a 1.0~
1.0~ 1.0
1.0-1~exp1 1.0-1
1.0a 1.0+
1.0 1.0a
1.0-1+deb12u1 1.0-1+deb12u2
"""
SAME_DEB = """
0 00
0:1.18.36 1.18.36
1.0 1.0-0
1.2.3 1.2.3-00
1.0000-1 1.0-1
57:1.2.3abYZ+~-4-5 57:1.2.3abYZ+~-4-5
1:2ab:5 1:2ab:5
"""


def pairs(table: str) -> list[tuple[str, ...]]:
    return [tuple(line.split()) for line in table.split("\n") if line]


def rpm(version: str) -> Evr:
    return Evr(0, version, "1")


def deb(version: str) -> Evr:
    return Evr(0, version, "")


@pytest.mark.parametrize(("older", "newer"), pairs(OLDER_NEWER_RPM))
def test_rpm_versions_sort_as_in_rpms_own_tests(older: str, newer: str) -> None:
    assert compare("AMAZON_LINUX_2023", rpm(older), rpm(newer)) == -1
    assert compare("AMAZON_LINUX_2023", rpm(newer), rpm(older)) == 1


@pytest.mark.parametrize(("one", "other"), pairs(SAME_RPM))
def test_rpm_versions_are_the_same_as_in_rpms_own_tests(one: str, other: str) -> None:
    assert compare("SUSE", rpm(one), rpm(other)) == compare("SUSE", rpm(other), rpm(one)) == 0


@pytest.mark.parametrize(("older", "newer"), pairs(OLDER_NEWER_DEB))
def test_debian_versions_sort_as_in_the_tests_of_dpkg_and_apt(older: str, newer: str) -> None:
    assert compare("UBUNTU", deb(older), deb(newer)) == -1
    assert compare("UBUNTU", deb(newer), deb(older)) == 1


@pytest.mark.parametrize(("one", "other"), pairs(SAME_DEB))
def test_debian_versions_are_the_same_as_in_the_tests_of_dpkg_and_apt(one: str, other: str) -> None:
    assert compare("DEBIAN", deb(one), deb(other)) == compare("DEBIAN", deb(other), deb(one)) == 0


def test_the_epoch_decides_before_the_version_and_the_version_before_the_release() -> None:
    ascending = [Evr(0, "9", "9"), Evr(1, "1", "9"), Evr(1, "2", "1"), Evr(1, "2", "2")]
    for os in ("AMAZON_LINUX_2", "DEBIAN"):
        assert [compare(os, a, b) for a, b in itertools.pairwise(ascending)] == [-1, -1, -1]


def test_a_debian_version_may_come_whole_or_in_parts() -> None:
    whole, parts = Evr(0, "1:2.36-9+deb12u4", ""), Evr(1, "2.36", "9+deb12u4")
    assert compare("DEBIAN", whole, parts) == 0
    assert compare("DEBIAN", whole, Evr(1, "2.36", "9+deb12u10")) == -1
    assert compare("DEBIAN", Evr(1, "1:2.36-9", ""), Evr(0, "1:2.36-9", "")) == 0


def test_numbers_of_any_length_are_compared() -> None:
    long = "1" * 5000
    assert compare("CENTOS", rpm(long), rpm(f"{long}1")) == compare("UBUNTU", deb(long), deb(f"{long}1")) == -1


def test_an_unknown_operating_system_has_no_order() -> None:
    with pytest.raises(EvaluationError, match=r"expected one of ALMA_LINUX.*found 'BEOS'"):
        compare("BEOS", rpm("1"), rpm("2"))


def naive_rpmvercmp(a: str, b: str) -> int:
    """rpm's algorithm as rpm runs it, on two strings at once; the module makes a key of each."""
    while True:
        a, b = a.lstrip(".-_"), b.lstrip(".-_")
        for sign, alone in (("~", -1), ("^", 1)):
            if a[:1] == sign or b[:1] == sign:
                if a[:1] == b[:1]:
                    return naive_rpmvercmp(a[1:], b[1:])
                # A caret is newer than the end of a version, but older than anything else.
                other = b if a[:1] == sign else a
                side = 1 if a[:1] == sign else -1
                return side * (-1 if sign == "^" and other else alone)
        if not a or not b:
            return bool(a) - bool(b)
        kind = str.isdigit if a[0].isdigit() else str.isalpha
        left, right = _take(a, kind), _take(b, kind)
        if not right:
            return 1 if kind is str.isdigit else -1
        if kind is str.isdigit and int(left) != int(right):
            return 1 if int(left) > int(right) else -1
        if kind is str.isalpha and left != right:
            return 1 if left > right else -1
        a, b = a[len(left) :], b[len(right) :]


def _take(text: str, kind: Callable[[str], bool]) -> str:
    size = 0
    while size < len(text) and kind(text[size]):
        size += 1
    return text[:size]


SCRAPS = st.text(alphabet="ab019~^.-_", max_size=7)


@settings(max_examples=400)
@given(SCRAPS, SCRAPS)
def test_any_two_rpm_versions_compare_as_rpms_own_loop_compares_them(one: str, other: str) -> None:
    assert compare("AMAZON_LINUX_2", Evr(0, one, ""), Evr(0, other, "")) == naive_rpmvercmp(one, other)


@settings(max_examples=200)
@given(st.lists(SCRAPS, min_size=3, max_size=3), st.sampled_from(["AMAZON_LINUX_2", "UBUNTU"]))
def test_the_order_of_versions_is_total(texts: list[str], os: str) -> None:
    one, two, three = (Evr(0, text, "") for text in texts)
    assert compare(os, one, two) == -compare(os, two, one)
    if compare(os, one, two) <= 0 and compare(os, two, three) <= 0:
        assert compare(os, one, three) <= 0
