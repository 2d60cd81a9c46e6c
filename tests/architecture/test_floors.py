"""An arrow only ever points down. import-linter holds most of this; here is what it cannot say."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from source import ROOT, imported_modules, imports_below, python_files

BLOCKED = ["airflow", "aiobotocore", "boto3", "botocore", "lab", "moto"]

CORE_LIBRARIES = {"pydantic", "pydantic_core", "yaml", "sluice"}

IMPURE = {"getpass", "http", "io", "logging", "os", "pathlib", "random", "secrets", "shutil", "socket", "subprocess"}
IMPURE |= {"sys", "tempfile", "threading", "time", "urllib", "uuid"}

IMPURE_CALLS = {"open", "print", "input", "now", "today", "utcnow", "read_text", "write_text"}


def test_the_core_imports_where_airflow_and_awss_sdks_cannot_be() -> None:
    files = python_files("include/sluice/core")
    names = [".".join(file.relative_to(ROOT / "include").with_suffix("").parts) for file in files]
    modules = sorted(name.removesuffix(".__init__") for name in names)
    assert "sluice.core" in modules
    block = "".join(f"sys.modules[{name!r}] = None; " for name in BLOCKED)
    code = f"import importlib, sys; {block}[importlib.import_module(name) for name in {modules!r}]"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "include", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_core_imports_only_the_standard_library_pydantic_and_yaml() -> None:
    allowed = CORE_LIBRARIES | sys.stdlib_module_names
    strangers = {
        (str(file), name)
        for file, names in imports_below("include/sluice/core").items()
        for name in names
        if name.split(".")[0] not in allowed
    }
    assert not strangers


def impurities(source: str) -> set[str]:
    """Clock, input, output and randomness in a module: impure modules it imports and impure calls it makes."""
    found = {name for name in imported_modules(source) if name.split(".")[0] in IMPURE}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
            found |= {f"{name}()"} & {f"{call}()" for call in IMPURE_CALLS}
    return found


@pytest.mark.parametrize(
    "source",
    ["import time", "from random import choice", "def f():\n    import os", "datetime.now(UTC)", "open('x')"],
)
def test_a_clock_input_output_and_randomness_are_noticed(source: str) -> None:
    assert impurities(source)


def test_the_core_has_no_clock_no_input_or_output_and_no_randomness() -> None:
    found = {str(file): impurities(file.read_text("utf-8")) for file in python_files("include/sluice/core")}
    assert not {file: what for file, what in found.items() if what}


def test_of_the_product_the_lab_imports_only_the_core() -> None:
    strangers = {
        (str(file), name)
        for file, names in imports_below("include/lab").items()
        for name in names
        if name.split(".")[0] == "sluice" and name.split(".")[1:2] != ["core"]
    }
    assert not strangers


def test_packages_in_plugins_are_named_in_airflowignore() -> None:
    ignored = (ROOT / "plugins/.airflowignore").read_text("utf-8").split()
    packages = {
        file.relative_to(ROOT / "plugins").parts[0] for file in python_files("plugins") if file.parent.name != "plugins"
    }
    assert {f"{package}/" for package in packages | {"sluice_airflow"}} <= set(ignored)
