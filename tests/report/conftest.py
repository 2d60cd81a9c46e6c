"""A browser, and stores with releases in them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from reported import Written

from sluice.evidence.store import FolderStore

NAMES = ("chromium", "chromium-browser", "google-chrome")

HOSTILE = (
    "</td></script><script>document.title='owned'</script><img src=http://example.com/x onerror=alert(1)>"
    "=cmd|' /C calc'!A0 \u202egnp.exe\u202c \x1b[31mred\x1b[0m \x00\x07{{ 7 * 7 }} &amp; "
)
"""What a tag, a name or a line of output may hold: markup, a formula, text that turns, a terminal's colours."""


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "evidence")


@pytest.fixture
def written(store: FolderStore) -> Written:
    """A release that has everything."""
    found = Written(store)
    found.all()
    return found


@pytest.fixture
def hostile(store: FolderStore) -> Written:
    """The same, with hostile text wherever text comes from outside."""
    found = Written(store, text=HOSTILE)
    found.all()
    return found


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Chromium is."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get("SLUICE_NO_BROWSER"):
            pytest.skip("SLUICE_NO_BROWSER is set")
        pytest.fail("expected Chromium, found none: run .ci/browser, or set SLUICE_NO_BROWSER=1", pytrace=False)
    return found


@pytest.fixture(scope="module")
def browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser with a profile of its own, which reaches nothing but what a page itself asks for.

    Of one module: while it is there an event loop runs in this thread, and other tests could not run theirs.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=chromium,
            headless=True,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            viewport={"width": 1280, "height": 900},
        )
        yield context
        context.close()
