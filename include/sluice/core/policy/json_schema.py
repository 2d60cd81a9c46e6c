"""The policy as JSON Schema, for editors: they complete keys, show what they mean and mark what is wrong.

Checked in as include/policy/policy.schema.json, which the first line of a policy names:

    # yaml-language-server: $schema=policy.schema.json

What stands between parts (a window of an unknown patch group, say) only `python -m sluice check` finds.
"""

from __future__ import annotations

from typing import Any

from sluice.core.policy.policy import Policy

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def policy_schema() -> dict[str, Any]:
    """The schema, in the same order every time."""
    schema = Policy.model_json_schema()
    return {"$schema": DIALECT, **_plain(schema), "title": "Sluice policy"}


def _plain(part: Any) -> Any:
    """Without the titles that pydantic makes of names: editors show them before the description."""
    if isinstance(part, list):
        return [_plain(item) for item in part]
    if not isinstance(part, dict):
        return part
    return {key: _plain(value) for key, value in part.items() if not (key == "title" and isinstance(value, str))}
