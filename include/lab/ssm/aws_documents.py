"""The documents that AWS provides, as far as the lab runs them: `data/documents/*.yaml`, in the lab's own words.

Names, parameters, defaults and step names are AWS's; the scripts say what the lab does instead of AWS's payload.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import yaml

from lab.ssm.document_content import parse
from lab.ssm.documents import Document, DocumentHistory

OWNER = "Amazon"
CREATED = datetime(2017, 2, 9, 19, 22, 45, tzinfo=UTC)
"""One date for all of them: AWS's documents have each their own."""


@cache
def aws_documents() -> Mapping[str, DocumentHistory]:
    """AWS's documents by name. They are the same in every account and Region and never change."""
    found = {}
    for path in sorted((Path(__file__).parent / "data" / "documents").glob("*.yaml")):
        body = yaml.safe_load(path.read_text(encoding="utf-8"))
        text = json.dumps(body["content"], indent=2)
        document = Document(
            path.stem,
            "1",
            body["type"],
            "JSON",
            text,
            OWNER,
            CREATED,
            parse(text, "JSON", body["type"]),
            target_type=body.get("target_type"),
        )
        found[path.stem] = DocumentHistory({1: document})
    return found
