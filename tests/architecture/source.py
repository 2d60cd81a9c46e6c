"""What the architecture tests read: the project's files and what they import."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def project_files(suffix: str = "") -> list[Path]:
    """Every file that is or would be committed, generated and ignored ones left out."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    files = (ROOT / name for name in listed.split("\0") if name.endswith(suffix))
    return [file for file in files if file.is_file()]


def python_files(folder: str) -> list[Path]:
    """The project's Python files below a folder."""
    return [file for file in project_files(".py") if file.is_relative_to(ROOT / folder)]


def imported_modules(source: str) -> set[str]:
    """Full names of what a module imports anywhere in it, inside functions and for types too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def imports_below(folder: str) -> dict[Path, set[str]]:
    """What each Python file below a folder imports, by its path from the root."""
    return {file.relative_to(ROOT): imported_modules(file.read_text("utf-8")) for file in python_files(folder)}


def make_targets() -> set[str]:
    """The Makefile's public targets."""
    declared = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert declared, "the Makefile declares its targets .PHONY"
    return set(declared[1].split())
