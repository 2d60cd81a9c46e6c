"""The lock is complete, agrees with what was asked for, and belongs to no machine."""

from __future__ import annotations

import re
import sys
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from source import ROOT, imports_below, python_files

ASKED = [
    Requirement(line)
    for line in (ROOT / "requirements.in").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]

LOCK = (ROOT / "requirements.txt").read_text("utf-8")
"""Entries begin at the margin; their hashes and comments are indented."""

ENTRIES = re.split(r"\n(?=\S)", LOCK.strip())

LOCKED = [Requirement(entry.split("\\", 1)[0]) for entry in ENTRIES]


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_what_is_asked_for_is_locked_at_a_version_that_was_asked_for(asked: Requirement) -> None:
    versions = [
        next(iter(locked.specifier)).version
        for locked in LOCKED
        if canonicalize_name(locked.name) == canonicalize_name(asked.name)
    ]
    assert versions, f"{asked.name} is missing from requirements.txt: run `make lock`"
    assert all(asked.specifier.contains(version) for version in versions)


def test_every_locked_package_has_one_exact_version_and_hashes() -> None:
    for entry, locked in zip(ENTRIES, LOCKED, strict=True):
        assert [clause.operator for clause in locked.specifier] == ["=="], entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


def test_moto_is_asked_for_at_one_exact_version() -> None:
    (moto,) = [asked for asked in ASKED if asked.name == "moto"]
    assert [clause.operator for clause in moto.specifier] == ["=="]


@pytest.mark.parametrize("name", ["requirements.in", "requirements.txt"])
def test_requirements_name_no_registry_no_host_and_no_path(name: str) -> None:
    lines = (ROOT / name).read_text("utf-8").splitlines()
    assert not [line for line in lines if "://" in line or re.match(r"\s*(--(?!hash=)|-[a-z]\b|[./])|.* @ ", line)]


def test_what_the_code_imports_is_asked_for_by_name() -> None:
    own = {path.stem for path in python_files("tests")} | {"lab", "sluice", "sluice_airflow"}
    asked = {canonicalize_name(requirement.name) for requirement in ASKED}
    providers = packages_distributions()
    missing = {
        (str(file), module)
        for folder in ("include", "plugins", "dags", "tests")
        for file, names in imports_below(folder).items()
        for module in {name.split(".")[0] for name in names} - own - sys.stdlib_module_names
        if not asked & {canonicalize_name(provider) for provider in providers.get(module, [])}
    }
    assert not missing, "name them in requirements.in, then run `make lock`"
