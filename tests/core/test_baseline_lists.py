"""A baseline's lists are read as nodes read them, which the lab does as the payload of AWS's document."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.evaluate import Evr
from lab.evaluate.managers import Manager
from lab.evaluate.names import NameList, spellings
from lab.evaluate.versions import deb_text, rpm_text
from sluice.core.release.baseline_lists import lists

KERNEL, TITLE = "kernel.x86_64", "kernel.x86_64:0:6.1.140-154.222.amzn2023"


@pytest.mark.parametrize(
    "word",
    ["kernel", "KERNEL", "kernel*", "kernel.x86_64", "kernel-6.1.140", "kernel-6.1.*",
     "kernel-6.1.140-154.222.amzn2023", "kernel-0:6.1.140-154.222.amzn2023.x86_64", TITLE, "*:0:6.1.140-*", "6.1.140"],
)  # fmt: skip
def test_a_package_is_named_by_any_of_aws_forms(word: str) -> None:
    assert lists([word], KERNEL, TITLE)


@pytest.mark.parametrize("word", ["kernel-tools", "kernel-6.1.14", "kern", "6.1.14", "kernel.aarch64", "CVE-2025-0001"])
def test_and_by_nothing_else(word: str) -> None:
    assert not lists([word], KERNEL, TITLE)


def test_a_kb_is_named_by_its_id() -> None:
    assert lists(["kb5060531"], "KB5060531", "2025-06 Cumulative Update (KB5060531)")
    assert not lists(["KB506053"], "KB5060531", "2025-06 Cumulative Update (KB5060531)")


PARTS = st.text("ab1.+~", min_size=1, max_size=4)
WORDS = st.text("ab1.:-*?[]x8664_", min_size=1, max_size=12)


@given(st.sampled_from(Manager), PARTS, st.integers(0, 2), PARTS, PARTS, st.data())
def test_a_word_fits_here_wherever_it_fits_on_a_node(
    manager: Manager, name: str, epoch: int, version: str, release: str, data: st.DataObject
) -> None:
    evr = Evr(epoch, version, release)
    arch = "amd64" if manager.debian else "x86_64"
    patch = f"{name}.{arch}"
    title = f"{patch}:{deb_text(evr) if manager.debian else rpm_text(evr)}"
    ways = spellings(manager, name, arch, evr)
    word = data.draw(st.sampled_from(sorted(ways)) | WORDS)
    if data.draw(st.booleans()):
        word = word[: data.draw(st.integers(0, len(word)))] + "*"
    if NameList([word]).fits(ways):
        assert lists([word], patch, title), word
