"""The page as a browser shows it: it stands alone, and nothing that stands in it does anything."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from reported import BAD_LINE, Written

from sluice.flow.report import write


class Shown:
    """A page that was opened, and what it did."""

    def __init__(self, browser: Any, path: str, **media: Any) -> None:
        self.asked: list[str] = []
        self.said: list[str] = []
        self.page = browser.new_page()
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("dialog", lambda dialog: (self.said.append(dialog.message), dialog.dismiss()))
        self.page.emulate_media(**media)
        self.page.goto(f"file://{path}")

    def text(self, selector: str) -> str:
        found: str = self.page.inner_text(selector)
        return found


@pytest.fixture
def show(browser: Any) -> Any:
    pages: list[Shown] = []

    def open_page(path: str, **media: Any) -> Shown:
        pages.append(Shown(browser, path, **media))
        return pages[-1]

    yield open_page
    for shown in pages:
        shown.page.close()


def test_it_says_at_once_what_became_of_the_release_and_what_failed(written: Written, show: Any) -> None:
    shown = show(write(written.store, written.release.id)["html"])
    assert "Partial" in shown.text(".verdict")
    assert BAD_LINE in shown.text("#failures")
    # The failures are on the first screen, before anything is scrolled.
    assert shown.page.locator("#failures tbody tr").first.bounding_box()["y"] < 900


def test_it_stands_alone(written: Written, show: Any) -> None:
    path = write(written.store, written.release.id)["html"]
    shown = show(path)
    assert shown.asked == [f"file://{path}"]
    assert shown.said == []


def test_hostile_text_is_text(hostile: Written, show: Any) -> None:
    path = write(hostile.store, hostile.release.id)["html"]
    shown = show(path)
    assert shown.asked == [f"file://{path}"]
    assert shown.said == []
    assert shown.page.title() == f"Partial: {hostile.release.id}"
    assert shown.page.locator("script, img, iframe, object").count() == 0
    assert "<script>document.title='owned'</script>" in shown.text("#failures")
    assert "{{ 7 * 7 }} &amp;" in shown.text("#failures")
    content = Path(path).read_text("utf-8")
    assert not set(content) & {chr(number) for number in (0, 7, 27, 0x202E, 0x202C)}


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("kind", ["written", "hostile"])
def test_nothing_is_wider_than_the_screen(kind: str, width: int, show: Any, request: pytest.FixtureRequest) -> None:
    made: Written = request.getfixturevalue(kind)
    shown = show(write(made.store, made.release.id)["html"])
    shown.page.set_viewport_size({"width": width, "height": 900})
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
    shown.page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_on_its_ground(scheme: str, written: Written, show: Any) -> None:
    shown = show(write(written.store, written.release.id)["html"], color_scheme=scheme)
    poor = shown.page.evaluate(CONTRAST)
    assert poor == []


CONTRAST = """() => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const one = [r, g, b].map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * one[0] + .7152 * one[1] + .0722 * one[2];
  };
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const found = parts(getComputedStyle(at).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *:not(svg *)")) {
    if (![...element.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
    const [a, b] = [light(parts(getComputedStyle(element).color)), light(ground(element))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) poor.push(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
  }
  return [...new Set(poor)];
}"""


def test_bars_of_the_time_line_overlap_in_no_lane_and_stay_within_the_picture(written: Written, show: Any) -> None:
    shown = show(write(written.store, written.release.id)["html"])
    boxes = shown.page.evaluate(
        """() => [...document.querySelectorAll("svg g rect")].map(r => [r.y, r.x, r.width].map(v => v.baseVal.value))"""
    )
    view = shown.page.evaluate("document.querySelector('svg').viewBox.baseVal.width")
    assert len(boxes) == 3 * 4 * 3 + 2
    for y, x, width in boxes:
        assert x >= 0
        assert x + width <= view
        assert not [other for other in boxes if other[0] == y and x < other[1] < x + width]
    labels = shown.page.evaluate(
        "[...document.querySelectorAll('svg text')].map(t => t.getBBox()).map(b => [b.x, b.width])"
    )
    assert all(left >= 0 and left + width <= view for left, width in labels)


def test_who_cannot_see_it_is_told(written: Written, show: Any) -> None:
    shown = show(write(written.store, written.release.id)["html"])
    page = shown.page
    assert page.locator("html[lang=en]").count() == 1
    assert page.locator("h1").count() == 1
    assert page.locator("main").count() == 1
    assert page.locator("table:not(:has(caption))").count() == 0
    assert page.locator("thead th:not([scope=col])").count() == 0
    assert page.locator("svg[role=img] > title, svg[role=img] > desc").count() == 2
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(h => +h.tagName[1])")
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_it_can_be_printed_whole(written: Written, show: Any, tmp_path: Path) -> None:
    shown = show(write(written.store, written.release.id)["html"], color_scheme="dark", media="print")
    assert shown.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown.page.pdf(format="A4").startswith(b"%PDF-")
