"""Results of patch operations for tests of what reads them: rows and records made by hand, no agent needed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from lab.agent import NodeResult
from lab.evaluate import Row
from lab.world import Node

STARTED = datetime(2025, 6, 1, 2, tzinfo=UTC)
IMAGE_BUILT = datetime(2025, 5, 3, tzinfo=UTC)
BASELINE = "pb-0123456789abcdef0"
SNAPSHOT = "11111111-2222-4333-8444-555555555555"
COMMAND = "66666666-7777-4888-8999-000000000000"


def row(
    name: str,
    state: str,
    *,
    level: str = "UNSPECIFIED",
    classification: str = "Security",
    severity: str = "Important",
    cves: tuple[str, ...] = (),
) -> Row:
    """A row as an evaluation reports it; a name without an architecture is a KB."""
    title = f"{name}:0:1.0-1" if "." in name else f"2025-05 Update ({name})"
    return Row(name, title, state, level, True, state == "MISSING", classification, severity, cves, None)


def report(node: Node, rows: Iterable[Row], **given: Any) -> NodeResult:
    """Let the node have reported `rows`, as a scan of the patch group `web` unless told otherwise."""
    result = NodeResult(
        **{
            "command_id": COMMAND,
            "operation": "Scan",
            "baseline_id": BASELINE,
            "snapshot_id": SNAPSHOT,
            "patch_group": "web",
            "started": STARTED,
            "ended": STARTED + timedelta(minutes=1),
            "rows": tuple(rows),
            "image_built": IMAGE_BUILT,
            **given,
        }
    )
    node.result = result
    return result
