"""Documents as the lab keeps them, and how the command engine finds one.

An account's documents lie in `Location.documents`, AWS's are the same everywhere (`lab.ssm.aws_documents`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lab.ssm.base import error
from lab.ssm.document_content import Content, Step
from lab.ssm.document_parameters import Parameter, bind
from lab.world import Location

_ARN = re.compile(r"arn:aws[a-z-]*:ssm:([a-z0-9-]*):(\d{12}|):document/(?P<name>[\w.-]+)")


@dataclass(frozen=True, slots=True)
class Document:
    """One version of a document."""

    name: str
    version: str
    document_type: str
    document_format: str
    text: str
    owner: str
    """The account, or `Amazon`."""
    created: datetime
    content: Content | None
    """None for a type that has no schema (ChangeCalendar)."""
    version_name: str | None = None
    display_name: str | None = None
    target_type: str | None = None
    requires: Sequence[Mapping[str, Any]] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        """Its steps in order."""
        return () if self.content is None else self.content.steps

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The parameters it declares, by name."""
        return {} if self.content is None else self.content.parameters

    @property
    def platform_types(self) -> tuple[str, ...]:
        """The platforms on which at least one of its steps runs."""
        return () if self.content is None else self.content.platform_types


@dataclass(slots=True)
class DocumentHistory:
    """A document of an account: its versions, which is the default, and who else may use it."""

    versions: dict[int, Document]
    default: int = 1
    shared_with: dict[str, str] = field(default_factory=dict)
    """Account (or `all`) to `$DEFAULT`, `$LATEST` or `$ALL`, in the order of sharing."""

    @property
    def latest(self) -> int:
        """The newest version's number."""
        return max(self.versions)

    def number(self, version: str | None, missing: str = "InvalidDocumentVersion") -> int:
        """A version's number: `$DEFAULT` (also None), `$LATEST` or digits. Raises `missing` for another."""
        if version is None or version == "$DEFAULT":
            return self.default
        if version == "$LATEST":
            return self.latest
        for number in self.versions:
            if str(number) == version:
                return number
        raise error(missing, f"The document version {version} does not exist.")


def find_document(location: Location, name: str, version: str | None = None) -> Document:
    """A document by name or ARN: AWS's, the account's own, or one that another account shares with it.

    `version` is `$DEFAULT` (also None), `$LATEST` or a number. Raises InvalidDocument and InvalidDocumentVersion.
    """
    history = find_history(location, name)
    return history.versions[history.number(version)]


def find_history(location: Location, name: str) -> DocumentHistory:
    """A document with all its versions, as `find_document` finds it. Raises InvalidDocument."""
    from lab.ssm.aws_documents import aws_documents

    found: DocumentHistory | None
    arn = _ARN.fullmatch(name)
    if arn is None:
        found = aws_documents().get(name) or location.documents.get(name)
    elif not arn[2]:
        found = aws_documents().get(arn["name"])
    else:
        found = _of_account(location, arn[1], arn[2], arn["name"])
    if found is None:
        raise error("InvalidDocument", f"The specified document does not exist: {name}")
    return found


def _of_account(location: Location, region: str, account: str, name: str) -> DocumentHistory | None:
    if region != location.region:
        return None
    found = location.lab.location(account, region).documents.get(name)
    if found is None or account == location.account or {location.account, "all"} & found.shared_with.keys():
        return found
    return None


def bind_parameters(document: Document, given: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The parameters of a run: `given`, and the document's defaults. Raises InvalidParameters."""
    return bind(document.name, document.parameters, given)
