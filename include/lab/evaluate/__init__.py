"""What AWS's patch agent would report of a node and ask to install: pure functions, per operating system.

model.py        records, in and out
managers.py     which package manager an operating system has
versions.py     rpm's and dpkg's order
names.py        the spellings of approved, rejected and override lists
baseline.py     filters, rules, lists
candidates.py   versions that a baseline approves, and at which level
linux.py        rows of packages
windows.py      rows of KBs
document.py     all of it as JSON: `python -m lab evaluate`
"""

from __future__ import annotations

from lab.evaluate.api import evaluate
from lab.evaluate.document import main
from lab.evaluate.model import EvaluationError, Evr, Notice, Override, Package, Row, Version, WindowsPatch
from lab.evaluate.versions import compare

__all__ = [
    "EvaluationError",
    "Evr",
    "Notice",
    "Override",
    "Package",
    "Row",
    "Version",
    "WindowsPatch",
    "compare",
    "evaluate",
    "main",
]
