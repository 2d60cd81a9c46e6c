"""A faulty part keeps nobody from hearing of the others, and what is heard beside it is so whatever it was to be."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_corpus import HERE, TODAY, texts

from sluice.core.policy.lint import CODES, Finding, lint
from sluice.core.policy.load import Loaded, Sources, examine, examine_sources
from sluice.core.yaml_text import Path, YamlText

FAULTS = 2_500
NOWHERE = "nowhere-to-be-found"


@cache
def readable() -> dict[str, dict[str, Any]]:
    """The data of the bad policies that can be read and of which only the check finds fault, by name."""
    found = {}
    for path in sorted((HERE / "bad").glob("*.yaml")):
        problems, loaded = examine(texts(path.read_text(encoding="utf-8")), {})
        if not problems and loaded and len(loaded.sources.data["windows"]) < 20:
            found[path.stem] = loaded.sources.data
    return found


class Lines(dict[Path, int]):
    """A line for every part, the same in each policy."""

    def __contains__(self, path: object) -> bool:
        return True

    def __missing__(self, path: Path) -> int:
        return self.setdefault(path, len(self) + 1)

    def get(self, path: Path, default: object = None) -> int:  # type: ignore[override]  # there is one always
        return self[path]


LINES = Lines()


def examined(data: dict[str, Any]) -> tuple[list[str], Loaded | None]:
    problems, loaded = examine_sources(Sources([YamlText("policy.yaml", data, LINES)]), {})
    return [one.code for one in problems], loaded


def told(loaded: Loaded) -> set[tuple[str, int, str]]:
    """Codes, places, and what is said; not the latter where it says a name that only the fault has given."""
    found = [(one.code, one.place.line, one.message.partition(": ")[2]) for one in lint(loaded, TODAY)]
    return {(code, line, "" if NOWHERE in message else message) for code, line, message in found}


@cache
def told_of(name: str) -> set[tuple[str, int, str]]:
    _, loaded = examined(readable()[name])
    assert loaded
    return told(loaded) | {(code, line, "") for code, line, _ in told(loaded)}


def leaves(data: Any, path: Path = ()) -> Iterator[Path]:
    """Every key and item that has neither keys nor items."""
    if isinstance(data, (dict, list)) and data:
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from leaves(value, (*path, key))
    else:
        yield path


def with_a_fault(data: dict[str, Any], choose: random.Random) -> dict[str, Any]:
    """The data with a value that is no such value, a name that nothing has, or a key that is misspelt."""
    faulty: dict[str, Any] = copy.deepcopy(data)
    path = choose.choice(list(leaves(faulty)))
    kind = choose.choice(("value", "name", "key"))
    if kind == "key":
        path = choose.choice([path[:end] for end in range(1, len(path) + 1) if isinstance(path[end - 1], str)])
    holder: Any = faulty
    for part in path[:-1]:
        holder = holder[part]
    if kind == "key":
        key = str(path[-1])
        at = choose.randint(1, len(key))
        holder[key[:at] + choose.choice("aeiou") + key[at:]] = holder.pop(key)
    else:
        holder[path[-1]] = NOWHERE if kind == "name" else {"no": ["such", "value"]}
    return faulty


@settings(max_examples=FAULTS, deadline=None, database=None)
@given(st.integers(0, 2**64 - 1))
def test_what_is_told_beside_a_fault_is_told_without_it_too(seed: int) -> None:
    choose = random.Random(seed)
    name = choose.choice(sorted(readable()))
    problems, loaded = examined(with_a_fault(readable()[name], choose))
    if problems and loaded:
        assert told(loaded) <= told_of(name)


def test_the_faults_are_faults_and_most_leave_something_to_tell() -> None:
    """Otherwise the test above would look at nothing."""
    choose = random.Random(7)
    some = [examined(with_a_fault(readable()[name], choose)) for name in sorted(readable()) for _ in range(3)]
    faulty = [(problems, loaded) for problems, loaded in some if problems]
    assert len(faulty) > len(some) / 2
    assert {code for problems, _ in faulty for code in problems} >= {"P004", "P005", "P006", "P021", "P022", "P023"}
    assert sum(bool(loaded and told(loaded)) for _, loaded in faulty) > len(faulty) / 2


@pytest.mark.parametrize("name", sorted(readable()))
def test_a_finding_is_told_beside_a_fault_that_has_nothing_to_do_with_it(name: str) -> None:
    data = copy.deepcopy(readable()[name])
    data["timing"] = {"poll_seconds": "often"}
    problems, loaded = examined(data)
    assert problems == ["P006"] or set(problems) == {"P004"}
    assert loaded
    without = {one for one in told_of(name) if one[0] != "P215"}  # what a waiver is good for is not known now
    assert told(loaded) | {(code, line, "") for code, line, _ in told(loaded)} == without


def test_one_run_tells_of_values_names_and_what_aws_refuses() -> None:
    text = yaml.safe_dump(
        {
            "windows": [
                {"name": "w1", "operation": "scan", "schedule": "rate(7 days)", "duration_hours": "two"},
                {"name": "w2", "operation": "scan", "schedule": "rate(7 days)", "duration_hours": 2, "cutoff_hours": 5},
            ],
            "patch_groups": [{"name": "more", "ring": "prodd", "baselines": "prod-linux", "products": "UBUNTU 22.04"}],
        }
    )
    problems, loaded = examine(texts(text), {})
    assert loaded
    assert {one.code for one in problems} == {"P006", "P021"}
    assert "P171" in {one.code for one in lint(loaded, TODAY)}


def test_places_stay_those_of_the_text_when_items_before_are_taken_out() -> None:
    data = copy.deepcopy(readable()[sorted(readable())[0]])
    data["windows"] = [7, "x", *data["windows"], {**data["windows"][0], "name": "late", "cutoff_hours": 23}]
    _, loaded = examined(data)
    assert loaded
    found: list[Finding] = [one for one in lint(loaded, TODAY) if one.code == "P171"]
    assert [one.message.split(":")[0] for one in found] == ["windows.late.cutoff_hours"]
    assert set(CODES) >= {one.code for one in found}
