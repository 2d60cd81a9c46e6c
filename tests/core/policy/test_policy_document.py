"""docs/policy.md: every key is explained, and what stands there as an example is right."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from source import ROOT

from sluice.core.errors import PolicyError
from sluice.core.policy.load import load_policy
from sluice.core.policy.policy import Policy

PAGE = (ROOT / "docs/policy.md").read_text("utf-8")
EXAMPLES = [block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if not block.startswith("#")]


def models(hint: Any, found: set[type[BaseModel]]) -> set[type[BaseModel]]:
    """A type's models, and those inside them."""
    for part in get_args(hint):
        models(part, found)
    if isinstance(hint, type) and issubclass(hint, BaseModel) and hint not in found:
        found.add(hint)
        for field in hint.model_fields.values():
            models(field.annotation, found)
    return found


def keys() -> set[str]:
    return {field.alias or name for model in models(Policy, set()) for name, field in model.model_fields.items()}


def test_every_key_of_the_policy_is_explained() -> None:
    assert len(keys()) > 100
    assert {key for key in keys() if f"`{key}`" not in PAGE} == set()


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_have_only_keys_and_values_that_there_are(example: str) -> None:
    with pytest.raises(PolicyError) as caught:  # each is a part of a policy, so some keys are missing at the top
        load_policy([("example", example)], {})
    assert [str(found) for found in caught.value.problems if found.code != "P005"] == []
    assert {found.message.partition(":")[0] for found in caught.value.problems} <= {"version", "mode", "rings"}


def test_defaults_in_the_tables_are_those_of_the_models() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]+?)`? \|", PAGE, re.MULTILINE))
    defaults = {name: field.default for model in models(Policy, set()) for name, field in model.model_fields.items()}
    checked = [
        "cutoff_hours", "lead_minutes", "concurrency", "errors", "cutoff_behavior", "trigger", "time_zone", "min_nodes",
        "max_failure_percent", "max_wait_days", "success_percent", "evidence_hours", "agents_percent", "deployment",
        "poll_seconds", "poll_at_most_seconds", "open_lead_minutes", "start_grace_minutes",
    ]  # fmt: skip
    assert {name: told[name] for name in checked} == {
        name: f"{defaults[name]:g}" if isinstance(defaults[name], float) else str(defaults[name]) for name in checked
    }
