"""An evaluation as JSON: `python -m lab evaluate < node.json`, the format described in docs/lab.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TextIO

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from lab.evaluate.api import evaluate
from lab.evaluate.managers import Manager
from lab.evaluate.model import EvaluationError, Evr, Notice, Override, Package, Row, Version, WindowsPatch
from lab.evaluate.problems import problems

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""When a notice or a Windows update without a date is taken to be from (UG:about-windows-app-patching)."""


def _time(value: object) -> datetime:
    try:
        when = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        when = None
    if when is None:
        raise ValueError("a time such as 2025-06-02T00:00:00Z")
    return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)


def _or(default: Any) -> BeforeValidator:
    return BeforeValidator(lambda value: default if value is None else value)


def _epoch(value: object) -> object:
    """rpm itself prints an absent epoch as `(none)`."""
    return 0 if value in (None, "", "(none)") else value


Time = Annotated[datetime, BeforeValidator(_time)]
"""An ISO 8601 time; one without a zone is UTC, as the agent takes it."""

YesNo = Annotated[bool, Field(strict=True)]


class EvrDocument(BaseModel):
    """A version; an absent epoch is 0."""

    epoch: Annotated[int, BeforeValidator(_epoch)] = 0
    version: str
    release: Annotated[str, _or("")] = ""

    def evr(self) -> Evr:
        """As the evaluation takes it."""
        return Evr(self.epoch, self.version, self.release)


class NoticeDocument(BaseModel):
    """An advisory."""

    id: str
    updated: Time | None = None
    classification: str | None = None
    severity: str | None = None
    cves: Annotated[list[str], _or([])] = []

    def read(self) -> Notice:
        """As the evaluation takes it."""
        return Notice(self.id, self.updated or _LONG_AGO, self.classification, self.severity, tuple(self.cves))


class VersionDocument(EvrDocument):
    """A version that the repositories have."""

    built: Time | None = None
    notice: NoticeDocument | None = None
    priority: str | None = None
    section: str | None = None
    security_origin: Annotated[YesNo, _or(default=False)] = False

    def read(self) -> Version:
        """As the evaluation takes it."""
        notice = None if self.notice is None else self.notice.read()
        return Version(self.evr(), self.built, notice, self.priority, self.section, self.security_origin)


class PackageDocument(BaseModel):
    """A package of a Linux or macOS node."""

    name: str
    arch: str
    installed: EvrDocument | None = None
    versions: Annotated[list[VersionDocument], _or([])] = []

    def read(self) -> Package:
        """As the evaluation takes it."""
        installed = None if self.installed is None else self.installed.evr()
        return Package(self.name, self.arch, installed, tuple(version.read() for version in self.versions))


class WindowsPatchDocument(BaseModel):
    """An update of a Windows node."""

    kb: str
    installed: YesNo
    title: str
    product: str
    product_family: Annotated[str, _or("")] = ""
    classification: str
    msrc_severity: str | None = None
    patch_set: Annotated[str, _or("OS")] = "OS"
    released: Time | None

    def read(self) -> WindowsPatch:
        """As the evaluation takes it."""
        return WindowsPatch(**{**self.model_dump(), "released": self.released or _LONG_AGO})


class OverrideDocument(BaseModel):
    """An entry of an install override list."""

    id: str
    title: str | None = None

    def read(self) -> Override:
        """As the evaluation takes it."""
        return Override(self.id, self.title)


class OverrideListDocument(BaseModel):
    """An install override list."""

    patches: Annotated[list[OverrideDocument], _or([])]


class NodeDocument(BaseModel):
    """What all operating systems have in common."""

    os: str
    product: str
    now: Time
    baseline: dict[str, Any]
    override_list: OverrideListDocument | None = None

    def rows(self, packages: Sequence[Package] | Sequence[WindowsPatch]) -> list[Row]:
        """The evaluation of the node with these packages."""
        override = None if self.override_list is None else [patch.read() for patch in self.override_list.patches]
        return evaluate(self.os, self.product, self.now, self.baseline, override, packages)


class LinuxDocument(NodeDocument):
    """A Linux or macOS node."""

    packages: list[PackageDocument]


class WindowsDocument(NodeDocument):
    """A Windows node."""

    packages: list[WindowsPatchDocument]


def main(stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Read a node's document, write its rows as a JSON list; answers the exit code.

    0, or 2 for a document that makes no sense, with one line per problem on `stderr`.
    """
    try:
        answer = _rows(_parse(stdin))
    except ValidationError as error:
        return _refuse(stderr, problems(error))
    except EvaluationError as error:
        return _refuse(stderr, str(error).splitlines())
    except OverflowError:
        return _refuse(stderr, ["expected times between the years 1 and 9999, the baseline's delays taken off"])
    fields = ("id", "title", "state", "compliance", "matched", "requested")
    json.dump([{field: getattr(row, field) for field in fields} for row in answer], stdout, indent=2)
    stdout.write("\n")
    return 0


def _parse(stdin: TextIO) -> dict[str, Any]:
    try:
        document = json.loads(stdin.read())
    except (ValueError, RecursionError) as error:
        raise EvaluationError(f"standard input: expected a JSON object; found no JSON: {error}") from None
    if not isinstance(document, dict):
        raise EvaluationError(f"standard input: expected a JSON object; found {type(document).__name__}")
    return document


def _rows(document: dict[str, Any]) -> list[Row]:
    node = NodeDocument.model_validate(document)
    if Manager.of(node.os, node.product) is Manager.WINDOWS_UPDATE:
        return node.rows([patch.read() for patch in WindowsDocument.model_validate(document).packages])
    return node.rows([package.read() for package in LinuxDocument.model_validate(document).packages])


def _refuse(stderr: TextIO, lines: Sequence[str]) -> int:
    for line in lines:
        stderr.write(f"evaluate: {line}\n")
    return 2
