"""The Filters of the patch operations (PatchOrchestratorFilter): keys with values, all of which must match."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from lab.ssm.base import error

T = TypeVar("T")


def select(
    items: Iterable[T],
    filters: Iterable[Mapping[str, Any]],
    tests: Mapping[str, Callable[[T, tuple[str, ...]], bool]],
) -> list[T]:
    """The items that pass every filter. `tests` has a test per valid key: (item, the filter's values).

    Raises ValidationException for a key that has no test.
    """
    chosen = list(filters)
    for one in chosen:
        if one.get("Key") not in tests:
            raise error("ValidationException", f"Invalid filter key: {one.get('Key')}. Valid keys: {', '.join(tests)}")
    return [item for item in items if all(tests[one["Key"]](item, tuple(one.get("Values", ()))) for one in chosen)]
