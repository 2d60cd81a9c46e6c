"""JSON as releases are recorded in it: for people to read, and the same bytes for the same data."""

from __future__ import annotations

import json
from typing import Any


def encoded(data: Any) -> bytes:
    """Data as JSON, indented, keys in order, with a line's end (UTF-8)."""
    return json.dumps(data, indent=1, sort_keys=True).encode() + b"\n"
