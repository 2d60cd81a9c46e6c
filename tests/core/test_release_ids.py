"""A release's id says its window and its occurrence, and nothing else is one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sluice.core.errors import ReleaseError
from sluice.core.release.ids import ALL, IdParts, any_release_of, parse_id, release_id, window_of

WHEN = datetime(2025, 6, 3, 3, tzinfo=UTC)


@pytest.mark.parametrize("window", ["w", "install-prod", "install-prod-20250603t0300-0a1b2c3d", "w" * 64])
def test_an_id_that_was_made_says_its_window_and_occurrence(window: str) -> None:
    made = release_id(window, WHEN, "sluice", "patch", "run")
    assert parse_id(made) == IdParts(window, WHEN)
    assert window_of(made) == window
    assert len(any_release_of(window)) == len(made)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ALL,
        "../all",
        "a/b-20250603T0300-0a1b2c3d",
        "a-20250603T0300-0a1b2c3d\n",
        "A-20250603T0300-0a1b2c3d",
        "-20250603T0300-0a1b2c3d",
        "a-20250603T0300-0A1B2C3D",
        "a-2025060\u0663T0300-0a1b2c3d",
        "a-20250603T0300-0a1b2c3d/slot/1",
        f"{'w' * 65}-20250603T0300-0a1b2c3d",
    ],
)
def test_what_no_window_of_a_policy_can_be_released_as_is_no_id(text: str) -> None:
    assert parse_id(text) is None
    with pytest.raises(ReleaseError, match="expected the id of a release"):
        window_of(text)


def test_an_id_of_a_moment_that_there_is_not_is_none() -> None:
    assert parse_id("install-nonprod-20250631T0300-0a1b2c3d") is None
    assert parse_id("install-nonprod-20250630T2500-0a1b2c3d") is None
