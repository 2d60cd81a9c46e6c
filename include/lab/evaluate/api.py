"""The evaluation of a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from lab.evaluate import windows
from lab.evaluate.baseline import Baseline
from lab.evaluate.candidates import Approval
from lab.evaluate.linux import Scan
from lab.evaluate.managers import Manager
from lab.evaluate.model import Override, Package, Row, WindowsPatch


def evaluate(
    os: str,
    product: str,
    now: datetime,
    baseline: Mapping[str, Any],
    override_list: Sequence[Override] | None,
    packages: Sequence[Package] | Sequence[WindowsPatch],
) -> list[Row]:
    """What a scan of a node reports at `now` (aware), one row a `name.arch` or KB, sorted by id.

    `os` is a value of OperatingSystem, `product` the node's PRODUCT, `baseline` what GetPatchBaseline
    answers, `packages` what is installed on the node or known to its repositories: WindowsPatch for
    WINDOWS, Package for all others. `override_list` is the install override list, None without one; it
    changes nothing but what is requested, and an empty one requests nothing.

    Raises EvaluationError for an unknown operating system and for a baseline that no agent could read.
    """
    manager = Manager.of(os, product)
    read = Baseline(baseline, manager, now)
    if manager is Manager.WINDOWS_UPDATE:
        return windows.rows(read, override_list, cast("Sequence[WindowsPatch]", packages))
    scan = Scan(Approval(read, manager, product), override_list)
    return scan.rows(cast("Sequence[Package]", packages))
