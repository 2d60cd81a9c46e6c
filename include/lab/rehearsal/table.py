"""What became of each release, and of each patch in each ring, as people read it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.rehearsal.conductor import Release, outcome_of
from lab.rehearsal.record import Days, Patch, Record

WIDEST = 88
"""Characters of the last column."""
NAMES = 3
"""Packages that a line names; the rest are counted."""


def releases(done: Sequence[Release], record: Record) -> list[str]:
    """A line per release: day, window, outcome, nodes that were patched and that failed, and why it was held."""
    rows: list[tuple[str, ...]] = [("day", "window", "outcome", "patched", "failed", "said")]
    rows += [_row(one, record) for one in sorted(done, key=lambda one: (one.planned.start, one.planned.window))]
    return aligned(rows)


def _row(release: Release, record: Record) -> tuple[str, ...]:
    patched, failed = nodes_of(release, record)
    return (
        f"{release.planned.start:%a %d %b %H:%M}",
        release.planned.window,
        outcome_of(release),
        str(len(patched)) if patched else "-",
        str(len(failed)) if failed else "-",
        shortened(why(release), WIDEST),
    )


def nodes_of(release: Release, record: Record) -> tuple[set[str], set[str]]:
    """The nodes that the release patched and those where an install failed, as the lab saw it."""
    patched: set[str] = set()
    failed: set[str] = set()
    for entry in installs_of(release, record):
        name = entry["name"] or entry["node_id"]
        if entry["failed"]:
            failed.add(name)
        elif entry["installed"]:
            patched.add(name)
    return patched, failed


def installs_of(release: Release, record: Record) -> list[Mapping[str, Any]]:
    """What the lab noted of a release's installs: those of its window within its time."""
    planned = release.planned
    return [
        entry
        for entry in record.installs()
        if entry["window"].endswith(planned.window)
        and planned.dag_start <= datetime.fromisoformat(entry["at"])
        and datetime.fromisoformat(entry["at"]).date() <= planned.end.date()
    ]


def why(release: Release) -> str:
    """Why a release was held, or what its report says of it."""
    gate = release.results.get("gate")
    if isinstance(gate, Mapping) and gate.get("verdict") != "open":
        return f"gate {gate.get('verdict')}: {'; '.join(map(str, gate.get('why') or ()))}"
    if release.answer == "Reject":
        return "rejected"
    report = release.results.get("report")
    said = str(report.get("line") or "") if isinstance(report, Mapping) else "no report: see its tasks in Airflow"
    return f"approved; {said}" if release.answer else said


def patches(record: Record, rings: Sequence[str]) -> list[str]:
    """A line per patches that came and went alike: product, names, and first and last day in each ring."""
    alike: dict[tuple[str, ...], list[Patch]] = {}
    for patch, days in sorted(record.days().items()):
        key = (patch.product, *(_span(days.get(ring)) for ring in rings))
        alike.setdefault(key, []).append(patch)
    rows: list[tuple[str, ...]] = [("OS product", *rings, "patches", "which")]
    for (product, *spans), found in sorted(alike.items()):
        rows.append((product, *spans, str(len(found)), _named(found)))
    return aligned(rows)


def write_patches(record: Record, rings: Sequence[str], file: Path) -> None:
    """The same, a row per patch, as CSV."""
    with file.open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(
            ["product", "id", "version", *(f"{ring}_{part}" for ring in rings for part in ("first", "last", "nodes"))]
        )
        for patch, days in sorted(record.days().items()):
            cells: list[str] = []
            for ring in rings:
                one = days.get(ring)
                cells += [f"{one.first:%Y-%m-%d}", f"{one.last:%Y-%m-%d}", str(len(one.nodes))] if one else ["", "", ""]
            rows.writerow([patch.product, patch.id, patch.version, *cells])


def _span(days: Days | None) -> str:
    if days is None:
        return "-"
    first, last = f"{days.first:%d %b}", f"{days.last:%d %b}"
    return first if first == last else f"{first} to {last}"


def _named(found: Sequence[Patch]) -> str:
    names = [f"{patch.id} {patch.version}".strip() for patch in found[:NAMES]]
    return ", ".join(names) + (", …" if len(found) > NAMES else "")


def aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows as lines, their columns as wide as they need to be."""
    table = [tuple(row) for row in rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def shortened(text: str, width: int) -> str:
    """At most so many characters, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"
