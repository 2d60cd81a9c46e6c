"""What a report says, to people, to spreadsheets and to machines; of every kind of release."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reported import BAD_LINE, Written, at

from sluice.core.errors import EvidenceError
from sluice.evidence.store import FolderStore
from sluice.flow.report import write
from sluice.report import sheet, story, time_line


def rows_of(path: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(Path(path).read_bytes().decode("utf-8-sig"))))


def test_the_spreadsheet_has_every_node_once(written: Written) -> None:
    found = rows_of(write(written.store, written.release.id)["csv"])
    assert [one["node"] for one in found] == sorted(
        (one.node for one in written.nodes), key=lambda id: order(written, id)
    )
    assert {one["result"] for one in found} == {"succeeded", "failed", "missed", "pending_reboot"}
    assert [one["line"] for one in found if one["result"] == "failed"] == [BAD_LINE] * 2


def order(written: Written, node: str) -> tuple[str, str]:
    return next((one.location, one.node) for one in written.nodes if one.node == node)


def test_no_cell_of_the_spreadsheet_is_a_formula(hostile: Written) -> None:
    hostile.text = '=HYPERLINK("http://example.com")\r\n@SUM(A1)\t'
    hostile.nodes = Written(hostile.store, text=hostile.text).nodes
    hostile.all()
    found = rows_of(write(hostile.store, hostile.release.id)["csv"])
    assert found[0]["name"].startswith("'=HYPERLINK")
    assert not [cell for row in found for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert not [cell for row in found for cell in row.values() if "\n" in cell or "\r" in cell]


@given(st.text())
def test_a_cell_is_never_a_formula_and_never_leaves_its_line(text: str) -> None:
    cell = sheet.safe(text)
    assert not cell.startswith(("=", "+", "-", "@", "|", "%", "\t", "\r", "\n", " "))
    assert not set(cell) & set("\r\n\t\x00\x1b\u202e")
    assert sheet.safe("plain words of 2025") == "plain words of 2025"


@pytest.mark.parametrize(
    "begin", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", " =", "\x00=", "\u200b=", "\t@", "\x1b[31m="]
)
def test_whatever_a_spreadsheet_takes_for_a_formula_is_text(begin: str) -> None:
    assert sheet.safe(f"{begin}cmd|'/C calc'!A0").startswith("'")


def test_machines_get_everything(written: Written) -> None:
    found = json.loads(Path(write(written.store, written.release.id)["json"]).read_text())
    assert len(found["nodes"]) == 48
    assert found["counts"] == {
        "expected": 48, "admitted": 46, "succeeded": 43, "failed": 2, "pending_reboot": 1, "missed": 2,
    }  # fmt: skip
    assert found["release"]["id"] == written.release.id
    assert len(found["manifest"]["items"]) == 7


def test_patches_are_counted_by_node_and_the_failed_come_first(written: Written) -> None:
    found = story.read(written.store, written.release.id).patches
    assert {one["failed"] for one in found} == {2}
    assert sum(one["pending"] for one in found) == 1
    assert all(one["requested"] for one in found)
    kernel = next(one for one in found if one["id"] == "kernel.x86_64")
    assert (kernel["installed"], kernel["pending"], kernel["failed"], kernel["missing"]) == (43, 1, 2, 0)


def test_a_release_of_five_thousand_nodes_is_a_page_that_says_what_it_left_out(store: FolderStore) -> None:
    made = Written(store, nodes=5000)
    made.all()
    files = write(store, made.release.id)
    page = Path(files["html"]).read_text("utf-8")
    # Some 170 nodes failed: all on the page. Of 4998 backups one has none.
    assert page.count(BAD_LINE) == sum(one["result"] == "failed" for one in rows_of(files["csv"])) > 100
    assert len(page) < 1_000_000
    assert len(rows_of(files["csv"])) == 5000


def test_a_table_that_is_too_long_says_how_long_it_is(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from sluice.report import page

    made = Written(store)
    made.all()
    monkeypatch.setattr(page, "ROWS_AT_MOST", 1)
    text = Path(write(store, made.release.id)["html"]).read_text("utf-8")
    assert "The first 1 of 2. All are in <code>report.json</code>." in text
    assert text.count(BAD_LINE) == 1


# what stopped early


def test_a_release_that_was_only_begun_has_a_report(store: FolderStore) -> None:
    made = Written(store)
    made.begun()
    text = Path(write(store, made.release.id)["html"]).read_text("utf-8")
    assert "Under way" in text
    assert "No window was opened." in text


def test_a_held_release_says_rule_by_rule_what_held_it(store: FolderStore) -> None:
    made = Written(store)
    made.begun()
    made.record("preflight", {"ready": ["111111111111/eu-west-3"], "refused": {}, "warnings": []})
    made.gate(behind=None)
    made.outcome("held", ok=True, line="the gate is closed: ring before")
    files = write(store, made.release.id)
    text = Path(files["html"]).read_text("utf-8")
    assert "expected nodes of the ring before with these OS products" in text
    assert ">unknown<" in text
    assert "No window was opened." in text
    assert {one["reason"] for one in rows_of(files["csv"])} == {
        "nothing was opened", "stopped", "no non-production twin that passed",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "said"),
    [({}, "Nobody answered"), ({"unasked": True}, "Nobody was asked, as no answer could come in time")],
)
def test_a_release_without_an_answer_says_whether_anybody_was_asked(
    store: FolderStore, more: dict[str, Any], said: str
) -> None:
    made = Written(store)
    made.begun()
    made.gate()
    made.record("approval", {"option": None, "by": None, "at": at(1, 40).isoformat(), **more})
    text = Path(write(store, made.release.id)["html"]).read_text("utf-8")
    assert f"{said}, " in text


def test_a_location_that_was_refused_or_unread_is_named(store: FolderStore) -> None:
    made = Written(store)
    made.all()
    made.record(
        "preflight", {"ready": [], "refused": {"444444444444/ap-southeast-2": "AccessDenied: no"}, "warnings": []}
    )
    made.record("verified", {"unread": {"333333333333/us-east-1": "timed out"}, "unanswered": [], "arrivals": 0})
    made.record("closed", {"locations": {"222222222222/eu-west-3": "window: AccessDenied"}, "at_rest": 0})
    text = Path(write(store, made.release.id)["html"]).read_text("utf-8")
    for said in ("AccessDenied: no", "could not be read back: timed out", "is not: window: AccessDenied"):
        assert said in text


def test_a_record_that_is_no_json_is_named(store: FolderStore) -> None:
    made = Written(store)
    made.begun()
    store.put(f"releases/{made.release.id}/decision.json", b"{")
    with pytest.raises(EvidenceError, match=r"decision\.json: expected JSON"):
        write(store, made.release.id)


# the time line


def test_a_lane_is_a_location_and_many_locations_are_a_lane_for_each_kind_of_wave(store: FolderStore) -> None:
    few = Written(store)
    few.all()
    drawn: Any = time_line.draw(story.read(store, few.release.id))
    assert [lane.label for lane in drawn.lanes] == ["between waves", *few.places]
    places = tuple(f"{number:012}/eu-west-3" for number in range(1, 21))
    many = Written(store, nodes=200, places=places)
    many.all()
    drawn = time_line.draw(story.read(store, many.release.id))
    assert [lane.label for lane in drawn.lanes][1:4] == ["wave 1: install", "wave 1: reboot", "wave 1: rescan"]
    assert len(drawn.lanes) == 10


def test_an_execution_that_was_never_seen_to_its_end_is_drawn_to_the_edge_and_said(written: Written) -> None:
    told = story.read(written.store, written.release.id)
    told.executions[-1]["end"] = None
    drawn: Any = time_line.draw(told)
    bar = next(bar for lane in drawn.lanes for bar in lane.bars if "not seen to its end" in bar.told)
    assert bar.x + bar.width == pytest.approx(time_line.WIDTH - time_line.RIGHT)
