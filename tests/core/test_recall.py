"""What a recall names, and what baselines make of it."""

from __future__ import annotations

import pytest
from soak_world import LINUX, UBUNTU, WINDOWS, after, soak_policy

from sluice.core.errors import ReleaseError
from sluice.core.policy.baselines import MOST_PATCHES
from sluice.core.policy.policy import Policy
from sluice.core.release.recall import Recall, checked, names, recalling, with_recalls


def recall(patch: str) -> Recall:
    return Recall(patch, "it breaks", "ops", after(0))


@pytest.mark.parametrize(
    ("word", "patch", "title", "fits"),
    [
        ("openssl", "openssl.x86_64", "openssl.x86_64:1:3.0-1", True),
        ("OpenSSL.x86_64", "openssl.x86_64", "openssl.x86_64:1:3.0-1", True),
        ("openssl.x86_64:1:3.0-1", "openssl.x86_64", "openssl.x86_64:1:3.0-1", True),
        ("openssl.x86_64:1:3.0-2", "openssl.x86_64", "openssl.x86_64:1:3.0-1", False),
        ("openssl.aarch64", "openssl.x86_64", "openssl.x86_64:1:3.0-1", False),
        ("openssl", "openssl-libs.x86_64", "openssl-libs.x86_64:1:3.0-1", False),
        ("python3", "python3.11.x86_64", "python3.11.x86_64:3.11-1", False),
        ("python3.11", "python3.11.x86_64", "python3.11.x86_64:3.11-1", True),
        ("kb5060531", "KB5060531", "", True),
        ("", "KB5060531", "", False),
    ],
)
def test_a_word_names_an_id_a_package_or_one_version(word: str, patch: str, title: str, fits: bool) -> None:
    assert names(word, patch, title) is fits


def test_a_kb_is_recalled_on_windows_and_a_package_elsewhere() -> None:
    assert recalling([recall("KB1")], WINDOWS, "KB1", "")
    assert not recalling([recall("KB1")], LINUX, "KB1", "")
    assert not recalling([recall("openssl").lift("ops", after(1))], LINUX, "openssl.x86_64", "")


@pytest.mark.parametrize(
    ("patch", "name"),
    [
        ("KB1", "KB1"),
        ("openssl", "openssl"),
        ("openssl.x86_64", "openssl"),
        ("openssl.x86_64:1:3.0-1.amzn2023", "openssl"),
        ("python3.11", "python3.11"),
        ("python3.11.noarch:3.11-1", "python3.11"),
        ("libssl3.amd64:3.0.2-0ubuntu1.10", "libssl3"),
    ],
)
def test_a_baseline_rejects_a_package_by_its_name(patch: str, name: str) -> None:
    assert recall(patch).name == name


def rejected(policy: Policy) -> dict[str, tuple[str, ...]]:
    return {one.name: one.rejected.patches for one in policy.baselines}


def test_a_recall_is_rejected_in_every_baseline_of_its_kind() -> None:
    found = with_recalls(soak_policy(), [recall("openssl.x86_64"), recall("openssl"), recall("KB1")])
    assert rejected(found) == {
        "nonprod-linux": ("openssl",),
        "prod-linux": ("openssl",),
        "nonprod-windows": ("KB1",),
        "prod-windows": ("KB1",),
    }


def test_a_lifted_recall_changes_nothing() -> None:
    policy = soak_policy()
    assert with_recalls(policy, [recall("openssl").lift("ops", after(1))]) is policy


def test_more_than_aws_takes_is_refused_with_both_numbers() -> None:
    many = [recall(f"p{number}") for number in range(MOST_PATCHES)]
    assert len(rejected(with_recalls(soak_policy(), many))["prod-linux"]) == MOST_PATCHES
    with pytest.raises(ReleaseError, match=r"at most 50 rejected patches, found 0 of the policy's and 51 recalled"):
        with_recalls(soak_policy(), [*many, recall("one-more")])


@pytest.mark.parametrize("patch", ["", "*", "openssl*", "../halts/all", "a/b", "a b", "KB1\n"])
def test_what_is_no_patch_is_refused(patch: str) -> None:
    with pytest.raises(ReleaseError, match="nothing was recalled"):
        checked(patch)


def test_what_is_recalled_survives_json() -> None:
    one = recall(f"openssl.x86_64:{UBUNTU.lower().replace(' ', '-')}").lift("ann", after(1))
    assert Recall.of_json(one.as_json()) == one
